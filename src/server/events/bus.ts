/**
 * The bus: one ring of the last events, and subscribers that are no more than a place in it. A subscriber that falls out
 * of the ring is told `Gone` and sweeps; nobody slow can make the server hold more than the ring. Delivery is at least
 * once: commits may be told of out of their order, so whoever resumes is given again what it could have missed.
 */

import type { Clock } from '../../base/clock.ts';
import { globMatches } from '../../base/glob.ts';
import { Gone } from '../../storage/storage.ts';
import type { EventBus, ServerEvent, Subscription } from './events.ts';

export interface EventBusOptions {
  /** Events that are kept for those who resume, and that a subscriber may lag behind. */
  readonly ringSize: number;
  readonly clock: Clock;
  /** The store's revision when the bus begins. Without it, nobody can resume until something was published. */
  readonly head?: number;
}

export interface RingBus extends EventBus {
  /** Forgets everything and sends every subscriber away: after a seal, an unseal or a change of leader. */
  reset(head: number): void;
  readonly subscribers: number;
}

export function createEventBus({ ringSize, clock, head }: EventBusOptions): RingBus {
  if (!Number.isInteger(ringSize) || ringSize < 1) throw new RangeError('ringSize is a whole number above 0');
  let ring: ServerEvent[] = [];
  /** How many events were dropped from the front of the ring, ever: index of `ring[0]` among all. */
  let dropped = 0;
  /** Nothing after this revision has been lost; absent: unknown. */
  let floor = head;
  let generation = 0;
  const waiting = new Set<() => void>();
  let subscribers = 0;

  const wake = (): void => {
    const all = [...waiting];
    waiting.clear();
    for (const go of all) go();
  };

  /** The index from which a subscriber reads. */
  const start = (after: number | undefined): number => {
    const end = dropped + ring.length;
    if (after === undefined) return end;
    // Not after the last but after the first event of that revision: one commit may have told of several changes.
    const known = ring.findIndex((event) => event.revision === after);
    if (known !== -1) return dropped + known + 1;
    if (floor === undefined || after < floor) throw new Gone(`nothing is known since revision ${after}`);
    const later = ring.findIndex((event) => event.revision > after);
    return later === -1 ? end : dropped + later;
  };

  const more = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const go = (): void => {
        waiting.delete(go);
        signal.removeEventListener('abort', go);
        resolve();
      };
      waiting.add(go);
      signal.addEventListener('abort', go, { once: true });
      if (signal.aborted) go();
    });

  async function* read(subscription: Subscription, from: number, mine: number): AsyncGenerator<ServerEvent> {
    const { type, judge, signal } = subscription;
    let at = from;
    subscribers++;
    try {
      while (!signal.aborted) {
        if (generation !== mine || at < dropped)
          throw new Gone('the events were dropped before they were read');
        const event = ring[at - dropped];
        if (event === undefined) {
          await more(signal);
          continue;
        }
        at++;
        if (!globMatches(type, event.type)) continue;
        // Asked now and not when it was published: policies may have changed while it waited here.
        const verdict = judge(event);
        if (verdict === 'close') return;
        if (verdict === 'send') yield event;
      }
    } finally {
      subscribers--;
    }
  }

  return {
    publish(event) {
      floor ??= event.revision;
      ring.push(event.at > 0 ? event : { ...event, at: clock.now() });
      // Half a ring is dropped at once, so that a publish costs the same however long the ring is.
      if (ring.length >= 2 * ringSize) {
        const gone = ring.splice(0, ring.length - ringSize);
        dropped += gone.length;
        floor = gone.reduce((top, { revision }) => Math.max(top, revision), floor);
      }
      wake();
    },
    subscribe(subscription) {
      const mine = generation;
      let from: number;
      try {
        from = start(subscription.after);
      } catch (error) {
        return {
          [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
        };
      }
      // The place is taken now, not at the first read: what is published in between must not be missed.
      return read(subscription, from, mine);
    },
    reset(revision) {
      generation++;
      dropped += ring.length;
      ring = [];
      floor = revision;
      wake();
    },
    get subscribers() {
      return subscribers;
    },
  };
}
