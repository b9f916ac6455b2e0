/** Which names the entries of a Secret may have, in upstream's words. */

import { failure } from '../base/errors.ts';

const LONGEST = 253;

/**
 * The entries without the one of an empty name, which upstream drops without a word.
 * @throws Failure provider.keys
 */
export function validKeys(values: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const kept = new Map<string, Uint8Array>();
  for (const [key, bytes] of values) {
    if (key === '') continue;
    const length = Buffer.byteLength(key);
    if (length > LONGEST) {
      const shown = key.slice(0, 60);
      throw failure('provider.keys', {
        reason: `key has length ${length} but max is ${LONGEST}: (truncated) ${shown}`,
      });
    }
    const invalid = [...key].find((c) => !/^[\p{L}\p{Nd}._-]$/u.test(c));
    if (invalid !== undefined) {
      const rule = "only alphanumeric, '-', '.' and '_' are allowed";
      throw failure('provider.keys', { reason: `key has invalid character ${invalid}, ${rule}: ${key}` });
    }
    kept.set(key, bytes);
  }
  return kept;
}
