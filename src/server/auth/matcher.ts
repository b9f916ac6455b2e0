/**
 * What a set of policies allows. Compiled once per set into three tables (exact paths, prefixes by length, rules with "+"),
 * asked for each request. Exactly one rule decides: the best by the order below; stanzas for the same path are one rule.
 * Pure: no clock, no I/O, so that the offline checks judge by the same code as the server.
 */

import { globMatches } from '../../base/glob.ts';
import type { Json } from '../../base/json.ts';
import { asFolder, asLeaf, type Path } from '../../base/path.ts';
import type { Acl, AclRequest, Capability, Decision, Rule } from './acl.ts';
import { parametersRefuse } from './parameters.ts';
import type { ParameterRules, Policy, Stanza } from './policy.ts';
import { fillTemplate, type Identity } from './template.ts';

/** All stanzas for one path, as one. */
interface Merged {
  readonly rule: Rule;
  readonly deny: boolean;
  readonly granted: ReadonlySet<Capability>;
  readonly allowed: ParameterRules;
  readonly denied: ParameterRules;
  readonly required: readonly string[];
  readonly minWrapTtlMs: number;
  readonly maxWrapTtlMs: number;
  /** Absent: `subscribe` covers every type. */
  readonly eventTypes?: readonly string[];
}

/** A rule whose path ends in "*" or holds "+", with what orders it. */
interface Pattern {
  readonly merged: Merged;
  /** The path without its trailing "*". */
  readonly text: string;
  readonly prefix: boolean;
  readonly segments: readonly string[];
  readonly wildcards: number;
  /** Where the first "+" stands, or where the text ends. */
  readonly firstWildcard: number;
}

const isWildcard = (segment: string): boolean => segment === '+';

/**
 * Compiles policies for one identity. Stanzas whose template cannot be filled in are left out.
 * A policy named "root" allows everything.
 */
export function compileAcl(policies: readonly Policy[], identity?: Identity, fold = false): Acl {
  if (policies.some((policy) => policy.name === 'root')) return rootAcl;
  const byPath = new Map<string, { policy: string; stanza: Stanza }[]>();
  for (const policy of policies) {
    for (const stanza of policy.stanzas) {
      const written = stanza.template === undefined ? stanza.path : fillTemplate(stanza.template, identity);
      if (written === undefined) continue;
      const path = fold ? written.toLowerCase() : written;
      const same = byPath.get(path);
      if (same === undefined) byPath.set(path, [{ policy: policy.name, stanza }]);
      else same.push({ policy: policy.name, stanza });
    }
  }

  const exact = new Map<string, Merged>();
  const prefixes = new Map<string, Pattern>();
  const wild: Pattern[] = [];
  for (const [path, stanzas] of byPath) {
    const merged = merge(path, stanzas);
    const pattern = patternOf(path, merged);
    if (pattern.wildcards > 0) wild.push(pattern);
    else if (pattern.prefix) prefixes.set(pattern.text, pattern);
    else exact.set(path, merged);
  }
  wild.sort((a, b) => outranks(b, a));
  const lengths = [...new Set([...prefixes.keys()].map((text) => text.length))].sort((a, b) => b - a);

  const longestPrefix = (text: string): Pattern | undefined => {
    for (const length of lengths) {
      if (length > text.length) continue;
      const found = prefixes.get(text.slice(0, length));
      if (found !== undefined) return found;
    }
    return undefined;
  };

  const inexact = (text: string): Merged | undefined => {
    const prefix = longestPrefix(text);
    if (wild.length === 0) return prefix?.merged;
    const segments = text.split('/');
    const plus = wild.find((pattern) => matches(pattern, segments));
    if (prefix === undefined) return plus?.merged;
    if (plus === undefined) return prefix.merged;
    return (outranks(plus, prefix) > 0 ? plus : prefix).merged;
  };

  /** Upstream asks for a listing under the name of the folder first and then of the leaf, in each of the two stages. */
  const winner = (text: string, leaf: string | undefined): Merged | undefined =>
    exact.get(text) ??
    (leaf === undefined ? undefined : exact.get(leaf)) ??
    inexact(text) ??
    (leaf === undefined ? undefined : inexact(leaf));

  const find = (path: Path, capability: string): Merged | undefined =>
    capability === 'list' ? winner(asFolder(path).text, asLeaf(path).text) : winner(path.text, undefined);

  let folded: Acl | undefined;
  return {
    root: false,
    mark: {},
    folded() {
      folded ??= compileAcl(policies, identity, true);
      return folded;
    },
    decide(request) {
      const merged = find(request.path, request.capability);
      return merged === undefined
        ? { allowed: false, reason: 'no policy names this path' }
        : judge(merged, request);
    },
    capabilities(path) {
      const merged = winner(path.text, path.folder ? asLeaf(path).text : undefined);
      return merged === undefined ? ['deny'] : shown(merged);
    },
    granted: () => ({
      exact: new Map([...exact].map(([path, merged]) => [path, shown(merged)])),
      prefixes: new Map([...prefixes].map(([path, { merged }]) => [path, shown(merged)])),
    }),
    reaches(prefix) {
      const grants = (merged: Merged | undefined): boolean =>
        merged !== undefined && !merged.deny && merged.granted.size > 0;
      // A folder is asked for by LIST, which knows it without its slash too, and by the verbs that do not.
      const granting = (text: string): boolean =>
        grants(winner(text, undefined)) || (text.endsWith('/') && grants(winner(text, text.slice(0, -1))));
      for (const path of byPath.keys()) if (witnesses(path, prefix).some(granting)) return true;
      return false;
    },
  };
}

