/** The data types of SSH as bytes (RFC 4251 section 5). Pure. */

import { view } from '../../base/bytes.ts';

export const uint32 = (number: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};

export const uint64 = (number: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(number);
  return bytes;
};

/** A string: its length and its bytes. Text goes in UTF-8. */
export const string = (given: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(given as Uint8Array);
  return Buffer.concat([uint32(bytes.length), bytes]);
};

/** A whole number that is not negative, in the fewest bytes that hold it and a sign. @param magnitude big-endian */
export function mpint(magnitude: Uint8Array): Buffer {
  const first = magnitude.findIndex((byte) => byte !== 0);
  if (first === -1) return string('');
  const bytes = magnitude.subarray(first);
  return string((bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]));
}

/** Reads values one after another. Every method throws RangeError where the bytes do not hold what is asked for. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = view(bytes);
  }

  take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new RangeError('too short');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  text(): string {
    return this.string().toString('latin1');
  }

  /** The magnitude of a number that is not negative; longer forms of the same number are no form of it. */
  mpint(): Buffer {
    const bytes = this.string();
    const [first = 0, second = 0] = bytes;
    if (first >= 0x80 || (bytes.length > 0 && first === 0 && second < 0x80)) throw new RangeError('no mpint');
    return first === 0 ? bytes.subarray(1) : bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  end(): void {
    if (this.left !== 0) throw new RangeError('too long');
  }
}
