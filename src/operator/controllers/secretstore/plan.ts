/** What to do about one SecretStore or ClusterSecretStore, once it was tried. Pure. */

import type { Failure } from '../../../base/errors.ts';
import type { KubeObject, Name } from '../../../kube/kube.ts';
import type { Condition } from '../../api/externalsecret.ts';
import { because, readyOf, told, withCondition } from '../../conditions.ts';
import type { Action, Steps } from '../../plan.ts';

/** How far a store lets us in. `connect`: its settings do not make a client. */
export type Checked =
  | { readonly result: 'ready' | 'unknown'; readonly writes: boolean }
  | { readonly failed: Failure; readonly at: 'connect' | 'validate' };

export interface ObservedStore {
  readonly object: KubeObject;
  readonly name: Name;
  /** Undefined where another operator looks after it. */
  readonly checked: Checked | undefined;
  /** How long a good answer holds, in milliseconds. */
  readonly interval: number;
  /** A PushSecret has to take away what it pushed here before the store may go. */
  readonly held: boolean;
}

/** While a PushSecret with deletionPolicy Delete uses the store; upstream's. */
export const FINALIZER = 'secretstore.externalsecrets.io/finalizer';

const TEXTS = { connect: 'unable to create client', validate: 'unable to validate store' } as const;

export function plan({ object, name, checked, interval, held }: ObservedStore, now: Date): Steps {
  if (checked === undefined) return { actions: [] };
  if (object.metadata.deletionTimestamp !== undefined) return { actions: holding(object, name, held) };
  const verdict = verdictOf(checked);
  const status = object['status'] as { conditions?: Condition[]; capabilities?: string } | undefined;
  const capabilities = capabilitiesOf(checked) ?? status?.capabilities ?? 'ReadOnly';
  const before = readyOf(status?.conditions);
  // Asked too often is no sign that it is unwell: it answers, and who uses it goes on as it says.
  if ('failed' in checked && checked.failed.kind === 'limited' && before?.status === 'True')
    return { actions: [], ...againAfter(checked.failed) };
  const same =
    before?.status === verdict.status &&
    before.reason === verdict.reason &&
    before.message === verdict.message;
  const actions: Action[] = holding(object, name, held);
  if (!same || status?.capabilities !== capabilities) {
    const conditions = withCondition(status?.conditions ?? [], { type: 'Ready', ...verdict }, now);
    actions.push({ do: 'status', name, status: { capabilities, conditions } });
  }
  // Upstream repeats this event at every check; here it tells news.
  if (!same) {
    const type = verdict.status === 'True' ? 'Normal' : 'Warning';
    actions.push({
      do: 'event',
      regarding: object,
      note: { type, reason: verdict.reason, message: verdict.message },
    });
  }
  return 'failed' in checked
    ? { actions, ...againAfter(checked.failed) }
    : { actions, requeueAt: new Date(now.getTime() + interval) };
}

const againAfter = ({ retryAfterMs }: Failure): Pick<Steps, 'retry' | 'retryAfterMs'> => ({
  retry: true,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

/** The finalizer, as long as it is needed. A merge patch replaces the whole list, so it insists on the version of it. */
function holding({ metadata }: KubeObject, name: Name, held: boolean): Action[] {
  const had = metadata.finalizers ?? [];
  // What is being deleted takes no new finalizer.
  if (had.includes(FINALIZER) === held || (held && metadata.deletionTimestamp !== undefined)) return [];
  const finalizers = held ? [...had, FINALIZER] : had.filter((one) => one !== FINALIZER);
  const patch = { metadata: { finalizers, resourceVersion: metadata.resourceVersion } };
  return [{ do: 'patch', name, patch }];
}

/** What a client of the store can do; undefined where none could be made. */
const capabilitiesOf = (checked: Checked): string | undefined =>
  'failed' in checked ? undefined : checked.writes ? 'ReadWrite' : 'ReadOnly';

function verdictOf(checked: Checked): { status: 'True' | 'False'; reason: string; message: string } {
  if ('failed' in checked) {
    return {
      status: 'False',
      reason: 'InvalidProviderConfig',
      message: because(TEXTS[checked.at], told(checked.failed)),
    };
  }
  return checked.result === 'ready'
    ? { status: 'True', reason: 'Valid', message: 'store validated' }
    : { status: 'True', reason: 'ValidationUnknown', message: 'could not determine validation status' };
}
