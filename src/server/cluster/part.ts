/** The services of a server, as a node of a cluster asks them: where a request belongs, its answer, and what to forget. */

import type { PluginType } from '../../plugin/plugin.ts';
import type { Lead } from '../core/mounts.ts';
import type { Request } from '../core/request.ts';
import { type Place, placeOf } from '../follow/reach.ts';

/** What is known of a request from its mount: where it is answered, and whether asking twice changes nothing. */
export interface Belonging {
  readonly place: Place;
  readonly repeatable: boolean;
}

/**
 * @param lead what the path leads to; undefined where nothing is mounted
 * @param types whether the types of mounts say that they follow, by kind and name
 */
export function belongingOf(
  request: Pick<Request, 'verb' | 'wrapTtlMs' | 'help'>,
  lead: Lead | undefined,
  types: ReadonlyMap<string, boolean>,
): Belonging {
  if (lead?.match === undefined) return { place: 'leader', repeatable: false };
  const { match } = lead;
  const { type, kind } = lead.mount.entry;
  const operation = match.route.operations[request.verb];
  const place = placeOf(
    { type, kind, route: match.route, operation, wrapped: (request.wrapTtlMs ?? 0) > 0 },
    types.get(`${kind}/${type}`) ?? false,
  );
  const reads = request.verb === 'read' || request.verb === 'list';
  return { place, repeatable: reads && operation?.effect === 'none' };
}

/** Which types of mounts a follower may answer for. */
export const followingTypes = (types: readonly PluginType[]): ReadonlyMap<string, boolean> =>
  new Map(types.map(({ kind, name, follows }) => [`${kind}/${name}`, follows === true]));
