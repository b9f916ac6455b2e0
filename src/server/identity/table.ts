/**
 * Records behind the barrier with a memory of what was read, and changes to them that are whole or not at all. A change reads
 * what it needs and says what it writes; all that it read is a condition of its commit, so of two changes that meet, one is
 * done over on what the other left. Readers trust the memory: it is told of every commit before its writer is.
 */

import { isFailure } from '../../base/errors.ts';
import type { Check, Storage, Write } from '../../storage/storage.ts';
import { decode, encode, load } from '../auth/records.ts';

/** One change: sees what it wrote itself. */
export interface Change {
  get<T>(key: string): Promise<T | undefined>;
  put(key: string, value: unknown): void;
  delete(key: string): void;
}

/** Absence is remembered too: most callers are in no group, and that is asked of each of their requests. */
interface Known {
  readonly value: unknown;
  readonly revision: number;
}

const ABSENT: Known = { value: undefined, revision: 0 };
const KNOWN_LIMIT = 50_000;

export class Table {
  readonly #storage: Storage;
  readonly #known = new Map<string, Known>();
  readonly #changed: (keys: readonly string[]) => void;
  /** Rises with each commit: a slow read must not bring back what was replaced meanwhile. */
  #commits = 0;

  /** @param changed is told which keys a commit wrote, after they are durable and before the change resolves */
  constructor(storage: Storage, changed: (keys: readonly string[]) => void) {
    this.#storage = storage;
    this.#changed = changed;
  }

  async get<T>(key: string): Promise<T | undefined> {
    return (await this.#read(key)).value as T | undefined;
  }

  /** The names right below a folder, which ends in "/". */
  list(folder: string): Promise<string[]> {
    return this.#storage.list(folder);
  }

  /** Every record below `prefix`, from one snapshot, in the order of their keys. */
  async *all<T>(prefix: string): AsyncGenerator<T> {
    for await (const { key, value } of this.#storage.scan(prefix, new AbortController().signal))
      yield decode<T>(key, value);
  }

  /**
   * Runs `work` until what it read still stands when it is committed. It may run more than once, so it changes nothing else.
   * @throws what `work` throws
   */
  async change<T>(work: (change: Change) => Promise<T>): Promise<T> {
    for (;;) {
      const seen = new Map<string, Known>();
      const writes = new Map<string, { readonly value: unknown } | 'delete'>();
      const result = await work({
        get: async <V>(key: string): Promise<V | undefined> => {
          const own = writes.get(key);
          if (own !== undefined) return own === 'delete' ? undefined : (own.value as V);
          let known = seen.get(key);
          if (known === undefined) {
            known = await this.#read(key);
            seen.set(key, known);
          }
          return known.value as V | undefined;
        },
        put: (key, value) => void writes.set(key, { value }),
        delete: (key) => void writes.set(key, 'delete'),
      });
      if (writes.size === 0) return result;
      const checks = [...seen].map(([key, { revision }]): Check => ({ key, revision }));
      if (await this.#commit(writes, checks)) return result;
    }
  }

  /** Forgets everything that was read. */
  clear(): void {
    this.#commits++;
    this.#known.clear();
  }

  async #commit(
    writes: ReadonlyMap<string, { readonly value: unknown } | 'delete'>,
    checks: readonly Check[],
  ): Promise<boolean> {
    const keys = [...writes.keys()];
    try {
      await this.#storage.commit(
        [...writes].map(
          ([key, write]): Write =>
            write === 'delete' ? { key, delete: true } : { key, value: encode(write.value) },
        ),
        checks,
      );
    } catch (error) {
      // What was read is older than the store.
      this.#forget([...keys, ...checks.map(({ key }) => key)]);
      if (isFailure(error, 'storage.conflict')) return false;
      // Nobody knows what was kept: whoever worked something out from it has to look again.
      this.#changed(keys);
      throw error;
    }
    this.#forget(keys);
    this.#changed(keys);
    return true;
  }

  async #read(key: string): Promise<Known> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const before = this.#commits;
    const found = (await load<unknown>(this.#storage, key)) ?? ABSENT;
    if (before === this.#commits) {
      const oldest = this.#known.size >= KNOWN_LIMIT ? this.#known.keys().next().value : undefined;
      if (oldest !== undefined) this.#known.delete(oldest);
      this.#known.set(key, found);
    }
    return found;
  }

  #forget(keys: readonly string[]): void {
    this.#commits++;
    for (const key of keys) this.#known.delete(key);
  }
}
