/** What the operator watches. Secrets and ConfigMaps by metadata alone: their values are read when they are needed. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { type Cache, type CacheOptions, createCache } from '../kube/cache.ts';
import type { Kube, KubeObject, Resource } from '../kube/kube.ts';
import { externalSecretSpec } from './api/externalsecret.ts';
import {
  CLUSTER_SECRET_STORES,
  CONFIG_MAPS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
} from './api/resources.ts';
import { storeKey } from './connections.ts';
import { sourcesOf, storesOf, targetName } from './controllers/externalsecret/observed.ts';
import { LABEL_CREATED_BY } from './controllers/externalsecret/secret.ts';
import type { StoreName } from './plan.ts';

export interface Caches {
  readonly externalSecrets: Cache;
  readonly stores: Cache;
  readonly clusterStores: Cache;
  readonly secrets: Cache;
  readonly configMaps: Cache;
  readonly namespaces: Cache;
}

export function createCaches(given: {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly namespace?: string;
}): Caches {
  const cache = (resource: Resource, more: Partial<CacheOptions> = {}): Cache => {
    const { namespace, ...rest } = given;
    const scope = namespace === undefined || !resource.namespaced ? {} : { namespace };
    return createCache({ ...rest, ...scope, resource, ...more });
  };
  return {
    externalSecrets: cache(EXTERNAL_SECRETS, {
      indexes: { store: storeKeysOf, source: sourceKeysOf, target: targetKeysOf },
    }),
    stores: cache(SECRET_STORES),
    clusterStores: cache(CLUSTER_SECRET_STORES),
    secrets: cache(SECRETS, {
      metadataOnly: true,
      indexes: { createdBy: ({ metadata }) => [metadata.labels?.[LABEL_CREATED_BY] ?? ''].filter(Boolean) },
    }),
    configMaps: cache(CONFIG_MAPS, { metadataOnly: true }),
    namespaces: cache(NAMESPACES),
  };
}

export const allOf = (caches: Caches): readonly Cache[] => Object.values(caches) as Cache[];

/** A store as an ExternalSecret of `namespace` names it. */
export const findStore = (caches: Caches, store: StoreName, namespace: string): KubeObject | undefined =>
  store.kind === 'SecretStore'
    ? caches.stores.get(namespace, store.name)
    : caches.clusterStores.get(undefined, store.name);

export const placeOfStore = (store: StoreName, namespace: string): string =>
  storeKey(store.kind, store.kind === 'SecretStore' ? namespace : undefined, store.name);

function storeKeysOf(object: KubeObject): readonly string[] {
  const spec = externalSecretSpec.safeParse(object['spec']);
  if (!spec.success) return [];
  return storesOf(spec.data).map((store) => placeOfStore(store, object.metadata.namespace ?? ''));
}

function sourceKeysOf(object: KubeObject): readonly string[] {
  const spec = externalSecretSpec.safeParse(object['spec']);
  if (!spec.success) return [];
  return sourcesOf(spec.data).map(({ kind, name }) => `${kind}/${object.metadata.namespace}/${name}`);
}

function targetKeysOf(object: KubeObject): readonly string[] {
  const spec = externalSecretSpec.safeParse(object['spec']);
  return spec.success ? [`${object.metadata.namespace}/${targetName(object, spec.data)}`] : [];
}
