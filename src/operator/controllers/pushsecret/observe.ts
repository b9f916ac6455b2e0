/** Gathers what is known of one PushSecret. Reads the cluster; decides nothing. */

import { withoutNulls } from '../../../base/shape.ts';
import type { Kube, KubeObject } from '../../../kube/kube.ts';
import { matchesSelector } from '../../../kube/selectors.ts';
import { type PushSecretSpec, pushSecretSpec, pushSecretStatus } from '../../api/pushsecret.ts';
import { CONFIG_MAPS, PUSH_SECRETS, SECRETS } from '../../api/resources.ts';
import { type Caches, findStore } from '../../caches.ts';
import { issueOf } from '../../connections.ts';
import type { StoreName } from '../../plan.ts';
import { sourceId, storeId } from '../externalsecret/observed.ts';
import { dataOf } from '../externalsecret/secret.ts';
import { sightOf } from '../secretstore/sight.ts';
import {
  formerStores,
  kindOf,
  type Observed,
  type Source,
  type Sources,
  type StoreSeen,
  templatesOf,
} from './observed.ts';
import { wrongs } from './validation.ts';

export interface Gathering {
  readonly kube: Kube;
  readonly caches: Caches;
  readonly controllerClass: string;
}

export type Gathered = Omit<Observed, 'outcomes' | 'demanded' | 'prepared' | 'record'>;

/** @returns undefined where there is no such PushSecret any more */
export async function observe(
  gathering: Gathering,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Gathered | undefined> {
  const { kube } = gathering;
  // From the server, not the cache: right after our own write the cache is behind, and everything would be pushed twice.
  const object = await kube.get({ resource: PUSH_SECRETS, namespace, name }, signal);
  if (object === undefined) return undefined;
  // As upstream writes it: a `refreshTime: null` must not make us forget what was pushed.
  const read = pushSecretStatus.safeParse(withoutNulls(object['status'] ?? {}));
  const status = read.success ? read.data : {};
  const parsed = pushSecretSpec.safeParse(object['spec']);
  const former = new Map(
    formerStores(status).flatMap((store) => {
      const seen = seenStore(gathering, store, namespace);
      return seen === undefined ? [] : [[storeId(store), seen] as const];
    }),
  );
  const common = { object, status, former };
  const spec = parsed.success ? parsed.data : { malformed: issueOf(parsed.error, 'spec') };
  // What is wrong is told before anything is looked up by it.
  if ('malformed' in spec || wrongs(spec).length > 0 || object.metadata.deletionTimestamp !== undefined) {
    return { ...common, spec, sources: { secrets: [] }, chosen: [], templates: new Map() };
  }
  const [sources, ...templates] = await Promise.all([
    sourcesOf(gathering, spec, namespace, signal),
    ...templatesOf(spec).map(async ({ kind, name: source }) => {
      const resource = kind === 'Secret' ? SECRETS : CONFIG_MAPS;
      return [sourceId(kind, source), await kube.get({ resource, namespace, name: source }, signal)] as const;
    }),
  ]);
  return {
    ...common,
    spec,
    sources,
    chosen: chosenStores(gathering, spec, namespace),
    templates: new Map(templates),
  };
}

/** The Secrets that a spec selects, of its own namespace and no other. */
async function sourcesOf(
  { kube, caches }: Gathering,
  { selector }: PushSecretSpec,
  namespace: string,
  signal: AbortSignal,
): Promise<Sources> {
  const { secret } = selector;
  if (secret === undefined) return { ungenerated: true };
  if (secret.name !== undefined) {
    const found = await kube.get({ resource: SECRETS, namespace, name: secret.name }, signal);
    return found === undefined ? { missing: secret.name } : { secrets: [sourceOf(found)] };
  }
  const names = caches.secrets
    .list(namespace)
    .filter(({ metadata }) => matchesSelector(secret.selector, metadata.labels))
    .map(({ metadata }) => metadata.name)
    .sort();
  const all = await Promise.all(
    names.map((name) => kube.get({ resource: SECRETS, namespace, name }, signal)),
  );
  // Labels may have changed since the cache heard of them.
  const selected = all.filter(
    (one) => one !== undefined && matchesSelector(secret.selector, one.metadata.labels),
  );
  return { secrets: selected.flatMap((one) => (one === undefined ? [] : [sourceOf(one)])) };
}

export function sourceOf(secret: KubeObject): Source {
  const { name, labels = {}, annotations = {}, creationTimestamp, managedFields = [] } = secret.metadata;
  const times = [creationTimestamp, ...managedFields.map(({ time }) => time)].map((time) =>
    Date.parse(time ?? ''),
  );
  const touched = Math.max(...times.filter((time) => !Number.isNaN(time)));
  const type = secret['type'];
  return {
    name: `Secret ${name}`,
    ...(typeof type === 'string' ? { type } : {}),
    labels,
    annotations,
    data: dataOf(secret),
    ...(Number.isFinite(touched) ? { touched } : {}),
  };
}

/** What the references of a spec mean: by name one store, there or not; by labels those that are there. */
function chosenStores(gathering: Gathering, spec: PushSecretSpec, namespace: string): readonly StoreSeen[] {
  const { caches } = gathering;
  const named = spec.secretStoreRefs.flatMap((ref): StoreName[] => {
    const kind = kindOf(ref);
    // Labels go before a name, as upstream has it.
    if (ref.labelSelector === undefined) return ref.name === undefined ? [] : [{ kind, name: ref.name }];
    const all = kind === 'SecretStore' ? caches.stores.list(namespace) : caches.clusterStores.list();
    return all
      .filter(({ metadata }) => matchesSelector(ref.labelSelector, metadata.labels))
      .map(({ metadata }) => ({ kind, name: metadata.name }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  });
  const once = new Map(named.map((store) => [storeId(store), store]));
  return [...once.values()].map(
    (store) => seenStore(gathering, store, namespace) ?? unseen(gathering, store, namespace),
  );
}

function seenStore(gathering: Gathering, store: StoreName, namespace: string): StoreSeen | undefined {
  const object = findStore(gathering.caches, store, namespace);
  if (object === undefined) return undefined;
  return {
    store,
    labels: object.metadata.labels ?? {},
    sight: sightOfStore(gathering, store, object, namespace),
    leaving: object.metadata.deletionTimestamp !== undefined,
  };
}

const unseen = (gathering: Gathering, store: StoreName, namespace: string): StoreSeen => ({
  store,
  labels: {},
  sight: sightOfStore(gathering, store, undefined, namespace),
  leaving: false,
});

function sightOfStore(
  { caches, controllerClass }: Gathering,
  store: StoreName,
  object: KubeObject | undefined,
  namespace: string,
): StoreSeen['sight'] {
  const other =
    store.kind === 'SecretStore'
      ? caches.clusterStores.get(undefined, store.name)
      : caches.stores.get(namespace, store.name);
  const labels = caches.namespaces.get(undefined, namespace)?.metadata.labels ?? {};
  return sightOf(store, object, { name: namespace, labels }, controllerClass, other !== undefined);
}
