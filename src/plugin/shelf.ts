/** Things of one kind under their names, each one JSON entry of a mount's storage: roles, users, connections, accounts. */

import { textOf, utf8 } from '../base/bytes.ts';
import { failure, isFailure } from '../base/errors.ts';
import { stringify } from '../base/json.ts';
import type { Storage } from '../storage/storage.ts';
import type { Mount } from './plugin.ts';

export interface Found<T> {
  readonly value: T;
  readonly revision: number;
}

/** How often a change is made anew because somebody else wrote meanwhile. */
const TRIES = 8;

export class Shelf<T> {
  readonly #storage: Storage;
  readonly #folder: string;
  readonly #parse: (text: string) => unknown;

  /**
   * @param folder ends in "/"; names must hold none
   * @param parse reads what was written; absent: numbers become doubles
   */
  constructor(mount: Pick<Mount, 'storage'>, folder: string, parse: (text: string) => unknown = JSON.parse) {
    this.#storage = mount.storage;
    this.#folder = folder;
    this.#parse = parse;
  }

  names(): Promise<string[]> {
    return this.#storage.list(this.#folder);
  }

  async get(name: string): Promise<T | undefined> {
    return (await this.find(name))?.value;
  }

  async find(name: string): Promise<Found<T> | undefined> {
    const entry = await this.#storage.get(this.#folder + name);
    const text = entry && textOf(entry.value);
    return entry === undefined || text === undefined
      ? undefined
      : { value: this.#parse(text) as T, revision: entry.revision };
  }

  /** @param revision what is replaced; 0: nothing. @throws Failure storage.conflict where it is something else by now */
  put(name: string, value: T, revision: number): Promise<number> {
    const key = this.#folder + name;
    return this.#storage.commit([{ key, value: utf8(stringify(value)) }], [{ key, revision }]);
  }

  /**
   * Writes what `change` makes of what there is; nobody's change is lost.
   * @throws Failure storage.conflict where others write all the time, and what `change` throws
   */
  async change(name: string, change: (before: T | undefined) => T): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await this.find(name);
      try {
        await this.put(name, change(found?.value), found?.revision ?? 0);
        return;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('storage.conflict', { key: this.#folder + name });
  }

  async delete(name: string): Promise<void> {
    await this.#storage.commit([{ key: this.#folder + name, delete: true }]);
  }
}
