/** The first document: new passwords, by hand and by a database, and who may read what. */

import { asAccount } from './demoaccounts.ts';
import type { Step } from './script.ts';

export const rotationSteps: readonly Step[] = [
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
];
