/** The writer of the Vault provider against our server: the contract of providers, and what it leaves in a secret. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../src/base/bytes.ts';
import { isFailure } from '../../src/base/errors.ts';
import { VaultClient } from '../../src/client/client.ts';
import { describeProvider } from '../../src/provider/conformance.ts';
import { lookup } from '../../src/provider/property.ts';
import type { Provider, Value } from '../../src/provider/provider.ts';
import { testEnv } from '../../src/provider/testing.ts';
import { vaultSpec } from '../../src/providers/vault/spec.ts';
import { createVaultProvider } from '../../src/providers/vault/vault.ts';
import { startServer, type TestServer } from './server.ts';

let server: TestServer;
let root: VaultClient;
let count = 0;

beforeAll(async () => {
  server = await startServer();
  root = new VaultClient({ address: server.url, token: server.token });
}, 60_000);
afterAll(async () => {
  root.close();
  await server.close();
});

/** A mount of its own, and a store that logs in with a token for it. */
async function mounted(version: 'v1' | 'v2', more: object = {}, token = server.token) {
  const path = `kv${++count}`;
  const options = { version: version === 'v2' ? '2' : '1' };
  await root.request('POST', `sys/mounts/${path}`, { body: { type: 'kv', options } });
  return { path, provider: await connect(path, version, more, token) };
}

const connect = (
  path: string,
  version: 'v1' | 'v2',
  more: object = {},
  token = server.token,
): Promise<Provider> =>
  createVaultProvider().connect(
    vaultSpec.parse({
      server: server.url,
      path,
      version,
      auth: { tokenSecretRef: { name: 'token' } },
      ...more,
    }),
    testEnv({
      secretKey: async () => utf8(token),
      wayOut: {
        dial: () => Promise.reject(new Error('not asked for')),
        mayReach: () => true,
        mayReachCluster: () => false,
      },
    }),
  );

describeProvider('vault, written to', {
  async start(planted) {
    const { path, provider } = await mounted('v2');
    for (const { key, fields } of planted)
      await root.request('POST', `${path}/data/${key}`, { body: { data: fields } });
    return { provider, stop: () => provider.close() };
  },
  without: {
    binary: 'values of KV are JSON',
    versions: 'held to with the reads',
    find: 'held to with the reads',
    tags: 'held to with the reads',
    metadata: 'held to with the reads',
    properties: 'Vault keeps texts, and a property is pushed only to what a push made; see below',
  },
});

const whole = (fields: Readonly<Record<string, string>>): Value => ({
  fields: new Map(Object.entries(fields).map(([key, text]) => [key, utf8(text)])),
  json: JSON.stringify(fields),
});
const bytes = (text: string): Value => ({ bytes: utf8(text) });
const us = { owner: 'ns-us' };
const them = { owner: 'ns-them' };

/** What the server holds, as anybody with curl would see it. */
async function held(
  path: string,
): Promise<{ data: Record<string, unknown>; custom: Record<string, string>; version: number }> {
  const answer = (await root.request('GET', path)).envelope?.data as {
    data: Record<string, unknown>;
    metadata: { custom_metadata: Record<string, string>; version: number };
  };
  return { data: answer.data, custom: answer.metadata.custom_metadata, version: answer.metadata.version };
}

