/** The Ready condition, as all our kinds carry it. */

import type { Failure } from '../base/errors.ts';
import type { KubeObject } from '../kube/kube.ts';
import type { Condition } from './api/externalsecret.ts';
import type { Steps } from './plan.ts';

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

/**
 * Says in the condition of what failed when it is tried again. A time of day would be another text, and a write, at each try:
 * this is the same one as soon as the waits have stopped growing.
 * @param withinMs the longest that the next wait may be, where the steps do not name a longer one
 */
export function tellRetry(steps: Steps, withinMs: number): Steps {
  if (steps.retry !== true) return steps;
  const tail = `; tried again within ${waitText(Math.max(withinMs, steps.retryAfterMs ?? 0))}`;
  const told = (condition: Condition): Condition =>
    condition.type === 'Ready' && condition.status === 'False'
      ? { ...condition, message: cut(condition.message ?? '', LIMIT - tail.length) + tail }
      : condition;
  return {
    ...steps,
    actions: steps.actions.map((action) => {
      if (action.do !== 'status' || !('conditions' in action.status)) return action;
      const { conditions } = action.status as { readonly conditions: readonly Condition[] };
      return { ...action, status: { ...action.status, conditions: conditions.map(told) } };
    }),
  };
}

const waitText = (ms: number): string => {
  const seconds = Math.ceil(ms / 1000);
  return seconds <= 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
};
