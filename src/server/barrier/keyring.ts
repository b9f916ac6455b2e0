/**
 * The keys behind the barrier: one per term, the newest seals, all open; and the key of the set-hash. Stored in binary,
 * because JSON would leave the keys in strings that nobody can wipe:
 * version (1 byte), hash key (32), then per term: number (4, big-endian), key (32).
 */

import { KEY_BYTES } from '../../crypto/aead.ts';
import { randomKey } from '../../crypto/random.ts';
import { wipe } from '../../crypto/wipe.ts';

const VERSION = 1;
const TERM_BYTES = 4 + KEY_BYTES;
const FIXED_BYTES = 1 + KEY_BYTES;

export class Keyring {
  readonly hashKey: Buffer;
  readonly #terms: ReadonlyMap<number, Buffer>;
  /** The term that seals. */
  readonly term: number;

  private constructor(hashKey: Buffer, terms: ReadonlyMap<number, Buffer>) {
    this.hashKey = hashKey;
    this.#terms = terms;
    this.term = Math.max(...terms.keys());
  }

  static create(): Keyring {
    return new Keyring(randomKey(KEY_BYTES), new Map([[1, randomKey(KEY_BYTES)]]));
  }

  /** Reads what `encode` wrote, or undefined where it is something else. */
  static decode(bytes: Buffer): Keyring | undefined {
    const rest = bytes.length - FIXED_BYTES;
    if (bytes[0] !== VERSION || rest < TERM_BYTES || rest % TERM_BYTES !== 0) return undefined;
    const terms = new Map<number, Buffer>();
    for (let at = FIXED_BYTES; at < bytes.length; at += TERM_BYTES)
      terms.set(bytes.readUInt32BE(at), Buffer.from(bytes.subarray(at + 4, at + TERM_BYTES)));
    return new Keyring(Buffer.from(bytes.subarray(1, FIXED_BYTES)), terms);
  }

  encode(): Buffer {
    const terms = [...this.#terms].map(([term, key]) => {
      const number = Buffer.alloc(4);
      number.writeUInt32BE(term);
      return [number, key];
    });
    return Buffer.concat([Buffer.from([VERSION]), this.hashKey, ...terms.flat()]);
  }

  /** A keyring of its own memory that holds one more term. */
  rotated(): Keyring {
    const terms = new Map<number, Buffer>([...this.#terms].map(([term, key]) => [term, Buffer.from(key)]));
    return new Keyring(Buffer.from(this.hashKey), terms.set(this.term + 1, randomKey(KEY_BYTES)));
  }

  key(term: number): Buffer | undefined {
    return this.#terms.get(term);
  }

  wipe(): void {
    wipe(this.hashKey, ...this.#terms.values());
  }
}
