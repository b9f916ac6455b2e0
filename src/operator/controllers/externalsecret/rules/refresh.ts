/**
 * Whether the store is asked at all. The order of the questions is external-secrets' own, because people rely on it:
 * `refreshInterval: 0` means "once", even when the spec changes later (its #4447).
 */

import type { ExternalSecretSpec } from '../../../api/externalsecret.ts';
import { readyOf } from '../../../conditions.ts';
import { dataHash, resourceVersion } from '../../../hash.ts';
import { spreadOf } from '../../../spread.ts';
import { creationPolicy, intervalOf, type Observed } from '../observed.ts';
import { ANNOTATION_HASH, dataOf, LABEL_MANAGED, MANAGED } from '../secret.ts';
import { windowsAllow } from './window.ts';

/** Whether the Secret is as we left it. An Orphan's is left to whoever edits it. */
export function targetIsValid({ target }: Observed, spec: ExternalSecretSpec): boolean {
  if (creationPolicy(spec) === 'Orphan') return true;
  if (target === undefined) return false;
  return (
    target.metadata.labels?.[LABEL_MANAGED] === MANAGED &&
    target.metadata.annotations?.[ANNOTATION_HASH] === dataHash(dataOf(target))
  );
}

/** Whether the refresh policy wants the store asked now. */
export function shouldRefresh(observed: Observed, spec: ExternalSecretSpec, now: Date): boolean {
  const { object, status } = observed;
  const synced = status.syncedResourceVersion ?? '';
  const refreshed = status.refreshTime === undefined ? Number.NaN : Date.parse(status.refreshTime);
  const never = synced === '' || Number.isNaN(refreshed);
  if (never) return true;
  // A failure after the first sync leaves refreshTime alone; without this, a restart would forget to try again.
  if (readyOf(status.conditions)?.status === 'False') return true;
  const changed = synced !== resourceVersion(object);
  switch (spec.refreshPolicy) {
    case 'CreatedOnce':
      return false;
    case 'OnChange':
      return changed;
    default: {
      const interval = intervalOf(spec);
      if (interval <= 0) return false;
      if (changed || observed.demanded) return true;
      if (refreshed > now.getTime()) return true;
      return now.getTime() >= refreshed + interval && windowsAllow(spec.syncWindows, now);
    }
  }
}

/** Whether pushes concern this ExternalSecret: only where the interval would have asked anyway. */
export const follows = (spec: ExternalSecretSpec): boolean =>
  (spec.refreshPolicy === 'Periodic' || spec.refreshPolicy === '') && intervalOf(spec) > 0;

/** A window opens on a minute; looking each minute is exact and costs no read. */
const WINDOW_STEP = 60_000;

/** When the interval is over, spread by `spreadOf`. Undefined where nothing is periodic. */
export function nextRefresh(
  observed: Observed,
  spec: ExternalSecretSpec,
  refreshed: number,
  now: Date,
): Date | undefined {
  if (!follows(spec)) return undefined;
  const interval = intervalOf(spec);
  const due = refreshed + interval + spreadOf(observed.object, interval);
  return new Date(due > now.getTime() ? due : now.getTime() + WINDOW_STEP);
}
