/**
 * Carries out plans: reads what they need from stores, each need once and together, asks again, and applies the actions
 * in order. A write that is refused ends the list; the controller says what is told instead.
 */

import { asFailure, type Failure } from '../base/errors.ts';
import type { Kube } from '../kube/kube.ts';
import type { EventRecorder } from './events.ts';
import type { Action, Answer, Explain, Making, Need, Plan, Steps } from './plan.ts';

/** How a reconcile ended. */
export type Outcome =
  | { readonly end: 'done'; readonly requeueAt?: Date; readonly freshFrom?: Date }
  /** Told in the condition; to be tried again with growing waits, and not before `retryAfterMs`. */
  | { readonly end: 'failed'; readonly retryAfterMs?: number }
  /** Somebody else wrote in between: look again at once, tell nobody. */
  | { readonly end: 'stale' };

/** A plan that still asks after this many answers never ends. */
const MOST_ASKED = 4;

/** @param answer reads a store or has a generator make values; it gives failures as answers and does not throw */
export async function settle(
  ask: (answers: ReadonlyMap<string, Answer>) => Plan,
  answer: (need: Need | Making) => Promise<Answer>,
): Promise<Steps> {
  const answers = new Map<string, Answer>();
  for (let asked = 0; asked < MOST_ASKED; asked++) {
    const plan = ask(answers);
    if (!('read' in plan)) return plan;
    const unread = [...new Map(plan.read.map((need) => [need.id, need])).values()];
    const read = await Promise.all(unread.map(async (need) => [need.id, await answer(need)] as const));
    for (const [id, given] of read) answers.set(id, given);
  }
  return { actions: [], retry: true };
}

/** Applies the steps of a plan in order. @throws Failure what the cluster answered to a step that explains nothing */
export async function apply(
  kube: Kube,
  events: EventRecorder,
  steps: Steps,
  explain: Explain,
): Promise<Outcome> {
  for (const action of steps.actions) {
    try {
      await applyOne(kube, events, action);
    } catch (error) {
      const failure = asFailure(error);
      if (isStale(failure)) return { end: 'stale' };
      if (!('failing' in action)) throw failure;
      const instead = explain(action, failure);
      await apply(kube, events, instead, () => ({ actions: [] }));
      return { end: 'failed' };
    }
  }
  if (steps.retry === true)
    return {
      end: 'failed',
      ...(steps.retryAfterMs === undefined ? {} : { retryAfterMs: steps.retryAfterMs }),
    };
  return { end: 'done', ...nextOf(steps) };
}

/** When it is looked at again. */
export const nextOf = ({ requeueAt, freshFrom }: Steps): Pick<Steps, 'requeueAt' | 'freshFrom'> => ({
  ...(requeueAt === undefined ? {} : { requeueAt }),
  ...(freshFrom === undefined ? {} : { freshFrom }),
});

const isStale = ({ code }: Failure): boolean =>
  code === 'kube.conflict' || code === 'kube.exists' || code === 'kube.missing';

async function applyOne(kube: Kube, events: EventRecorder, action: Action): Promise<void> {
  switch (action.do) {
    case 'create':
      await kube.create(action.name, action.object, { manager: action.manager });
      return;
    case 'update':
      await kube.update(action.name, action.object, { manager: action.manager });
      return;
    case 'delete':
      await kube.delete(action.name, { uid: action.uid });
      return;
    case 'patch':
      await kube.patch(action.name, action.patch);
      return;
    case 'status':
      await kube.patch(action.name, { status: action.status }, { subresource: 'status' });
      return;
    case 'event':
      events.record(action.regarding, action.note);
      return;
  }
}
