/** Against a small Azure of ours, over TLS under Azure's names, through the way out that the operator judges. */

import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { vaultScope } from '../../azure/clouds.ts';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { writeKeyStore } from '../../crypto/pkcs12/write.ts';
import { describeProvider, type Harness, type Planted } from '../../provider/conformance.ts';
import { NO_WAY_OUT, type WayOut, webJudge } from '../../provider/egress.ts';
import type { Provider, ProviderEnv } from '../../provider/provider.ts';
import { entry, findings, meta, object, said, testEnv, textAt } from '../../provider/testing.ts';
import { createDial } from '../../server/http/dial.ts';
import { type AzureOptions, createAzureProvider } from './azure.ts';
import { azureSpec } from './spec.ts';
import {
  applicationCertificate,
  type FakeAzure,
  type FakeVersion,
  pemOf,
  plant,
  startFakeAzure,
} from './testing.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const started = async (): Promise<FakeAzure> => {
  const fake = await startFakeAzure();
  closing.push(() => fake.close());
  return fake;
};

/** Azure's names lead to the fake, and nothing else of this machine may be reached. */
const worldOf = (fake: FakeAzure): Pick<ProviderEnv, 'resolve' | 'wayOut'> => {
  const resolve: ProviderEnv['resolve'] = (host, port) =>
    /\.(?:azure\.net|microsoftonline\.com)$/.test(host)
      ? { host: '127.0.0.1', port: fake.port, ca: fake.ca }
      : { host, port };
  const allow = webJudge({
    allowed: ({ host }) => resolve(host, 443).ca !== undefined,
    isCluster: () => false,
  });
  return { resolve, wayOut: { ...NO_WAY_OUT, dial: createDial({ target: resolve, allow }) } };
};

const PRINCIPAL = {
  tenantId: '11111111-2222-3333-4444-555555555555',
  authSecretRef: { clientId: { name: 'az', key: 'id' }, clientSecret: { name: 'az', key: 'secret' } },
};

async function connect(
  fake: FakeAzure,
  spec: object = {},
  env: Partial<ProviderEnv> = {},
  options: AzureOptions = {},
): Promise<Provider> {
  const read = azureSpec.parse({ vaultUrl: `${fake.vault}/`, ...PRINCIPAL, ...spec });
  const data: Record<string, string> = {
    id: `${fake.client}\n`,
    secret: `${fake.secret}\n`,
    tenant: fake.tenant,
  };
  const secretKey: ProviderEnv['secretKey'] = async ({ name, key }) => {
    const found = name === 'az' ? data[key] : undefined;
    if (found !== undefined) return utf8(found);
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  };
  return createAzureProvider(options).connect(
    read,
    testEnv({ ...worldOf(fake), secretKey, retry: { maxRetries: 0 }, ...env }),
  );
}

const harness = (fake: FakeAzure, provider: Provider): Harness => ({
  provider,
  stop: async () => {
    await provider.close();
    await fake.close();
  },
});

const ONE_TEXT = 'a secret of Azure is one text';

describeProvider('Azure Key Vault', {
  async start(planted: readonly Planted[]) {
    const fake = await startFakeAzure();
    for (const { key, fields, version, tags } of planted)
      plant(fake, key, [JSON.stringify(fields)], tags, version === undefined ? [] : [version]);
    return harness(fake, await connect(fake));
  },
  without: { binary: ONE_TEXT, properties: ONE_TEXT },
});

const OURS = { 'managed-by': 'external-secrets' };

