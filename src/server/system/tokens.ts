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
import type { Issued, IssuedToken, TokenEntry } from '../auth/tokens.ts';
import { type Core, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import { exchangeOf } from '../core/exchange.ts';
import { WRAPPING_POLICY } from '../core/policies.ts';

const reply = z.unknown();
const none = z.object({});

const createInput = z.object({
  id: z.string().default(''),
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
  type: z.enum(['', 'service', 'default', 'batch']).default('service'),
  entity_alias: z.string().default(''),
  bound_cidrs: commaList().optional(),
});

/** The method that every server has: `auth/token/`. */
export function tokenMethod(core: Core): PluginType {
  return { name: 'token', kind: 'auth', create: () => ({ routes: tokenRoutes(core) }) };
}

function tokenRoutes(core: Core): Route[] {
  const create = (orphan: boolean): Operation =>
    operation({
      summary: orphan ? 'Makes a token without a parent.' : 'Makes a child of the calling token.',
      input: createInput,
      output: reply,
      effect: 'write',
      run: async (input, call) => createToken(core, input, call, orphan),
    });
  return [
    { path: 'create', operations: { write: create(false) } },
    { path: 'create-orphan', access: 'sudo', operations: { write: create(true) } },
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
          output: reply,
          effect: 'none',
          run: async () => ({ data: { keys: await services(core).tokens.accessors() } }),
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

async function createToken(
  core: Core,
  input: z.output<typeof createInput>,
  call: Call,
  orphanRoute: boolean,
): Promise<Reply> {
  const { tokens, policies, mounts } = services(core);
  const { acl, path, mount } = exchangeOf(call);
  const parent = callerOf(call);
  const isRoot = parent.policies.includes('root');
  const isSudo = isRoot || (acl?.decide({ path, capability: 'update', sudo: true }).allowed ?? false);
  if (parent.uses !== 0) throw failure('token.restricted');
  if (input.type === 'batch') throw failure('request.invalid', { reason: 'batch tokens are not supported' });
  if (input.entity_alias !== '')
    throw failure('request.invalid', {
      reason: "'entity_alias' is only allowed in combination with token role",
    });
  if (input.id !== '' && !isSudo) throw failure('token.root_needed', { action: 'specify token id' });
  if (/^(hvs|hvb|hvr|s|b|r)\./.test(input.id))
    throw failure('request.invalid', { reason: "custom token ID cannot have the 'hvs.' prefix" });
  if (input.id.includes('.'))
    throw failure('request.invalid', { reason: "custom token ID cannot have a '.' in the value" });
  if (input.no_parent && !isSudo) throw failure('token.root_needed', { action: 'create orphan token' });
  if (input.period > 0 && !isSudo) throw failure('token.root_needed', { action: 'create periodic token' });
  for (const [name, value] of Object.entries({
    ttl: input.ttl,
    period: input.period,
    explicit_max_ttl: input.explicit_max_ttl,
  }))
    if (value < 0) throw failure('request.invalid', { reason: `'${name}' may not be negative` });
  if (input.num_uses < 0) throw failure('request.invalid', { reason: 'number of uses cannot be negative' });
  const bad = (input.bound_cidrs ?? []).find((cidr) => !isCidr(cidr));
  if (bad !== undefined) throw failure('request.invalid', { reason: 'bound_cidrs holds what is no network' });

  const warnings: string[] = [];
  const names = wanted(input, parent);
  if (names.includes(WRAPPING_POLICY))
    throw failure('request.invalid', { reason: `cannot assign policy "${WRAPPING_POLICY}"` });
  if (!isSudo && !names.every((name) => name === 'default' || parent.policies.includes(name)))
    throw failure('token.not_subset');
  // Sudo on this path is not root: only root makes root.
  if (names.includes('root') && !isRoot)
    throw failure('request.invalid', {
      reason: 'root tokens may not be created without parent token being root',
    });
  for (const name of names)
    if (!(await policies.exists(name))) warnings.push(`Policy "${name}" does not exist`);

  const own = mount === undefined ? undefined : mounts.ttlOf(mount.entry);
  if (own === undefined) throw failure('base.internal');
  const asked = input.ttl || input.lease;
  const forever = names.includes('root') && asked === 0 && input.period === 0 && input.explicit_max_ttl === 0;
  if (forever && parent.expiresAt !== undefined)
    throw failure('request.invalid', {
      reason: 'expiring root tokens cannot create non-expiring root tokens',
    });
  const issued = await tokens.create({
    ...(input.id === '' ? {} : { id: input.id }),
    ...(orphanRoute || input.no_parent ? {} : { parent: parent.hash }),
    policies: names,
    path: path.text,
    displayName: displayName(input.display_name),
    meta: input.meta ?? {},
    uses: input.num_uses,
    ttlMs: forever ? 0 : asked || own.defaultMs,
    maxTtlMs: forever ? 0 : own.maxMs,
    explicitMaxTtlMs: input.explicit_max_ttl,
    periodMs: input.period,
    renewable: input.renewable,
    entityId: orphanRoute || input.no_parent ? '' : parent.entityId,
    boundCidrs: input.bound_cidrs ?? [],
  });
  return { auth: issuedAs({ ...issued, warnings: [...warnings, ...issued.warnings] }) };
}

/** The policies of the new token: those asked for, else its parent's; `default` unless it was declined. */
function wanted(input: z.output<typeof createInput>, parent: TokenEntry): string[] {
  const asked = (input.policies ?? []).map((name) => name.toLowerCase());
  const names = asked.length > 0 ? asked : [...parent.policies];
  if (names.includes('root')) return ['root'];
  if (!input.no_default_policy) names.push('default');
  else if (asked.length === 0) return [...new Set(names.filter((name) => name !== 'default'))].sort();
  return [...new Set(names)].sort();
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
    type: 'service',
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
    type: 'service',
  };
}

function renewRoutes(core: Core): Route[] {
  const increment = { increment: duration().default(0) };
  const renewed = async (hash: string, token: string, incrementMs: number): Promise<Reply> => {
    const { entry, warnings } = await services(core).tokens.renew(hash, incrementMs);
    return { auth: issuedAs({ token, entry, warnings }) };
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
            return renewed(entry.hash, named, input.increment);
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
            renewed(callerOf(call).hash, exchangeOf(call).request.token ?? '', input.increment),
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
          async run(input) {
            const entry = await services(core).tokens.byAccessor(input.accessor);
            if (entry === undefined) throw failure('token.invalid_accessor');
            return renewed(entry.hash, '', input.increment);
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
            await services(core).tokens.revoke(callerOf(call).hash);
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
