/** The third document: several virtual clusters over one server, with database accounts, certificates and snapshots. */

import { accessSteps } from './guideaccess.ts';
import { backupSteps } from './guidebackup.ts';
import { databaseSteps, pkiSteps } from './guideengines.ts';
import { namespaceWith, reviewer, type Script } from './script.ts';

const ENVIRONMENTS = ['dev', 'staging', 'uat', 'preprod', 'production', 'sandbox'] as const;

const STRIPE = ['DEV', 'STAGING', 'PRODUCTION'].map(
  (name) => `STRIPE_API_KEY_${name}=sk_${name.toLowerCase()}`,
);

export const guide: Script = {
  document: '002_0f27848a527b5671.txt',
  title: 'One server for several clusters',
  config: {
    line: [175, 206],
    text: `ui = true

listener "tcp" {
  address = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_disable = "true"
}

storage "raft" {
  path = "/vault/data"
}
`,
    mistakes: [
      {
        was: 'Has a seal of another Vault, which opens the server by itself, and then makes five shares and unseals with three (line 343): with such a seal `-key-shares` is refused, for there are no unseal keys. One of the two has to go; here it is the seal.',
      },
      {
        was: 'Registers the pod in Kubernetes without VAULT_K8S_POD_NAME and VAULT_K8S_NAMESPACE in the environment (lines 241-253), and without the right to patch pods: no label is ever set.',
      },
      {
        was: 'Verifies nobody at the vault that holds the key of the seal (`tls_skip_verify`), and gives no token for it.',
      },
      {
        was: 'Joins three nodes into one store. Here there is one node; `retry_join` is refused by its line.',
      },
    ],
  },
  virtualClusters: ENVIRONMENTS.map((name) => `vcluster-${name}`),
  objects: {
    primary: [
      ...namespaceWith('vault', 'vault'),
      reviewer('vault', 'vault'),
      ...namespaceWith('external-secrets-system', 'external-secrets'),
      ...namespaceWith('argocd', 'argocd-server', 'argocd-application-controller'),
      ...namespaceWith('tekton-pipelines', 'tekton-triggers-sa', 'tekton-pipelines-sa'),
      ...namespaceWith('crossplane-system', 'crossplane'),
      ...namespaceWith('backstage', 'backstage'),
      ...namespaceWith('vcluster-guests', 'external-secrets'),
      {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { namespace: 'default', name: 'external-secrets' },
      },
    ],
    virtual: [
      ...namespaceWith('vault', 'vault'),
      reviewer('vault', 'vault'),
      ...namespaceWith('external-secrets-system', 'external-secrets'),
      {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { namespace: 'default', name: 'external-secrets' },
      },
    ],
  },
  databases: ['dev_userdb', 'production_userdb'].flatMap((name) => [
    `CREATE DATABASE ${name}`,
    `\\connect ${name}`,
    'CREATE TABLE things (id serial PRIMARY KEY, name text)',
    `INSERT INTO things (name) VALUES ('${name}')`,
  ]),
  environment: [
    'GITHUB_TOKEN=ghp_seed',
    'HARBOR_ADMIN_PASSWORD=harbor',
    'HARBOR_ROBOT_TEKTON_PASSWORD=tekton',
    'ARGOCD_ADMIN_PASSWORD=argo',
    ...STRIPE,
    'SENDGRID_API_KEY=sendgrid',
    'TWILIO_ACCOUNT_SID=sid',
    'TWILIO_AUTH_TOKEN=token',
  ],
  steps: [
    {
      line: 240,
      original: 'vault server -config=/vault/config/vault.hcl',
      elsewhere: 'the runner starts `holdfast server -config=FILE` with the configuration above',
    },
    {
      line: [343, 352],
      original: 'kubectl exec -n vault vault-0 -- vault operator init',
      mended: {
        was: 'Writes all keys and the root token into a file that every user of the machine may read.',
      },
      run: `umask 077
vault operator init \\
  -key-shares=5 \\
  -key-threshold=3 \\
  -format=json > vault-keys.json
UNSEAL_KEY_1=$(jq -r '.unseal_keys_b64[0]' vault-keys.json)
UNSEAL_KEY_2=$(jq -r '.unseal_keys_b64[1]' vault-keys.json)
UNSEAL_KEY_3=$(jq -r '.unseal_keys_b64[2]' vault-keys.json)
ROOT_TOKEN=$(jq -r '.root_token' vault-keys.json)`,
      after: [
        {
          seen: 'there are five keys, and three of them open the server',
          run: 'jq -c "[(.unseal_keys_b64 | length), .unseal_shares, .unseal_threshold]" vault-keys.json',
          says: /^\[5,5,3\]$/,
        },
        { seen: 'nobody else may read them', run: 'stat -c %a vault-keys.json', says: /^600$/ },
      ],
    },
    {
      line: [355, 359],
      original: 'for i in 0 1 2; do',
      run: `vault operator unseal "$UNSEAL_KEY_1"
vault operator unseal "$UNSEAL_KEY_2"
vault operator unseal "$UNSEAL_KEY_3"`,
      says: /Unseal Progress +2\/3[\s\S]*Sealed +false/,
    },
    {
      line: [362, 364],
      original: 'kubectl create secret generic vault-root-token',
      run: `kubectl create secret generic vault-root-token \\
  -n vault \\
  --from-literal=token="$ROOT_TOKEN"`,
    },
    {
      line: [477, 478],
      original: 'export VAULT_ADDR="http://vault.vault.svc:8200"',
      run: `export VAULT_ADDR="http://vault.vault.svc:8200"
export VAULT_TOKEN=$(kubectl get secret vault-root-token -n vault -o jsonpath='{.data.token}' | base64 -d)`,
      after: [{ seen: 'it is the root token', run: 'vault token lookup', says: /policies +\[root\]/ }],
    },
    {
      line: [481, 488],
      original: 'gen_password()',
      run: `gen_password() {
  openssl rand -base64 32
}
gen_api_key() {
  openssl rand -hex 32
}`,
    },
    {
      line: [493, 496],
      original: 'vault kv put secret/ci-cd/github',
      mended: {
        was: 'Writes below secret/, where no engine was ever enabled: each put of the script fails, and its last line tells of success. Nor does anything stop where GITHUB_TOKEN is not set: an empty token would be written.',
        shown: {
          seen: 'there is nothing at secret/',
          run: 'vault kv put secret/ci-cd/github webhook-secret="$(gen_password)"',
          code: 2,
        },
      },
      run: `set -eu
vault secrets enable -path=secret kv-v2
vault kv put secret/ci-cd/github \\
  webhook-secret="$(gen_password)" \\
  token="\${GITHUB_TOKEN:?}" \\
  ssh-key=@"$HOME/.ssh/github_deploy_key"`,
      after: [
        {
          seen: 'the key of the deployment is kept to the byte, with its last line feed',
          run: 'vault kv get -format=json secret/ci-cd/github | jq -j \'.data.data["ssh-key"]\' | cmp - ~/.ssh/github_deploy_key && echo same',
          says: /^same$/,
        },
      ],
    },
    {
      line: [498, 500],
      original: 'vault kv put secret/ci-cd/harbor',
      run: `vault kv put secret/ci-cd/harbor \\
  admin-password="\${HARBOR_ADMIN_PASSWORD:?}" \\
  url="https://harbor.pnats.cloud"`,
    },
    {
      line: [502, 504],
      original: 'vault kv put secret/ci-cd/harbor/robot-accounts/tekton',
      run: `vault kv put secret/ci-cd/harbor/robot-accounts/tekton \\
  username="robot\\$tekton" \\
  password="\${HARBOR_ROBOT_TEKTON_PASSWORD:?}"`,
      after: [
        {
          seen: 'the dollar of the name is in it',
          run: 'vault kv get -field=username secret/ci-cd/harbor/robot-accounts/tekton',
          says: /^robot\$tekton$/,
        },
      ],
    },
    {
      line: [506, 508],
      original: 'vault kv put secret/ci-cd/argocd',
      run: `vault kv put secret/ci-cd/argocd \\
  admin-password="\${ARGOCD_ADMIN_PASSWORD:?}" \\
  url="https://argocd.pnats.cloud"`,
    },
    {
      line: [513, 516],
      original: 'vault kv put secret/shared-services/postgres',
      run: `vault kv put secret/shared-services/postgres \\
  admin-password="$(gen_password)" \\
  host="postgres.shared-services.svc.cluster.local" \\
  port="5432"`,
    },
    {
      line: [518, 520],
      original: 'vault kv put secret/shared-services/kafka',
      run: `vault kv put secret/shared-services/kafka \\
  admin-password="$(gen_password)" \\
  brokers="kafka-0.kafka.shared-services.svc.cluster.local:9092,kafka-1.kafka.shared-services.svc.cluster.local:9092,kafka-2.kafka.shared-services.svc.cluster.local:9092"`,
      after: [
        {
          seen: 'the equals signs and commas of the list are in it',
          run: 'vault kv get -field=brokers secret/shared-services/kafka | tr , "\\n" | wc -l',
          says: /^\s*2$/,
        },
      ],
    },
    {
      line: [522, 524],
      original: 'vault kv put secret/shared-services/redis',
      run: `vault kv put secret/shared-services/redis \\
  password="$(gen_password)" \\
  url="redis://redis.shared-services.svc.cluster.local:6379"`,
    },
    {
      line: [527, 545],
      original: 'for ENV in dev staging production; do',
      mended: {
        was: '`${STRIPE_API_KEY_${ENV^^}}` is a bad substitution, which is found when it is reached: bash gives up the whole loop after the first put, and goes on behind it to tell of success. payment-service and notification-service are never written, and staging and production not at all.',
        shown: {
          seen: 'the loop ends in its first round, and the script goes on',
          run: `bash -c 'for ENV in dev staging; do
  echo user-service $ENV
  echo payment-service "\${STRIPE_API_KEY_\${ENV^^}}"
done
echo success'`,
          says: /^user-service dev\nsuccess$/,
          complains: /bad substitution/,
        },
      },
      run: `for ENV in dev staging production; do
  vault kv put "secret/apps/$ENV/user-service" \\
    api-key="$(gen_api_key)" \\
    jwt-secret="$(gen_password)" \\
    encryption-key="$(gen_password)"

  STRIPE="STRIPE_API_KEY_\${ENV^^}"
  vault kv put "secret/apps/$ENV/payment-service" \\
    api-key="$(gen_api_key)" \\
    stripe-api-key="\${!STRIPE:?}" \\
    encryption-key="$(gen_password)"

  vault kv put "secret/apps/$ENV/notification-service" \\
    api-key="$(gen_api_key)" \\
    sendgrid-api-key="\${SENDGRID_API_KEY:?}" \\
    twilio-account-sid="\${TWILIO_ACCOUNT_SID:?}" \\
    twilio-auth-token="\${TWILIO_AUTH_TOKEN:?}"
done`,
      after: [
        {
          seen: 'each environment has its own',
          run: `for ENV in dev staging production; do
  vault kv list "secret/apps/$ENV" | tail -n 3
  vault kv get -field=stripe-api-key "secret/apps/$ENV/payment-service"; echo
done`,
          says: /^(notification-service\npayment-service\nuser-service\nsk_\w+\n*){3}$/,
        },
      ],
    },
    {
      line: 378,
      original: 'vault kv metadata list secret/',
      mended: {
        was: 'Vault has no such command: it prints its help. `vault kv list` is meant. (Holdfast takes both.)',
      },
      run: 'vault kv list secret/',
      says: /apps\/\nci-cd\/\nshared-services\//,
    },
    ...accessSteps(ENVIRONMENTS),
    {
      line: [715, 723],
      original: 'helm repo add external-secrets',
      elsewhere: 'the operator is run with the manifests of the document, by another test',
    },
    ...databaseSteps,
    ...pkiSteps,
    ...backupSteps,
  ],
};
