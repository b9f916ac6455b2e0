/** Label selectors as objects carry them (`matchLabels`, `matchExpressions`). Source: apimachinery's LabelSelector. */

import { failure } from '../base/errors.ts';
import { own } from '../base/own.ts';

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?:
    | readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: readonly string[] | undefined;
      }[]
    | undefined;
}

type Labels = Readonly<Record<string, string>>;

/**
 * Whether labels satisfy a selector: an empty one takes everything, an absent one nothing.
 * @throws Failure kube.selector for an operator that does not exist or has the wrong number of values
 */
export function matchesSelector(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  if (selector === undefined) return false;
  const exact = Object.entries(selector.matchLabels ?? {}).every(
    ([key, value]) => own(labels, key) === value,
  );
  // All expressions are looked at, so that a malformed one is told whatever the labels are.
  const expressions = (selector.matchExpressions ?? []).map((e) =>
    holds(e.key, e.operator, e.values ?? [], labels),
  );
  return exact && expressions.every(Boolean);
}

function holds(key: string, operator: string, values: readonly string[], labels: Labels): boolean {
  const value = own(labels, key);
  const listed = operator === 'In' || operator === 'NotIn';
  if (listed !== values.length > 0)
    throw failure('kube.selector', { reason: `${operator} on ${key} has ${values.length} values` });
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      throw failure('kube.selector', {
        reason: `there is no operator ${JSON.stringify(operator.slice(0, 40))}`,
      });
  }
}
