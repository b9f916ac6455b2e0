/**
 * The work shared among replicas: each holds a Lease of its own, sees those of the others, and works on what it wins among
 * them. One that cannot renew stops before any other may think it gone. See `view.ts` for why no key has two.
 */

import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { asFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { bagOf } from '../../base/shape.ts';
import { pause } from '../../kube/cache.ts';
import type { Kube, KubeObject, Name } from '../../kube/kube.ts';
import { LEASES, type LeasePace, microTime, paceOf } from '../../kube/lease.ts';
import type { Share } from '../schedule/share.ts';
import { isOurs, type Listed, type Member, View } from './view.ts';

export interface ShardsOptions extends LeasePace {
  readonly kube: Pick<Kube, 'list' | 'create' | 'patch' | 'delete'>;
  /** Where the Leases are. */
  readonly namespace: string;
  /** Replicas that share work have it in common; their Leases are named after it. A label's value. */
  readonly group: string;
  /** For people who look at the Leases: the pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Resolves when nothing is worked on any more that is not owned by the measure it is given. */
export type Drained = (owns: (key: string) => boolean) => Promise<void>;

export interface Shards extends Share {
  /** Whether our Lease holds: else nothing may be written. */
  readonly holds: boolean;
  /** How many replicas share the work, this one included; 0 while we are cut off. */
  readonly members: number;
  /** Takes part until the signal is aborted; then resolves. To be called once, beside the work. */
  run(drained: Drained, signal: AbortSignal): Promise<void>;
  /** Gives the Lease back: the others go on at their next look. To be called when all work has ended. */
  leave(): Promise<void>;
}

const LABEL = 'holdfast.dev/replicas-of';
const COUNTS = 'holdfast.dev/counts-in';
/** A Lease that nobody renews any more is taken away after so many times its length. */
const FORGOTTEN = 4;

export function createShards(options: ShardsOptions): Shards {
  const { kube, namespace, group, identity, clock, log } = options;
  const { leaseMs, renewMs, retryMs } = paceOf(options);
  const view = new View(leaseMs);
  const listeners: (() => void)[] = [];
  /** The Lease of this life; undefined before the first, and once it is lost. */
  let self: string | undefined;
  let renewed = Number.NEGATIVE_INFINITY;
  /** Undefined until a list was made in this life. */
  let others: readonly Member[] | undefined;
  /** Those whom we count in: what we lost to them has ended. */
  let counts: readonly string[] = [];
  let picture = '';

  const holds = (): boolean => self !== undefined && clock.monotonic() - renewed < renewMs;
  const owns = (key: string): boolean =>
    self !== undefined && others !== undefined && holds() && isOurs(key, self, others);

  const leaseOf = (name: string): Name => ({ resource: LEASES, namespace, name });
  const content = () => ({
    metadata: { annotations: { [COUNTS]: counts.join(',') } },
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      renewTime: microTime(clock.now()),
    },
  });

  const list = async (): Promise<readonly Listed[]> => {
    const { items } = await kube.list({ resource: LEASES, namespace, labelSelector: `${LABEL}=${group}` });
    return items.map(read);
  };

  /** A new life, which works on nothing yet: so it can count in all who are there from its first word on. */
  const begin = async (): Promise<void> => {
    const born = `${group}-${randomBytes(8).toString('hex')}`;
    counts = (await list()).map(({ name }) => name).sort();
    const began = clock.monotonic();
    const { metadata, spec } = content();
    await kube.create(leaseOf(born), {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: born, namespace, labels: { [LABEL]: group }, ...metadata },
      spec: { ...spec, acquireTime: spec.renewTime },
    });
    self = born;
    renewed = began;
  };

  const renew = async (name: string): Promise<void> => {
    const began = clock.monotonic();
    await kube.patch(leaseOf(name), content());
    if (self === name) renewed = began;
  };

  /** After our own Lease was written in this life: whoever is not in this list finds us in its own. */
  const look = async (drained: Drained, name: string): Promise<void> => {
    const asked = clock.monotonic();
    const { living, silent } = view.look(await list(), name, asked, clock.monotonic());
    others = living;
    const names = living.map((member) => member.name).sort();
    if (names.every((one) => counts.includes(one))) counts = names;
    else void countIn(names, living, drained, name);
    const now = JSON.stringify([name, living.map((member) => [member.name, member.counts.includes(name)])]);
    if (now !== picture) {
      picture = now;
      log.info('replicas share the work', { members: living.length + 1, identity });
      for (const listener of listeners) listener();
    }
    for (const { lease, forMs } of silent)
      if (forMs > FORGOTTEN * Math.max(leaseMs, lease.durationMs))
        await kube.delete(leaseOf(lease.name), { resourceVersion: lease.resourceVersion });
  };

  /** In the background: our Lease has to be renewed, however long the last reconcile takes. */
  const countIn = async (
    names: readonly string[],
    living: readonly Member[],
    drained: Drained,
    name: string,
  ): Promise<void> => {
    await drained(owns);
    if (others !== living || self !== name) return;
    counts = names;
    try {
      await renew(name);
    } catch (error) {
      log.debug('who was counted in is told at the next renewal', { reason: asFailure(error).message });
    }
  };

  const step = async (drained: Drained): Promise<void> => {
    if (self !== undefined && !holds()) lose('it could not be renewed');
    if (self === undefined) {
      // What was begun in the old life must have ended before there is a new one.
      await drained(() => false);
      await begin();
    } else await renew(self);
    if (self !== undefined) await look(drained, self);
  };

  const lose = (reason: string): void => {
    log.warn('this replica lost its Lease and stopped working', { identity, lease: self ?? '', reason });
    self = undefined;
    others = undefined;
  };

  return {
    owns,
    onGain: (listener) => void listeners.push(listener),
    get holds() {
      return holds();
    },
    get members() {
      return holds() && others !== undefined ? others.length + 1 : 0;
    },

    async run(drained, signal) {
      while (!signal.aborted) {
        try {
          await step(drained);
        } catch (error) {
          const known = asFailure(error);
          if (known.code === 'kube.missing' && self !== undefined) lose('somebody deleted it');
          else log.warn('the Lease of this replica was not renewed', { identity, reason: known.message });
        }
        await pause(clock, retryMs, signal);
      }
    },

    async leave() {
      const last = self;
      self = undefined;
      if (last === undefined) return;
      try {
        await kube.delete(leaseOf(last));
      } catch (error) {
        log.warn('the Lease was not given back; it runs out by itself', { reason: asFailure(error).message });
      }
    },
  };
}

function read({ metadata, spec }: KubeObject): Listed {
  const counts = metadata.annotations?.[COUNTS] ?? '';
  return {
    name: metadata.name,
    resourceVersion: metadata.resourceVersion ?? '',
    durationMs: Number(bagOf(spec)['leaseDurationSeconds']) * 1000 || 0,
    counts: counts.split(',').filter((one) => one !== ''),
  };
}
