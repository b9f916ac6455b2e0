/** A store in memory, for tests of the operator: it can be down, forget, be slow, and tell its changes. */

import { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { RIGHTS_CHANGED } from '../../client/events.ts';
import type { ProviderEnv, ProviderType, Read, Ref, Value } from '../../provider/provider.ts';
import type { PushEvent, Subscribe } from '../push.ts';

export class FakeStore {
  /** Key -> fields and version. */
  readonly #secrets = new Map<string, { fields: Record<string, string>; version: number }>();
  readonly #log: Extract<PushEvent, { revision: number }>[] = [];
  readonly #listeners = new Set<() => void>();
  down = false;
  /** Reads and checks fail, while changes are still told. */
  refusing = false;
  /** What reads fail with; undefined: they do not. */
  failing: (() => Error) | undefined;
  /** Logins are refused. */
  locked = false;
  /** How often a client was told that rights changed. */
  hints = 0;
  /** Socket losses: every open subscription ends. */
  #cuts = 0;
  /** Events before this revision are forgotten. */
  forgotten = 0;
  reads = 0;
  connects = 0;
  /** What the last client was told of `spec.retrySettings`. */
  retry: ProviderEnv['retry'];
  closes = 0;
  subscriptions = 0;
  readonly token: string | undefined;

  constructor(token?: string) {
    this.token = token;
  }

  put(key: string, fields: Record<string, string>): void {
    const version = (this.#secrets.get(key)?.version ?? 0) + 1;
    this.#secrets.set(key, { fields, version });
    this.#tell({ revision: this.#log.length + 1, path: key, version, type: 'kv-v2/data-write' });
  }

  remove(key: string): void {
    const version = this.#secrets.get(key)?.version ?? 0;
    this.#secrets.delete(key);
    this.#tell({ revision: this.#log.length + 1, path: key, version, type: 'kv-v2/data-delete' });
  }

  /** Tells that what somebody may do here has changed, as a Holdfast does. */
  changeRights(): void {
    this.#tell({ revision: this.#log.length + 1, path: 'sys/policies/acl', type: RIGHTS_CHANGED });
  }

  /** Loses everything without a word, as a store with an empty disk would. */
  lose(): void {
    this.#secrets.clear();
  }

  cut(): void {
    this.#cuts++;
    for (const listener of this.#listeners) listener();
  }

  #tell(event: Extract<PushEvent, { revision: number }>): void {
    this.#log.push(event);
    for (const listener of this.#listeners) listener();
  }

  readonly subscribe: Subscribe = (_server, options) => this.#events(options);

  async *#events({ after, signal, opened }: Parameters<Subscribe>[1]): AsyncIterable<PushEvent> {
    this.subscriptions++;
    if (this.down) throw failure('api.unavailable', { request: 'subscribe', errors: 'down' });
    const cuts = this.#cuts;
    let at = after ?? this.#log.length;
    if (after !== undefined && after < this.forgotten) {
      yield { gone: true };
      return;
    }
    let wake = (): void => {};
    const listener = (): void => wake();
    this.#listeners.add(listener);
    opened();
    signal.addEventListener('abort', listener);
    try {
      while (!signal.aborted) {
        if (this.#cuts !== cuts) throw failure('api.unavailable', { request: 'subscribe', errors: 'cut' });
        const event = this.#log[at];
        if (event !== undefined) {
          at++;
          yield event;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', listener);
    }
  }

  /** Reads as the provider does. */
  get(ref: Ref): Read | undefined {
    this.reads++;
    const failing = this.failing?.();
    if (failing !== undefined) throw failing;
    if (this.down || this.refusing)
      throw failure('api.unavailable', { request: `GET ${ref.key}`, errors: 'connection refused' });
    const secret = this.#secrets.get(ref.key);
    return secret === undefined
      ? undefined
      : { value: valueOfFields(secret.fields), version: String(secret.version) };
  }

  *found(name: string | undefined): Iterable<readonly [string, Value]> {
    for (const [key, { fields }] of this.#secrets) {
      if (name === undefined || new RegExp(name).test(key)) yield [key, valueOfFields(fields)];
    }
  }
}

const valueOfFields = (fields: Record<string, string>): Value => ({
  fields: new Map(Object.entries(fields).map(([key, text]) => [key, utf8(text)])),
  json: JSON.stringify(fields),
});

const spec = z.object({
  tokenRef: z.object({ name: z.string(), key: z.string(), namespace: z.string().optional() }).optional(),
});

/** The provider "fake" over a store of ours. With `tokenRef`, it logs in with what that Secret holds. */
export const fakeProvider = (store: FakeStore): ProviderType<z.output<typeof spec>> => ({
  name: 'fake',
  spec,
  async connect(given, env) {
    store.connects++;
    store.retry = env.retry;
    const { tokenRef } = given;
    const token =
      tokenRef === undefined
        ? undefined
        : await env.secretKey({
            name: tokenRef.name,
            key: tokenRef.key,
            ...(tokenRef.namespace === undefined ? {} : { namespace: tokenRef.namespace }),
          });
    if (store.token !== undefined && Buffer.from(token ?? []).toString() !== store.token) {
      throw failure('provider.login', {
        store: env.store,
        reason: 'permission denied',
        mend: 'Mend the token.',
      });
    }
    return {
      get: async (ref) => store.get(ref),
      async validate() {
        if (store.down || store.refusing)
          throw failure('api.unavailable', { request: 'GET health', errors: 'connection refused' });
        if (store.locked)
          throw failure('provider.login', {
            store: env.store,
            reason: 'permission denied',
            mend: 'Mend the role.',
          });
        return 'ready';
      },
      async close() {
        store.closes++;
      },
      locate: (ref) => ({ server: 'fake', path: ref.key }),
      endsAt: () => undefined,
      rightsChanged() {
        store.hints++;
      },
      async *find(query) {
        yield* store.found(query.name);
      },
    };
  },
});