describe('a push to version 2', () => {
  test('carries upstream’s mark, keeps what else stands in the metadata, and writes no version when nothing changed', async () => {
    const { path, provider } = await mounted('v2');
    await root.request('POST', `${path}/metadata/app`, {
      body: { custom_metadata: { team: 'a' }, max_versions: 7 },
    });
    expect(await provider.put?.({ key: 'app' }, whole({ user: 'amy' }), us)).toBe('written');
    expect(await provider.put?.({ key: 'app' }, whole({ user: 'amy' }), us)).toBe('unchanged');
    const { data, custom, version } = await held(`${path}/data/app`);
    expect([data, version]).toEqual([{ user: 'amy' }, 1]);
    expect(custom).toMatchObject({ 'managed-by': 'external-secrets', team: 'a' });
    const metadata = (await root.request('GET', `${path}/metadata/app`)).envelope?.data;
    expect(metadata).toMatchObject({ max_versions: 7, current_version: 1 });
  });

  test('puts properties beside each other, each its owner’s, and the end of the last is the end of the secret', async () => {
    const { path, provider } = await mounted('v2');
    await provider.put?.({ key: 'app', property: 'a' }, bytes('1'), us);
    await provider.put?.({ key: 'app', property: 'b.c' }, bytes('2'), them);
    expect((await held(`${path}/data/app`)).data).toEqual({ a: '1', 'b.c': '2' });
    await expect(provider.put?.({ key: 'app', property: 'a' }, bytes('x'), them)).rejects.toMatchObject({
      code: 'provider.foreign',
    });
    await expect(provider.put?.({ key: 'app' }, whole({ x: 'y' }), us)).rejects.toMatchObject({
      code: 'provider.foreign',
    });
    expect(await provider.delete?.({ key: 'app', property: 'a' }, them)).toBe('foreign');
    expect(await provider.delete?.({ key: 'app', property: 'a' }, us)).toBe('deleted');
    expect(await provider.delete?.({ key: 'app', property: 'a' }, us)).toBe('absent');
    expect((await held(`${path}/data/app`)).data).toEqual({ 'b.c': '2' });
    expect(await provider.delete?.({ key: 'app', property: 'b.c' }, them)).toBe('deleted');
    await expect(root.request('GET', `${path}/metadata/app`)).rejects.toMatchObject({ code: 'api.missing' });
  });

  test('by two stores at once loses neither property: each insists on the version that it read', async () => {
    const { path, provider } = await mounted('v2');
    const other = await connect(path, 'v2');
    const names = Array.from({ length: 12 }, (_, at) => `p${at}`);
    await provider.put?.({ key: 'app', property: 'first' }, bytes('0'), us);
    await Promise.all(
      names.map((property, at) =>
        (at % 2 === 0 ? provider : other).put?.({ key: 'app', property }, bytes(property), us),
      ),
    );
    expect(Object.keys((await held(`${path}/data/app`)).data).sort()).toEqual(['first', ...names].sort());
    await other.close();
  });

  test('keeps the digits and the members that it was not asked to change', async () => {
    const { path, provider } = await mounted('v2');
    await provider.put?.({ key: 'app' }, bytes('{"z":12345678901234567890,"n":{"x":1.50}}'), us);
    await provider.put?.({ key: 'app', property: 'new' }, bytes('v'), us);
    const raw = textOf((await root.request('GET', `${path}/data/app`)).bytes) ?? '';
    expect(raw).toContain('12345678901234567890');
    expect(raw).toContain('1.50');
  });

  test('writes over what was deleted, and over a server that wants check-and-set', async () => {
    const { path, provider } = await mounted('v2', { checkAndSet: { required: true } });
    await root.request('POST', `${path}/config`, { body: { cas_required: true } });
    await provider.put?.({ key: 'app' }, whole({ a: '1' }), us);
    await provider.put?.({ key: 'app' }, whole({ a: '2' }), us);
    await root.request('DELETE', `${path}/data/app`);
    expect(await provider.get({ key: 'app' })).toBeUndefined();
    expect(await provider.put?.({ key: 'app' }, whole({ a: '3' }), { ...them, onlyNew: true })).toBe(
      'written',
    );
    expect((await held(`${path}/data/app`)).version).toBe(3);
  });

  test('takes over what nobody pushed only where it may, and owns it from then on', async () => {
    const { path, provider } = await mounted('v2');
    await root.request('POST', `${path}/data/app`, { body: { data: { hand: 'made' } } });
    await expect(provider.put?.({ key: 'app', property: 'a' }, bytes('1'), us)).rejects.toMatchObject({
      code: 'provider.foreign',
      message: expect.stringContaining('secret not managed by external-secrets'),
    });
    const adopting = { ...us, adopt: (found: string | undefined) => found === undefined };
    expect(await provider.put?.({ key: 'app', property: 'a' }, bytes('1'), adopting)).toBe('written');
    expect(await provider.put?.({ key: 'app', property: 'a' }, bytes('2'), us)).toBe('written');
    expect((await held(`${path}/data/app`)).data).toEqual({ hand: 'made', a: '2' });
    expect(await provider.delete?.({ key: 'app', property: 'hand' }, us)).toBe('foreign');
    expect(await provider.delete?.({ key: 'app', property: 'a' }, us)).toBe('deleted');
    expect((await held(`${path}/data/app`)).data).toEqual({ hand: 'made' });
  });

  test.each([
    ['text', 'error unmarshalling vault secret: invalid JSON format'],
    ['["canary-value"]', 'error unmarshalling vault secret: invalid JSON format'],
  ])('of one value without a property wants an object, and does not quote it: %s', async (text, said) => {
    const { provider } = await mounted('v2');
    const error = await provider.put?.({ key: 'app' }, bytes(text), us).catch((one: unknown) => one);
    expect(isFailure(error, 'provider.push')).toBe(true);
    expect(String(error)).toContain(said);
    expect(String(error)).not.toContain('canary-value');
  });

  test('of bytes that are no text is refused, where upstream writes something else in their place', async () => {
    const { path, provider } = await mounted('v2');
    const value = { bytes: Uint8Array.of(0, 255) };
    await expect(provider.put?.({ key: 'app', property: 'a' }, value, us)).rejects.toMatchObject({
      code: 'provider.push',
    });
    await expect(root.request('GET', `${path}/data/app`)).rejects.toMatchObject({ code: 'api.missing' });
  });

  test('that the policy does not allow names the path and what it needs', async () => {
    const { path } = await mounted('v2');
    const name = `read-${path}`;
    await root.request('POST', `sys/policies/acl/${name}`, {
      body: { policy: `path "${path}/data/*" { capabilities = ["read"] }` },
    });
    const made = await root.request('POST', 'auth/token/create', { body: { policies: [name] } });
    const provider = await connect(path, 'v2', {}, made.envelope?.auth?.clientToken ?? '');
    const error = await provider.put?.({ key: 'app' }, whole({ a: '1' }), us).catch((one: unknown) => one);
    expect(error).toMatchObject({
      code: 'provider.write_denied',
      hint: expect.stringContaining(`"${path}/metadata/app"`),
    });
    await provider.close();
  });
});

