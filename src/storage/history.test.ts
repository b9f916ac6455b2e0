import { expect, test } from 'vitest';
import { History } from './history.ts';
import { Gone } from './storage.ts';

const never = new AbortController().signal;
const open = () => undefined;

test('a watcher that fell behind what is kept is told so, one that keeps up misses nothing', async () => {
  const history = new History(10);
  const slow = history.follow(10, never, open);
  const seen: number[] = [];
  const fast = (async () => {
    for await (const { revision } of history.follow(10, never, open)) {
      seen.push(revision);
      if (revision === 30_010) return;
    }
  })();
  for (let revision = 11; revision <= 30_010; revision++) {
    history.add({ revision, keys: ['a'] });
    if (revision % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await fast;
  expect(seen).toEqual(Array.from({ length: 30_000 }, (_, i) => i + 11));
  await expect(slow.next()).rejects.toBeInstanceOf(Gone);
  expect((await history.follow(30_009, never, open).next()).value?.revision).toBe(30_010);
});
