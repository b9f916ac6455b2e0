/**
 * Nonces that are good once (RFC 8555 section 6.5). Anybody may ask for one without a token, so none is stored: a nonce is a
 * number and a tag over it that only this process can make, and one bit tells whether it was used. What a flood can do is to
 * push older nonces out of the window; their owners are told so, given a fresh one, and try again.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';

/** Nonces that can be outstanding at once; an eighth of that many bytes is kept. */
export const WINDOW = 2 ** 20;
const NUMBER_BYTES = 6;
const TAG_BYTES = 20;

export class Nonces {
  readonly #key: Uint8Array;
  readonly #window: number;
  readonly #used: Uint8Array;
  #next = 0;

  /** @param key at least 32 random bytes, of this process alone */
  constructor(key: Uint8Array, window: number = WINDOW) {
    this.#key = key;
    this.#window = window;
    this.#used = new Uint8Array(Math.ceil(window / 8));
  }

  issue(): string {
    const number = this.#next++;
    this.#mark(number, false);
    const head = numberBytes(number);
    return Buffer.concat([head, this.#tag(head)]).toString('base64url');
  }

  /** Whether it is one of ours that nobody has used; from now on it is used. */
  redeem(nonce: string): boolean {
    const bytes = Buffer.from(nonce, 'base64url');
    // One spelling alone: else a second one of the same nonce would be looked at as another.
    if (bytes.length !== NUMBER_BYTES + TAG_BYTES || bytes.toString('base64url') !== nonce) return false;
    const head = bytes.subarray(0, NUMBER_BYTES);
    if (!timingSafeEqual(this.#tag(head), bytes.subarray(NUMBER_BYTES))) return false;
    const number = head.readUIntBE(0, NUMBER_BYTES);
    if (number >= this.#next || number < this.#next - this.#window || this.#isUsed(number)) return false;
    this.#mark(number, true);
    return true;
  }

  #tag(head: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(head).digest().subarray(0, TAG_BYTES);
  }

  #isUsed(number: number): boolean {
    const at = number % this.#window;
    return ((this.#used[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  #mark(number: number, used: boolean): void {
    const at = number % this.#window;
    const bit = 1 << (at & 7);
    const byte = this.#used[at >> 3] ?? 0;
    this.#used[at >> 3] = used ? byte | bit : byte & ~bit;
  }
}

function numberBytes(number: number): Buffer {
  const bytes = Buffer.alloc(NUMBER_BYTES);
  bytes.writeUIntBE(number, 0, NUMBER_BYTES);
  return bytes;
}
