/**
 * What controllers hand to the executor. A controller gathers, then thinks: `observe` reads, `plan` decides and touches
 * nothing, the executor reads what the plan still needs from stores, asks again, and applies the actions in order.
 */

import type { Failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { KubeObject, Name } from '../kube/kube.ts';
import type { Fields } from '../provider/generator.ts';
import type { Read, Ref, Value } from '../provider/provider.ts';

export interface StoreName {
  readonly kind: 'SecretStore' | 'ClusterSecretStore';
  readonly name: string;
}

/** `sourceRef.generatorRef` */
export interface GeneratorRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export interface FindQuery {
  readonly path?: string;
  readonly name?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** Something that only a store can tell. Equal `id`s are one read. */
export interface Need {
  readonly id: string;
  readonly store: StoreName;
  /** What of the secret is wanted, for stores that have to be asked for each property (`PropertyReader`). */
  readonly properties?: readonly string[];
  readonly ask: { readonly get: Ref } | { readonly metadata: Ref } | { readonly find: FindQuery };
}

/** Values that a generator is to make for one entry of a list: each entry gets its own. */
export interface Making {
  readonly id: string;
  readonly generator: GeneratorRef;
  /** Of the entry, as what is left behind is told apart by. */
  readonly index: string;
}

/** What the store said. `missing`: it says that there is no such secret. */
export type Answer =
  /** `exact`: the value is that of the property already. */
  | { readonly read: Read; readonly exact?: true }
  /** By property, from a store that is asked for each. */
  | { readonly each: ReadonlyMap<string, Answer> }
  | { readonly metadata: Json }
  | { readonly found: readonly (readonly [string, Value])[] }
  | { readonly generated: Fields }
  | { readonly missing: true }
  | { readonly failed: Failure };

export interface Note {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Whom the event names as its source, where upstream has another one than for ExternalSecrets. */
  readonly component?: string;
}

/** A write that may be refused; `failing` is then the known first half of the condition's message. */
export type Action =
  | {
      readonly do: 'create' | 'update';
      readonly name: Name;
      readonly object: KubeObject;
      readonly manager: string;
      readonly failing: string;
    }
  | {
      readonly do: 'delete';
      readonly name: Name;
      readonly uid: string;
      readonly failing: string;
    }
  /** A merge patch of the object itself. */
  | { readonly do: 'patch'; readonly name: Name; readonly patch: object }
  | { readonly do: 'status'; readonly name: Name; readonly status: object }
  | { readonly do: 'event'; readonly regarding: KubeObject; readonly note: Note };

export interface Steps {
  readonly actions: readonly Action[];
  /** When to look again for the refresh interval's sake. */
  readonly requeueAt?: Date;
  /** What is read from then on is new enough for that time; absent: from that time on. */
  readonly freshFrom?: Date;
  /** Failed in a way that time may mend: again in seconds. */
  readonly retry?: boolean;
  /** Not before so many milliseconds are over: the store said so, or what is missing is waited for and wakes us. */
  readonly retryAfterMs?: number;
}

export type Plan = { readonly read: readonly (Need | Making)[] } | Steps;

/** How the planned refusal of a write is told: the steps instead of the rest. */
export type Explain = (action: Action & { readonly failing: string }, failure: Failure) => Steps;
