/** Things of one kind under their names, each one JSON entry of a mount's storage: roles, connections, accounts. */

import { textOf, utf8 } from '../base/bytes.ts';
import { stringify } from '../base/json.ts';
import type { Mount } from '../plugin/plugin.ts';
import type { Storage } from '../storage/storage.ts';

export interface Found<T> {
  readonly value: T;
  readonly revision: number;
}

export class Shelf<T> {
  readonly #storage: Storage;
  readonly #folder: string;

  /** @param folder ends in "/"; names must hold none */
  constructor(mount: Pick<Mount, 'storage'>, folder: string) {
    this.#storage = mount.storage;
    this.#folder = folder;
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
      : { value: JSON.parse(text) as T, revision: entry.revision };
  }

  /** @param revision what is replaced; 0: nothing. @throws Failure storage.conflict where it is something else by now */
  put(name: string, value: T, revision: number): Promise<number> {
    const key = this.#folder + name;
    return this.#storage.commit([{ key, value: utf8(stringify(value)) }], [{ key, revision }]);
  }

  async delete(name: string): Promise<void> {
    await this.#storage.commit([{ key: this.#folder + name, delete: true }]);
  }
}
