/**
 * What leaves the store under the root key itself: it opens wherever the root key is had again, from shares or from a seal,
 * and so also where nothing of the store is left. Each purpose has a key of its own, derived from the root key.
 */

import { utf8 } from '../../base/bytes.ts';
import { KEY_BYTES, openBytes, sealBytes } from '../../crypto/aead.ts';
import { hkdf } from '../../crypto/kdf.ts';
import { wipe } from '../../crypto/wipe.ts';

const NO_SALT = new Uint8Array(0);
const keyFor = (rootKey: Uint8Array, purpose: string): Buffer =>
  hkdf(rootKey, NO_SALT, utf8(`holdfast outside ${purpose}`), KEY_BYTES);

/** Seals bytes for `purpose`; the root key stays the caller's to wipe. */
export function lockByRoot(rootKey: Uint8Array, purpose: string, plain: Uint8Array): Buffer {
  const key = keyFor(rootKey, purpose);
  try {
    return sealBytes(key, plain, utf8(purpose));
  } finally {
    wipe(key);
  }
}

/** What `lockByRoot` sealed, or undefined where it was another root key or purpose, or a bit was changed. */
export function unlockByRoot(
  rootKey: Uint8Array,
  purpose: string,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const key = keyFor(rootKey, purpose);
  try {
    return openBytes(key, sealed, utf8(purpose));
  } finally {
    wipe(key);
  }
}
