import { expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { charge, derived, near } from '../../storage/near.ts';
import type { Backend, Entry } from '../../storage/storage.ts';
import { AtOnce } from '../../storage/testing-atonce.ts';
import { Barrier } from './barrier.ts';
import { EntryCache } from './cache.ts';

const ROOT_KEY = new Uint8Array(32).fill(7);
const textOf = (entry: Entry | undefined): string | undefined =>
  entry && Buffer.from(entry.value).toString('latin1');
const entryOf = (key: string, bytes: number): Entry => ({ key, value: new Uint8Array(bytes), revision: 1 });

/** A store whose answers wait until they are let go, to the reads of the keys that are named. */
class Slow extends MemoryBackend {
  readonly #waiting: (() => void)[] = [];
  slow = false;
  reads = 0;

  override async get(key: string): Promise<Entry | undefined> {
    const found = await super.get(key);
    this.reads++;
    if (this.slow) await new Promise<void>((resume) => this.#waiting.push(resume));
    return found;
  }

  release(): void {
    this.slow = false;
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

async function opened<B extends Backend>(backend: B, cacheBytes?: number) {
  const barrier = new Barrier(backend, cacheBytes === undefined ? {} : { cacheBytes });
  await barrier.initialize(ROOT_KEY);
  await barrier.unseal(ROOT_KEY);
  const view = barrier.view('v/');
  await view.commit([{ key: 'a', value: utf8('one') }]);
  return { barrier, view };
}

test('of a store that is at hand what was read once is not kept, and nothing is waited for', async () => {
  const backend = new AtOnce();
  const { view } = await opened(backend);
  const { reads } = backend;
  for (const expected of [1, 2, 2, 2]) {
    expect(textOf(near(view, 'a') as Entry)).toBe('one');
    expect(backend.reads).toBe(reads + expected);
  }
  await view.commit([{ key: 'a', value: utf8('two') }]);
  for (const expected of [3, 3]) {
    expect(textOf(near(view, 'a') as Entry)).toBe('two');
    expect(backend.reads).toBe(reads + expected);
  }
});

test('what a store that is at hand cannot give is thrown at once, and not taken for absent', async () => {
  const backend = new AtOnce();
  const { barrier, view } = await opened(backend);
  const good = backend.getNow('v/a');
  for (let time = 0; time < 3; time++) {
    await backend.commit([{ key: 'v/a', value: utf8('broken') }]);
    expect(() => near(view, 'a')).toThrow(expect.objectContaining({ code: 'storage.corrupt' }));
    await backend.commit([{ key: 'v/a', value: good?.value ?? new Uint8Array() }]);
    expect(textOf(near(view, 'a') as Entry)).toBe('one');
    barrier.invalidate(['v/a']);
  }
});

test('what was read once comes from memory, at once and with what was made of it', async () => {
  const backend = new Slow();
  const { view } = await opened(backend);
  expect(textOf(await near(view, 'a'))).toBe('one');
  const asked = backend.reads;
  let made = 0;
  const make = (): object => ({ made: ++made });
  const again = near(view, 'a');
  expect(again).not.toBeInstanceOf(Promise);
  expect(derived(again as Entry, make)).toBe(derived(near(view, 'a') as Entry, make));
  expect(made).toBe(1);
  expect(backend.reads).toBe(asked);
  expect(textOf(await view.get('a'))).toBe('one');
  expect(backend.reads).toBe(asked + 1);
});

test('a commit that was answered shows in the next read, whether it wrote or deleted', async () => {
  const { view } = await opened(new Slow());
  await near(view, 'a');
  await view.commit([{ key: 'a', value: utf8('two') }]);
  expect(textOf(await near(view, 'a'))).toBe('two');
  await view.commit([{ key: 'a', delete: true }]);
  expect(await near(view, 'a')).toBeUndefined();
});

test('a commit whose outcome nobody knows leaves nothing in memory', async () => {
  const backend = new Slow();
  const { view } = await opened(backend);
  await near(view, 'a');
  const commit = backend.commit.bind(backend);
  backend.commit = async (writes, checks) => {
    await commit(writes, checks);
    throw new Error('the connection was lost');
  };
  await expect(view.commit([{ key: 'a', value: utf8('two') }])).rejects.toThrow();
  expect(textOf(await near(view, 'a'))).toBe('two');
});

test('a read that was under way while the key was written is not kept', async () => {
  const backend = new Slow();
  const { view } = await opened(backend);
  backend.slow = true;
  const late = near(view, 'a');
  // The store has answered the read, and the answer is on its way: the write overtakes it.
  await new Promise((resume) => setImmediate(resume));
  backend.slow = false;
  await view.commit([{ key: 'a', value: utf8('two') }]);
  backend.release();
  expect(textOf(await late)).toBe('one');
  expect(textOf(await near(view, 'a'))).toBe('two');
});

test('a read that began while the key was being written is not kept', async () => {
  const backend = new Slow();
  const { view } = await opened(backend);
  const commit = backend.commit.bind(backend);
  let early: ReturnType<typeof near> | undefined;
  backend.commit = async (writes, checks) => {
    backend.slow = true;
    early = near(view, 'a');
    backend.slow = false;
    return commit(writes, checks);
  };
  await view.commit([{ key: 'a', value: utf8('two') }]);
  backend.release();
  await early;
  expect(textOf(await near(view, 'a'))).toBe('two');
});

test('another node that wrote is believed as soon as its keys are named', async () => {
  const backend = new MemoryBackend();
  const { barrier, view } = await opened(backend);
  const other = new Barrier(backend);
  await other.unseal(ROOT_KEY);
  await near(view, 'a');
  await other.view('v/').commit([{ key: 'a', value: utf8('two') }]);
  barrier.invalidate(['v/a']);
  expect(textOf(await near(view, 'a'))).toBe('two');
});

test('a closed barrier gives nothing from memory, and overwrites what it kept', async () => {
  const { barrier, view } = await opened(new MemoryBackend());
  const kept = (await near(view, 'a')) as Entry;
  await barrier.seal();
  expect(() => near(view, 'a')).toThrow(expect.objectContaining({ code: 'server.sealed' }));
  expect([...kept.value]).toEqual([0, 0, 0]);
  await barrier.unseal(ROOT_KEY);
  expect(textOf(await near(view, 'a'))).toBe('one');
});

test('with no room nothing is kept', async () => {
  const { view } = await opened(new MemoryBackend(), 0);
  await near(view, 'a');
  expect(near(view, 'a')).toBeInstanceOf(Promise);
  expect(((await near(view, 'a')) as Entry).derived).toBeUndefined();
});

test('its own records are not to be had', async () => {
  const { barrier } = await opened(new MemoryBackend());
  expect(await near(barrier.view(''), 'core/keyring')).toBeUndefined();
});

test('what is kept, and what is hung on it, stays below the bound, and what is used stays longest', () => {
  const cache = new EntryCache(100_000, false);
  const put = (key: string, bytes = 1000): Entry => {
    return cache.end(key, cache.begin(key), entryOf(key, bytes)) as Entry;
  };
  put('used');
  for (let at = 0; at < 500; at++) {
    put(`k${at}`);
    expect(cache.find('used')?.value).toBeDefined();
    expect(cache.size).toBeLessThanOrEqual(100_000);
  }
  expect(cache.find('k0')?.value).toBeUndefined();
  const before = cache.size;
  charge(put('heavy'), 20_000);
  expect(cache.size).toBeGreaterThanOrEqual(before + 20_000 - 100_000 / 2);
  put('too large for it', 50_000);
  expect(cache.find('too large for it')?.value).toBeUndefined();
});
