/** The parameter rules of a policy: what a request's data may hold. They look at the top-level keys of the data alone. */

import { globMatches } from '../../base/glob.ts';
import { Exact, type Json, parseJson, RawJson } from '../../base/json.ts';
import type { AclRequest } from './acl.ts';
import type { ParameterRules } from './policy.ts';

interface Rules {
  readonly allowed: ParameterRules;
  readonly denied: ParameterRules;
  readonly required: readonly string[];
}

const JUDGED: ReadonlySet<string> = new Set(['read', 'create', 'update', 'patch']);

/** Why the rules refuse the request's data, naming no value and no key that the rules do not hold; undefined: they do not. */
export function parametersRefuse(rules: Rules, request: AclRequest): string | undefined {
  if (!JUDGED.has(request.capability)) return undefined;
  const { allowed, denied, required } = rules;
  if (allowed.size === 0 && denied.size === 0 && required.length === 0) return undefined;
  const given = Object.entries(request.parameters ?? {}).map(
    ([key, value]) => [key.toLowerCase(), value] as const,
  );
  const missing = required.find((name) => !given.some(([key]) => key === name));
  if (missing !== undefined) return `the parameter "${missing}" is required`;
  if (given.length === 0) return undefined;
  if (denied.has('*')) return 'every parameter is denied';
  for (const [key, value] of given) {
    const values = denied.get(key);
    if (values !== undefined && includes(values, value)) return `the parameter "${key}" is denied`;
  }
  if (allowed.size === 0) return undefined;
  for (const [key, value] of given) {
    const values = allowed.get(key);
    if (values === undefined && !allowed.has('*')) return 'a parameter is not among the allowed ones';
    if (values !== undefined && !includes(values, value))
      return `the parameter "${key}" does not have an allowed value`;
  }
  return undefined;
}

/** An empty list takes any value. */
function includes(values: readonly Json[], given: Json): boolean {
  if (values.length === 0) return true;
  const value = given instanceof RawJson ? parseJson(given.text) : given;
  return values.some((want) =>
    typeof want === 'string' && typeof value === 'string' ? globMatches(want, value) : same(want, value),
  );
}

const numeric = (value: Json): string | undefined =>
  typeof value === 'number' ? String(value) : value instanceof Exact ? value.text : undefined;

function same(a: Json, b: Json): boolean {
  const number = numeric(a);
  if (number !== undefined) return number === numeric(b) || Number(number) === Number(numeric(b));
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((x, i) => same(x, b[i] as Json));
  if (a !== null && typeof a === 'object') {
    if (b === null || typeof b !== 'object' || Array.isArray(b) || b instanceof Exact || b instanceof RawJson)
      return false;
    const x = a as Readonly<Record<string, Json>>;
    const y = b as Readonly<Record<string, Json>>;
    const keys = Object.keys(x);
    return (
      keys.length === Object.keys(y).length &&
      keys.every((key) => Object.hasOwn(y, key) && same(x[key] as Json, y[key] as Json))
    );
  }
  return a === b;
}
