/**
 * Structural schemas of CustomResourceDefinitions, read once into `Schema` and then used to drop unknown fields, fill in
 * defaults and validate, in that order, as Kubernetes does. Patterns run on RE2: a definition is written by a tenant.
 * No message quotes a value.
 */

import { RE2JS } from 're2js';
import { type CompiledRule, compileRule, evaluateRule } from './cel.ts';
import {
  asFields,
  asList,
  asText,
  clone,
  equal,
  type Fields,
  isFields,
  texts,
  type Value,
} from './objects.ts';
import { type Cause, required, wrong } from './status.ts';

type Type = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';

export interface Schema {
  readonly type: Type | undefined;
  readonly nullable: boolean;
  readonly properties: ReadonlyMap<string, Schema>;
  readonly additional: Schema | boolean | undefined;
  readonly items: Schema | undefined;
  readonly required: readonly string[];
  readonly preserve: boolean;
  readonly embedded: boolean;
  readonly intOrString: boolean;
  readonly fallback: Value | undefined;
  readonly listType: 'atomic' | 'set' | 'map';
  readonly listKeys: readonly string[];
  readonly atomicMap: boolean;
  readonly rules: readonly CompiledRule[];
  readonly allOf: readonly Schema[];
  readonly anyOf: readonly Schema[];
  readonly oneOf: readonly Schema[];
  readonly not: Schema | undefined;
  readonly checks: readonly Check[];
}

type Check = (value: Value) => { reason: string; message: string } | undefined;

const TYPES: readonly string[] = ['object', 'array', 'string', 'integer', 'number', 'boolean'];

/** Rules that this server does not evaluate are told to `unknown` with where they stand. */
export function readSchema(source: Fields, unknown: (path: string, rule: string) => void, path = ''): Schema {
  const below = (value: Value | undefined, name: string): Schema =>
    readSchema(asFields(value), unknown, `${path}.${name}`);
  const many = (name: string): Schema[] => asList(source[name]).map((item) => below(item, name));
  const properties = new Map<string, Schema>();
  for (const [name, value] of Object.entries(asFields(source['properties'])))
    properties.set(name, below(value, name));
  const rules: CompiledRule[] = [];
  for (const rule of asList(source['x-kubernetes-validations'])) {
    const text = asText(asFields(rule)['rule']) ?? '';
    const message = asText(asFields(rule)['message']) ?? `failed rule: ${text}`;
    const compiled = compileRule(text, message);
    if (compiled === undefined) unknown(path === '' ? '.' : path, text);
    else rules.push(compiled);
  }
  const type = asText(source['type']);
  const listType = asText(source['x-kubernetes-list-type']);
  const additional = source['additionalProperties'];
  return {
    type: TYPES.includes(type ?? '') ? (type as Type) : undefined,
    nullable: source['nullable'] === true,
    properties,
    additional: isFields(additional)
      ? below(additional, '*')
      : typeof additional === 'boolean'
        ? additional
        : undefined,
    items: isFields(source['items']) ? below(source['items'], '[]') : undefined,
    required: texts(source['required']),
    preserve: source['x-kubernetes-preserve-unknown-fields'] === true,
    embedded: source['x-kubernetes-embedded-resource'] === true,
    intOrString:
      source['x-kubernetes-int-or-string'] === true || asText(source['format']) === 'int-or-string',
    fallback: source['default'],
    listType: listType === 'set' || listType === 'map' ? listType : 'atomic',
    listKeys: texts(source['x-kubernetes-list-map-keys']),
    atomicMap: asText(source['x-kubernetes-map-type']) === 'atomic',
    rules,
    allOf: many('allOf'),
    anyOf: many('anyOf'),
    oneOf: many('oneOf'),
    not: isFields(source['not']) ? below(source['not'], 'not') : undefined,
    checks: readChecks(source),
  };
}

