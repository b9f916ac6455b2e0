/** A configured certificate: an authority whose clients may log in, or one client's own; and what else is kept here. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Storage } from '../../storage/storage.ts';
import { NO_TOKEN_FIELDS, type TokenFields } from '../token-fields.ts';

export interface Entry {
  /** PEM, one or more. */
  readonly certificate: string;
  readonly displayName: string;
  readonly names: readonly string[];
  readonly commonNames: readonly string[];
  readonly dnsSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly uriSans: readonly string[];
  readonly units: readonly string[];
  readonly requiredExtensions: readonly string[];
  readonly metadataExtensions: readonly string[];
  readonly token: TokenFields;
}

export const NO_ENTRY: Entry = {
  certificate: '',
  displayName: '',
  names: [],
  commonNames: [],
  dnsSans: [],
  emailSans: [],
  uriSans: [],
  units: [],
  requiredExtensions: [],
  metadataExtensions: [],
  token: NO_TOKEN_FIELDS,
};

/** What is revoked: serials (hexadecimal) of one issuer (its name's DER, hexadecimal). */
export interface Crl {
  readonly issuer: string;
  readonly serials: readonly string[];
}

export interface Config {
  /** A renewal does not ask for the certificate of the login again. */
  readonly disableBinding: boolean;
  readonly enableIdentityAliasMetadata: boolean;
  readonly ocspCacheSize: number;
}

export const NO_CONFIG: Config = {
  disableBinding: false,
  enableIdentityAliasMetadata: false,
  ocspCacheSize: 100,
};

const CONFIG = 'config';
const TRIES = 8;

/** Entries of one kind, by name. */
export class Shelf<T> {
  readonly #storage: Storage;
  readonly #folder: string;

  constructor(storage: Storage, folder: 'cert/' | 'crl/') {
    this.#storage = storage;
    this.#folder = folder;
  }

  names(): Promise<string[]> {
    return this.#storage.list(this.#folder);
  }

  async get(name: string): Promise<T | undefined> {
    return (await load<T>(this.#storage, this.#folder + name))?.value;
  }

  /** Writes what `change` makes of what there is; nobody's change is lost. @throws what `change` throws */
  async change(name: string, change: (before: T | undefined) => T): Promise<void> {
    const key = this.#folder + name;
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await load<T>(this.#storage, key);
      const value = utf8(stringify(change(found?.value)));
      try {
        await this.#storage.commit([{ key, value }], [{ key, revision: found?.revision ?? 0 }]);
        return;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('storage.conflict', { key });
  }

  async delete(name: string): Promise<void> {
    await this.#storage.commit([{ key: this.#folder + name, delete: true }]);
  }
}

export const readConfig = async (storage: Storage): Promise<Config> =>
  (await load<Config>(storage, CONFIG))?.value ?? NO_CONFIG;

export const writeConfig = (storage: Storage, config: Config): Promise<number> =>
  storage.commit([{ key: CONFIG, value: utf8(stringify(config)) }]);

async function load<T>(storage: Storage, key: string): Promise<{ value: T; revision: number } | undefined> {
  const entry = await storage.get(key);
  const text = entry && textOf(entry.value);
  return entry === undefined || text === undefined
    ? undefined
    : { value: JSON.parse(text) as T, revision: entry.revision };
}
