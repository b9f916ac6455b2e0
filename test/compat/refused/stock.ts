/** What the world holds before it is attacked. */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { secretOf } from './canaries.ts';
import type { Json } from './world.ts';

type Ok = (method: string, path: string, body?: unknown, headers?: readonly string[]) => Promise<Json>;

/** May do a good deal, and is denied some names in the middle of it. */
const LIMITED = `
path "secret/data/*" { capabilities = ["create", "read", "update", "delete", "patch"] }
path "secret/metadata/*" { capabilities = ["read", "list", "delete"] }
path "secret/data/prod" { capabilities = ["deny"] }
path "secret/metadata/prod/*" { capabilities = ["deny"] }
path "secret/data/picky" { capabilities = ["update", "create"] required_parameters = ["data", "options"] }
path "secret/data/choosy" { capabilities = ["update", "create"] allowed_parameters = { "data" = [] } }
path "secret/data/strict" { capabilities = ["update", "create"] denied_parameters = { "options" = [] } }
path "secret/data/wrapped" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "5m" }
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/encrypt/sealed" { capabilities = ["deny"] }
path "sys/leases/*" { capabilities = ["update", "list"] }
path "sys/wrapping/rewrap" { capabilities = ["update"] }
path "auth/token/create" { capabilities = ["update"] }
path "auth/token/create-orphan" { capabilities = ["update"] }
path "sys/auth/*" { capabilities = ["create", "read", "update", "delete"] }
path "sys/audit/*" { capabilities = ["create", "read", "update", "delete"] }
path "sys/mounts/*" { capabilities = ["create", "read", "update", "delete"] }
path "sys/mounts/secret" { capabilities = ["deny"] }
path "sys/raw/*" { capabilities = ["read"] }
path "sys/remount" { capabilities = ["update"] }
path "sys/rotate" { capabilities = ["update"] }
path "nowhere/*" { capabilities = ["read"] }
`;

/** @returns the names of what rows are about; those that end in "Secret" must never be told */
export async function stock(ok: Ok, pem: string): Promise<Record<string, string>> {
  await mounts(ok);
  return {
    ...(await policiesAndTokens(ok)),
    ...(await simple(ok)),
    ...(await crypto(ok)),
    ...(await issuing(ok)),
    ...(await logins(ok, pem)),
  };
}

async function mounts(ok: Ok): Promise<void> {
  for (const [path, type, options] of [
    ['secret', 'kv', { version: '2' }],
    ['kv1', 'kv', { version: '1' }],
    ['transit', 'transit'],
    ['pki', 'pki'],
    ['db', 'database'],
    ['ssh', 'ssh'],
    ['sshotp', 'ssh'],
    ['totp', 'totp'],
    ['kube', 'kubernetes'],
    ['custom', 'custom'],
  ] as const)
    await ok('POST', `sys/mounts/${path}`, { type, ...(options === undefined ? {} : { options }) });
  for (const type of ['userpass', 'approle', 'cert', 'jwt', 'oidc', 'kubernetes'])
    await ok('POST', `sys/auth/${type}`, { type });
}

async function policiesAndTokens(ok: Ok): Promise<Record<string, string>> {
  await ok('PUT', 'sys/policies/acl/limited', { policy: LIMITED });
  await ok('PUT', 'sys/policies/acl/reader', {
    policy: 'path "secret/data/app" { capabilities = ["read"] }',
  });
  const create = async (body: object): Promise<Json> => (await ok('POST', 'auth/token/create', body)).auth;
  const limited = await create({ policies: ['limited'], ttl: '1h' });
  const revoked = await create({ policies: ['limited'], ttl: '1h' });
  await ok('POST', 'auth/token/revoke', { token: revoked.client_token });
  const batch = await create({ policies: ['limited'], type: 'batch', ttl: '1h' });
  const bound = await ok('POST', 'auth/token/roles/elsewhere', {
    allowed_policies: ['limited'],
    token_bound_cidrs: ['203.0.113.0/24'],
  }).then(() => ok('POST', 'auth/token/create/elsewhere', { policies: ['limited'] }));
  await ok('POST', 'auth/token/roles/narrow', { allowed_policies: ['reader'], renewable: false });
  return {
    limited: limited.client_token,
    limitedAccessor: limited.accessor,
    revoked: revoked.client_token,
    batch: batch.client_token,
    elsewhere: bound.auth.client_token,
  };
}

