/**
 * A lease as it is stored, and under which names.
 *
 * Layout: lease/id/<hash of the lease id>, lease/token/<token hash>/<hash>, lease/mount/<mount uuid>/<hash>,
 * lease/path/<lease id>, and lease/irrevocable/<hash> for one that cannot be taken back; what ends when is in the expiry
 * index. All of them are written in the same commits.
 */

import { sha256 } from '../../base/bytes.ts';
import type { Milliseconds } from '../../base/duration.ts';
import type { Json } from '../../base/json.ts';

/** Times in milliseconds since the epoch. */
export interface LeaseEntry {
  readonly id: string;
  readonly mountUuid: string;
  readonly handler: string;
  readonly state: Json;
  readonly tokenHash: string;
  readonly issuedAt: number;
  readonly lastRenewalAt?: number;
  readonly expiresAt: number;
  readonly maxTtlMs: Milliseconds;
  readonly renewable: boolean;
  /** Taking it back was tried in vain. */
  readonly trouble?: Trouble;
}

/** How taking a lease back has failed so far. It is tried again nevertheless, until it is done or a person forgets it. */
export interface Trouble {
  readonly attempts: number;
  readonly since: number;
  readonly lastAt: number;
  /** What the last attempt said. */
  readonly reason: string;
  /** It has failed so often and for so long that somebody should look. */
  readonly irrevocable: boolean;
}

/** Stands for the holder of leases that no stored token holds. */
export const UNHELD = 'none';

/** As upstream counts: six attempts, which its distances make some ten minutes. */
const ATTEMPTS = 6;
const LONG_MS = 600_000;
/** What a database says may be long, and is kept for each lease. */
const REASON_LENGTH = 240;

/** The trouble after one more attempt failed at `now`. */
export function oneMore(before: Trouble | undefined, now: number, reason: string): Trouble {
  const attempts = (before?.attempts ?? 0) + 1;
  const since = before?.since ?? now;
  return {
    attempts,
    since,
    lastAt: now,
    reason: reason.slice(0, REASON_LENGTH),
    irrevocable: before?.irrevocable === true || (attempts >= ATTEMPTS && now - since >= LONG_MS),
  };
}

export const hashOf = (id: string): string => sha256(id).toString('hex');
export const idKey = (id: string): string => keyOfHash(hashOf(id));
export const keyOfHash = (hash: string): string => `lease/id/${hash}`;
export const tokenFolder = (tokenHash: string): string => `lease/token/${tokenHash}/`;
export const mountFolder = (mountUuid: string): string => `${MOUNTS}${mountUuid}/`;
export const pathKey = (id: string): string => `lease/path/${id}`;
export const pathFolder = (prefix: string): string => `lease/path/${prefix === '' ? '' : `${prefix}/`}`;
export const MOUNTS = 'lease/mount/';
export const IRREVOCABLE = 'lease/irrevocable/';
/** The name of a lease in the expiry index: its hash, and the mount, of which only so much may be under way. */
export const dueId = ({ id, mountUuid }: Pick<LeaseEntry, 'id' | 'mountUuid'>): string =>
  `${hashOf(id)}.${mountUuid}`;
