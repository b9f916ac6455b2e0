/** Who is read along with another that reads the same. */

import { withoutNulls } from '../../../../base/shape.ts';
import type { KubeObject } from '../../../../kube/kube.ts';
import { externalSecretSpec, externalSecretStatus } from '../../../api/externalsecret.ts';
import { readyOf } from '../../../conditions.ts';
import { early } from '../../../schedule/reads.ts';
import { intervalOf } from '../observed.ts';
import { follows } from './refresh.ts';

/**
 * Whether an answer to another is good for it too: `new`, as it was never synced and is about to read; `due`, as its interval
 * is over, or so nearly that it may be read now (`early`). One that failed or waits for a window is left to its own rules.
 */
export function companionOf(object: KubeObject, now: Date): 'new' | 'due' | undefined {
  if (object.metadata.deletionTimestamp !== undefined) return undefined;
  const spec = externalSecretSpec.safeParse(object['spec']);
  const status = externalSecretStatus.safeParse(withoutNulls(object['status'] ?? {}));
  if (!spec.success || !status.success) return undefined;
  const { refreshTime, conditions } = status.data;
  const ready = readyOf(conditions)?.status;
  if (refreshTime === undefined) return ready === 'False' ? undefined : 'new';
  if (!follows(spec.data) || spec.data.syncWindows !== undefined || ready !== 'True') return undefined;
  const interval = intervalOf(spec.data);
  return now.getTime() >= Date.parse(refreshTime) + interval - early(interval) ? 'due' : undefined;
}
