/**
 * When what a server lent is made to last longer, when a new one is made in its place, and when it ends. Pure; times are
 * milliseconds since 1970.
 */

import type { Life } from './issuer.ts';

/** How long something lives: since it was granted, and until when. */
export interface Track {
  readonly from: number;
  /** Undefined: it does not end. */
  readonly endsAt?: number | undefined;
  /** What it was granted for at first, which renewals ask for again. */
  readonly ms?: number | undefined;
  readonly renewable: boolean;
}

/** Something that was lent, and what it hangs on. */
export interface Lent {
  readonly issuedAt: number;
  readonly lease?: Track | undefined;
  /** Of the login that the lease hangs on. */
  readonly login?: Track | undefined;
  /** A certificate's own end. */
  readonly notAfter?: number | undefined;
  /** It is not renewed any more, since this time. */
  readonly spentAt?: number | undefined;
}

/** A renewal that gives less than this part of what it asked for has met the longest life there is. */
const FULL = 0.9;

/** What a life that was granted at `from` comes to. */
export const trackOf = ({ ms, renewable }: Life, from: number): Track => ({
  from,
  renewable,
  ...(ms === undefined ? {} : { ms, endsAt: from + ms }),
});

/**
 * The track after a renewal. What was given less than it asked for has met its longest life, and is not asked for again.
 * @param life undefined where the renewal said nothing of it
 */
export function renewedTrack(track: Track, life: Life | undefined, now: number): Track {
  // What was not renewed although it was due will not be the next time: without this, it would be due for ever.
  if (life === undefined) return { ...track, renewable: false };
  const asked = track.ms ?? (track.endsAt === undefined ? 0 : track.endsAt - track.from);
  const full = life.ms === undefined || life.ms >= asked * FULL;
  const next = trackOf({ ms: life.ms, renewable: life.renewable && full }, now);
  return asked === 0 ? next : { ...next, ms: asked };
}

/**
 * Renewed at two thirds of its life; made anew at two thirds where it is not renewable, at five sixths where a renewal
 * should have come first; a certificate at half its life. It ends with the first of what it hangs on.
 */
export function courseOf({ issuedAt, lease, login, notAfter, spentAt }: Lent): {
  readonly renewAt?: number;
  readonly reissueAt?: number;
  readonly endsAt?: number;
} {
  const renew: number[] = [];
  const reissue: number[] = spentAt === undefined ? [] : [spentAt];
  const ends: number[] = [];
  for (const track of [lease, login]) {
    if (track?.endsAt === undefined) continue;
    const life = track.endsAt - track.from;
    ends.push(track.endsAt);
    if (track.renewable && spentAt === undefined) renew.push(track.from + (life * 2) / 3);
    // Where renewals fail, there is still time for a new one.
    reissue.push(track.from + (track.renewable ? (life * 5) / 6 : (life * 2) / 3));
  }
  if (notAfter !== undefined) {
    ends.push(notAfter);
    reissue.push(issuedAt + Math.max(0, notAfter - issuedAt) / 2);
  }
  return {
    ...(renew.length === 0 ? {} : { renewAt: Math.min(...renew) }),
    ...(reissue.length === 0 ? {} : { reissueAt: Math.min(...reissue) }),
    ...(ends.length === 0 ? {} : { endsAt: Math.min(...ends) }),
  };
}
