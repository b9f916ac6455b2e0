/** What all stores share about names: which may be kept, and how a folder is told from an entry. */

import { failure } from '../base/errors.ts';
import { type Check, KEY_LIMIT, type Write } from './storage.ts';

/** Whether a store can hold an entry of this name. Two names with lone surrogates would meet in one UTF-8 key. */
export const canKeep = (key: string): boolean => Buffer.byteLength(key) <= KEY_LIMIT && key.isWellFormed();

/** @throws Failure storage.key for the first write whose name cannot be kept */
export function assertKeys(writes: readonly Write[]): void {
  for (const { key } of writes) {
    if (Buffer.byteLength(key) > KEY_LIMIT)
      throw failure('storage.key', { reason: `it is longer than ${KEY_LIMIT} bytes` });
    if (!key.isWellFormed()) throw failure('storage.key', { reason: 'it is not UTF-8' });
  }
}

/** The child of a folder that `rest`, a key without the folder's name, lies at or under. */
export function childOf(rest: string): string {
  const slash = rest.indexOf('/');
  return slash < 0 ? rest : rest.slice(0, slash + 1);
}

/** "/" plus one: the first name that is not below the folder. */
export const pastFolder = (folder: string): string => `${folder.slice(0, -1)}0`;

/** Checks that their caller can no longer change. */
export const copiesOf = (checks: readonly Check[]): readonly Check[] =>
  checks.map(({ key, revision }) => ({ key, revision }));

/** One commit as the writers queue it: the last write of each key, in copies that the caller can no longer change. */
export interface Pending {
  readonly writes: ReadonlyMap<string, Write>;
  readonly checks: readonly Check[];
}

/** @throws Failure storage.key */
export function pending(writes: readonly Write[], checks: readonly Check[]): Pending {
  assertKeys(writes);
  return {
    writes: new Map(
      writes.map((write): [string, Write] => [
        write.key,
        'value' in write ? { key: write.key, value: Uint8Array.from(write.value) } : write,
      ]),
    ),
    checks: copiesOf(checks),
  };
}
