/** auth/token: making tokens out of tokens, and looking at, renewing and ending them. */

import { z } from 'zod';
import { isCidr } from '../../base/cidr.ts';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { commaList, duration, flag, integer, keyValues } from '../../base/schema.ts';
import {
  type Call,
  type Operation,
  operation,
  type PluginType,
  type Reply,
  type Route,
} from '../../plugin/plugin.ts';
import type { Issued, IssuedToken, NewToken, RenewalLimits, TokenEntry } from '../auth/tokens.ts';
import {
  choosesPolicies,
  lesser,
  NO_TOKEN_ROLE,
  policiesUnder,
  type TokenRole,
} from '../auth/tokens-roles.ts';
import { type Core, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import { exchangeOf } from '../core/exchange.ts';
import { WRAPPING_POLICY } from '../core/policies.ts';
import { tokenRoleRoutes } from './tokenroles.ts';

const reply = z.unknown();
const none = z.object({});

const createInput = z.object({
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

const TIDYING =
  "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs.";

/** The method that every server has: `auth/token/`. */
export function tokenMethod(core: Core): PluginType {
  return { name: 'token', kind: 'auth', create: () => ({ routes: tokenRoutes(core) }) };
}

function tokenRoutes(core: Core): Route[] {
  const create = (summary: string, orphan: boolean): Operation =>
    operation({
      summary,
      input: createInput,
      output: reply,
      effect: 'write',
      run: async (input, call) => createToken(core, input, call, orphan),
    });
  return [
    { path: 'create', operations: { write: create('Makes a child of the calling token.', false) } },
    {
      path: 'create/:role_name',
      operations: { write: create('Makes a token as a token role has it.', false) },
    },
    {
      path: 'create-orphan',
      access: 'sudo',
      operations: { write: create('Makes a token without a parent.', true) },
    },
    ...tokenRoleRoutes(core),
    ...lookupRoutes(core),
    ...renewRoutes(core),
    ...revokeRoutes(core),
    {
      path: 'accessors',
      access: 'sudo',
      operations: {
        list: operation({
          summary: 'The accessors of all tokens.',
          input: none,
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          run: async () => ({ data: { keys: await services(core).tokens.accessors() } }),
        }),
      },
    },
    {
      path: 'tidy',
      operations: {
        write: operation({
          summary: 'Clears away what is left of tokens that are gone.',
          input: none,
          output: none,
          effect: 'write',
          async run() {
            const { tokens } = services(core);
            tokens.tidy().then(
              (cleared) => core.log.info('the tokens were tidied', { cleared }),
              (error: unknown) => core.log.error('tidying the tokens failed', { error }),
            );
            return { status: 202, warnings: [TIDYING] };
          },
        }),
      },
    },
  ];
}

/** The token in use. @throws Failure request.denied */
function callerOf(call: Call): TokenEntry {
  const { token } = exchangeOf(call);
  if (token === undefined) throw failure('request.denied');
  return token;
}

const refuse = (reason: string) => failure('request.invalid', { reason });

async function createToken(core: Core, input: CreateInput, call: Call, orphanRoute: boolean): Promise<Reply> {
  const { tokens, tokenRoles, policies, mounts } = services(core);
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

  const own = mount === undefined ? undefined : mounts.ttlOf(mount.entry);
  if (own === undefined) throw failure('base.internal');
  const limits = limitsOf(input, role, warnings);
  const asked = input.ttl || input.lease;
  const forever =
    names.includes('root') && asked === 0 && limits.periodMs === 0 && limits.explicitMaxTtlMs === 0;
  if (forever && parent.expiresAt !== undefined)
    throw refuse('expiring root tokens cannot create non-expiring root tokens');
  const isOrphan = orphanRoute || input.no_parent || role?.orphan === true;
  const suffix = role === undefined || role.pathSuffix === '' ? '' : `/${role.pathSuffix}`;
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
    entityId: isOrphan ? '' : parent.entityId,
    ...(role === undefined ? {} : { role: input.role_name }),
  });
  return { auth: issuedAs({ ...issued, warnings: [...warnings, ...issued.warnings] }) };
}

/** @throws Failure request.invalid, token.root_needed for what the caller may not choose */
function checkInput(input: CreateInput, isSudo: boolean): void {
  if (input.entity_alias !== '')
    throw refuse(
      input.role_name === ''
        ? "'entity_alias' is only allowed in combination with token role"
        : "invalid 'entity_alias' value: this server has no identity entities yet",
    );
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

const issuedAs = (issued: IssuedToken): Issued => ({
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

const tokenInput = z.object({ token: z.string().default('') });
const accessorInput = z.object({ accessor: z.string().default('') });

function lookupRoutes(core: Core): Route[] {
  const lookup = operation({
    summary: 'What is known of a token.',
    input: tokenInput,
    output: reply,
    effect: 'none',
    async run({ token }, call) {
      const named = token === '' ? (exchangeOf(call).request.token ?? '') : token;
      const entry = await services(core).tokens.lookup(named);
      if (entry === undefined) throw failure('token.bad');
      return { data: entryText(entry, named, core.clock.now()) };
    },
  });
  const self = operation({
    summary: 'What is known of the calling token.',
    input: z.object({}),
    output: reply,
    effect: 'none',
    run: async (_input, call) => ({
      data: entryText(callerOf(call), exchangeOf(call).request.token ?? '', core.clock.now()),
    }),
  });
  return [
    { path: 'lookup', operations: { write: lookup, read: lookup } },
    { path: 'lookup-self', operations: { read: self, write: self } },
    {
      path: 'lookup-accessor',
      operations: {
        write: operation({
          summary: 'What is known of the token of an accessor; never the token itself.',
          input: accessorInput,
          output: reply,
          effect: 'none',
          async run({ accessor }) {
            const entry = await services(core).tokens.byAccessor(accessor);
            if (entry === undefined) throw failure('token.invalid_accessor');
            return { data: entryText(entry, '', core.clock.now()) };
          },
        }),
      },
    },
  ];
}

function entryText(entry: TokenEntry, id: string, now: number): Record<string, unknown> {
  const { expiresAt } = entry;
  return {
    accessor: entry.accessor,
    creation_time: Math.floor(entry.createdAt / 1000),
    creation_ttl: seconds(entry.ttlMs),
    display_name: entry.displayName,
    entity_id: entry.entityId,
    expire_time: expiresAt === undefined ? null : timestamp(expiresAt),
    explicit_max_ttl: seconds(entry.explicitMaxTtlMs),
    id,
    ...(expiresAt === undefined ? {} : { issue_time: timestamp(entry.createdAt) }),
    ...(entry.lastRenewalAt === undefined
      ? {}
      : {
          last_renewal: timestamp(entry.lastRenewalAt),
          last_renewal_time: Math.floor(entry.lastRenewalAt / 1000),
        }),
    meta: Object.keys(entry.meta).length === 0 ? null : entry.meta,
    num_uses: Math.max(0, entry.uses),
    orphan: entry.parent === undefined,
    path: entry.path,
    ...(entry.periodMs > 0 ? { period: seconds(entry.periodMs) } : {}),
    policies: entry.policies,
    ...(expiresAt === undefined ? {} : { renewable: entry.renewable }),
    ...(entry.boundCidrs.length === 0 ? {} : { bound_cidrs: entry.boundCidrs }),
    ttl: expiresAt === undefined ? 0 : Math.max(0, seconds(expiresAt - now)),
    ...(entry.role === undefined ? {} : { role: entry.role }),
    type: entry.type ?? 'service',
  };
}

/** What the role or the login behind a token gives now. @throws Failure where there is none any more */
async function renewalLimits(core: Core, entry: TokenEntry, call: Call): Promise<RenewalLimits> {
  const { tokenRoles, mounts } = services(core);
  if (entry.role !== undefined) {
    const role = await tokenRoles.get(entry.role);
    if (role === undefined) throw failure('token.role_gone', { name: entry.role });
    return role.periodMs > 0 ? { periodMs: role.periodMs } : {};
  }
  const mount = entry.loginMount === undefined ? undefined : mounts.byUuid(entry.loginMount);
  if (mount?.plugin.renewLogin === undefined) return {};
  const { displayName: name, policies, meta: metadata } = entry;
  const now = await mount.plugin.renewLogin({ displayName: name, policies, metadata }, call);
  const ttl = mounts.ttlOf(mount.entry);
  const maxTtlMs = now.maxTtlMs > 0 ? Math.min(now.maxTtlMs, ttl.maxMs) : ttl.maxMs;
  return {
    ttlMs: now.ttlMs > 0 ? now.ttlMs : Math.min(ttl.defaultMs, maxTtlMs),
    maxTtlMs,
    periodMs: now.periodMs,
  };
}

function renewRoutes(core: Core): Route[] {
  const increment = { increment: duration().default(0) };
  const renewed = async (
    entry: TokenEntry,
    token: string,
    incrementMs: number,
    call: Call,
  ): Promise<Reply> => {
    if (entry.type === 'batch') throw failure('token.batch', { action: 'be renewed' });
    const limits = await renewalLimits(core, entry, call);
    const after = await services(core).tokens.renew(entry.hash, incrementMs, limits);
    return { auth: issuedAs({ token, ...after }) };
  };
  return [
    {
      path: 'renew',
      operations: {
        write: operation({
          summary: 'Gives a token more time.',
          input: tokenInput.extend(increment),
          output: reply,
          effect: 'write',
          async run(input, call) {
            const named = input.token === '' ? (exchangeOf(call).request.token ?? '') : input.token;
            const entry = await services(core).tokens.lookup(named);
            if (entry === undefined) throw failure('token.missing');
            return renewed(entry, named, input.increment, call);
          },
        }),
      },
    },
    {
      path: 'renew-self',
      operations: {
        write: operation({
          summary: 'Gives the calling token more time.',
          input: z.object(increment),
          output: reply,
          effect: 'write',
          run: (input, call) =>
            renewed(callerOf(call), exchangeOf(call).request.token ?? '', input.increment, call),
        }),
      },
    },
    {
      path: 'renew-accessor',
      operations: {
        write: operation({
          summary: 'Gives the token of an accessor more time.',
          input: accessorInput.extend(increment),
          output: reply,
          effect: 'write',
          async run(input, call) {
            const entry = await services(core).tokens.byAccessor(input.accessor);
            if (entry === undefined) throw failure('token.invalid_accessor');
            return renewed(entry, '', input.increment, call);
          },
        }),
      },
    },
  ];
}

function revokeRoutes(core: Core): Route[] {
  const ended = async (token: string, keepChildren: boolean): Promise<Reply> => {
    const { tokens } = services(core);
    const entry = await tokens.lookup(token);
    if (entry?.type === 'batch') throw failure('token.batch', { action: 'be revoked' });
    if (entry !== undefined) await tokens.revoke(entry.hash, { keepChildren });
    else if (keepChildren) throw failure('token.missing');
    return {};
  };
  return [
    {
      path: 'revoke',
      operations: {
        write: operation({
          summary: 'Ends a token and all that descend from it.',
          input: tokenInput,
          output: reply,
          effect: 'write',
          async run({ token }) {
            if (token === '') throw failure('request.invalid', { reason: 'missing token ID' });
            return ended(token, false);
          },
        }),
      },
    },
    {
      path: 'revoke-self',
      operations: {
        write: operation({
          summary: 'Ends the calling token and all that descend from it.',
          input: z.object({}),
          output: reply,
          effect: 'write',
          async run(_input, call) {
            const own = callerOf(call);
            if (own.type === 'batch') throw failure('token.batch', { action: 'be revoked' });
            await services(core).tokens.revoke(own.hash);
            return {};
          },
        }),
      },
    },
    {
      path: 'revoke-orphan',
      access: 'sudo',
      operations: {
        write: operation({
          summary: 'Ends a token; its children live on without a parent.',
          input: tokenInput,
          output: reply,
          effect: 'write',
          async run({ token }) {
            if (token === '') throw failure('request.invalid', { reason: 'missing token ID' });
            return ended(token, true);
          },
        }),
      },
    },
    {
      path: 'revoke-accessor',
      operations: {
        write: operation({
          summary: 'Ends the token of an accessor and all that descend from it.',
          input: accessorInput,
          output: reply,
          effect: 'write',
          async run({ accessor }) {
            const { tokens } = services(core);
            const entry = await tokens.byAccessor(accessor);
            if (entry === undefined) throw failure('token.invalid_accessor');
            await tokens.revoke(entry.hash);
            return {};
          },
        }),
      },
    },
  ];
}
