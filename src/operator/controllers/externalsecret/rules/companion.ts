/** Who is read along with another that reads the same. */

import { withoutNulls } from '../../../../base/shape.ts';
import type { KubeObject } from '../../../../kube/kube.ts';
import { externalSecretSpec, externalSecretStatus } from '../../../api/externalsecret.ts';
import { readyOf } from '../../../conditions.ts';
import { early } from '../../../schedule/reads.ts';
import { intervalOf } from '../observed.ts';
import { follows } from './refresh.ts';

/**
 * Whether its interval is over, or so nearly that it may be read now (`early`). One that failed, was never synced or waits
 * for a window is left to its own rules.
 */
export function nearlyDue(object: KubeObject, now: Date): boolean {
  if (object.metadata.deletionTimestamp !== undefined) return false;
  const spec = externalSecretSpec.safeParse(object['spec']);
  const status = externalSecretStatus.safeParse(withoutNulls(object['status'] ?? {}));
  if (!spec.success || !status.success || !follows(spec.data)) return false;
  if (spec.data.syncWindows !== undefined || readyOf(status.data.conditions)?.status !== 'True') return false;
  const interval = intervalOf(spec.data);
  const due = Date.parse(status.data.refreshTime ?? '') + interval;
  return now.getTime() >= due - early(interval);
}
