import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCron } from '../../base/cron.ts';
import { nextRotation, readSchedule } from './timing.ts';

const at = (text: string): number => Date.parse(`2026-06-${text}:00Z`);
const weekly = (windowMs: number, since = at('01T00:00')) => ({ schedule: '0 3 * * SAT', windowMs, since });
const HOUR = 3_600_000;

describe('the next rotation', () => {
  it('comes a period after the last one, in the past where it was missed', () => {
    expect(nextRotation({ periodMs: HOUR }, at('01T00:00'), at('09T00:00'))).toBe(at('01T01:00'));
  });

  it.each([
    ['before the first time', weekly(0), '01T00:00', '02T00:00', '06T03:00'],
    ['missed, without a window', weekly(0), '01T00:00', '10T12:00', '06T03:00'],
    ['missed, and the window is open', weekly(2 * HOUR), '01T00:00', '06T04:59', '06T03:00'],
    ['missed, and the window has closed', weekly(2 * HOUR), '01T00:00', '06T05:00', '13T03:00'],
    ['missed twice, and the second window is open', weekly(2 * HOUR), '01T00:00', '13T03:30', '13T03:00'],
    ['done within the window', weekly(2 * HOUR), '06T03:10', '06T04:00', '13T03:00'],
    ['done by hand before its time', weekly(2 * HOUR), '05T10:00', '05T10:00', '06T03:00'],
    [
      'a schedule that is new makes up for nothing',
      weekly(0, at('08T00:00')),
      '01T00:00',
      '08T00:00',
      '13T03:00',
    ],
  ])('%s', (_, timing, rotated, now, expected) => {
    expect(nextRotation(timing, at(rotated), at(now))).toBe(at(expected));
  });

  it('of a schedule is one of its times, and never lies in a window that has closed', () => {
    const cron = parseCron('*/7 */5 * * *');
    const time = fc.integer({ min: at('01T00:00'), max: at('28T00:00') });
    fc.assert(
      fc.property(time, time, fc.integer({ min: 1, max: 48 }), (rotatedAt, now, hours) => {
        const timing = { schedule: '*/7 */5 * * *', windowMs: hours * HOUR, since: at('01T00:00') };
        const next = nextRotation(timing, rotatedAt, now);
        expect(cron?.matches(next)).toBe(true);
        expect(next).toBeGreaterThan(rotatedAt);
        expect(next > now || now < next + timing.windowMs).toBe(true);
      }),
    );
  });
});

it.each(['* * * *', '0 0 30 2 *', '', 'CRON_TZ=Europe/Berlin 0 0 * * *'])('%j is no schedule', (text) => {
  expect(readSchedule(text)).toBeUndefined();
});
