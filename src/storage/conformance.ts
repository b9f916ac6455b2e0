/** What every store must do, as a suite that each implementation runs: the sentences of `storage.ts`, and random use. */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compareBytes, textOf, utf8 } from '../base/bytes.ts';
import { isFailure } from '../base/errors.ts';
import { type Backend, type Change, type Check, type Entry, Gone, KEY_LIMIT, type Write } from './storage.ts';

export interface Opened {
  readonly backend: Backend;
  /** Closes the store and opens it again over what it kept; absent where a store keeps nothing. */
  readonly reopen?: () => Promise<Backend>;
  /** Whether the feed still holds, after reopening, what came before: where the medium keeps it. */
  readonly remembers?: boolean;
}

const never = new AbortController().signal;
const put = (key: string, text = key): Write => ({ key, value: utf8(text) });
const drop = (key: string): Write => ({ key, delete: true });

/** Runs the suite; `open` gives an empty store each time. */
export function describeBackend(name: string, open: () => Promise<Opened>): void {
  describe(`${name} as a store`, () => {
    let opened: Opened;
    let backend: Backend;
    beforeEach(async () => {
      opened = await open();
      backend = opened.backend;
    });
    afterEach(() => backend.close());

    const revisionOf = async (key: string) => (await backend.get(key))?.revision ?? 0;
    const textAt = async (key: string) => {
      const entry = await backend.get(key);
      return entry && textOf(entry.value);
    };

    test('keeps bytes as they are, empty and large ones too', async () => {
      const large = new Uint8Array(3_000_000).map((_, i) => i % 251);
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      await backend.commit([
        { key: 'empty', value: new Uint8Array(0) },
        { key: 'all', value: all },
        { key: 'large', value: large },
      ]);
      expect((await backend.get('empty'))?.value).toHaveLength(0);
      expect(Buffer.from((await backend.get('all'))?.value ?? [])).toEqual(Buffer.from(all));
      expect(Buffer.compare((await backend.get('large'))?.value ?? new Uint8Array(0), large)).toBe(0);
      expect(await backend.get('absent')).toBeUndefined();
    });

    test('gives many entries at once: those that are there, as they are, each once', async () => {
      await backend.commit([put('a', '1'), put('b/c', '2')]);
      await backend.commit([put('d', '3'), drop('a')]);
      const found = await backend.getMany([
        'a',
        'b/c',
        'd',
        'd',
        'never',
        'x'.repeat(KEY_LIMIT + 1),
        '\ud800',
      ]);
      expect([...found.keys()].sort()).toEqual(['b/c', 'd']);
      for (const key of ['b/c', 'd']) {
        const alone = await backend.get(key);
        expect(found.get(key)).toMatchObject({ key, revision: alone?.revision });
        expect(Buffer.from(found.get(key)?.value ?? [])).toEqual(Buffer.from(alone?.value ?? []));
      }
      found.get('d')?.value.fill(0);
      expect(await textAt('d')).toBe('3');
      expect(await backend.getMany([])).toEqual(new Map());
    });

    test('gives at once, where it can, what it gives', async () => {
      const { getNow } = backend;
      if (getNow === undefined) return;
      await backend.commit([put('a', '1'), put('gone')]);
      const before = getNow.call(backend, 'a');
      await backend.commit([put('a', '2'), drop('gone')]);
      expect(textOf((before as Entry).value)).toBe('1');
      for (const key of ['a', 'gone', 'never', 'x'.repeat(KEY_LIMIT + 1)])
        expect(getNow.call(backend, key)).toEqual(await backend.get(key));
    });

    test('gives and takes copies: nobody can change an entry through a buffer', async () => {
      const given = utf8('before');
      const done = backend.commit([{ key: 'a', value: given }]);
      given.fill(0);
      await done;
      const read = await backend.get('a');
      expect(read && textOf(read.value)).toBe('before');
      read?.value.fill(0);
      expect(await textAt('a')).toBe('before');
      const kept = await backend.get('a');
      for (let i = 0; i < 50; i++) {
        await backend.commit([put(`k${i}`), put('a', 'after!')]);
        await backend.get(`k${i}`);
      }
      expect(kept && textOf(kept.value)).toBe('before');
    });

    test('lists direct children in byte order, folders with a slash, an entry beside a folder of its name', async () => {
      const names = [
        'a',
        'a/',
        'a!',
        'a!/',
        'a-b',
        'a0',
        'B',
        '\u{e000}',
        '\u{ffff}',
        '\u{1f600}',
        'é',
        'z/',
      ];
      await backend.commit(
        names.flatMap((n) => (n.endsWith('/') ? [put(`f/${n}x`), put(`f/${n}y/z`)] : [put(`f/${n}`)])),
      );
      await backend.commit([put('e'), put('g/a')]);
      const bytes = [...names].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
      expect(await backend.list('f/')).toEqual(bytes);
      expect(await backend.list('')).toEqual(['e', 'f/', 'g/']);
      expect(await backend.list('f/a/')).toEqual(['x', 'y/']);
      expect(await backend.list('nothing/')).toEqual([]);
    });

    test('pages after any name, whether it exists or not', async () => {
      const names = ['a', 'a/', 'b', 'c/', 'd', '\u{1f600}'];
      await backend.commit(names.map((n) => put(`f/${n.endsWith('/') ? `${n}x` : n}`)));
      for (const after of [
        ...names,
        '',
        '0',
        'a.',
        'a/x',
        'a/zz',
        'aa',
        'bb',
        'c',
        'c/x',
        '~',
        '\u{e000}',
        'x'.repeat(3000),
      ])
        for (const limit of [0, 1, 2, 100])
          expect(await backend.list('f/', { after, limit })).toEqual(
            names.filter((n) => Buffer.compare(Buffer.from(n), Buffer.from(after)) > 0).slice(0, limit),
          );
      expect(await backend.list('f/', { limit: 3 })).toEqual(names.slice(0, 3));
    });

    test('commits all or nothing, and names the first check that does not hold', async () => {
      const revision = await backend.commit([put('a', '1'), put('b', '1')]);
      const head = await backend.head();
      const checks: Check[] = [
        { key: 'a', revision },
        { key: 'c', revision: 0 },
        { key: 'b', revision: revision + 7 },
        { key: 'a', revision: 0 },
      ];
      const error = await backend
        .commit([put('a', '2'), drop('b'), put('n', '2')], checks)
        .catch((e: unknown) => e);
      expect(isFailure(error, 'storage.conflict') && error.data).toBe('b');
      expect([await textAt('a'), await textAt('b'), await textAt('n')]).toEqual(['1', '1', undefined]);
      expect(await backend.head()).toBe(head);
      await backend.commit([put('a', '2')], checks.slice(0, 2));
      expect(await textAt('a')).toBe('2');
    });

    test('tests conditions without writing, and that changes nothing', async () => {
      const revision = await backend.commit([put('a')]);
      expect(await backend.commit([], [{ key: 'a', revision }])).toBe(revision);
      await expect(backend.commit([], [{ key: 'a', revision: 0 }])).rejects.toMatchObject({
        code: 'storage.conflict',
      });
      expect(await backend.head()).toBe(revision);
    });

    test('revisions rise and none is used twice, over deletion, creation and reopening', async () => {
      const seen: number[] = [];
      for (let i = 0; i < 3; i++) {
        seen.push(await backend.commit([put('a', `${i}`), put('b')]));
        expect([await revisionOf('a'), await revisionOf('b')]).toEqual([seen.at(-1), seen.at(-1)]);
        seen.push(await backend.commit([drop('a')]));
        expect(await revisionOf('a')).toBe(0);
        if (opened.reopen === undefined) continue;
        backend = await opened.reopen();
        expect(await backend.head()).toBe(seen.at(-1));
        expect([await textAt('a'), await textAt('b')]).toEqual([undefined, 'b']);
      }
      expect(seen).toEqual([...new Set(seen)].sort((x, y) => x - y));
    });

    test('of many writers with the same condition exactly one wins, and its value stays', async () => {
      for (let round = 0; round < 5; round++) {
        const revision = await revisionOf('a');
        const tries = await Promise.allSettled(
          Array.from({ length: 20 }, (_, i) => backend.commit([put('a', `${i}`)], [{ key: 'a', revision }])),
        );
        const won = tries.flatMap((t, i) => (t.status === 'fulfilled' ? [i] : []));
        expect(won).toHaveLength(1);
        expect(await textAt('a')).toBe(`${won[0]}`);
      }
    });

    test('a key named twice in one commit takes its last write', async () => {
      await backend.commit([put('a', '1'), put('a', '2'), put('b'), drop('b')]);
      expect([await textAt('a'), await textAt('b')]).toEqual(['2', undefined]);
    });

    test('a scan is one snapshot, in byte order, while writes go on', async () => {
      const keys = Array.from(
        { length: 700 },
        (_, i) => `s/${String(i).padStart(4, '0')}${i % 3 ? '' : '/x'}`,
      );
      await backend.commit([...keys.map((key) => put(key, 'old')), put('r'), put('t')]);
      const found: Entry[] = [];
      for await (const entry of backend.scan('s/', never)) {
        if (found.length % 100 === 0)
          await backend.commit([put(keys.at(-1) ?? '', 'new'), drop(keys[650] ?? ''), put('s/9', 'new')]);
        found.push(entry);
      }
      expect(found.map((entry) => entry.key)).toEqual(keys);
      expect(found.every((entry) => textOf(entry.value) === 'old')).toBe(true);
    });

    test('an aborted scan throws the reason, so that it cannot pass for a whole one', async () => {
      await backend.commit([put('a'), put('b')]);
      const stop = new AbortController();
      const reason = new Error('enough');
      const scan = async () => {
        for await (const _ of backend.scan('', stop.signal)) stop.abort(reason);
      };
      await expect(scan()).rejects.toBe(reason);
      await expect(scan()).rejects.toBe(reason);
    });

    test('the feed gives each change once, in order, those to come as well, and not a failed commit', async () => {
      const start = await backend.head();
      await backend.commit([put('a'), put('b')]);
      await backend.commit([put('x')], [{ key: 'a', revision: 0 }]).catch(() => {});
      await backend.commit([drop('a')]);
      const seen: Change[] = [];
      const stop = new AbortController();
      const follow = (async () => {
        for await (const change of backend.changes(start, stop.signal)) {
          seen.push(change);
          if (seen.length === 2) void backend.commit([put('c')]);
          if (seen.length === 3) return;
        }
      })();
      await follow;
      expect(seen.map((change) => [...change.keys].sort())).toEqual([['a', 'b'], ['a'], ['c']]);
      expect(seen.map((change) => change.revision)).toEqual(
        seen.map((c) => c.revision).sort((x, y) => x - y),
      );
      const last = seen.at(-1)?.revision ?? 0;
      expect(last).toBe(await backend.head());
      const waiting = backend.changes(last, stop.signal)[Symbol.asyncIterator]().next();
      stop.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
    });

    test('the feed is gone for a revision that is no longer kept, and for one that never was', async () => {
      const next = (after: number) => backend.changes(after, never)[Symbol.asyncIterator]().next();
      await expect(next((await backend.head()) + 1)).rejects.toBeInstanceOf(Gone);
      await backend.commit([put('a')]);
      await expect(next(-1)).rejects.toBeInstanceOf(Gone);
      if (opened.reopen === undefined) return;
      backend = await opened.reopen();
      await backend.commit([put('a')]);
      if (opened.remembers === true)
        expect((await next(0)).value).toMatchObject({ revision: 1, keys: ['a'] });
      else await expect(next(0)).rejects.toBeInstanceOf(Gone);
    });

    test('keeps names up to the limit, and refuses longer ones and those that are no UTF-8, whole', async () => {
      const longest = `${'é'.repeat(KEY_LIMIT / 2 - 1)}/z`;
      const sibling = `${longest.slice(0, -1)}y`;
      await backend.commit([put(longest, '1'), put(sibling, '2')]);
      expect([await textAt(longest), await textAt(sibling)]).toEqual(['1', '2']);
      expect(await backend.list(longest.slice(0, -1))).toEqual(['y', 'z']);
      for (const bad of [`${longest}x`, 'x'.repeat(10_000), '\ud800', 'a\udc00b']) {
        await expect(backend.commit([put('beside'), put(bad)])).rejects.toMatchObject({
          code: 'storage.key',
        });
        expect(await backend.get(bad)).toBeUndefined();
        expect(await backend.list(`${bad}/`)).toEqual([]);
        await expect(backend.commit([], [{ key: bad, revision: 0 }])).resolves.toBe(await backend.head());
      }
      expect(await backend.get('beside')).toBeUndefined();
    });

    test('once closed it refuses everything, ends its watches, and has kept what was asked for before', async () => {
      const watched: string[] = [];
      const watch = (async () => {
        for await (const { keys } of backend.changes(await backend.head(), never)) watched.push(...keys);
      })();
      const ended = expect(watch).rejects.toMatchObject({ code: 'storage.closed' });
      const last = backend.commit([put('a')]);
      await backend.close();
      expect(await last).toBeGreaterThan(0);
      await ended;
      expect(watched.every((key) => key === 'a')).toBe(true);
      const closed = { code: 'storage.closed' };
      await expect(backend.get('a')).rejects.toMatchObject(closed);
      await expect(backend.list('')).rejects.toMatchObject(closed);
      await expect(backend.commit([put('a')])).rejects.toMatchObject(closed);
      await expect(backend.scan('', never)[Symbol.asyncIterator]().next()).rejects.toMatchObject(closed);
    });

    test('does what an obvious model does, whatever is asked of it in whatever order', async () => {
      const segment = fc.constantFrom('a', 'b', 'a!', 'a0', '\u{e000}', '\u{1f600}', '');
      const key = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
      const write = fc.oneof(
        fc.record({ key, value: fc.uint8Array({ maxLength: 4 }) }),
        key.map((k): Write => drop(k)),
      );
      const check = fc.record({ key, right: fc.boolean() });
      const step = fc.oneof(
        fc.record({ writes: fc.array(write, { maxLength: 4 }), checks: fc.array(check, { maxLength: 2 }) }),
        fc.record({
          prefix: fc.array(segment, { maxLength: 2 }).map((p) => p.map((s) => `${s}/`).join('')),
          after: fc.option(key, { nil: undefined }),
          limit: fc.option(fc.nat(4), { nil: undefined }),
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const model = new Map<string, { value: Uint8Array; revision: number }>();
          const leftover: Write[] = [];
          for await (const { key: old } of backend.scan('', never)) leftover.push(drop(old));
          await backend.commit(leftover);
          for (const s of steps) {
            if ('writes' in s) {
              const checks = s.checks.map((c) => ({
                key: c.key,
                revision: (model.get(c.key)?.revision ?? 0) + (c.right ? 0 : 1),
              }));
              const broken = s.checks.find((c) => !c.right);
              const result = await backend.commit(s.writes, checks).catch((e: unknown) => e);
              if (broken !== undefined) {
                expect(isFailure(result, 'storage.conflict') && result.data).toBe(broken.key);
                continue;
              }
              for (const w of s.writes) {
                if ('value' in w) model.set(w.key, { value: w.value, revision: Number(result) });
                else model.delete(w.key);
              }
            } else {
              const { prefix, after, limit } = s;
              const page = {
                ...(after === undefined ? {} : { after }),
                ...(limit === undefined ? {} : { limit }),
              };
              expect(await backend.list(prefix, page)).toEqual(
                children([...model.keys()], prefix, after, limit),
              );
            }
          }
          const found: Entry[] = [];
          for await (const entry of backend.scan('', never)) found.push(entry);
          const keys = [...model.keys()].sort(compareBytes);
          expect(found.map((e) => e.key)).toEqual(keys);
          for (const entry of found) {
            expect(Buffer.from(entry.value)).toEqual(Buffer.from(model.get(entry.key)?.value ?? []));
            expect(entry.revision).toBe(model.get(entry.key)?.revision);
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}

/** `list`, the slow and obvious way. */
function children(keys: string[], prefix: string, after?: string, limit?: number): string[] {
  const names = new Set(
    keys.filter((k) => k.startsWith(prefix)).map((k) => /^[^/]*\/?/.exec(k.slice(prefix.length))?.[0] ?? ''),
  );
  return [...names]
    .sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)))
    .filter((n) => after === undefined || Buffer.compare(Buffer.from(n), Buffer.from(after)) > 0)
    .slice(0, limit);
}
