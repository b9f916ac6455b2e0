/** Where keys lie: `key/<name>`, one JSON object each, secret and used codes included, all behind the barrier. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Page } from '../../storage/storage.ts';
import type { Key } from './key.ts';

/** Others may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;
const at = (name: string): string => `key/${name}`;

export class KeyStore {
  readonly #mount: Mount;

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  list(page: Page): Promise<string[]> {
    return this.#mount.storage.list('key/', page);
  }

  async get(name: string): Promise<Key | undefined> {
    const entry = await this.#mount.storage.get(at(name));
    return entry === undefined ? undefined : read(at(name), entry.value);
  }

  async delete(name: string): Promise<void> {
    await this.#mount.storage.commit([{ key: at(name), delete: true }]);
  }

  /**
   * Reads a key, asks `rule` what it shall be, and commits that under the check that nobody was faster; else asks again.
   * A `rule` that gives nothing changes nothing.
   * @throws Failure totp.busy, and what `rule` throws
   */
  async change(name: string, rule: (before: Key | undefined) => Key | undefined): Promise<void> {
    const key = at(name);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const entry = await this.#mount.storage.get(key);
      const after = rule(entry === undefined ? undefined : read(key, entry.value));
      if (after === undefined) return;
      try {
        await this.#mount.storage.commit(
          [{ key, value: utf8(stringify(after)) }],
          [{ key, revision: entry?.revision ?? 0 }],
        );
        return;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('totp.busy');
  }
}

function read(key: string, bytes: Uint8Array): Key {
  const text = textOf(bytes);
  if (text === undefined) throw failure('storage.corrupt', { key });
  return JSON.parse(text) as Key;
}
