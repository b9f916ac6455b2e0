/** What is reconciled: a row for each kind, with the controller behind it. */

import { ceiling } from '../base/retry.ts';
import type { Cache } from '../kube/cache.ts';
import type { Kube, KubeObject } from '../kube/kube.ts';
import type { Queue, Work } from '../kube/queue.ts';
import { NO_WAY_OUT } from '../provider/egress.ts';
import { CLUSTER_SECRET_STORES, SECRET_STORES } from './api/resources.ts';
import { type Caches, storesRead } from './caches.ts';
import type { Connections } from './connections.ts';
import { ClusterKindController } from './controllers/clusterkinds/controller.ts';
import { CLUSTER_EXTERNAL_SECRET, CLUSTER_PUSH_SECRET } from './controllers/clusterkinds/kinds.ts';
import { listenForChildren } from './controllers/clusterkinds/wakeups.ts';
import { DatabaseSecretController } from './controllers/databasesecret/controller.ts';
import { ExternalSecretController } from './controllers/externalsecret/controller.ts';
import { GeneratorStateController } from './controllers/generatorstate/controller.ts';
import { PushSecretController } from './controllers/pushsecret/controller.ts';
import { pushKeysOf } from './controllers/pushsecret/keys.ts';
import { StoreController } from './controllers/secretstore/controller.ts';
import type { Demands, ReadIndex } from './demand.ts';
import type { createDynamic } from './dynamic/dynamic.ts';
import { ownerOf } from './dynamic/record.ts';
import type { EventRecorder } from './events.ts';
import type { Outcome } from './executor.ts';
import { Generators } from './generators/generators.ts';
import type { SyncTraces } from './observe/traces.ts';
import type { OperatorOptions } from './options.ts';
import type { Push } from './push.ts';
import type { Refusals } from './schedule/refusals.ts';
import type { Traffic } from './schedule/traffic.ts';
import type { Shadow } from './shadow/shadow.ts';
import { sweepKey } from './wakeups.ts';
import type { Written } from './written.ts';

