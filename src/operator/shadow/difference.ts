/** What would be otherwise if we wrote: the Secret that is there against the one that we would make. Names alone, no values. */

import type { KubeObject } from '../../kube/kube.ts';
import type { Condition } from '../api/externalsecret.ts';
import { readyOf } from '../conditions.ts';
import type { Action, Steps } from '../plan.ts';

export interface Difference {
  readonly namespace: string;
  /** Of the ExternalSecret. */
  readonly name: string;
  /**
   * `same`: we would write nothing, or nothing of consequence. `failed`: we could not make it, see `message`.
   * `skipped`: finding out would itself make something anew.
   */
  readonly verdict: 'same' | 'create' | 'change' | 'delete' | 'failed' | 'skipped';
  /** What differs: "data.password is added", "label team is removed". */
  readonly details: readonly string[];
  readonly message: string;
}

type Texts = Readonly<Record<string, unknown>>;

/** @param target the Secret as it is; @param steps what we would do */
export function differenceOf(
  { metadata }: KubeObject,
  target: KubeObject | undefined,
  steps: Steps,
): Difference | undefined {
  const at = { namespace: metadata.namespace ?? '', name: metadata.name };
  const told = conditionOf(steps.actions);
  const written = steps.actions.find((action) => action.do === 'create' || action.do === 'update');
  if (told?.status === 'False') {
    const message = told.message ?? '';
    const verdict = message.includes('[operator.shadow]') ? 'skipped' : 'failed';
    return { ...at, verdict, details: [], message };
  }
  if (written?.do === 'create')
    return { ...at, verdict: 'create', details: detailsOf(undefined, written.object), message: '' };
  if (steps.actions.some((action) => action.do === 'delete'))
    return { ...at, verdict: 'delete', details: [], message: told?.message ?? '' };
  if (written?.do === 'update') {
    const details = detailsOf(target, written.object);
    return { ...at, verdict: details.length === 0 ? 'same' : 'change', details, message: '' };
  }
  // Nothing was decided: another operator's, or one that is being deleted.
  return told === undefined ? undefined : { ...at, verdict: 'same', details: [], message: '' };
}

function conditionOf(actions: readonly Action[]): Condition | undefined {
  for (const action of actions)
    if (action.do === 'status') return readyOf((action.status as { conditions?: Condition[] }).conditions);
  return undefined;
}

function detailsOf(before: KubeObject | undefined, after: KubeObject): string[] {
  const type = [before?.['type'], after['type']];
  return [
    ...texts('data.', before?.['data'], after['data']),
    ...(before !== undefined && type[0] !== type[1]
      ? [`type is ${String(type[0])} and would be ${String(type[1])}`]
      : []),
    ...texts('label ', before?.metadata.labels, after.metadata.labels),
    ...texts('annotation ', before?.metadata.annotations, after.metadata.annotations),
    ...((before?.['immutable'] === true) === (after['immutable'] === true) || before === undefined
      ? []
      : [`immutable would be ${String(after['immutable'] === true)}`]),
  ];
}

function texts(prefix: string, before: unknown, after: unknown): string[] {
  const [old, now] = [(before ?? {}) as Texts, (after ?? {}) as Texts];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
  return names.flatMap((name) => {
    if (!Object.hasOwn(old, name)) return [`${prefix}${name} is added`];
    if (!Object.hasOwn(now, name)) return [`${prefix}${name} is removed`];
    return old[name] === now[name] ? [] : [`${prefix}${name} is changed`];
  });
}
