/** HMACs under a salt of the mount: what is stored of secret ids, so that a copy of the store logs nobody in. */

import { hex, utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { hmac } from '../../crypto/kdf.ts';
import type { Mount } from '../../plugin/plugin.ts';

export type Hash = (text: string) => Promise<string>;

const KEY = 'salt';

/** Reads the salt, and makes it, with the first that is asked for. */
export function hashing({ storage, random }: Pick<Mount, 'storage' | 'random'>): Hash {
  let salt: Promise<Uint8Array> | undefined;
  const read = async (): Promise<Uint8Array> => {
    const found = await storage.get(KEY);
    if (found !== undefined) return found.value;
    const made = random(32);
    try {
      await storage.commit([{ key: KEY, value: made }], [{ key: KEY, revision: 0 }]);
      return made;
    } catch (error) {
      if (isFailure(error, 'storage.conflict')) return read();
      throw error;
    }
  };
  return async (text) => {
    salt ??= read();
    salt.catch(() => {
      salt = undefined;
    });
    return hex(hmac(await salt, utf8(text)));
  };
}
