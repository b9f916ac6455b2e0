/** JSON and YAML, as Go's encoding/json and sigs.k8s.io/yaml write and read them. Parsers' own errors quote their input, so none gets out. */

import { isFailure } from '../../base/errors.ts';
import { Exact, type Json, parseJson } from '../../base/json.ts';
import { parseYaml, YamlError } from '../../base/yaml.ts';
import { formatFloat } from '../float.ts';
import type { Meter } from '../fuel.ts';
import { fromText, toText } from '../text.ts';
import { Dict, integerOf, List, MAX_DEPTH, Opaque, type Value } from '../value.ts';
import { toStringGo } from './cast.ts';
import { type Call, CallError, fn, type Table } from './table.ts';
import { plainScalar } from './yaml-scalar.ts';

const LIMITS = { depth: MAX_DEPTH, count: 200_000 };
/** Reading one takes some 5 µs, where a step stands for one. */
const STEPS_PER_TOKEN = 5;
const UNPAIRED = /\p{Surrogate}/gu; // also what `toText` makes of bytes that are not UTF-8

interface Style {
  readonly html: boolean;
  readonly indent: string;
}
const PLAIN: Style = { html: true, indent: '' };
const PRETTY: Style = { html: true, indent: '  ' };
const RAW: Style = { html: false, indent: '' };

/** Where Go gives an empty text for what has no JSON. */
const orEmpty = (write: () => string): string => {
  try {
    return write();
  } catch (error) {
    if (error instanceof CallError) return '';
    throw error;
  }
};

export const data: Table = {
  toJson: fn('any', (call, value) => orEmpty(() => toJson(call.meter, value, PLAIN))),
  mustToJson: fn('any', (call, value) => toJson(call.meter, value, PLAIN)),
  toPrettyJson: fn('any', (call, value) => orEmpty(() => toJson(call.meter, value, PRETTY))),
  mustToPrettyJson: fn('any', (call, value) => toJson(call.meter, value, PRETTY)),
  toRawJson: fn('any', (call, value) => toJson(call.meter, value, RAW)),
  mustToRawJson: fn('any', (call, value) => toJson(call.meter, value, RAW)),
  fromJson: fn('string', (call, text) => fromJson(call, text) ?? null),
  mustFromJson: fn('string', (call, text) => {
    const value = fromJson(call, text);
    if (value === undefined) throw new CallError('the text is not JSON');
    return value;
  }),
  toYaml: fn('any', (call, value) => orEmpty(() => toYaml(call.meter, value))),
  fromYaml: fn('string', (call, text) => fromYaml(call, text)),
};

// JSON.

function toJson(meter: Meter, value: Value, style: Style, pad = '\n', depth = 0): string {
  meter.step();
  meter.deep(depth, MAX_DEPTH);
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') {
    meter.alloc(value.length + 2);
    return jsonString(value, style.html);
  }
  if (typeof value === 'number') return jsonNumber(value);
  const integer = integerOf(value);
  if (integer !== undefined) return integer.toString();
  if (value instanceof Opaque) return toJson(meter, value.plain(), style, pad, depth);
  const inner = style.indent === '' ? '' : pad + style.indent;
  const outer = style.indent === '' ? '' : pad;
  meter.alloc(inner.length + 4);
  if (value instanceof List) {
    if (value.elem === 'uint8')
      return JSON.stringify(Buffer.from(toStringGo(value, meter), 'latin1').toString('base64'));
    if (value.items.length === 0) return '[]';
    return `[${inner}${value.items.map((item) => toJson(meter, item, style, pad + style.indent, depth + 1)).join(`,${inner}`)}${outer}]`;
  }
  if (!(value instanceof Dict) || value.entries.size === 0) return '{}';
  const colon = style.indent === '' ? ':' : ': ';
  const members = value.sortedKeys().map((key) => {
    meter.alloc(key.length + inner.length + 4);
    return (
      jsonString(key, style.html) +
      colon +
      toJson(meter, value.entries.get(key) ?? null, style, pad + style.indent, depth + 1)
    );
  });
  return `{${inner}${members.join(`,${inner}`)}${outer}}`;
}

function jsonNumber(value: number): string {
  if (!Number.isFinite(value)) throw new CallError(`json: unsupported value: ${formatFloat(value, 'g', -1)}`);
  return Object.is(value, -0) ? '-0' : String(value);
}

function jsonString(bytes: string, html: boolean): string {
  // Bytes that are not UTF-8 become an escape, so that they differ from a U+FFFD that was there.
  const parts = toText(bytes)
    .split(UNPAIRED)
    .map((part) => JSON.stringify(part).slice(1, -1));
  const quoted = `"${parts.join('\\ufffd')}"`.replace(/[\u2028\u2029]/g, unicode);
  return fromText(html ? quoted.replace(/[<>&]/g, unicode) : quoted);
}
const unicode = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** The value of JSON text, or undefined. */
function fromJson(call: Call, bytes: string): Value | undefined {
  call.meter.alloc(bytes.length * 4);
  call.meter.step(Math.ceil(bytes.length / 16));
  try {
    return valueOfJson(parseJson(toText(bytes).replace(UNPAIRED, '\ufffd'), [], LIMITS));
  } catch (error) {
    if (isFailure(error) || error instanceof CallError) return undefined;
    throw error;
  }
}

