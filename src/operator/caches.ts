/** What the operator watches. Secrets and ConfigMaps by metadata alone: their values are read when they are needed. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { type Cache, type CacheOptions, createCache } from '../kube/cache.ts';
import type { Kube, KubeObject, ManagedFields, Resource } from '../kube/kube.ts';
import { externalSecretSpec } from './api/externalsecret.ts';
import { GENERATOR_STATES } from './api/generators/kinds.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  CLUSTER_SECRET_STORES,
  CONFIG_MAPS,
  DATABASE_SECRETS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  PUSH_SECRETS,
  SECRET_STORES,
  SECRETS,
} from './api/resources.ts';
import { SYNC_REPORTS } from './api/syncreport.ts';
import { storeKey } from './connections.ts';
import { backendOf } from './controllers/databasesecret/keys.ts';
import { sourcesOf, storesOf, targetName } from './controllers/externalsecret/observed.ts';
import { needsOf } from './controllers/externalsecret/rules/data.ts';
import { isOurManager, LABEL_CREATED_BY } from './controllers/externalsecret/secret.ts';
import { pushKeysOf } from './controllers/pushsecret/keys.ts';
import { LABEL_LEASE, LABEL_OWNER } from './dynamic/record.ts';
import type { Need, StoreName } from './plan.ts';
import { trimmed } from './trimmed.ts';

export interface Caches {
  readonly externalSecrets: Cache;
  readonly pushSecrets: Cache;
  readonly clusterExternalSecrets: Cache;
  readonly clusterPushSecrets: Cache;
  readonly stores: Cache;
  readonly generatorStates: Cache;
  readonly databaseSecrets: Cache;
  readonly clusterStores: Cache;
  readonly secrets: Cache;
  readonly configMaps: Cache;
  readonly namespaces: Cache;
  /** Records of issued credentials, in the operator's own namespace. */
  readonly leases: Cache;
  readonly syncReports: Cache;
}

export function createCaches(given: {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly namespace?: string;
  /** The operator's own. */
  readonly ownNamespace: string;
}): Caches {
  const cache = (resource: Resource, more: Partial<CacheOptions> = {}): Cache => {
    const { namespace, ownNamespace: _, ...rest } = given;
    const scope = namespace === undefined || !resource.namespaced ? {} : { namespace };
    return createCache({ ...rest, ...scope, resource, ...more });
  };
  return {
    externalSecrets: cache(EXTERNAL_SECRETS, {
      trim: trimmed,
      indexes: {
        store: (object) => keysOf(object).stores,
        source: (object) => keysOf(object).sources,
        target: (object) => keysOf(object).targets,
        need: (object) => keysOf(object).needs,
        owner: controllersOf,
      },
    }),
    pushSecrets: cache(PUSH_SECRETS, {
      trim: trimmed,
      indexes: {
        store: (object) => pushKeysOf(object).stores,
        source: (object) => pushKeysOf(object).sources,
        selects: (object) => pushKeysOf(object).selects,
        holds: (object) => pushKeysOf(object).holds,
        owner: controllersOf,
      },
    }),
    clusterExternalSecrets: cache(CLUSTER_EXTERNAL_SECRETS, { trim: trimmed }),
    clusterPushSecrets: cache(CLUSTER_PUSH_SECRETS, { trim: trimmed }),
    stores: cache(SECRET_STORES),
    databaseSecrets: cache(DATABASE_SECRETS, { trim: trimmed, indexes: { backend: backendOf } }),
    generatorStates: cache(GENERATOR_STATES, {
      metadataOnly: true,
      indexes: { owner: ({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid) },
    }),
    clusterStores: cache(CLUSTER_SECRET_STORES),
    secrets: cache(SECRETS, {
      metadataOnly: true,
      trim: withOurLastWrite,
      indexes: { createdBy: ({ metadata }) => [metadata.labels?.[LABEL_CREATED_BY] ?? ''].filter(Boolean) },
    }),
    configMaps: cache(CONFIG_MAPS, { metadataOnly: true, trim: trimmed }),
    namespaces: cache(NAMESPACES, { trim: trimmed }),
    leases: cache(SECRETS, {
      namespace: given.ownNamespace,
      labelSelector: `${LABEL_LEASE}=true`,
      metadataOnly: true,
      trim: trimmed,
      indexes: { owner: ({ metadata }) => [metadata.labels?.[LABEL_OWNER] ?? ''].filter(Boolean) },
    }),
    syncReports: cache(SYNC_REPORTS, { trim: trimmed }),
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

/** What an ExternalSecret is found by. */
interface Keys {
  readonly stores: readonly string[];
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  /** What it reads of which store, see `needKey`. */
  readonly needs: readonly string[];
}

const NO_KEYS: Keys = { stores: [], sources: [], targets: [], needs: [] };
/** Each object is asked twice for each index, when it comes and when it goes; reading a spec is the dear part of it. */
const keysByObject = new WeakMap<KubeObject, Keys>();

function keysOf(object: KubeObject): Keys {
  const known = keysByObject.get(object);
  if (known !== undefined) return known;
  const spec = externalSecretSpec.safeParse(object['spec']);
  const { namespace = '' } = object.metadata;
  const keys: Keys = spec.success
    ? {
        stores: storesOf(spec.data).map((store) => placeOfStore(store, namespace)),
        sources: sourcesOf(spec.data).map(({ kind, name }) => `${kind}/${namespace}/${name}`),
        targets: [`${namespace}/${targetName(object, spec.data)}`],
        needs: needsOf(spec.data).map((need) => needKey(need, namespace)),
      }
    : NO_KEYS;
  keysByObject.set(object, keys);
  return keys;
}

/** Equal for all who read the same of the same store. */
export const needKey = (need: Need, namespace: string): string =>
  `${placeOfStore(need.store, namespace)} ${need.id}`;

/** The stores that an ExternalSecret reads, by their places. */
export const storesRead = (object: KubeObject): readonly string[] => keysOf(object).stores;

/** The UIDs of what controls an object. */
const controllersOf = ({ metadata }: KubeObject): readonly string[] =>
  (metadata.ownerReferences ?? []).filter(({ controller }) => controller === true).map(({ uid }) => uid);

/** Of Secrets it is told how old their values are: the time of our own last write stays, and nothing else of it. */
function withOurLastWrite({ metadata: { managedFields, ...metadata }, ...object }: KubeObject): KubeObject {
  const last = (managedFields ?? [])
    .filter(({ manager, subresource }) => isOurManager(manager) && (subresource ?? '') === '')
    .reduce<ManagedFields | undefined>(
      (newest, entry) => ((entry.time ?? '') > (newest?.time ?? '') ? entry : newest),
      undefined,
    );
  const kept = last === undefined ? {} : { managedFields: [{ ...last, fieldsV1: {} }] };
  return { ...object, metadata: { ...metadata, ...kept } } as KubeObject;
}
