import { describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { describeProvider } from '../../provider/conformance.ts';
import { lookup } from '../../provider/property.ts';
import { testEnv } from '../../provider/testing.ts';
import { createFakeProvider } from './fake.ts';
import { fakeSpec } from './spec.ts';

const connect = (spec: object, type = createFakeProvider(), store = 'SecretStore team/fake') =>
  type.connect(fakeSpec.parse(spec), testEnv({ store }));

describeProvider('fake', {
  async start(planted) {
    const data = planted.map(({ key, fields, version }) => ({
      key,
      value: JSON.stringify(fields),
      ...(version === undefined ? {} : { version }),
    }));
    return { provider: await connect({ data }), stop: async () => {} };
  },
  without: {
    binary: 'its values stand in a manifest, which is text',
    tags: 'upstream’s fake finds by name alone',
    metadata: 'it has none',
    properties: 'upstream’s fake pushes whole keys alone',
  },
});

describe('the fake provider', () => {
  test('a value is given to the letter, spaces and digits included', async () => {
    const value = '{ "n": 12345678901234567890,\n "b": {"c": 1.50} }';
    const provider = await connect({ data: [{ key: 'k', value }] });
    const read = await provider.get({ key: 'k' });
    if (read === undefined) throw new Error('absent');
    expect(textOf(lookup(read.value, '', 'k'))).toBe(value);
    expect(textOf(lookup(read.value, 'n', 'k'))).toBe('12345678901234567890');
    expect(textOf(lookup(read.value, 'b.c', 'k'))).toBe('1.5');
  });

  test('a valueMap is an object of its texts', async () => {
    const provider = await connect({ data: [{ key: 'k', valueMap: { a: '1', b: 'two' } }] });
    const read = await provider.get({ key: 'k' });
    if (read === undefined) throw new Error('absent');
    expect(textOf(lookup(read.value, 'b', 'k'))).toBe('two');
    expect(textOf(lookup(read.value, '', 'k'))).toBe('{"a":"1","b":"two"}');
  });

  test('a key and a version are never taken for another key: upstream joins the two', async () => {
    const provider = await connect({ data: [{ key: 'app', value: 'v', version: '1' }] });
    expect(await provider.get({ key: 'app1' })).toBeUndefined();
    expect(await provider.get({ key: 'app' })).toBeUndefined();
    expect((await provider.get({ key: 'app', version: '1' }))?.version).toBe('1');
  });

  test('a search gives the newest version of a key, in the order of text', async () => {
    const provider = await connect({
      data: [
        { key: 'k', value: 'one', version: 'v1' },
        { key: 'k', value: 'three', version: 'v3' },
        { key: 'k', value: 'two', version: 'v2' },
      ],
    });
    const all: string[] = [];
    for await (const [, value] of provider.find?.({ name: 'k' }) ?? [])
      all.push('bytes' in value ? (textOf(value.bytes) ?? '') : value.json);
    expect(all).toEqual(['three']);
  });

  test.each([[{ tags: { a: 'b' } }], [{ path: 'x', name: 'y' }], [{}]])(
    'a search by %j is refused',
    async (query) => {
      const provider = await connect({ data: [] });
      const run = async (): Promise<void> => {
        for await (const _ of provider.find?.(query) ?? []) throw new Error('found');
      };
      await expect(run()).rejects.toMatchObject({ code: 'provider.spec' });
    },
  );

  test.each([
    [undefined, 'ready'],
    [0, 'ready'],
    [1, 'unknown'],
  ])('a validationResult of %s is told as %s', async (validationResult, told) => {
    const provider = await connect({
      data: [],
      ...(validationResult === undefined ? {} : { validationResult }),
    });
    expect(await provider.validate()).toBe(told);
  });

  test('a validationResult of 2 is a failure in upstream’s words', async () => {
    const provider = await connect({ data: [], validationResult: 2 });
    await expect(provider.validate()).rejects.toMatchObject({
      message: 'SecretStore team/fake: unable to validate',
    });
  });

  test.each([
    [{ value: 'v' }, 'data.0.key'],
    [{ key: '', value: 'v' }, 'key must be set in data'],
    [{ key: 'k' }, 'at least one value must be set in data'],
    [{ key: 'k', value: '' }, 'at least one value must be set in data'],
  ])('an entry %j is refused with the reason', (entry, reason) => {
    const read = fakeSpec.safeParse({ data: [entry] });
    const told = read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join();
    expect(told).toContain(reason);
  });

  test('what was pushed outlives a change of the manifest, and no store of another namespace sees it', async () => {
    const type = createFakeProvider();
    const first = await connect({ data: [] }, type);
    await first.put?.({ key: 'pushed' }, { bytes: utf8('v') }, { owner: 'us' });
    await first.close();
    const again = await connect({ data: [{ key: 'other', value: 'x' }] }, type);
    expect(await again.get({ key: 'pushed' })).toMatchObject({ value: { bytes: utf8('v') } });
    const elsewhere = await connect({ data: [] }, type, 'SecretStore evil/fake');
    expect(await elsewhere.get({ key: 'pushed' })).toBeUndefined();
  });

  test('what the manifest holds is not pushed over', async () => {
    const provider = await connect({ data: [{ key: 'k', value: 'v' }] });
    await expect(provider.put?.({ key: 'k' }, { bytes: utf8('x') }, { owner: 'us' })).rejects.toThrow(
      'key already exists',
    );
  });
});
