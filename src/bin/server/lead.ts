/**
 * The lead over a store that several processes could open. One process has it; a second one waits a while, because the
 * lease of a process that was killed still runs, and then gives up. Who cannot renew the lease in time must end: its
 * caches could tell what another one has changed, or revoked, since.
 */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Failure, failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { sleep } from '../../base/retry.ts';
import type { Leadership } from '../../storage/leadership.ts';

export interface LeadOptions {
  /** Where this node is reached; its host and process stand in where nothing is configured. */
  readonly address: string;
  readonly log: Log;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Told once, when the lead is lost: the caller ends what it serves at once. */
  readonly lost: (reason: Failure) => void;
  readonly ttlMs?: number;
}

/** Long enough for a database that is started anew; a process that was killed keeps others out for as long. */
const TTL_MS = 30_000;
/** How often within a lease it is renewed. */
const RENEWALS = 6;
const RETRY_MS = 1000;

/**
 * Waits for the lead, and then keeps it until it is given back.
 * @returns what ends the keeping; the lead itself is given up by closing the store
 * @throws Failure storage.led naming who has it, once a lease must have ended; storage.database; the signal's reason
 */
export async function takeLead(leadership: Leadership, options: LeadOptions): Promise<() => void> {
  const { log, signal, ttlMs = TTL_MS } = options;
  const node = { id: randomUUID(), address: options.address || `${hostname()}, process ${process.pid}` };
  const until = performance.now() + ttlMs + 2 * RETRY_MS;
  for (let told = false; (await leadership.campaign(node, ttlMs)) === undefined; ) {
    const leader = (await leadership.leader())?.address ?? 'unknown';
    if (performance.now() >= until) throw failure('storage.led', { leader });
    if (!told) log.warn('another process leads the store: waiting for its lease to end', { leader, ttlMs });
    told = true;
    await sleep(RETRY_MS, signal);
  }
  log.info('leading the store', { id: node.id });
  return keepLead(leadership, log, ttlMs, options.lost);
}

function keepLead(
  leadership: Leadership,
  log: Log,
  ttlMs: number,
  lost: (reason: Failure) => void,
): () => void {
  const stop = new AbortController();
  const lose = (reason: Failure): void => {
    if (stop.signal.aborted) return;
    stop.abort();
    lost(reason);
  };
  const renew = async (): Promise<void> => {
    for (;;) {
      await sleep(ttlMs / RENEWALS, stop.signal);
      try {
        if (!(await leadership.renew())) return lose(failure('storage.fenced'));
      } catch (error) {
        log.warn('the lease over the store was not renewed, and is tried again', { error });
      }
    }
  };
  // A renewal may hang as long as a statement: the end of the lease is looked at beside it.
  const watch = setInterval(
    () => {
      if (!leadership.holds()) lose(failure('storage.fenced'));
    },
    ttlMs / (4 * RENEWALS),
  );
  watch.unref();
  stop.signal.addEventListener('abort', () => clearInterval(watch), { once: true });
  // It ends by being stopped, which rejects the wait.
  renew().catch(() => {});
  return () => stop.abort();
}
