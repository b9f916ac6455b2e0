/**
 * Everything that the files say, read once: objects with their places, stores, ExternalSecrets, policies, and what is known
 * of the server. Rules look at it and touch nothing.
 */

import { type Failure, failure } from '../../base/errors.ts';
import { type Bag, isBag, listOf } from '../../base/shape.ts';
import type { KubeObject } from '../../kube/kube.ts';
import { type KnownKind, knownKinds } from '../../operator/api/crds.ts';
import { type ExternalSecretSpec, externalSecretSpec } from '../../operator/api/externalsecret.ts';
import type { ProviderType } from '../../provider/provider.ts';
import { type Locate, type VaultStore, vaultStoreOf } from '../access.ts';
import { withoutNulls } from './fields.ts';
import type { Finding, FindingClass, Spot } from './finding.ts';
import type { NamedText } from './folder.ts';
import { type Kustomized, kustomized } from './kustomize.ts';
import { type KnownPolicy, policyOf } from './policies.ts';
import type { KnownPaths, KnownServer } from './server.ts';
import { type Source, sourcesOf, type Unreadable } from './source.ts';

export type Path = readonly PropertyKey[];

/** What only the programs that wire everything can hand in. */
export interface Surroundings {
  readonly providers: readonly Pick<ProviderType, 'name' | 'spec'>[];
  readonly locate: Locate;
}

export interface Given extends Surroundings {
  /** Manifests (.yaml, .yml) and policies (.hcl). */
  readonly files: readonly NamedText[];
  readonly server?: KnownServer;
  readonly paths?: KnownPaths;
  /** Where objects go that name no namespace. */
  readonly namespace: string;
}

export interface Item {
  readonly source: Source;
  /** Where the object stands in its document: nowhere but at the top, unless that is a List. */
  readonly prefix: Path;
  readonly object: Bag;
  readonly apiVersion: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly metadata: Bag;
  /** "" where it has none that is text. */
  readonly name: string;
  /** Undefined: of the whole cluster. */
  readonly namespace: string | undefined;
}

/** An ExternalSecret, or what a ClusterExternalSecret makes of itself in namespaces that no file tells. */
export interface View {
  readonly item: Item;
  /** Where the spec stands in the object. */
  readonly path: Path;
  readonly spec: ExternalSecretSpec;
  readonly namespace: string | undefined;
  /** The Secret that it makes. */
  readonly target: string;
}

export interface Store {
  readonly item: Item;
  readonly kind: 'SecretStore' | 'ClusterSecretStore';
  readonly name: string;
  readonly namespace: string | undefined;
  readonly vault: VaultStore | undefined;
}

export interface World extends Surroundings {
  readonly items: readonly Item[];
  readonly kinds: readonly KnownKind[];
  readonly stores: readonly Store[];
  readonly views: readonly View[];
  readonly policies: readonly KnownPolicy[];
  /** Whether any policy was given, be it one that is refused. */
  readonly policiesGiven: boolean;
  readonly server: KnownServer | undefined;
  readonly paths: KnownPaths | undefined;
  readonly kustomized: Kustomized;
  /** What was wrong with the files themselves. */
  readonly misread: readonly Finding[];
}

/** A rule gives what it finds wrong; it never throws. */
export type Rule = (world: World) => Iterable<Finding>;

export function worldOf({ files, server, paths, namespace, providers, locate }: Given): World {
  const kinds = knownKinds();
  const documents = files
    .filter(({ name }) => !name.endsWith('.hcl'))
    .flatMap((f) => sourcesOf(f.name, f.text, f.chart));
  const read = files
    .filter(({ name }) => name.endsWith('.hcl'))
    .map((f) => policyOf(f.name, f.text))
    .filter((policy) => policy !== undefined);
  const sources = documents.filter((document) => 'value' in document);
  const moved = kustomized(sources);
  const items = sources.flatMap((document) =>
    itemsOf(document, document.value, [], kinds, {
      unstated: namespace,
      moved: moved.namespaces.get(document.file),
    }),
  );
  return {
    items,
    kinds,
    stores: items.flatMap(storesOf),
    views: items.flatMap(viewsOf),
    policies: read.filter((policy) => 'policy' in policy),
    policiesGiven: read.length > 0,
    server,
    paths,
    providers,
    locate,
    kustomized: moved,
    misread: [
      ...documents.flatMap((document) => ('value' in document ? [] : [misread(document)])),
      ...read.flatMap((policy) => ('wrong' in policy ? [policy.wrong] : [])),
    ],
  };
}

