/**
 * What a token may do: its own policies and those that its entity and the entity's groups give. Asked anew for every request,
 * every event and every question about capabilities, so that a change of any of them holds from the next moment on.
 */

import { failure } from '../../base/errors.ts';
import type { Acl } from '../auth/acl.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import type { Resolved } from '../identity/store.ts';
import type { Services } from './core.ts';

export interface Authority {
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
export async function authorityOf(
  services: Pick<Services, 'identity' | 'policies'>,
  token: Pick<TokenEntry, 'policies' | 'entityId'>,
): Promise<Authority> {
  const identity = token.entityId === '' ? undefined : await services.identity.resolve(token.entityId);
  // Who is no longer known must not go on with what the token alone gives: it was given to that entity.
  if (token.entityId !== '' && identity === undefined) throw failure('request.denied');
  if (identity?.entity.disabled === true) throw failure('identity.disabled');
  const identityPolicies = identity?.policies ?? [];
  const policies = united(token.policies, identityPolicies);
  const acl = await services.policies.acl(policies, identity?.identity);
  return { acl, policies, identityPolicies, identity };
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
