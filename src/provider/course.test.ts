import { expect, test } from 'vitest';
import { courseOf, renewedTrack, trackOf } from './course.ts';

test('a certificate is made anew at half its life, and what does not end is left alone', () => {
  expect(courseOf({ issuedAt: 0, notAfter: 100 })).toEqual({ reissueAt: 50, endsAt: 100 });
  expect(courseOf({ issuedAt: 0 })).toEqual({});
  expect(courseOf({ issuedAt: 0, lease: trackOf({ ms: undefined, renewable: true }, 0) })).toEqual({});
});

test('a lease is renewed at two thirds, and made anew at five sixths where that failed or two thirds where it cannot be', () => {
  const lease = trackOf({ ms: 90, renewable: true }, 0);
  expect(courseOf({ issuedAt: 0, lease })).toEqual({ renewAt: 60, reissueAt: 75, endsAt: 90 });
  expect(courseOf({ issuedAt: 0, lease: { ...lease, renewable: false } })).toEqual({
    reissueAt: 60,
    endsAt: 90,
  });
  const login = trackOf({ ms: 30, renewable: true }, 0);
  expect(courseOf({ issuedAt: 0, lease, login })).toEqual({ renewAt: 20, reissueAt: 25, endsAt: 30 });
  expect(courseOf({ issuedAt: 0, lease, spentAt: 5 })).toEqual({ reissueAt: 5, endsAt: 90 });
});

test('a renewal that gives little is the last, also where each gives a little less than the one before', () => {
  const track = trackOf({ ms: 90, renewable: true }, 0);
  expect(renewedTrack(track, { ms: 30, renewable: true }, 60)).toEqual({
    from: 60,
    endsAt: 90,
    ms: 90,
    renewable: false,
  });
  const second = renewedTrack(track, { ms: 82, renewable: true }, 60);
  expect(second.renewable).toBe(true);
  expect(renewedTrack(second, { ms: 75, renewable: true }, 110).renewable).toBe(false);
  // As an earlier release kept it.
  const old = { from: 0, endsAt: 90, renewable: true };
  expect(renewedTrack(old, { ms: 30, renewable: true }, 60).renewable).toBe(false);
});

test('a renewal that says nothing of a track leaves its end, and is not asked for again', () => {
  const track = trackOf({ ms: 90, renewable: true }, 0);
  expect(renewedTrack(track, undefined, 60)).toEqual({ ...track, renewable: false });
});
