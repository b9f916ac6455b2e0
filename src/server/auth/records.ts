/** Records of the server's own, kept as JSON in storage that only the server writes: read without suspicion of strangers. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Storage, Write } from '../../storage/storage.ts';

export const encode = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

/** @throws Failure storage.corrupt where the entry is no JSON */
export function decode<T>(key: string, value: Uint8Array): T {
  try {
    return JSON.parse(textOf(value) ?? '') as T;
  } catch {
    throw failure('storage.corrupt', { key });
  }
}

export async function load<T>(
  storage: Storage,
  key: string,
): Promise<{ value: T; revision: number } | undefined> {
  const entry = await storage.get(key);
  return entry && { value: decode<T>(key, entry.value), revision: entry.revision };
}

const WIPE_BATCH = 256;

/** Deletes everything below `prefix`. Safe to repeat after a crash. */
export async function wipe(storage: Storage, prefix: string): Promise<void> {
  let writes: Write[] = [];
  for await (const entry of storage.scan(prefix, new AbortController().signal)) {
    writes.push({ key: entry.key, delete: true });
    if (writes.length === WIPE_BATCH) {
      await storage.commit(writes);
      writes = [];
    }
  }
  if (writes.length > 0) await storage.commit(writes);
}
