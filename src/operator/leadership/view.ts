/**
 * What one replica knows of the others, from the list of their Leases. Another's life is judged by when we last saw its
 * Lease change, on our own monotonic clock, and only at a list that was just made: clocks that differ, and an API server
 * that was away, let nobody look dead who is not.
 *
 * A key is ours when we win it among all who live, and each of the others has said that it counts us in. It says so only
 * once it has ended what it lost to us: so no two ever work on one key, however late they hear of each other.
 */

import { ownerOf } from './rendezvous.ts';

/** A Lease as it was listed. */
export interface Listed {
  /** One life of one replica: whoever lets its Lease run out comes back under another name. */
  readonly name: string;
  readonly resourceVersion: string;
  readonly durationMs: number;
  /** Those whom it counts in. */
  readonly counts: readonly string[];
}

export interface Member {
  readonly name: string;
  readonly counts: readonly string[];
}

interface Seen {
  readonly resourceVersion: string;
  /** When we first saw this version, monotonic. */
  readonly at: number;
}

export class View {
  readonly #leastMs: number;
  #seen = new Map<string, Seen>();

  /** @param leastMs how long a Lease lasts at least, whatever it says of itself */
  constructor(leastMs: number) {
    this.#leastMs = leastMs;
  }

  /**
   * The others, by a list of all Leases: those that live, and for how long the rest have not been heard of.
   * @param asked before the list was asked for; @param answered after it was answered, both monotonic
   */
  look(
    leases: readonly Listed[],
    self: string,
    asked: number,
    answered: number,
  ): {
    readonly living: readonly Member[];
    readonly silent: readonly { readonly lease: Listed; readonly forMs: number }[];
  } {
    const seen = new Map<string, Seen>();
    const living: Member[] = [];
    const silent: { lease: Listed; forMs: number }[] = [];
    for (const lease of leases) {
      if (lease.name === self) continue;
      const { name, resourceVersion, counts } = lease;
      const before = this.#seen.get(name);
      const now = before?.resourceVersion === resourceVersion ? before : { resourceVersion, at: answered };
      seen.set(name, now);
      const forMs = asked - now.at;
      if (forMs < Math.max(this.#leastMs, lease.durationMs)) living.push({ name, counts });
      else silent.push({ lease, forMs });
    }
    this.#seen = seen;
    return { living, silent };
  }
}

/** Whether a key is ours. */
export function isOurs(key: string, self: string, others: readonly Member[]): boolean {
  if (others.some(({ counts }) => !counts.includes(self))) return false;
  return ownerOf(key, [self, ...others.map(({ name }) => name)]) === self;
}
