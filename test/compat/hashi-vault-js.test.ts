/** hashi-vault-js, as npm has it, against our server: every method of its class. Its answers are the data alone, or the auth. */

import Vault from 'hashi-vault-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { ALL_ACCOUNTED, because, recordClient, versionOf } from '../support/compatibility.ts';
import { withFiles } from '../support/files.ts';
import { accountToken, REVIEWER_HOST, reviewing } from '../support/reviews.ts';
import { startServer, type TestServer } from './server.ts';

const METHODS = Object.getOwnPropertyNames(Vault.prototype).filter((name) => name !== 'constructor');
const recording = recordClient({
  client: 'hashi-vault-js',
  version: versionOf('hashi-vault-js'),
  calls: METHODS,
  gaps: {
    ...because('there is no auth method ldap here', ...METHODS.filter((name) => /Ldap/.test(name))),
    ...because(
      'there is no engine for Active Directory here, and upstream has dropped its own',
      ...METHODS.filter((name) => /AD[A-Z]/.test(name)),
    ),
  },
});

/** Its types leave every answer open. */
// biome-ignore lint/suspicious/noExplicitAny: the library types these answers as objects
type Client = { readonly [Name in keyof Vault]: (...args: any[]) => Promise<any> };

let server: TestServer;
let vault: Client;
let authority: Awaited<ReturnType<typeof createAuthority>>;
const jwt = accountToken('shop', 'app');
const client = (options: object = {}): Client =>
  recording.watch(
    new Vault({ baseUrl: `${server.url}/v1`, timeout: 20_000, ...options }) as unknown as Client,
  );
