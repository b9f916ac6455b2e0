/** A role: whose tokens may log in under it, who they then are, and what they get. */

import { failure } from '../../base/errors.ts';
import { parseJson } from '../../base/json.ts';
import type { Grant, Mount } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
import { loginName, NO_TOKEN_FIELDS, type TokenFields, tokenParams } from '../token-fields.ts';
import type { BoundClaims, Identity, IdentityClaims } from './claims.ts';
import type { Leeways } from './expected.ts';

export const CALLBACK_MODES = ['client', 'direct'] as const;

export interface Role extends IdentityClaims {
  /** `jwt`: a token is brought. `oidc`: a person logs in at the provider. */
  readonly type: 'jwt' | 'oidc';
  readonly audiences: readonly string[];
  readonly subject: string;
  readonly boundClaims: BoundClaims;
  readonly boundClaimsType: 'string' | 'glob';
  readonly leeways: Leeways;
  readonly scopes: readonly string[];
  readonly redirectUris: readonly string[];
  /** Milliseconds; 0: none. */
  readonly maxAgeMs: number;
  readonly verbose: boolean;
  /** Where the browser comes back to: a listener of the client, or this server, which the client then polls. */
  readonly callbackMode: (typeof CALLBACK_MODES)[number];
  /** Seconds between two polls; 0: the default. */
  readonly pollInterval: number;
  /** Whether a login in the `direct` mode goes through without the page that asks. */
  readonly unconfirmed: boolean;
  readonly token: TokenFields;
}

export const NO_ROLE: Role = {
  type: 'oidc',
  audiences: [],
  subject: '',
  boundClaims: {},
  boundClaimsType: 'string',
  leeways: { expirationMs: 0, notBeforeMs: 0, clockSkewMs: 0 },
  userClaim: '',
  userClaimPointer: false,
  groupsClaim: '',
  mappings: {},
  scopes: [],
  redirectUris: [],
  maxAgeMs: 0,
  verbose: false,
  callbackMode: 'client',
  pollInterval: 0,
  unconfirmed: false,
  token: NO_TOKEN_FIELDS,
};

/** Read without loss: a number that a claim is bound to keeps its digits. */
export const rolesOf = (mount: Pick<Mount, 'storage'>): Shelf<Role> => new Shelf(mount, 'role/', parseJson);

export interface NamedRole {
  readonly name: string;
  readonly role: Role;
}

/**
 * The role that a login names, or the default one.
 * @throws Failure jwt.missing_role, jwt.unknown_role
 */
export async function roleFor(
  mount: Pick<Mount, 'storage'>,
  given: string | null | undefined,
  byDefault: string,
): Promise<NamedRole> {
  const name = (given || byDefault).toLowerCase();
  if (name === '') throw failure('jwt.missing_role');
  // A name with a slash would reach outside of the folder of roles.
  const role = name.includes('/') ? undefined : await rolesOf(mount).get(name);
  if (role === undefined) throw failure('jwt.unknown_role', { name: printable(name) });
  return { name, role };
}

const printable = (name: string): string => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 128);

/** What a login under a role grants. The role's name is in the metadata: renewal finds the role by it. */
export function grantOf(mount: Pick<Mount, 'path'>, { name, role }: NamedRole, identity: Identity): Grant {
  const metadata = { ...identity.metadata, role: name };
  return {
    displayName: loginName(mount, identity.user),
    policies: role.token.policies,
    metadata,
    alias: { name: identity.user, metadata },
    ...(identity.groups === undefined ? {} : { groups: identity.groups }),
    token: tokenParams(role.token),
  };
}
