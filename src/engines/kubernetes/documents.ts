/** What a role gives as YAML or JSON: the rules of a generated role, and which namespaces are allowed by their labels. Pure. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { parseYaml } from '../../base/yaml.ts';

const LIMIT = 64 * 1024;
/** Aliases of YAML let a small text stand for a huge value; nobody needs them here. */
const LIMITS = { depth: 32, tokens: 20_000, aliases: 0, objects: true };

const texts = z.array(z.string());
// Strict: a misspelt member would silently give a role other rights than it was meant to have.
const rule = z.strictObject({
  apiGroups: texts.optional(),
  resources: texts.optional(),
  resourceNames: texts.optional(),
  nonResourceURLs: texts.optional(),
  verbs: texts.min(1),
});
const rules = z.strictObject({ rules: z.array(rule).max(256).optional() });
export type PolicyRule = z.output<typeof rule>;

const expression = z.discriminatedUnion('operator', [
  z.strictObject({ key: z.string(), operator: z.enum(['In', 'NotIn']), values: texts.min(1) }),
  z.strictObject({
    key: z.string(),
    operator: z.enum(['Exists', 'DoesNotExist']),
    values: texts.max(0).nullish(),
  }),
]);
const selector = z.strictObject({
  matchLabels: z.record(z.string(), z.string()).nullish(),
  matchExpressions: z.array(expression).max(256).nullish(),
});
export type Selector = z.output<typeof selector>;

/** @throws Failure serviceaccounts.rules */
export function readRules(text: string): readonly PolicyRule[] {
  const found = rules.safeParse(parsed(text));
  if (!found.success) throw failure('serviceaccounts.rules');
  return found.data.rules ?? [];
}

/** @throws Failure serviceaccounts.selector */
export function readSelector(text: string): Selector {
  const found = selector.safeParse(parsed(text));
  if (!found.success) throw failure('serviceaccounts.selector');
  return found.data;
}

/** Whether labels satisfy a selector; an empty one takes all. Source: apimachinery's LabelSelector. */
export function selects(
  { matchLabels, matchExpressions }: Selector,
  labels: ReadonlyMap<string, string>,
): boolean {
  const exact = Object.entries(matchLabels ?? {}).every(([key, value]) => labels.get(key) === value);
  return exact && (matchExpressions ?? []).every((one) => holds(one, labels));
}

function holds(one: z.output<typeof expression>, labels: ReadonlyMap<string, string>): boolean {
  const value = labels.get(one.key);
  switch (one.operator) {
    case 'In':
      return value !== undefined && one.values.includes(value);
    case 'NotIn':
      return value === undefined || !one.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** The value of the text, or undefined: a parser's error quotes its input. */
function parsed(text: string): unknown {
  if (text.length > LIMIT) return undefined;
  try {
    // With "silent" the parser would guess what a broken text means, and a guess would become rights.
    return parseYaml(text, LIMITS) ?? null;
  } catch {
    return undefined;
  }
}
