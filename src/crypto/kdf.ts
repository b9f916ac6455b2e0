/** Keys from keys: HMAC-SHA256 (RFC 2104) and HKDF-SHA256 (RFC 5869). */

import { createHmac, hkdfSync } from 'node:crypto';

/** HMAC-SHA256 over the parts, one after the other; where their borders matter the caller must frame them. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** `length` bytes (at most 8160) derived from `secret`; another `info` gives an unrelated key. */
export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, length));
}
