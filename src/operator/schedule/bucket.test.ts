import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bucket } from './bucket.ts';

const RATE = { perSecond: 10, burst: 20 };

/** Requests that are let through in a second that begins at `from`, asked for every 10 ms. */
function second(bucket: Bucket, from: number): number {
  let through = 0;
  for (let now = from; now < from + 1000; now += 10) {
    if (bucket.waitMs(now) > 0) continue;
    bucket.take(now);
    through++;
  }
  return through;
}

test('after a rest a burst goes through, and then so many a second', () => {
  const bucket = new Bucket(RATE, 0);
  expect(second(bucket, 0)).toBe(29);
  expect(second(bucket, 1000)).toBe(10);
  expect(second(bucket, 60_000)).toBe(29);
});

test('a store that says "too many" is asked at half the rate, and is at its full rate again a minute later', () => {
  const bucket = new Bucket(RATE, 0);
  second(bucket, 0);
  bucket.limited(1000);
  bucket.limited(1001);
  expect(second(bucket, 1000)).toBeLessThanOrEqual(5);
  for (let at = 2000; at < 62_000; at += 1000) second(bucket, at);
  expect(second(bucket, 62_000)).toBe(10);
});

test('however often a store says so, it is asked now and then', () => {
  const bucket = new Bucket(RATE, 0);
  for (let at = 0; at < 100_000; at += 1000) bucket.limited(at);
  expect(bucket.waitMs(100_000)).toBeLessThanOrEqual(2000);
});

test('waiting for as long as it says is always enough, unless others were quicker', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constant('take'), fc.constant('limited'), fc.nat(5000)), { maxLength: 60 }),
      (steps) => {
        const bucket = new Bucket(RATE, 0);
        let now = 0;
        for (const step of steps) {
          if (step === 'take') bucket.take(now);
          else if (step === 'limited') bucket.limited(now);
          else now += step as number;
        }
        const wait = bucket.waitMs(now);
        expect(bucket.waitMs(now + wait)).toBe(0);
        expect(bucket.free(now + wait)).toBeGreaterThan(0);
      },
    ),
  );
});
