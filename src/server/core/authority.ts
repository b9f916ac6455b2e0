/**
 * What a token may do: its own policies and those that its entity and the entity's groups give. Asked anew for every request,
 * every event and every question about capabilities, so that a change of any of them holds from the next moment on: what was
 * found out is kept with the very record of the token that it was found out for, and stands until a policy, an identity or
 * that record changes.
 */

import { failure } from '../../base/errors.ts';
import { NOTES, type Noted } from '../../base/noted.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Acl } from '../auth/acl.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import type { Resolved } from '../identity/store.ts';
import type { Services } from './core.ts';

export interface Authority extends Noted {
  readonly acl: Acl;
  /** Of the token and of its identity, in order. */
  readonly policies: readonly string[];
  /** Of its entity and the entity's groups; none for a token without an entity. */
  readonly identityPolicies: readonly string[];
  readonly identity: Resolved | undefined;
}

/**
 * The authority of a living token.
 * @throws Failure request.denied where its entity is gone, identity.disabled where it is disabled
 */
export function authorityOf(services: Judges, token: Bearer): Soon<Authority> {
  const known = token[NOTES] as Kept | undefined;
  // A copy of the record may be of another one: with it comes what hangs on the record.
  if (known !== undefined && known.of === token && stands(known, services)) return known.authority;
  const { policies, identity } = services;
  const from = { policies: policies.revision, identity: identity.revision };
  return after(workedOut(services, token), (authority) => {
    // Member by member: what is made with a spread has a shape of its own, which each request would look for.
    const found = { of: token, policies: from.policies, identity: from.identity, authority };
    // Changed while it was worked out, it is still what held when it was asked for, and nothing for the next to rely on.
    if (stands(found, services)) token[NOTES] = found;
    return authority;
  });
}

type Judges = Pick<Services, 'identity' | 'policies'>;
type Bearer = Pick<TokenEntry, 'policies' | 'entityId'> & Noted;

/** An authority, and the revisions of what it was worked out from, which no two stores have in common. */
interface Kept {
  readonly of: Bearer;
  readonly authority: Authority;
  readonly policies: object;
  readonly identity: object;
}

const stands = (known: Kept, { policies, identity }: Judges): boolean =>
  known.policies === policies.revision && known.identity === identity.revision;

function workedOut(services: Judges, token: Bearer): Soon<Authority> {
  if (token.entityId === '') return authorityWith(services, token, undefined);
  return after(services.identity.resolve(token.entityId), (identity) => {
    // Who is no longer known must not go on with what the token alone gives: it was given to that entity.
    if (identity === undefined) throw failure('request.denied');
    if (identity.entity.disabled) throw failure('identity.disabled');
    return authorityWith(services, token, identity);
  });
}

function authorityWith(services: Judges, token: Bearer, identity: Resolved | undefined): Soon<Authority> {
  const identityPolicies = identity?.policies ?? [];
  const policies = united(token.policies, identityPolicies);
  return after(services.policies.acl(policies, identity?.identity), (acl) => ({
    acl,
    policies,
    identityPolicies,
    identity,
  }));
}

/** The policies that an entity gives now, for an answer that tells of a token; none where it is gone. */
export async function identityPoliciesOf(
  { identity }: Pick<Services, 'identity'>,
  entityId: string,
): Promise<readonly string[]> {
  return entityId === '' ? [] : ((await identity.resolve(entityId))?.policies ?? []);
}

/** Both lists as one: each name once, in order. */
export const united = (own: readonly string[], more: readonly string[]): readonly string[] =>
  more.length === 0 ? own : [...new Set([...own, ...more])].sort();
