/** A store in memory that can be asked without a promise, as LMDB can. For tests. */

import { MemoryBackend } from './memory.ts';
import type { Check, Entry, Write } from './storage.ts';

export class AtOnce extends MemoryBackend {
  readonly #entries = new Map<string, Entry>();
  /** How often it was asked so. */
  reads = 0;

  override async commit(writes: readonly Write[], checks?: readonly Check[]): Promise<number> {
    const revision = await super.commit(writes, checks);
    for (const write of writes) {
      if ('value' in write)
        this.#entries.set(write.key, { key: write.key, value: Uint8Array.from(write.value), revision });
      else this.#entries.delete(write.key);
    }
    return revision;
  }

  getNow(key: string): Entry | undefined {
    this.reads++;
    const entry = this.#entries.get(key);
    return entry && { ...entry, value: Uint8Array.from(entry.value) };
  }
}
