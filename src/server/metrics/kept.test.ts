import { expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { keptFor } from './kept.ts';

const A = {};
const B = {};

test('a crowd makes one walk, and the next comes when the time is over', async () => {
  const clock = new ManualClock();
  let walks = 0;
  const numbers = keptFor(clock, 10_000, async () => ++walks);
  expect(await Promise.all(Array.from({ length: 50 }, () => numbers(A)))).toEqual(Array(50).fill(1));
  clock.advance(9_999);
  expect(await numbers(A)).toBe(1);
  clock.advance(1);
  expect(await numbers(A)).toBe(2);
});

test('a clock that a person sets makes nothing older or younger', async () => {
  const clock = new ManualClock();
  let walks = 0;
  const numbers = keptFor(clock, 10_000, async () => ++walks);
  await numbers(A);
  clock.jump(-86_400_000);
  clock.jump(172_800_000);
  expect(await numbers(A)).toBe(1);
});

test('what was opened anew is walked anew', async () => {
  const numbers = keptFor(new ManualClock(), 10_000, async (of: object) => (of === A ? 'a' : 'b'));
  expect([await numbers(A), await numbers(B)]).toEqual(['a', 'b']);
});

test('a walk that failed is told to who waited for it, and made again for the next', async () => {
  let walks = 0;
  const numbers = keptFor(new ManualClock(), 10_000, async () => {
    if (++walks === 1) throw new Error('sealed meanwhile');
    return walks;
  });
  const both = await Promise.allSettled([numbers(A), numbers(A)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await numbers(A)).toBe(2);
});
