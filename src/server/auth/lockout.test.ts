import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { LOCKOUT, Lockout } from './lockout.ts';

const MINUTE = 60_000;
let clock: ManualClock;
let lockout: Lockout;
const fail = (times: number, alias = 'bob') => {
  for (let n = 0; n < times; n++) lockout.failed('userpass_1', alias);
};
const locked = (alias = 'bob') => lockout.locked('userpass_1', alias);

beforeEach(() => {
  clock = new ManualClock();
  lockout = new Lockout(clock);
});

describe('a name', () => {
  it('is locked by the fifth failure in a row, on that mount alone', () => {
    fail(4);
    expect(locked()).toBe(false);
    fail(1);
    expect(locked()).toBe(true);
    expect(lockout.locked('userpass_2', 'bob')).toBe(false);
    expect(locked('alice')).toBe(false);
  });

  it('is free again after fifteen minutes to the millisecond, with five tries more', () => {
    fail(5);
    clock.advance(15 * MINUTE - 1);
    expect(locked()).toBe(true);
    clock.advance(1);
    expect(locked()).toBe(false);
    fail(4);
    expect(locked()).toBe(false);
    fail(1);
    expect(locked()).toBe(true);
  });

  it('stays locked when somebody sets the wall clock, and is not locked longer by what was in flight', () => {
    fail(5);
    clock.jump(24 * 60 * MINUTE);
    expect(locked()).toBe(true);
    clock.advance(14 * MINUTE);
    fail(3);
    clock.advance(MINUTE);
    expect(locked()).toBe(false);
  });

  it('is forgiven what lies back too long, and everything by a success or an administrator', () => {
    fail(4);
    clock.advance(15 * MINUTE);
    fail(4);
    expect(locked()).toBe(false);
    lockout.succeeded('userpass_1', 'bob');
    fail(4);
    expect(locked()).toBe(false);
    fail(1);
    expect(lockout.list()).toMatchObject([{ accessor: 'userpass_1', alias: 'bob' }]);
    expect(lockout.unlock('userpass_1', 'bob')).toBe(true);
    expect([locked(), lockout.list()]).toEqual([false, []]);
  });
});

it('each mount has the rules that are made for it, and none where it is turned off', () => {
  const strict = { ...LOCKOUT, threshold: 2, durationMs: 60_000 };
  lockout = new Lockout(clock, LOCKOUT, (accessor) =>
    accessor === 'strict' ? strict : { ...LOCKOUT, threshold: Number.POSITIVE_INFINITY },
  );
  for (let n = 0; n < 100; n++) lockout.failed('off', 'bob');
  expect(lockout.locked('off', 'bob')).toBe(false);
  lockout.failed('strict', 'bob');
  expect(lockout.locked('strict', 'bob')).toBe(false);
  lockout.failed('strict', 'bob');
  expect(lockout.locked('strict', 'bob')).toBe(true);
  clock.advance(60_000);
  expect(lockout.locked('strict', 'bob')).toBe(false);
});

it('a flood of names is bounded, and does not free those that are locked', () => {
  lockout = new Lockout(clock, { ...LOCKOUT, names: 100 });
  fail(5);
  for (let n = 0; n < 1000; n++) lockout.failed('userpass_1', `guess ${n}`);
  expect(locked()).toBe(true);
  for (let n = 0; n < 1000; n++) fail(5, `other ${n}`);
  expect(lockout.list()).toHaveLength(100);
});
