/** How the operator runs: alone, as one of several that share the work, or as the one of several that leads. */

import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Kube } from '../../kube/kube.ts';
import { runReplica } from '../../operator/leadership/run.ts';
import type { Operator } from '../../operator/options.ts';
import { ALL, type Share } from '../../operator/schedule/share.ts';

/** `alone`: nobody else works on the same cluster, and no Lease says so. */
export type Replicas = 'alone' | 'leader' | 'shards';

export interface Running {
  /** The operator that works now; undefined while another replica leads. */
  readonly operator: Operator | undefined;
  /** Resolves when what is watched was listed once, or when another leads and this one waits. */
  readonly ready: Promise<void>;
  /** Resolves when what was begun has ended, after the signal. Rejects with what the work broke on. */
  readonly ended: Promise<void>;
}

const GROUP = 'holdfast-operator';

/** @param build makes an operator over this Kubernetes API, for this share of the work */
export function runOperator(
  mode: Replicas,
  build: (kube: Kube, share: Share) => Operator,
  given: {
    readonly kube: Kube;
    /** Where the Leases are: the operator's own. */
    readonly namespace: string;
    readonly podName: string | undefined;
    readonly clock: Clock;
    readonly log: Log;
  },
  signal: AbortSignal,
): Running {
  if (mode === 'alone') {
    const operator = build(given.kube, ALL);
    return { operator, ended: operator.start(signal), ready: operator.ready(signal) };
  }
  const { kube, namespace, clock, log } = given;
  // Whoever waits for what is watched waits for this signal, too; that many listeners are no leak.
  setMaxListeners(0, signal);
  // A pod that is made again under its name is another replica.
  const identity = `${given.podName || hostname()}_${randomBytes(4).toString('hex')}`;
  let current: Operator | undefined;
  let listed: (ready: Promise<void>) => void = () => {};
  let failed: (error: unknown) => void = () => {};
  const first = new Promise<void>((resolve, reject) => {
    listed = resolve;
    failed = reject;
  });
  const group = mode === 'leader' ? `${GROUP}-leader` : GROUP;
  const ended = runReplica(
    { kube, mode, namespace, group, identity, clock, log },
    build,
    signal,
    (operator) => {
      current = operator;
      if (operator !== undefined) listed(operator.ready(signal));
    },
  );
  first.catch(() => {});
  ended.then(() => failed(failure('base.internal')), failed);
  return {
    get operator() {
      return current;
    },
    ended,
    // Whoever waits for another to end is as ready as it will be: else a rollout would wait for it for ever.
    ready: mode === 'leader' ? Promise.resolve() : first,
  };
}
