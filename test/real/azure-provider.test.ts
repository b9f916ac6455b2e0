/**
 * The Azure provider against a vault that is not ours: Azure's own, or an emulator that gives Azure's challenge over TLS and
 * takes tokens of an Entra ID. Where the commands of one are on the PATH, it is started here (azure-emulator.ts says which); else,
 * since none is to be had from the registries that CI reaches, variables name one:
 *
 *   HOLDFAST_AZURE_VAULT    URL of the vault; the name of its host has to end in what its tokens are for
 *   HOLDFAST_AZURE_TENANT, HOLDFAST_AZURE_CLIENT, HOLDFAST_AZURE_SECRET    an application that may do everything there
 *   HOLDFAST_AZURE_AT       "host:port" where the vault is really found, for emulators
 *   HOLDFAST_AZURE_LOGIN    "host:port" where Entra ID is really found, for emulators; HOLDFAST_AZURE_AT without it
 *   HOLDFAST_AZURE_CA       file of the authority (PEM) that both are trusted by, for emulators
 *
 * Each of these is for tests of its own, which are skipped without it:
 *
 *   HOLDFAST_AZURE_CERTIFICATE    file of a certificate and its private key (PEM) that the application is known by, too
 *   HOLDFAST_AZURE_ACCOUNT        file of a token of a service account that the application trusts
 *   HOLDFAST_AZURE_MACHINE        "managed" or "workload": the identity that this machine has, which may do everything there
 *   HOLDFAST_AZURE_STRANGER_CLIENT, HOLDFAST_AZURE_STRANGER_SECRET    an application that may do nothing there
 */

import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  verify,
  X509Certificate,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { writeKeyStore } from '../../src/crypto/pkcs12/write.ts';
import { describeProvider } from '../../src/provider/conformance.ts';
import { extract } from '../../src/provider/property.ts';
import type { Provider, ProviderEnv, Ref, Value } from '../../src/provider/provider.ts';
import { entry, findings, meta, object, said, textAt } from '../../src/provider/testing.ts';
import { createAzureProvider } from '../../src/providers/azure/azure.ts';
import { azureSpec } from '../../src/providers/azure/spec.ts';
import {
  absent,
  ask,
  closeVault,
  clusterOf,
  given,
  type Held,
  named,
  openVault,
  plant,
  run,
} from './azure-vault.ts';

const missing = absent('VAULT', 'TENANT', 'CLIENT', 'SECRET');
if (missing !== '')
  console.warn(
    `SKIPPED test/real/azure-provider: ${missing} not set and no emulator on the PATH, so there is no vault`,
  );
else {
  beforeAll(openVault, 90_000);
  afterAll(closeVault);
}
/** A test that wants more of the world than the others. */
const testIf = (...wanted: string[]) => {
  const lacking = absent(...wanted);
  if (missing === '' && lacking !== '')
    console.warn(`SKIPPED in test/real/azure-provider: what wants ${lacking}`);
  return test.skipIf(lacking !== '');
};

const secretKey = (key: string) => ({ name: 'azure', key });
const principal = () => ({
  tenantId: given('TENANT'),
  authSecretRef: { clientId: secretKey('CLIENT'), clientSecret: secretKey('SECRET') },
});
const connect = (spec: object = principal(), env: Partial<ProviderEnv> = {}, lendOwnKeys = false) =>
  createAzureProvider({ lendOwnKeys }).connect(
    azureSpec.parse({ vaultUrl: given('VAULT'), ...spec }),
    clusterOf(env),
  );

if (missing === '') {
  let parts = 0;
  describeProvider('a key vault that is not ours', {
    async start(planted) {
      parts += 1;
      const prefix = `${parts}-`;
      const versions = new Map<string, string>();
      for (const { key, fields, version, tags = {} } of planted) {
        const id = await plant(named(prefix + key), JSON.stringify(fields), { tags });
        if (version !== undefined) versions.set(version, id);
      }
      const provider = await connect();
      return { provider: partOf(provider, prefix, versions), stop: () => provider.close() };
    },
    without: { binary: 'a secret of Azure is one text', properties: 'a secret of Azure is one text' },
  });
}