describe('a push to version 1', () => {
  test('keeps its mark inside the secret, as upstream does, and no reader of a property sees it', async () => {
    const { path, provider } = await mounted('v1');
    await provider.put?.({ key: 'app', property: 'a' }, bytes('1'), us);
    await provider.put?.({ key: 'app', property: 'b' }, bytes('2'), us);
    expect(await provider.put?.({ key: 'app', property: 'b' }, bytes('2'), us)).toBe('unchanged');
    const data = (await root.request('GET', `${path}/app`)).envelope?.data;
    expect(data).toMatchObject({ a: '1', b: '2', custom_metadata: { 'managed-by': 'external-secrets' } });
    const read = await provider.get({ key: 'app' });
    expect(textOf(lookup(read?.value ?? { bytes: utf8('') }, 'a', 'app'))).toBe('1');
    expect(await provider.delete?.({ key: 'app', property: 'a' }, us)).toBe('deleted');
    expect(await provider.delete?.({ key: 'app', property: 'b' }, us)).toBe('deleted');
    expect(await provider.get({ key: 'app' })).toBeUndefined();
  });

  test('with check-and-set is refused: that version has none', async () => {
    await expect(connect('x', 'v1', { checkAndSet: { required: true } })).rejects.toMatchObject({
      message: expect.stringContaining('checkAndSet is not supported with Vault KV version v1'),
    });
  });
});
