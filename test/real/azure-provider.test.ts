/**
 * The Azure provider against a vault that is not ours: Azure's own, or an emulator that gives Azure's challenge over TLS and
 * takes tokens of an Entra ID. Variables name one, for this test and for azure-keys and azure-identities beside it; where they
 * name none and the commands of an emulator are on the PATH, that is started (azure-emulator.ts says which). None is to be had
 * from the registries that CI reaches.
 *
 *   HOLDFAST_AZURE_VAULT    URL of the vault; the name of its host has to end in what its tokens are for
 *   HOLDFAST_AZURE_TENANT, HOLDFAST_AZURE_CLIENT, HOLDFAST_AZURE_SECRET    an application that may do everything there
 *   HOLDFAST_AZURE_AT       "host:port" where the vault is really found, for emulators
 *   HOLDFAST_AZURE_LOGIN    "host:port" where Entra ID is really found, for emulators; HOLDFAST_AZURE_AT without it
 *   HOLDFAST_AZURE_CA       file of the authority (PEM) that both are trusted by, for emulators
 *
 * Each of these is for a test of its own in azure-identities, which is skipped without it:
 *
 *   HOLDFAST_AZURE_CERTIFICATE    file of a certificate and its private key (PEM) that the application is known by, too
 *   HOLDFAST_AZURE_ACCOUNT        file of a token of a service account that the application trusts
 *   HOLDFAST_AZURE_MACHINE        "managed" or "workload": the identity that this machine has, which may do everything there
 *   HOLDFAST_AZURE_STRANGER_CLIENT, HOLDFAST_AZURE_STRANGER_SECRET    an application that may do nothing there
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeProvider } from '../../src/provider/conformance.ts';
import { extract } from '../../src/provider/property.ts';
import type { Provider, Ref, Value } from '../../src/provider/provider.ts';
import { entry, findings, meta, object, said, textAt } from '../../src/provider/testing.ts';
import { ask, atLast, connect, describeVault, type Held, named, plant, run } from './azure-vault.ts';

describeVault('the Azure provider on a vault that is not ours', 'test/real/azure-provider', () => {
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

  describe('secrets', () => {
    let provider: Provider;
    const put = (key: string, value: Value, options: object = {}) =>
      required(provider.put)({ key }, value, { owner: 'us', ...options });
    const remove = (key: string) => required(provider.delete)({ key }, { owner: 'us' });
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
      expect(await provider.metadata?.({ key })).toMatchObject({
        'attribute.expires': '2099-01-02T03:04:05Z',
      });
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
      const theirs = () => put(key, entry('2'), { owner: 'them' });
      expect(await said(atLast(theirs))).toMatchObject({ code: 'provider.foreign' });
      expect(await provider.get({ key })).toBeUndefined();
      expect(await atLast(() => put(key, entry('2')))).toBe('written');
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

    test('twenty reads at once, without a token yet, all end well', async () => {
      const key = named('busy');
      await plant(key, 'x');
      const fresh = await connect();
      const reads = Array.from({ length: 20 }, () => textAt(fresh, key));
      expect(new Set(await Promise.all(reads))).toEqual(new Set(['x']));
      await fresh.close();
    });
  });
});

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

const versionsOf = async (name: string): Promise<readonly Held[]> =>
  (await ask<{ value: readonly Held[] }>('GET', `/secrets/${name}/versions`)).value;
