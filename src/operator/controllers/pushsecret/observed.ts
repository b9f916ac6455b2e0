/** What is known of one PushSecret before anything is decided. Gathered by `observe`, or written by hand in tests. */

import { parseDuration } from '../../../base/duration.ts';
import type { Failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { PushTarget, Value } from '../../../provider/provider.ts';
import type { PushSecretSpec, PushSecretStatus, PushStoreRef, Synced } from '../../api/pushsecret.ts';
import type { StoreName } from '../../plan.ts';
import type { StoreSight } from '../externalsecret/observed.ts';

/** A Secret whose values are pushed: one of the cluster, or what a generator gave. */
export interface Source {
  readonly name: string;
  readonly type?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, Uint8Array>;
  /** When it was last written, in milliseconds, as far as the server keeps that. */
  readonly touched?: number;
}

/** `ungenerated`: a generator is meant, and has not been asked yet. */
export type Sources =
  | { readonly secrets: readonly Source[] }
  | { readonly missing: string }
  | { readonly failed: Failure }
  | { readonly ungenerated: true };

export interface StoreSeen {
  readonly store: StoreName;
  readonly labels: Readonly<Record<string, string>>;
  readonly sight: StoreSight;
  /** It is being deleted: nothing new goes there. */
  readonly leaving: boolean;
}

/** What became of a write. `foreign`: what is there is not ours to delete. */
export type Outcome =
  | { readonly done: 'written' | 'unchanged' | 'kept' | 'deleted' | 'absent' | 'foreign' }
  | { readonly failed: Failure };

export interface Observed {
  readonly object: KubeObject;
  readonly status: PushSecretStatus;
  /** The spec with upstream's defaults, or what is wrong with it. */
  readonly spec: PushSecretSpec | { readonly malformed: string };
  readonly sources: Sources;
  /** What `spec.secretStoreRefs` means, each store once, in the order of the list. */
  readonly chosen: readonly StoreSeen[];
  /** The stores that something was pushed to before, by `storeId`. */
  readonly former: ReadonlyMap<string, StoreSeen>;
  /** What templateFrom names, by `sourceId`; undefined where there is no such object. */
  readonly templates: ReadonlyMap<string, KubeObject | undefined>;
  /** A source changed: push before the interval is over. */
  readonly demanded: boolean;
  /** What has to stand before the first write stands: the finalizer, and the record of what is about to be pushed. */
  readonly prepared: boolean;
  /** What the status says was pushed since then, where that differs from `status`. */
  readonly record?: Synced;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** A write to a store. Equal `id`s are one place. */
export type Write = {
  readonly id: string;
  readonly store: StoreName;
  readonly target: PushTarget;
} & (
  | {
      readonly do: 'put';
      readonly value: Value;
      /** "" for a whole Secret. */
      readonly secretKey: string;
      readonly onlyNew: boolean;
      readonly metadata: unknown;
      readonly source: Pick<Source, 'labels' | 'annotations'> & { readonly type?: string };
    }
  | { readonly do: 'delete' }
);

/** The refresh interval in milliseconds. @throws Failure duration.malformed */
export const intervalOf = (spec: PushSecretSpec): number => parseDuration(spec.refreshInterval);

export const kindOf = (ref: Pick<PushStoreRef, 'kind'>): StoreName['kind'] =>
  ref.kind === '' ? 'SecretStore' : ref.kind;

/** Every ConfigMap and Secret that the template of a spec reads. */
export function templatesOf(
  spec: PushSecretSpec,
): readonly { readonly kind: 'ConfigMap' | 'Secret'; readonly name: string }[] {
  return (spec.template?.templateFrom ?? []).flatMap((from) => [
    ...(from.configMap === undefined ? [] : [{ kind: 'ConfigMap' as const, name: from.configMap.name }]),
    ...(from.secret === undefined ? [] : [{ kind: 'Secret' as const, name: from.secret.name }]),
  ]);
}

/** The stores that a status says something was pushed to. A text that names none is passed over. */
export const formerStores = ({ syncedPushSecrets = {} }: PushSecretStatus): readonly StoreName[] =>
  Object.keys(syncedPushSecrets).flatMap((id) => {
    const [kind, name = '', ...rest] = id.split('/');
    if ((kind !== 'SecretStore' && kind !== 'ClusterSecretStore') || name === '' || rest.length > 0)
      return [];
    return [{ kind, name }];
  });
