import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AT_ONCE, afterFailure, Gate, HEALTHY, type Health, roomAt } from './gate.ts';

const LONGEST_PAUSE = 30_000;

describe('a mount that fails', () => {
  test('is never left alone for longer than half a minute, nor asked by more than one while it fails', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            wait: fc.nat(120_000),
            took: fc.nat(60_000),
            random: fc.double({ min: 0, max: 0.999, noNaN: true }),
          }),
          { minLength: 1, maxLength: 60 },
        ),
        (tries) => {
          let now = 0;
          let health: Health = HEALTHY;
          for (const { wait, took, random } of tries) {
            now += wait;
            const began = now;
            const room = roomAt(health, 0, now);
            expect(room).toBe(
              health.pauses === 0 ? Number.POSITIVE_INFINITY : now < health.pausedUntil ? 0 : 1,
            );
            expect(roomAt(health, 1, now)).toBe(health.pauses === 0 ? Number.POSITIVE_INFINITY : 0);
            now += took;
            health = afterFailure(health, { began, now, reason: 'away' }, () => random);
            expect(health.pausedUntil - now).toBeLessThanOrEqual(LONGEST_PAUSE);
            expect(health.reason).toBe('away');
          }
        },
      ),
    );
  });

  test('pauses after five failures in a row, and those that were under way then make the pause no longer', () => {
    let health = HEALTHY;
    for (let i = 0; i < 4; i++) health = afterFailure(health, { began: 0, now: 1, reason: '' });
    expect(health.pauses).toBe(0);
    for (let i = 0; i < AT_ONCE; i++) health = afterFailure(health, { began: 0, now: 2, reason: '' });
    expect(health.pauses).toBe(1);
    expect(health.pausedUntil).toBeLessThanOrEqual(1002);
  });
});

test('no more than so many pass at once, in the order in which they came, and a failure gives its place away', async () => {
  const gate = new Gate();
  let inside = 0;
  let most = 0;
  const order: number[] = [];
  const all = Array.from({ length: 5 * AT_ONCE }, (_, i) =>
    gate
      .pass(async () => {
        order.push(i);
        most = Math.max(most, ++inside);
        await new Promise((resume) => setImmediate(resume));
        inside--;
        if (i % 3 === 0) throw new Error('away');
      })
      .catch(() => {}),
  );
  await Promise.all(all);
  expect(most).toBe(AT_ONCE);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(gate.size).toBe(0);
});
