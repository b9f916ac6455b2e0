import { beforeEach, describe, expect, test } from 'vitest';
import type { Code } from '../../base/codes.ts';
import { isFailure } from '../../base/errors.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { kv } from './index.ts';

let secret: TestMount;
const absent = { code: 'kv.nothing_to_patch', message: 'there is no secret at this path to patch' };
beforeEach(() => {
  secret = mountForTest(kv, { options: { version: '2' } });
});

const put = (path: string, data: unknown, options?: unknown) =>
  secret.call('write', `data/${path}`, { data, ...(options === undefined ? {} : { options }) });
const get = (path: string, query?: unknown) => secret.call('read', `data/${path}`, query);

async function refusal(promise: Promise<unknown>): Promise<{ code: Code; message: string }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return { code: error.code, message: error.message };
}

describe('data', () => {
  test('a secret comes back with its metadata, and each write is a version more', async () => {
    expect((await put('app', { a: '1' })).data).toEqual({
      created_time: '2026-01-01T00:00:00Z',
      custom_metadata: null,
      deletion_time: '',
      destroyed: false,
      version: 1,
    });
    secret.clock.advance(1500);
    await put('app', { a: '2' });
    const answer = await get('app');
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({
      data: { a: '2' },
      metadata: {
        created_time: '2026-01-01T00:00:01.5Z',
        custom_metadata: null,
        deletion_time: '',
        destroyed: false,
        version: 2,
      },
    });
    expect((await get('app', { version: '1' })).data.data).toEqual({ a: '1' });
    expect((await get('app', { version: 0 })).data.data).toEqual({ a: '2' });
  });

  test('line feeds in what was sent do not end the record that the value lies beside', async () => {
    await secret.call('write', 'data/app', '{"data":{\n  "a": "1",\n  "b": [\n2]\n}}');
    expect((await get('app')).data.data).toEqual({ a: '1', b: [2] });
    await put('app', { a: '2' });
    expect((await get('app', { version: 1 })).data.data).toEqual({ a: '1', b: [2] });
  });

  test('older values lie behind their secret while they are small, and leave it as one run, by the time of that', async () => {
    const lying = (): Promise<string[]> => secret.storage.list('versions/');
    const wide = (number: number) => ({ number, pad: 'x'.repeat(600) });
    for (const number of [1, 2, 3]) for (const name of ['a', 'b']) await put(name, wide(number));
    expect(await lying()).toEqual([]);
    for (const name of ['a', 'b']) await put(name, wide(4));
    const [when, ...others] = await lying();
    expect(others).toEqual([]);
    expect(Number.parseInt(when ?? '', 16)).toBe(secret.clock.now());
    for (const number of [1, 2, 3, 4])
      expect((await get('b', { version: number })).data.data).toEqual(wide(number));
    await secret.call('write', 'destroy/a', { versions: [2] });
    expect((await get('a', { version: 2 })).status).toBe(404);
    expect((await get('a', { version: 3 })).data.data).toEqual(wide(3));
    await secret.call('write', 'metadata/a', { max_versions: 1 });
    await put('a', wide(5));
    await secret.call('delete', 'metadata/b');
    expect(await lying()).toEqual([]);
  });

  test('what was destroyed is in no entry any more, wherever it lay', async () => {
    for (const number of [1, 2, 3, 4, 5]) await put('app', { number, pad: `${number}`.repeat(900) });
    await secret.call('write', 'destroy/app', { versions: [2, 4, 5] });
    const kept = new Set<string>();
    for await (const { value } of secret.storage.scan('', new AbortController().signal))
      for (const number of [1, 2, 3, 4, 5])
        if (Buffer.from(value).includes(`${number}`.repeat(900))) kept.add(`${number}`);
    expect([...kept].sort()).toEqual(['1', '3']);
  });

  test('numbers and the order of keys come back to the digit', async () => {
    const text =
      '{"10":12345678901234567890,"2":1.0,"a":1e400,"b":-0,"c":{"9":0.10,"1":[1.50,{"z":1,"0":2}]}}';
    await secret.call('write', 'data/app', `{"data":${text}}`);
    expect((await get('app')).text).toContain(`"data":${text}`);
    await secret.call('patch', 'data/app', '{"data":{"2":null,"d":2.00,"c":{"1":7.0}}}');
    expect((await get('app')).text).toContain(
      '"data":{"10":12345678901234567890,"a":1e400,"b":-0,"c":{"9":0.10,"1":7.0},"d":2.00}',
    );
    secret.restart();
    expect((await get('app')).text).toContain('12345678901234567890');
  });

  test('a key sent twice is one key, so that no two readers see two secrets', async () => {
    await secret.call('write', 'data/app', '{"data":{"a":1,"b":2,"a":3}}');
    expect((await get('app')).text).toContain('"data":{"a":3,"b":2}');
  });

  test('keys that JavaScript treats specially are keys like any other', async () => {
    await secret.call('write', 'data/app', '{"data":{"__proto__":{"x":1},"constructor":"y","":"empty"}}');
    expect((await get('app')).text).toContain('"data":{"__proto__":{"x":1},"constructor":"y","":"empty"}');
    await put('__proto__', { a: 1 });
    expect((await get('__proto__')).data.data).toEqual({ a: 1 });
    expect((await get('toString')).status).toBe(404);
  });

  test.each([
    ['nothing', undefined, 'kv.no_data', 'no data provided'],
    ['an empty body', {}, 'kv.no_data', 'no data provided'],
    ['null', { data: null }, 'kv.no_data', 'no data provided'],
    ['a text', { data: 'x' }, 'kv.data_not_object', 'data must be an object of keys and values'],
    ['a list', { data: [1] }, 'kv.data_not_object', 'data must be an object of keys and values'],
  ])('%s for data is refused', async (_, body, code, message) => {
    expect(await refusal(secret.call('write', 'data/app', body))).toEqual({ code, message });
    expect((await get('app')).status).toBe(404);
  });

  test('a secret of more than 1 MiB is refused, one of just that is kept, and a patch cannot grow it over', async () => {
    const room = 1024 * 1024 - '{"a":""}'.length;
    await put('app', { a: 'x'.repeat(room) });
    expect(await refusal(put('app', { a: 'x'.repeat(room + 1) }))).toMatchObject({ code: 'kv.too_large' });
    expect(await refusal(secret.call('patch', 'data/app', { data: { b: 1 } }))).toMatchObject({
      code: 'kv.too_large',
    });
    expect((await get('app')).data.metadata.version).toBe(1);
  });

  test('names that differ in case are different secrets, and a name may be a secret and a folder', async () => {
    await put('App', { a: 1 });
    await put('app', { a: 2 });
    await put('app/db', { a: 3 });
    expect((await get('App')).data.data).toEqual({ a: 1 });
    expect((await get('app')).data.data).toEqual({ a: 2 });
    expect((await secret.call('list', 'metadata')).data).toEqual({ keys: ['App', 'app', 'app/'] });
    expect((await secret.call('list', 'metadata/app/')).data).toEqual({ keys: ['db'] });
    expect((await secret.call('list', 'metadata/app')).data).toEqual({ keys: ['db'] });
  });

  test('a folder is not read, and not written', async () => {
    await put('app', { a: 1 });
    expect((await get('app/')).status).toBe(404);
    expect((await secret.call('read', 'metadata/app/')).status).toBe(404);
    const folder = { code: 'kv.folder', message: "cannot write to a path ending in '/'" };
    expect(await refusal(put('app/', { a: 1 }))).toEqual(folder);
    expect(await refusal(secret.call('delete', 'data/app/'))).toEqual(folder);
    expect(await refusal(secret.call('delete', 'metadata/app/'))).toEqual(folder);
    expect((await get('app')).status).toBe(200);
  });

  test('what was never written is a bare 404; a version that was never written too', async () => {
    expect(await get('app')).toMatchObject({ status: 404, data: null, warnings: [] });
    await put('app', { a: 1 });
    for (const version of [2, -1, 99])
      expect(await get('app', { version })).toMatchObject({ status: 404, data: null });
  });

  test('a path without "data/" is a 404 that says what is wrong', async () => {
    await put('app', { a: 1 });
    for (const verb of ['read', 'list', 'write', 'delete', 'patch'] as const) {
      const answer = await secret.call(verb, 'app');
      expect(answer.status).toBe(404);
      expect(answer.warnings).toEqual([
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation.",
      ]);
    }
    for (const endpoint of ['data', 'metadata', 'delete', 'subkeys']) {
      const verb = endpoint === 'delete' ? 'write' : 'read';
      expect((await secret.call(verb, endpoint)).warnings).toHaveLength(1);
    }
  });

  test('policy takes the first write for a create and the next for an update, deleted or not', async () => {
    expect(await secret.exists('data/app')).toBe(false);
    await put('app', { a: 1 });
    await secret.call('delete', 'data/app');
    expect(await secret.exists('data/app')).toBe(true);
    expect(await secret.exists('metadata/app')).toBe(true);
    await secret.call('delete', 'metadata/app');
    expect(await secret.exists('data/app')).toBe(false);
  });
});

