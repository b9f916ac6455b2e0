/** The first document: a platform to try out, its server opened by one key, its secrets seeded from a file of known passwords. */

import { namespaceWith, reviewer, type Script, type Step } from './script.ts';

/** How a service account logs in, and reads with what it was given. */
const asAccount = (
  role: string,
  namespace: string,
  command: string,
  audience = ' --audience=vault',
): string =>
  `VAULT_TOKEN=$(vault write -field=token auth/kubernetes/login role=${role} \\
  jwt="$(kubectl create token external-secrets -n ${namespace}${audience})") ${command}`;

const role = (namespace: string): string => `vault write auth/kubernetes/role/eso-${namespace}-role \\
  bound_service_account_names=external-secrets \\
  bound_service_account_namespaces=${namespace} \\
  policies=eso-policy \\
  audience=vault \\
  ttl=24h`;

/** PATH KEY VALUE ENCODING HASHING: the matrix of the document, an empty value being a random one. */
const MATRIX: readonly (readonly [
  line: number,
  path: string,
  key: string,
  value: string,
  encoding: string,
  hashing: string,
])[] = [
  [272, 'secret/argocd/admin', 'admin.password', 'argo', 'base64', 'bcrypt'],
  [279, 'secret/grafana/admin', 'admin-password', 'graf', 'base64', 'none'],
  [286, 'secret/sonarqube/admin', 'password', 'Sonar-Secret-123', 'base64', 'none'],
  [293, 'secret/sonarqube/monitoring', 'passcode', '', 'hex', 'none'],
  [300, 'secret/docker/registry', 'registry', 'docker.io', 'base64', 'none'],
  [305, 'secret/docker/registry', 'username', 'user', 'base64', 'none'],
  [310, 'secret/docker/registry', 'password', 'pass', 'base64', 'none'],
  [317, 'secret/backstage/app', 'backendSecret', '', 'base64', 'none'],
  [322, 'secret/backstage/app', 'dexClientSecret', 'backstage-demo-secret', 'base64', 'none'],
  [327, 'secret/backstage/postgres', 'adminPassword', '', 'base64', 'none'],
  [332, 'secret/backstage/postgres', 'appPassword', '', 'base64', 'none'],
];

const seeded = MATRIX.map(
  ([line, path, key, value, encoding, hashing]): Step => ({
    line,
    original: path,
    run: `seed ${path} ${key} '${value}' ${encoding} ${hashing}`,
    after: [
      {
        seen: 'the value is there',
        run: `vault kv get -field=${key} ${path}`,
        says:
          hashing === 'bcrypt'
            ? /^\$2[aby]\$10\$[./A-Za-z0-9]{53}$/
            : value !== ''
              ? new RegExp(`^${value.replace(/[.]/g, '\\.')}$`)
              : encoding === 'hex'
                ? /^[0-9a-f]{64}$/
                : /^[A-Za-z0-9+/]{43}=$/,
      },
    ],
  }),
);

const OPERATORS = 'the operator is run with the manifests of the document, by another test';

