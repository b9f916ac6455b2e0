/**
 * Where the values of a secret lie, and what a change of them comes to in the store. Pure.
 *
 * The entry of a secret begins with its record (JSON), on a line; a second line says where its values lie (JSON), and behind it
 * lie the newest of them, one after the other. Once the older ones of these are more than a few small ones, they leave it
 * together, as a run: an entry of its own with the lengths of its values (JSON), on a line, and the values. So most writes are
 * one entry, and a value is moved once.
 */

import { utf8, view } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Entry, Write } from '../../storage/storage.ts';
import { type Secret, versionOf } from './secret.ts';

export interface Places {
  /** Bytes of the values behind the record: of the current version, of the one before it, and so on; 0 where one is destroyed. */
  readonly beside: readonly number[];
  /** The first version of each run, rising. A run ends where the next one begins, the last one where `beside` does. */
  readonly runs: readonly number[];
}

/** What lies in the entry of a secret. */
export interface Laid {
  readonly secret: Secret;
  readonly places: Places;
  readonly entry: Entry;
  /** Where in it the values begin. */
  readonly start: number;
}

interface Run {
  readonly first: number;
  readonly last: number;
}

/**
 * More bytes of older values than this leave the entry of their secret, which each write writes anew. With a record and a small
 * current value it then fits into half a page of LMDB: what is larger takes pages of its own.
 */
const BESIDE_BYTES = 1500;
/** Of milliseconds since the epoch in hexadecimal, so that they sort by time. */
const WHEN_DIGITS = 12;
const LINE_FEED = 0x0a;
/** What every record begins with. */
const OPENING_BRACE = 0x7b;
const NOTHING = new Uint8Array(0);

/** @throws Failure storage.corrupt */
export function laidIn(entry: Entry): Laid {
  const { key, value } = entry;
  // JSON as it is written here has no line feed of its own.
  const end = value.indexOf(LINE_FEED);
  const begin = value.indexOf(LINE_FEED, end + 1) + 1;
  if (end === -1 || begin === 0) throw failure('storage.corrupt', { key });
  const secret = parsed<Secret>(key, value.subarray(0, end));
  const places = parsed<Places>(key, value.subarray(end + 1, begin - 1));
  return { secret, places, entry, start: begin };
}

/** The value of a version that lies beside its secret; undefined where it lies elsewhere, or is destroyed. */
export function besideOf(laid: Laid, version: number): Uint8Array | undefined {
  const at = laid.secret.current - version;
  const length = laid.places.beside[at];
  return length === undefined || length === 0 ? undefined : slices(laid)[at];
}

/** The key of the run that a version lies in; undefined where it lies beside its secret, or nowhere. */
export function runKeyOf(laid: Laid, version: number): string | undefined {
  const run = runWith(laid, version);
  return run && keyOfRun(laid.secret, run);
}

/** The value of a version out of the run that it lies in. @throws Failure storage.corrupt */
export function outOfRun(laid: Laid, version: number, run: Entry): Uint8Array | undefined {
  const first = runWith(laid, version)?.first;
  const value = first === undefined ? undefined : valuesOf(run)[version - first];
  return value === undefined || value.length === 0 ? undefined : value;
}

/** What a change wants done with the values of a secret. */
export interface Wanted {
  /** JSON text of the new version, which is the current one of `after`. */
  readonly value?: string;
  /** Numbers of versions whose values go: they were destroyed, or are known no more. */
  readonly drop?: readonly number[];
}

/** The keys of the runs that a change tears a hole into: they have to be read for it. */
export function tornBy(before: Laid | undefined, after: Secret, { drop = [] }: Wanted): string[] {
  const keys = new Set<string>();
  for (const number of drop) {
    const key =
      before === undefined || versionOf(after, number) === undefined ? undefined : runKeyOf(before, number);
    if (key !== undefined) keys.add(key);
  }
  return [...keys];
}

/** The writes that forget a secret with all its values. */
export const forgetting = (key: string, before: Laid | undefined): Write[] => [
  { key, delete: true },
  ...(before === undefined
    ? []
    : runsOf(before).map((run): Write => ({ key: keyOfRun(before.secret, run), delete: true }))),
];

