/** What the audit trail is told of an exchange: the request, who asks by which right, and the answer. */

import type { Json } from '../../base/json.ts';
import { NOTES } from '../../base/noted.ts';
import type { AuditAuth, AuditedMount, AuditRequest, AuditResponse } from '../audit/audit.ts';
import type { Decision } from '../auth/acl.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import { type Authority, united } from './authority.ts';
import { NO_MEMBERS } from './body.ts';
import { timestamp } from './envelope.ts';
import type { Exchange } from './exchange.ts';
import type { LiveMount } from './mounts.ts';
import type { AuthInfo } from './request.ts';

/** The same in both lines of an exchange: all that it tells stands when the first is written. */
export function auditedRequest(exchange: Exchange): AuditRequest {
  exchange.audited ??= newAuditedRequest(exchange);
  return exchange.audited;
}

/** One object for each mount as it is, on which a device keeps what it wrote of it. */
function auditedMount(mount: LiveMount, isSystem: boolean): AuditedMount {
  if (mount.audited === undefined) {
    const { path, type, accessor, kind } = mount.entry;
    mount.audited = { point: path, type, accessor, class: isSystem ? 'system' : kind };
  }
  return mount.audited;
}

// Member by member, here and below: with spreads, each object would have a shape that has to be looked for.
function newAuditedRequest(exchange: Exchange): AuditRequest {
  const { request, mount, token, data } = exchange;
  const wrapTtlMs = request.wrapTtlMs ?? 0;
  const isEmpty = data === NO_MEMBERS || Object.keys(data).length === 0;
  return {
    id: exchange.id,
    operation: exchange.capability ?? (exchange.verb === 'write' ? 'update' : exchange.verb),
    path: exchange.path.text,
    remote: request.remote,
    mount: mount && auditedMount(mount, mount === exchange.core.system),
    clientToken: request.token,
    clientTokenAccessor: token?.accessor,
    data: isEmpty ? undefined : (data as Json),
    wrapTtlMs: wrapTtlMs > 0 ? wrapTtlMs : undefined,
    headers: exchange.services?.auditedHeaders.of(request.headers, request.sender),
  };
}

/**
 * Who asks, and by which right: one object for a token with an authority and the rule that decided, so that a device can keep
 * what it writes of it for as long as all three stand. The token itself is in the request.
 */
export function auditedAuth(exchange: Exchange): AuditAuth | undefined {
  const { token, request, authority, decision } = exchange;
  if (token === undefined || request.token === undefined) return undefined;
  if (authority === undefined || (decision !== undefined && !decision.allowed))
    return factsOf(token, authority, decision);
  const by = decision === undefined ? NOBODY : decision.rule === 'root' ? ROOT : decision.rule;
  const notes = authority[NOTES] as AuditedAs | undefined;
  if (notes !== undefined && notes.token === token && notes.by === by) return notes.facts;
  const others = notes?.token === token ? notes.others : new WeakMap<object, AuditAuth>();
  const facts = others.get(by) ?? factsOf(token, authority, decision);
  others.set(by, facts);
  authority[NOTES] = { token, by, facts, others } satisfies AuditedAs;
  return facts;
}

const NOBODY = {};
const ROOT = {};

/** How an authority is told of: by the rule that decided last, and by others before. */
interface AuditedAs {
  readonly token: TokenEntry;
  readonly by: object;
  readonly facts: AuditAuth;
  readonly others: WeakMap<object, AuditAuth>;
}

function factsOf(
  token: TokenEntry,
  authority: Authority | undefined,
  decision: Decision | undefined,
): AuditAuth {
  const identityPolicies = authority?.identityPolicies ?? [];
  return {
    accessor: token.accessor,
    displayName: token.displayName,
    policies: united(token.policies, identityPolicies),
    tokenPolicies: token.policies,
    identityPolicies: identityPolicies.length === 0 ? undefined : identityPolicies,
    metadata: token.meta,
    entityId: token.entityId,
    tokenType: token.type ?? 'service',
    tokenTtlMs: token.ttlMs,
    issuedAt: timestamp(token.createdAt),
    policyResults: decision && resultsOf(decision),
  };
}

function resultsOf({ allowed, rule }: Decision): NonNullable<AuditAuth['policyResults']> {
  const granting = !allowed || rule === undefined ? [] : rule === 'root' ? ['root'] : rule.policies;
  return { allowed, granting: granting.map((name) => ({ name, type: 'acl' })) };
}

export function auditedResponse({ reply, auth, wrap, entityCreated, warnings }: Exchange): AuditResponse {
  const data = reply !== undefined && 'data' in reply ? (reply.data as Json | undefined) : undefined;
  const lease = reply !== undefined && 'lease' in reply ? reply.lease : undefined;
  return {
    auth: auth && auditedGrant(auth, entityCreated),
    data: wrap === undefined ? data : undefined,
    lasting: reply !== undefined && 'lasting' in reply ? reply.lasting : undefined,
    leaseId: lease?.id || undefined,
    warnings: warnings.length === 0 ? undefined : warnings,
    wrap: wrap && { ...wrap, createdAt: timestamp(wrap.createdAt) },
  };
}

const auditedGrant = (auth: AuthInfo, entityCreated: boolean): AuditAuth => ({
  clientToken: auth.token,
  accessor: auth.accessor,
  policies: united(auth.policies, auth.identityPolicies),
  tokenPolicies: auth.policies,
  identityPolicies: auth.identityPolicies.length === 0 ? undefined : auth.identityPolicies,
  metadata: auth.metadata,
  entityId: auth.entityId,
  entityCreated: entityCreated ? true : undefined,
  tokenType: auth.type,
  tokenTtlMs: auth.leaseMs,
});