export const demo: Script = {
  document: '000_06b3664b2c8f2b3a.txt',
  title: 'A platform to try out',
  config: {
    line: [44, 55],
    text: `ui = true
storage "raft" {
  path    = "/vault/data"
  node_id = "vault-0"
}
listener "tcp" {
  address         = "0.0.0.0:8200"
  tls_disable     = "true"
  telemetry {
    unauthenticated_metrics_access = true
  }
}
telemetry {
  prometheus_retention_time = "24h"
}
`,
    mistakes: [
      {
        was: 'Opens the metrics to everybody, and leaves out `telemetry { prometheus_retention_time }`, without which Vault keeps none for Prometheus: the monitor of line 943 reads an error.',
      },
    ],
  },
  virtualClusters: [],
  objects: {
    primary: [
      ...namespaceWith('vault-system', 'vault'),
      reviewer('vault-system', 'vault'),
      ...['argocd', 'cicd', 'observability', 'backstage', 'myapp'].flatMap((name) =>
        namespaceWith(name, 'external-secrets'),
      ),
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: 'grafana-admin-password', namespace: 'observability' },
        spec: {
          refreshInterval: '1h',
          secretStoreRef: { kind: 'SecretStore', name: 'observability' },
          target: { name: 'grafana-admin-password' },
          data: [
            {
              secretKey: 'admin-password',
              remoteRef: { key: 'secret/grafana/admin', property: 'admin-password' },
            },
          ],
        },
      },
    ],
    virtual: [],
  },
  databases: [
    'CREATE DATABASE mydb',
    '\\connect mydb',
    'CREATE TABLE things (id int)',
    'INSERT INTO things VALUES (7)',
  ],
  environment: [],
  steps: [
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
    {
      line: 229,
      original: 'vault write -field=random_bytes "sys/tools/random/32" "format=base64"',
      run: 'vault write -field=random_bytes "sys/tools/random/32" "format=base64"',
      says: /^[A-Za-z0-9+/]{43}=$/,
    },
    {
      line: 238,
      original: 'htpasswd -nbBC 10 admin "$password"',
      mended: {
        was: 'Puts the password into the arguments of a program, where each user of the machine reads it; `-i` takes it from standard input.',
      },
      run: 'printf %s argo | htpasswd -niBC 10 admin | cut -d: -f2',
      says: /^\$2y\$10\$[./A-Za-z0-9]{53}$/,
    },
    {
      line: [249, 252],
      original: 'vault kv patch secret/docker/registry',
      mended: {
        was: 'Puts where the patch failed, whatever it failed for: after a refusal or a lost connection the put takes all other keys of the secret away. `-cas=0` puts only where nothing is yet.',
        shown: {
          seen: 'a put over a secret takes its other keys away',
          run: `trap 'vault kv metadata delete secret/shown >/dev/null' EXIT
vault kv put secret/shown a=1 b=2 >/dev/null
vault kv put secret/shown a=3 >/dev/null
vault kv get -field=b secret/shown`,
          code: 1,
        },
      },
      run: `vault kv patch secret/docker/registry "username=myuser" ||
  vault kv put -cas=0 secret/docker/registry "username=myuser"`,
      after: [
        {
          seen: 'a put with -cas=0 takes nothing away',
          run: 'vault kv put -cas=0 secret/docker/registry "username=other"',
          code: 2,
        },
        {
          seen: 'it stands as it was written first',
          run: 'vault kv get -field=username secret/docker/registry',
          says: /^myuser$/,
        },
      ],
    },
    {
      line: 215,
      original: './vault-generate.sh <vault-path> <key-name>',
      missing: true,
      mended: {
        was: 'Names the script that seeds and does not print it. This one does the same, and its values are in no arguments and cannot be taken for the name of a file, as one that begins with @ would be.',
      },
      run: `seed() {
  local path=$1 key=$2 value=$3 encoding=$4 hashing=$5
  if [ -z "$value" ]; then
    value=$(vault write -field=random_bytes sys/tools/random/32 "format=$encoding")
  fi
  if [ "$hashing" = bcrypt ]; then
    value=$(printf %s "$value" | htpasswd -niBC 10 admin | cut -d: -f2)
  fi
  printf %s "$value" | vault kv patch "$path" "$key=-" >/dev/null ||
    printf %s "$value" | vault kv put -cas=0 "$path" "$key=-" >/dev/null
}`,
    },
    ...seeded,
    {
      line: 255,
      original: 'Permite múltiples keys',
      run: 'vault kv get -format=json secret/docker/registry | jq -cS ".data.data"',
      says: /^\{"password":"pass","registry":"docker\.io","username":"user"\}$/,
      after: [
        {
          seen: 'the account of cicd reads it',
          run: asAccount(
            'eso-cicd-role',
            'cicd',
            'vault kv get -format=json secret/docker/registry | jq -r .data.data.password',
          ),
          says: /^pass$/,
        },
        {
          seen: 'and writes nothing',
          run: asAccount('eso-cicd-role', 'cicd', 'vault kv put secret/docker/registry password=x'),
          code: 2,
        },
      ],
    },
    {
      line: [778, 780],
      original: 'kubectl exec -n vault-system vault-0',
      mended: {
        was: 'Changes one key with `kv put`, which takes all others of the secret away; `kv patch` keeps them.',
      },
      run: 'vault kv patch secret/grafana/admin admin-password="NewPassword123"',
      after: [
        {
          seen: 'the account of observability reads the new one',
          run: asAccount(
            'eso-observability-role',
            'observability',
            'vault kv get -field=admin-password secret/grafana/admin',
          ),
          says: /^NewPassword123$/,
        },
      ],
    },
    {
      line: [784, 786],
      original: 'kubectl annotate externalsecret grafana-admin-password',
      run: `kubectl annotate externalsecret grafana-admin-password \\
  -n observability \\
  force-sync="$(date +%s%N)"`,
    },
    {
      line: [792, 795],
      original: 'vault write database/config/postgresql',
      needs: 'postgresql',
      mended: {
        was: 'Gives the connection no username and no password: the engine has nobody to log in as, and the write is refused.',
        shown: {
          seen: 'the write is refused',
          run: `vault write database/config/postgresql \\
  plugin_name=postgresql-database-plugin \\
  connection_url="postgresql://{{username}}:{{password}}@postgres:5432/mydb" \\
  allowed_roles="readonly,readwrite"`,
          code: 2,
          complains: /username is required/,
        },
      },
      run: `printf %s "$POSTGRES_PASSWORD" | vault write database/config/postgresql \\
  plugin_name=postgresql-database-plugin \\
  connection_url="postgresql://{{username}}:{{password}}@postgres:5432/mydb" \\
  allowed_roles="readonly,readwrite" \\
  username="postgres" \\
  password=-`,
    },
    {
      line: [797, 802],
      original: 'vault write database/roles/readonly',
      needs: 'postgresql',
      run: `vault write database/roles/readonly \\
  db_name=postgresql \\
  creation_statements="CREATE ROLE \\"{{name}}\\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \\
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO \\"{{name}}\\";" \\
  default_ttl="1h" \\
  max_ttl="24h"`,
      after: [
        {
          seen: 'an account reads the tables, writes nothing, and is gone with its lease',
          run: `CREDS=$(vault read -format=json database/creds/readonly)
export PGPASSWORD=$(jq -r .data.password <<<"$CREDS") PGUSER=$(jq -r .data.username <<<"$CREDS")
psql "postgresql://postgres:5432/mydb" -Atc 'SELECT id FROM things'
refused psql "postgresql://postgres:5432/mydb" -c 'INSERT INTO things VALUES (8)'
vault lease revoke -sync "$(jq -r .lease_id <<<"$CREDS")" >/dev/null
refused psql "postgresql://postgres:5432/mydb" -c 'SELECT 1'`,
          says: /^7$/,
        },
      ],
    },
    {
      line: [879, 887],
      original: '# eso-argocd-policy (restrictive)',
      missing: true,
      mended: {
        was: 'Gives each namespace a policy over the folder of its own name, whereas its own manifests read others: cicd reads secret/docker, observability reads secret/grafana. The roles keep naming eso-policy, so that nothing becomes narrower.',
      },
      run: `while read -r namespace folders; do
  for folder in $folders; do
    printf 'path "secret/data/%s/*" {\\n  capabilities = ["read"]\\n}\\n' "$folder"
  done | vault policy write "eso-$namespace-policy" -
  vault write "auth/kubernetes/role/eso-$namespace-role" policies="eso-$namespace-policy"
done <<'EOF'
argocd argocd
cicd cicd docker sonarqube
observability observability grafana
backstage backstage
EOF`,
      after: [
        {
          seen: 'cicd still reads the registry',
          run: asAccount(
            'eso-cicd-role',
            'cicd',
            'vault kv get -format=json secret/docker/registry | jq -r .data.data.username',
          ),
          says: /^user$/,
        },
        {
          seen: 'and no longer what belongs to Argo CD',
          run: asAccount('eso-cicd-role', 'cicd', 'vault kv get secret/argocd/admin'),
          code: 2,
          complains: /403/,
        },
        {
          seen: 'the audience still counts',
          run: asAccount('eso-cicd-role', 'cicd', 'vault token lookup', ''),
          code: 2,
        },
      ],
    },
    {
      line: 952,
      original: '/v1/sys/metrics',
      run: 'curl -fsS "$VAULT_ADDR/v1/sys/metrics?format=prometheus"',
      says: /^vault_core_unsealed(\{[^}]*\})? 1$/m,
    },
    { line: 833, original: 'kubectl get externalsecrets -A', run: 'kubectl get externalsecrets -A' },
    {
      line: 1048,
      original: 'kubectl describe externalsecret',
      run: 'kubectl describe externalsecret grafana-admin-password -n observability',
      says: /Name: +grafana-admin-password/,
    },
    {
      line: [1059, 1061],
      original: 'kubectl exec -n vault-system vault-0',
      run: 'vault kv get secret/argocd/admin',
      says: /admin\.password +\$2/,
    },
    { line: 1064, original: 'task vault:generate-secrets', elsewhere: 'the matrix above is that task' },
    {
      line: [1070, 1072],
      original: 'kubectl exec -n vault-system vault-0',
      run: 'vault read auth/kubernetes/role/eso-argocd-role',
      says: /bound_service_account_namespaces +\[argocd\]/,
    },
    {
      line: [1075, 1077],
      original: 'kubectl exec -n vault-system vault-0',
      run: 'vault policy read eso-policy',
      says: /secret\/data\/\*/,
    },
    { line: 1083, original: 'kubectl get pod -n vault-system', run: 'kubectl get pod -n vault-system' },
    {
      line: 1093,
      original: 'Vault Sealed After Restart',
      act: 'restart',
      run: 'kubectl delete pod -n vault-system vault-0',
    },
    {
      line: 1086,
      original: 'vault status',
      run: 'vault status',
      code: 2,
      says: /Sealed +true/,
    },
    { line: 1090, original: 'task vault:init', elsewhere: 'lines 127 to 188 are that task' },
    { line: 1100, original: './Scripts/vault-init.sh', elsewhere: 'lines 127 to 188 are that script' },
    {
      line: [1105, 1106],
      original: 'UNSEAL_KEY=$(kubectl get secret vault-init-keys',
      run: `UNSEAL_KEY=$(kubectl get secret vault-init-keys -n vault-system -o jsonpath='{.data.unseal-key}' | base64 -d)
vault operator unseal "$UNSEAL_KEY"`,
      says: /Sealed +false/,
      after: [
        {
          seen: 'the secrets are there again',
          run: 'vault kv get -field=password secret/sonarqube/admin',
          says: /^Sonar-Secret-123$/,
        },
      ],
    },
    { line: 1116, original: 'kubectl get secret <secret-name>', elsewhere: OPERATORS },
    { line: 1119, original: 'kubectl get secret <secret-name>', elsewhere: OPERATORS },
    {
      line: 1122,
      original: 'kubectl get externalsecret -n <namespace>',
      run: 'kubectl get externalsecret -n observability',
      says: /grafana-admin-password/,
    },
    {
      line: [1134, 1136],
      original: 'kubectl exec -n vault-system vault-0',
      mended: { was: 'Changes one key with `kv put`, as line 780.' },
      run: 'vault kv patch secret/grafana/admin admin-password="NewPass"',
      after: [
        {
          seen: 'the former one is kept as a version',
          run: 'vault kv get -version=2 -field=admin-password secret/grafana/admin',
          says: /^NewPassword123$/,
        },
      ],
    },
    {
      line: [1139, 1141],
      original: 'kubectl annotate externalsecret grafana-admin-password',
      mended: {
        was: 'Sets an annotation that the first rotation has set already: without `--overwrite` kubectl refuses, and nothing is synced.',
        shown: {
          seen: 'kubectl refuses',
          run: `kubectl annotate externalsecret grafana-admin-password \\
  -n observability \\
  force-sync="$(date +%s%N)"`,
          code: 1,
          complains: /--overwrite/,
        },
      },
      run: `kubectl annotate --overwrite externalsecret grafana-admin-password \\
  -n observability \\
  force-sync="$(date +%s%N)"`,
    },
    {
      line: 1144,
      original: 'kubectl rollout restart deployment prometheus-grafana',
      elsewhere: 'Grafana is no part of this; the reloader restarts it without being asked',
    },
    {
      line: 1163,
      original: 'kubectl delete certificate external-secrets-webhook',
      elsewhere: 'cert-manager is no part of this',
    },
    {
      line: 1166,
      original: 'kubectl get certificate -n external-secrets -w',
      elsewhere: 'cert-manager is no part of this',
    },
    {
      line: [1195, 1201],
      original: 'kubectl exec -n "$NAMESPACE" vault-0',
      run: role('myapp'),
      after: [
        {
          seen: 'the account of myapp logs in',
          run: asAccount('eso-myapp-role', 'myapp', 'vault token lookup'),
          says: /eso-policy/,
        },
      ],
    },
    {
      line: [1265, 1266],
      original: 'task vault:generate-secrets',
      run: `seed secret/myapp/credentials api-key 'demo-api-key-123' base64 none`,
      after: [
        {
          seen: 'the account of myapp reads it',
          run: asAccount('eso-myapp-role', 'myapp', 'vault kv get -field=api-key secret/myapp/credentials'),
          says: /^demo-api-key-123$/,
        },
      ],
    },
    { line: 1272, original: 'kubectl get externalsecret myapp-credentials', elsewhere: OPERATORS },
    { line: 1275, original: 'kubectl get secret myapp-credentials', elsewhere: OPERATORS },
    {
      line: [1298, 1300],
      original: 'kubectl wait --for=condition=Ready externalsecret',
      elsewhere: OPERATORS,
    },
    {
      line: [1319, 1321],
      original: 'vault kv put secret/<service>/<subpath>',
      run: `vault kv put secret/dex/clients \\
  key1="value1" \\
  key2="value2"`,
    },
    {
      line: 1327,
      original: 'vault kv get secret/<service>/<subpath>',
      run: 'vault kv get secret/dex/clients',
      says: /key1 +value1\nkey2 +value2/,
    },
    { line: [1328, 1329], original: 'kubectl get externalsecret <name>', elsewhere: OPERATORS },
  ],
};