/** What it has no method for. */
const write = async (path: string, body: object): Promise<void> => {
  const response = await fetch(`${server.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'x-vault-token': server.token },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
};
const statusOf = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => 200,
    (error: { response?: { status: number } }) => error.response?.status ?? 0,
  );

beforeAll(async () => {
  authority = await createAuthority('clients');
  server = await startServer({ dial: reviewing({ [jwt]: { namespace: 'shop', name: 'app' } }) });
  vault = client();
  await write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  for (const type of ['pki', 'totp']) await write(`sys/mounts/${type}`, { type });
  for (const type of ['userpass', 'kubernetes', 'approle', 'cert']) await write(`sys/auth/${type}`, { type });
  await write('sys/policies/acl/reader', { policy: 'path "secret/data/*" { capabilities = ["read"] }' });
});
afterAll(() => server?.close());

describe('sys', () => {
  test('health, seal status, host, counters and metrics', async () => {
    expect(await vault.healthCheck({ standbyok: true })).toMatchObject({
      initialized: true,
      sealed: false,
    });
    expect(await vault.sealStatus()).toMatchObject({ type: 'shamir', sealed: false, t: 1, n: 1 });
    expect(await vault.sysHostInfo(server.token)).toMatchObject({ host: { os: process.platform } });
    expect(await vault.sysMetrics(server.token, 'prometheus')).toMatch(/^# HELP /m);
    expect(await vault.sysInternalCounters(server.token, 'tokens')).toMatchObject({
      counters: { service_tokens: { total: expect.any(Number) } },
    });
  });

  test('capabilities of a token, and of oneself', async () => {
    const made = await vault.createToken(server.token, { policies: ['reader'], ttl: '1h' });
    const paths = ['secret/data/a', 'sys/seal'];
    expect(await vault.sysCapabilities(server.token, made.client_token, paths)).toMatchObject({
      'secret/data/a': ['read'],
      'sys/seal': ['deny'],
    });
    expect(await vault.sysCapabilitiesSelf(made.client_token, ['secret/data/a'])).toMatchObject({
      'secret/data/a': ['read'],
      capabilities: ['read'],
    });
  });

  test('the server is sealed, says so, and is unsealed', async () => {
    await vault.sysSeal(server.token);
    expect(await vault.sealStatus()).toMatchObject({ sealed: true });
    expect(await statusOf(vault.readKVSecret(server.token, 'a'))).toBe(503);
    const key = Buffer.from(server.keys[0] ?? []).toString('base64');
    expect(await vault.sysUnseal(server.token, key, false, false)).toMatchObject({ sealed: false });
  });
});

test('tokens are made, looked up, renewed and revoked, by themselves and by their accessors', async () => {
  const one = await vault.createToken(server.token, {
    policies: ['reader'],
    ttl: '1h',
    display_name: 'one',
    meta: { for: 'tests' },
  });
  expect(one).toMatchObject({ policies: ['default', 'reader'], lease_duration: 3600, renewable: true });
  expect(await vault.lookupToken(server.token, one.client_token)).toMatchObject({
    display_name: 'token-one',
    meta: { for: 'tests' },
  });
  expect(await vault.lookupSelfToken(one.client_token)).toMatchObject({ accessor: one.accessor });
  expect(await vault.lookupAccessor(server.token, one.accessor)).toMatchObject({
    id: '',
    ttl: expect.any(Number),
  });
  expect((await vault.listAccessors(server.token)).keys).toContain(one.accessor);
  expect(await vault.renewToken(server.token, one.client_token, '2h')).toMatchObject({
    lease_duration: 7200,
  });
  expect(await vault.renewSelfToken(one.client_token, '3h')).toMatchObject({ lease_duration: 10_800 });
  expect(await vault.renewAccessor(server.token, one.accessor, '4h')).toMatchObject({
    lease_duration: 14_400,
  });
  await vault.revokeSelfToken(one.client_token);
  expect(await statusOf(vault.lookupSelfToken(one.client_token))).toBe(403);

  const two = await vault.createToken(server.token, { ttl: '1h' });
  await vault.revokeToken(server.token, two.client_token);
  const three = await vault.createToken(server.token, { ttl: '1h' });
  await vault.revokeAccessor(server.token, three.accessor);
  for (const { client_token } of [two, three])
    expect(await statusOf(vault.lookupSelfToken(client_token))).toBe(403);
});

test('userpass: users, their passwords and policies, and the login', async () => {
  await vault.createUserpassUser(server.token, 'bob', 'first', ['reader']);
  expect(await vault.listUserpassUsers(server.token)).toMatchObject({ keys: ['bob'] });
  expect(await vault.readUserpassUser(server.token, 'bob')).toMatchObject({
    policies: ['reader'],
    token_policies: ['reader'],
  });
  expect(await vault.loginWithUserpass('bob', 'first')).toMatchObject({ policies: ['default', 'reader'] });
  await vault.updateUserpassPassword(server.token, 'bob', 'second');
  expect(await statusOf(vault.loginWithUserpass('bob', 'first'))).toBe(400);
  await vault.updateUserpassPolicies(server.token, 'bob', ['other']);
  expect(await vault.loginWithUserpass('bob', 'second')).toMatchObject({ policies: ['default', 'other'] });
  await vault.updateUserpassUser(server.token, 'bob', 'third', ['reader']);
  expect(await vault.loginWithUserpass('bob', 'third')).toMatchObject({ policies: ['default', 'reader'] });
  await vault.deleteUserpassUser(server.token, 'bob');
  expect(await statusOf(vault.readUserpassUser(server.token, 'bob'))).toBe(404);
});

test('kubernetes: the cluster, roles, and the login of a service account', async () => {
  await vault.updateK8sConfig(server.token, {
    kubernetes_host: REVIEWER_HOST,
    kubernetes_ca_cert: authority.certificate,
    token_reviewer_jwt: accountToken('vault', 'reviewer'),
    // It asks for the issuer to be checked unless told otherwise.
    issuer: 'https://kubernetes.default.svc',
  });
  expect(await vault.readK8sConfig(server.token)).toMatchObject({ kubernetes_host: REVIEWER_HOST });
  await vault.createK8sRole(server.token, 'app', {
    bound_service_account_names: ['app'],
    bound_service_account_namespaces: ['shop'],
    token_policies: ['reader'],
  });
  expect(await vault.listK8sRoles(server.token)).toMatchObject({ keys: ['app'] });
  expect(await vault.readK8sRole(server.token, 'app')).toMatchObject({
    bound_service_account_names: ['app'],
  });
  expect(await vault.loginWithK8s('app', jwt)).toMatchObject({
    policies: ['default', 'reader'],
    metadata: { service_account_namespace: 'shop' },
  });
  await vault.deleteK8sRole(server.token, 'app');
  expect(await statusOf(vault.loginWithK8s('app', jwt))).toBe(400);
});

test('approle: secret ids are made, looked up, used and destroyed', async () => {
  await write('auth/approle/role/app', { token_policies: 'reader' });
  await write('auth/approle/role/app/role-id', { role_id: 'chosen' });
  const { secret_id } = await vault.generateAppRoleSecretId(server.token, 'app', '{"host":"h"}');
  expect(await vault.readAppRoleSecretId(server.token, 'app', secret_id)).toMatchObject({
    metadata: { host: 'h' },
  });
  expect(await vault.loginWithAppRole('chosen', secret_id)).toMatchObject({
    policies: ['default', 'reader'],
    metadata: { role_name: 'app', host: 'h' },
  });
  await vault.destroyAppRoleSecretId(server.token, 'app', secret_id);
  expect(await statusOf(vault.loginWithAppRole('chosen', secret_id))).toBe(400);
});

test('cert: who shows a certificate of the authority is in', async () => {
  await write('auth/cert/certs/web', {
    certificate: authority.certificate,
    allowed_common_names: 'web.example',
    token_policies: 'reader',
  });
  const own = await createAuthority('listener');
  const listener = await issueCertificate(own, { names: ['localhost'], ips: ['127.0.0.1'] });
  const url = await server.securely({
    cert: listener.certificate,
    key: listener.key,
    clientCertificates: true,
  });
  const shown = await issueCertificate(authority, { names: ['web.example'], ips: [], client: true });
  const texts = { cert: shown.certificate, key: shown.key, cacert: own.certificate };
  await withFiles(texts, async (files) => {
    const secure = client({ https: true, baseUrl: `${url}/v1`, ...files });
    expect(await secure.loginWithCert('web')).toMatchObject({ policies: ['default', 'reader'] });
    expect(await statusOf(secure.loginWithCert('other'))).toBe(400);
  });
});

describe('pki', () => {
  test('an authority is made, with its URLs and its list, and issues by a role', async () => {
    const root = await vault.generateRootCA(server.token, {
      type: 'exported',
      commonName: 'Root',
      ttl: '8760h',
      keyType: 'ec',
      keyBits: 256,
    });
    expect(root).toMatchObject({
      certificate: expect.stringMatching(/^-----BEGIN CERTIFICATE/),
      private_key: expect.stringMatching(/^-----BEGIN EC PRIVATE KEY/),
    });
    expect(await vault.readCACertificate('pem')).toBe(root.certificate);
    expect(await vault.readCAChain()).toContain(root.certificate.trim());
    const at = `${server.url}/v1/pki`;
    await vault.setPkiUrls(server.token, [`${at}/ca`], [`${at}/crl`], [`${at}/ocsp`]);
    expect(await vault.readPkiUrls(server.token)).toMatchObject({
      issuing_certificates: [`${at}/ca`],
      crl_distribution_points: [`${at}/crl`],
      ocsp_servers: [`${at}/ocsp`],
    });
    await vault.setCrlConfig(server.token, '48h', false);
    expect(await vault.readCrlConfig(server.token)).toMatchObject({
      expiry: expect.stringMatching(/^48h/),
      disable: false,
    });

    const role = { name: 'web', allowedDomains: 'example.com', allowSubdomains: true, maxTtl: '72h' };
    await vault.createPkiRole(server.token, role);
    await vault.updatePkiRole(server.token, { ...role, maxTtl: '48h' });
    expect(await vault.readPkiRole(server.token, 'web')).toMatchObject({
      allowed_domains: ['example.com'],
      allow_subdomains: true,
      max_ttl: 172_800,
    });
    expect(await vault.listPkiRoles(server.token)).toMatchObject({ keys: ['web'] });
    const leaf = await vault.genPkiCertificate(server.token, {
      role: 'web',
      commonName: 'a.example.com',
      ttl: '1h',
    });
    expect(leaf).toMatchObject({ issuing_ca: root.certificate, private_key_type: 'rsa' });
    expect(await vault.readCertificate(leaf.serial_number)).toMatchObject({
      certificate: leaf.certificate,
      revocation_time: 0,
    });
    expect((await vault.listCertificates(server.token)).keys).toContain(leaf.serial_number);
    expect(await vault.revokePkiCertificate(server.token, leaf.serial_number)).toMatchObject({
      revocation_time: expect.any(Number),
    });
    expect(await vault.rotatePkiCrl(server.token)).toMatchObject({ success: true });
    expect(await vault.readPkiCrl('pem')).toMatch(/^-----BEGIN X509 CRL/);
    expect((await vault.readCertificate(leaf.serial_number)).revocation_time).toBeGreaterThan(0);
    await vault.deletePkiRole(server.token, 'web');
    expect(await statusOf(vault.readPkiRole(server.token, 'web'))).toBe(404);
  });

  test('an intermediate is asked for, signed and set; an authority of others is taken, and deleted', async () => {
    await write('sys/mounts/between', { type: 'pki' });
    const { csr } = await vault.genIntermediateCA(
      server.token,
      { type: 'internal', commonName: 'Between', keyType: 'ec', keyBits: 256 },
      'between',
    );
    expect(csr).toMatch(/^-----BEGIN CERTIFICATE REQUEST/);
    const { certificate } = await vault.signIntermediateCA(server.token, { csr, commonName: 'Between' });
    await vault.setIntermediateCA(server.token, certificate, 'between');
    expect(await vault.readCACertificate('pem', 'between')).toBe(certificate);

    await write('sys/mounts/taken', { type: 'pki' });
    await vault.setCACertificate(server.token, authority.certificate + authority.key, 'taken');
    expect((await vault.readCACertificate('pem', 'taken')).trim()).toBe(authority.certificate.trim());
    await vault.deleteRootCA(server.token, 'taken');
    expect(await statusOf(vault.readCACertificate('pem', 'taken'))).not.toBe(200);
  });
});

test('kv: secrets with their versions, metadata and the configuration', async () => {
  await vault.updateKVEngineConfig(server.token, { max_versions: 5, cas_required: true });
  expect(await vault.readKVEngineConfig(server.token)).toMatchObject({
    max_versions: 5,
    cas_required: true,
  });
  expect(await vault.createKVSecret(server.token, 'app', { a: '1' })).toMatchObject({ version: 1 });
  expect(await statusOf(vault.createKVSecret(server.token, 'app', { a: '9' }))).toBe(400);
  expect(await vault.updateKVSecret(server.token, 'app', { a: '2' }, 1)).toMatchObject({ version: 2 });
  expect(await vault.readKVSecret(server.token, 'app')).toMatchObject({ data: { a: '2' } });
  expect(await vault.readKVSecret(server.token, 'app', 1)).toMatchObject({ data: { a: '1' } });
  expect(await vault.listKVSecrets(server.token, '')).toMatchObject({ keys: ['app'] });
  await vault.deleteLatestVerKVSecret(server.token, 'app');
  expect(await statusOf(vault.readKVSecret(server.token, 'app'))).toBe(404);
  await vault.undeleteVersionsKVSecret(server.token, 'app', [2]);
  await vault.deleteVersionsKVSecret(server.token, 'app', [1]);
  expect(await statusOf(vault.readKVSecret(server.token, 'app', 1))).toBe(404);
  await vault.destroyVersionsKVSecret(server.token, 'app', [1]);
  await vault.createKVSecretMeta(server.token, 'app', { custom_metadata: { owner: 'x' } });
  await vault.updateKVSecretMeta(server.token, 'app', { max_versions: 3 });
  expect(await vault.readKVSecretMeta(server.token, 'app')).toMatchObject({
    current_version: 2,
    max_versions: 3,
    custom_metadata: { owner: 'x' },
    versions: { 1: { destroyed: true }, 2: { destroyed: false, deletion_time: '' } },
  });
  await vault.eliminateKVSecret(server.token, 'app');
  expect(await statusOf(vault.readKVSecretMeta(server.token, 'app'))).toBe(404);
});

test('totp: a key is made and read', async () => {
  expect(await vault.createTOTPKey(server.token, 'me', { issuer: 'Shop', account_name: 'me' })).toMatchObject(
    {
      url: expect.stringMatching(/^otpauth:\/\/totp\/Shop:me\?/),
      barcode: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/),
    },
  );
  expect(await vault.readTOTPKey(server.token, 'me')).toMatchObject({
    account_name: 'me',
    issuer: 'Shop',
    digits: 6,
    period: 30,
  });
});

test('every method is tried, or its gap has a reason', () => {
  expect(recording.unaccounted()).toEqual(ALL_ACCOUNTED);
});