function valueOfJson(json: Json): Value {
  if (json === null || typeof json === 'boolean' || typeof json === 'number') return json;
  if (typeof json === 'string') return fromText(json.replace(UNPAIRED, '\ufffd'));
  if (json instanceof Exact) {
    const number = Number(json.text);
    if (!Number.isFinite(number)) throw new CallError('the number is out of range');
    return number;
  }
  if (Array.isArray(json)) return new List((json as readonly Json[]).map(valueOfJson));
  return new Dict(
    new Map(
      Object.entries(json).map(([key, value]) => [
        fromText(key.replace(UNPAIRED, '\ufffd')),
        valueOfJson(value),
      ]),
    ),
  );
}

// YAML.

function toYaml(meter: Meter, value: Value): string {
  return yamlBlock(meter, value, '', 0);
}

/** A value with all its lines after the first indented. */
function yamlBlock(meter: Meter, given: Value, pad: string, depth: number): string {
  const value = given instanceof Opaque ? given.plain() : given;
  meter.step();
  meter.deep(depth, MAX_DEPTH);
  meter.alloc(pad.length + 2);
  if (value instanceof Dict) {
    if (value.entries.size === 0) return '{}';
    return value
      .sortedKeys()
      .map((key) => {
        const found = value.entries.get(key) ?? null;
        const item = found instanceof Opaque ? found.plain() : found;
        const name = plainScalar(meter, key, pad);
        const isBlock =
          (item instanceof Dict && item.entries.size > 0) || (item instanceof List && item.items.length > 0);
        if (!isBlock) return `${name}: ${yamlBlock(meter, item, `${pad}  `, depth + 1)}`;
        // Lists stand at their key's own indentation.
        const inner = item instanceof Dict ? `${pad}  ` : pad;
        return `${name}:\n${inner}${yamlBlock(meter, item, inner, depth + 1)}`;
      })
      .join(`\n${pad}`);
  }
  if (value instanceof List && value.elem !== 'uint8') {
    if (value.items.length === 0) return '[]';
    return value.items.map((item) => `- ${yamlBlock(meter, item, `${pad}  `, depth + 1)}`).join(`\n${pad}`);
  }
  if (value === null) return 'null';
  if (typeof value === 'string') return plainScalar(meter, value, pad);
  if (typeof value === 'number') return yamlNumber(value);
  const integer = integerOf(value);
  if (integer !== undefined) return integer.toString();
  if (typeof value === 'boolean') return String(value);
  return plainScalar(meter, toStringGo(value, meter), pad);
}

/** Whole floats are written as integers, as they pass through JSON. */
function yamlNumber(value: number): string {
  const text = jsonNumber(value === 0 ? 0 : value);
  return /^-?\d+$/.test(text) ? text : formatFloat(value, 'g', -1);
}

function fromYaml(call: Call, bytes: string): Dict {
  call.meter.alloc(bytes.length * 4);
  call.meter.step(Math.ceil(bytes.length / 8));
  const wrong = new Dict(new Map([['Error', 'the text is not a YAML map']]));
  let parsed: unknown;
  try {
    const pay = (): void => call.meter.step(STEPS_PER_TOKEN);
    const limits = { depth: MAX_DEPTH, tokens: LIMITS.count, aliases: 50, pay };
    parsed = parseYaml(toText(bytes), limits, { version: '1.1', schema: 'yaml-1.1', merge: true });
  } catch (error) {
    if (error instanceof YamlError) return wrong;
    throw error;
  }
  if (parsed === null || parsed === undefined) return new Dict();
  const value = valueOfYaml(call.meter, parsed, 0);
  return value instanceof Dict ? value : wrong;
}

function valueOfYaml(meter: Meter, yaml: unknown, depth: number): Value {
  meter.step();
  meter.deep(depth, MAX_DEPTH);
  if (yaml === null || yaml === undefined) return null;
  if (typeof yaml === 'string') return fromText(yaml);
  if (typeof yaml === 'number' || typeof yaml === 'bigint') return Number(yaml);
  if (typeof yaml === 'boolean') return yaml;
  if (yaml instanceof Date) return fromText(yaml.toISOString().replace(/\.000Z$/, 'Z'));
  if (yaml instanceof Uint8Array) return Buffer.from(yaml).toString('latin1');
  if (Array.isArray(yaml)) return new List(yaml.map((item) => valueOfYaml(meter, item, depth + 1)));
  if (yaml instanceof Map) {
    return new Dict(
      new Map([...yaml].map(([key, item]) => [fromText(String(key)), valueOfYaml(meter, item, depth + 1)])),
    );
  }
  return null;
}
