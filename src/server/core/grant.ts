/** The token of a login, from what the auth method grants. */

import { failure } from '../../base/errors.ts';
import type { Soon } from '../../base/soon.ts';
import type { Grant, Reply } from '../../plugin/plugin.ts';
import { type IssuedToken, isIssued } from '../auth/tokens.ts';
import { identityPoliciesOf } from './authority.ts';
import type { Exchange } from './exchange.ts';
import type { MountConfig } from './mounts.ts';
import type { AuthInfo } from './request.ts';

/** A plugin only says what a token shall hold; the token itself is made here, and by nobody else. */
export function makeToken(exchange: Exchange): Soon<void> {
  const { reply } = exchange;
  if (reply === undefined || !('auth' in reply)) return;
  return makeTokenOf(exchange, reply);
}

async function makeTokenOf(exchange: Exchange, reply: Extract<Reply, { auth: Grant }>): Promise<void> {
  const issued = isIssued(reply.auth) ? reply.auth.issued : await granted(exchange, reply.auth);
  exchange.warn(issued.warnings);
  const identityPolicies = await identityPoliciesOf(exchange.open(), issued.entry.entityId);
  exchange.auth = authInfo(issued, identityPolicies, exchange.open().tokens.now());
}

async function granted(exchange: Exchange, grant: Grant): Promise<IssuedToken> {
  const { tokens, mounts, policies, identity } = exchange.open();
  const mount = exchange.mount;
  if (mount === undefined) throw failure('base.internal');
  const asked = grant.policies.map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  const named = grant.token.noDefaultPolicy ? asked : [...asked, 'default'];
  // A login that makes root would let whoever may write a role become root.
  const allowed = [...new Set(named)]
    .filter((name) => name !== 'root' && name !== 'response-wrapping')
    .sort();
  for (const name of allowed)
    if (!(await policies.exists(name))) exchange.warn([`Policy "${name}" does not exist`]);
  const ttl = mounts.ttlOf(mount.entry);
  const maxTtlMs = grant.token.maxTtlMs > 0 ? Math.min(grant.token.maxTtlMs, ttl.maxMs) : ttl.maxMs;
  const entity =
    grant.alias === undefined
      ? undefined
      : await identity.login({
          name: grant.alias.name,
          metadata: grant.alias.metadata ?? {},
          mount: mount.entry,
          groups: grant.groups ?? [],
        });
  exchange.entityCreated = entity?.created ?? false;
  // Member by member: what begins with a spread is given a shape of its own, of four kilobytes, each time.
  return tokens.create({
    entityId: entity?.id ?? '',
    type: loginType(mount.entry.config.tokenType, grant.token.type),
    loginMount: mount.entry.uuid,
    policies: allowed,
    path: exchange.path.text,
    displayName: grant.displayName,
    meta: grant.metadata,
    uses: grant.token.uses,
    ttlMs: grant.token.ttlMs > 0 ? grant.token.ttlMs : Math.min(ttl.defaultMs, maxTtlMs),
    maxTtlMs,
    explicitMaxTtlMs: grant.token.explicitMaxTtlMs,
    periodMs: grant.token.periodMs,
    renewable: grant.token.renewable,
    boundCidrs: grant.token.boundCidrs,
  });
}

/** What a mount is tuned to is for all its logins; what it is only inclined to, a role may decide. */
function loginType(mount: MountConfig['tokenType'], role: Grant['token']['type']): 'service' | 'batch' {
  if (mount === 'service' || mount === 'batch') return mount;
  if (role !== 'default') return role;
  return mount === 'default-batch' ? 'batch' : 'service';
}

function authInfo({ token, entry }: IssuedToken, identityPolicies: readonly string[], now: number): AuthInfo {
  return {
    token,
    type: entry.type ?? 'service',
    accessor: entry.accessor,
    policies: entry.policies,
    identityPolicies,
    metadata: entry.meta,
    leaseMs: entry.expiresAt === undefined ? 0 : entry.expiresAt - now,
    renewable: entry.renewable,
    entityId: entry.entityId,
    orphan: entry.parent === undefined,
    uses: Math.max(0, entry.uses),
  };
}
