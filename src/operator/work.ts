/** The work itself: each key of the queue to the controller of its kind, where it is this replica's, and what follows its end. */

import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Work as Item, type Queue, workOff } from '../kube/queue.ts';
import type { Outcome } from './executor.ts';
import type { Kind } from './kinds.ts';
import type { OperatorMetrics } from './observe/metrics.ts';
import type { Refusals } from './schedule/refusals.ts';
import type { Share } from './schedule/share.ts';
import type { Traffic } from './schedule/traffic.ts';

export interface WorkOptions {
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly queue: Queue;
  readonly traffic: Traffic;
  readonly refusals: Refusals;
  /** What of the work is this replica's. */
  readonly share: Share;
  /** Whether kinds that only compare are all that is worked on. */
  readonly inShadow: boolean;
  readonly metrics: OperatorMetrics | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1), for spreading. */
  readonly random: () => number;
}

export interface Work {
  /** Works with so many at once until the signal is aborted; resolves when what was begun has ended. */
  run(workers: number, signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is being worked on that is not owned by this measure. */
  drained(owns: (key: string) => boolean): Promise<void>;
}

/** A reconcile that lost a race looks again after this long. */
const STALE_MS = 50;
const RESULTS = { done: 'success', failed: 'error', stale: 'requeue' } as const;

export function createWork(options: WorkOptions): Work {
  const { kinds, queue, traffic, refusals, share, inShadow, metrics, clock, log, random } = options;
  /** By key: what decides over its replica, and its end. */
  const running = new Map<string, { readonly decides: string; readonly ended: Promise<void> }>();
  share.onGain(() => {
    for (const [kind, { cache, belongsTo }] of kinds)
      for (const object of cache.list()) {
        const { namespace = '', name } = object.metadata;
        const key = `${kind}/${namespace}/${name}`;
        if (share.owns(belongsTo?.(object) ?? key)) queue.add(key, 'pushed');
      }
  });

  const settled = (work: Item, outcome: Outcome): void => {
    const { key, since } = work;
    if (outcome.end === 'stale') return queue.add(key, 'pushed', STALE_MS, since);
    if (outcome.end === 'failed') return void queue.retry(key, spread(outcome.retryAfterMs ?? 0, random));
    queue.succeeded(key);
    refusals.forget(key);
    if (outcome.requeueAt === undefined) return;
    const { requeueAt, freshFrom = requeueAt } = outcome;
    const inMs = (at: Date): number => at.getTime() - clock.now();
    queue.add(key, 'periodic', inMs(requeueAt), clock.monotonic() + inMs(freshFrom));
  };

  const handle = async (work: Item, signal: AbortSignal): Promise<void> => {
    const { key } = work;
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const row = kinds.get(kind);
    if (row === undefined || (inShadow && row.inShadow !== true)) return queue.succeeded(key);
    const object = row.cache.get(namespace === '' ? undefined : namespace, name);
    const decides = (object === undefined ? undefined : row.belongsTo?.(object)) ?? key;
    // Another replica's, which was woken by the same change.
    if (!share.owns(decides)) {
      row.drop?.(key);
      refusals.forget(key);
      return queue.succeeded(key);
    }
    const leave = traffic.enter(object === undefined ? [] : (row.stores?.(object) ?? []), work);
    // It waits for a store, and is planned again when there is room.
    if (leave === undefined) return;
    metrics?.began(key, work.waitedMs);
    const done = row.reconcile(work, { namespace, name }, signal).then(
      (outcome) => {
        metrics?.ended(key, RESULTS[outcome.end]);
        settled(work, outcome);
      },
      (error: unknown) => {
        metrics?.ended(key, 'error');
        throw error;
      },
    );
    const ended = done.catch(() => {}).finally(() => running.delete(key));
    running.set(key, { decides, ended });
    try {
      await done;
    } finally {
      leave();
    }
  };

  return {
    run: (concurrency, signal) =>
      workOff(queue, {
        concurrency,
        signal,
        handle: (work) => handle(work, signal),
        failed: ({ key }, error) => {
          if (signal.aborted) return;
          const known = asFailure(error);
          const facts = { key, code: known.code, reason: known.message };
          if (known.code === 'base.internal') log.error('a reconcile broke', { ...facts, cause: error });
          else log.warn('a reconcile could not reach the cluster', facts);
          queue.retry(key);
        },
      }),
    async drained(owns) {
      const lost = [...running.values()].filter(({ decides }) => !owns(decides));
      await Promise.all(lost.map(({ ended }) => ended));
    },
  };
}

/** Those who were told the same time do not come back in the same moment. */
const spread = (ms: number, random: () => number): number => ms + random() * Math.min(ms / 4, 10_000);