const misread = ({ file, line, reason, mend }: Unreadable): Finding => ({
  class: 'warning',
  file,
  line,
  failure: failure('check.unreadable', { reason, mend }),
});

interface Where {
  /** The namespace of objects that state none. */
  readonly unstated: string;
  /** Where a kustomization puts all objects of the file, whatever they state. */
  readonly moved: string | undefined;
}

/** What else lies in folders of manifests (values of charts, settings of tools) is none of an API server's, and passed over. */
function itemsOf(
  source: Source,
  value: unknown,
  prefix: Path,
  kinds: readonly KnownKind[],
  where: Where,
): Item[] {
  if (!isBag(value)) return [];
  const { apiVersion, kind } = value;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return [];
  if (kind === 'List')
    return listOf(value['items']).flatMap((item, index) =>
      itemsOf(source, item, [...prefix, 'items', index], kinds, where),
    );
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const metadata = isBag(value['metadata']) ? value['metadata'] : {};
  const stated = metadata['namespace'];
  const name = kind === 'Namespace' && where.moved !== undefined ? where.moved : metadata['name'];
  return [
    {
      source,
      prefix,
      object: value,
      apiVersion,
      group,
      version,
      kind,
      metadata,
      name: typeof name === 'string' ? name : '',
      namespace: isOfCluster(group, kind, kinds)
        ? undefined
        : (where.moved ?? (typeof stated === 'string' && stated !== '' ? stated : where.unstated)),
    },
  ];
}

const OF_CLUSTER = new Set([
  'APIService',
  'CSIDriver',
  'ClusterIssuer',
  'ClusterRole',
  'ClusterRoleBinding',
  'CustomResourceDefinition',
  'IngressClass',
  'MutatingWebhookConfiguration',
  'Namespace',
  'Node',
  'PersistentVolume',
  'PriorityClass',
  'RuntimeClass',
  'StorageClass',
  'ValidatingWebhookConfiguration',
]);

const isOfCluster = (group: string, kind: string, kinds: readonly KnownKind[]): boolean =>
  OF_CLUSTER.has(kind) ||
  kinds.some(({ resource }) => resource.group === group && resource.kind === kind && !resource.namespaced);

function storesOf(item: Item): Store[] {
  const { kind, name, namespace, group } = item;
  if (group !== 'external-secrets.io' || (kind !== 'SecretStore' && kind !== 'ClusterSecretStore')) return [];
  const [vault] = vaultStoreOf(item.object as KubeObject);
  return [{ item, kind, name, namespace, vault }];
}

/** Specs that do not fit their schema are told as such, and nothing more is made of them. */
function viewsOf(item: Item): View[] {
  if (item.group !== 'external-secrets.io') return [];
  const all = isBag(item.object['spec']) ? item.object['spec'] : {};
  if (item.kind === 'ExternalSecret') return view(item, all, ['spec'], item.namespace, item.name);
  if (item.kind !== 'ClusterExternalSecret') return [];
  const name = all['externalSecretName'];
  const path = ['spec', 'externalSecretSpec'];
  return view(item, all['externalSecretSpec'], path, undefined, typeof name === 'string' ? name : item.name);
}

function view(item: Item, given: unknown, path: Path, namespace: string | undefined, name: string): View[] {
  const read = externalSecretSpec.safeParse(withoutNulls(given));
  if (!read.success) return [];
  return [{ item, path, spec: read.data, namespace, target: read.data.target?.name ?? name }];
}

/**
 * Whether a text waits for somebody to fill it in before it is applied, as Flux and envsubst do (and others in braces, which no
 * name has): nothing can be said of it.
 */
export const isTemplate = (text: string): boolean => text.includes('${') || text.includes('{{');

/** "team/app", or "app" where there is no namespace. */
export const placed = (namespace: string | undefined, name: string): string =>
  namespace === undefined ? name : `${namespace}/${name}`;

/** "ExternalSecret team/app", for messages. */
export const titleOf = ({ kind, namespace, name }: Item): string => `${kind} ${placed(namespace, name)}`;

export const spotOf = ({ source, prefix }: Item, path: Path): Spot => source.at([...prefix, ...path]);

/** What is wrong with an object, at the key that a path leads to. */
export const found = (cls: FindingClass, item: Item, path: Path, wrong: Failure, spot?: Spot): Finding => ({
  class: cls,
  file: item.source.file,
  ...(spot ?? spotOf(item, path)),
  failure: wrong,
  ...(item.name === '' ? {} : { object: titleOf(item) }),
});