async function simple(ok: Ok): Promise<Record<string, string>> {
  for (const name of ['app', 'prod', 'prod/inner', 'wrapped'])
    await ok('POST', `secret/data/${name}`, { data: { password: secretOf('kv') } });
  await ok('POST', 'secret/metadata/careful', { cas_required: true });
  await ok('POST', 'secret/data/gone', { data: { password: secretOf('kv') } });
  await ok('DELETE', 'secret/metadata/gone');
  await ok('POST', 'kv1/app', { password: secretOf('kv1') });
  await ok('POST', 'cubbyhole/mine', { password: secretOf('cubbyhole') });
  await ok('POST', 'totp/keys/phone', { key: secretOf('totp'), issuer: 'Holdfast', account_name: 'ann' });
  const generated = await ok('POST', 'totp/keys/made', {
    generate: true,
    issuer: 'Holdfast',
    account_name: 'bob',
  });
  await ok('POST', 'custom/config', {
    address: 'https://accounts.example.test',
    secrets: { admin: secretOf('custom') },
    headers: { authorization: 'Bearer {{secret.admin}}', 'x-key': secretOf('customHeader') },
  });
  await ok('POST', 'custom/roles/app', {
    create: { method: 'POST', path: '/users', body: '{"name":"{{username}}"}' },
    revoke: { method: 'DELETE', path: '/users/{{username}}' },
    fields: { user: '{{username}}' },
    default_ttl: '1h',
  });
  return { totpSecret: new URL(generated.data.url).searchParams.get('secret') ?? '' };
}

async function crypto(ok: Ok): Promise<Record<string, string>> {
  for (const [name, body] of [
    ['app', {}],
    ['sealed', {}],
    ['open', { exportable: true, allow_plaintext_backup: true }],
    ['signer', { type: 'ed25519' }],
    ['rsa', { type: 'rsa-2048' }],
    ['derived', { derived: true }],
    ['mac', { type: 'hmac', key_size: 32 }],
  ] as const)
    await ok('POST', `transit/keys/${name}`, body);
  const exported = await ok('GET', 'transit/export/encryption-key/open');
  const plaintext = Buffer.from('hello').toString('base64');
  const { data } = await ok('POST', 'transit/encrypt/app', { plaintext });
  const signed = await ok('POST', 'transit/sign/signer', { input: plaintext });
  const macked = await ok('POST', 'transit/hmac/app', { input: plaintext });
  const old = await ok('POST', 'transit/encrypt/rsa', { plaintext });
  await ok('POST', 'transit/keys/rsa/rotate');
  await ok('POST', 'transit/keys/rsa/config', { min_decryption_version: 2 });
  return {
    transitSecret: exported.data.keys['1'],
    ciphertext: data.ciphertext,
    signature: signed.data.signature,
    mac: macked.data.hmac,
    tooOld: old.data.ciphertext,
  };
}

