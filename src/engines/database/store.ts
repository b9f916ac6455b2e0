/**
 * What the engine keeps: connections at `config/<name>`, roles at `role/<name>`, accounts that are rotated at `static/<name>`.
 * All of it is behind the barrier; passwords in it are told to nobody but who asks for the credentials themselves.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Mount } from '../../plugin/plugin.ts';
import type { Storage } from '../../storage/storage.ts';
import type { PoolSize } from './driver.ts';
import type { TlsMaterial } from './target.ts';

/** Milliseconds throughout. */
export interface Config {
  readonly plugin: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** A password that may be set at the database by now: `rotate-root` writes it down before it is sent. */
  readonly pendingPassword?: string;
  readonly allowedRoles: readonly string[];
  readonly rootStatements: readonly string[];
  readonly passwordPolicy: string;
  readonly usernameTemplate: string;
  readonly verify: boolean;
  readonly pool: PoolSize;
  readonly tls: TlsMaterial;
}

export interface Role {
  readonly db: string;
  readonly creation: readonly string[];
  readonly revocation: readonly string[];
  readonly rollback: readonly string[];
  readonly renewal: readonly string[];
  /** 0: the mount's. */
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}

export interface StaticRole {
  readonly db: string;
  readonly username: string;
  readonly password: string;
  /** A password that may be set at the database by now. */
  readonly pendingPassword?: string;
  readonly periodMs: number;
  readonly rotatedAt: number;
  readonly statements: readonly string[];
}

export interface Found<T> {
  readonly value: T;
  readonly revision: number;
}

/** Things of one kind under their names. */
export class Shelf<T> {
  readonly #storage: Storage;
  readonly #folder: string;

  constructor(mount: Mount, folder: string) {
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

const NAME = /^\w(?:[\w.-]{0,126}\w)?$/;

/** @throws Failure database.name: names become part of account names, globs and storage keys */
export function checkedName(name: string): string {
  if (!NAME.test(name)) throw failure('database.name');
  return name;
}
