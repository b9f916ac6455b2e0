/**
 * What makes values instead of keeping them: each time it is asked, there are new ones. One that leaves something behind
 * (an account, a lease) reserves it before there is anything to undo, so that a crash at any point leaves nothing that
 * nobody takes away. Taking away and keeping alive are second small interfaces: most generators leave nothing.
 */

import type { z } from 'zod';
import type { Json } from '../base/json.ts';
import type { ProviderEnv } from './provider.ts';

/** What was made, by the names that a Secret's entries get. */
export type Fields = ReadonlyMap<string, Uint8Array>;

/** What is kept of a generation, as a JSON object. */
export type State = Readonly<Record<string, Json>>;

/** In `ProviderEnv`, `store` names the generator, for messages: "Password team/db". */
export interface GeneratorType<S = unknown> {
  /** "Password" */
  readonly kind: string;
  readonly spec: z.ZodType<S>;
  /**
   * @param reserve to be called once, before anything is made that has to be taken away again
   * @throws Failure why there are no values
   */
  generate(spec: S, env: ProviderEnv, reserve: Reserve, signal?: AbortSignal): Promise<Fields>;
  readonly cleaner?: Cleaner<S>;
  readonly keeper?: Keeper<S>;
}

/** Makes durable what a `Cleaner` will be given. @throws Failure where the cluster does not take it: then nothing may be made */
export type Reserve = (state: State) => Promise<Reserved>;

/** What one generation left behind. */
export interface Reserved {
  /** An object that people can read: nothing of a secret may be in it. */
  readonly state: State;
  update(state: State): Promise<void>;
  /** What takes it away again, where that is a secret; kept beside the state, and gone with it. */
  secret(): Promise<Uint8Array | undefined>;
  keepSecret(value: Uint8Array): Promise<void>;
}

/** Takes away what a generation left. Called again after a failure or a crash: what is gone already is no failure. */
export interface Cleaner<S> {
  cleanup(spec: S, reserved: Reserved, env: ProviderEnv, signal?: AbortSignal): Promise<void>;
}

/** Keeps alive what is in use. */
export interface Keeper<S> {
  /** @returns when to be asked again, and where it cannot live on: by when new values have to be made */
  keep(spec: S, reserved: Reserved, env: ProviderEnv, now: Date): Promise<Kept>;
}

export interface Kept {
  readonly again?: Date;
  readonly replaceAt?: Date;
}