describe('check-and-set', () => {
  const mismatch = {
    code: 'kv.cas_mismatch',
    message: 'check-and-set parameter did not match the current version',
  };

  test('a write goes through only over the version that it names; 0 means: not there yet', async () => {
    expect(await refusal(put('app', { a: 1 }, { cas: 1 }))).toEqual(mismatch);
    expect((await put('app', { a: 1 }, { cas: 0 })).data.version).toBe(1);
    expect(await refusal(put('app', { a: 2 }, { cas: 0 }))).toEqual(mismatch);
    expect((await put('app', { a: 2 }, { cas: '1' })).data.version).toBe(2);
    await secret.call('delete', 'data/app');
    expect(await refusal(put('app', { a: 3 }, { cas: 0 }))).toEqual(mismatch);
    expect((await put('app', { a: 3 }, { cas: 2 })).data.version).toBe(3);
  });

  test('a patch over a version that is not current is refused', async () => {
    await put('app', { a: 1 });
    const patch = (cas: number) => secret.call('patch', 'data/app', { data: { b: 1 }, options: { cas } });
    expect(await refusal(patch(0))).toEqual(mismatch);
    expect((await patch(1)).data.version).toBe(2);
  });

  test.each([
    ['the mount', 'config'],
    ['the secret', 'metadata/app'],
  ])('is required where %s says so', async (_, path) => {
    await secret.call('write', path, { cas_required: true });
    const required = { code: 'kv.cas_required', message: 'check-and-set parameter required for this call' };
    expect(await refusal(put('app', { a: 1 }))).toEqual(required);
    expect(await refusal(put('app', { a: 1 }, {}))).toEqual(required);
    expect((await put('app', { a: 1 }, { cas: 0 })).data.version).toBe(1);
    expect(await refusal(secret.call('patch', 'data/app', { data: { b: 1 } }))).toEqual(required);
  });

  test('of a hundred writers that saw the same version, exactly one wins', async () => {
    await put('app', { start: true });
    const all = await Promise.allSettled(
      Array.from({ length: 100 }, (_, writer) => put('app', { writer }, { cas: 1 })),
    );
    const won = all.flatMap((result, writer) => (result.status === 'fulfilled' ? [writer] : []));
    expect(won).toHaveLength(1);
    for (const result of all) {
      if (result.status === 'rejected') expect(result.reason.code).toBe('kv.cas_mismatch');
    }
    expect((await get('app')).data).toMatchObject({ data: { writer: won[0] }, metadata: { version: 2 } });
  });

  test('a hundred writers without it all leave their version', async () => {
    await secret.call('write', 'config', { max_versions: 100 });
    const all = await Promise.all(Array.from({ length: 100 }, (_, writer) => put('app', { writer })));
    expect(new Set(all.map(({ data }) => data.version)).size).toBe(100);
    const seen = new Set<number>();
    for (const [writer, { data }] of all.entries()) {
      const read = await get('app', { version: data.version });
      expect(read.data.data).toEqual({ writer });
      seen.add(read.data.data.writer);
    }
    expect(seen.size).toBe(100);
  });
});

