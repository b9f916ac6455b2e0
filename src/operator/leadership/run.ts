/** An operator of several replicas: sharing the work, or one of them at a time. */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Kube } from '../../kube/kube.ts';
import { type LeasePace, runAsLeader } from '../../kube/lease.ts';
import type { Operator } from '../options.ts';
import { ALL, type Share } from '../schedule/share.ts';
import { fenced } from './fence.ts';
import { createShards } from './shards.ts';

export interface ReplicasOptions extends LeasePace {
  readonly kube: Kube;
  /** `shards`: all of them work. `leader`: one does, and the others wait for it to end. */
  readonly mode: 'shards' | 'leader';
  /** Where the Leases are. */
  readonly namespace: string;
  /** Replicas that belong together have it in common: it names their Leases. */
  readonly group: string;
  /** Unlike any other replica's: the pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Works until the signal is aborted; resolves when what was begun has ended and the Lease is given back.
 * @param build makes an operator over this Kubernetes API, for this share; called anew each time that this one leads
 * @param status is told the operator that works now, and undefined when none does
 */
export async function runReplica(
  options: ReplicasOptions,
  build: (kube: Kube, share: Share) => Operator,
  signal: AbortSignal,
  status: (operator: Operator | undefined) => void = () => {},
): Promise<void> {
  const work = async (operator: Operator, until: AbortSignal): Promise<void> => {
    const working = operator.start(until);
    status(operator);
    try {
      await working;
    } finally {
      status(undefined);
    }
  };
  if (options.mode === 'leader') {
    const { group: name, ...rest } = options;
    while (!signal.aborted)
      await runAsLeader(
        {
          ...rest,
          name,
          lead: (term) =>
            work(
              build(
                fenced(options.kube, () => !term.aborted),
                ALL,
              ),
              term,
            ),
        },
        signal,
      );
    return;
  }
  const shards = createShards(options);
  const operator = build(
    fenced(options.kube, () => shards.holds),
    shards,
  );
  const stopping = new AbortController();
  const sharing = shards.run((owns) => operator.drained(owns), stopping.signal);
  try {
    await work(operator, signal);
  } finally {
    stopping.abort();
    await sharing;
    await shards.leave();
  }
}