describe('reading from a key vault', () => {
  test('a key may say which kind of object it names, and "secret" goes without saying', async () => {
    const fake = await started();
    plant(fake, 'db', ['{"n": 12345678901234567890}']);
    const provider = await connect(fake);
    for (const key of ['db', 'secret/db', 'secret/db/more']) {
      expect(await textAt(provider, key)).toBe('{"n": 12345678901234567890}');
      expect(await textAt(provider, key, 'n')).toBe('12345678901234567890');
    }
  });

  test('a certificate is its DER, and a key is its public half as a JSON Web Key', async () => {
    const fake = await started();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
    const jwk = { kty, crv, x, y } as NonNullable<FakeVersion['jwk']>;
    const version = { id: 'v1', tags: {}, enabled: true };
    fake.objects.keys.set('sign', [{ ...version, jwk }]);
    fake.objects.certificates.set('web', [{ ...version, cer: Buffer.from([1, 0, 255]).toString('base64') }]);
    const provider = await connect(fake);
    const kid = 'https://team.vault.azure.net/keys/sign/v1';
    expect(await textAt(provider, 'key/sign')).toBe(
      JSON.stringify({ kid, kty: 'EC', key_ops: ['sign', 'verify'], crv, x, y }),
    );
    expect(await textAt(provider, 'key/sign', 'crv', 'v1')).toBe('P-256');
    expect((await provider.get({ key: 'cert/web' }))?.value).toEqual({ bytes: Buffer.of(1, 0, 255) });
    expect((await provider.get({ key: 'cert/web', version: 'v1' }))?.version).toBe('v1');
    expect(await provider.get({ key: 'cert/web', version: 'v2' })).toBeUndefined();
    expect(await provider.get({ key: 'key/none' })).toBeUndefined();
  });

  test.each(['other/db', 'secret/', '', '/db', 'a b', 'a_b', 'secret/a%2Fb'])(
    'a key %j, which can be nothing of a vault, is refused before the vault is asked',
    async (key) => {
      const fake = await started();
      const provider = await connect(fake);
      expect(await said(provider.get({ key }))).toMatchObject({ code: 'provider.spec' });
      const pushed = await said(provider.put?.({ key }, entry('1'), { owner: 'us' }));
      expect(pushed).toMatchObject({ code: 'provider.push' });
      expect(fake.calls).toEqual([]);
    },
  );

  test('metadata has the tags, and the times in upstream’s form', async () => {
    const fake = await started();
    const [version] = plant(fake, 'db', ['1'], { env: 'prod' });
    if (version !== undefined) version.expires = 1_800_000_000;
    expect(await (await connect(fake)).metadata?.({ key: 'db' })).toEqual({
      env: 'prod',
      'attribute.created': '2023-11-14T22:13:20Z',
      'attribute.updated': '2023-11-14T22:13:21Z',
      'attribute.expires': '2027-01-15T08:00:00Z',
    });
  });

  test('a search goes through all pages, and leaves out what is disabled', async () => {
    const fake = await started();
    for (const name of ['a-1', 'a-2', 'a-3', 'a-4', 'b-1']) plant(fake, name, ['1']);
    const [disabled] = fake.objects.secrets.get('a-2') ?? [];
    if (disabled !== undefined) disabled.enabled = false;
    const provider = await connect(fake);
    expect(await findings(provider, { name: '^a-' })).toEqual(['a-1', 'a-3', 'a-4']);
    // Upstream's: without anything to look for, all of them.
    expect(await findings(provider, {})).toEqual(['a-1', 'a-3', 'a-4', 'b-1']);
  });

  test('one token serves many reads of all kinds', async () => {
    const fake = await started();
    plant(fake, 'db', ['1']);
    const provider = await connect(fake);
    expect(await provider.validate()).toBe('ready');
    await Promise.all([
      provider.get({ key: 'db' }),
      provider.get({ key: 'key/x' }),
      provider.get({ key: 'cert/x' }),
    ]);
    await provider.get({ key: 'db' });
    const logins = fake.calls.filter(({ path }) => path.endsWith('/oauth2/v2.0/token'));
    expect(logins.length).toBe(1);
    expect(provider.endsAt?.()).toBeGreaterThan(Date.now() + 59 * 60_000);
    expect(fake.calls.at(-1)?.who).toBe('app-1');
  });
});