/** What in a vault is called `prefix` and something, as if that were a vault of its own with versions of these names. */
function partOf(provider: Provider, prefix: string, versions: ReadonlyMap<string, string>): Provider {
  const here = <T extends Ref>(ref: T): T => ({
    ...ref,
    key: named(prefix + ref.key),
    ...(ref.version === undefined ? {} : { version: versions.get(ref.version) ?? 'f'.repeat(32) }),
  });
  return {
    ...provider,
    get: (ref, options) => provider.get(here(ref), options),
    metadata: async (ref, signal) => provider.metadata?.(here(ref), signal),
    put: async (target, value, options) => required(provider.put)(here(target), value, options),
    delete: async (target, options) => required(provider.delete)(here(target), options),
    async *find(query, signal) {
      const path = named(prefix);
      for await (const [name, value] of required(provider.find)({ ...query, path }, signal))
        yield [name.slice(path.length), value];
    },
  };
}

function required<T>(ability: T | undefined): T {
  if (ability === undefined) throw new Error('the provider cannot do that');
  return ability;
}

describe.skipIf(missing !== '')('the Azure provider on a vault that is not ours', () => {
  let provider: Provider;
  const put = (key: string, value: Value, options: object = {}) =>
    required(provider.put)({ key }, value, { owner: 'us', ...options });
  const remove = (key: string) => required(provider.delete)({ key }, { owner: 'us' });
  /** Until nothing that the vault still has to end is in the way. */
  const putAtLast = async (key: string, value: Value) => {
    for (let tries = 0; ; tries++) {
      const error = await said(put(key, value).then((outcome) => expect(outcome).toBe('written')));
      if (error.code === undefined) return tries;
      if (error.retryAfterMs === undefined || tries === 60) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  };

  beforeAll(async () => {
    provider = await connect();
  });
  afterAll(async () => {
    await provider?.close();
  });

  test('a push is read by name and version, found, left alone by others, updated, and taken away', async () => {
    const key = named('life');
    const us = { metadata: meta({ tags: { run }, contentType: 'application/json' }) };
    expect(await provider.validate()).toBe('ready');
    expect(await provider.get({ key })).toBeUndefined();
    expect(await provider.metadata?.({ key })).toBeUndefined();
    expect(await put(key, object({ a: '1' }), us)).toBe('written');
    expect(await put(key, object({ a: '1' }), us)).toBe('unchanged');
    const first = await provider.get({ key });
    expect(await textAt(provider, key, 'a')).toBe('1');
    expect(await provider.metadata?.({ key })).toMatchObject({ run, 'managed-by': 'external-secrets' });
    expect(await findings(provider, { tags: { run } })).toEqual([key]);
    expect(await said(put(key, object({ a: '2' }), { owner: 'them' }))).toMatchObject({
      code: 'provider.foreign',
    });
    expect(await put(key, object({ b: '2' }), us)).toBe('written');
    const read = await provider.get({ key });
    expect([...extract(read?.value as Value, '', key).keys()]).toEqual(['b']);
    expect(await textAt(provider, key, 'a', first?.version)).toBe('1');
    expect(await provider.delete?.({ key }, { owner: 'them' })).toBe('foreign');
    expect(await remove(key)).toBe('deleted');
    expect(await provider.get({ key })).toBeUndefined();
    expect(await remove(key)).toBe('absent');
  });

  test('the vault has the type, the end and the tags of a push; tags alone make no version', async () => {
    const key = named('told');
    const spec = { contentType: 'text/plain', expirationDate: '2099-01-02T03:04:05Z' };
    expect(await put(key, entry('x'), { metadata: meta({ ...spec, tags: { run, a: '1' } }) })).toBe(
      'written',
    );
    expect(await put(key, entry('x'), { metadata: meta({ ...spec, tags: { run, b: '2' } }) })).toBe(
      'written',
    );
    const held = await ask('GET', `/secrets/${key}`);
    expect(held).toMatchObject({
      value: 'x',
      contentType: 'text/plain',
      attributes: { enabled: true, exp: Date.parse(spec.expirationDate) / 1000 },
    });
    expect(held.tags).toEqual({
      run,
      b: '2',
      'managed-by': 'external-secrets',
      'holdfast-pushed-by': 'us',
    });
    expect(await versionsOf(key)).toHaveLength(1);
    expect(await provider.metadata?.({ key })).toMatchObject({ 'attribute.expires': '2099-01-02T03:04:05Z' });
    expect(
      await put(key, entry('x'), { metadata: meta({ ...spec, expirationDate: '2099-01-02T03:04:06Z' }) }),
    ).toBe('written');
    expect(await versionsOf(key)).toHaveLength(2);
  });

  test('tags of others stay on what is taken over and pushed without any', async () => {
    const key = named('taken');
    await plant(key, 'x', { tags: { team: 'red', 'managed-by': 'external-secrets' } });
    expect(await put(key, entry('y'))).toBe('written');
    expect((await ask('GET', `/secrets/${key}`)).tags).toMatchObject({ team: 'red' });
    expect(await remove(key)).toBe('deleted');
  });

  test('properties of one secret are pushed and taken away one by one', async () => {
    const key = named('parts');
    for (const property of ['a', 'b'])
      await provider.put?.({ key, property }, entry(property), { owner: property });
    expect(await textAt(provider, key)).toBe('{"a":"a","b":"b"}');
    expect(await provider.delete?.({ key, property: 'b' }, { owner: 'a' })).toBe('foreign');
    expect(await provider.delete?.({ key, property: 'a' }, { owner: 'a' })).toBe('deleted');
    expect(await textAt(provider, key)).toBe('{"b":"b"}');
  });

  test('what its own push deleted is recovered and written; what another’s did stays deleted', async () => {
    const key = named('back');
    await put(key, entry('1'));
    expect(await remove(key)).toBe('deleted');
    // A vault may be deleting it for a while yet.
    for (let tries = 0; tries < 60; tries++) {
      const error = await said(put(key, entry('2'), { owner: 'them' }));
      if (error.code === 'provider.foreign') break;
      expect(error).toMatchObject({ code: 'provider.write', retryAfterMs: expect.any(Number) });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    expect(await provider.get({ key })).toBeUndefined();
    expect(await putAtLast(key, entry('2'))).toBeGreaterThan(0);
    expect(await textAt(provider, key)).toBe('2');
    expect(await versionsOf(key)).toHaveLength(2);
  }, 180_000);

  test('a search reads through all pages, and leaves out what is disabled', async () => {
    const names = Array.from({ length: 30 }, (_, i) => named(`many-${String(i).padStart(2, '0')}`));
    for (const name of names) await plant(name, name);
    await plant(named('many-off'), 'x', { enabled: false });
    expect((await findings(provider, { path: named('many-') })).sort()).toEqual(names);
    expect(await findings(provider, { name: `^${named('many-0[12]')}$` })).toEqual(names.slice(1, 3));
  }, 120_000);

  test('what is disabled is denied and not absent, by its name and by its version', async () => {
    const key = named('off');
    const version = await plant(key, 'x', { enabled: false });
    for (const ref of [{ key }, { key, version }])
      expect(await said(provider.get(ref))).toMatchObject({ code: 'provider.denied' });
    const enabled = await plant(key, 'y');
    expect(await provider.get({ key })).toMatchObject({ version: enabled });
  });

  test('what has expired is read, or denied where the vault gives it no more, and never absent', async () => {
    const key = named('old');
    await plant(key, 'x', { exp: Math.floor(Date.now() / 1000) - 3600 });
    // Azure says of its own vaults that they give it; there are emulators that do not.
    const read = provider.get({ key }).then((found) => expect(found?.value).toEqual(entry('x')));
    const { code } = await said(read);
    expect([undefined, 'provider.denied']).toContain(code);
  });

  test('throttled or not, many reads at once all end well', async () => {
    const key = named('busy');
    await plant(key, 'x');
    const reads = Array.from({ length: 20 }, () => textAt(provider, key));
    expect(new Set(await Promise.all(reads))).toEqual(new Set(['x']));
  });

  const pairs = {
    'RSA, 2048 bits': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    'RSA, 3072 bits': () => generateKeyPairSync('rsa', { modulusLength: 3072 }),
    'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  };
  test.each(Object.entries(pairs))(
    'a private key (%s) is imported once; its public half is read, and the vault signs with it',
    async (kind, make) => {
      const { privateKey, publicKey } = make();
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const name = named(`key-${kind.replace(/\W+/g, '-')}`);
      const key = `key/${name}`;
      expect(await put(key, entry(pem))).toBe('written');
      expect(await put(key, entry(pem))).toBe('unchanged');
      const { kty, ...halves } = publicKey.export({ format: 'jwk' });
      expect(JSON.parse((await textAt(provider, key)) ?? '')).toMatchObject({ kty, ...halves });
      expect(await isSignedBy(name, publicKey)).toBe(true);
      expect(await said(put(key, entry(pem), { owner: 'them' }))).toMatchObject({ code: 'provider.foreign' });
      expect(await remove(key)).toBe('deleted');
    },
  );

  test('a new private key is a new version, and the old one is read by its own', async () => {
    const key = `key/${named('turned')}`;
    const [old, next] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    const pushed = (pair = old) =>
      put(key, entry(pair?.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() ?? ''));
    const shown = (pair = old) => pair?.publicKey.export({ format: 'jwk' }).x;
    expect(await pushed()).toBe('written');
    const version = (await provider.get({ key }))?.version ?? '';
    expect(await pushed(next)).toBe('written');
    expect(await textAt(provider, key, 'x')).toBe(shown(next));
    expect(await textAt(provider, key, 'x', version)).toBe(shown(old));
    expect(await remove(key)).toBe('deleted');
  });

  test('a symmetric key is nothing that a vault of this kind takes, and says so', async () => {
    const error = await said(put(`key/${named('oct')}`, entry('0123456789abcdef')));
    expect(error).toMatchObject({ code: 'provider.push', message: expect.stringContaining('keys/import') });
  });

  const forms = {
    PEM: ({ certificate, key }: Issued) => utf8(certificate + key),
    'PEM, its key first': ({ certificate, key }: Issued) => utf8(key + certificate),
    'PKCS #12': ({ certificate, key }: Issued) =>
      writeKeyStore(
        Buffer.from(key.replace(/-----[^-]+-----|\s/g, ''), 'base64'),
        [new X509Certificate(certificate).raw],
        { password: new Uint8Array(0), random: randomBytes, pay: () => {} },
      ),
  };
  test.each(Object.entries(forms))(
    'a certificate is imported from %s once, read in DER, and the vault signs with its key',
    async (form, make) => {
      const issued = await issueCertificate(await createAuthority('ca'), { names: ['web'], ips: [] });
      const { raw, publicKey } = new X509Certificate(issued.certificate);
      const name = named(`cert-${form.replace(/\W+/g, '-')}`);
      const key = `cert/${name}`;
      expect(await put(key, entry(make(issued)))).toBe('written');
      expect(await put(key, entry(make(issued)))).toBe('unchanged');
      const read = await provider.get({ key });
      expect(read?.value).toEqual({ bytes: raw });
      expect(await isSignedBy(name, publicKey)).toBe(true);
      const next = await issueCertificate(await createAuthority('ca'), { names: ['web'], ips: [] });
      expect(await put(key, entry(make(next)))).toBe('written');
      expect((await provider.get({ key, version: read?.version ?? '' }))?.value).toEqual({ bytes: raw });
      expect((await provider.get({ key }))?.value).toEqual({
        bytes: new X509Certificate(next.certificate).raw,
      });
      expect(await said(put(key, entry(make(issued)), { owner: 'them' }))).toMatchObject({
        code: 'provider.foreign',
      });
      expect(await remove(key)).toBe('deleted');
    },
  );
});

describe.skipIf(missing !== '')('as whom a vault that is not ours is asked', () => {
  const key = named('who');
  beforeAll(async () => {
    await plant(key, 'x');
  });

  /** One read under this store, and the store closed again. */
  const readBy = async (...store: Parameters<typeof connect>): Promise<string | undefined> => {
    const provider = await connect(...store);
    try {
      expect(await provider.validate()).toBe('ready');
      return await textAt(provider, key);
    } finally {
      await provider.close();
    }
  };

  test('a wrong secret is told by Entra ID’s code and what to do, and appears nowhere', async () => {
    const values: Record<string, string> = { CLIENT: given('CLIENT'), SECRET: 'canary-secret' };
    const error = await said(
      readBy(principal(), { secretKey: async ({ key: at }) => utf8(values[at] ?? '') }),
    );
    expect(error).toMatchObject({ code: 'provider.login', message: expect.stringMatching(/AADSTS7000215/) });
    expect(error.hint).toMatch(/take its value, not its id/);
    expect(JSON.stringify(error) + String(error)).not.toContain('canary');
  });

  test('an application that there is not is told by Entra ID’s code, and where it is named', async () => {
    const values: Record<string, string> = {
      CLIENT: '99999999-9999-4999-8999-999999999999',
      SECRET: 'canary-secret',
    };
    const error = await said(
      readBy(principal(), { secretKey: async ({ key: at }) => utf8(values[at] ?? '') }),
    );
    expect(error).toMatchObject({
      code: 'provider.login',
      message: expect.stringMatching(/AADSTS7000(16|38)/),
    });
    expect(error.hint).toMatch(/check clientId/);
  });

  testIf('CERTIFICATE')('a certificate signs who the application is', async () => {
    const authSecretRef = { clientId: secretKey('CLIENT'), clientCertificate: secretKey('CERTIFICATE') };
    const env: Partial<ProviderEnv> = {
      secretKey: async ({ key: at }) => (at === 'CERTIFICATE' ? readFileSync(given(at)) : utf8(given(at))),
    };
    expect(await readBy({ ...principal(), authSecretRef }, env)).toBe('x');
  });

  testIf('ACCOUNT')('a service account that the application trusts is believed by its token', async () => {
    const spec = { authType: 'WorkloadIdentity', serviceAccountRef: { name: 'app' } };
    const env: Partial<ProviderEnv> = {
      serviceAccountAnnotations: async () => ({
        'azure.workload.identity/client-id': given('CLIENT'),
        'azure.workload.identity/tenant-id': given('TENANT'),
      }),
      serviceAccountToken: async () => readFileSync(given('ACCOUNT'), 'utf8').trim(),
    };
    expect(await readBy(spec, env)).toBe('x');
    const forged = { ...env, serviceAccountToken: async () => forgedToken(given('ACCOUNT')) };
    const error = await said(readBy(spec, forged));
    expect(error).toMatchObject({ code: 'provider.login', message: expect.stringMatching(/AADSTS\d+/) });
  });

  testIf('MACHINE')('the operator’s own identity reads where it is lent', async () => {
    const authType = given('MACHINE') === 'workload' ? 'WorkloadIdentity' : 'ManagedIdentity';
    expect(await readBy({ authType }, {}, true)).toBe('x');
  });

  testIf('STRANGER_CLIENT', 'STRANGER_SECRET')(
    'who may do nothing is told what to be granted, and gets neither value nor list',
    async () => {
      const provider = await connect({
        ...principal(),
        authSecretRef: { clientId: secretKey('STRANGER_CLIENT'), clientSecret: secretKey('STRANGER_SECRET') },
      });
      expect(await provider.validate()).toBe('ready');
      const read = await said(provider.get({ key }));
      expect(read).toMatchObject({ code: 'provider.denied', hint: expect.stringContaining('secrets/get') });
      const search = await said(findings(provider, { name: '.' }));
      expect(search).toMatchObject({
        code: 'provider.denied',
        hint: expect.stringContaining('secrets/list'),
      });
      const pushed = provider.put?.({ key: named('none') }, entry('x'), { owner: 'us' });
      expect(await said(pushed)).toMatchObject({ code: 'provider.denied' });
      await provider.close();
    },
  );
});

/** The same claims under a signature that is none. */
function forgedToken(file: string): string {
  const [head, claims, signature = ''] = readFileSync(file, 'utf8').trim().split('.');
  return `${head}.${claims}.${signature.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'))}`;
}

interface Issued {
  readonly certificate: string;
  readonly key: string;
}

const versionsOf = async (name: string): Promise<readonly Held[]> =>
  (await ask<{ value: readonly Held[] }>('GET', `/secrets/${name}/versions`)).value;

/** Whether the vault has the private half: by a signature that it makes. */
async function isSignedBy(name: string, publicKey: KeyObject): Promise<boolean> {
  const { crv } = publicKey.export({ format: 'jwk' });
  const algorithms: Record<string, readonly [alg: string, hash: string]> = {
    'P-384': ['ES384', 'sha384'],
    'P-521': ['ES512', 'sha512'],
    'P-256': ['ES256', 'sha256'],
  };
  const [alg, hash] = algorithms[crv ?? ''] ?? ['RS256', 'sha256'];
  const data = randomBytes(40);
  const digest = createHash(hash).update(data).digest('base64url');
  const { value } = await ask('POST', `/keys/${name}/sign`, { alg, value: digest });
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  return verify(hash, data, key, Buffer.from(value, 'base64url'));
}
