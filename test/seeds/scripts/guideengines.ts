/** The third document: accounts in PostgreSQL that come and go with their leases, and certificates. */

import type { Step } from './script.ts';

const HOST = 'postgres.shared-services.svc.cluster.local:5432';

const roleOf = (environment: string, connection: string, maxTtl: string): string =>
  `vault write database/roles/${environment}-userservice \\
  db_name=${connection} \\
  creation_statements="CREATE ROLE \\"{{name}}\\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \\
    GRANT CONNECT ON DATABASE ${environment}_userdb TO \\"{{name}}\\"; \\
    GRANT USAGE ON SCHEMA public TO \\"{{name}}\\"; \\
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \\"{{name}}\\"; \\
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO \\"{{name}}\\";" \\
  default_ttl="1h" \\
  max_ttl="${maxTtl}"`;

const connectionOf = (name: string, database: string, roles: string): string =>
  `printf %s "$POSTGRES_PASSWORD" | vault write database/config/${name} \\
  plugin_name=postgresql-database-plugin \\
  allowed_roles="${roles}" \\
  connection_url="postgresql://{{username}}:{{password}}@${HOST}/${database}?sslmode=disable" \\
  username="postgres" \\
  password=-`;

/** Reads an account of a role into CREDS, and has psql log in with it. */
const account = (environment: string): string =>
  `CREDS=$(vault read -format=json database/creds/${environment}-userservice)
export PGPASSWORD=$(jq -r .data.password <<<"$CREDS") PGUSER=$(jq -r .data.username <<<"$CREDS")`;
const query = (environment: string, sql: string): string =>
  `psql "postgresql://${HOST}/${environment}_userdb" -Atqc "${sql}"`;

/** All that an account shall be able to do, and its end. */
const wholeLife = (environment: string): string => `${account(environment)}
${query(environment, 'SELECT name FROM things')}
${query(environment, "INSERT INTO things (name) VALUES ('more')")}
refused ${query(environment, 'DROP TABLE things')}
vault lease revoke -sync "$(jq -r .lease_id <<<"$CREDS")" >/dev/null
refused ${query(environment, 'SELECT 1')}
export PGPASSWORD=$POSTGRES_PASSWORD
psql "postgresql://postgres@${HOST}/postgres" -Atqc "SELECT count(*) FROM pg_roles WHERE rolname = '$PGUSER'"`;

export const databaseSteps: readonly Step[] = [
  {
    line: [1051, 1052],
    original: 'export VAULT_ADDR="http://vault.vault.svc:8200"',
    run: `export VAULT_ADDR="http://vault.vault.svc:8200"
export VAULT_TOKEN=$(kubectl get secret vault-root-token -n vault -o jsonpath='{.data.token}' | base64 -d)`,
  },
  {
    line: 1055,
    original: 'vault secrets enable database',
    run: 'vault secrets enable database',
    says: /database\//,
    needs: 'postgresql',
  },
  {
    line: 1058,
    original: 'POSTGRES_PASSWORD=$(vault kv get',
    needs: 'postgresql',
    mended: {
      was: 'Reads a password that the server made up (line 514) and that nobody gave to PostgreSQL: the connection cannot be made, and the write of line 1060 is refused.',
      shown: {
        seen: 'PostgreSQL does not know the password',
        run: `POSTGRES_PASSWORD=$(vault kv get -field=admin-password secret/shared-services/postgres)
${connectionOf('postgres', 'postgres', 'dev-*,staging-*,production-*')}`,
        code: 2,
        complains: /password authentication failed|refused/i,
      },
    },
    run: `NEW=$(vault kv get -field=admin-password secret/shared-services/postgres)
NEW=$NEW PGPASSWORD=$POSTGRES_PASSWORD psql "postgresql://postgres@${HOST}/postgres" <<'EOF'
\\set new \`printenv NEW\`
ALTER ROLE postgres PASSWORD :'new';
EOF
POSTGRES_PASSWORD=$NEW`,
    says: /ALTER ROLE/,
  },
  {
    line: [1060, 1065],
    original: 'vault write database/config/postgres',
    needs: 'postgresql',
    mended: {
      was: 'Has one connection, to the database "postgres", for the roles of all services: what they grant on ALL TABLES IN SCHEMA public is the tables of that database, never those of dev_userdb. Each database gets a connection, with the roles that belong to it.',
      shown: {
        seen: 'an account logs in to dev_userdb, and may not read its tables',
        run: `trap 'vault lease revoke -prefix -sync database/creds/ >/dev/null; vault delete database/config/postgres >/dev/null' EXIT
${connectionOf('postgres', 'postgres', 'dev-*')} >/dev/null
${roleOf('dev', 'postgres', '24h')} >/dev/null
${account('dev')}
${query('dev', 'SELECT current_database()')}
${query('dev', 'SELECT name FROM things')}`,
        code: 1,
        says: /^dev_userdb$/,
        complains: /permission denied for table things/,
      },
    },
    run: `${connectionOf('dev-userdb', 'dev_userdb', 'dev-*')}
${connectionOf('production-userdb', 'production_userdb', 'production-*')}`,
    after: [
      {
        seen: 'the password is not told',
        run: `vault read -format=json database/config/dev-userdb > config.json
refused grep -F "$POSTGRES_PASSWORD" config.json
jq -r .data.connection_details.username config.json`,
        says: /^postgres$/,
      },
    ],
  },
  {
    line: [1068, 1076],
    original: 'vault write database/roles/dev-userservice',
    needs: 'postgresql',
    mended: { was: 'Grants in the wrong database: see line 1060.' },
    run: roleOf('dev', 'dev-userdb', '24h'),
    after: [
      {
        seen: 'an account reads and writes the tables of dev_userdb, drops none, and is gone with its lease',
        run: wholeLife('dev'),
        says: /^dev_userdb\n0$/,
      },
    ],
  },
  {
    line: [1078, 1086],
    original: 'vault write database/roles/production-userservice',
    needs: 'postgresql',
    mended: { was: 'Grants in the wrong database: see line 1060.' },
    run: roleOf('production', 'production-userdb', '8h'),
    after: [
      {
        seen: 'an account reads and writes the tables of production_userdb, drops none, and is gone with its lease',
        run: wholeLife('production'),
        says: /^production_userdb\n0$/,
      },
    ],
  },
  {
    line: 1089,
    original: 'vault read database/creds/dev-userservice',
    run: 'vault read database/creds/dev-userservice',
    says: /lease_duration +1h[\s\S]*username +v-/,
    needs: 'postgresql',
    after: [
      {
        seen: 'the operator of dev gets accounts of dev, and none of production',
        run: `VAULT_TOKEN=$(vault write -field=token auth/kubernetes-dev/login role=vcluster-dev \\
  jwt="$(kubectl --context vcluster-dev create token external-secrets -n external-secrets-system)")
${account('dev')}
${query('dev', 'SELECT current_database()')}
refused vault read database/creds/production-userservice
vault token revoke -self >/dev/null
refused ${query('dev', 'SELECT 1')}`,
        says: /^dev_userdb$/,
      },
    ],
  },
];

