/**
 * What the medium sees of an entry: term (4 bytes, big-endian), 0x02, nonce (12), ciphertext, tag (16), with the storage
 * key bound to it, as upstream writes it (vault/barrier/aes_gcm.go, version 2). An envelope that is moved to another key
 * does not open there.
 */

import { view } from '../../base/bytes.ts';
import { OVERHEAD_BYTES, openBytes, sealBytes } from '../../crypto/aead.ts';

const VERSION = 0x02;
const HEADER_BYTES = 5;

/** Seals `plain` for the place `name` under the key of `term`. */
export function closeEnvelope(term: number, key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(term);
  header[4] = VERSION;
  return sealBytes(key, plain, Buffer.from(name), header);
}

/** The plain bytes, or undefined where the envelope is not what was put at `name`. `keyOf` gives the key of a term. */
export function openEnvelope(
  keyOf: (term: number) => Uint8Array | undefined,
  name: string,
  sealed: Uint8Array,
): Buffer | undefined {
  if (sealed.length < HEADER_BYTES + OVERHEAD_BYTES || sealed[4] !== VERSION) return undefined;
  const key = keyOf(view(sealed).readUInt32BE());
  return key && openBytes(key, sealed.subarray(HEADER_BYTES), Buffer.from(name));
}
