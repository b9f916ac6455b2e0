/** A role: which service accounts may log in under it, and what they get. */

import type { Mount } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
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

export const rolesOf = (mount: Pick<Mount, 'storage'>): Shelf<Role> => new Shelf(mount, 'role/');
