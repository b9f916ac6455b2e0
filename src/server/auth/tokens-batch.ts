/**
 * Batch tokens on the way out and in: what is known of the token, sealed with AES-256-GCM under the server's own key, in
 * base64url behind "hvb.". Nothing that does not open under that key is looked at any further. Pure.
 */

import { base64url, textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { openBytes, sealBytes } from '../../crypto/aead.ts';

const PREFIX = 'hvb.';
const BOUND = utf8('token/batch/1');
/** It travels in a header with each request, and headers are bounded. */
const LENGTH_LIMIT = 16 * 1024;

export const isBatch = (token: string): boolean => token.startsWith(PREFIX);

/** @throws Failure token.batch_too_large */
export function sealBatch(key: Uint8Array, known: object): string {
  const token = PREFIX + base64url(sealBytes(key, utf8(JSON.stringify(known)), BOUND));
  if (token.length > LENGTH_LIMIT) throw failure('token.batch_too_large', { limit: LENGTH_LIMIT });
  return token;
}

/** What was sealed, or undefined for what this server never made. */
export function openBatch<T extends object>(key: Uint8Array, token: string): T | undefined {
  const text = token.slice(PREFIX.length);
  // One text for one token: Node's decoder would take many spellings, each with a hash of its own.
  if (token.length > LENGTH_LIMIT || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  const sealed = Buffer.from(text, 'base64url');
  if (base64url(sealed) !== text) return undefined;
  const plain = openBytes(key, sealed, BOUND);
  const json = plain && textOf(plain);
  return json === undefined ? undefined : (JSON.parse(json) as T);
}
