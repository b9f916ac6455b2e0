/** Reconciles one DatabaseSecret: gather, plan, apply; and who is looked at again when something changes. */

import type { Clock } from '../../../base/clock.ts';
import type { Cache } from '../../../kube/cache.ts';
import type { Kube, KubeObject } from '../../../kube/kube.ts';
import type { Queue } from '../../../kube/queue.ts';
import { databaseSecretSpec } from '../../api/databasesecret.ts';
import { DATABASE_SECRETS, EXTERNAL_SECRETS } from '../../api/resources.ts';
import { issueOf } from '../../connections.ts';
import type { EventRecorder } from '../../events.ts';
import { apply, type Outcome } from '../../executor.ts';
import { specChanged } from '../../wakeups.ts';
import { plan } from './plan.ts';

export interface DatabaseSecretOptions {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly stores: Cache;
  readonly clusterStores: Cache;
}

export class DatabaseSecretController {
  readonly #options: DatabaseSecretOptions;

  constructor(options: DatabaseSecretOptions) {
    this.#options = options;
  }

  /** @throws Failure where the cluster does not answer */
  async reconcile(namespace: string, name: string, signal: AbortSignal): Promise<Outcome> {
    const { kube, clock, events, stores, clusterStores } = this.#options;
    const object = await kube.get({ resource: DATABASE_SECRETS, namespace, name }, signal);
    if (object === undefined) return { end: 'done' };
    const child = await kube.get({ resource: EXTERNAL_SECRETS, namespace, name }, signal);
    const parsed = databaseSecretSpec.safeParse(object['spec']);
    const spec = parsed.success ? parsed.data : { malformed: issueOf(parsed.error, 'spec') };
    const backend = parsed.success ? parsed.data.backend : '';
    // The namespace's own goes first: whoever names no kind means what is nearer.
    const isCluster =
      stores.get(namespace, backend) === undefined && clusterStores.get(undefined, backend) !== undefined;
    const kind = isCluster ? 'ClusterSecretStore' : 'SecretStore';
    const actions = plan({ object, spec, child, kind }, new Date(clock.now()));
    return apply(kube, events, { actions }, () => ({ actions: [] }));
  }
}

export interface Listening {
  readonly databaseSecrets: Cache;
  readonly externalSecrets: Cache;
  readonly stores: Cache;
  readonly clusterStores: Cache;
  readonly queue: Queue;
}

export function listenForDatabaseSecrets(given: Listening): void {
  const { databaseSecrets, externalSecrets, stores, clusterStores, queue } = given;
  const keyOf = ({ metadata }: KubeObject): string =>
    `${DATABASE_SECRETS.kind}/${metadata.namespace ?? ''}/${metadata.name}`;

  databaseSecrets.onChange(({ old, new: now }) => {
    if (now !== undefined && specChanged(old, now)) queue.add(keyOf(now), 'pushed');
    if (now === undefined && old !== undefined) queue.remove(keyOf(old));
  });

  // Its condition is that of its child, so each status is of interest.
  externalSecrets.onChange(({ old, new: now }) => {
    const { namespace, name } = (now ?? old)?.metadata ?? { name: '' };
    const parent = databaseSecrets.get(namespace, name);
    if (parent !== undefined) queue.add(keyOf(parent), 'pushed');
  });

  for (const cache of [stores, clusterStores])
    cache.onChange(({ old, new: now }) => {
      if (old !== undefined && now !== undefined) return;
      const { name } = (now ?? old)?.metadata ?? { name: '' };
      for (const object of databaseSecrets.byIndex('backend', name)) queue.add(keyOf(object), 'pushed');
    });
}
