/** Gathers what is known of one ExternalSecret. Reads the cluster; decides nothing. */

import { withoutNulls } from '../../../base/shape.ts';
import type { Kube, KubeObject, Name } from '../../../kube/kube.ts';
import { externalSecretSpec, externalSecretStatus } from '../../api/externalsecret.ts';
import { CONFIG_MAPS, EXTERNAL_SECRETS, SECRETS } from '../../api/resources.ts';
import { type Caches, findStore } from '../../caches.ts';
import { issueOf } from '../../connections.ts';
import type { Generators } from '../../generators/generators.ts';
import { generatorId } from '../../generators/sight.ts';
import { createdBy } from '../../hash.ts';
import type { Written } from '../../written.ts';
import { sightOf } from '../secretstore/sight.ts';
import {
  generatorsOf,
  type Observed,
  sourceId,
  sourcesOf,
  storeId,
  storesOf,
  targetName,
} from './observed.ts';

import { secretName } from './steps.ts';

export interface Gathering {
  readonly kube: Kube;
  readonly caches: Caches;
  readonly controllerClass: string;
  readonly generators: Generators;
  readonly written: Written;
}

export type Gathered = Omit<Observed, 'answers' | 'demanded' | 'deletions'>;

/** @returns undefined where there is no such ExternalSecret any more */
export async function observe(
  given: Gathering,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Gathered | undefined> {
  const { kube, caches, controllerClass, generators, written } = given;
  const at: Name = { resource: EXTERNAL_SECRETS, namespace, name };
  // From the server where the cache is behind our own last write: it would have the store asked twice.
  const watched = written.watched(caches.externalSecrets, at);
  const object = watched === undefined ? await kube.get(at, signal) : watched.object;
  if (object === undefined) return undefined;
  // Where upstream's definitions are kept, its own writing stands as it was: `refreshTime: null` before the first sync.
  const status = externalSecretStatus.safeParse(withoutNulls(object['status'] ?? {}));
  const parsed = externalSecretSpec.safeParse(object['spec']);
  const common = { object, status: status.success ? status.data : {} };
  if (!parsed.success) {
    return {
      ...common,
      spec: { malformed: issueOf(parsed.error, 'spec') },
      target: undefined,
      siblings: [],
      stores: new Map(),
      generators: new Map(),
      sources: new Map(),
    };
  }
  const spec = parsed.data;
  const secret = targetName(object, spec);
  const [target, ...sources] = await Promise.all([
    targetOf(given, secretName(namespace, secret), signal),
    ...sourcesOf(spec).map(async (source) => {
      const resource = source.kind === 'Secret' ? SECRETS : CONFIG_MAPS;
      return [
        sourceId(source.kind, source.name),
        await kube.get({ resource, namespace, name: source.name }, signal),
      ] as const;
    }),
  ]);
  const place = {
    name: namespace,
    labels: caches.namespaces.get(undefined, namespace)?.metadata.labels ?? {},
  };
  return {
    ...common,
    spec,
    target,
    siblings: siblingsOf(caches, object, secret),
    sources: new Map(sources),
    generators: new Map(
      await Promise.all(
        generatorsOf(spec).map(
          async (ref) => [generatorId(ref), await generators.sight(namespace, ref, signal)] as const,
        ),
      ),
    ),
    stores: new Map(
      storesOf(spec).map((store) => {
        const other =
          store.kind === 'SecretStore'
            ? caches.clusterStores.get(undefined, store.name)
            : caches.stores.get(namespace, store.name);
        const found = findStore(caches, store, namespace);
        return [storeId(store), sightOf(store, found, place, controllerClass, other !== undefined)];
      }),
    ),
  };
}

/** Whole, as its values are not watched; one that is not there need not be asked for. */
async function targetOf(
  { kube, caches, written }: Gathering,
  name: Name,
  signal: AbortSignal,
): Promise<KubeObject | undefined> {
  const watched = written.watched(caches.secrets, name);
  return watched !== undefined && watched.object === undefined ? undefined : kube.get(name, signal);
}

const siblingsOf = (caches: Caches, { metadata }: KubeObject, target: string): readonly KubeObject[] =>
  caches.secrets
    .byIndex('createdBy', createdBy(metadata.namespace ?? '', metadata.name))
    .filter((secret) => secret.metadata.namespace === metadata.namespace && secret.metadata.name !== target);
