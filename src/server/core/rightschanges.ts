/** Which requests change what somebody may do: those after which who was refused may be let in. */

import type { Path } from '../../base/path.ts';
import type { Operation, Route } from '../../plugin/plugin.ts';
import type { MountEntry } from './mounts.ts';

const POLICY = /^sys\/(policies\/acl|policy)\//;

/**
 * Logins write, too, and are none: their routes are public. Nor are the tokens that are made, renewed and ended: whoever was
 * refused holds none of those.
 */
export function changesRights(
  { kind, type, path: mountPath }: Pick<MountEntry, 'kind' | 'type' | 'path'>,
  { access }: Pick<Route, 'access'>,
  { effect }: Pick<Operation, 'effect'>,
  path: Path,
): boolean {
  if (effect !== 'write' || access === 'public') return false;
  if (mountPath === 'sys/') return POLICY.test(path.text);
  return type === 'identity' || (kind === 'auth' && type !== 'token');
}
