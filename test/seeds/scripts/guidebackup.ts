/** The third document: a snapshot every night, and the day on which it is needed. */

import type { Step } from './script.ts';

export const backupSteps: readonly Step[] = [
  {
    line: [1366, 1372],
    original: '- name: VAULT_TOKEN',
    missing: true,
    mended: {
      was: 'Gives the nightly job the root token. A token that takes snapshots, and nothing else, is enough.',
    },
    run: `vault policy write snapshots - <<'EOF'
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}
EOF
SNAPSHOT_TOKEN=$(vault token create -orphan -policy=snapshots -period=72h -field=token)`,
    after: [
      {
        seen: 'it reads no secret, and restores nothing',
        run: `export VAULT_TOKEN=$SNAPSHOT_TOKEN
refused vault kv get secret/ci-cd/github
printf x > none.snap
vault operator raft snapshot restore -force none.snap`,
        code: 2,
        complains: /403/,
      },
    ],
  },
  {
    line: [1378, 1382],
    original: 'TIMESTAMP=$(date +%Y%m%d_%H%M%S)',
    mended: {
      was: 'Goes on after a command that failed, and then tells of success: without `set -e` a job that saved nothing is a job that went well.',
      shown: {
        seen: 'nothing was saved, and the job ends with 0',
        run: `VAULT_TOKEN=wrong sh -c 'vault operator raft snapshot save none-taken.snap
echo "Vault snapshot backed up"'
refused test -s none-taken.snap`,
        says: /^Vault snapshot backed up$/,
        complains: /403/,
      },
    },
    run: `set -eu
TIMESTAMP=$(date +%Y%m%d_%H%M%S)
BACKUP_FILE="/backups/vault-snapshot-\${TIMESTAMP}.snap"
VAULT_TOKEN=$SNAPSHOT_TOKEN vault operator raft snapshot save "$BACKUP_FILE"`,
    after: [
      {
        seen: 'no secret can be read in the file',
        run: `test -s "$BACKUP_FILE"
KEY=$(vault kv get -field=stripe-api-key secret/apps/production/payment-service)
gzip -dc "$BACKUP_FILE" > plain.tar
refused grep -aF "$KEY" plain.tar
refused grep -aF "$ROOT_TOKEN" plain.tar
tar -tf plain.tar`,
        says: /SHA256SUMS/,
      },
    ],
  },
  {
    line: 1385,
    original: 'aws s3 cp $BACKUP_FILE',
    elsewhere:
      'the image hashicorp/vault:1.17.2 has no `aws`, so that nothing ever leaves the cluster: give the upload a container of its own, after this one',
    mended: {
      was: 'Uploads with a program that the image does not have; the failure is passed over, and the only copy stays on the volume.',
    },
  },
  {
    line: 1388,
    original: 'find /backups -name',
    run: 'find /backups -name "vault-snapshot-*.snap" -mtime +30 -delete',
    after: [
      { seen: 'the new one stays', run: 'test -s "$BACKUP_FILE"' },
      {
        seen: 'the days go on: something is written after the snapshot',
        run: 'vault kv put secret/ci-cd/argocd admin-password=after-the-snapshot',
      },
    ],
  },
  {
    line: [1416, 1419],
    original: 'kubectl scale statefulset vault -n vault --replicas=0',
    act: 'stop',
    run: `kubectl scale statefulset vault -n vault --replicas=0
kubectl wait --for=delete pod -l app=vault -n vault --timeout=60s`,
    after: [{ seen: 'nobody answers', run: 'vault status', code: 1 }],
  },
  {
    line: 1421,
    original: '# Start Vault pods one by one',
    act: 'wipe',
    run: 'kubectl delete pvc data-vault-0 data-vault-1 data-vault-2 -n vault',
  },
  {
    line: 1422,
    original: '--replicas=1',
    act: 'start',
    run: 'kubectl scale statefulset vault -n vault --replicas=1',
  },
  {
    line: 1425,
    original: 'kubectl wait --for=condition=ready pod/vault-0',
    mended: {
      was: 'Waits until the pod is ready before it unseals. The probe of line 263 counts a sealed server as not ready: the wait can only run out of time. What there is to wait for is an answer.',
      shown: {
        seen: 'a server that is not open fails the probe',
        run: 'curl -sS -o /dev/null -w "%{http_code}" "$VAULT_ADDR/v1/sys/health?standbyok=true"',
        says: /^50[13]$/,
      },
    },
    run: `until CODE=0; vault status >/dev/null || CODE=$?; [ "$CODE" = 2 ]; do sleep 1; done`,
  },
  {
    line: [1427, 1430],
    original: 'vault operator unseal <unseal-key-1>',
    mended: {
      was: 'Stands in a script with its keys in angle brackets, which a shell takes for files: it does not get past reading this line. A server without its data has to be initialized first, and the keys that open it until the restore are its new ones.',
      shown: {
        seen: 'the script cannot even be read',
        run: `printf '%s\\n' 'vault operator unseal <unseal-key-1>' 'vault operator unseal <unseal-key-2>' | bash -n`,
        code: 2,
        complains: /syntax error/,
      },
    },
    run: `vault operator init -key-shares=1 -key-threshold=1 -format=json > new-keys.json
vault operator unseal "$(jq -r '.unseal_keys_b64[0]' new-keys.json)"`,
    says: /Sealed +false/,
    after: [
      {
        seen: 'it is empty, and does not know the former root token',
        run: 'vault kv get secret/ci-cd/github',
        code: 2,
      },
    ],
  },
  {
    line: [1433, 1434],
    original: 'kubectl cp $SNAPSHOT_FILE vault/vault-0:/tmp/restore.snap',
    mended: {
      was: 'Restores without a token, which is refused. It takes a token of the server that is restored into.',
      shown: {
        seen: 'it is refused',
        run: 'VAULT_TOKEN= vault operator raft snapshot restore -force "$BACKUP_FILE"',
        code: 2,
        complains: /403/,
      },
    },
    run: `VAULT_TOKEN=$(jq -r .root_token new-keys.json) \\
  vault operator raft snapshot restore -force "$BACKUP_FILE"`,
    after: [{ seen: 'the server is sealed', run: 'vault status', code: 2, says: /Sealed +true/ }],
  },
  {
    line: 1436,
    original: '# Scale back to 3 replicas',
    missing: true,
    mended: {
      was: 'Ends here, with a server that is sealed: what was restored is opened by the keys of the day of the snapshot.',
      shown: {
        seen: 'the new key does not open it',
        run: `vault operator unseal "$(jq -r '.unseal_keys_b64[0]' new-keys.json)" || true
vault operator unseal -reset >/dev/null
vault status`,
        code: 2,
        says: /Sealed +true/,
      },
    },
    run: `vault operator unseal "$UNSEAL_KEY_1"
vault operator unseal "$UNSEAL_KEY_2"
vault operator unseal "$UNSEAL_KEY_3"`,
    says: /Sealed +false/,
    after: [
      {
        seen: 'the former root token is good again, and what was written after the snapshot is not there',
        run: 'vault kv get -field=admin-password secret/ci-cd/argocd',
        says: /^argo$/,
      },
      {
        seen: 'the new root token is worth nothing',
        run: `VAULT_TOKEN=$(jq -r .root_token new-keys.json) vault token lookup`,
        code: 2,
        complains: /403/,
      },
      {
        seen: 'the operator of production logs in and reads',
        run: `VAULT_TOKEN=$(vault write -field=token auth/kubernetes-production/login role=vcluster-production \\
  jwt="$(kubectl --context vcluster-production create token external-secrets -n external-secrets-system)") \\
  vault kv get -field=stripe-api-key secret/apps/production/payment-service`,
        says: /^sk_production$/,
      },
      {
        seen: 'the authority issues for the chain that stood before',
        run: `vault write -field=certificate pki/issue/production-cert common_name=a.production.pnats.cloud > again.pem
openssl verify -CAfile ca.pem again.pem`,
        says: /OK/,
      },
    ],
  },
  {
    line: 1437,
    original: 'kubectl scale statefulset vault -n vault --replicas=3',
    elsewhere: 'there is one node',
  },
];
