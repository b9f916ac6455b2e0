/** What is known of one ExternalSecret before anything is decided. Gathered by `observe`, or written by hand in tests. */

import { parseDuration } from '../../../base/duration.ts';
import type { Failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { ExternalSecretSpec, ExternalSecretStatus, StoreRef } from '../../api/externalsecret.ts';
import { type GeneratorSight, generatorId } from '../../generators/sight.ts';
import type { Answer, GeneratorRef, StoreName } from '../../plan.ts';

export interface Observed {
  readonly object: KubeObject;
  readonly status: ExternalSecretStatus;
  /** The spec with v1's defaults, or what is wrong with it. */
  readonly spec: ExternalSecretSpec | { readonly malformed: string };
  /** The target Secret, whole. */
  readonly target: KubeObject | undefined;
  /** Other Secrets of the namespace that carry this ExternalSecret's created-by label; metadata alone. */
  readonly siblings: readonly KubeObject[];
  readonly stores: ReadonlyMap<string, StoreSight>;
  /** By `generatorId`. */
  readonly generators: ReadonlyMap<string, GeneratorSight>;
  /** What templateFrom names, by `sourceId`; undefined where there is no such object. */
  readonly sources: ReadonlyMap<string, KubeObject | undefined>;
  readonly answers: ReadonlyMap<string, Answer>;
  /** A push, or a change of something the spec reads, asks for a read before the interval is over. */
  readonly demanded: boolean;
  /** In shadow: what would be written is wanted, whenever the last refresh was. */
  readonly compared?: true;
  /** Deletions for this store in the last minute, and how many are let through. */
  readonly deletions: { readonly recent: number; readonly limit: number };
}

/** What an ExternalSecret may see of a store. */
export type StoreSight =
  | { readonly usable: true }
  /** Nobody has looked at it yet, and this operator is about to. */
  | { readonly pending: true }
  /** Another operator's. */
  | { readonly foreign: true }
  | {
      readonly refused: Failure;
      /** It carries no word of anybody who looked at it. */
      readonly unchecked?: true;
    };

/** What rendering needs and a plan may not take by itself. Random bytes are fixed by the inputs, so plans can be repeated. */
export interface Env {
  render(text: string, name: string, data: ReadonlyMap<string, Uint8Array>): Uint8Array;
  /** `rewrite.transform`: a template over one key. */
  renderKey(text: string, key: string): string;
}

export const storeId = (store: StoreName): string => `${store.kind}/${store.name}`;
export const sourceId = (kind: 'ConfigMap' | 'Secret', name: string): string => `${kind}/${name}`;

const storeName = (ref: StoreRef | undefined): StoreName | undefined =>
  ref?.name === undefined ? undefined : { kind: ref.kind, name: ref.name };

/** The store of an entry: its own, else the one of the spec. */
export const storeOf = (
  spec: ExternalSecretSpec,
  entry: { readonly sourceRef?: { readonly storeRef?: StoreRef | undefined } | undefined },
): StoreName | undefined => storeName(entry.sourceRef?.storeRef) ?? storeName(spec.secretStoreRef);

/** Every store that a spec names. */
export function storesOf(spec: ExternalSecretSpec): readonly StoreName[] {
  const named = [...spec.data, ...spec.dataFrom]
    .filter((entry) => entry.sourceRef?.generatorRef === undefined)
    .map((entry) => storeOf(spec, entry))
    .concat(storeName(spec.secretStoreRef))
    .filter((store) => store !== undefined);
  return [...new Map(named.map((store) => [storeId(store), store])).values()];
}

/** Every generator that a spec names. */
export function generatorsOf(spec: ExternalSecretSpec): readonly GeneratorRef[] {
  const named = spec.dataFrom
    .map(({ sourceRef }) => sourceRef?.generatorRef)
    .filter((ref) => ref !== undefined);
  return [...new Map(named.map((ref) => [generatorId(ref), ref])).values()];
}

/** Every ConfigMap and Secret that the templates of a spec read. */
export function sourcesOf(
  spec: ExternalSecretSpec,
): readonly { readonly kind: 'ConfigMap' | 'Secret'; readonly name: string }[] {
  return (spec.target?.template?.templateFrom ?? []).flatMap((from) => [
    ...(from.configMap === undefined ? [] : [{ kind: 'ConfigMap' as const, name: from.configMap.name }]),
    ...(from.secret === undefined ? [] : [{ kind: 'Secret' as const, name: from.secret.name }]),
  ]);
}

export const namespaceOf = (object: KubeObject): string => object.metadata.namespace ?? '';
export const targetName = (object: KubeObject, spec: ExternalSecretSpec): string =>
  spec.target?.name ?? object.metadata.name;

export type CreationPolicy = 'Owner' | 'Orphan' | 'Merge' | 'CreateOrMerge' | 'None';
export type DeletionPolicy = 'Delete' | 'Merge' | 'Retain';

export const creationPolicy = (spec: ExternalSecretSpec): CreationPolicy =>
  spec.target?.creationPolicy || 'Owner';
export const deletionPolicy = (spec: ExternalSecretSpec): DeletionPolicy =>
  spec.target?.deletionPolicy || 'Retain';

/** The refresh interval in milliseconds. @throws Failure duration.malformed */
export const intervalOf = (spec: ExternalSecretSpec): number => parseDuration(spec.refreshInterval);
