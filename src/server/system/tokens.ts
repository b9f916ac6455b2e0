/** auth/token: its routes, and looking at tokens, renewing and ending them. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { duration } from '../../base/schema.ts';
import {
  type Call,
  type Operation,
  operation,
  type PluginType,
  type Reply,
  type Route,
} from '../../plugin/plugin.ts';
import type { RenewalLimits, TokenEntry } from '../auth/tokens.ts';
import { identityPoliciesOf } from '../core/authority.ts';
import { type Core, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import { exchangeOf } from '../core/exchange.ts';
import { callerOf, createInput, createToken, issuedAs } from './tokencreation.ts';
import { tokenRoleRoutes } from './tokenroles.ts';

const none = z.object({});
type Nothing = z.input<typeof none>;
/** What is told of a token. Times in seconds; `null` where there is none. */
const tokenText = z.object({
  accessor: z.string(),
  creation_time: z.number(),
  creation_ttl: z.number(),
  display_name: z.string(),
  entity_id: z.string(),
  expire_time: z.string().nullable(),
  explicit_max_ttl: z.number(),
  external_namespace_policies: z.record(z.string(), z.array(z.string())).optional(),
  id: z.string(),
  identity_policies: z.array(z.string()).optional(),
  issue_time: z.string().optional(),
  last_renewal: z.string().optional(),
  last_renewal_time: z.number().optional(),
  meta: z.record(z.string(), z.string()).nullable(),
  num_uses: z.number(),
  orphan: z.boolean(),
  path: z.string(),
  period: z.number().optional(),
  policies: z.array(z.string()),
  renewable: z.boolean().optional(),
  bound_cidrs: z.array(z.string()).optional(),
  ttl: z.number(),
  role: z.string().optional(),
  type: z.string(),
});

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
      output: none,
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

const tokenInput = z.object({ token: z.string().default('') });
const accessorInput = z.object({ accessor: z.string().default('') });

function lookupRoutes(core: Core): Route[] {
  const lookup = operation({
    summary: 'What is known of a token.',
    input: tokenInput,
    output: tokenText,
    effect: 'none',
    async run({ token }, call) {
      const named = token === '' ? (exchangeOf(call).request.token ?? '') : token;
      const entry = await services(core).tokens.lookup(named);
      if (entry === undefined) throw failure('token.bad');
      return { data: await entryText(core, entry, named) };
    },
  });
  const self = operation({
    summary: 'What is known of the calling token.',
    input: z.object({}),
    output: tokenText,
    effect: 'none',
    run: async (_input, call) => ({
      data: await entryText(core, callerOf(call), exchangeOf(call).request.token ?? ''),
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
          output: tokenText,
          effect: 'none',
          async run({ accessor }) {
            const entry = await services(core).tokens.byAccessor(accessor);
            if (entry === undefined) throw failure('token.invalid_accessor');
            return { data: await entryText(core, entry, '') };
          },
        }),
      },
    },
  ];
}

async function entryText(core: Core, entry: TokenEntry, id: string): Promise<z.input<typeof tokenText>> {
  const { expiresAt } = entry;
  const { lifetime } = services(core);
  const now = lifetime.now();
  const shown = (time: number): string => timestamp(lifetime.wallOf(time));
  const identityPolicies = await identityPoliciesOf(services(core), entry.entityId);
  return {
    accessor: entry.accessor,
    creation_time: Math.floor(lifetime.wallOf(entry.createdAt) / 1000),
    creation_ttl: seconds(entry.ttlMs),
    display_name: entry.displayName,
    entity_id: entry.entityId,
    expire_time: expiresAt === undefined ? null : shown(expiresAt),
    explicit_max_ttl: seconds(entry.explicitMaxTtlMs),
    id,
    // Upstream tells of the policies of other namespaces wherever it tells of those of this one.
    ...(identityPolicies.length === 0
      ? {}
      : { identity_policies: [...identityPolicies], external_namespace_policies: {} }),
    ...(expiresAt === undefined ? {} : { issue_time: shown(entry.createdAt) }),
    ...(entry.lastRenewalAt === undefined
      ? {}
      : {
          last_renewal: shown(entry.lastRenewalAt),
          last_renewal_time: Math.floor(lifetime.wallOf(entry.lastRenewalAt) / 1000),
        }),
    meta: Object.keys(entry.meta).length === 0 ? null : entry.meta,
    num_uses: Math.max(0, entry.uses),
    orphan: entry.parent === undefined,
    path: entry.path,
    ...(entry.periodMs > 0 ? { period: seconds(entry.periodMs) } : {}),
    policies: [...entry.policies],
    ...(expiresAt === undefined ? {} : { renewable: entry.renewable }),
    ...(entry.boundCidrs.length === 0 ? {} : { bound_cidrs: [...entry.boundCidrs] }),
    ttl: expiresAt === undefined ? 0 : Math.max(0, seconds(expiresAt - now)),
    ...(entry.role === undefined ? {} : { role: entry.role }),
    type: entry.type ?? 'service',
  };
}

