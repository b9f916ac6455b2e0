/**
 * Hashing of what an audit line holds: each text becomes `hmac-sha256:<hex>` under the device's own salt, so that equal
 * secrets can be compared within one device's lines and nowhere else. What is not text but could carry it (dates, bytes,
 * maps, raw JSON) is hashed or opened too: whatever is not known to be harmless is hashed.
 */

import { base64, utf8 } from '../../base/bytes.ts';
import { Exact, Ordered, parseJson, RawJson } from '../../base/json.ts';
import { hmacTexts } from '../../crypto/kdf.ts';

/** Tokens and accessors come again with each request; their hashes are kept, by a bound. */
const CACHE_LIMIT = 2048;

export class Hasher {
  readonly #hmac: (text: string) => string;
  readonly #known = new Map<string, string>();

  constructor(salt: string) {
    this.#hmac = hmacTexts(utf8(salt));
  }

  hash(text: string): string {
    return `hmac-sha256:${this.#hmac(text)}`;
  }

  /** As `hash`, for the few texts that are in every line. */
  identity(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= CACHE_LIMIT) this.#known.clear();
    const hashed = this.hash(text);
    this.#known.set(text, hashed);
    return hashed;
  }

  /** The value with every text in it hashed; keys, numbers, booleans and null stay. `clear`: keys of the outermost object. */
  data(value: unknown, clear: readonly string[] = []): unknown {
    switch (typeof value) {
      case 'string':
        return this.hash(value);
      case 'number':
      case 'boolean':
      case 'bigint':
        return value;
      case 'object':
        break;
      default:
        return undefined;
    }
    if (value === null || value instanceof Exact) return value;
    if (value instanceof RawJson) return this.data(opened(value), clear);
    if (value instanceof Date) return this.hash(value.toISOString());
    if (ArrayBuffer.isView(value))
      return this.hash(base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)));
    if (Array.isArray(value)) return value.map((item) => this.data(item));
    const entries =
      value instanceof Ordered ? value.members : value instanceof Map ? value : Object.entries(value);
    const hashed = new Map<string, unknown>();
    for (const [key, member] of entries)
      hashed.set(String(key), clear.includes(String(key)) ? member : this.data(member));
    return hashed;
  }
}

/** Raw text that is not JSON is hashed whole. */
function opened(raw: RawJson): unknown {
  try {
    return parseJson(raw.text);
  } catch {
    return raw.text;
  }
}

/** A listing with its names replaced by how many there are. */
export function elided(data: unknown): unknown {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) return data;
  const { keys, key_info: info } = data as { keys?: unknown; key_info?: unknown };
  return {
    ...data,
    ...(Array.isArray(keys) ? { keys: keys.length } : {}),
    ...(info !== null && typeof info === 'object' ? { key_info: Object.keys(info).length } : {}),
  };
}
