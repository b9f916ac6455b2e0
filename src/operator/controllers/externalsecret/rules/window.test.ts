import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCron, windowsAllow } from './window.ts';

const at = (text: string): Date => new Date(text);

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
      expect(parseCron(schedule)?.(at(time))).toBe(fits);
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
        expect(cron === undefined || typeof cron(at('2026-06-01T00:00:00Z')) === 'boolean').toBe(true);
      }),
    );
  });
});

describe('windows', () => {
  const nightly = [{ schedule: '0 2 * * *', duration: '1h' }];
  test('an allowing window is open from its start until just before its end', () => {
    const allowed = (time: string): boolean => windowsAllow({ kind: 'allow', windows: nightly }, at(time));
    expect(allowed('2026-06-01T01:59:59Z')).toBe(false);
    expect(allowed('2026-06-01T02:00:00Z')).toBe(true);
    expect(allowed('2026-06-01T02:59:59Z')).toBe(true);
    expect(allowed('2026-06-01T03:00:00Z')).toBe(false);
  });
  test('a denying one is the other way round', () => {
    expect(windowsAllow({ kind: 'deny', windows: nightly }, at('2026-06-01T02:30:00Z'))).toBe(false);
    expect(windowsAllow({ kind: 'deny', windows: nightly }, at('2026-06-01T03:30:00Z'))).toBe(true);
  });
  test('a schedule or duration that cannot be read opens nothing', () => {
    expect(
      windowsAllow(
        { kind: 'allow', windows: [{ schedule: 'x', duration: '1h' }] },
        at('2026-06-01T02:30:00Z'),
      ),
    ).toBe(false);
    expect(
      windowsAllow(
        { kind: 'deny', windows: [{ schedule: '* * * * *', duration: 'x' }] },
        at('2026-06-01T02:30:00Z'),
      ),
    ).toBe(true);
  });
});
