/** The Ready condition, as all our kinds carry it. */

import type { Failure } from '../base/errors.ts';
import type { KubeObject } from '../kube/kube.ts';
import type { Condition } from './api/externalsecret.ts';

/** Longer messages are cut: an object in etcd is no place for a store's whole error page. */
const LIMIT = 2048;

/** Times in Kubernetes objects have whole seconds (metav1.Time). */
export const rfc3339 = (at: Date): string => `${at.toISOString().slice(0, 19)}Z`;

/**
 * The conditions after `next` was set. `lastTransitionTime` moves only when the status flips
 * (Kubernetes API conventions, "Typical status properties").
 */
export function withCondition(
  conditions: readonly Condition[],
  next: {
    readonly type: string;
    readonly status: 'True' | 'False' | 'Unknown';
    readonly reason: string;
    readonly message: string;
  },
  now: Date,
): readonly Condition[] {
  const before = conditions.find((condition) => condition.type === next.type);
  const kept = before?.status === next.status ? before.lastTransitionTime : undefined;
  return [
    ...conditions.filter((condition) => condition.type !== next.type),
    { ...next, message: cut(next.message), lastTransitionTime: kept ?? rfc3339(now) },
  ];
}

export const readyOf = (conditions: readonly Condition[] | undefined): Condition | undefined =>
  conditions?.find((condition) => condition.type === 'Ready');

/** A failure as people read it: its message, its hint where it has one, and the code they can look up. */
export const told = (failure: Failure): string => `${failure.message} [${failure.code}]`;

/** The known text and, after it, the cause: upstream tells the cause in an event alone (#6832). */
export const because = (known: string, cause: string): string => `${known}: ${cause}`;

export const cut = (text: string, limit = LIMIT): string =>
  text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;

/** The Ready condition of an object as it is stored. */
export const conditionOf = (object: KubeObject | undefined): Condition | undefined =>
  readyOf((object?.['status'] as { conditions?: Condition[] } | undefined)?.conditions);
