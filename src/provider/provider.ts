/**
 * An external store of secrets, as the operator sees it. What every provider would otherwise write again (property, JSON
 * path, decoding, conversion, rewriting) stands once in this room, above all of them. An ability that not all have is a
 * second small interface, never a method that throws "not supported".
 */

import type { z } from 'zod';
import type { Json } from '../base/json.ts';
import type { Log } from '../base/log.ts';
import type { WayOut } from './egress.ts';
import type { Issuer, Lessor } from './issuer.ts';

/** Values may be binary and never pass through JSON on the way. `fields` keeps the order and digits of the source. */
export type Value =
  | { readonly bytes: Uint8Array }
  /**
   * `json` is the object's own text, for `property: ""` and JSON paths; `fields` its outermost members as bytes.
   * `nested`: each member is a document of its own, so a path is the member's name, a dot and a path into it.
   */
  | { readonly fields: ReadonlyMap<string, Uint8Array>; readonly json: string; readonly nested?: true };

export interface Ref {
  readonly key: string;
  readonly version?: string;
}

export interface Read {
  readonly value: Value;
  /** The version that was read, where the store has such a thing. */
  readonly version?: string;
}

export interface ReadOptions {
  /** The answer must not be older than this version (an event named it). */
  readonly notBefore?: { readonly version: number };
  readonly signal?: AbortSignal;
}

export interface Reader {
  /** Undefined: the store says that there is no such secret. Anything else that stands in the way is a failure. */
  get(ref: Ref, options?: ReadOptions): Promise<Read | undefined>;
  /** Whether the store answers and lets us in. @throws Failure with the reason */
  validate(signal?: AbortSignal): Promise<'ready' | 'unknown'>;
  close(): Promise<void>;
}

/**
 * A store whose requests name the property themselves, so that each property is a read of its own and what comes back is
 * its value already.
 */
export interface PropertyReader {
  /** As `Reader.get`, of one property; "" is none. */
  getProperty(ref: Ref, property: string, options?: ReadOptions): Promise<Read | undefined>;
}

export interface Finder {
  /** Secrets by folder, name (RE2) or tags; keys are what `get` takes, values whole. */
  find(
    query: {
      readonly path?: string;
      readonly name?: string;
      readonly tags?: Readonly<Record<string, string>>;
    },
    signal?: AbortSignal,
  ): AsyncIterable<readonly [string, Value]>;
}

export interface MetadataReader {
  metadata(ref: Ref, signal?: AbortSignal): Promise<Json | undefined>;
}

export interface Watcher {
  /** Where a key is stored, as the server's change events name it: "secret/data/grafana/admin". */
  locate(ref: Ref): { readonly server: string; readonly path: string };
}

/** Where a value is pushed to: a secret, or one property of it. */
export interface PushTarget {
  readonly key: string;
  readonly property?: string;
}

export interface PushOptions {
  /** Who pushes, by something that nobody outside a namespace can have: letters, digits and dashes, at most 63. */
  readonly owner: string;
  /**
   * Whether what is there, and is not this owner's, may be taken over: what another owner pushed, or (`undefined`) what no
   * push made. Asked only before a refusal. Absent: never.
   */
  readonly adopt?: (owner: string | undefined) => boolean;
  /** `updatePolicy: IfNotExists`: what is there stays as it is. */
  readonly onlyNew?: boolean;
  /** The key of the pushed Secret that the value is of; absent for a whole Secret. */
  readonly secretKey?: string;
  /** `spec.data[].metadata` of the PushSecret, as it was written. */
  readonly metadata?: unknown;
  /** What the pushed Secret is beside its data, for stores that keep such things. */
  readonly source?: {
    readonly type?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly signal?: AbortSignal;
}

/** A store that can be written. Nothing that another owner pushed is ever overwritten or deleted. */
export interface Writer {
  /**
   * Writes a value; what equals it already is not written again.
   * @throws Failure provider.foreign where another owner's value stands there, provider.push for what cannot be written
   */
  put(target: PushTarget, value: Value, options: PushOptions): Promise<'written' | 'unchanged' | 'kept'>;
  /** Takes away what this owner pushed. `foreign`: what is there is not this owner's, and is left alone. */
  delete(
    target: PushTarget,
    options: { readonly owner: string; readonly signal?: AbortSignal },
  ): Promise<'deleted' | 'absent' | 'foreign'>;
}

/** A store that we are logged in to for a while. */
export interface LoggedIn {
  /** When what it is logged in with ends, in milliseconds since the epoch; undefined: it does not end, or there is none yet. */
  endsAt(): number | undefined;
  /**
   * What we may do there may have changed: where something is refused next, a new login is tried, which may be given more.
   * Absent: a login has no say in that.
   */
  rightsChanged?(): void;
}

export type Provider = Reader &
  Partial<PropertyReader & Finder & MetadataReader & Watcher & Writer & Issuer & LoggedIn>;

/** What connecting may ask of the cluster, already held to the namespace rules of the store (`resolveRef`). */
export interface ProviderEnv {
  /** The store, for messages: "SecretStore cicd/cicd". */
  readonly store: string;
  /** Whether the store is used from many namespaces: a ClusterSecretStore. */
  readonly cluster: boolean;
  readonly log: Log;
  /** Where a host that a tenant named may be connected to. */
  readonly wayOut: WayOut;
  /** To be told of each request that ended, by a client that does not ask through `wayOut.dial`: it is counted, with how long it took. */
  called?(request: { readonly method: string; readonly path: string }, ok: boolean, ms: number): void;
  /** `spec.retrySettings` of the store, where it has them. */
  readonly retry?: { readonly maxRetries?: number; readonly retryIntervalMs?: number };
  /** One key of a Secret. @throws Failure operator.ref_* naming what is missing */
  secretKey(ref: {
    readonly name: string;
    readonly key: string;
    readonly namespace?: string;
  }): Promise<Uint8Array>;
  /** A whole Secret with its labels. @throws as `secretKey` */
  secret(ref: { readonly name: string; readonly namespace?: string }): Promise<{
    readonly labels: Readonly<Record<string, string>>;
    readonly data: ReadonlyMap<string, Uint8Array>;
  }>;
  /**
   * The namespace that the store is used from.
   * @throws Failure operator.ref_referent for a ClusterSecretStore that is only checked
   */
  namespace(): string;
  configMapKey(ref: {
    readonly name: string;
    readonly key: string;
    readonly namespace?: string;
  }): Promise<Uint8Array>;
  /** What is written on a service account: clouds keep there which of their identities it stands for. @throws as `secretKey` */
  serviceAccountAnnotations(ref: {
    readonly name: string;
    readonly namespace?: string;
  }): Promise<Readonly<Record<string, string>>>;
  /** A token of a service account by TokenRequest. */
  serviceAccountToken(ref: {
    readonly name: string;
    readonly namespace?: string;
    readonly audiences: readonly string[];
    readonly expirationSeconds: number;
  }): Promise<string>;
  /** Where a host that the manifests name is really found, and the authority (PEM) it is trusted by there; else the name itself. */
  resolve(host: string, port: number): { readonly host: string; readonly port: number; readonly ca?: string };
}

export interface ProviderType<S = unknown> {
  /** The property under `spec.provider`: "vault". */
  readonly name: string;
  readonly spec: z.ZodType<S>;
  connect(spec: S, env: ProviderEnv): Promise<Provider>;
  /** Of a type whose stores issue credentials: what keeps them. */
  readonly lessor?: Lessor;
}
