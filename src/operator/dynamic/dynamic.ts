/** Issued credentials, wired: what answers for them, what keeps them, and what has each looked at. */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Kube, KubeObject } from '../../kube/kube.ts';
import type { Queue } from '../../kube/queue.ts';
import type { LessorEnv } from '../../provider/issuer.ts';
import type { ProviderType } from '../../provider/provider.ts';
import { externalSecretSpec } from '../api/externalsecret.ts';
import { EXTERNAL_SECRETS } from '../api/resources.ts';
import type { Caches } from '../caches.ts';
import type { Connections } from '../connections.ts';
import { needsOf } from '../controllers/externalsecret/rules/data.ts';
import { follows } from '../controllers/externalsecret/rules/refresh.ts';
import type { Demands } from '../demand.ts';
import { DynamicAnswers } from './answers.ts';
import { LeaseKeeper } from './keeper.ts';
import type { Subject } from './lease.ts';
import type { Facts } from './plan.ts';
import { ownerKey } from './record.ts';

export interface DynamicOptions extends Pick<LessorEnv, 'wayOut' | 'resolve'> {
  readonly kube: Kube;
  readonly caches: Pick<Caches, 'leases' | 'syncReports' | 'externalSecrets'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly providers: readonly ProviderType[];
  readonly connections: Connections;
  readonly queue: Queue;
  readonly demands: Demands;
  /** The operator's own. */
  readonly namespace: string;
  readonly graceMs?: number;
}

/** What is found at the start is looked at over this time, a little for each. */
const START_MS = 30_000;
const START_STEP_MS = 10;

export function createDynamic(options: DynamicOptions): {
  readonly answers: DynamicAnswers;
  readonly keeper: LeaseKeeper;
} {
  const { kube, caches, queue, demands, random, namespace } = options;
  const plan = (name: string, afterMs: number): void =>
    queue.add(`Lease/${namespace}/${name}`, 'lease', afterMs);
  const keeper = new LeaseKeeper({
    ...options,
    records: caches.leases,
    use: (subject, signal) => useOf(options, subject, signal),
    wake(owner) {
      const key = ownerKey(owner);
      demands.add(key);
      queue.add(key, 'lease');
    },
    plan,
  });
  const answers = new DynamicAnswers({
    kube,
    keeper,
    namespace,
    connections: options.connections,
    records: caches.leases,
    reports: caches.syncReports,
  });
  caches.leases.onChange(({ old, new: now }) => {
    if (now === undefined) return;
    const many = caches.leases.size;
    plan(now.metadata.name, old === undefined ? random() * Math.min(START_MS, many * START_STEP_MS) : 0);
  });
  caches.externalSecrets.onChange(({ old, new: now }) => {
    const uid = (now ?? old)?.metadata.uid ?? '';
    if (now === undefined) answers.forget(uid);
    if (now !== undefined && old !== undefined && face(old) === face(now)) return;
    for (const { metadata } of caches.leases.byIndex('owner', uid)) plan(metadata.name, 0);
  });
  return { answers, keeper };
}

/** What of an ExternalSecret decides over its credentials. */
const face = ({ metadata }: KubeObject): string =>
  `${metadata.uid} ${metadata.generation} ${metadata.deletionTimestamp ?? ''}`;

/** What is watched may be behind: that an owner is gone is only believed when it was looked for. */
async function useOf(
  { kube, caches }: DynamicOptions,
  { owner, id }: Subject,
  signal: AbortSignal,
): Promise<Pick<Facts, 'owner' | 'follows'>> {
  const isOwner = (object: KubeObject | undefined): object is KubeObject =>
    object?.metadata.uid === owner.uid && object.metadata.deletionTimestamp === undefined;
  const { namespace, name } = owner;
  const known = caches.externalSecrets.get(namespace, name);
  const object = isOwner(known)
    ? known
    : await kube.get({ resource: EXTERNAL_SECRETS, namespace, name }, signal);
  if (!isOwner(object)) return { owner: 'gone', follows: false };
  const spec = externalSecretSpec.safeParse(object['spec']);
  // A mistake in a manifest is no reason to end what it used.
  if (!spec.success) return { owner: 'uses', follows: false };
  const named = needsOf(spec.data).some((need) => need.id === id);
  return { owner: named ? 'uses' : 'unused', follows: follows(spec.data) };
}
