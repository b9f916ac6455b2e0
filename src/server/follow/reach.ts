/**
 * Where a request can be answered: by any node, for itself; by a node that follows, from what it reads; or by the leader alone.
 * Whatever is not said here to be safe is the leader's. Pure: the tables below are the whole decision.
 */

import type { Operation, PluginType, Route } from '../../plugin/plugin.ts';

export type Place =
  /** The node tells of itself, whatever it is and whatever the store says. */
  | 'node'
  /** A node that follows, once it has seen all that was acknowledged before the request came. */
  | 'follower'
  | 'leader';

/** What is known of a request once its route is found. */
export interface Asked {
  /** The type of the mount; "system" for sys/. */
  readonly type: string;
  readonly kind: PluginType['kind'];
  readonly route: Pick<Route, 'path' | 'sealed'>;
  readonly operation: Pick<Operation, 'effect'> | undefined;
  /** The answer is to be wrapped, which makes a token. */
  readonly wrapped: boolean;
}

/** Routes of sys/ that a follower answers: what they read lies in the store, or is of the node that was asked. */
export const SYSTEM: ReadonlySet<string> = new Set([
  'audit',
  'audit-hash/*path',
  'auth',
  'auth/*path',
  'capabilities',
  'capabilities-accessor',
  'capabilities-self',
  'config/auditing/request-headers',
  'config/auditing/request-headers/:header',
  'config/state/sanitized',
  'host-info',
  'in-flight-req',
  'internal/specs/openapi',
  'internal/ui/mounts',
  'internal/ui/mounts/*path',
  'internal/ui/resultant-acl',
  'metrics',
  'mounts',
  'mounts/*path',
  'plugins/catalog',
  'plugins/catalog/:type',
  'plugins/catalog/:type/:name',
  'policies/acl',
  'policies/acl/*name',
  'policies/password',
  'policies/password/:name',
  'policy',
  'policy/*name',
  'quotas/config',
  'quotas/rate-limit',
  'quotas/rate-limit/:name',
  'tools/hash',
  'tools/hash/:urlalgorithm',
  'tools/random',
  'tools/random/:urlbytes',
  'version-history',
]);

/** Routes of sys/ that act on the node that was asked, though they change something. */
const NODE_ACTS: ReadonlySet<string> = new Set(['seal', 'step-down']);

/** Below identity/, what is read through its one table; the OIDC provider keeps codes in the memory of the leader. */
const IDENTITY: ReadonlySet<string> = new Set(['entity', 'entity-alias', 'group', 'group-alias', 'lookup']);

/** @param follows whether the type of the mount says that it keeps nothing but through its storage */
export function placeOf({ type, kind, route, operation, wrapped }: Asked, follows: boolean): Place {
  if (route.sealed === true) return 'node';
  if (type === 'system' && NODE_ACTS.has(route.path)) return 'follower';
  if (operation === undefined || operation.effect !== 'none' || wrapped) return 'leader';
  if (type === 'system') return SYSTEM.has(route.path) ? 'follower' : 'leader';
  if (type === 'identity' && kind === 'secret')
    return IDENTITY.has(route.path.split('/')[0] ?? '') ? 'follower' : 'leader';
  if (type === 'token' && kind === 'auth') return 'follower';
  return follows ? 'follower' : 'leader';
}
