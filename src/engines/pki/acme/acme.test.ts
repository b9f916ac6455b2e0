/** The ACME server over HTTP, as clients and as attackers meet it. */

import { createHash, createHmac, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../../base/clock.ts';
import { failure } from '../../../base/errors.ts';
import { signRequest } from '../../../crypto/x509/certificate.ts';
import { alternativeNames, basicConstraints } from '../../../crypto/x509/extensions.ts';
import { signerOf } from '../../../crypto/x509/keytype.ts';
import { encodeName, type Names, NO_NAMES, NO_SUBJECT } from '../../../crypto/x509/name.ts';
import { startServer, type TestServer } from '../../../server/testing.ts';
import { MemoryBackend } from '../../../storage/memory.ts';
import { pki } from '../index.ts';
import type { Probes } from './probes.ts';
import { AcmeClient, ecKey, publicJwk, signedRequest, type Told, thumbprint } from './testing.ts';

/** What the world answers: URL -> body, or a failure. */
const web = new Map<string, string | Error>();
const dialled: string[] = [];
const dns = new Map<string, string[]>();
const probes: Probes = {
  texts: async (name) => dns.get(name) ?? [],
  addresses: async () => ['192.0.2.7'],
  handshake: async () => ({ protocol: '', certificate: new Uint8Array() }),
};

let server: TestServer;
let clock: ManualClock;
let base: string;

beforeEach(async () => {
  web.clear();
  dns.clear();
  dialled.length = 0;
  clock = new ManualClock(Date.UTC(2026, 5, 1));
  server = await startServer([pki(probes)], {
    clock,
    dial: async ({ url }) => {
      dialled.push(url);
      const found = web.get(url);
      if (found instanceof Error) throw found;
      return found === undefined
        ? { status: 404, body: new Uint8Array() }
        : { status: 200, body: Buffer.from(found) };
    },
  });
  await server.ask('POST', 'sys/mounts/pki', { type: 'pki' });
  await ok('POST', 'root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '760h' });
  base = `${server.url}/v1/pki`;
  await ok('POST', 'config/cluster', { path: base });
  await ok('POST', 'config/acme', { enabled: true });
});
afterEach(() => server.close());

async function ok(method: string, path: string, body?: unknown) {
  const reply = await server.ask(method, `pki/${path}`, body);
  if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
  return reply.json.data;
}
const ask = (method: string, path: string, body?: unknown) => server.ask(method, `pki/${path}`, body);

const at = (directory = ''): AcmeClient => new AcmeClient(`${base}/${directory}acme/directory`);
async function registered(directory = ''): Promise<AcmeClient> {
  const client = at(directory);
  expect((await client.register()).status).toBe(201);
  return client;
}

function csr(
  dns: readonly string[],
  more: Partial<Names> = {},
  key = ecKey(),
  extensions: Buffer[] = [],
): string {
  const names = { ...NO_NAMES, dns, ...more };
  const all = [alternativeNames(names, false), ...extensions];
  return signRequest(encodeName(NO_SUBJECT), key, all, signerOf(key)).toString('base64url');
}

/** Meets the challenge of an order and waits until it is decided. */
async function prove(client: AcmeClient, order: Told, name: string, index = 0): Promise<Told> {
  const challenge = await client.challenge(order, 'http-01', index);
  web.set(`http://${name}/.well-known/acme-challenge/${challenge.token}`, client.proof(challenge.token));
  await client.post(challenge.url, {});
  return decided(client, order.json.authorizations[index]);
}

async function decided(client: AcmeClient, url: string): Promise<Told> {
  for (let tries = 0; tries < 200; tries++) {
    const told = await client.post(url);
    if (told.json.status !== 'pending') return told;
    clock.advance(1000);
  }
  throw new Error('the authorization is never decided');
}

async function certified(client: AcmeClient, ...names: string[]): Promise<{ order: Told; pem: string }> {
  const order = await client.order(...names);
  expect(order.status, order.text).toBe(201);
  for (const [index, name] of names.entries())
    expect((await prove(client, order, name, index)).json.status).toBe('valid');
  const done = await client.post(order.json.finalize, { csr: csr(names) });
  expect(done.status, done.text).toBe(200);
  expect(done.json.status).toBe('valid');
  const fetched = await client.post(done.json.certificate);
  expect(fetched.headers.get('content-type')).toBe('application/pem-certificate-chain');
  return { order, pem: fetched.text };
}

const problem = (told: Told): string => {
  expect(told.headers.get('content-type')).toBe('application/problem+json');
  return String(told.json.type).replace('urn:ietf:params:acme:error:', '');
};

describe('the settings', () => {
  test('ACME is off until it is turned on, and cannot be without the address of the mount', async () => {
    await server.ask('POST', 'sys/mounts/other', { type: 'pki' });
    expect((await fetch(`${server.url}/v1/other/acme/directory`)).status).toBe(404);
    const refused = await server.ask('POST', 'other/config/acme', { enabled: true });
    expect([refused.status, refused.json.errors[0]]).toEqual([
      400,
      "ACME feature requires local cluster 'path' field configuration to be set",
    ]);
    expect((await server.ask('GET', 'other/config/acme')).json.data).toEqual({
      enabled: false,
      allowed_issuers: ['*'],
      allowed_roles: ['*'],
      allow_role_ext_key_usage: false,
      default_directory_policy: 'sign-verbatim',
      dns_resolver: '',
      eab_policy: 'not-required',
    });
  });

  test.each([
    [{ eab_policy: 'sometimes' }, /invalid eab policy name/],
    [{ default_directory_policy: 'open' }, /string open not a valid Default Directory Policy/],
    [{ default_directory_policy: 'role:' }, /no role specified/],
    [{ default_directory_policy: 'role:none' }, /role does not exist/],
    [{ dns_resolver: 'ns.example.com:53' }, /expected IPv4\/IPv6 address/],
    [{ dns_resolver: '192.0.2.1' }, /failed to parse DNS resolver address/],
    [{ allowed_roles: 'none' }, /allowed_role none is not a valid acme role/],
    [{ allowed_roles: '' }, /non-zero length/],
    [{ allowed_issuers: 'none' }, /unable to find PKI issuer/],
  ])('%j is refused', async (settings, why) => {
    const reply = await ask('POST', 'config/acme', settings);
    expect([reply.status, reply.json.errors[0]]).toEqual([400, expect.stringMatching(why)]);
  });

  test('a role that keeps nothing serves no ACME', async () => {
    await ok('POST', 'roles/brief', { allow_any_name: true, no_store: true });
    const reply = await ask('POST', 'config/acme', { allowed_roles: 'brief' });
    expect(reply.json.errors[0]).toMatch(/NoStore/);
  });
});

describe('a certificate', () => {
  test('is given for names that were proven, to whoever brings a request for just them', async () => {
    const client = await registered();
    const { pem } = await certified(client, 'a.example.com', 'b.example.com');
    const [leaf = '', root = ''] = pem.split(/(?<=-----END CERTIFICATE-----\n)/);
    const certificate = new X509Certificate(leaf);
    expect(certificate.subjectAltName).toBe('DNS:a.example.com, DNS:b.example.com');
    expect(certificate.verify(new X509Certificate(root).publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    // For servers alone, whatever was asked for.
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect((await ok('LIST', 'certs')).keys).toContain(
      (certificate.serialNumber.toLowerCase().match(/../g) ?? []).join(':'),
    );
  });

  test('can be renewed by the same account, and lists its orders', async () => {
    const client = await registered();
    const first = await certified(client, 'a.example.com');
    clock.advance(20 * 24 * 3_600_000);
    const second = await certified(client, 'a.example.com');
    expect(new X509Certificate(second.pem).serialNumber).not.toBe(
      new X509Certificate(first.pem).serialNumber,
    );
    const { json } = await client.post(`${base}/acme/orders`);
    expect(json.orders.sort()).toEqual(
      [first, second].map(({ order }) => order.headers.get('location')).sort(),
    );
  });

  test('lives no longer than 90 days, and never longer than its issuer', async () => {
    await ok('POST', 'roles/long', { allow_any_name: true, key_type: 'ec', ttl: '760h' });
    const { pem } = await certified(await registered('roles/long/'), 'a.example.com');
    const root = new X509Certificate((await ok('GET', 'cert/ca')).certificate);
    expect(new X509Certificate(pem).validTo).toBe(root.validTo);
  });

  test('for an address is proven over HTTP alone and carries it', async () => {
    const client = await registered();
    const order = await client.orderFor([{ type: 'ip', value: '2001:DB8:0:0::1' }]);
    expect(order.json.identifiers).toEqual([{ type: 'ip', value: '2001:db8::1' }]);
    const authorization = await client.post(order.json.authorizations[0]);
    expect(authorization.json.challenges.map((one: { type: string }) => one.type)).toEqual(['http-01']);
    expect((await prove(client, order, '[2001:db8::1]')).json.status).toBe('valid');
    const done = await client.post(order.json.finalize, { csr: csr([], { ips: ['2001:db8::1'] }) });
    expect(done.json.status, done.text).toBe('valid');
    const { text } = await client.post(done.json.certificate);
    expect(new X509Certificate(text).subjectAltName).toBe('IP Address:2001:DB8:0:0:0:0:0:1');
  });

  test('for a wildcard is proven in the DNS alone', async () => {
    const client = await registered();
    const order = await client.order('*.example.com');
    const authorization = await client.post(order.json.authorizations[0]);
    expect(authorization.json).toMatchObject({
      identifier: { type: 'dns', value: 'example.com' },
      wildcard: true,
    });
    expect(authorization.json.challenges).toHaveLength(1);
    const challenge = await client.challenge(order, 'dns-01');
    dns.set('_acme-challenge.example.com', [
      'other',
      createHash('sha256').update(client.proof(challenge.token)).digest('base64url'),
    ]);
    await client.post(challenge.url, {});
    expect((await decided(client, order.json.authorizations[0])).json.status).toBe('valid');
    const done = await client.post(order.json.finalize, { csr: csr(['*.example.com']) });
    expect(done.json.status, done.text).toBe('valid');
  });

  test('is revoked by its account, or by whoever has its key, and by nobody else', async () => {
    const client = await registered();
    const { revokeCert } = await client.urls();
    const { pem } = await certified(client, 'a.example.com');
    const certificate = new X509Certificate(pem).raw.toString('base64url');
    const stranger = await registered();
    expect(problem(await stranger.post(revokeCert, { certificate }))).toBe('unauthorized');
    expect(problem(await at().post(revokeCert, { certificate }))).toBe('unauthorized');
    expect(problem(await client.post(revokeCert, { certificate, reason: 1 }))).toBe('badRevocationReason');
    expect((await client.post(revokeCert, { certificate })).status).toBe(200);
    expect(problem(await client.post(revokeCert, { certificate }))).toBe('alreadyRevoked');

    const key = ecKey();
    const order = await client.order('k.example.com');
    await prove(client, order, 'k.example.com');
    const done = await client.post(order.json.finalize, { csr: csr(['k.example.com'], {}, key) });
    const second = new X509Certificate((await client.post(done.json.certificate)).text);
    const holder = new AcmeClient(`${base}/acme/directory`, key);
    const given = { certificate: second.raw.toString('base64url') };
    expect((await holder.post(revokeCert, given)).status).toBe(200);
    expect((await ok('LIST', 'certs/revoked')).keys).toHaveLength(2);
  });
});

describe('roles and issuers', () => {
  test('a name that the role does not allow is rejected before anybody is asked to prove it', async () => {
    await ok('POST', 'roles/web', {
      allowed_domains: 'example.com',
      allow_subdomains: true,
      key_type: 'ec',
      allow_ip_sans: false,
    });
    const client = await registered('roles/web/');
    expect(problem(await client.order('evil.test'))).toBe('rejectedIdentifier');
    expect(problem(await client.orderFor([{ type: 'ip', value: '10.0.0.1' }]))).toBe('rejectedIdentifier');
    const { pem } = await certified(client, 'ok.example.com');
    // The role wants a common name, and the request had none.
    expect(new X509Certificate(pem).subject).toBe('CN=ok.example.com');
    const order = await client.order('rsa.example.com');
    await prove(client, order, 'rsa.example.com');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const refused = await client.post(order.json.finalize, { csr: csr(['rsa.example.com'], {}, rsa) });
    expect(problem(refused)).toBe('badCSR');
    expect(refused.json.detail).toMatch(/requires keys of type ec/);
  });

  test('a closed default directory, a role and an issuer off the list are no way in', async () => {
    await ok('POST', 'roles/web', { allow_any_name: true });
    await ok('POST', 'roles/other', { allow_any_name: true });
    await ok('POST', 'config/acme', { default_directory_policy: 'forbid', allowed_roles: 'web' });
    for (const directory of ['', 'roles/other/', 'roles/none/', 'issuer/none/roles/web/']) {
      const told = await fetch(`${base}/${directory}acme/directory`);
      expect([directory, told.headers.get('content-type')]).toEqual([directory, 'application/problem+json']);
    }
    expect((await fetch(`${base}/roles/web/acme/directory`)).status).toBe(200);
    expect((await fetch(`${base}/issuer/default/roles/web/acme/directory`)).status).toBe(200);
    const second = await ok('POST', 'root/generate/internal', {
      common_name: 'Second',
      key_type: 'ec',
      issuer_name: 'second',
    });
    await ok('POST', 'config/acme', { allowed_issuers: 'second' });
    const closed = await fetch(`${base}/roles/web/acme/directory`);
    expect(((await closed.json()) as { detail: string }).detail).toMatch(/issuer not allowed/);
    const client = await registered('issuer/second/roles/web/');
    const order = await client.order('a.example.com');
    await prove(client, order, 'a.example.com');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const done = await client.post(order.json.finalize, { csr: csr(['a.example.com'], {}, rsa) });
    const { text } = await client.post(done.json.certificate);
    expect(text).toContain(second.certificate);
  });

  test('an account of one directory is nobody in another, and its key may have an account in each', async () => {
    await ok('POST', 'roles/web', { allow_any_name: true });
    const client = await registered();
    const elsewhere = new AcmeClient(`${base}/roles/web/acme/directory`, client.key);
    elsewhere.kid = client.kid;
    expect(problem(await elsewhere.order('a.example.com'))).toBe('malformed');
    elsewhere.kid = client.kid?.replace('/acme/', '/roles/web/acme/');
    expect(problem(await elsewhere.order('a.example.com'))).toBe('accountDoesNotExist');
    elsewhere.kid = undefined;
    expect((await elsewhere.register()).status).toBe(201);
  });
});

describe('accounts', () => {
  test('are found by their key, changed, and ended for good', async () => {
    const client = await registered();
    const { newAccount } = await client.urls();
    const { kid } = client;
    client.kid = undefined;
    const found = await client.post(newAccount, { onlyReturnExisting: true });
    expect([found.status, found.headers.get('location')]).toEqual([200, kid]);
    expect(problem(await at().post(newAccount, { onlyReturnExisting: true }))).toBe('accountDoesNotExist');
    client.kid = kid;
    const changed = await client.post(kid ?? '', { contact: ['mailto:ops@example.com'] });
    expect(changed.json).toEqual({
      status: 'valid',
      orders: `${kid}/orders`,
      contact: ['mailto:ops@example.com'],
    });
    expect(problem(await client.post(kid ?? '', { contact: ['tel:110'] }))).toBe('unsupportedContact');
    expect(problem(await client.post(kid ?? '', { contact: ['mailto:a@b?cc=d@e'] }))).toBe('invalidContact');
    expect((await client.post(kid ?? '', { status: 'deactivated' })).json.status).toBe('deactivated');
    expect(problem(await client.order('a.example.com'))).toBe('unauthorized');
    client.kid = undefined;
    expect(problem(await client.post(newAccount, {}))).toBe('unauthorized');
  });

  test('made twice at once are one', async () => {
    const client = at();
    const { newAccount } = await client.urls();
    for (let i = 0; i < 4; i++) client.nonces.push(await at().nonce());
    const made = await Promise.all([1, 2, 3, 4].map(() => client.post(newAccount, {})));
    expect(new Set(made.map(({ headers }) => headers.get('location'))).size).toBe(1);
    expect(made.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  });

  test('take another key only from who has both, and the old one is nobody then', async () => {
    const client = await registered();
    const { keyChange } = await client.urls();
    const next = ecKey();
    const inner = (header: object, payload: object, key: KeyObject) =>
      signedRequest({ alg: 'ES256', url: keyChange, jwk: publicJwk(next), ...header }, payload, key);
    const right = { account: client.kid, oldKey: publicJwk(client.key) };
    expect(problem(await client.post(keyChange, inner({}, right, client.key)))).toBe('unauthorized');
    expect(problem(await client.post(keyChange, inner({ url: `${keyChange}x` }, right, next)))).toBe(
      'malformed',
    );
    expect(
      problem(await client.post(keyChange, inner({}, { ...right, oldKey: publicJwk(next) }, next))),
    ).toBe('malformed');
    const other = await registered();
    const theirs = { ...right, account: other.kid };
    expect(problem(await client.post(keyChange, inner({}, theirs, next)))).toBe('malformed');
    const taken = signedRequest(
      { alg: 'ES256', url: keyChange, jwk: publicJwk(other.key) },
      { account: client.kid, oldKey: publicJwk(client.key) },
      other.key,
    );
    expect((await client.post(keyChange, taken)).status).toBe(409);
    expect((await client.post(keyChange, inner({}, right, next))).status).toBe(200);
    expect(problem(await client.order('a.example.com'))).toBe('unauthorized');
    const moved = new AcmeClient(`${base}/acme/directory`, next);
    moved.kid = client.kid;
    expect((await moved.order('a.example.com')).status).toBe(201);
  });

  test('more than may be made in a while are told when to come again', async () => {
    const client = at();
    const { newAccount } = await client.urls();
    let last: Told | undefined;
    for (let i = 0; i < 501; i++) {
      const key = ecKey();
      last = await client.post(newAccount, {}, { header: { jwk: publicJwk(key) }, key });
      if (last.status !== 201) break;
    }
    expect(last?.status).toBe(429);
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    clock.advance(60_000);
    expect((await at().register()).status).toBe(201);
  }, 60_000);
});

describe('external account bindings', () => {
  const bind = (eab: { id: string; key: string }, url: string, key: KeyObject, twist: object = {}) => {
    const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const parts = [text({ alg: 'HS256', kid: eab.id, url, ...twist }), text(publicJwk(key))];
    const mac = createHmac('sha256', Buffer.from(eab.key, 'base64url')).update(parts.join('.'));
    return { protected: parts[0], payload: parts[1], signature: mac.digest('base64url') };
  };

  test('let in whoever was given one, once, in their own directory, with their own key', async () => {
    await ok('POST', 'roles/web', { allow_any_name: true });
    await ok('POST', 'config/acme', { eab_policy: 'always-required' });
    const eab = await ok('POST', 'acme/new-eab');
    expect(eab).toMatchObject({ key_type: 'hs', acme_directory: 'acme/directory' });
    expect(eab.key).toMatch(/^vault-eab-0-/);
    expect(await ok('LIST', 'eab')).toEqual({
      keys: [eab.id],
      key_info: {
        [eab.id]: { key_type: 'hs', acme_directory: 'acme/directory', created_on: eab.created_on },
      },
    });
    const client = at();
    const urls = await client.urls();
    expect(urls.meta.externalAccountRequired).toBe(true);
    expect(problem(await client.register())).toBe('externalAccountRequired');
    client.kid = undefined;
    const url = urls.newAccount;
    const attempt = (externalAccountBinding: unknown, who = client) =>
      who.post(url, { externalAccountBinding });
    expect(problem(await attempt(bind({ ...eab, key: 'AAAA' }, url, client.key)))).toBe('unauthorized');
    expect(problem(await attempt(bind(eab, `${url}x`, client.key)))).toBe('unauthorized');
    expect(problem(await attempt(bind(eab, url, ecKey())))).toBe('malformed');
    expect(problem(await attempt(bind(eab, url, client.key, { alg: 'none' })))).toBe('badSignatureAlgorithm');
    expect(problem(await attempt(bind(eab, url, client.key, { nonce: 'x' })))).toBe('malformed');
    const foreign = await ok('POST', 'roles/web/acme/new-eab');
    expect(foreign.acme_directory).toBe('roles/web/acme/directory');
    expect(problem(await attempt(bind(foreign, url, client.key)))).toBe('unauthorized');

    const rival = at();
    rival.nonces.push(await client.nonce());
    const both = await Promise.all([
      attempt(bind(eab, url, client.key)),
      attempt(bind(eab, url, rival.key), rival),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([201, 401]);
    expect((await ok('LIST', 'eab')).keys).toEqual([foreign.id]);
    const gone = await ask('DELETE', `eab/${foreign.id}`);
    expect(gone.status).toBe(204);
    expect((await ask('DELETE', `eab/${foreign.id}`)).json.warnings[0]).toMatch(/No key id found/);
  });

  test('are asked for of accounts that came before them, where they are always required', async () => {
    const client = await registered();
    await ok('POST', 'config/acme', { eab_policy: 'new-account-required' });
    expect((await client.order('a.example.com')).status).toBe(201);
    await ok('POST', 'config/acme', { eab_policy: 'always-required' });
    expect(problem(await client.order('a.example.com'))).toBe('externalAccountRequired');
  });

  test('are made by those alone whom a policy allows', async () => {
    const reply = await fetch(`${base}/acme/new-eab`, { method: 'POST' });
    expect(reply.status).toBe(403);
  });
});

describe('requests of attackers', () => {
  test('HEAD and GET give nonces, each good once; a used one is refused with a fresh one', async () => {
    const head = await fetch(`${base}/acme/new-nonce`, { method: 'HEAD' });
    const get = await fetch(`${base}/acme/new-nonce`);
    expect([head.status, get.status]).toEqual([200, 204]);
    for (const { headers } of [head, get]) {
      expect(headers.get('replay-nonce')).toMatch(/^[A-Za-z0-9_-]{20,}$/);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('link')).toBe(`<${base}/acme/directory>;rel="index"`);
    }
    const client = at();
    const nonce = head.headers.get('replay-nonce');
    const { newAccount } = await client.urls();
    expect((await client.post(newAccount, {}, { header: { nonce } })).status).toBe(201);
    const again = await client.post(newAccount, {}, { header: { nonce } });
    expect(problem(again)).toBe('badNonce');
    expect(again.headers.get('replay-nonce')).toBeTruthy();
    for (const bad of [undefined, '', 'x', `${client.nonces.at(-1)}A`, 'A'.repeat(35)])
      expect(problem(await client.post(newAccount, {}, { header: { nonce: bad } }))).toBe('badNonce');
  });

  test('a whole request that is sent again is refused', async () => {
    const client = await registered();
    let sent = '';
    const { newOrder } = await client.urls();
    const twist = {
      body: (body: Record<string, string>) => {
        sent = JSON.stringify(body);
        return body;
      },
    };
    await client.post(newOrder, { identifiers: [{ type: 'dns', value: 'a.example.com' }] }, twist);
    const again = await fetch(newOrder, {
      method: 'POST',
      headers: { 'content-type': 'application/jose+json' },
      body: sent,
    });
    expect(again.status).toBe(400);
    expect(((await again.json()) as { type: string }).type).toMatch(/badNonce/);
  });

  test('what was signed for one resource opens no other', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    const url = order.headers.get('location') ?? '';
    expect(problem(await client.post(url, undefined, { header: { url: `${url}/finalize` } }))).toBe(
      'unauthorized',
    );
    expect(
      problem(await client.post(url, undefined, { header: { url: url.replace('127.0.0.1', 'evil.test') } })),
    ).toBe('unauthorized');
    expect(problem(await client.post(url, undefined, { header: { url: undefined } }))).toBe('malformed');
  });

  test.each(['none', 'HS256', 'ES256K', 'RS1', '', 1, undefined])('alg %j is refused', async (alg) => {
    const client = at();
    const told = await client.post((await client.urls()).newAccount, {}, { header: { alg } });
    expect(problem(told)).toBe('badSignatureAlgorithm');
    expect(told.json.algorithms).toContain('ES256');
  });

  test('a MAC made with the public key is no signature', async () => {
    const client = await registered();
    const forged = (body: Record<string, string>) => {
      const head = Buffer.from(body['protected'] ?? '', 'base64url')
        .toString()
        .replace('ES256', 'HS256');
      const protectedHeader = Buffer.from(head).toString('base64url');
      const mac = createHmac('sha256', JSON.stringify(publicJwk(client.key)));
      const signature = mac.update(`${protectedHeader}.${body['payload']}`).digest('base64url');
      return { ...body, protected: protectedHeader, signature };
    };
    expect(problem(await client.post(client.kid ?? '', undefined, { body: forged }))).toBe(
      'badSignatureAlgorithm',
    );
  });

  test('the key of another account, a changed payload, a changed header: no signature holds', async () => {
    const client = await registered();
    const other = await registered();
    const { newOrder } = await client.urls();
    const payload = { identifiers: [{ type: 'dns', value: 'a.example.com' }] };
    expect(problem(await client.post(newOrder, payload, { key: other.key }))).toBe('unauthorized');
    expect(
      problem(
        await client.post(newOrder, payload, {
          body: (body) => ({ ...body, payload: Buffer.from('{"identifiers":[]}').toString('base64url') }),
        }),
      ),
    ).toBe('unauthorized');
    expect(
      problem(await client.post(newOrder, payload, { body: (body) => ({ ...body, signature: '' }) })),
    ).toBe('unauthorized');
  });

  test('kid and jwk, neither, an unprotected header, several signatures: malformed', async () => {
    const client = await registered();
    const { newOrder } = await client.urls();
    const twists = [
      { header: { jwk: publicJwk(client.key) } },
      { header: { kid: undefined } },
      { header: { kid: 'https://elsewhere.test/acme/account/00000000-0000-4000-8000-000000000000' } },
      { header: { kid: `${client.kid}/../x` } },
      { body: (body: Record<string, string>) => ({ ...body, header: { kid: client.kid } }) },
      { body: (body: Record<string, string>) => ({ ...body, signatures: [body] }) },
      { body: () => ({}) },
      { body: () => [] },
      { header: { crit: ['b64'], b64: false } },
    ];
    for (const twist of twists) {
      const told = await client.post(newOrder, { identifiers: [] }, twist);
      expect(['malformed', 'unauthorized']).toContain(problem(told));
    }
    const missing = { header: { kid: client.kid?.replace(/[0-9a-f]{12}$/, '000000000000') } };
    expect(problem(await client.post(newOrder, {}, missing))).toBe('accountDoesNotExist');
  });

  test('weak, private and foreign keys make no account', async () => {
    const client = at();
    const { newAccount } = await client.urls();
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    const secp = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' });
    const bad = [
      rsa,
      secp,
      client.key.export({ format: 'jwk' }),
      { kty: 'oct', k: 'AAAA' },
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
      {},
    ];
    for (const jwk of bad)
      expect(problem(await client.post(newAccount, {}, { header: { jwk } }))).toBe('badPublicKey');
  });

  test('a request that is too long, or sent as a page in a browser could, is not looked at', async () => {
    const client = at();
    const { newAccount } = await client.urls();
    const long = await client.post(newAccount, { contact: ['mailto:x@y'], pad: 'x'.repeat(70_000) });
    expect(problem(long)).toBe('malformed');
    const plain = await client.post(newAccount, {}, { contentType: 'text/plain' });
    expect(plain.status).toBe(415);
    const broken = await fetch(newAccount, {
      method: 'POST',
      headers: { 'content-type': 'application/jose+json' },
      body: 'no json',
    });
    expect(broken.status).toBe(400);
  });

  test("another account's order, authorization and challenge are as good as none", async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    const challenge = await client.challenge(order);
    const other = await registered();
    const urls = [
      order.headers.get('location') ?? '',
      order.json.authorizations[0],
      order.json.finalize,
      `${order.headers.get('location')}/cert`,
      challenge.url,
    ];
    for (const url of urls)
      expect(
        problem(
          await other.post(url, url.endsWith('finalize') ? { csr: csr(['a.example.com']) } : undefined),
        ),
      ).toBe('malformed');
    expect(problem(await other.post(client.kid ?? '', {}))).toBe('unauthorized');
    expect(problem(await other.post(`${client.kid}/orders`))).toBe('unauthorized');
  });
});

describe('orders', () => {
  test.each([
    { type: 'dns', value: '127.0.0.1' },
    { type: 'dns', value: '*.127.0.0.1' },
    { type: 'dns', value: 'a.*.example.com' },
    { type: 'dns', value: '*' },
    { type: 'dns', value: '*.' },
    { type: 'dns', value: 'a..example.com' },
    { type: 'dns', value: 'exämple.com' },
    { type: 'dns', value: 'example.com/../x' },
    { type: 'dns', value: 'example.com:80' },
    { type: 'dns', value: 'user@example.com' },
    { type: 'dns', value: '' },
    { type: 'ip', value: '10.0.0.1/8' },
    { type: 'ip', value: 'fe80::1%eth0' },
    { type: 'ip', value: 'localhost' },
    { type: 'email', value: 'a@b.c' },
  ])('for %j are refused', async (identifier) => {
    const client = await registered();
    const told = await client.orderFor([identifier]);
    expect(['malformed', 'unsupportedIdentifier']).toContain(problem(told));
  });

  test('of nothing, of too much, and with dates of their own are refused', async () => {
    const client = await registered();
    expect(problem(await client.order())).toBe('malformed');
    const many = Array.from({ length: 101 }, (_, i) => `n${i}.example.com`);
    expect(problem(await client.order(...many))).toBe('malformed');
    const { newOrder } = await client.urls();
    const identifiers = [{ type: 'dns', value: 'a.example.com' }];
    const dated = await client.post(newOrder, { identifiers, notAfter: '2027-01-01T00:00:00Z' });
    expect(dated.json.detail).toMatch(/not supported/);
  });

  test('are finalized for what was proven, and for nothing more or less', async () => {
    const client = await registered();
    const order = await client.order('a.example.com', 'b.example.com');
    const finish = (given: string) => client.post(order.json.finalize, { csr: given });
    const names = ['a.example.com', 'b.example.com'];
    await prove(client, order, 'a.example.com', 0);
    expect(problem(await finish(csr(names)))).toBe('orderNotReady');
    await prove(client, order, 'b.example.com', 1);
    expect((await client.post(order.headers.get('location') ?? '')).json.status).toBe('ready');
    const bad = [
      csr(['a.example.com']),
      csr([...names, 'c.example.com']),
      csr(['a.example.com', '*.example.com']),
      csr(names, { ips: ['10.0.0.1'] }),
      csr(names, { emails: ['a@example.com'] }),
      csr(names, { uris: ['spiffe://a/b'] }),
      csr(names, {}, client.key),
      csr(names, {}, ecKey(), [basicConstraints(true)]),
      csr(names).replace(/....$/, 'AAAA'),
      Buffer.from('no request').toString('base64url'),
    ];
    for (const [index, given] of bad.entries())
      expect(problem(await finish(given)), String(index)).toBe('badCSR');
    expect(problem(await finish('***'))).toBe('malformed');
    const both = await Promise.all([finish(csr(names)), client.post(order.headers.get('location') ?? '')]);
    expect(both[0]?.json.status).toBe('valid');
    expect(problem(await finish(csr(names)))).toBe('orderNotReady');
  });

  test('finalized twice at once give one certificate', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    await prove(client, order, 'a.example.com');
    for (let i = 0; i < 4; i++) client.nonces.push(await at().nonce());
    const before = (await ok('LIST', 'certs')).keys.length;
    const done = await Promise.all(
      [1, 2, 3, 4].map(() => client.post(order.json.finalize, { csr: csr(['a.example.com']) })),
    );
    expect(done.some(({ json }) => json.status === 'valid')).toBe(true);
    expect((await ok('LIST', 'certs')).keys.length).toBe(before + 1);
  });

  test('that nobody finishes end after a day, and an account may have only so many', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    for (let i = 1; i < 100; i++) expect((await client.order(`n${i}.example.com`)).status).toBe(201);
    expect(problem(await client.order('more.example.com'))).toBe('rateLimited');
    clock.advance(25 * 3_600_000);
    expect((await client.post(order.headers.get('location') ?? '')).json.status).toBe('invalid');
    expect((await client.order('more.example.com')).status).toBe(201);
  }, 30_000);
});

describe('challenges', () => {
  test('that are not met are tried again, then fail for good, and say why without what was fetched', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    const challenge = await client.challenge(order);
    web.set(`http://a.example.com/.well-known/acme-challenge/${challenge.token}`, 'secret-of-the-inside');
    await client.post(challenge.url, {});
    const told = await decided(client, order.json.authorizations[0]);
    expect(told.json.status).toBe('invalid');
    const failed = told.json.challenges.find((one: { type: string }) => one.type === 'http-01');
    expect(failed.status).toBe('invalid');
    expect(failed.error.type).toBe('urn:ietf:params:acme:error:incorrectResponse');
    expect(told.text).not.toContain('secret-of-the-inside');
    expect(dialled).toHaveLength(6);
    expect((await client.post(order.headers.get('location') ?? '')).json.status).toBe('invalid');
    expect(problem(await client.post(order.json.finalize, { csr: csr(['a.example.com']) }))).toBe(
      'orderNotReady',
    );
  });

  test('met a little later, the challenge is met', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    const challenge = await client.challenge(order);
    await client.post(challenge.url, {});
    for (let i = 0; i < 100 && dialled.length < 2; i++) {
      clock.advance(1000);
      await client.post(challenge.url);
    }
    web.set(
      `http://a.example.com/.well-known/acme-challenge/${challenge.token}`,
      `${client.proof(challenge.token)}\r\n`,
    );
    expect((await decided(client, order.json.authorizations[0])).json.status).toBe('valid');
  });

  test('where this server may not go, say that the list of its operator forbids it', async () => {
    const client = await registered();
    const order = await client.order('inside.example.com');
    const challenge = await client.challenge(order);
    web.set(
      `http://inside.example.com/.well-known/acme-challenge/${challenge.token}`,
      failure('dial.refused', { host: 'inside.example.com', port: 80 }),
    );
    await client.post(challenge.url, {});
    const told = await decided(client, order.json.authorizations[0]);
    const failed = told.json.challenges.find((one: { type: string }) => one.type === 'http-01');
    expect(failed.error.detail).toMatch(/not on the list .*configuration file/);
  });

  test('said to be ready many times at once are looked at once', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    const challenge = await client.challenge(order);
    web.set(
      `http://a.example.com/.well-known/acme-challenge/${challenge.token}`,
      client.proof(challenge.token),
    );
    for (let i = 0; i < 6; i++) client.nonces.push(await at().nonce());
    await Promise.all([1, 2, 3, 4, 5, 6].map(() => client.post(challenge.url, {})));
    expect((await decided(client, order.json.authorizations[0])).json.status).toBe('valid');
    await client.post(challenge.url, {});
    expect(dialled).toHaveLength(1);
  });

  test('of an authorization that was given up prove nothing', async () => {
    const client = await registered();
    const order = await client.order('a.example.com');
    const challenge = await client.challenge(order);
    web.set(
      `http://a.example.com/.well-known/acme-challenge/${challenge.token}`,
      client.proof(challenge.token),
    );
    const given = await client.post(order.json.authorizations[0], { status: 'deactivated' });
    expect(given.json.status).toBe('deactivated');
    await client.post(challenge.url, {});
    expect(dialled).toEqual([]);
    expect((await client.post(order.headers.get('location') ?? '')).json.status).toBe('invalid');
    expect(problem(await client.post(order.json.authorizations[0], { status: 'deactivated' }))).toBe(
      'malformed',
    );
  });

  test('a challenge that was accepted before a crash is looked at after it', async () => {
    const backend = new MemoryBackend();
    await server.close();
    let answers = false;
    const start = () =>
      startServer([pki(probes)], {
        clock,
        backend,
        dial: async ({ url }) => {
          if (!answers) return new Promise(() => {});
          const token = url.split('/').at(-1) ?? '';
          return { status: 200, body: Buffer.from(`${token}.${print}`) };
        },
      });
    let print = '';
    server = await start();
    await server.ask('POST', 'sys/mounts/pki', { type: 'pki' });
    await ok('POST', 'root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '700h' });
    base = `${server.url}/v1/pki`;
    await ok('POST', 'config/cluster', { path: base });
    await ok('POST', 'config/acme', { enabled: true });
    const client = await registered();
    print = thumbprint(client.key);
    const order = await client.order('a.example.com');
    const challenge = await client.challenge(order);
    expect((await client.post(challenge.url, {})).json.status).toBe('processing');
    answers = true;
    // The first process hangs in its question for ever; sealing makes the mounts anew over the same storage.
    const { keys } = server;
    await server.ask('PUT', 'sys/seal');
    for (const key of keys) await server.server.seal.submit(key);
    // Nonces are of the process that gave them; a client asks for a fresh one.
    client.nonces.length = 0;
    expect((await decided(client, order.json.authorizations[0])).json.status).toBe('valid');
  });
});

test('every request is in the audit trail, under the path that was asked', async () => {
  const client = await registered();
  await client.order('a.example.com');
  const written = server.seen.lines
    .filter(({ type }) => type === 'response')
    .map(({ request }) => request.path);
  for (const path of ['acme/directory', 'acme/new-nonce', 'acme/new-account', 'acme/new-order'])
    expect(written).toContain(`pki/${path}`);
});
