/**
 * One leader among several operators, by a Lease of coordination.k8s.io. Another's hold is judged by when we last saw it
 * change, on our own monotonic clock, so that clocks that differ elect nobody twice; a leader that cannot renew stops
 * leading before anybody else may begin.
 */

import type { Clock } from '../base/clock.ts';
import { asFailure, isFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { bagOf } from '../base/shape.ts';
import { pause } from './cache.ts';
import type { Kube, KubeObject, Name, Resource } from './kube.ts';

export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/** How a Lease is held. */
export interface LeasePace {
  /** How long a hold lasts without renewal. Default 15 s. */
  readonly leaseMs?: number;
  /** After how long without renewal the holder stops; less than `leaseMs`. Default 10 s. */
  readonly renewMs?: number;
  /** Between looks. Default 2 s. */
  readonly retryMs?: number;
}

/** The pace, with what is not said as it is by default. */
export const paceOf = ({
  leaseMs = 15_000,
  renewMs = 10_000,
  retryMs = 2000,
}: LeasePace): Required<LeasePace> => ({ leaseMs, renewMs, retryMs });

export interface ElectionOptions extends LeasePace {
  readonly kube: Pick<Kube, 'get' | 'create' | 'update'>;
  readonly namespace: string;
  readonly name: string;
  /** Unlike any other's: the pod's name and a random part. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The work of the leader: must end soon after its signal is aborted. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
}

/** Stands for election until the signal is aborted or the leader's work ends by itself; gives the lease back at the end. */
export async function runAsLeader(options: ElectionOptions, signal: AbortSignal): Promise<void> {
  const { kube, clock, log, identity } = options;
  const { leaseMs, renewMs, retryMs } = paceOf(options);
  const lease: Name = { resource: LEASES, namespace: options.namespace, name: options.name };
  let seen: { readonly version: string; readonly at: number } | undefined;

  const spec = (old: Readonly<Record<string, unknown>>, transitions: number) => ({
    ...old,
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(leaseMs / 1000),
    renewTime: microTime(clock.now()),
    ...(old['holderIdentity'] === identity
      ? {}
      : { acquireTime: microTime(clock.now()), leaseTransitions: transitions }),
  });

  /** Takes or renews the lease; false where another holds it. */
  const acquire = async (): Promise<boolean> => {
    const found = await kube.get(lease, signal);
    if (found === undefined) {
      const metadata = { name: options.name, namespace: options.namespace };
      await kube.create(lease, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata,
        spec: spec({}, 0),
      });
      return true;
    }
    const held = specOf(found);
    const holder = typeof held['holderIdentity'] === 'string' ? held['holderIdentity'] : '';
    const version = found.metadata.resourceVersion ?? '';
    if (seen?.version !== version) seen = { version, at: clock.monotonic() };
    const span = Math.max(leaseMs, Number(held['leaseDurationSeconds']) * 1000 || 0);
    if (holder !== '' && holder !== identity && clock.monotonic() - seen.at < span) return false;
    const transitions = (Number(held['leaseTransitions']) || 0) + 1;
    await kube.update(lease, { ...found, spec: spec(held, transitions) });
    return true;
  };

  const tryAcquire = async (): Promise<boolean> => {
    try {
      return await acquire();
    } catch (error) {
      if (isFailure(error, 'kube.conflict') || isFailure(error, 'kube.exists')) return false;
      if (!signal.aborted)
        log.warn('the lease could not be taken', { lease: options.name, reason: asFailure(error).message });
      return false;
    }
  };

  const release = async (): Promise<void> => {
    try {
      const found = await kube.get(lease);
      if (found === undefined || specOf(found)['holderIdentity'] !== identity) return;
      await kube.update(lease, {
        ...found,
        spec: { ...specOf(found), holderIdentity: '', leaseDurationSeconds: 1 },
      });
    } catch (error) {
      log.warn('the lease was not given back; it runs out by itself', { reason: asFailure(error).message });
    }
  };

  while (!signal.aborted) {
    // Counted from before the request: a slow answer must not make the hold look longer than others see it.
    let renewed = clock.monotonic();
    if (!(await tryAcquire())) {
      await pause(clock, retryMs, signal);
      continue;
    }
    log.info('leading', { lease: options.name, identity });
    const term = new AbortController();
    const end = (): void => term.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const work = options.lead(term.signal).finally(() => term.abort());
    const settled = work.then(
      () => undefined,
      (error: unknown) => error,
    );
    while (!term.signal.aborted) {
      // The deadline is kept by the clock, not by the request: one that hangs must not let us lead past our hold.
      const stop = clock.after(renewMs - (clock.monotonic() - renewed), () => term.abort());
      await pause(clock, retryMs, term.signal);
      const began = clock.monotonic();
      if (!term.signal.aborted && (await unlessAborted(tryAcquire(), term.signal))) renewed = began;
      stop();
      if (clock.monotonic() - renewed >= renewMs) term.abort();
    }
    signal.removeEventListener('abort', end);
    const error = await settled;
    const lost = clock.monotonic() - renewed >= renewMs;
    if (!lost) await release();
    if (error !== undefined && !signal.aborted) throw error;
    if (!lost) return;
    log.warn('no longer leading', { lease: options.name });
  }
}

/** What the promise gives, or false as soon as the signal is aborted. The promise must not reject. */
function unlessAborted(promise: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = (): void => resolve(false);
    signal.addEventListener('abort', stop, { once: true });
    void promise.then((value) => {
      signal.removeEventListener('abort', stop);
      resolve(value);
    });
  });
}

const specOf = (lease: KubeObject) => bagOf(lease['spec']);

/** MicroTime: RFC 3339 with exactly six digits, which the API insists on. */
export const microTime = (at: number): string => new Date(at).toISOString().replace('Z', '000Z');
