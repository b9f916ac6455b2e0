/** A key as one request holds it: its record, and the bytes of the versions that the request needs, wiped when it is over. */

import { failure } from '../../base/errors.ts';
import type { Key } from './key.ts';
import { type KeyStore, type Material, wipeMaterial } from './store.ts';

export class OpenKey {
  readonly key: Key;
  readonly #store: KeyStore;
  readonly #material = new Map<number, Material>();

  constructor(store: KeyStore, key: Key) {
    this.#store = store;
    this.key = key;
  }

  /**
   * The bytes of a version, which the caller must not keep.
   * @throws Failure transit.too_old where it was trimmed meanwhile
   */
  async material(version: number): Promise<Material> {
    const held = this.#material.get(version);
    if (held !== undefined) return held;
    const found = await this.#store.material(this.key, version);
    if (found === undefined) throw failure('transit.too_old');
    this.#material.set(version, found);
    return found;
  }

  close(): void {
    for (const material of this.#material.values()) wipeMaterial(material);
    this.#material.clear();
  }
}

/** Does `work` with a key, and wipes what was read for it. */
export async function withKey<T>(store: KeyStore, key: Key, work: (open: OpenKey) => Promise<T>): Promise<T> {
  const open = new OpenKey(store, key);
  try {
    return await work(open);
  } finally {
    open.close();
  }
}
