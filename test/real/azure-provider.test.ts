/**
 * The Azure provider against a vault that is not ours: Azure's own, or an emulator that gives Azure's challenge over TLS and
 * takes tokens of an Entra ID. No emulator of that kind is to be had from the registries that CI reaches, so variables name one:
 *
 *   HOLDFAST_AZURE_VAULT    URL of the vault; the name of its host has to end in what its tokens are for
 *   HOLDFAST_AZURE_TENANT, HOLDFAST_AZURE_CLIENT, HOLDFAST_AZURE_SECRET    an application that may do everything there
 *   HOLDFAST_AZURE_AT       "host:port" where the vault is really found, for emulators
 *   HOLDFAST_AZURE_LOGIN    "host:port" where Entra ID is really found, for emulators; HOLDFAST_AZURE_AT without it
 *   HOLDFAST_AZURE_CA       file of the authority (PEM) that both are trusted by, for emulators
 */

import { createHash, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../src/base/bytes.ts';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { NO_WAY_OUT } from '../../src/provider/egress.ts';
import { extract, lookup } from '../../src/provider/property.ts';
import type { Provider, ProviderEnv, Value } from '../../src/provider/provider.ts';
import { testEnv } from '../../src/provider/testing.ts';
import { createAzureProvider } from '../../src/providers/azure/azure.ts';
import { azureSpec } from '../../src/providers/azure/spec.ts';
import { createDial } from '../../src/server/http/dial.ts';

const given = (name: string): string => process.env[`HOLDFAST_AZURE_${name}`] ?? '';
const missing = ['VAULT', 'TENANT', 'CLIENT', 'SECRET'].filter((name) => given(name) === '');
if (missing.length > 0)
  console.warn(
    `SKIPPED test/real/azure-provider: ${missing.map((name) => `HOLDFAST_AZURE_${name}`).join(', ')} not set, so there is no vault`,
  );

const object = (fields: Readonly<Record<string, string>>): Value => ({
  fields: new Map(Object.entries(fields).map(([key, value]) => [key, utf8(value)])),
  json: JSON.stringify(fields),
});
/** What is deleted in a vault keeps its name for months: each run has names of its own. */
const run = createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 8);
const named = (name: string): string => `holdfast-${run}-${name}`;

/** Where emulators put Azure's hosts. */
const resolve: ProviderEnv['resolve'] = (host, port) => {
  const isVault = host === new URL(given('VAULT')).hostname;
  const at = isVault || given('LOGIN') === '' ? given('AT') : given('LOGIN');
  const [, address = '', number = ''] = /^(.*):(\d+)$/.exec(at) ?? [];
  const ca = given('CA') === '' ? {} : { ca: readFileSync(given('CA'), 'utf8') };
  return address === '' ? { host, port } : { host: address, port: Number(number), ...ca };
};

describe.skipIf(missing.length > 0)('the Azure provider on a vault that is not ours', () => {
  let provider: Provider;
  const textAt = async (key: string, property = '', version?: string) => {
    const read = await provider.get({ key, ...(version === undefined ? {} : { version }) });
    return read === undefined ? undefined : textOf(lookup(read.value, property, key));
  };

  beforeAll(async () => {
    const spec = azureSpec.parse({
      vaultUrl: given('VAULT'),
      tenantId: given('TENANT'),
      authSecretRef: { clientId: { name: 'az', key: 'CLIENT' }, clientSecret: { name: 'az', key: 'SECRET' } },
    });
    provider = await createAzureProvider().connect(
      spec,
      testEnv({
        resolve,
        secretKey: async ({ key }) => utf8(given(key)),
        wayOut: { ...NO_WAY_OUT, dial: createDial({ target: resolve, allow: () => true }) },
      }),
    );
  });
  afterAll(() => provider?.close());

  test('a push is read by name and version, found, left alone by others, updated, and taken away', async () => {
    const key = named('life');
    const metadata = {
      apiVersion: 'kubernetes.external-secrets.io/v1alpha1',
      kind: 'PushSecretMetadata',
      spec: { tags: { run }, contentType: 'application/json' },
    };
    const us = { owner: 'us', metadata };
    expect(await provider.validate()).toBe('ready');
    expect(await provider.get({ key })).toBeUndefined();
    expect(await provider.metadata?.({ key })).toBeUndefined();
    expect(await provider.put?.({ key }, object({ a: '1' }), us)).toBe('written');
    expect(await provider.put?.({ key }, object({ a: '1' }), us)).toBe('unchanged');
    const first = await provider.get({ key });
    expect(await textAt(key, 'a')).toBe('1');
    expect(await provider.metadata?.({ key })).toMatchObject({ run, 'managed-by': 'external-secrets' });
    const names = [];
    for await (const [name] of provider.find?.({ tags: { run } }) ?? []) names.push(name);
    expect(names).toEqual([key]);
    const stolen = provider.put?.({ key }, object({ a: '2' }), { owner: 'them' });
    await expect(stolen).rejects.toMatchObject({ code: 'provider.foreign' });
    expect(await provider.put?.({ key }, object({ b: '2' }), us)).toBe('written');
    const read = await provider.get({ key });
    expect([...extract(read?.value as Value, '', key).keys()]).toEqual(['b']);
    expect(await textAt(key, 'a', first?.version)).toBe('1');
    expect(await provider.delete?.({ key }, { owner: 'them' })).toBe('foreign');
    expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('deleted');
    expect(await provider.get({ key })).toBeUndefined();
    expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('absent');
  });

  test('a private key is imported, its public half is read, and it is written once', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const key = `key/${named('key')}`;
    const put = () => provider.put?.({ key }, { bytes: utf8(pem) }, { owner: 'us' });
    expect(await put()).toBe('written');
    expect(await put()).toBe('unchanged');
    expect(await textAt(key, 'n')).toBe(publicKey.export({ format: 'jwk' }).n);
    expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('deleted');
  });

  test('a certificate is imported from PEM, read in DER, and written once', async () => {
    const { certificate, key: pem } = await issueCertificate(await createAuthority('ca'), {
      names: ['web'],
      ips: [],
    });
    const key = `cert/${named('cert')}`;
    const put = () => provider.put?.({ key }, { bytes: utf8(certificate + pem) }, { owner: 'us' });
    expect(await put()).toBe('written');
    expect(await put()).toBe('unchanged');
    expect((await provider.get({ key }))?.value).toEqual({ bytes: new X509Certificate(certificate).raw });
    expect(await provider.delete?.({ key }, { owner: 'us' })).toBe('deleted');
  });
});