/** A kind that is reconciled. */
export interface Kind {
  readonly cache: Cache;
  /** The places of the stores that one of its objects reads. */
  readonly stores?: (object: KubeObject) => readonly string[];
  /** Whether its reconcile compares only, in shadow; else it is left out there. */
  readonly inShadow?: true;
  /** The key of what an object belongs to: the replica of that one works on it, too. Absent: it belongs to nothing. */
  readonly belongsTo?: (object: KubeObject) => string | undefined;
  /** Forgets what is known of a key that is another replica's now. */
  readonly drop?: (key: string) => void;
  reconcile(
    work: Work,
    at: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<Outcome>;
}

/** What controllers share. */
export interface Parts {
  readonly options: OperatorOptions;
  /** Writes nothing, in shadow. */
  readonly kube: Kube;
  readonly controllerClass: string;
  readonly caches: Caches;
  readonly queue: Queue;
  readonly traffic: Traffic;
  readonly events: EventRecorder;
  readonly connections: Connections;
  readonly demands: Demands;
  readonly index: ReadIndex;
  readonly refusals: Refusals;
  readonly dynamic: ReturnType<typeof createDynamic>;
  readonly written: Written;
  readonly push: Push | undefined;
  readonly traces: SyncTraces | undefined;
  readonly shadow: Shadow | undefined;
}

/** Between the failures of one key: whatever was mended, in half a minute all is right again. */
export const RETRY = { baseMs: 1000, maxMs: 25_000 };

/** By kind. */
export function createKinds(parts: Parts): ReadonlyMap<string, Kind> {
  const { options, kube, controllerClass, caches, queue, events, connections, demands, index } = parts;
  const { traffic, refusals, dynamic, written, push, traces, shadow } = parts;
  const { clock, log, random, metrics } = options;
  const refused = (store: string, key: string, since: number): void => refusals.refused(store, key, since);
  const stores = new StoreController({
    kube,
    clock,
    connections,
    events,
    controllerClass,
    refused: (place, since) => refused(place, place, since),
    isHeld: (place) => caches.pushSecrets.byIndex('holds', place).length > 0,
    ...(options.storeInterval === undefined ? {} : { interval: options.storeInterval }),
  });
  const generators = new Generators({
    kube,
    clock,
    controllerClass,
    log,
    types: options.generators ?? [],
    ...(options.generatorGraceMs === undefined ? {} : { graceMs: options.generatorGraceMs }),
    wayOut: options.wayOut ?? NO_WAY_OUT,
    resolve: options.resolve,
    hasStates: ({ metadata }) => caches.generatorStates.byIndex('owner', metadata.uid ?? '').length > 0,
  });
  const databaseSecrets = new DatabaseSecretController({ kube, clock, events, ...caches });
  const generatorStates = new GeneratorStateController({
    kube,
    clock,
    generators,
    replace: ({ kind, namespace, name }) => {
      const key = `${kind}/${namespace}/${name}`;
      demands.add(key);
      queue.add(key, 'lease');
    },
  });
  const noted = written.noting(kube);
  const externalSecrets = new ExternalSecretController({
    generators,
    kube: traces?.kube(noted) ?? noted,
    written,
    caches,
    clock,
    connections,
    dynamic: traces?.answers(dynamic.answers) ?? dynamic.answers,
    controllerClass,
    demands,
    index,
    events,
    ...(shadow === undefined ? {} : { shadow }),
    envOf: ({ object }, now) => options.envOf(object, now),
    unheard: (key, places) => {
      // A stream that is not open yet tells from the beginning when it is.
      if (places.some(({ server }) => push?.opened(server))) sweepKey(key, queue, demands, index, random);
    },
    suspect: (store) => queue.add(store, 'pushed'),
    refused,
    companion: (key, since) => {
      demands.add(key);
      // Before what is still to be read: its answer is at hand, and not for long.
      queue.add(key, 'retry', 0, since);
    },
    hurry(keys) {
      for (const key of keys) queue.hurry(key);
      traffic.hurry(keys);
    },
    retryWithin: (key) => ceiling(queue.failures(key), RETRY),
    rotated: (since) => metrics?.rotated(clock.monotonic() - since),
  });
  const pushSecrets = new PushSecretController({
    kube,
    caches,
    clock,
    log,
    connections,
    controllerClass,
    demands,
    events,
    envOf: ({ object }, now) => options.envOf(object, now),
    generators,
    suspect: (store) => queue.add(store, 'pushed'),
    refused,
    retryWithin: (key) => ceiling(queue.failures(key), RETRY),
  });
  const clusterKinds = [
    {
      kind: CLUSTER_EXTERNAL_SECRET,
      parents: caches.clusterExternalSecrets,
      children: caches.externalSecrets,
    },
    { kind: CLUSTER_PUSH_SECRET, parents: caches.clusterPushSecrets, children: caches.pushSecrets },
  ].map((given) => {
    const all = { ...given, namespaces: caches.namespaces, queue, kube, clock, events };
    listenForChildren(all);
    return {
      kind: given.kind.resource.kind,
      cache: given.parents,
      controller: new ClusterKindController(all),
    };
  });

  return new Map(
    Object.entries({
      ...Object.fromEntries(
        clusterKinds.map(({ kind, cache, controller }) => [
          kind,
          {
            cache,
            reconcile: (_: Work, { name }: { readonly name: string }, signal: AbortSignal) =>
              controller.reconcile(name, signal),
          },
        ]),
      ),
      SecretStore: {
        cache: caches.stores,
        reconcile: (_, { namespace, name }, signal) =>
          stores.reconcile(SECRET_STORES, namespace, name, signal),
      },
      ClusterSecretStore: {
        cache: caches.clusterStores,
        reconcile: (_, { name }, signal) => stores.reconcile(CLUSTER_SECRET_STORES, undefined, name, signal),
      },
      ExternalSecret: {
        cache: caches.externalSecrets,
        stores: storesRead,
        inShadow: true,
        drop: (key) => {
          demands.forget(key);
          index.remove(key);
          traces?.forget(key);
        },
        reconcile: (work, { namespace, name }, signal) => {
          const sync = () => externalSecrets.reconcile(work, namespace, name, signal);
          return traces === undefined ? sync() : traces.sync(work.key, sync);
        },
      },
      DatabaseSecret: {
        cache: caches.databaseSecrets,
        reconcile: (_, { namespace, name }, signal) => databaseSecrets.reconcile(namespace, name, signal),
      },
      GeneratorState: {
        cache: caches.generatorStates,
        reconcile: (_, { namespace, name }, signal) => generatorStates.reconcile(namespace, name, signal),
      },
      Lease: {
        cache: caches.leases,
        belongsTo: ownerOf,
        reconcile: (_, { name }, signal) => dynamic.keeper.reconcile(name, signal),
      },
      PushSecret: {
        cache: caches.pushSecrets,
        stores: (object) => pushKeysOf(object).stores,
        reconcile: (work, { namespace, name }, signal) =>
          pushSecrets.reconcile(work, namespace, name, signal),
      },
    } satisfies Record<string, Kind>),
  );
}