/** What the role or the login behind a token gives now. @throws Failure where there is none any more */
async function renewalLimits(core: Core, entry: TokenEntry, call: Call): Promise<RenewalLimits> {
  const { tokenRoles, mounts, identity } = services(core);
  if (entry.role !== undefined) {
    const role = await tokenRoles.get(entry.role);
    if (role === undefined) throw failure('token.role_gone', { name: entry.role });
    return role.periodMs > 0 ? { periodMs: role.periodMs } : {};
  }
  const mount = entry.loginMount === undefined ? undefined : mounts.byUuid(entry.loginMount);
  if (mount?.plugin.renewLogin === undefined) return {};
  const { displayName: name, policies, meta: metadata } = entry;
  const now = await mount.plugin.renewLogin({ displayName: name, policies, metadata }, call);
  const entity = now.groups === undefined ? undefined : await identity.entities.current(entry.entityId);
  if (entity !== undefined) await identity.groups.refresh(entity.id, mount.entry.accessor, now.groups ?? []);
  const ttl = mounts.ttlOf(mount.entry);
  const maxTtlMs = now.maxTtlMs > 0 ? Math.min(now.maxTtlMs, ttl.maxMs) : ttl.maxMs;
  return {
    ttlMs: now.ttlMs > 0 ? now.ttlMs : Math.min(ttl.defaultMs, maxTtlMs),
    maxTtlMs,
    periodMs: now.periodMs,
  };
}

function renewRoutes(core: Core): Route[] {
  // hvac sends null where its caller gave none.
  const increment = { increment: duration().nullish() };
  const renewed = async (
    entry: TokenEntry,
    token: string,
    incrementMs: number,
    call: Call,
  ): Promise<Reply<Nothing>> => {
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
          output: none,
          effect: 'write',
          async run(input, call) {
            const named = input.token === '' ? (exchangeOf(call).request.token ?? '') : input.token;
            const entry = await services(core).tokens.lookup(named);
            if (entry === undefined) throw failure('token.missing');
            return renewed(entry, named, input.increment ?? 0, call);
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
          output: none,
          effect: 'write',
          run: (input, call) =>
            renewed(callerOf(call), exchangeOf(call).request.token ?? '', input.increment ?? 0, call),
        }),
      },
    },
    {
      path: 'renew-accessor',
      operations: {
        write: operation({
          summary: 'Gives the token of an accessor more time.',
          input: accessorInput.extend(increment),
          output: none,
          effect: 'write',
          async run(input, call) {
            const entry = await services(core).tokens.byAccessor(input.accessor);
            if (entry === undefined) throw failure('token.invalid_accessor');
            return renewed(entry, '', input.increment ?? 0, call);
          },
        }),
      },
    },
  ];
}

function revokeRoutes(core: Core): Route[] {
  const ended = async (token: string, keepChildren: boolean): Promise<Reply<Nothing>> => {
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
          output: none,
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
          output: none,
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
          output: none,
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
          output: none,
          effect: 'write',
          async run({ accessor }) {
            const { tokens } = services(core);
            const entry = await tokens.byAccessor(accessor);
            // What is gone already is what was asked for; a script that cleans up must not fail over it.
            if (entry === undefined) return { warnings: ['No token found with this accessor'] };
            await tokens.revoke(entry.hash);
            return {};
          },
        }),
      },
    },
  ];
}
