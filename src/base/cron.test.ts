import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCron } from './cron.ts';

const at = (text: string): number => Date.parse(text);

describe('a schedule', () => {
  const cases: [string, string, boolean][] = [
    ['* * * * *', '2026-06-01T12:34:00Z', true],
    ['*/15 * * * *', '2026-06-01T12:45:00Z', true],
    ['*/15 * * * *', '2026-06-01T12:46:00Z', false],
    ['0 9-17 * * MON-FRI', '2026-06-01T09:00:00Z', true],
    ['0 9-17 * * MON-FRI', '2026-06-06T09:00:00Z', false],
    ['0 0 * * 7', '2026-06-07T00:00:00Z', true],
    ['0 0 * * 0', '2026-06-07T00:00:00Z', true],
    ['0 0 1 JAN *', '2026-01-01T00:00:00Z', true],
    ['0 0 13 * FRI', '2026-06-13T00:00:00Z', true],
    ['0 0 13 * FRI', '2026-06-05T00:00:00Z', true],
    ['0 0 13 * FRI', '2026-06-06T00:00:00Z', false],
    ['5,10 1 * * *', '2026-06-06T01:10:00Z', true],
    ['@daily', '2026-06-06T00:00:00Z', true],
    ['@hourly', '2026-06-06T07:01:00Z', false],
  ];
  for (const [schedule, time, fits] of cases) {
    test(`${schedule} ${fits ? 'has' : 'has not'} ${time}`, () => {
      expect(parseCron(schedule)?.matches(at(time))).toBe(fits);
    });
  }

  for (const wrong of [
    '',
    '* * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '5-1 * * * *',
    '*/0 * * * *',
    '@often',
    'a * * * *',
  ]) {
    test(`${JSON.stringify(wrong)} is none`, () => expect(parseCron(wrong)).toBeUndefined());
  }

  test('no text breaks the reader', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const cron = parseCron(text);
        expect(cron === undefined || typeof cron.matches(at('2026-06-01T00:00:00Z')) === 'boolean').toBe(
          true,
        );
      }),
    );
  });

  test.each([
    ['* * * * *', '2026-06-01T12:34:00Z', '2026-06-01T12:35:00Z', '2026-06-01T12:34:00Z'],
    ['0 0 * * SAT', '2026-06-06T00:00:00Z', '2026-06-13T00:00:00Z', '2026-06-06T00:00:00Z'],
    ['30 23 31 12 *', '2026-12-31T23:30:59Z', '2027-12-31T23:30:00Z', '2026-12-31T23:30:00Z'],
    ['0 12 29 2 *', '2097-01-01T00:00:00Z', '2104-02-29T12:00:00Z', '2096-02-29T12:00:00Z'],
  ])('%s comes after %s at %s, and came by then at %s', (schedule, time, next, previous) => {
    expect(parseCron(schedule)?.next(at(time))).toBe(at(next));
    expect(parseCron(schedule)?.previous(at(time))).toBe(at(previous));
  });

  test('a day that never comes is not waited for', () => {
    expect(parseCron('0 0 30 2 *')?.next(at('2026-06-01T00:00:00Z'))).toBeUndefined();
    expect(parseCron('0 0 30 2 *')?.previous(at('2026-06-01T00:00:00Z'))).toBeUndefined();
  });

  test('between a time and the next of a schedule there is none, and what is next is one', () => {
    const part = (low: number, high: number) =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min: low, max: high }).map(String),
        fc.integer({ min: 1, max: 9 }).map((step) => `*/${step}`),
      );
    fc.assert(
      fc.property(
        fc.tuple(part(0, 59), part(0, 23), part(1, 28), part(1, 12), part(0, 6)),
        fc.integer({ min: at('2025-01-01T00:00:00Z'), max: at('2030-01-01T00:00:00Z') }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (fields, from, share) => {
          const cron = parseCron(fields.join(' '));
          const next = cron?.next(from);
          if (cron === undefined || next === undefined)
            throw new Error(`${fields.join(' ')} has no next time`);
          expect(next).toBeGreaterThan(from);
          expect(cron.matches(next)).toBe(true);
          expect(cron.previous(next)).toBe(next);
          const between = Math.ceil((from + (next - from) * share) / 60_000) * 60_000;
          if (between > from && between < next) expect(cron.matches(between)).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });
});