const bad = (message: string): { reason: string; message: string } => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${message}`,
});

function readChecks(source: Fields): Check[] {
  const checks: Check[] = [];
  const limit = (name: string, check: (bound: number) => Check): void => {
    const bound = source[name];
    if (typeof bound === 'number') checks.push(check(bound));
  };
  if (Array.isArray(source['enum'])) {
    const allowed = source['enum'];
    const told = allowed.map((value) => JSON.stringify(value)).join(', ');
    checks.push((value) =>
      allowed.some((one) => equal(one, value))
        ? undefined
        : { reason: 'FieldValueNotSupported', message: `Unsupported value: supported values: ${told}` },
    );
  }
  const pattern = asText(source['pattern']);
  if (pattern !== undefined) {
    const regexp = compilePattern(pattern);
    checks.push((value) =>
      typeof value !== 'string' || regexp === undefined || regexp.matcher(value).find()
        ? undefined
        : bad(`should match '${pattern}'`),
    );
  }
  const length = (value: string): number => [...value].length;
  const count = (value: Value): number => (isFields(value) ? Object.keys(value).length : 0);
  limit(
    'minLength',
    (n) => (v) =>
      typeof v === 'string' && length(v) < n ? bad(`should be at least ${n} chars long`) : undefined,
  );
  limit(
    'maxLength',
    (n) => (v) =>
      typeof v === 'string' && length(v) > n
        ? { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${n} bytes` }
        : undefined,
  );
  limit(
    'minItems',
    (n) => (v) => (Array.isArray(v) && v.length < n ? bad(`should have at least ${n} items`) : undefined),
  );
  limit(
    'maxItems',
    (n) => (v) =>
      Array.isArray(v) && v.length > n
        ? { reason: 'FieldValueTooMany', message: `Too many: ${v.length}: must have at most ${n} items` }
        : undefined,
  );
  limit(
    'minProperties',
    (n) => (v) => (isFields(v) && count(v) < n ? bad(`should have at least ${n} properties`) : undefined),
  );
  limit(
    'maxProperties',
    (n) => (v) =>
      isFields(v) && count(v) > n
        ? { reason: 'FieldValueTooMany', message: `Too many: ${count(v)}: must have at most ${n} properties` }
        : undefined,
  );
  const above = source['exclusiveMinimum'] === true;
  const under = source['exclusiveMaximum'] === true;
  limit(
    'minimum',
    (n) => (v) =>
      typeof v === 'number' && (above ? v <= n : v < n)
        ? bad(`should be greater than ${above ? '' : 'or equal to '}${n}`)
        : undefined,
  );
  limit(
    'maximum',
    (n) => (v) =>
      typeof v === 'number' && (under ? v >= n : v > n)
        ? bad(`should be less than ${under ? '' : 'or equal to '}${n}`)
        : undefined,
  );
  limit(
    'multipleOf',
    (n) => (v) => (typeof v === 'number' && v % n !== 0 ? bad(`should be a multiple of ${n}`) : undefined),
  );
  if (source['uniqueItems'] === true) {
    checks.push((v) =>
      Array.isArray(v) && hasTwins(v)
        ? { reason: 'FieldValueDuplicate', message: 'Duplicate value' }
        : undefined,
    );
  }
  const format = asText(source['format']);
  if (format === 'date-time') {
    checks.push((v) =>
      typeof v === 'string' && Number.isNaN(Date.parse(v)) ? bad('must be of type date-time') : undefined,
    );
  }
  return checks;
}

function compilePattern(pattern: string): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern);
  } catch {
    return undefined;
  }
}

const hasTwins = (items: readonly Value[]): boolean =>
  items.some((item, i) => items.slice(0, i).some((other) => equal(item, other)));

const ROOT: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** Drops what the schema does not know from `object`, in place; gives the paths that went. */
export function prune(object: Fields, schema: Schema): string[] {
  const dropped: string[] = [];
  pruneFields(object, schema, '', ROOT, dropped);
  return dropped;
}

function pruneFields(
  object: Fields,
  schema: Schema,
  path: string,
  kept: readonly string[],
  dropped: string[],
): void {
  for (const key of Object.keys(object)) {
    const where = path === '' ? key : `${path}.${key}`;
    if (kept.includes(key)) continue;
    const property = schema.properties.get(key);
    if (property !== undefined) pruneValue(object[key] as Value, property, where, dropped);
    else if (typeof schema.additional === 'object')
      pruneValue(object[key] as Value, schema.additional, where, dropped);
    else if (!schema.preserve && schema.additional !== true) {
      delete object[key];
      dropped.push(where);
    }
  }
}

function pruneValue(value: Value, schema: Schema, path: string, dropped: string[]): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    for (const [i, item] of value.entries()) pruneValue(item, schema.items, `${path}[${i}]`, dropped);
  } else if (isFields(value) && (schema.type === 'object' || schema.properties.size > 0)) {
    pruneFields(value, schema, path, schema.embedded ? ROOT : [], dropped);
  }
}

/** Fills in defaults, in place. A null where null is not allowed gives way to the default. */
export function fillDefaults(value: Value, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) fillDefaults(item, schema.items);
    return;
  }
  if (!isFields(value)) return;
  for (const [name, property] of schema.properties) {
    if (value[name] === null && !property.nullable && property.fallback !== undefined) delete value[name];
    if (value[name] === undefined && property.fallback !== undefined) value[name] = clone(property.fallback);
    if (value[name] !== undefined) fillDefaults(value[name] as Value, property);
  }
  if (typeof schema.additional === 'object') {
    for (const key of Object.keys(value)) {
      if (!schema.properties.has(key)) fillDefaults(value[key] as Value, schema.additional);
    }
  }
}

