import { failure, isFailure } from '../base/errors.ts';
import { placeOf } from './near.ts';
import type { Storage, Write } from './storage.ts';

/**
 * A view of everything below `prefix` (which ends in "/"). Scope is a handle, not a check: whoever holds the view cannot
 * name anything outside it.
 */
export function prefixed(storage: Storage, prefix: string): Storage {
  const inside = (key: string): string => prefix + key;
  const outside = (key: string): string => key.slice(prefix.length);
  const refused = (error: unknown): never => {
    if (isFailure(error, 'storage.conflict') && typeof error.data === 'string')
      throw conflict(outside(error.data));
    throw error;
  };
  return {
    async get(key) {
      const entry = await storage.get(inside(key));
      return entry && { key, value: entry.value, revision: entry.revision };
    },
    ...(storage.place === undefined ? {} : { place: (key: string) => placeOf(storage, inside(key)) }),
    list: (folder, page) => storage.list(inside(folder), page),
    async *scan(folder, signal) {
      for await (const entry of storage.scan(inside(folder), signal))
        yield { ...entry, key: outside(entry.key) };
    },
    commit: (writes, checks = []) =>
      storage
        .commit(
          writes.map((write): Write => {
            const key = inside(write.key);
            return 'value' in write ? { key, value: write.value } : { key, delete: true };
          }),
          checks.map(({ key, revision }) => ({ key: inside(key), revision })),
        )
        .catch(refused),
  };
}

/** The conflict over `key`, which it also carries as its data. */
export const conflict = (key: string) => failure('storage.conflict', { key }, { data: key });