describe('two nodes over one storage', () => {
  // Each mount has a queue of its own, so only the checks in the commits stand between the two.
  test('lose no write and let one check-and-set win', async () => {
    const other = mountForTest(kv, { options: { version: '2' }, wrap: () => secret.storage });
    await secret.call('write', 'config', { max_versions: 1000 });
    const both = [secret, other];
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => both[n % 2]?.call('write', 'data/app', { data: { n } })),
    );
    expect(new Set(all.map((answer) => answer?.data.version)).size).toBe(20);
    const cas = await Promise.allSettled(
      both.map((node) => node.call('write', 'data/app', { data: {}, options: { cas: 20 } })),
    );
    expect(cas.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('a read while the other node trims or forgets never shows a half', async () => {
    const other = mountForTest(kv, { options: { version: '2' }, wrap: () => secret.storage });
    await other.call('write', 'config', { max_versions: 1 });
    let answered = 0;
    const writing = (async () => {
      for (let n = 1; n <= 50; n++) {
        await other.call('write', 'data/app', { data: { n } });
        if (n % 10 === 0) await other.call('delete', 'metadata/app');
      }
    })();
    const reading = (async () => {
      for (let n = 0; n < 100; n++) {
        const { status, data } = await get('app');
        if (status === 200) {
          answered++;
          expect(((data.data.n - 1) % 10) + 1).toBe(data.metadata.version);
        } else expect(data).toBeNull();
      }
    })();
    await Promise.all([writing, reading]);
    expect(answered).toBeGreaterThan(0);
  });
});

describe('patch', () => {
  test('merges as RFC 7396 has it: null removes, objects merge, all else replaces', async () => {
    await put('app', { a: { b: 1, c: [1, 2] }, d: 'x', e: 'gone' });
    const answer = await secret.call('patch', 'data/app', {
      data: { a: { c: [3], f: { g: null, h: 1 } }, d: { i: 1 }, e: null, j: null },
    });
    expect(answer.data.version).toBe(2);
    expect((await get('app')).data.data).toEqual({ a: { b: 1, c: [3], f: { h: 1 } }, d: { i: 1 } });
  });

  test('of what is not there answers 404 and writes nothing', async () => {
    expect(await refusal(secret.call('patch', 'data/app', { data: { a: 1 } }))).toEqual(absent);
    await secret.call('write', 'metadata/app', { max_versions: 3 });
    expect(await refusal(secret.call('patch', 'data/app', { data: { a: 1 } }))).toEqual(absent);
    await put('app', { a: 1 });
    await secret.call('delete', 'data/app');
    const deleted = await secret.call('patch', 'data/app', { data: { b: 1 } });
    expect(deleted).toMatchObject({
      status: 404,
      data: { version: 1, deletion_time: '2026-01-01T00:00:00Z' },
    });
    expect((await secret.call('read', 'metadata/app')).data.current_version).toBe(1);
  });
});

describe('delete, undelete, destroy', () => {
  test('a deleted version answers 404 with its metadata, and comes back', async () => {
    await put('app', { a: 1 });
    expect((await secret.call('delete', 'data/app')).status).toBe(204);
    const deleted = await get('app');
    expect(deleted.status).toBe(404);
    expect(deleted.data).toEqual({
      data: null,
      metadata: {
        created_time: '2026-01-01T00:00:00Z',
        custom_metadata: null,
        deletion_time: '2026-01-01T00:00:00Z',
        destroyed: false,
        version: 1,
      },
    });
    await secret.call('write', 'undelete/app', { versions: [1] });
    expect(await get('app')).toMatchObject({
      status: 200,
      data: { data: { a: 1 }, metadata: { deletion_time: '' } },
    });
  });

  test('a destroyed version is gone from storage and never comes back', async () => {
    await put('app', { canary: 'kept-nowhere' });
    await put('app', { a: 2 });
    await secret.call('write', 'destroy/app', { versions: '1' });
    await secret.call('write', 'undelete/app', { versions: ['1'] });
    expect(await get('app', { version: 1 })).toMatchObject({
      status: 404,
      data: { data: null, metadata: { destroyed: true } },
    });
    expect(await stored()).not.toContain('kept-nowhere');
    expect((await get('app')).status).toBe(200);
  });

  test('only the versions named are touched', async () => {
    for (const n of [1, 2, 3]) await put('app', { n });
    await secret.call('write', 'delete/app', { versions: [1, 3, 99, 0, -4] });
    const alive = await Promise.all([1, 2, 3].map(async (version) => (await get('app', { version })).status));
    expect(alive).toEqual([404, 200, 404]);
  });

  test.each([
    ['delete', 'No version number provided'],
    ['undelete', 'No version number provided'],
    ['destroy', 'no version number provided'],
  ])('%s without versions is refused', async (endpoint, message) => {
    for (const body of [undefined, {}, { versions: [] }, { versions: '' }]) {
      expect((await refusal(secret.call('write', `${endpoint}/app`, body))).message).toBe(message);
    }
    expect(await refusal(secret.call('write', `${endpoint}/app`, { versions: ['one'] }))).toMatchObject({
      code: 'request.invalid',
    });
  });

  test('of what was never written, all three and the two deletes are done without a word', async () => {
    for (const endpoint of ['delete', 'undelete', 'destroy']) {
      expect((await secret.call('write', `${endpoint}/app`, { versions: [1] })).status).toBe(204);
    }
    expect((await secret.call('delete', 'data/app')).status).toBe(204);
    expect((await secret.call('delete', 'metadata/app')).status).toBe(204);
    expect(secret.events).toEqual([]);
    expect(await stored()).toBe('');
  });
});

describe('limits', () => {
  test('ten versions are kept unless told, and the oldest go from storage too', async () => {
    for (let n = 1; n <= 12; n++) await put('app', { n: `canary-${n}-` });
    const { data } = await secret.call('read', 'metadata/app');
    expect(data).toMatchObject({ current_version: 12, oldest_version: 3 });
    expect(Object.keys(data.versions)).toHaveLength(10);
    expect(await get('app', { version: 2 })).toMatchObject({ status: 404, data: null });
    const text = await stored();
    expect(text).not.toContain('canary-2-');
    expect(text).toContain('canary-3-');
  });

  test.each([
    [0, 3, 3],
    [3, 0, 3],
    [2, 5, 5],
    [5, 2, 5],
    [0, 0, 10],
  ])('with %i for the mount and %i for the secret, %i are kept', async (mount, own, kept) => {
    await secret.call('write', 'config', { max_versions: mount });
    await secret.call('write', 'metadata/app', { max_versions: own });
    for (let n = 1; n <= 14; n++) await put('app', { n });
    expect(Object.keys((await secret.call('read', 'metadata/app')).data.versions)).toHaveLength(kept);
  });

  test('lowering the limit trims at the next write', async () => {
    for (let n = 1; n <= 6; n++) await put('app', { n });
    await secret.call('write', 'metadata/app', { max_versions: 2 });
    await put('app', { n: 7 });
    const { data } = await secret.call('read', 'metadata/app');
    expect(Object.keys(data.versions)).toEqual(['6', '7']);
  });

  test.each([
    ['0s', '1h', 3600],
    ['1h', '0s', 3600],
    ['1h', '90s', 90],
    ['90s', '1h', 90],
    ['-1s', '1h', undefined],
    ['1h', '-1s', undefined],
    ['0s', '0s', undefined],
  ])('delete_version_after: %s for the mount and %s for the secret', async (mount, own, after) => {
    await secret.call('write', 'config', { delete_version_after: mount });
    await secret.call('write', 'metadata/app', { delete_version_after: own });
    const { data } = await put('app', { a: 1 });
    const end =
      after === undefined
        ? ''
        : new Date(secret.clock.now() + after * 1000).toISOString().replace('.000', '');
    expect(data.deletion_time).toBe(end);
    if (after === undefined) return;
    secret.clock.advance(after * 1000 - 1);
    expect((await get('app')).status).toBe(200);
    secret.clock.advance(1);
    expect(await get('app')).toMatchObject({ status: 404, data: { data: null } });
    await secret.call('write', 'undelete/app', { versions: [1] });
    expect((await get('app')).status).toBe(200);
  });

  test('the configuration keeps what is not sent', async () => {
    expect((await secret.call('read', 'config')).data).toEqual({
      cas_required: false,
      delete_version_after: '0s',
      max_versions: 0,
    });
    expect((await secret.call('write', 'config', { max_versions: '7' })).status).toBe(204);
    await secret.call('write', 'config', { delete_version_after: '3h25m19s', cas_required: 'true' });
    secret.restart();
    expect((await secret.call('read', 'config')).data).toEqual({
      cas_required: true,
      delete_version_after: '3h25m19s',
      max_versions: 7,
    });
    expect(await refusal(secret.call('write', 'config', { max_versions: -1 }))).toMatchObject({
      code: 'request.invalid',
    });
  });
});

describe('metadata', () => {
  test('is told in full, and goes with all versions', async () => {
    await put('app', { a: 'canary-one' });
    await secret.call('write', 'metadata/app', {
      max_versions: 5,
      cas_required: false,
      delete_version_after: '1h',
      custom_metadata: { owner: 'team' },
    });
    expect((await secret.call('read', 'metadata/app')).data).toEqual({
      cas_required: false,
      created_time: '2026-01-01T00:00:00Z',
      current_version: 1,
      custom_metadata: { owner: 'team' },
      delete_version_after: '1h0m0s',
      max_versions: 5,
      oldest_version: 0,
      updated_time: '2026-01-01T00:00:00Z',
      versions: { 1: { created_time: '2026-01-01T00:00:00Z', deletion_time: '', destroyed: false } },
    });
    expect((await get('app')).data.metadata.custom_metadata).toEqual({ owner: 'team' });
    expect((await secret.call('delete', 'metadata/app')).status).toBe(204);
    expect((await secret.call('read', 'metadata/app')).status).toBe(404);
    expect((await secret.call('list', 'metadata')).status).toBe(404);
    expect(await stored()).toBe('');
    expect((await put('app', { b: 1 })).data.version).toBe(1);
  });

  test('a write replaces custom metadata as a whole; a patch merges it and null takes a field back', async () => {
    const custom = async () => (await secret.call('read', 'metadata/app')).data;
    await secret.call('write', 'metadata/app', { custom_metadata: { a: '1', b: '2' }, max_versions: 4 });
    await secret.call('patch', 'metadata/app', { custom_metadata: { a: null, c: '3' } });
    expect(await custom()).toMatchObject({ custom_metadata: { b: '2', c: '3' }, max_versions: 4 });
    await secret.call('write', 'metadata/app', { custom_metadata: { d: '4' } });
    expect((await custom()).custom_metadata).toEqual({ d: '4' });
    await secret.call('write', 'metadata/app', { cas_required: true });
    expect((await custom()).custom_metadata).toEqual({ d: '4' });
    await secret.call('patch', 'metadata/app', {
      custom_metadata: null,
      max_versions: null,
      cas_required: null,
    });
    expect(await custom()).toMatchObject({ custom_metadata: null, max_versions: 0, cas_required: false });
  });

  test('a patch of what is not there is a 404', async () => {
    expect(await refusal(secret.call('patch', 'metadata/app', { max_versions: 3 }))).toEqual(absent);
    expect(await stored()).toBe('');
  });

  test('custom metadata takes numbers by their digits, as upstream does', async () => {
    await secret.call(
      'write',
      'metadata/numbered',
      '{"custom_metadata":{"build":12345678901234567890,"ratio":1.50}}',
    );
    const { data } = await secret.call('read', 'metadata/numbered');
    expect(data.custom_metadata).toEqual({ build: '12345678901234567890', ratio: '1.50' });
  });

  test.each([
    ['65 keys', Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, 'v']))],
    ['a key of 129 bytes', { ['k'.repeat(129)]: 'v' }],
    ['an empty key', { '': 'v' }],
    ['a value of 513 bytes', { k: 'é'.repeat(257) }],
    ['a value that does not print', { k: 'a\nb' }],
    ['a key that does not print', { 'a\u0000': 'b' }],
    ['a boolean', { k: true }],
    ['an object', { k: {} }],
    ['null in a write', { k: null }],
    ['a list', ['k=v']],
    ['a text', 'k=v'],
  ])('custom metadata with %s is refused', async (_, custom_metadata) => {
    const { code, message } = await refusal(secret.call('write', 'metadata/app', { custom_metadata }));
    expect(code).toBe('kv.custom_metadata');
    expect(message).toMatch(/^custom_metadata validation failed: /);
    expect(await stored()).toBe('');
  });

  test('the bounds of custom metadata hold for what a patch makes of it', async () => {
    const keys = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${from + n}`, 'v']));
    await secret.call('write', 'metadata/app', { custom_metadata: keys(0, 64) });
    expect(
      await refusal(secret.call('patch', 'metadata/app', { custom_metadata: keys(64, 1) })),
    ).toMatchObject({
      code: 'kv.custom_metadata',
    });
    expect(
      (await secret.call('patch', 'metadata/app', { custom_metadata: { ...keys(64, 1), k0: null } })).status,
    ).toBe(204);
  });

  test('taking back what the mount demands is done with a warning', async () => {
    await secret.call('write', 'config', { cas_required: true });
    expect(await secret.call('write', 'metadata/app', { cas_required: false })).toMatchObject({
      status: 200,
      warnings: ['"cas_required" set to false, but is mandated by backend config'],
    });
  });

  test('lists in pages, and in detail', async () => {
    for (const name of ['a', 'b/x', 'c', 'd']) await put(name, { v: 1 });
    expect((await secret.call('list', 'metadata', { after: 'a', limit: '2' })).data.keys).toEqual([
      'b/',
      'c',
    ]);
    expect((await secret.call('list', 'metadata/none')).status).toBe(404);
    const { data } = await secret.call('list', 'detailed-metadata');
    expect(data.keys).toEqual(['a', 'b/', 'c', 'd']);
    expect(Object.keys(data.key_info)).toEqual(['a', 'c', 'd']);
    expect(data.key_info.a.current_version).toBe(1);
  });
});

describe('subkeys', () => {
  test('show keys and never a value', async () => {
    await put('app', { a: { b: { c: 'canary' }, d: {} }, e: ['canary'], f: null });
    const shown = async (depth?: number) =>
      (await secret.call('read', 'subkeys/app', depth === undefined ? {} : { depth })).data.subkeys;
    expect(await shown()).toEqual({ a: { b: { c: null }, d: null }, e: null, f: null });
    expect(await shown(0)).toEqual(await shown());
    expect(await shown(1)).toEqual({ a: null, e: null, f: null });
    expect(await shown(2)).toEqual({ a: { b: null, d: null }, e: null, f: null });
    await put('app', { g: 1 });
    expect((await secret.call('read', 'subkeys/app', { version: 1, depth: 1 })).data.metadata.version).toBe(
      1,
    );
    await secret.call('delete', 'data/app');
    expect(await secret.call('read', 'subkeys/app')).toMatchObject({ status: 404, data: { subkeys: null } });
    expect((await secret.call('read', 'subkeys/none')).data).toBeNull();
  });
});

describe('events', () => {
  test('tell of every change after it was committed, and never a value', async () => {
    await put('a/b', { canary: 'never-told' });
    await secret.call('patch', 'data/a/b', { data: { canary: 'never-told-either' } });
    await secret.call('delete', 'data/a/b');
    await secret.call('delete', 'data/a/b');
    await secret.call('write', 'undelete/a/b', { versions: [2] });
    await secret.call('write', 'delete/a/b', { versions: [1, 2] });
    await secret.call('write', 'destroy/a/b', { versions: [1] });
    await secret.call('write', 'metadata/a/b', { custom_metadata: { k: 'never-told' } });
    await secret.call('patch', 'metadata/a/b', { max_versions: 3 });
    await secret.call('delete', 'metadata/a/b');
    await secret.call('write', 'config', { max_versions: 3 });
    expect(secret.events.map(({ type, path, dataPath }) => [type, path, dataPath])).toEqual([
      ['kv-v2/data-write', 'data/a/b', 'data/a/b'],
      ['kv-v2/data-patch', 'data/a/b', 'data/a/b'],
      ['kv-v2/data-delete', 'data/a/b', 'data/a/b'],
      ['kv-v2/undelete', 'undelete/a/b', 'data/a/b'],
      ['kv-v2/delete', 'delete/a/b', 'data/a/b'],
      ['kv-v2/destroy', 'destroy/a/b', 'data/a/b'],
      ['kv-v2/metadata-write', 'metadata/a/b', 'metadata/a/b'],
      ['kv-v2/metadata-patch', 'metadata/a/b', 'metadata/a/b'],
      ['kv-v2/metadata-delete', 'metadata/a/b', 'data/a/b'],
      ['kv-v2/config-write', 'config', 'config'],
    ]);
    const revisions = secret.events.map(({ revision }) => revision);
    expect(revisions).toEqual([...revisions].sort((x, y) => x - y));
    expect(new Set(revisions).size).toBe(revisions.length);
    expect(secret.events[0]?.metadata).toEqual({
      current_version: '1',
      oldest_version: '0',
    });
    expect(secret.events[4]?.metadata).toMatchObject({ deleted_versions: '[1,2]' });
    expect(JSON.stringify(secret.events)).not.toContain('never-told');
    expect(JSON.stringify(secret.logged)).not.toContain('never-told');
  });

  test('nobody is told of a write that failed', async () => {
    const broken = mountForTest(kv, {
      options: { version: '2' },
      wrap: (storage) => ({
        ...storage,
        get: (key) => storage.get(key),
        list: (prefix) => storage.list(prefix),
        scan: (prefix, signal) => storage.scan(prefix, signal),
        commit: async () => {
          throw new Error('the disk is full');
        },
      }),
    });
    await expect(broken.call('write', 'data/app', { data: { a: 1 } })).rejects.toThrow('the disk is full');
    expect(broken.events).toEqual([]);
    expect((await broken.call('read', 'data/app')).status).toBe(404);
  });
});

/** Everything that lies in storage, as one text. */
async function stored(): Promise<string> {
  let text = '';
  for await (const { key, value } of secret.storage.scan('', new AbortController().signal)) {
    text += `${key}=${Buffer.from(value).toString()}\n`;
  }
  return text;
}
