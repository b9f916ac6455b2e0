/**
 * A policy's text, HCL or JSON, read into immutable stanzas. Everything that could widen or silently lose a rule is refused
 * here: an unknown key, a capability that does not exist, a path that no canonical request could ever equal, a restriction
 * that this server does not enforce. What is refused names the path, the line and the mend.
 */

import { parseDuration } from '../../base/duration.ts';
import { Failure, failure } from '../../base/errors.ts';
import { blocksOf, type HclBlock, type HclItem, type HclValue, kindOf, parseHcl } from '../../base/hcl.ts';
import { Exact, type Json } from '../../base/json.ts';
import { own } from '../../base/own.ts';
import { parsePath } from '../../base/path.ts';
import type { Capability } from './acl.ts';
import { parseTemplate, type TemplatePart } from './template.ts';

/** Keys in lower case; an empty list means: any value. */
export type ParameterRules = ReadonlyMap<string, readonly Json[]>;

export interface Stanza {
  /** As written, without a leading slash. */
  readonly path: string;
  /** The pieces of a path that holds templates; absent where it holds none. */
  readonly template?: readonly TemplatePart[];
  /** Only "deny" where it is among them. */
  readonly capabilities: readonly Capability[];
  readonly allowed: ParameterRules;
  readonly denied: ParameterRules;
  readonly required: readonly string[];
  readonly minWrapTtlMs?: number;
  readonly maxWrapTtlMs?: number;
  /** Event types that `subscribe` covers; absent: all. */
  readonly eventTypes?: readonly string[];
  readonly line: number;
}

export interface Policy {
  readonly name: string;
  readonly stanzas: readonly Stanza[];
  /** What is legal but hardly meant, for whoever writes the policy. */
  readonly warnings: readonly string[];
}

const CAPABILITIES: ReadonlySet<string> = new Set<Capability>([
  'create',
  'read',
  'update',
  'delete',
  'list',
  'patch',
  'sudo',
  'subscribe',
  'deny',
]);

/** The one word of the oldest policies. */
const LEGACY: Readonly<Record<string, readonly Capability[]>> = {
  deny: ['deny'],
  read: ['read', 'list'],
  write: ['read', 'list', 'create', 'update', 'delete'],
  sudo: ['read', 'list', 'create', 'update', 'delete', 'sudo'],
};

/** Restrictions that other servers enforce. To accept one and not enforce it would widen the policy. */
const UNENFORCED = new Set([
  'mfa_methods',
  'control_group',
  'expiration',
  'pagination_limit',
  'list_scan_response_keys_filter_path',
]);

const invalid = (reason: string, mend: string): Failure => failure('policy.malformed', { reason, mend });

/**
 * Reads a policy. The name "root" has no stanzas: `compileAcl` knows it.
 * @throws Failure policy.malformed, its message beginning "failed to parse policy: "
 */
export function parsePolicy(name: string, text: string): Policy {
  if (name === 'root') return { name, stanzas: [], warnings: [] };
  const stanzas: Stanza[] = [];
  const warnings: string[] = [];
  try {
    for (const item of parseHcl(text)) {
      const key = item.keys[0];
      if (key === 'path') for (const block of blocksOf(item)) stanzas.push(stanza(block, warnings));
      else if (key !== 'name')
        throw invalid(
          `invalid key "${key}" on line ${item.line}`,
          'a policy holds path "..." { ... } stanzas alone',
        );
    }
  } catch (error) {
    if (error instanceof Failure && error.code === 'hcl.malformed')
      throw invalid(error.message, (error.hint ?? '').replace(/^To mend it: |\.$/g, ''));
    if (error instanceof Failure && error.code === 'hcl.too_large')
      throw invalid(error.message, 'split the policy');
    throw error;
  }
  return { name, stanzas, warnings };
}

