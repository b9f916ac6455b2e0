/** Reads one version of a secret as one consistent thing, though its metadata and its value are two entries. */

import { failure } from '../../base/errors.ts';
import { readable } from '../keyspace.ts';
import { isReadable, type Secret, type Version } from './secret.ts';
import type { SecretStore } from './store.ts';

export interface Found {
  readonly secret: Secret;
  readonly number: number;
  readonly version: Version;
  /** JSON text; undefined where the version is deleted or destroyed. */
  readonly text: string | undefined;
}

/** Writers may trim or forget a version between our two reads this often before we say that the store is broken. */
const MOST_TRIES = 8;

/** The secret that the "*path" of a route names; undefined where it names none or there is none. */
export async function readSecret(store: SecretStore, given: string): Promise<Secret | undefined> {
  const path = readable(given);
  return path === undefined ? undefined : store.secret(path);
}

/**
 * @param given the "*path" of a route
 * @param wanted number of the version; 0 for the current one
 * @returns undefined where there is no such secret or version
 * @throws Failure storage.corrupt where a version that must be there is not
 */
export async function readVersion(
  store: SecretStore,
  given: string,
  wanted: number,
  now: number,
): Promise<Found | undefined> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const secret = await readSecret(store, given);
    if (secret === undefined) return undefined;
    const number = wanted === 0 ? secret.current : wanted;
    const version = secret.versions[number];
    if (version === undefined) return undefined;
    if (!isReadable(version, now)) return { secret, number, version, text: undefined };
    const text = await store.value(secret, number);
    if (text !== undefined) return { secret, number, version, text };
  }
  throw failure('storage.corrupt', { key: given });
}
