/**
 * The Kubernetes API as our controllers use it. Objects are plain JSON; whoever needs a kind's shape reads it with that
 * kind's schema. Conflicts, absence and expiry are values or coded failures, never status numbers.
 */

export interface Meta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly ManagedFields[];
  readonly generateName?: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ManagedFields {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: Readonly<Record<string, unknown>>;
  readonly subresource?: string;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly [field: string]: unknown;
}

/** A kind as the URL names it. `group` is "" for the core group. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface Name {
  readonly resource: Resource;
  readonly namespace?: string;
  readonly name: string;
}

export interface ListOptions {
  readonly resource: Resource;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  /** Only `metadata` comes over the wire (PartialObjectMetadata). */
  readonly metadataOnly?: boolean;
}

export interface List {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  readonly continue?: string;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  /** The server no longer holds what came after: list again. */
  | { readonly type: 'GONE' };

export interface ApplyOptions {
  readonly manager: string;
  readonly force?: boolean;
  readonly subresource?: string;
}

export interface Kube {
  get(name: Name, signal?: AbortSignal): Promise<KubeObject | undefined>;
  list(options: ListOptions, signal?: AbortSignal): Promise<List>;
  watch(
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent>;
  /** Creates an object, or with `subresource` asks one of it (a ServiceAccount's `token`). `kube.exists` where it is there. */
  create(
    name: Name,
    object: object,
    options?: { readonly manager?: string; readonly subresource?: string },
  ): Promise<KubeObject>;
  /** Replaces the object (or its subresource) as it stands; `kube.conflict` when its resourceVersion moved. */
  update(
    name: Name,
    object: KubeObject,
    options?: { readonly manager?: string; readonly subresource?: string },
  ): Promise<KubeObject>;
  /** JSON merge patch (RFC 7396). */
  patch(
    name: Name,
    patch: object,
    options?: { readonly manager?: string; readonly subresource?: string },
  ): Promise<KubeObject>;
  /** Server-side apply. */
  apply(name: Name, object: object, options: ApplyOptions): Promise<KubeObject>;
  /** Gives false where there was nothing to delete, or not with that uid or version. */
  delete(
    name: Name,
    preconditions?: { readonly uid?: string; readonly resourceVersion?: string },
  ): Promise<boolean>;
}
