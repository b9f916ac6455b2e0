/** Reads one version of a secret as one consistent thing, though its metadata and its value are two entries. */

import { failure } from '../../base/errors.ts';
import { after, type Soon } from '../../base/soon.ts';
import { readable } from '../keyspace.ts';
import { isReadable, type Secret, versionOf } from './secret.ts';
import type { Found, Named, SecretStore } from './store.ts';

/** Writers may trim or forget a version between our two reads this often before we say that the store is broken. */
const MOST_TRIES = 8;

/** Whether there is a secret of the name that the "*path" of a route gives. */
export function isThere(store: SecretStore, given: string): Soon<boolean> {
  const path = readable(given);
  return path !== undefined && store.has(path);
}

/** The secret that the "*path" of a route names; undefined where it names none or there is none. */
export function readSecret(store: SecretStore, given: string): Soon<Secret | undefined> {
  const path = readable(given);
  return path === undefined ? undefined : store.secret(path);
}

/**
 * @param wanted number of the version; 0 for the current one
 * @returns undefined where there is no such secret or version
 * @throws Failure storage.corrupt where a version that must be there is not
 */
export function readVersion(
  store: SecretStore,
  named: Named,
  wanted: number,
  now: number,
  tries = 0,
): Soon<Found | undefined> {
  if (readable(named.given) === undefined) return undefined;
  // A value that is gone shows that the record in memory is older than the store: from then on nothing but the store is asked.
  return after(store.known(named, tries > 0), (known) => {
    if (known === undefined) return undefined;
    const { secret, newest } = known;
    if (wanted === 0 && newest !== undefined && isReadable(newest.version, now)) return newest;
    const number = wanted === 0 ? secret.current : wanted;
    const version = versionOf(secret, number);
    if (version === undefined) return undefined;
    if (!isReadable(version, now)) return { secret, number, version, value: undefined };
    return after(store.value(known, number), (value) => {
      if (value !== undefined) return { secret, number, version, value };
      if (tries === MOST_TRIES) throw failure('storage.corrupt', { key: named.key });
      return readVersion(store, named, wanted, now, tries + 1);
    });
  });
}
