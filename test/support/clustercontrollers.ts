/**
 * What a cluster's controller manager does behind its API server and tests count on: what lost all its owners goes, a namespace
 * has an account of the name "default", and one that is deleted is emptied and let go. A kube-apiserver by itself does nothing
 * of it; the embedded API has its own.
 */

import { systemClock } from '../../src/base/clock.ts';
import { isFailure } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Cache, createCache } from '../../src/kube/cache.ts';
import { createKube } from '../../src/kube/client.ts';
import type { Kube, KubeObject, OwnerReference, Resource } from '../../src/kube/kube.ts';
import { GENERATOR_STATES } from '../../src/operator/api/generators/kinds.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  DATABASE_SECRETS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  PUSH_SECRETS,
  SECRET_STORES,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../src/operator/api/resources.ts';
import { SYNC_REPORTS } from '../../src/operator/api/syncreport.ts';

/** The kinds that own, or are owned, in tests of the operator. */
const KINDS: readonly Resource[] = [
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  DATABASE_SECRETS,
  EXTERNAL_SECRETS,
  PUSH_SECRETS,
  SECRET_STORES,
  GENERATOR_STATES,
  SYNC_REPORTS,
  SECRETS,
];
/** The definitions of most kinds come after the API; what is not served yet is asked for soon again. */
const SOON = { baseMs: 100, maxMs: 500 };

/** Works until it is closed, over restarts of the API server, too. */
export function startClusterControllers(api: {
  readonly url: string;
  readonly ca: string;
  readonly adminToken: string;
}): { close(): Promise<void> } {
  const kube = createKube({ server: api.url, ca: api.ca, token: api.adminToken });
  const stopping = new AbortController();
  const cacheOf = (resource: Resource): Cache =>
    createCache({
      kube,
      resource,
      clock: systemClock,
      log: silentLog,
      backoff: SOON,
      ...(resource === NAMESPACES ? {} : { metadataOnly: true }),
    });
  const namespaces = cacheOf(NAMESPACES);
  const caches = KINDS.map(cacheOf);
  const working = new Set<Promise<void>>();
  const work = (job: () => Promise<void>): void => {
    const done = again(job, stopping.signal).finally(() => working.delete(done));
    working.add(done);
  };

  const empty = (namespace: string): void => work(() => emptied(kube, namespace));
  for (const cache of caches)
    cache.onChange(({ old, new: now }) => {
      const owners = now?.metadata.ownerReferences ?? [];
      if (now !== undefined && owners.length > 0) work(() => judged(kube, cache.resource, now));
      if (now !== undefined || old === undefined) return;
      for (const other of caches)
        for (const dependent of other.list())
          if (dependent.metadata.ownerReferences?.some(({ uid }) => uid === old.metadata.uid))
            work(() => judged(kube, other.resource, dependent));
      const { namespace } = old.metadata;
      if (
        namespace !== undefined &&
        namespaces.get(undefined, namespace)?.metadata.deletionTimestamp !== undefined
      )
        empty(namespace);
    });
  namespaces.onChange(({ old, new: now }) => {
    if (now?.metadata.deletionTimestamp !== undefined) empty(now.metadata.name);
    else if (now !== undefined && old === undefined) work(() => furnished(kube, now.metadata.name));
  });

  const running = [namespaces, ...caches].map((cache) => cache.run(stopping.signal));
  return {
    async close() {
      stopping.abort();
      await Promise.all([...running, ...working]);
      kube.close();
    },
  };
}

/** Until it succeeds: the API server may be on its way back, or somebody else may have been faster. */
async function again(job: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      return await job();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, SOON.maxMs));
    }
  }
}

/** Deletes an object whose owners are all gone. What a cache says of owners may be old, so they are asked for. */
async function judged(kube: Kube, resource: Resource, object: KubeObject): Promise<void> {
  const { namespace, name, uid, ownerReferences = [], deletionTimestamp } = object.metadata;
  if (deletionTimestamp !== undefined) return;
  for (const owner of ownerReferences) if (await lives(kube, owner, namespace)) return;
  await kube.delete(
    { resource, name, ...(namespace === undefined ? {} : { namespace }) },
    uid === undefined ? {} : { uid },
  );
}

/** One of a kind that nobody follows here is left alone. */
async function lives(kube: Kube, owner: OwnerReference, namespace: string | undefined): Promise<boolean> {
  const resource = KINDS.find(({ kind }) => kind === owner.kind);
  if (resource === undefined) return true;
  const found = await kube.get({
    resource,
    name: owner.name,
    ...(resource.namespaced && namespace !== undefined ? { namespace } : {}),
  });
  return found?.metadata.uid === owner.uid;
}

async function furnished(kube: Kube, namespace: string): Promise<void> {
  const metadata = { name: 'default', namespace };
  try {
    await kube.create(
      { resource: SERVICE_ACCOUNTS, ...metadata },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    );
  } catch (error) {
    if (!isFailure(error, 'kube.exists') && !isFailure(error, 'kube.missing')) throw error;
  }
}

/** Deletes what is in a namespace, and lets the namespace go once nothing is. */
async function emptied(kube: Kube, namespace: string): Promise<void> {
  let left = 0;
  for (const resource of KINDS.filter(({ namespaced }) => namespaced)) {
    const { items } = await kube.list({ resource, namespace, metadataOnly: true });
    left += items.length;
    for (const { metadata } of items)
      if (metadata.deletionTimestamp === undefined)
        await kube.delete({ resource, namespace, name: metadata.name });
  }
  // The farewell of the last one brings us back here.
  if (left > 0) return;
  const at = { resource: NAMESPACES, name: namespace };
  const found = await kube.get(at);
  if (found?.metadata.deletionTimestamp === undefined) return;
  try {
    await kube.update(at, { ...found, spec: { finalizers: [] } }, { subresource: 'finalize' });
  } catch (error) {
    if (!isFailure(error, 'kube.missing')) throw error;
  }
}
