/** The second document: the outline of a platform, with one command of its own; the rest hides behind the names of tasks. */

import { namespaceWith, reviewer, type Script } from './script.ts';

export const overview: Script = {
  document: '001_037f2e76e7732f29.txt',
  title: 'The outline of a platform',
  config: {
    text: `storage "lmdb" {
  path = "/vault/data"
}
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = "true"
}
`,
    mistakes: [],
  },
  virtualClusters: [],
  objects: {
    primary: [
      ...namespaceWith('vault-system', 'vault'),
      reviewer('vault-system', 'vault'),
      ...namespaceWith('external-secrets-system', 'external-secrets'),
      ...namespaceWith('production', 'external-secrets'),
    ],
    virtual: [],
  },
  databases: [],
  environment: [],
  steps: [
    {
      line: 222,
      original: 'task vault:deploy',
      elsewhere: 'the server is started with the configuration above',
    },
    {
      line: [225, 227],
      original: 'task vault:init',
      missing: true,
      mended: {
        was: 'Names a task and does not print it: one key, an engine, a login for the operator. Its own account of it (line 203) is that the root token is written to the log; here it stays in a file that only its owner reads.',
      },
      run: `umask 077
vault operator init -key-shares=1 -key-threshold=1 -format=json > vault-init.json
vault operator unseal "$(jq -r '.unseal_keys_b64[0]' vault-init.json)"`,
      says: /Sealed +false/,
    },
    {
      line: [239, 242],
      original: 'kubectl exec -n vault-system vault-0',
      mended: {
        was: 'Writes without a token, which the pod does not have: the server refuses. And nothing has put an engine at secret/.',
        shown: {
          seen: 'the server refuses',
          run: `vault kv put secret/prod/app-credentials \\
  username=app_user \\
  password=secure_password`,
          code: 2,
          complains: /403/,
        },
      },
      run: `export VAULT_TOKEN=$(jq -r '.root_token' vault-init.json)
vault secrets enable -path=secret kv-v2
vault kv put secret/prod/app-credentials \\
  username=app_user \\
  password=secure_password`,
    },
    {
      line: [229, 231],
      original: '# 3. Deploy ESO',
      missing: true,
      mended: {
        was: 'Leaves out how the operator logs in: the method, a policy that reads what the examples read, and the role of the store.',
      },
      run: `vault auth enable kubernetes
vault write auth/kubernetes/config \\
  kubernetes_host="https://kubernetes.default.svc:443" \\
  kubernetes_ca_cert=@/var/run/secrets/kubernetes.io/serviceaccount/ca.crt \\
  token_reviewer_jwt="$(kubectl create token vault -n vault-system --duration=8760h)"
vault policy write external-secrets - <<'EOF'
path "secret/data/prod/*" {
  capabilities = ["read"]
}
path "secret/data/argocd/*" {
  capabilities = ["read"]
}
EOF
vault write auth/kubernetes/role/external-secrets \\
  bound_service_account_names=external-secrets \\
  bound_service_account_namespaces=external-secrets-system \\
  audience=vault \\
  policies=external-secrets \\
  ttl=1h`,
      after: [
        {
          seen: 'the operator reads the secret',
          run: `VAULT_TOKEN=$(vault write -field=token auth/kubernetes/login role=external-secrets \\
  jwt="$(kubectl create token external-secrets -n external-secrets-system --audience=vault)") \\
  vault kv get -field=password secret/prod/app-credentials`,
          says: /^secure_password$/,
        },
        {
          seen: 'an account of the same name in another namespace is refused',
          run: `vault write auth/kubernetes/login role=external-secrets \\
  jwt="$(kubectl create token external-secrets -n production --audience=vault)"`,
          code: 2,
          complains: /namespace not authorized/,
        },
      ],
    },
    {
      line: 264,
      original: 'key: secret/data/prod/app-credentials',
      run: 'vault read -field=data secret/data/prod/app-credentials',
      says: /map\[password:secure_password username:app_user\]/,
    },
    {
      line: 321,
      original: 'vault_core_unsealed',
      run: 'curl -fsS -H "X-Vault-Token: $VAULT_TOKEN" "$VAULT_ADDR/v1/sys/metrics?format=prometheus"',
      says: /vault_core_unsealed/,
    },
  ],
};