const rootAcl: Acl = {
  root: true,
  mark: {},
  folded: () => rootAcl,
  decide: () => ({ allowed: true, rule: 'root' }),
  capabilities: () => ['root'],
  granted: () => ({ exact: new Map(), prefixes: new Map() }),
  reaches: () => true,
};

/** The capabilities of a rule, in order; a rule that grants nothing denies. */
const shown = ({ deny, granted }: Merged): readonly string[] =>
  deny || granted.size === 0 ? ['deny'] : [...granted].sort();

function patternOf(path: string, merged: Merged): Pattern {
  const prefix = path.endsWith('*');
  const text = prefix ? path.slice(0, -1) : path;
  const segments = text.split('/');
  const first = segments.findIndex(isWildcard);
  const before = segments.slice(0, first).join('/').length;
  return {
    merged,
    text,
    prefix,
    segments,
    wildcards: segments.filter(isWildcard).length,
    firstWildcard: first === -1 ? text.length : before + (first === 0 ? 0 : 1),
  };
}

/**
 * Above zero where `a` decides rather than `b`: its first wildcard stands later; it does not end in "*"; it has fewer "+";
 * it is longer; it is lexicographically greater.
 */
function outranks(a: Pattern, b: Pattern): number {
  if (a.firstWildcard !== b.firstWildcard) return a.firstWildcard - b.firstWildcard;
  if (a.prefix !== b.prefix) return a.prefix ? -1 : 1;
  if (a.wildcards !== b.wildcards) return b.wildcards - a.wildcards;
  if (a.text.length !== b.text.length) return a.text.length - b.text.length;
  return a.text > b.text ? 1 : a.text < b.text ? -1 : 0;
}