/** Everything that is wrong with an object, bounded: a flood of causes helps nobody. */
export function validate(object: Fields, schema: Schema, old: Fields | undefined): Cause[] {
  const causes: Cause[] = [];
  validateValue(object, schema, '', old, causes);
  return causes.slice(0, 30);
}

function validateValue(
  value: Value,
  schema: Schema,
  path: string,
  old: Value | undefined,
  causes: Cause[],
): void {
  const where = path === '' ? '<root>' : path;
  if (value === null) {
    if (!schema.nullable && schema.type !== undefined && !schema.intOrString) {
      causes.push({
        reason: 'FieldValueTypeInvalid',
        message: `Invalid value: "null": ${where} in body must be of type ${schema.type}: "null"`,
        field: where,
      });
    }
    return;
  }
  const given = typeOf(value);
  if (schema.intOrString) {
    if (given !== 'integer' && given !== 'string') {
      causes.push(wrongType(where, 'integer or string', given));
      return;
    }
  } else if (
    schema.type !== undefined &&
    given !== schema.type &&
    !(schema.type === 'number' && given === 'integer')
  ) {
    causes.push(wrongType(where, schema.type, given));
    return;
  }
  for (const check of schema.checks) {
    const found = check(value);
    if (found !== undefined) causes.push({ ...found, field: where });
  }
  if (isFields(value)) {
    for (const name of schema.required) {
      if (value[name] === undefined) causes.push(required(join(path, name)));
    }
    for (const key of Object.keys(value)) {
      const property =
        schema.properties.get(key) ?? (typeof schema.additional === 'object' ? schema.additional : undefined);
      if (property === undefined) continue;
      validateValue(
        value[key] as Value,
        property,
        join(path, key),
        isFields(old) ? old[key] : undefined,
        causes,
      );
    }
  }
  if (Array.isArray(value)) validateItems(value, schema, path, old, causes);
  validateLogic(value, schema, where, causes);
  for (const rule of schema.rules) {
    const message = evaluateRule(rule, value, old);
    if (message !== undefined) causes.push(wrong(where, message));
  }
}

function validateItems(
  items: Value[],
  schema: Schema,
  path: string,
  old: Value | undefined,
  causes: Cause[],
): void {
  const keyed = (item: Value): Value => schema.listKeys.map((key) => asFields(item)[key] ?? null);
  if (schema.listType !== 'atomic') {
    const seen = items.map((item) => (schema.listType === 'set' ? item : keyed(item)));
    if (hasTwins(seen))
      causes.push({ reason: 'FieldValueDuplicate', message: 'Duplicate value', field: path });
  }
  if (schema.items === undefined) return;
  for (const [i, item] of items.entries()) {
    const before =
      schema.listType === 'map' ? asList(old).find((other) => equal(keyed(other), keyed(item))) : undefined;
    validateValue(item, schema.items, `${path}[${i}]`, before, causes);
  }
}

function validateLogic(value: Value, schema: Schema, where: string, causes: Cause[]): void {
  const holds = (part: Schema): boolean => {
    const found: Cause[] = [];
    validateValue(value, part, where, undefined, found);
    return found.length === 0;
  };
  for (const part of schema.allOf)
    validateValue(value, part, where === '<root>' ? '' : where, undefined, causes);
  if (schema.anyOf.length > 0 && !schema.intOrString && !schema.anyOf.some(holds)) {
    causes.push(wrong(where, `${where} in body must validate at least one schema (anyOf)`));
  }
  if (schema.oneOf.length > 0) {
    const matching = schema.oneOf.filter(holds).length;
    if (matching !== 1) {
      causes.push(
        wrong(
          where,
          `${where} in body must validate one and only one schema (oneOf). Found ${matching === 0 ? 'none valid' : `${matching} valid alternatives`}`,
        ),
      );
    }
  }
  if (schema.not !== undefined && holds(schema.not))
    causes.push(wrong(where, `${where} in body must not validate the schema (not)`));
}

const wrongType = (field: string, wanted: string, given: string): Cause => ({
  reason: 'FieldValueTypeInvalid',
  message: `Invalid value: "${given}": ${field} in body must be of type ${wanted}: "${given}"`,
  field,
});

function typeOf(value: Value): string {
  if (Array.isArray(value)) return 'array';
  if (isFields(value)) return 'object';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** A field below a path, as causes name it: keys that are no plain names go into brackets. */
function join(path: string, name: string): string {
  if (!/^[A-Za-z_$][\w$-]*$/.test(name)) return `${path}[${name}]`;
  return path === '' ? name : `${path}.${name}`;
}