describe('what a key vault refuses', () => {
  test('each right that is missing is told with the role that has it', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const owner = 'us';
    const pem = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    await provider.put?.({ key: 'key/had' }, entry(pem), { owner });
    const retagged = { owner, metadata: meta({ tags: { a: '1' } }) };
    const denied = { status: 403, code: 'Forbidden', inner: 'ForbiddenByRbac' };
    for (const [what, right, role, run] of [
      ['GET', 'secrets/get', 'Key Vault Secrets User', () => provider.get({ key: 'db' })],
      ['GET', 'secrets/list', 'Key Vault Secrets User', () => findings(provider, {})],
      ['GET', 'keys/get', 'Key Vault Crypto User', () => provider.get({ key: 'key/x' })],
      ['GET', 'certificates/get', 'Key Vault Certificate User', () => provider.get({ key: 'cert/x' })],
      [
        'PUT',
        'secrets/set',
        'Key Vault Secrets Officer',
        () => provider.put?.({ key: 'x' }, entry('1'), { owner }),
      ],
      [
        'PUT',
        'keys/import',
        'Key Vault Crypto Officer',
        () => provider.put?.({ key: 'key/x' }, entry(pem), { owner }),
      ],
      [
        'PATCH',
        'keys/update',
        'Key Vault Crypto Officer',
        () => provider.put?.({ key: 'key/had' }, entry(pem), retagged),
      ],
      [
        'DELETE',
        'keys/delete',
        'Key Vault Crypto Officer',
        () => provider.delete?.({ key: 'key/had' }, { owner }),
      ],
    ] as const) {
      fake.between = ({ method, who }) => (method === what && who !== '' ? denied : undefined);
      const { message, hint } = await said(run());
      expect(`${message} ${hint}`).toContain(`${right}: a role such as "${role}"`);
    }
  });

  test.each([
    [{ status: 403, code: 'Forbidden', inner: 'ForbiddenByRbac' }, 'provider.denied', /secrets\/get/],
    [{ status: 403, code: 'Forbidden', inner: 'ForbiddenByFirewall' }, 'provider.denied', /firewall/],
    [{ status: 403, code: 'Forbidden', inner: 'SecretDisabled' }, 'provider.denied', /disabled/],
    [{ status: 400, code: 'BadParameter' }, 'provider.spec', /BadParameter/],
    [{ status: 503, code: 'ServiceUnavailable' }, 'provider.read', /ServiceUnavailable/],
    [{ status: 429, code: 'Throttled', retryAfter: '7' }, 'provider.read', /Throttled/],
  ])('%j is %s', async (refusal, code, words) => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.validate();
    fake.between = ({ path, who }) => (path.startsWith('/secrets') && who !== '' ? refusal : undefined);
    const error = await said(provider.get({ key: 'db' }));
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint}`).toMatch(words);
    expect(`${error.message} ${error.hint}`).not.toContain('canary');
    if ('retryAfter' in refusal) expect(error.retryAfterMs).toBe(7000);
  });

  test('an answer that is no answer of Key Vault’s is a read that failed', async () => {
    const fake = await started();
    const { wayOut, resolve } = worldOf(fake);
    const dial: WayOut['dial'] = async (request) => {
      const answer = await wayOut.dial(request);
      return answer.status === 200 && request.url.includes('/secrets/')
        ? { status: 200, body: utf8('<html>canary</html>') }
        : answer;
    };
    plant(fake, 'db', ['1']);
    const provider = await connect(fake, {}, { resolve, wayOut: { ...NO_WAY_OUT, dial } });
    const error = await said(provider.get({ key: 'db' }));
    expect(error).toMatchObject({ code: 'provider.read' });
    expect(JSON.stringify(error) + String(error)).not.toContain('canary');
  });

  test('a vault that wants tokens which open more than itself gets none', async () => {
    const fake = await started();
    fake.resource = 'https://management.azure.com';
    const provider = await connect(fake);
    const error = await said(provider.get({ key: 'db' }));
    expect(error).toMatchObject({ code: 'provider.read' });
    expect(error.message).toContain('it wants a token for another domain than its own');
    expect(fake.calls.filter(({ path }) => path.includes('oauth2'))).toEqual([]);
  });
});

describe('pushing to a key vault', () => {
  test('a secret carries upstream’s tag and who pushed it, its type and its end', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const spec = { tags: { team: 'x' }, contentType: 'text/plain', expirationDate: '2027-01-15T08:00:00Z' };
    const push = () => provider.put?.({ key: 'db' }, entry('1'), { owner: 'uid-1', metadata: meta(spec) });
    expect(await push()).toBe('written');
    expect(fake.objects.secrets.get('db')?.at(-1)).toMatchObject({
      value: '1',
      tags: { ...OURS, 'holdfast-pushed-by': 'uid-1', team: 'x' },
      contentType: 'text/plain',
      expires: 1_800_000_000,
      enabled: true,
    });
    expect(await push()).toBe('unchanged');
    // Without a type of its own a push keeps the one that is there, and takes away an end that it does not name.
    expect(await provider.put?.({ key: 'db' }, entry('1'), { owner: 'uid-1' })).toBe('written');
    const last = fake.objects.secrets.get('db')?.at(-1);
    expect(last).toMatchObject({ contentType: 'text/plain', tags: { team: 'x' } });
    expect(last).not.toHaveProperty('expires');
  });

  test.each([
    ['after January 2038, which is more than Azure’s library can say by itself', '2099-01-02T03:04:05Z'],
    ['at the very last second that can be said', '2106-02-07T06:28:15Z'],
    ['within a second', '2027-01-15T08:00:00.999Z'],
  ])('an end that lies %s is the one that the vault is told, and told once', async (_, expirationDate) => {
    const fake = await started();
    const provider = await connect(fake);
    const value = entry('"exp":-1');
    const push = () =>
      provider.put?.({ key: 'db' }, value, { owner: 'us', metadata: meta({ expirationDate }) });
    expect(await push()).toBe('written');
    expect(fake.objects.secrets.get('db')?.at(-1)).toMatchObject({
      value: '"exp":-1',
      expires: Math.floor(Date.parse(expirationDate) / 1000),
    });
    expect(await push()).toBe('unchanged');
  });

  test('tags alone are changed without a new version', async () => {
    const fake = await started();
    plant(fake, 'db', ['1'], { ...OURS, old: 'o' });
    const provider = await connect(fake);
    expect(await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us' })).toBe('written');
    expect(
      await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', metadata: meta({ tags: { n: '1' } }) }),
    ).toBe('written');
    const versions = fake.objects.secrets.get('db') ?? [];
    expect(versions.map(({ tags }) => tags)).toEqual([{ ...OURS, 'holdfast-pushed-by': 'us', n: '1' }]);
  });

  test('properties are pushed and taken away one by one, and the last takes the secret with it', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db', property: 'a' }, entry('1'), { owner: 'us' });
    await provider.put?.({ key: 'db', property: 'b' }, entry('2'), { owner: 'them' });
    expect(await textAt(provider, 'db')).toBe('{"a":"1","b":"2"}');
    expect(await said(provider.put?.({ key: 'db' }, entry('x'), { owner: 'us' }))).toMatchObject({
      code: 'provider.foreign',
    });
    expect(await provider.delete?.({ key: 'db', property: 'b' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.delete?.({ key: 'db', property: 'a' }, { owner: 'us' })).toBe('deleted');
    expect(await textAt(provider, 'db')).toBe('{"b":"2"}');
    expect(await provider.delete?.({ key: 'db', property: 'b' }, { owner: 'them' })).toBe('deleted');
    expect(fake.objects.secrets.size).toBe(0);
  });

  test('what its own push deleted is recovered, and written then; what another’s did stays deleted', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us' });
    expect(await provider.delete?.({ key: 'db' }, { owner: 'us' })).toBe('deleted');
    expect(await said(provider.put?.({ key: 'db' }, entry('2'), { owner: 'them' }))).toMatchObject({
      code: 'provider.foreign',
    });
    const waits = await said(provider.put?.({ key: 'db' }, entry('2'), { owner: 'us' }));
    expect(waits).toMatchObject({ code: 'provider.write', retryAfterMs: 15_000 });
    expect(await provider.put?.({ key: 'db' }, entry('2'), { owner: 'us' })).toBe('written');
    expect(await textAt(provider, 'db')).toBe('2');
  });

  test('a conflict that a vault gives no reason for is one with what was deleted, if that is there', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db' }, entry('1'), { owner: 'us' });
    await provider.delete?.({ key: 'db' }, { owner: 'us' });
    const [found] = [...fake.deleted.secrets];
    fake.between = ({ method }) => (method === 'PUT' ? { status: 409, code: 'Conflict' } : undefined);
    // Just being deleted: it is on neither shelf.
    fake.deleted.secrets.clear();
    const put = () => said(provider.put?.({ key: 'db' }, entry('2'), { owner: 'us' }));
    expect(await put()).toMatchObject({
      code: 'provider.write',
      message: expect.stringContaining('Key Vault answers Conflict'),
      retryAfterMs: 15_000,
    });
    if (found !== undefined) fake.deleted.secrets.set(...found);
    expect(await put()).toMatchObject({ code: 'provider.write', retryAfterMs: 15_000 });
    expect(fake.objects.secrets.has('db')).toBe(true);
  });

  test('what upstream pushed is taken over by who pushes to it, and until then by nobody deleted', async () => {
    const fake = await started();
    plant(fake, 'db', ['{"a":"1"}'], OURS);
    const provider = await connect(fake);
    expect(await provider.delete?.({ key: 'db' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.put?.({ key: 'db' }, object({ a: '1' }), { owner: 'us' })).toBe('written');
    expect(await provider.delete?.({ key: 'db' }, { owner: 'us' })).toBe('deleted');
  });

  test('what may be taken over is, with all its properties', async () => {
    const fake = await started();
    const provider = await connect(fake);
    await provider.put?.({ key: 'db', property: 'a' }, entry('1'), { owner: 'them' });
    const adopt = (found: string | undefined) => found === 'them';
    expect(await provider.put?.({ key: 'db' }, entry('2'), { owner: 'us', adopt })).toBe('written');
    expect(fake.objects.secrets.get('db')?.at(-1)?.tags).toEqual({ ...OURS, 'holdfast-pushed-by': 'us' });
  });

  test('bytes that are no text have no place in a vault, and are not bent to fit', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const error = await said(provider.put?.({ key: 'db' }, entry(Uint8Array.of(255)), { owner: 'us' }));
    expect(error).toMatchObject({ code: 'provider.push', message: expect.stringContaining('is no text') });
  });

  test.each(['rsa', 'ec'] as const)(
    'a private key (%s) is imported once, and kept while it is the same',
    async (type) => {
      const fake = await started();
      const provider = await connect(fake);
      const make = () =>
        type === 'rsa'
          ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
          : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
      const key = make();
      const put = (pem: string, owner = 'us') => provider.put?.({ key: 'key/sign' }, entry(pem), { owner });
      expect(await put(pemOf(key))).toBe('written');
      expect(await put(pemOf(key, type === 'rsa' ? 'pkcs1' : 'sec1'))).toBe('unchanged');
      expect(await said(put(pemOf(make()), 'them'))).toMatchObject({ code: 'provider.foreign' });
      expect(await put(pemOf(make()))).toBe('written');
      expect(fake.objects.keys.get('sign')?.length).toBe(2);
      expect(await provider.delete?.({ key: 'key/sign' }, { owner: 'us' })).toBe('deleted');
    },
  );

  test('a key that is none, or is of a kind that vaults do not take, is told and not quoted', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const put = (value: string) => said(provider.put?.({ key: 'key/x' }, entry(value), { owner: 'us' }));
    const broken = await put('-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----');
    expect(broken).toMatchObject({ code: 'provider.push' });
    expect(broken.message).not.toContain('canary');
    expect((await put(pemOf(generateKeyPairSync('ed25519').privateKey))).message).toMatch(
      /RSA and of elliptic/,
    );
  });

  test('a certificate is imported from PEM or a key store, and kept while it is the same', async () => {
    const fake = await started();
    const provider = await connect(fake);
    const authority = await createAuthority('ca');
    const { certificate, key } = await issueCertificate(authority, { names: ['web'], ips: [] });
    const { raw } = new X509Certificate(certificate);
    const pkcs8 = Buffer.from(key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const store = writeKeyStore(pkcs8, [raw], {
      password: new Uint8Array(0),
      random: randomBytes,
      pay: () => {},
    } as Parameters<typeof writeKeyStore>[2]);
    const put = (name: string, value: string | Uint8Array) =>
      provider.put?.({ key: `cert/${name}` }, entry(value), { owner: 'us' });
    for (const [name, first, again] of [
      ['pem', `${certificate}${key}`, store],
      ['store', store, `${key}${certificate}`],
    ] as const) {
      expect(await put(name, first)).toBe('written');
      expect(await put(name, again)).toBe('unchanged');
      expect((await provider.get({ key: `cert/${name}` }))?.value).toEqual({ bytes: raw });
      expect(await provider.delete?.({ key: `cert/${name}` }, { owner: 'us' })).toBe('deleted');
    }
    expect((await said(put('none', 'canary'))).message).toMatch(/could not parse certificate value/);
    const property = provider.put?.({ key: 'cert/x', property: 'a' }, entry(certificate), { owner: 'us' });
    expect((await said(property)).message).toMatch(/only secrets have properties/);
  });

  test.each([
    ['a field that there is not', { unknown: 1 }],
    ['a date that is none', { expirationDate: 'tomorrow' }],
    ['a date before all others', { expirationDate: '1970-01-01T00:00:00Z' }],
    ['a date beyond what can be said', { expirationDate: '2106-02-07T06:28:16Z' }],
    ['the tag that says who manages it', { tags: { 'managed-by': 'me' } }],
    ['the tag that says who pushed it', { tags: { 'holdfast-pushed-by': 'me' } }],
  ])('metadata with %s is refused before anything is asked', async (_, spec) => {
    const fake = await started();
    const provider = await connect(fake);
    const pushed = provider.put?.({ key: 'db' }, entry('1'), { owner: 'us', metadata: meta(spec) });
    expect(await said(pushed)).toMatchObject({ code: 'provider.push' });
    expect(fake.calls).toEqual([]);
  });
});

describe('as whom Azure is asked', () => {
  test('a wrong secret is told by Entra ID’s code and what to do, and appears nowhere', async () => {
    const fake = await started();
    const secretKey = async () => utf8('app-1');
    const error = await said((await connect(fake, {}, { secretKey })).validate());
    expect(error).toMatchObject({
      code: 'provider.login',
      message: expect.stringContaining('AADSTS7000215'),
    });
    expect(error.hint).toMatch(/take its value, not its id/);
    expect(JSON.stringify(error) + String(error)).not.toContain('canary');
  });

  test('an Entra ID that is away is no login that failed', async () => {
    const fake = await started();
    const provider = await connect(fake);
    fake.between = () => ({ status: 503, code: 'Away' });
    expect(await said(provider.validate())).toMatchObject({ code: 'provider.read' });
  });

  test('a certificate signs who the application is', async () => {
    const fake = await started();
    const { certificate, key } = await applicationCertificate();
    fake.certificates.push(certificate);
    plant(fake, 'db', ['1']);
    const authSecretRef = {
      clientId: { name: 'az', key: 'id' },
      clientCertificate: { name: 'az', key: 'pem' },
    };
    const secretKey: ProviderEnv['secretKey'] = async ({ key: at }) =>
      utf8(at === 'id' ? 'app-1' : `${key}${certificate}`);
    const provider = await connect(fake, { authSecretRef }, { secretKey });
    expect(await textAt(provider, 'db')).toBe('1');
    const login = fake.calls.find(({ path }) => path.endsWith('/token'));
    expect(login?.body).not.toHaveProperty('client_secret');
    const half: ProviderEnv['secretKey'] = async ({ key: at }) => utf8(at === 'id' ? 'app-1' : certificate);
    expect((await said(connect(fake, { authSecretRef }, { secretKey: half }))).message).toMatch(
      /has to be PEM, with a certificate and its private key/,
    );
  });

  const account = (annotations: Record<string, string>) => {
    const asked: unknown[] = [];
    const env: Partial<ProviderEnv> = {
      serviceAccountAnnotations: async () => annotations,
      serviceAccountToken: async (ref) => {
        asked.push(ref);
        return 'the.account.token';
      },
    };
    return { env, asked };
  };
  const CLIENT = 'azure.workload.identity/client-id';
  const WHERE = 'azure.workload.identity/tenant-id';
  const workload = (more: object = {}) => ({
    authType: 'WorkloadIdentity',
    tenantId: '',
    authSecretRef: undefined,
    serviceAccountRef: { name: 'app', audiences: ['extra'] },
    ...more,
  });

  test('a service account that an application trusts is believed by its token', async () => {
    const fake = await started();
    fake.assertions.add('the.account.token');
    plant(fake, 'db', ['1']);
    const { env, asked } = account({ [CLIENT]: fake.client, [WHERE]: fake.tenant });
    const provider = await connect(fake, workload(), env);
    expect(await textAt(provider, 'db')).toBe('1');
    expect(asked).toEqual([
      { name: 'app', audiences: ['api://AzureADTokenExchange', 'extra'], expirationSeconds: 600 },
    ]);
  });

  test('client and tenant come from the store, from a Secret, from the account or from the cluster, but from one place each', async () => {
    const fake = await started();
    fake.assertions.add('the.account.token');
    const clientId = { name: 'az', key: 'id' };
    const tenantId = { name: 'az', key: 'tenant' };
    const both = { [CLIENT]: fake.client, [WHERE]: fake.tenant };
    const ready = async (spec: object, annotations: Record<string, string>, options: AzureOptions = {}) =>
      (await connect(fake, workload(spec), account(annotations).env, options)).validate();
    expect(await ready({ authSecretRef: { clientId, tenantId } }, {})).toBe('ready');
    expect(await ready({ tenantId: fake.tenant }, { [CLIENT]: fake.client })).toBe('ready');
    expect(await ready({}, { [CLIENT]: fake.client }, { tenant: fake.tenant })).toBe('ready');
    expect((await said(ready({ authSecretRef: { clientId } }, both))).message).toMatch(
      /multiple clientID found/,
    );
    expect((await said(ready({ tenantId: fake.tenant }, both))).message).toMatch(/multiple tenantID found/);
    expect((await said(ready({}, {}))).message).toMatch(/missing clientID/);
    expect((await said(ready({}, { [CLIENT]: 'x' }))).message).toMatch(/missing tenantID in store config/);
    expect((await said(ready({ authSecretRef: {} }, both))).message).toMatch(/missing accessKeyID/);
  });

  test('a service account that no application trusts is a login that failed, and its token is not told', async () => {
    const fake = await started();
    const { env } = account({ [CLIENT]: fake.client, [WHERE]: fake.tenant });
    const serviceAccountToken = async () => 'e30.eyJhIjoiY2FuYXJ5In0.canary';
    const error = await said((await connect(fake, workload(), { ...env, serviceAccountToken })).validate());
    expect(error).toMatchObject({ code: 'provider.login', message: expect.stringContaining('AADSTS700213') });
    expect(error.hint).toMatch(/federated credential/);
    expect(JSON.stringify(error) + String(error)).not.toContain('canary');
  });

  test('a token that the cluster does not give is told as the cluster tells it', async () => {
    const fake = await started();
    const { env } = account({ [CLIENT]: fake.client, [WHERE]: fake.tenant });
    const serviceAccountToken: ProviderEnv['serviceAccountToken'] = async ({ name }) => {
      throw failure('operator.ref_missing', { kind: 'ServiceAccount', name, namespace: 'team' });
    };
    const provider = await connect(fake, workload(), { ...env, serviceAccountToken });
    expect(await said(provider.validate())).toMatchObject({ code: 'operator.ref_missing' });
  });

  test.each([
    [{ tenantId: '' }, /missing tenantID in store config/],
    [{ authSecretRef: undefined }, /missing secretRef in provider config/],
    [{ authSecretRef: { clientId: { name: 'az', key: 'id' } } }, /missing accessKeyID\/secretAccessKey/],
    [
      {
        authSecretRef: {
          clientId: { name: 'az', key: 'id' },
          clientSecret: { name: 'az', key: 'secret' },
          clientCertificate: { name: 'az', key: 'secret' },
        },
      },
      /both clientSecret and clientCredentials set/,
    ],
    [{ tenantId: '../evil' }, /the name of its tenant is none/],
  ])('a store of %j is told what it lacks', async (spec, words) => {
    const fake = await started();
    const error = await said(connect(fake, spec));
    expect(error).toMatchObject({ code: 'provider.spec', message: expect.stringMatching(words) });
    expect(fake.calls).toEqual([]);
  });

  test.each(['ManagedIdentity', 'WorkloadIdentity'])(
    '%s without a service account is the operator’s own identity, which it lends to nobody',
    async (authType) => {
      const fake = await started();
      const spec = { authType, authSecretRef: undefined };
      expect(await said(connect(fake, spec))).toMatchObject({ code: 'provider.unsupported' });
      // Nor, where it lends it, to an address that the store chose.
      const customCloudConfig = { activeDirectoryEndpoint: 'https://evil.example.com' };
      const lent = connect(fake, { ...spec, customCloudConfig }, {}, { lendOwnKeys: true });
      expect(await said(lent)).toMatchObject({ code: 'provider.unsupported' });
    },
  );
});

describe('the operator’s own identity, where it lends it', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });
  const managed = { authType: 'ManagedIdentity', authSecretRef: undefined, identityId: 'mine' };

  test('is that of its machine, and serves the vault that the store names', async () => {
    const fake = await started();
    plant(fake, 'db', ['1']);
    const asked: (string | undefined)[] = [];
    const machine = createServer((request, response) => {
      asked.push(request.url);
      const ends = Math.floor(Date.now() / 1000) + 3600;
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ access_token: fake.give('operator'), expires_on: ends, token_type: 'Bearer' }),
      );
    });
    await new Promise<void>((resolve) => machine.listen(0, '127.0.0.1', resolve));
    closing.push(async () => void machine.close());
    vi.stubEnv('IDENTITY_ENDPOINT', `http://127.0.0.1:${(machine.address() as AddressInfo).port}/token`);
    vi.stubEnv('IDENTITY_HEADER', 'x');
    const provider = await connect(fake, managed, {}, { lendOwnKeys: true });
    expect(await textAt(provider, 'db')).toBe('1');
    expect(fake.calls.at(-1)?.who).toBe('operator');
    const query = new URL(asked[0] ?? '', 'http://x').searchParams;
    expect([query.get('resource'), query.get('client_id')]).toEqual(['https://vault.azure.net', 'mine']);
  });

  test('is told to be missing where there is none', async () => {
    const fake = await started();
    for (const name of ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'AZURE_FEDERATED_TOKEN_FILE'])
      vi.stubEnv(name, undefined);
    const spec = { authType: 'WorkloadIdentity', authSecretRef: undefined };
    const lent = connect(fake, spec, {}, { lendOwnKeys: true }).then((provider) => provider.validate());
    const error = await said(lent);
    expect(error).toMatchObject({ code: 'provider.login' });
    expect(error.hint).toMatch(/Give the operator an identity of Azure/);
  });
});

