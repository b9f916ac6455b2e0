/**
 * What a node does with a request, and with an answer that is ready, by what it is at that moment. Pure: gathered facts go in,
 * one word comes out.
 */

import type { Place } from '../follow/reach.ts';

/** What a node is. `between`: it is becoming the one or the other. */
export type Role = 'leading' | 'following' | 'between';

export type Course =
  /** Answered here, from this node's own services. */
  | 'answer'
  /** Answered here, once the store's changes up to now are known. */
  | 'follow'
  /** The leader is asked. */
  | 'forward'
  /** Nobody can answer at this moment. */
  | 'wait';

export interface Facts {
  readonly role: Role;
  /** Whether this node's lease surely stands. */
  readonly holds: boolean;
  /** Undefined where this node cannot tell, because its services are not open. */
  readonly place: Place | undefined;
}

export function courseOf({ role, holds, place }: Facts): Course {
  if (place === 'node') return 'answer';
  if (role === 'leading') return holds ? 'answer' : 'wait';
  if (role === 'between') return 'wait';
  return place === 'follower' ? 'follow' : 'forward';
}

/**
 * What becomes of an answer of the leader's own.
 * @param held whether the lease of the same tenure stands now, after the answer was made
 * @param repeatable whether asking again changes nothing
 */
export function fateOf({
  held,
  repeatable,
}: {
  readonly held: boolean;
  readonly repeatable: boolean;
}): 'told' | 'again' | 'unknown' {
  if (held) return 'told';
  return repeatable ? 'again' : 'unknown';
}
