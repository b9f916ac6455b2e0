/** A role: which service accounts may log in under it, and what they get. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { stringify } from '../../base/json.ts';
import type { Storage } from '../../storage/storage.ts';
import { NO_TOKEN_FIELDS, type TokenFields } from '../token-fields.ts';

export const ALIAS_SOURCES = ['serviceaccount_uid', 'serviceaccount_name'] as const;

export interface Role {
  readonly names: readonly string[];
  readonly namespaces: readonly string[];
  /** Empty: tokens for the API server itself are taken as well. */
  readonly audience: string;
  readonly alias: (typeof ALIAS_SOURCES)[number];
  readonly token: TokenFields;
}

export const NO_ROLE: Role = {
  names: [],
  namespaces: [],
  audience: '',
  alias: 'serviceaccount_uid',
  token: NO_TOKEN_FIELDS,
};

export const FOLDER = 'role/';
export const roleKey = (name: string): string => FOLDER + name;

export async function readRole(
  storage: Storage,
  name: string,
): Promise<{ role: Role; revision: number } | undefined> {
  const entry = await storage.get(roleKey(name));
  const text = entry && textOf(entry.value);
  return entry === undefined || text === undefined
    ? undefined
    : { role: JSON.parse(text) as Role, revision: entry.revision };
}

/** @param revision of what was read before; 0 where there was none */
export const writeRole = (storage: Storage, name: string, role: Role, revision: number): Promise<number> =>
  storage.commit([{ key: roleKey(name), value: utf8(stringify(role)) }], [{ key: roleKey(name), revision }]);