describe('where it may lead', () => {
  test('an address that the operator does not allow is not asked', async () => {
    const fake = await started();
    const provider = await connect(fake, {}, { wayOut: NO_WAY_OUT });
    expect(await said(provider.get({ key: 'db' }))).toMatchObject({ code: 'dial.refused' });
    expect(await said(provider.validate())).toMatchObject({ code: 'dial.refused' });
    expect(fake.calls).toEqual([]);
  });

  test('a list that goes on elsewhere is not followed there, where the token would go with it', async () => {
    const fake = await started();
    plant(fake, 'db', ['1']);
    const { wayOut, resolve } = worldOf(fake);
    const asked = new Set<string>();
    const dial: WayOut['dial'] = async (request) => {
      asked.add(new URL(request.url).host);
      const answer = await wayOut.dial(request);
      const list = textOf(answer.body)?.replace(
        '"nextLink":null',
        '"nextLink":"https://evil.azure.net/secrets"',
      );
      return { ...answer, body: utf8(list ?? '') };
    };
    const provider = await connect(fake, {}, { resolve, wayOut: { ...NO_WAY_OUT, dial } });
    const find = async () => {
      for await (const _ of provider.find?.({}) ?? []);
    };
    expect(await said(find())).toMatchObject({ code: 'dial.refused' });
    expect([...asked].sort()).toEqual(['login.microsoftonline.com', 'team.vault.azure.net']);
  });

  test('no key and no version leads to anything but an object of that vault', async () => {
    const fake = await started();
    const { wayOut, resolve } = worldOf(fake);
    const asked: string[] = [];
    const dial: WayOut['dial'] = (request) => {
      if (!request.url.includes('microsoftonline')) asked.push(request.url);
      return wayOut.dial(request);
    };
    const provider = await connect(fake, {}, { resolve, wayOut: { ...NO_WAY_OUT, dial } });
    // Some that are asked for, else nothing might be.
    const word = fc.oneof(fc.string(), fc.stringMatching(/^[a-z/.%?#:@-]{0,12}$/), fc.constant('a1'));
    await fc.assert(
      fc.asyncProperty(word, word, async (key, version) => {
        await said(provider.get({ key, version }));
      }),
      { numRuns: 200 },
    );
    for (const url of asked)
      expect(url).toMatch(
        /^https:\/\/team\.vault\.azure\.net\/(?:secrets|keys|certificates)\/[\dA-Za-z-]{1,127}\/[\w-]{0,64}\?api(?:-|%2D)version=7\.4$/,
      );
    expect(asked.length).toBeGreaterThan(0);
  });

  test('a vault whose certificate is not trusted is not asked', async () => {
    const fake = await started();
    const { resolve } = worldOf(fake);
    const bare: ProviderEnv['resolve'] = (host, port) => {
      const { ca: _, ...at } = resolve(host, port);
      return at;
    };
    const provider = await connect(fake, {}, { resolve: bare });
    expect(await said(provider.get({ key: 'db' }))).toMatchObject({ code: 'dial.unreachable' });
    expect(fake.calls).toEqual([]);
  });

  test('each cloud has addresses of its own, and its vaults one domain for tokens', async () => {
    const asked: string[] = [];
    const dial: WayOut['dial'] = async ({ url }) => {
      asked.push(new URL(url).host);
      return { status: 500, body: utf8('') };
    };
    const fake = await started();
    for (const spec of [
      { environmentType: 'USGovernmentCloud' },
      { environmentType: 'ChinaCloud' },
      {
        environmentType: 'AzureStackCloud',
        customCloudConfig: { activeDirectoryEndpoint: 'https://login.stack.example/' },
      },
    ])
      await said((await connect(fake, spec, { wayOut: { ...NO_WAY_OUT, dial } })).validate());
    expect([...new Set(asked)]).toEqual([
      'login.microsoftonline.us',
      'login.chinacloudapi.cn',
      'login.stack.example',
    ]);
    expect(vaultScope('https://x.vault.usgovcloudapi.net')).toBe('https://vault.usgovcloudapi.net/.default');
  });

  test.each([
    [{ vaultUrl: 'http://team.vault.azure.net' }, /./],
    [{ vaultUrl: 'team.vault.azure.net' }, /url/i],
    [{ vaultUrl: '' }, /url/i],
    [{ vaultUrl: 'https://me@team.vault.azure.net' }, /./],
    [{ vaultUrl: 'https://team.vault.azure.net/other' }, /./],
    [{ environmentType: 'GermanCloud' }, /closed/],
    [{ environmentType: 'AzureStackCloud' }, /CustomCloudConfig is required/],
  ])('a store of %j is refused when it is read', (spec, words) => {
    const read = azureSpec.safeParse({ vaultUrl: 'https://team.vault.azure.net', ...spec });
    expect(read.error?.message).toMatch(words);
  });
});
