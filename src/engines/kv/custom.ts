/** The words a user may hang on a secret: few, short, printable. Pure. */

import { failure } from '../../base/errors.ts';
import { Exact, Ordered, parseOrdered, type RawJson, stringify } from '../../base/json.ts';

const MOST_KEYS = 64;
const LONGEST_KEY = 128;
const LONGEST_VALUE = 512;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

export type Custom = Readonly<Record<string, string>>;

/**
 * Reads `custom_metadata` as it was sent. A null value is kept: in a patch it removes the key.
 * @throws Failure kv.custom_metadata
 */
export function parseCustom(raw: RawJson): Map<string, string | null> | null {
  const json = parseOrdered(raw.text);
  if (json === null) return null;
  if (!(json instanceof Ordered)) throw refused('it must be an object of texts');
  const custom = new Map<string, string | null>();
  for (const [key, value] of json.members) {
    // Numbers are taken as their digits: upstream does, and YAML makes a number of every build id.
    const text = typeof value === 'number' || value instanceof Exact ? stringify(value) : value;
    if (text !== null && typeof text !== 'string') throw refused('values must be texts');
    custom.set(key, text);
  }
  return custom;
}

/**
 * The bounds that hold for what is stored.
 * @throws Failure kv.custom_metadata
 */
export function boundCustom(custom: ReadonlyMap<string, string | null>): Custom | null {
  if (custom.size > MOST_KEYS)
    throw refused(`payload must contain at most ${MOST_KEYS} keys, provided ${custom.size}`);
  const bounded: Record<string, string> = Object.create(null);
  for (const [key, value] of custom) {
    if (value === null) throw refused('values must be texts');
    if (key === '') throw refused('length of a key must be at least 1');
    if (Buffer.byteLength(key) > LONGEST_KEY) throw refused(`length of a key is over ${LONGEST_KEY} bytes`);
    if (Buffer.byteLength(value) > LONGEST_VALUE)
      throw refused(`length of a value is over ${LONGEST_VALUE} bytes`);
    if (UNPRINTABLE.test(key)) throw refused('a key holds unprintable characters');
    if (UNPRINTABLE.test(value)) throw refused('a value holds unprintable characters');
    bounded[key] = value;
  }
  return bounded;
}

/** What was there with a merge patch (RFC 7396) laid over it; null removes everything. */
export function patchCustom(before: Custom | null, patch: Map<string, string | null> | null): Custom | null {
  if (patch === null) return null;
  const after = new Map<string, string | null>(Object.entries(before ?? {}));
  for (const [key, value] of patch) {
    if (value === null) after.delete(key);
    else after.set(key, value);
  }
  return boundCustom(after);
}

const refused = (reason: string) => failure('kv.custom_metadata', { reason });
