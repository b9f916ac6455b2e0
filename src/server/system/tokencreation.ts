/** Making tokens out of tokens: what a caller, and the role that is named, may give. */

import { z } from 'zod';
import { isCidr } from '../../base/cidr.ts';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { globMatches } from '../../base/glob.ts';
import { commaList, duration, flag, integer, keyValues } from '../../base/schema.ts';
import type { Call, Reply } from '../../plugin/plugin.ts';
import type { Issued, IssuedToken, NewToken, TokenEntry } from '../auth/tokens.ts';
import {
  choosesPolicies,
  lesser,
  NO_TOKEN_ROLE,
  policiesUnder,
  type TokenRole,
} from '../auth/tokens-roles.ts';
import { type Core, services } from '../core/core.ts';
import { exchangeOf } from '../core/exchange.ts';
import { WRAPPING_POLICY } from '../core/policies.ts';

export const createInput = z.object({
  role_name: z.string().default(''),
  id: z.string().max(512).default(''),
  policies: commaList().optional(),
  meta: keyValues().nullish(),
  no_parent: flag().default(false),
  no_default_policy: flag().default(false),
  renewable: flag().default(true),
  ttl: duration().default(0),
  lease: duration().default(0),
  explicit_max_ttl: duration().default(0),
  period: duration().default(0),
  num_uses: integer().default(0),
  display_name: z.string().default('token'),
  type: z.enum(['', 'service', 'default', 'batch']).default(''),
  entity_alias: z.string().default(''),
  bound_cidrs: commaList().optional(),
});
type CreateInput = z.output<typeof createInput>;

/** The token in use. @throws Failure request.denied */
export function callerOf(call: Call): TokenEntry {
  const { token } = exchangeOf(call);
  if (token === undefined) throw failure('request.denied');
  return token;
}

const refuse = (reason: string) => failure('request.invalid', { reason });

export async function createToken(
  core: Core,
  input: CreateInput,
  call: Call,
  orphanRoute: boolean,
): Promise<Reply<Record<string, never>>> {
  const { tokens, tokenRoles, policies, mounts, identity } = services(core);
  const { acl, path, mount } = exchangeOf(call);
  const parent = callerOf(call);
  const isRoot = parent.policies.includes('root');
  const isSudo = isRoot || (acl?.decide({ path, capability: 'update', sudo: true }).allowed ?? false);
  if (parent.type === 'batch') throw failure('token.batch', { action: 'create more tokens' });
  if (parent.uses !== 0) throw failure('token.restricted');
  const role = input.role_name === '' ? undefined : await tokenRoles.get(input.role_name);
  if (role === undefined && input.role_name !== '')
    throw failure('token.unknown_role', { name: input.role_name });
  checkInput(input, isSudo);
  checkAlias(input.entity_alias, role);

  const warnings: string[] = [];
  const names = wanted(input, parent, role, isSudo);
  if (names.includes(WRAPPING_POLICY)) throw refuse(`cannot assign policy "${WRAPPING_POLICY}"`);
  // Neither sudo on this path nor a role is root: only root makes root.
  if (names.includes('root') && !isRoot)
    throw refuse('root tokens may not be created without parent token being root');
  const type = typeOf(input, role);
  if (type === 'batch' && names.includes('root')) throw refuse('batch tokens cannot be root tokens');
  for (const name of names)
    if (!(await policies.exists(name))) warnings.push(`Policy "${name}" does not exist`);

  if (mount === undefined) throw failure('base.internal');
  const own = mounts.ttlOf(mount.entry);
  const limits = limitsOf(input, role, warnings);
  const asked = input.ttl || input.lease;
  const forever =
    names.includes('root') && asked === 0 && limits.periodMs === 0 && limits.explicitMaxTtlMs === 0;
  if (forever && parent.expiresAt !== undefined)
    throw refuse('expiring root tokens cannot create non-expiring root tokens');
  const isOrphan = orphanRoute || input.no_parent || role?.orphan === true;
  const suffix = role === undefined || role.pathSuffix === '' ? '' : `/${role.pathSuffix}`;
  const alias = input.entity_alias;
  const entity =
    alias === ''
      ? undefined
      : await identity.login({ name: alias, metadata: {}, mount: mount.entry, groups: [] });
  const issued = await tokens.create({
    type,
    ...(input.id === '' ? {} : { id: input.id }),
    ...(isOrphan ? {} : { parent: parent.hash }),
    policies: names,
    path: path.text + suffix,
    displayName: displayName(input.display_name),
    meta: input.meta ?? {},
    ttlMs: forever ? 0 : asked || own.defaultMs,
    maxTtlMs: forever ? 0 : own.maxMs,
    ...limits,
    renewable: input.renewable && role?.renewable !== false,
    entityId: entity?.id ?? (isOrphan ? '' : parent.entityId),
    ...(role === undefined ? {} : { role: input.role_name }),
  });
  return { auth: issuedAs({ ...issued, warnings: [...warnings, ...issued.warnings] }) };
}