function stanza(block: HclBlock, warnings: string[]): Stanza {
  const path = block.label.startsWith('/') ? block.label.slice(1) : block.label;
  const fail = (reason: string, mend: string): Failure => invalid(`path "${block.label}": ${reason}`, mend);
  const template = checkPath(path, fail);
  if (path.slice(0, -1).includes('*'))
    warnings.push(
      `path "${path}" on line ${block.line}: a "*" before the end stands for itself; use "+" for one segment`,
    );

  const found = new Map<string, HclItem>();
  for (const item of block.items) {
    const key = item.keys.join('.');
    if (found.has(key))
      throw fail(`the key "${key}" is given again on line ${item.line}`, 'give each key once');
    found.set(key, item);
  }

  const capabilities = new Set<Capability>();
  let rest: Omit<Stanza, 'path' | 'capabilities' | 'line'> = {
    allowed: new Map(),
    denied: new Map(),
    required: [],
  };
  for (const [key, { value, line }] of found) {
    switch (key) {
      case 'capabilities':
        for (const name of texts(value, key, fail)) capabilities.add(capability(name, fail));
        break;
      case 'policy':
        for (const c of legacy(value, fail)) capabilities.add(c);
        break;
      case 'allowed_parameters':
        rest = { ...rest, allowed: parameters(value, key, fail) };
        break;
      case 'denied_parameters':
        rest = { ...rest, denied: parameters(value, key, fail) };
        break;
      case 'required_parameters':
        rest = { ...rest, required: texts(value, key, fail).map((name) => name.toLowerCase()) };
        break;
      case 'min_wrapping_ttl':
        rest = { ...rest, minWrapTtlMs: time(value, key, fail) };
        break;
      case 'max_wrapping_ttl':
        rest = { ...rest, maxWrapTtlMs: time(value, key, fail) };
        break;
      case 'subscribe_event_types':
        rest = { ...rest, eventTypes: texts(value, key, fail) };
        break;
      case 'comment':
        break;
      default:
        if (UNENFORCED.has(key))
          throw fail(
            `the key "${key}" on line ${line} is a restriction that this server does not enforce`,
            'remove it if the path may go without it',
          );
        throw fail(
          `invalid key "${key}" on line ${line}`,
          'use capabilities, allowed_parameters, denied_parameters, required_parameters, min_wrapping_ttl, max_wrapping_ttl or subscribe_event_types',
        );
    }
  }
  const { minWrapTtlMs: min = 0, maxWrapTtlMs: max = 0 } = rest;
  if (max > 0 && max < min)
    throw fail('max_wrapping_ttl cannot be less than min_wrapping_ttl', 'raise it, or lower the other');

  const head = { path, line: block.line, ...(template === undefined ? {} : { template }) };
  if (capabilities.has('deny'))
    return { ...head, capabilities: ['deny'], allowed: new Map(), denied: new Map(), required: [] };
  return { ...head, ...rest, capabilities: [...capabilities] };
}

type Fail = (reason: string, mend: string) => Failure;

/** Refuses a path that can equal no canonical request path; gives its template, where it is one. */
function checkPath(path: string, fail: Fail): readonly TemplatePart[] | undefined {
  const template = parseTemplate(path, fail);
  // What a template will put in is checked when it is put in; here it stands as one plain letter.
  const plain = template.map((part) => (typeof part === 'string' ? part : 'x')).join('');
  if (plain.includes('+*'))
    throw fail(`invalid use of wildcards ('+*' is forbidden)`, 'write "+/*", or "*" alone');
  // A prefix may end inside a segment: "x" stands for what follows.
  const probe = plain.endsWith('*') ? `${plain.slice(0, -1)}x` : plain;
  try {
    parsePath(probe.startsWith('/') ? '//' : probe);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw fail(
      `it can never match: ${error.message}`,
      'name plain segments between single slashes; requests with anything else are refused before policies are asked',
    );
  }
  return template.some((part) => typeof part !== 'string') ? template : undefined;
}

function capability(name: string, fail: Fail): Capability {
  if (CAPABILITIES.has(name)) return name as Capability;
  throw fail(`invalid capability "${name}"`, `use ${[...CAPABILITIES].join(', ')}`);
}

function legacy(value: HclValue, fail: Fail): readonly Capability[] {
  const word = value.kind === 'string' ? value.value : '';
  const granted = own(LEGACY, word);
  if (granted === undefined) throw fail(`invalid policy "${word}"`, 'use deny, read, write or sudo');
  return granted;
}

/** A list of texts, or one text alone. */
function texts(value: HclValue, key: string, fail: Fail): string[] {
  const items = value.kind === 'list' ? value.items : [value];
  return items.map((item) => {
    if (item.kind === 'string') return item.value;
    throw fail(
      `"${key}" on line ${item.line} holds a ${kindOf(item)}, not text`,
      `write ${key} = ["...", "..."]`,
    );
  });
}

function parameters(value: HclValue, key: string, fail: Fail): ParameterRules {
  const rules = new Map<string, readonly Json[]>();
  const objects = value.kind === 'list' ? value.items : [value];
  for (const object of objects) {
    if (object.kind !== 'object')
      throw fail(`"${key}" on line ${object.line} is not a block`, `write ${key} = { "key" = ["value"] }`);
    for (const item of object.items) {
      if (item.keys.length !== 1)
        throw fail(`"${key}" on line ${item.line} has a nested key`, 'name top-level keys of the data alone');
      const name = (item.keys[0] ?? '').toLowerCase();
      if (rules.has(name))
        throw fail(`"${key}" names "${name}" twice`, 'names are compared without case: give each once');
      rules.set(name, item.value.kind === 'list' ? item.value.items.map(json) : [json(item.value)]);
    }
  }
  return rules;
}

function json(value: HclValue): Json {
  switch (value.kind) {
    case 'string':
    case 'boolean':
      return value.value;
    case 'number':
      return String(Number(value.text)) === value.text ? Number(value.text) : new Exact(value.text);
    case 'list':
      return value.items.map(json);
    case 'object': {
      const object = Object.create(null) as Record<string, Json>;
      for (const item of value.items) object[item.keys.join('.')] = json(item.value);
      return object;
    }
  }
}

function time(value: HclValue, key: string, fail: Fail): number {
  const broken = () => fail(`error parsing ${key}`, 'write seconds, or a duration such as "5m"');
  const text = value.kind === 'number' ? value.text : value.kind === 'string' ? value.value : undefined;
  if (text === undefined) throw broken();
  try {
    const ms = parseDuration(text);
    if (ms >= 0) return ms;
  } catch {
    throw broken();
  }
  throw broken();
}