/** Whether a rule with "+" covers the segments of a path; a folder's last, empty segment counts as one. */
function matches(pattern: Pattern, segments: readonly string[]): boolean {
  const { segments: wanted, prefix } = pattern;
  if (prefix ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((want, i) => {
    const have = segments[i] ?? '';
    if (isWildcard(want) || want === have) return true;
    return prefix && i === wanted.length - 1 && have.startsWith(want);
  });
}

function judge(merged: Merged, request: AclRequest): Decision {
  const { rule } = merged;
  const refuse = (reason: string): Decision => ({ allowed: false, rule, reason });
  if (merged.deny) return refuse('the rule denies');
  const { capability } = request;
  if (!merged.granted.has(capability)) return refuse(`the rule does not grant "${capability}"`);
  if (request.sudo && !merged.granted.has('sudo')) return refuse('the path asks for "sudo" in addition');
  if (capability === 'subscribe' && merged.eventTypes !== undefined) {
    const type = request.eventType;
    if (type === undefined || !merged.eventTypes.some((glob) => globMatches(glob, type)))
      return refuse('the rule does not cover this event type');
  }
  const wrap = request.wrapTtlMs ?? 0;
  if (merged.maxWrapTtlMs > 0 && (wrap === 0 || wrap > merged.maxWrapTtlMs))
    return refuse('the rule asks for a wrapped answer with a shorter time');
  if (merged.minWrapTtlMs > 0 && (wrap === 0 || wrap < merged.minWrapTtlMs))
    return refuse('the rule asks for a wrapped answer with a longer time');
  const reason = parametersRefuse(merged, request);
  return reason === undefined ? { allowed: true, rule } : refuse(reason);
}

/** Sets of capabilities are united, "deny" wins, the shorter wrapping time holds, an empty list of values is any value. */
function merge(path: string, stanzas: readonly { policy: string; stanza: Stanza }[]): Merged {
  const policies = [...new Set(stanzas.map((s) => s.policy))];
  const denying = stanzas.find((s) => s.stanza.capabilities.includes('deny'));
  const line = (denying ?? stanzas[0])?.stanza.line ?? 0;
  const base = { allowed: new Map(), denied: new Map(), required: [], minWrapTtlMs: 0, maxWrapTtlMs: 0 };
  if (denying !== undefined) {
    const rule = { policies, path, capabilities: ['deny'] as const, line };
    return { ...base, rule, deny: true, granted: new Set() };
  }
  const all = stanzas.map((s) => s.stanza);
  const granted = new Set(all.flatMap((s) => s.capabilities));
  const subscribing = all.filter((s) => s.capabilities.includes('subscribe'));
  const types = subscribing.map((s) => s.eventTypes);
  return {
    rule: { policies, path, capabilities: [...granted].sort(), line },
    deny: false,
    granted,
    allowed: unite(all.map((s) => s.allowed)),
    denied: unite(all.map((s) => s.denied)),
    required: [...new Set(all.flatMap((s) => s.required))],
    minWrapTtlMs: shortest(all.map((s) => s.minWrapTtlMs)),
    maxWrapTtlMs: shortest(all.map((s) => s.maxWrapTtlMs)),
    ...(types.length > 0 && types.every((list) => list !== undefined) ? { eventTypes: types.flat() } : {}),
  };
}

const shortest = (times: readonly (number | undefined)[]): number => {
  const given = times.filter((time): time is number => time !== undefined && time > 0);
  return given.length === 0 ? 0 : Math.min(...given);
};

function unite(rules: readonly ParameterRules[]): ParameterRules {
  const united = new Map<string, readonly Json[]>();
  for (const rule of rules) {
    for (const [key, values] of rule) {
      const known = united.get(key);
      const any = values.length === 0 || known?.length === 0;
      united.set(key, any ? [] : [...(known ?? []), ...values]);
    }
  }
  return united;
}

/** A segment that no policy names. */
const FRESH = '\u{10FFFD}';

/** Paths at or below `prefix` that the rule for `path` covers, enough of them that one shows whether any is granted. */
function witnesses(path: string, prefix: string): string[] {
  const glob = path.endsWith('*');
  const text = glob ? path.slice(0, -1) : path;
  const below = prefix.split('/');
  // A "+" takes the segment that the prefix has there; beyond it, one that nobody names.
  const filled = text
    .split('/')
    .map((segment, i) =>
      isWildcard(segment) ? (i < below.length - 1 ? (below[i] ?? FRESH) : FRESH) : segment,
    )
    .join('/');
  const tails = ['', FRESH, `${FRESH}/`, `${FRESH}/${FRESH}`, `${FRESH}/${FRESH}/${FRESH}`];
  if (filled.startsWith(prefix)) return glob ? tails.map((tail) => filled + tail) : [filled];
  return glob && prefix.startsWith(filled) ? tails.map((tail) => prefix + tail) : [];
}
