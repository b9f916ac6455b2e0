/**
 * Changes as servers tell them: one subscription per server, under the operator's own identity. An event is a hint, never
 * data: it names a path and a version, and whoever reads that path reads it again with its store's own identity. A socket
 * that breaks is opened again from the last revision heard; where the server no longer has that, everything is swept.
 */

import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Backoff, backoff } from '../base/retry.ts';
import { RIGHTS_CHANGED } from '../client/events.ts';
import { pause } from '../kube/cache.ts';

/** An event as `client/events.ts` gives it. */
export type PushEvent =
  | {
      readonly revision: number;
      readonly path: string;
      readonly dataPath?: string;
      readonly version?: number;
      readonly type: string;
      readonly traceparent?: string;
    }
  | { readonly gone: true };

/** Opens a subscription of one server, says when nothing is missed from now on, and ends or throws when the socket does. */
export type Subscribe = (
  server: string,
  options: { readonly after?: number; readonly signal: AbortSignal; opened(): void },
) => AsyncIterable<PushEvent>;

export interface PushOptions {
  readonly subscribe: Subscribe;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /**
   * @param version the current one after the change; @param wrote whether the change made that version
   * @param traceparent the span in which it was changed, as the server told it
   */
  changed(
    server: string,
    path: string,
    version: number | undefined,
    wrote: boolean,
    traceparent?: string,
  ): void;
  /** What somebody may do on this server changed: whoever was refused there may be let in now. */
  rightsChanged(server: string): void;
  /** Changes may have been missed: read all that is kept on this server. */
  sweep(server: string): void;
  /** An open stream broke: the server may be down or sealed, and its stores should say so now, not at their next check. */
  lost(server: string): void;
  /** A stream is open again after it was lost: what failed meanwhile need not wait for its next try. */
  back(server: string): void;
}

const RECONNECT: Backoff = { baseMs: 250, maxMs: 5_000 };

export class Push {
  readonly #options: PushOptions;
  readonly #servers = new Map<string, Promise<void>>();
  readonly #opened = new Set<string>();
  #signal: AbortSignal | undefined;

  constructor(options: PushOptions) {
    this.#options = options;
  }

  /** From here on `watch` subscribes; what was asked before is subscribed now. */
  start(signal: AbortSignal): void {
    this.#signal = signal;
  }

  /** Subscribes to a server, once. */
  watch(server: string): void {
    const signal = this.#signal;
    if (signal === undefined || this.#servers.has(server)) return;
    this.#servers.set(server, this.#follow(server, signal));
  }

  /** Whether the stream of a server has been open: what it told then, it does not tell again. */
  opened(server: string): boolean {
    return this.#opened.has(server);
  }

  /** Resolves when all subscriptions have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#servers.values());
  }

  async #follow(server: string, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    // 0: what the server still remembers from before we were there; each event that we have read already is skipped.
    let after = 0 as number | undefined;
    let attempt = 0;
    let state = 'new' as 'new' | 'open' | 'lost';
    while (!signal.aborted) {
      // Without a place to go on from, whatever happened until the socket is open may have been missed.
      const missed = after === undefined;
      const opened = (): void => {
        this.#opened.add(server);
        if (missed) this.#options.sweep(server);
        if (state === 'lost') this.#options.back(server);
        state = 'open';
      };
      const given = { signal, opened, ...(after === undefined ? {} : { after }) };
      let gone = false;
      try {
        for await (const event of this.#options.subscribe(server, given)) {
          if ('gone' in event) {
            gone = true;
            break;
          }
          attempt = 0;
          // A server that numbers nothing cannot be resumed.
          after = event.revision === 0 ? undefined : event.revision;
          const { path, dataPath = path, version, traceparent } = event;
          if (event.type === RIGHTS_CHANGED) this.#options.rightsChanged(server);
          else this.#options.changed(server, dataPath, version, wrote(event), traceparent);
        }
      } catch (error) {
        if (signal.aborted) return;
        const known = asFailure(error);
        if (attempt === 0) log.warn('a server is not telling its changes', { server, reason: known.message });
      }
      if (state === 'open') {
        state = 'lost';
        if (!signal.aborted) this.#options.lost(server);
      }
      if (gone) {
        after = undefined;
        if (attempt++ === 0) continue;
      }
      if (!signal.aborted) await pause(clock, backoff(attempt++, RECONNECT, random), signal);
    }
  }
}

/** A deletion names the version that went: whoever has read that one is not up to date. */
const wrote = (event: Extract<PushEvent, { revision: number }>): boolean =>
  /^kv-v2\/data-(write|patch)$/.test(event.type);
