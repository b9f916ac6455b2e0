/** When what a server lent is made to last longer, and when it has to be made anew. Pure; times are milliseconds since 1970. */

import type { Life } from '../../provider/issuer.ts';

/** How long something lives: since it was granted, and until when. */
export interface Track {
  readonly from: number;
  readonly endsAt: number;
  readonly renewable: boolean;
}

export interface Lent {
  readonly issuedAt: number;
  /** Absent: it does not end. */
  readonly lease?: Track;
  /** Of the login that it hangs on. */
  readonly login?: Track;
  /** A certificate's own end. */
  readonly notAfter?: number;
}

/** A renewal that gives less than this part of what it asked for has met the longest life there is. */
const FULL = 0.9;

export const trackOf = ({ ms, renewable }: Life, now: number): Track | undefined =>
  ms === undefined ? undefined : { from: now, endsAt: now + ms, renewable };

/** The track after a renewal; one that gave less than was asked for is not asked again. */
export function renewedTrack(before: Track, life: Life, now: number): Track | undefined {
  const asked = before.endsAt - before.from;
  const full = life.ms === undefined || life.ms >= asked * FULL;
  return trackOf({ ms: life.ms, renewable: life.renewable && full }, now);
}

/**
 * Renewed at two thirds; made anew at two thirds where it is not renewable, at five sixths where a renewal should have
 * come first; a certificate at half its life.
 */
export function courseOf({ issuedAt, lease, login, notAfter }: Lent): {
  readonly renewAt?: number;
  readonly replaceAt?: number;
} {
  const renew: number[] = [];
  const replace: number[] = notAfter === undefined ? [] : [issuedAt + Math.max(0, notAfter - issuedAt) / 2];
  for (const track of [lease, login]) {
    if (track === undefined) continue;
    const life = track.endsAt - track.from;
    if (track.renewable) renew.push(track.from + (life * 2) / 3);
    replace.push(track.from + (track.renewable ? (life * 5) / 6 : (life * 2) / 3));
  }
  return {
    ...(renew.length === 0 ? {} : { renewAt: Math.min(...renew) }),
    ...(replace.length === 0 ? {} : { replaceAt: Math.min(...replace) }),
  };
}
