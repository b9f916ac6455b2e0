import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { ExpiryIndex } from './expiry.ts';

/** Lets everything run that was begun. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a caller may do between two moments: give a thing a time, another one, or none; wait; start again. */
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('due' as const),
      id: fc.nat(7),
      ms: fc.integer({ min: 1, max: 90_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('never' as const), id: fc.nat(7) }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('restart' as const) }) },
);

test('whatever is given a time, another one or none, ends once, in the order of the times, and never before its own', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      const storage = new MemoryBackend();
      const clock = new ManualClock();
      const due = new Map<string, number>();
      const ended: { id: string; due: number; at: number }[] = [];
      let index!: ExpiryIndex;
      const start = async (): Promise<void> => {
        index = new ExpiryIndex({ storage, clock, log: silentLog });
        index.handle('thing', async (id) => {
          const at = due.get(id);
          // The entries are hints: the thing itself says when it is due.
          if (at === undefined || at > clock.now()) return at;
          due.delete(id);
          ended.push({ id, due: at, at: clock.now() });
          return undefined;
        });
        await index.start();
      };
      const set = async (id: string, to: number | undefined): Promise<void> => {
        await storage.commit(index.moved('thing', id, due.get(id), to));
        if (to === undefined) due.delete(id);
        else due.set(id, to);
        index.noted(to);
      };
      const wait = async (ms: number): Promise<void> => {
        // One moment after the other, so that what is armed anew in between is seen.
        for (let left = ms; left > 0; left -= 500) {
          clock.advance(Math.min(500, left));
          await settled();
        }
      };

      await start();
      for (const one of steps) {
        if (one.what === 'due') await set(String(one.id), clock.now() + one.ms);
        else if (one.what === 'never') await set(String(one.id), undefined);
        else if (one.what === 'wait') await wait(one.ms);
        else {
          index.stop();
          await start();
        }
        // Nothing that is due is left waiting, but for the moment in which it is looked at.
        for (const at of due.values()) expect(at).toBeGreaterThan(clock.now() - 1);
      }
      await wait(100_000);

      expect([...due]).toEqual([]);
      expect(await storage.list('expire/')).toEqual([]);
      for (const { due: wanted, at } of ended) expect(at).toBeGreaterThanOrEqual(wanted);
      for (const { due: wanted, at } of ended) expect(at - wanted).toBeLessThanOrEqual(500);
      const order = ended.map(({ due: wanted }) => wanted);
      expect(order).toEqual([...order].sort((a, b) => a - b));
      index.stop();
    }),
    { numRuns: 60 },
  );
}, 60_000);
