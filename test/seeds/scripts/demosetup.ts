/** The first document: from a new server to accounts that log in. */

import { asAccount, role } from './demoaccounts.ts';
import type { Step } from './script.ts';

export const setupSteps: readonly Step[] = [
  {
    line: [127, 130],
    original: 'vault operator init',
    run: `umask 077
vault operator init \\
  -key-shares=1 \\
  -key-threshold=1 \\
  -format=json > vault-init.json
UNSEAL_KEY=$(jq -r '.unseal_keys_b64[0]' vault-init.json)
ROOT_TOKEN=$(jq -r '.root_token' vault-init.json)`,
    after: [
      { seen: 'there is one key', run: "jq -r '.unseal_keys_b64 | length' vault-init.json", says: /^1$/ },
      {
        seen: 'the server is sealed, which is exit code 2',
        run: 'vault status',
        code: 2,
        says: /Sealed +true/,
      },
    ],
  },
  {
    line: [134, 136],
    original: 'vault-init-keys',
    missing: true,
    mended: {
      was: 'Says that key and root token are kept in a Secret, which the repair of line 1105 reads, and has no command that makes it.',
    },
    run: `kubectl create secret generic vault-init-keys -n vault-system \\
  --from-literal=unseal-key="$UNSEAL_KEY" \\
  --from-literal=root-token="$ROOT_TOKEN"`,
  },
  {
    line: 143,
    original: 'vault operator unseal $UNSEAL_KEY',
    run: 'vault operator unseal "$UNSEAL_KEY"',
    says: /Sealed +false/,
  },
  {
    line: 850,
    original: '/vault/logs/audit.log',
    missing: true,
    mended: {
      was: 'Counts on a file of the audit trail, and nothing turns it on: there is no trail.',
      shown: {
        seen: 'no device is there',
        run: 'VAULT_TOKEN=$ROOT_TOKEN vault audit list',
        says: /^No audit devices are enabled/,
        code: 2,
      },
    },
    run: `export VAULT_TOKEN=$ROOT_TOKEN
vault audit enable file file_path=/vault/logs/audit.log`,
    after: [{ seen: 'the trail is written', run: 'test -s /vault/logs/audit.log' }],
  },
  {
    line: 83,
    original: 'vault secrets enable -path=secret kv-v2',
    run: 'vault secrets enable -path=secret kv-v2',
    after: [
      {
        seen: 'it is KV of version 2',
        run: 'vault secrets list -format=json | jq -r \'.["secret/"].options.version\'',
        says: /^2$/,
      },
    ],
  },
  {
    line: 86,
    original: 'vault secrets enable database',
    run: 'vault secrets enable database',
    says: /database\//,
  },
  {
    line: 89,
    original: 'vault secrets enable transit',
    run: 'vault secrets enable transit',
    says: /transit\//,
    after: [
      {
        seen: 'what was encrypted is decrypted',
        run: `vault write -f transit/keys/app >/dev/null
C=$(vault write -field=ciphertext transit/encrypt/app plaintext="$(printf hidden | base64)")
vault write -field=plaintext transit/decrypt/app ciphertext="$C" | base64 -d`,
        says: /^hidden$/,
      },
    ],
  },
  {
    line: 151,
    original: 'vault auth enable kubernetes',
    run: 'vault auth enable kubernetes',
    says: /kubernetes\//,
  },
  {
    line: [153, 154],
    original: 'vault write auth/kubernetes/config',
    mended: {
      was: 'Names the host alone. That is enough for a server in a pod, which has the authority and a token beside it; anywhere else each login fails for want of an authority.',
      shown: {
        seen: 'the configuration of the host alone lets nobody in outside of a pod',
        run: `trap 'vault delete auth/kubernetes/role/early >/dev/null' EXIT
vault write auth/kubernetes/config kubernetes_host="https://kubernetes.default.svc:443" \\
  && vault write auth/kubernetes/role/early bound_service_account_names='*' \\
     bound_service_account_namespaces=argocd audience=vault >/dev/null \\
  && vault write auth/kubernetes/login role=early \\
     jwt="$(kubectl create token external-secrets -n argocd --audience=vault)"`,
        code: 2,
      },
    },
    run: `vault write auth/kubernetes/config \\
  kubernetes_host="https://kubernetes.default.svc:443" \\
  kubernetes_ca_cert=@/var/run/secrets/kubernetes.io/serviceaccount/ca.crt \\
  token_reviewer_jwt="$(kubectl create token vault -n vault-system --duration=8760h)"`,
    after: [
      {
        seen: 'the token of the reviewer is not told',
        run: 'vault read -format=json auth/kubernetes/config | jq -r ".data.token_reviewer_jwt"',
        says: /^null$/,
      },
    ],
  },
  {
    line: [190, 198],
    original: '**Policy** (`eso-policy`)',
    missing: true,
    mended: {
      was: 'Prints the policy, and no command writes it; all four roles name it, and a role may name a policy that is not there, so that logins succeed and each read is refused. It gives readers create, update and delete; what only reads gets `read`.',
    },
    run: `vault policy write eso-policy - <<'EOF'
path "secret/data/*" {
  capabilities = ["read"]
}
path "secret/metadata/*" {
  capabilities = ["list", "read"]
}
EOF`,
  },
  ...(
    [
      [[176, 181], 'vault write auth/kubernetes/role/eso-argocd-role', 'argocd'],
      [186, 'eso-cicd-role', 'cicd'],
      [187, 'eso-observability-role', 'observability'],
      [188, 'eso-backstage-role', 'backstage'],
    ] as const
  ).map(
    ([line, original, namespace]): Step => ({
      line,
      original,
      run: role(namespace),
      after: [
        {
          seen: `the account of ${namespace} logs in`,
          run: asAccount(`eso-${namespace}-role`, namespace, 'vault token lookup'),
          says: /policies +\[default eso-policy\]/,
        },
        {
          seen: 'a token for another audience does not',
          run: asAccount(`eso-${namespace}-role`, namespace, 'vault token lookup', ''),
          code: 2,
        },
        {
          seen: 'an account of another namespace does not',
          run: asAccount(`eso-${namespace}-role`, 'myapp', 'vault token lookup'),
          code: 2,
        },
      ],
    }),
  ),
];
