/**
 * Whether anything is pushed now. The questions are external-secrets' own, and one of ours: a source that was written after
 * the last push, as the server's clock tells it, so that what changed while no operator was there is not forgotten.
 */

import type { PushSecretSpec } from '../../api/pushsecret.ts';
import { readyOf } from '../../conditions.ts';
import { resourceVersion } from '../../hash.ts';
import { spreadOf } from '../../spread.ts';
import { intervalOf, type Observed } from './observed.ts';

export function shouldPush(observed: Observed, spec: PushSecretSpec, now: Date): boolean {
  const { object, status, sources } = observed;
  const refreshed = Date.parse(status.refreshTime ?? '');
  if (Number.isNaN(refreshed) || status.syncedResourceVersion !== resourceVersion(object)) return true;
  // A failure after the first push leaves refreshTime alone; without this, a restart would forget to try again.
  if (readyOf(status.conditions)?.status !== 'True') return true;
  const interval = intervalOf(spec);
  if (interval <= 0) return false;
  if (observed.demanded || refreshed > now.getTime()) return true;
  // Times of the server have whole seconds; what was written in the same second may have been after.
  const written = 'secrets' in sources ? sources.secrets.map(({ touched = 0 }) => touched) : [];
  return written.some((at) => at >= refreshed) || now.getTime() >= refreshed + interval;
}

/** When it is looked at again for the interval's sake, spread by the UID. Undefined where nothing is periodic. */
export function nextPush(
  observed: Observed,
  spec: PushSecretSpec,
  refreshed: number,
  now: Date,
): Date | undefined {
  const interval = intervalOf(spec);
  if (interval <= 0) return undefined;
  return new Date(Math.max(refreshed + interval + spreadOf(observed.object, interval), now.getTime()));
}