/** @throws Failure request.invalid, token.root_needed for what the caller may not choose */
function checkInput(input: CreateInput, isSudo: boolean): void {
  if (input.id !== '' && !isSudo) throw failure('token.root_needed', { action: 'specify token id' });
  if (/^(hvs|hvb|hvr|s|b|r)\./.test(input.id)) throw refuse("custom token ID cannot have the 'hvs.' prefix");
  if (input.id.includes('.')) throw refuse("custom token ID cannot have a '.' in the value");
  if (input.no_parent && !isSudo) throw failure('token.root_needed', { action: 'create orphan token' });
  if (input.period > 0 && !isSudo) throw failure('token.root_needed', { action: 'create periodic token' });
  const { ttl, lease, period, explicit_max_ttl } = input;
  for (const [name, value] of Object.entries({ ttl, lease, period, explicit_max_ttl }))
    if (value < 0) throw refuse(`'${name}' may not be negative`);
  if (input.num_uses < 0) throw refuse('number of uses cannot be negative');
  if (!(input.bound_cidrs ?? []).every(isCidr)) throw refuse('bound_cidrs holds what is no network');
}

/** @throws Failure request.invalid where the role, or none, does not let its tokens be of this entity */
function checkAlias(asked: string, role: TokenRole | undefined): void {
  if (asked === '') return;
  if (role === undefined) throw refuse("'entity_alias' is only allowed in combination with token role");
  const alias = asked.toLowerCase();
  if (!role.allowedAliases.some((allowed) => globMatches(allowed.toLowerCase(), alias)))
    throw refuse("invalid 'entity_alias' value");
}

/** The policies of the new token. @throws Failure where the caller or the role may not give them */
function wanted(
  input: CreateInput,
  parent: TokenEntry,
  role: TokenRole | undefined,
  isSudo: boolean,
): string[] {
  const asked = (input.policies ?? []).map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  if (role !== undefined && choosesPolicies(role))
    return policiesUnder(role, asked, parent.policies, input.no_default_policy);
  const noDefault = input.no_default_policy || role?.noDefaultPolicy === true;
  const names = asked.length > 0 ? asked : [...parent.policies];
  if (!isSudo && !names.every((name) => name === 'default' || parent.policies.includes(name)))
    throw failure('token.not_subset');
  if (names.includes('root')) return ['root'];
  if (!noDefault) names.push('default');
  else if (asked.length === 0) return [...new Set(names.filter((name) => name !== 'default'))].sort();
  return [...new Set(names)].sort();
}

/** What is asked for, but where the role insists. */
function typeOf(input: CreateInput, role: TokenRole = NO_TOKEN_ROLE): 'service' | 'batch' {
  if (role.type === 'service' || role.type === 'batch') return role.type;
  if (input.type === 'service' || input.type === 'batch') return input.type;
  return role.type === 'default-batch' ? 'batch' : 'service';
}

/** The narrower of what was asked for and what the role gives. */
function limitsOf(
  input: CreateInput,
  role: TokenRole | undefined,
  warnings: string[],
): Required<Pick<NewToken, 'explicitMaxTtlMs' | 'periodMs' | 'uses' | 'boundCidrs'>> {
  const given = { explicitMaxTtlMs: input.explicit_max_ttl, periodMs: input.period, uses: input.num_uses };
  if (role === undefined) return { ...given, boundCidrs: input.bound_cidrs ?? [] };
  const narrowed = (name: string, asked: number, own: number): number => {
    const value = lesser(asked, own);
    if (asked > 0 && own > 0 && asked !== own)
      warnings.push(
        `${name} specified both during creation call and in role; using the lesser value of ${seconds(value)} seconds`,
      );
    return value;
  };
  if (role.boundCidrs.length > 0 && (input.bound_cidrs ?? []).length > 0)
    warnings.push('the networks of the role are used, not those of the request');
  return {
    explicitMaxTtlMs: narrowed('Explicit max TTL', given.explicitMaxTtlMs, role.explicitMaxTtlMs),
    periodMs: narrowed('Period', given.periodMs, role.periodMs),
    uses: lesser(given.uses, role.uses),
    boundCidrs: role.boundCidrs.length > 0 ? role.boundCidrs : (input.bound_cidrs ?? []),
  };
}

const displayName = (given: string): string => {
  const clean = given.replace(/[^a-zA-Z0-9-]/g, '-').replace(/^-+|-+$/g, '');
  return clean === '' || clean === 'token' ? 'token' : `token-${clean}`;
};

export const issuedAs = (issued: IssuedToken): Issued => ({
  displayName: issued.entry.displayName,
  policies: issued.entry.policies,
  metadata: issued.entry.meta,
  token: {
    ttlMs: issued.entry.ttlMs,
    maxTtlMs: issued.entry.maxTtlMs,
    explicitMaxTtlMs: issued.entry.explicitMaxTtlMs,
    periodMs: issued.entry.periodMs,
    uses: issued.entry.uses,
    type: issued.entry.type ?? 'service',
    noDefaultPolicy: false,
    boundCidrs: issued.entry.boundCidrs,
    renewable: issued.entry.renewable,
  },
  issued,
});
