/** A store in memory: gone with the process, and otherwise the same as any other. For tests and `dev --data memory`. */

import { compareBytes } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { History } from './history.ts';
import { childOf, pastFolder, pending } from './keys.ts';
import { conflict } from './prefixed.ts';
import type { Backend, Change, Check, Entry, Page, Write } from './storage.ts';

export class MemoryBackend implements Backend {
  readonly name = 'memory';
  /** Entries are never changed in place, so that a scan may hold on to them. */
  readonly #entries = new Map<string, Entry>();
  /** The keys of the entries, in byte order. */
  readonly #keys: string[] = [];
  readonly #history = new History(0);
  #closed = false;

  async get(key: string): Promise<Entry | undefined> {
    this.#assertOpen();
    const entry = this.#entries.get(key);
    return entry && copy(entry);
  }

  async getMany(keys: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    this.#assertOpen();
    const found = new Map<string, Entry>();
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) found.set(key, copy(entry));
    }
    return found;
  }

  async list(prefix: string, { after, limit = Number.POSITIVE_INFINITY }: Page = {}): Promise<string[]> {
    this.#assertOpen();
    const children: string[] = [];
    let at = after === undefined ? this.#seek(prefix) : this.#seekAfter(prefix, after);
    while (children.length < limit) {
      const key = this.#keys[at];
      if (key === undefined || !key.startsWith(prefix)) break;
      const child = childOf(key.slice(prefix.length));
      children.push(child);
      at = child.endsWith('/') ? this.#seek(pastFolder(prefix + child)) : at + 1;
    }
    return children;
  }

  async *scan(prefix: string, signal: AbortSignal): AsyncGenerator<Entry, void, void> {
    this.#assertOpen();
    const snapshot: Entry[] = [];
    for (let at = this.#seek(prefix); at < this.#keys.length; at++) {
      const entry = this.#entries.get(this.#keys[at] ?? '');
      if (entry === undefined || !entry.key.startsWith(prefix)) break;
      snapshot.push(entry);
    }
    for (const entry of snapshot) {
      signal.throwIfAborted();
      this.#assertOpen();
      yield copy(entry);
    }
    signal.throwIfAborted();
  }

  async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    this.#assertOpen();
    const asked = pending(writes, checks);
    for (const { key, revision } of asked.checks)
      if ((this.#entries.get(key)?.revision ?? 0) !== revision) throw conflict(key);
    if (asked.writes.size === 0) return this.#history.head;
    const revision = this.#history.head + 1;
    for (const write of asked.writes.values()) {
      const at = this.#seek(write.key);
      const present = this.#entries.has(write.key);
      if ('value' in write) {
        if (!present) this.#keys.splice(at, 0, write.key);
        this.#entries.set(write.key, { ...write, revision });
      } else if (present) {
        this.#keys.splice(at, 1);
        this.#entries.delete(write.key);
      }
    }
    this.#history.add({ revision, keys: [...asked.writes.keys()] });
    return revision;
  }

  async head(): Promise<number> {
    this.#assertOpen();
    return this.#history.head;
  }

  changes(after: number, signal: AbortSignal): AsyncIterable<Change> {
    return this.#history.follow(after, signal, () => (this.#closed ? failure('storage.closed') : undefined));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#history.wake();
  }

  #assertOpen(): void {
    if (this.#closed) throw failure('storage.closed');
  }

  /** The place of the first key that is not before `key`. */
  #seek(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes(this.#keys[middle] ?? '', key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #seekAfter(prefix: string, after: string): number {
    if (after.includes('/')) return this.#seek(pastFolder(prefix + childOf(after)));
    const at = this.#seek(prefix + after);
    return this.#keys[at] === prefix + after ? at + 1 : at;
  }
}

const copy = (entry: Entry): Entry => ({ ...entry, value: Uint8Array.from(entry.value) });