async function issuing(ok: Ok): Promise<Record<string, string>> {
  const root = await ok('POST', 'pki/root/generate/exported', {
    common_name: 'Root',
    key_type: 'ec',
    ttl: '87600h',
  });
  await ok('POST', 'pki/roles/web', {
    allowed_domains: ['example.com'],
    allow_subdomains: true,
    key_type: 'ec',
    key_bits: 256,
    max_ttl: '24h',
  });
  const leaf = await ok('POST', 'pki/issue/web', { common_name: 'a.example.com' });
  await ok('POST', 'pki/config/cluster', { path: 'http://127.0.0.1/v1/pki' });
  await ok('POST', 'pki/config/acme', { enabled: true });
  for (const [name, body] of [
    [
      'pg',
      {
        plugin_name: 'postgresql-database-plugin',
        connection_url: 'postgresql://{{username}}:{{password}}@127.0.0.1:5432/app',
        username: 'root',
        password: secretOf('database'),
      },
    ],
    [
      'inline',
      {
        plugin_name: 'postgresql-database-plugin',
        connection_url: `postgresql://root:${secretOf('databaseUrl')}@127.0.0.1:5432/app`,
      },
    ],
    [
      'my',
      {
        plugin_name: 'mysql-database-plugin',
        connection_url: '{{username}}:{{password}}@tcp(127.0.0.1:3306)/app',
        username: 'root',
        password: secretOf('mysql'),
      },
    ],
    [
      'cache',
      {
        plugin_name: 'redis-database-plugin',
        host: '127.0.0.1',
        port: 6379,
        username: 'root',
        password: secretOf('redis'),
      },
    ],
  ] as const)
    await ok('POST', `db/config/${name}`, { ...body, allowed_roles: ['app'], verify_connection: false });
  await ok('POST', 'db/roles/app', {
    db_name: 'pg',
    creation_statements: [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}'`],
  });
  await ok('POST', 'db/roles/foreign', {
    db_name: 'my',
    creation_statements: [`CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`],
  });
  const ca = generateKeyPairSync('ed25519');
  await ok('POST', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' });
  await ok('POST', 'ssh/roles/people', {
    key_type: 'ca',
    allow_user_certificates: true,
    allowed_users: 'ubuntu',
    default_user: 'ubuntu',
    ttl: '30m',
    max_ttl: '1h',
  });
  await ok('POST', 'sshotp/roles/hosts', {
    key_type: 'otp',
    default_user: 'ubuntu',
    cidr_list: '192.0.2.0/24',
  });
  const kubeJwt = `kube.${randomBytes(24).toString('hex')}.jwt`;
  await ok('POST', 'kube/config', {
    kubernetes_host: 'https://192.0.2.9:6443',
    kubernetes_ca_cert: root.data.certificate,
    service_account_jwt: kubeJwt,
    disable_local_ca_jwt: true,
  });
  await ok('POST', 'kube/roles/app', {
    allowed_kubernetes_namespaces: ['shop'],
    service_account_name: 'app',
    token_max_ttl: '1h',
  });
  void ca;
  return {
    caSecret: body(root.data.private_key),
    leafSecret: body(leaf.data.private_key),
    caPem: root.data.certificate,
    serial: leaf.data.serial_number,
    leafPem: leaf.data.certificate,
    kubeSecret: kubeJwt,
  };
}

/** The second line of a PEM: one that no other key has. */
const body = (pem: string): string => pem.split('\n')[1] ?? '';

async function logins(ok: Ok, pem: string): Promise<Record<string, string>> {
  const reviewer = `review.${randomBytes(24).toString('hex')}.jwt`;
  const { data: root } = await ok('GET', 'pki/cert/ca');
  await ok('POST', 'auth/kubernetes/config', {
    kubernetes_host: 'https://192.0.2.9:6443',
    kubernetes_ca_cert: root.certificate,
    token_reviewer_jwt: reviewer,
    disable_local_ca_jwt: true,
  });
  await ok('POST', 'auth/kubernetes/role/web', {
    bound_service_account_names: ['web'],
    bound_service_account_namespaces: ['shop'],
    audience: 'vault',
  });
  await ok('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [pem], bound_issuer: 'https://issuer.test' });
  await ok('POST', 'auth/jwt/role/app', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    token_policies: ['reader'],
  });
  await ok('POST', 'auth/jwt/role/tight', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    bound_claims: { team: 'red' },
    groups_claim: 'groups',
  });
  await ok('POST', 'auth/oidc/config', {
    oidc_discovery_url: 'https://idp.test',
    oidc_client_id: 'holdfast',
    oidc_client_secret: secretOf('oidc'),
    default_role: 'people',
  });
  await ok('POST', 'auth/oidc/role/people', {
    role_type: 'oidc',
    user_claim: 'sub',
    allowed_redirect_uris: ['http://localhost:8250/oidc/callback'],
  });
  for (const name of ['ann', 'bob', 'cat', 'dan', 'eve'])
    await ok('POST', `auth/userpass/users/${name}`, {
      password: secretOf('userpass'),
      token_policies: ['reader'],
    });
  await ok('POST', 'auth/userpass/users/far', {
    password: secretOf('userpass'),
    token_bound_cidrs: ['203.0.113.0/24'],
  });
  await ok('POST', 'auth/approle/role/app', { token_policies: ['reader'] });
  await ok('POST', 'auth/approle/role/once', { token_policies: ['reader'], secret_id_num_uses: 1 });
  await ok('POST', 'auth/approle/role/far', { secret_id_bound_cidrs: ['203.0.113.0/24'] });
  await ok('POST', 'auth/approle/role/app/custom-secret-id', { secret_id: secretOf('approle') });
  const roleId = async (name: string): Promise<string> =>
    (await ok('GET', `auth/approle/role/${name}/role-id`)).data.role_id;
  await ok('POST', 'auth/cert/certs/web', { certificate: root.certificate });
  return {
    reviewerSecret: reviewer,
    roleId: await roleId('app'),
    onceId: await roleId('once'),
    farId: await roleId('far'),
  };
}
