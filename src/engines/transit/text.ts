/** How ciphertexts, signatures and bytes are written in requests and answers. Pure. */

import { fromBase64 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';

const PREFIX = 'vault:v';
/** Versions are numbered from 1, and no key has more than nine digits of them. */
const VERSION = /^\d{1,9}$/;

export const versioned = (version: number, encoded: string): string => `${PREFIX}${version}:${encoded}`;

export interface Versioned {
  readonly version: number;
  readonly encoded: string;
}

/**
 * Reads "vault:vN:TEXT". Version 0, which the first servers wrote, is version 1.
 * @throws Failure transit.ciphertext, transit.signature
 */
export function parseVersioned(text: string, what: 'ciphertext' | 'signature' | 'HMAC'): Versioned {
  const wrong = (reason: string) =>
    what === 'ciphertext'
      ? failure('transit.ciphertext', { reason })
      : failure('transit.signature', { what, reason });
  if (!text.startsWith(PREFIX)) throw wrong('no prefix');
  const [number, encoded, ...more] = text.slice(PREFIX.length).split(':');
  if (number === undefined || encoded === undefined || more.length > 0) throw wrong('wrong number of fields');
  if (!VERSION.test(number)) throw wrong('version number could not be decoded');
  return { version: Number(number) || 1, encoded };
}

/**
 * Bytes of a field in base64. Line ends are passed over: `base64` on a shell writes them.
 * @throws Failure transit.base64 with the name of the field, never what was in it
 */
export function decoded(text: string, field: string): Uint8Array {
  const bytes = fromBase64(/[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, '') : text);
  if (bytes === undefined) throw failure('transit.base64', { field });
  return bytes;
}

/** The bytes of base64 in the URL alphabet, without padding, or undefined: JOSE's way to write signatures. */
export function fromBase64url(text: string): Uint8Array | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  // One value, one spelling: bits beyond the last byte must be zero.
  return bytes.toString('base64url') === text ? bytes : undefined;
}
