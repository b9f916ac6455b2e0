/** Regular expressions in RE2's syntax, which never take more than linear time, with Go's rules for finding all. */

import { RE2JS, RE2JSException } from 're2js';
import { own } from '../../base/own.ts';
import type { Meter } from '../fuel.ts';
import { fromText, toText } from '../text.ts';
import { strings } from '../value.ts';
import { type Call, CallError, fn, type Row, type Table } from './table.ts';

interface Pattern {
  readonly compiled: RE2JS;
  /** What one character costs, about: the size of the program. */
  readonly weight: number;
}

/** Where a match is, in UTF-16, and its groups. */
interface Match {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly string[];
}

/** Compiling one takes up to 15 µs, where a step stands for one. */
const STEPS_PER_CHARACTER = 16;

/** What `toText` makes of bytes that are not UTF-8. */
const NOT_UTF8 = /\p{Surrogate}/u;

function compile(meter: Meter, bytes: string): Pattern {
  const source = toText(bytes);
  meter.step(source.length * STEPS_PER_CHARACTER);
  if (NOT_UTF8.test(source)) throw new CallError('error parsing regexp: invalid UTF-8');
  try {
    const compiled = RE2JS.compile(source);
    const weight = compiled.programSize();
    meter.step(weight);
    return { compiled, weight };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    // What the library says quotes the expression, which may have been made of a secret.
    throw new CallError('error parsing regexp: not an expression that RE2 reads');
  }
}

/** All matches, or the first `count`: no empty match beside the one before. */
function* matches(
  meter: Meter,
  { compiled, weight }: Pattern,
  text: string,
  count: number,
): Generator<Match> {
  const matcher = compiled.matcher(text);
  let at = 0;
  let previousEnd = -1;
  let given = 0;
  while (at <= text.length && given !== count) {
    meter.step(1 + Math.ceil(((text.length - at) * weight) / 1024));
    if (!matcher.find(at)) return;
    const [start, end] = [matcher.start(), matcher.end()];
    const taken = end > at || start !== previousEnd;
    if (end > at) at = end;
    else at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    previousEnd = end;
    if (!taken) continue;
    given++;
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '');
    yield { start, end, groups };
  }
}

function findAll(call: Call, pattern: string, bytes: string, count: bigint) {
  const compiled = compile(call.meter, pattern);
  const found: string[] = [];
  for (const { groups } of matches(call.meter, compiled, toText(bytes), count < 0n ? -1 : Number(count))) {
    found.push(fromText(groups[0] ?? ''));
  }
  return strings(found);
}

function replaceAll(call: Call, pattern: string, bytes: string, replace: (match: Match) => string): string {
  const compiled = compile(call.meter, pattern);
  const text = toText(bytes);
  let out = '';
  let at = 0;
  for (const match of matches(call.meter, compiled, text, -1)) {
    const put = replace(match);
    call.meter.alloc(put.length + match.start - at);
    out += text.slice(at, match.start) + put;
    at = match.end;
  }
  return fromText(out + text.slice(at));
}

/** Go's Expand: $1, $name, ${name} and $$; a name is as long as can be, and an unknown one is nothing. */
function expand(template: string, { groups }: Match, names: Readonly<Record<string, number>>): string {
  return template.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => {
    const name = braced ?? bare;
    if (name === undefined) return whole === '$$' ? '$' : whole;
    const index = /^\d+$/.test(name) ? Number(name) : own(names, name);
    return index === undefined ? '' : (groups[index] ?? '');
  });
}

function split(call: Call, pattern: string, bytes: string, count: bigint): string[] {
  if (count === 0n) return [];
  const compiled = compile(call.meter, pattern);
  if (pattern !== '' && bytes === '') return [''];
  const text = toText(bytes);
  const parts: string[] = [];
  let [start, end] = [0, 0];
  for (const match of matches(call.meter, compiled, text, count < 0n ? -1 : Number(count))) {
    if (count > 0n && parts.length === Number(count) - 1) break;
    end = match.start;
    if (match.end !== 0) parts.push(text.slice(start, end));
    start = match.end;
  }
  if (end !== text.length) parts.push(text.slice(start));
  return parts.map(fromText);
}

const match = (call: Call, pattern: string, text: string): boolean => {
  for (const _ of matches(call.meter, compile(call.meter, pattern), toText(text), 1)) return true;
  return false;
};

const find = fn('string, string', (call, pattern, text) => {
  for (const { groups } of matches(call.meter, compile(call.meter, pattern), toText(text), 1))
    return fromText(groups[0] ?? '');
  return '';
});
const all = fn('string, string, int', findAll);
const replaced = fn('string, string, string', (call, pattern, text, by) => {
  const names = compile(call.meter, pattern).compiled.namedGroups();
  const template = toText(by);
  return replaceAll(call, pattern, text, (each) => expand(template, each, names));
});
const replacedLiteral = fn('string, string, string', (call, pattern, text, by) => {
  const literal = toText(by);
  return replaceAll(call, pattern, text, () => literal);
});
const parts: Row = fn('string, string, int', (call, pattern, text, count) =>
  strings(split(call, pattern, text, count)),
);

export const regex: Table = {
  // Sprig's own swallows the error of a broken expression.
  regexMatch: fn('string, string', (call, pattern, text) => {
    try {
      return match(call, pattern, text);
    } catch (error) {
      if (error instanceof CallError) return false;
      throw error;
    }
  }),
  mustRegexMatch: fn('string, string', match),
  regexFind: find,
  mustRegexFind: find,
  regexFindAll: all,
  mustRegexFindAll: all,
  regexReplaceAll: replaced,
  mustRegexReplaceAll: replaced,
  regexReplaceAllLiteral: replacedLiteral,
  mustRegexReplaceAllLiteral: replacedLiteral,
  regexSplit: parts,
  mustRegexSplit: parts,
  regexQuoteMeta: fn('string', (_, text) => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')),
};
