/** Gathers what is known of one ExternalSecret. Reads the cluster; decides nothing. */

import type { Kube, KubeObject } from '../../../kube/kube.ts';
import { externalSecretSpec, externalSecretStatus } from '../../api/externalsecret.ts';
import { CONFIG_MAPS, EXTERNAL_SECRETS, SECRETS } from '../../api/resources.ts';
import { type Caches, findStore } from '../../caches.ts';
import { issueOf } from '../../connections.ts';
import type { Generators } from '../../generators/generators.ts';
import { generatorId } from '../../generators/sight.ts';
import { createdBy } from '../../hash.ts';
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

export interface Gathering {
  readonly kube: Kube;
  readonly caches: Caches;
  readonly controllerClass: string;
  readonly generators: Generators;
}

export type Gathered = Omit<Observed, 'answers' | 'demanded' | 'deletions'>;

/** @returns undefined where there is no such ExternalSecret any more */
export async function observe(
  { kube, caches, controllerClass, generators }: Gathering,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Gathered | undefined> {
  // From the server, not the cache: right after our own write the cache is behind, and would have the store asked twice.
  const object = await kube.get({ resource: EXTERNAL_SECRETS, namespace, name }, signal);
  if (object === undefined) return undefined;
  const status = externalSecretStatus.safeParse(object['status'] ?? {});
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
    kube.get({ resource: SECRETS, namespace, name: secret }, signal),
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

const siblingsOf = (caches: Caches, { metadata }: KubeObject, target: string): readonly KubeObject[] =>
  caches.secrets
    .byIndex('createdBy', createdBy(metadata.namespace ?? '', metadata.name))
    .filter((secret) => secret.metadata.namespace === metadata.namespace && secret.metadata.name !== target);
