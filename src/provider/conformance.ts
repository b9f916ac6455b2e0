/**
 * What every provider has to pass, whatever its store is. An implementation hands in a store of its own for each test and
 * says which abilities it has; a case that it leaves out is skipped under its reason.
 */

import { afterEach, describe, expect, test } from 'vitest';
import { textOf } from '../base/bytes.ts';
import { isFailure } from '../base/errors.ts';
import { extract, lookup } from './property.ts';
import type { Provider, Value } from './provider.ts';
import { object } from './testing.ts';

/** A secret as the store is to hold it before the provider is connected. */
export interface Planted {
  readonly key: string;
  readonly fields: Readonly<Record<string, string | Uint8Array>>;
  /** Older ones first, where the store has versions. */
  readonly version?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface Harness {
  readonly provider: Provider;
  stop(): Promise<void>;
}

export interface Abilities {
  /** A connection to a fresh store that holds these. */
  start(planted: readonly Planted[]): Promise<Harness>;
  /** For each that is absent: why the store has no such thing. */
  readonly without: Partial<
    Record<'binary' | 'versions' | 'find' | 'tags' | 'metadata' | 'write' | 'properties', string>
  >;
}

type Part = keyof Abilities['without'];

/** Runs the suite. To be called at the top of a test file. */
export function describeProvider(name: string, abilities: Abilities): void {
  const running: Harness[] = [];
  const start = async (...planted: Planted[]): Promise<Provider> => {
    const harness = await abilities.start(planted);
    running.push(harness);
    return harness.provider;
  };
  afterEach(async () => {
    for (const harness of running.splice(0)) await harness.stop();
  });
  const given = (part: Part, title: string, run: () => Promise<void>): void => {
    const reason = abilities.without[part];
    if (reason === undefined) test(title, run);
    else test.skip(`${title} (skipped: ${reason})`, run);
  };

  describe(`the contract of providers: ${name}`, () => {
    test('a secret is read whole, by property and by a path that is a property’s own name', async () => {
      const provider = await start({ key: 'app', fields: { user: 'amy', 'a.b': 'dotted' } });
      const value = await contentOf(provider, 'app');
      expect(textOf(lookup(value, 'user', 'app'))).toBe('amy');
      expect(textOf(lookup(value, 'a.b', 'app'))).toBe('dotted');
      expect(JSON.parse(textOf(lookup(value, '', 'app')) ?? '')).toEqual({ user: 'amy', 'a.b': 'dotted' });
      expect([...extract(value, '', 'app')].map(([key, bytes]) => [key, textOf(bytes)]).sort()).toEqual([
        ['a.b', 'dotted'],
        ['user', 'amy'],
      ]);
    });

    test('what the store does not have is absent, and no failure', async () => {
      const provider = await start({ key: 'app', fields: { user: 'amy' } });
      expect(await provider.get({ key: 'none' })).toBeUndefined();
    });

    test('a property that is not there is a failure that names it, and never a value', async () => {
      const provider = await start({ key: 'app', fields: { user: 'canary-value' } });
      const value = await contentOf(provider, 'app');
      const error = caught(() => lookup(value, 'pass', 'app'));
      expect(isFailure(error, 'provider.property_missing')).toBe(true);
      expect(String(error)).toContain('pass');
      expect(String(error)).not.toContain('canary-value');
    });

    given('binary', 'bytes that are no text come out as they went in', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const provider = await start({ key: 'bin', fields: { blob: bytes, text: 'x' } });
      const value = await contentOf(provider, 'bin');
      expect([...lookup(value, 'blob', 'bin')]).toEqual([...bytes]);
      expect([...(extract(value, '', 'bin').get('blob') ?? [])]).toEqual([...bytes]);
    });

    given('versions', 'a version that is named is read, and another one than it is absent', async () => {
      const provider = await start(
        { key: 'app', fields: { user: 'old' }, version: '1' },
        { key: 'app', fields: { user: 'new' }, version: '2' },
      );
      const old = await provider.get({ key: 'app', version: '1' });
      const now = await provider.get({ key: 'app', version: '2' });
      expect([old, now].map((read) => read && textOf(lookup(read.value, 'user', 'app')))).toEqual([
        'old',
        'new',
      ]);
      expect(await provider.get({ key: 'app', version: '3' })).toBeUndefined();
    });

    given('find', 'a search by name finds what matches anywhere in it, each with its value', async () => {
      const provider = await start(
        { key: 'team-a', fields: { v: '1' } },
        { key: 'team-b', fields: { v: '2' } },
        { key: 'other', fields: { v: '3' } },
      );
      expect(await found(provider, { name: 'eam-' })).toEqual({ 'team-a': { v: '1' }, 'team-b': { v: '2' } });
      expect(await found(provider, { name: '^nothing$' })).toEqual({});
    });

    given('find', 'a pattern that is none is refused, and no pattern takes for ever', async () => {
      const provider = await start({ key: 'a'.repeat(40), fields: { v: '1' } });
      await expect(found(provider, { name: '(' })).rejects.toMatchObject({ code: 'provider.spec' });
      expect(await found(provider, { name: '(a+)+$' })).toHaveProperty('a'.repeat(40));
    });

    given('tags', 'a search by tags finds what carries all of them', async () => {
      const provider = await start(
        { key: 'both', fields: { v: '1' }, tags: { env: 'prod', tier: 'db' } },
        { key: 'one', fields: { v: '2' }, tags: { env: 'prod' } },
      );
      expect(await found(provider, { tags: { env: 'prod', tier: 'db' } })).toEqual({ both: { v: '1' } });
    });

    given(
      'metadata',
      'metadata is an object that holds the tags, and absent where the secret is',
      async () => {
        const provider = await start({ key: 'app', fields: { v: 'canary-value' }, tags: { env: 'prod' } });
        const metadata = JSON.stringify(await provider.metadata?.({ key: 'app' }));
        expect(metadata).toContain('"env":"prod"');
        expect(metadata).not.toContain('canary-value');
        expect(await provider.metadata?.({ key: 'none' })).toBeUndefined();
      },
    );

    given('write', 'what was pushed is read back, and pushing the same again writes nothing', async () => {
      const provider = await start();
      const value = object({ user: 'amy', pass: 'p' });
      expect(await provider.put?.({ key: 'new' }, value, { owner: 'us' })).toBe('written');
      expect(await provider.put?.({ key: 'new' }, value, { owner: 'us' })).toBe('unchanged');
      expect(textOf(lookup(await contentOf(provider, 'new'), 'user', 'new'))).toBe('amy');
      expect(await provider.put?.({ key: 'new' }, object({ user: 'bob' }), { owner: 'us' })).toBe('written');
      expect([...extract(await contentOf(provider, 'new'), '', 'new').keys()]).toEqual(['user']);
    });

    given('write', 'what another owner pushed is neither overwritten nor deleted', async () => {
      const provider = await start();
      await provider.put?.({ key: 'new' }, object({ user: 'amy' }), { owner: 'them' });
      await expect(
        provider.put?.({ key: 'new' }, object({ user: 'eve' }), { owner: 'us' }),
      ).rejects.toMatchObject({ code: 'provider.foreign' });
      expect(await provider.delete?.({ key: 'new' }, { owner: 'us' })).toBe('foreign');
      expect(textOf(lookup(await contentOf(provider, 'new'), 'user', 'new'))).toBe('amy');
    });

    given(
      'write',
      'what another owner pushed is taken over only where the push may, and is its own then',
      async () => {
        const provider = await start();
        await provider.put?.({ key: 'new' }, object({ user: 'amy' }), { owner: 'them' });
        const asked: (string | undefined)[] = [];
        const adopting = {
          owner: 'us',
          adopt: (found: string | undefined) => asked.push(found) > 0 && found === 'them',
        };
        expect(await provider.put?.({ key: 'new' }, object({ user: 'amy' }), adopting)).toBe('written');
        expect(new Set(asked)).toEqual(new Set(['them']));
        expect(await provider.put?.({ key: 'new' }, object({ user: 'bob' }), { owner: 'us' })).toBe(
          'written',
        );
        await expect(
          provider.put?.({ key: 'new' }, object({ user: 'eve' }), { owner: 'them' }),
        ).rejects.toMatchObject({ code: 'provider.foreign' });
        expect(await provider.delete?.({ key: 'new' }, { owner: 'them' })).toBe('foreign');
        expect(await provider.delete?.({ key: 'new' }, { owner: 'us' })).toBe('deleted');
      },
    );

    given('write', 'what nobody pushed is not deleted, and what is gone is gone already', async () => {
      const provider = await start({ key: 'app', fields: { user: 'amy' } });
      expect(await provider.delete?.({ key: 'app' }, { owner: 'us' })).toBe('foreign');
      expect(textOf(lookup(await contentOf(provider, 'app'), 'user', 'app'))).toBe('amy');
      expect(await provider.delete?.({ key: 'none' }, { owner: 'us' })).toBe('absent');
    });

    given('write', 'its own is deleted, once', async () => {
      const provider = await start();
      await provider.put?.({ key: 'new' }, object({ user: 'amy' }), { owner: 'us' });
      expect(await provider.delete?.({ key: 'new' }, { owner: 'us' })).toBe('deleted');
      expect(await provider.get({ key: 'new' })).toBeUndefined();
      expect(await provider.delete?.({ key: 'new' }, { owner: 'us' })).toBe('absent');
    });

    given('write', 'what is there stays where only what is new may be written', async () => {
      const provider = await start({ key: 'app', fields: { user: 'amy' } });
      const outcome = await provider.put?.({ key: 'app' }, object({ user: 'eve' }), {
        owner: 'us',
        onlyNew: true,
      });
      expect(outcome).toBe('kept');
      expect(textOf(lookup(await contentOf(provider, 'app'), 'user', 'app'))).toBe('amy');
    });

    given('properties', 'one property is pushed and deleted without the others', async () => {
      const provider = await start({ key: 'app', fields: { user: 'amy' } });
      const bytes = Uint8Array.of(0, 255);
      expect(await provider.put?.({ key: 'app', property: 'blob' }, { bytes }, { owner: 'us' })).toBe(
        'written',
      );
      const value = await contentOf(provider, 'app');
      expect([...lookup(value, 'blob', 'app')]).toEqual([0, 255]);
      expect(textOf(lookup(value, 'user', 'app'))).toBe('amy');
      expect(await provider.delete?.({ key: 'app', property: 'user' }, { owner: 'us' })).toBe('foreign');
      expect(await provider.delete?.({ key: 'app', property: 'blob' }, { owner: 'us' })).toBe('deleted');
      expect([...extract(await contentOf(provider, 'app'), '', 'app').keys()]).toEqual(['user']);
    });
  });
}

async function contentOf(provider: Provider, key: string): Promise<Value> {
  const read = await provider.get({ key });
  if (read === undefined) throw new Error(`the store does not hold ${key}`);
  return read.value;
}

async function found(
  provider: Provider,
  query: { readonly name?: string; readonly tags?: Readonly<Record<string, string>> },
): Promise<Record<string, unknown>> {
  if (provider.find === undefined) throw new Error('the provider cannot find');
  const all: Record<string, unknown> = {};
  for await (const [key, value] of provider.find(query))
    all[key] = JSON.parse('bytes' in value ? (textOf(value.bytes) ?? '') : value.json);
  return all;
}

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('it was expected to fail');
}
