/** The seal whose key exists only in shares, and the counting of the shares that people give. */

import { sameSecret, utf8 } from '../../base/bytes.ts';
import { openBytes, sealBytes } from '../../crypto/aead.ts';
import { uuid } from '../../crypto/random.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Seal } from './seal.ts';

/** So that a wrapped root key cannot pass for anything else that the same key ever seals. */
const PURPOSE = utf8('holdfast root key');

/** @param key the unseal key, which stays the caller's to wipe */
export function shamirSeal(key: Uint8Array): Seal {
  return {
    type: 'shamir',
    wrap: async (plain) => sealBytes(key, plain, PURPOSE),
    unwrap: async (blob) => openBytes(key, blob, PURPOSE),
  };
}

/** The shares given so far for one try. A share given twice counts once. */
export class UnsealProgress {
  #shares: Uint8Array[] = [];
  #nonce = '';

  get count(): number {
    return this.#shares.length;
  }

  /** Names the try; empty while there is none. */
  get nonce(): string {
    return this.#nonce;
  }

  /** Takes a copy of the share, and once there are `threshold` of them gives them all: the caller's to use and wipe. */
  add(share: Uint8Array, threshold: number): readonly Uint8Array[] | undefined {
    if (this.#shares.some((given) => sameSecret(given, share))) return undefined;
    if (this.#nonce === '') this.#nonce = uuid();
    this.#shares.push(Uint8Array.from(share));
    if (this.#shares.length < threshold) return undefined;
    const all = this.#shares;
    this.#shares = [];
    this.#nonce = '';
    return all;
  }

  reset(): void {
    wipe(...this.#shares);
    this.#shares = [];
    this.#nonce = '';
  }
}