export const pkiSteps: readonly Step[] = [
  {
    line: [661, 690],
    original: 'path "pki/issue/dev-cert"',
    missing: true,
    mended: {
      was: 'Gives rights to issue certificates, renews them every 30 days (line 1298), and has neither the engine, nor an authority, nor the roles.',
      shown: {
        seen: 'there is no such engine',
        run: 'vault write pki/issue/dev-cert common_name=user-service.dev.pnats.cloud',
        code: 2,
      },
    },
    run: `vault secrets enable pki
vault secrets tune -max-lease-ttl=87600h pki
vault write -field=certificate pki/root/generate/internal \\
  common_name="pnats.cloud" ttl=87600h > ca.pem
for ENV in dev production; do
  vault write "pki/roles/$ENV-cert" \\
    allowed_domains="$ENV.pnats.cloud" \\
    allow_subdomains=true \\
    max_ttl=720h
done`,
    after: [
      {
        seen: 'the operator of dev has a certificate issued, which openssl believes, for the key that came with it',
        run: `VAULT_TOKEN=$(vault write -field=token auth/kubernetes-dev/login role=vcluster-dev \\
  jwt="$(kubectl --context vcluster-dev create token external-secrets -n external-secrets-system)")
vault write -format=json pki/issue/dev-cert common_name=user-service.dev.pnats.cloud ttl=720h > issued.json
jq -r .data.certificate issued.json > leaf.pem
jq -r .data.private_key issued.json > leaf.key
openssl verify -CAfile ca.pem -verify_hostname user-service.dev.pnats.cloud leaf.pem
cmp <(openssl x509 -in leaf.pem -noout -pubkey) <(openssl pkey -in leaf.key -pubout)
openssl x509 -in leaf.pem -noout -ext subjectAltName -checkend 2500000`,
        says: /leaf\.pem: OK[\s\S]*DNS:user-service\.dev\.pnats\.cloud[\s\S]*will not expire/,
      },
      {
        seen: 'it gets none for another environment, nor for another domain',
        run: `VAULT_TOKEN=$(vault write -field=token auth/kubernetes-dev/login role=vcluster-dev \\
  jwt="$(kubectl --context vcluster-dev create token external-secrets -n external-secrets-system)")
refused vault write pki/issue/production-cert common_name=user-service.production.pnats.cloud
refused vault write pki/issue/dev-cert common_name=user-service.production.pnats.cloud
vault write pki/issue/dev-cert common_name=other.example.com`,
        code: 2,
        complains: /400/,
      },
    ],
  },
];
