import { describe, expect, test } from 'vitest';
import { Breaker } from './breaker.ts';

const opened = (): Breaker => {
  const breaker = new Breaker(() => 1);
  for (const read of ['a', 'b', 'c']) breaker.failed(read, 'api.unreachable', 0);
  return breaker;
};

describe('a store that does not answer', () => {
  test('is left alone after three different reads in a row, and the reason is kept', () => {
    const breaker = new Breaker(() => 1);
    breaker.failed('a', 'api.unreachable', 0);
    breaker.failed('b', 'api.unreachable', 0);
    expect(breaker.refusal(0)).toBeUndefined();
    breaker.failed('c', 'api.unavailable', 0);
    expect(breaker.refusal(0)).toEqual({ waitMs: 1000, code: 'api.unavailable' });
  });

  test('is not left alone for one read that fails for ever', () => {
    const breaker = new Breaker(() => 1);
    for (let i = 0; i < 20; i++) breaker.failed('a', 'api.unavailable', i);
    expect(breaker.refusal(20)).toBeUndefined();
  });

  test('is not left alone while anything is answered in between', () => {
    const breaker = new Breaker(() => 1);
    for (let i = 0; i < 20; i++) {
      breaker.failed(`a${i}`, 'api.unavailable', i);
      breaker.failed(`b${i}`, 'api.unavailable', i);
      breaker.answered();
    }
    expect(breaker.refusal(20)).toBeUndefined();
  });

  test('is asked by one at a time afterwards; the others go on when that one was answered', () => {
    const breaker = opened();
    expect(breaker.refusal(1000)).toBeUndefined();
    expect(breaker.refusal(1000)).toMatchObject({ waitMs: 500 });
    expect(breaker.answered()).toBe(true);
    expect(breaker.refusal(1001)).toBeUndefined();
    expect(breaker.refusal(1001)).toBeUndefined();
    expect(breaker.answered()).toBe(false);
  });

  test('is left alone for longer each time, and never for more than ten seconds', () => {
    const breaker = opened();
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      const wait = breaker.refusal(now)?.waitMs ?? 0;
      waits.push(wait);
      now += wait;
      expect(breaker.refusal(now)).toBeUndefined();
      breaker.failed('a', 'api.unreachable', now);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  test('does not wait for ever for a probe that never ends', () => {
    const breaker = opened();
    breaker.refusal(1000);
    expect(breaker.refusal(2000)).toBeDefined();
    expect(breaker.refusal(61_000)).toBeUndefined();
  });

  test('what was begun before it was left alone and fails afterwards makes nothing longer', () => {
    const breaker = opened();
    for (const read of ['d', 'e', 'f', 'g']) breaker.failed(read, 'api.unreachable', 900);
    expect(breaker.refusal(1000)).toBeUndefined();
  });
});

test('a store that names a time is left alone until then, but no header stops us for more than five minutes', () => {
  const breaker = new Breaker(() => 1);
  breaker.pause(30_000, 'api.limited', 0);
  expect(breaker.refusal(29_999)).toEqual({ waitMs: 1, code: 'api.limited' });
  expect(breaker.refusal(30_000)).toBeUndefined();
  breaker.pause(86_400_000, 'api.limited', 30_000);
  expect(breaker.refusal(30_000)?.waitMs).toBe(300_000);
});
