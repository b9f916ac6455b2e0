import { describe, expect, test } from 'vitest';
import { windowsAllow } from './window.ts';

const at = (text: string): Date => new Date(text);

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