/** The writes that a change comes to. @param torn what lies in the runs that `tornBy` names, as far as it is there */
export function changing(
  key: string,
  before: Laid | undefined,
  after: Secret,
  { value, drop = [] }: Wanted,
  torn: readonly Entry[],
): Write[] {
  const { current, written } = after;
  const values = before === undefined ? [] : slices(before);
  if (value !== undefined) values.unshift(utf8(value));
  // What is known no more is what is oldest.
  if (values.length > written.length) values.length = written.length;
  for (const number of drop) if (current - number < values.length) values[current - number] = NOTHING;
  const { runs, writes } = runsAfter(before, after, drop, torn);
  const older = values.slice(1);
  if (value !== undefined && older.reduce((sum, { length }) => sum + length, 0) > BESIDE_BYTES) {
    const first = current - older.length;
    const run: Run = { first, last: current - 1 };
    writes.push({ key: keyOfRun(after, run), value: encodeRun(older.reverse()) });
    runs.push(first);
    values.length = 1;
  }
  const places: Places = { beside: values.map(({ length }) => length), runs };
  const head = `${JSON.stringify(after)}\n${JSON.stringify(places)}\n`;
  return [{ key, value: joined(head, values) }, ...writes];
}

/** What becomes of the runs: the first version of those that stay, and what ends a run or tears a hole into it. */
function runsAfter(
  before: Laid | undefined,
  { current, written }: Secret,
  drop: readonly number[],
  torn: readonly Entry[],
): { readonly runs: number[]; readonly writes: Write[] } {
  const runs: number[] = [];
  const writes: Write[] = [];
  if (before === undefined) return { runs, writes };
  for (const run of runsOf(before)) {
    const isKnown = run.last > current - written.length;
    if (isKnown) runs.push(run.first);
    if (isKnown && torn.length === 0) continue;
    const key = keyOfRun(before.secret, run);
    const whole = torn.find((entry) => entry.key === key);
    if (!isKnown) writes.push({ key, delete: true });
    else if (whole !== undefined) writes.push({ key, value: withHoles(valuesOf(whole), run.first, drop) });
  }
  return { runs, writes };
}

/**
 * The values that lie beside a secret, from the current one on: parts of its entry.
 * @throws Failure server.sealed where the entry was wiped since: its values must not come back as zeros
 */
function slices({ entry, places, start }: Laid): Uint8Array[] {
  if (entry.value[0] !== OPENING_BRACE) throw failure('server.sealed');
  let at = start;
  return places.beside.map((length) => {
    at += length;
    return entry.value.subarray(at - length, at);
  });
}

const runsOf = ({ secret, places: { beside, runs } }: Laid): Run[] =>
  runs.map((first, at) => ({ first, last: (runs[at + 1] ?? secret.current - beside.length + 1) - 1 }));

const runWith = (laid: Laid, version: number): Run | undefined =>
  runsOf(laid).find(({ first, last }) => first <= version && version <= last);

/** By the time at which the version behind it was made, so that what moves together lies together. */
function keyOfRun(secret: Secret, { first, last }: Run): string {
  const when = versionOf(secret, last + 1)?.created ?? 0;
  return `versions/${when.toString(16).padStart(WHEN_DIGITS, '0')}/${secret.id}/${first}`;
}

/** The values in a run, rising. @throws Failure storage.corrupt */
function valuesOf({ key, value }: Entry): Uint8Array[] {
  const end = value.indexOf(LINE_FEED);
  if (end === -1) throw failure('storage.corrupt', { key });
  let at = end + 1;
  return parsed<number[]>(key, value.subarray(0, end)).map((length) => {
    at += length;
    return value.subarray(at - length, at);
  });
}

const withHoles = (values: readonly Uint8Array[], first: number, drop: readonly number[]): Uint8Array =>
  encodeRun(values.map((value, at) => (drop.includes(first + at) ? NOTHING : value)));

const encodeRun = (values: readonly Uint8Array[]): Uint8Array =>
  joined(`${JSON.stringify(values.map(({ length }) => length))}\n`, values);

function joined(head: string, values: readonly Uint8Array[]): Uint8Array {
  const headBytes = Buffer.byteLength(head);
  const whole = Buffer.allocUnsafe(values.reduce((sum, { length }) => sum + length, headBytes));
  let at = whole.write(head);
  for (const value of values) {
    whole.set(value, at);
    at += value.length;
  }
  return whole;
}

function parsed<T>(key: string, text: Uint8Array): T {
  try {
    return JSON.parse(view(text).toString()) as T;
  } catch {
    throw failure('storage.corrupt', { key });
  }
}
