/**
 * A key in a Secret of Kubernetes, for demonstrations: whoever may read Secrets of that namespace, or a backup of the cluster's
 * etcd, opens every copy of the store. It is made once, before a store is put under this seal, and never again.
 */

import { base64, fromBase64, hex, utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';
import { KEY_BYTES, openBytes, sealBytes } from '../../crypto/aead.ts';
import { hmac } from '../../crypto/kdf.ts';
import { randomKey } from '../../crypto/random.ts';
import { wipe } from '../../crypto/wipe.ts';
import { trouble } from './ask.ts';
import { type KeyService, otherKey } from './keyservice.ts';

export const KUBERNETES = 'kubernetes';

/** One Secret, as far as the seal needs it. */
export interface SecretAccess {
  /** Its data, in base64; undefined where there is no such Secret. @throws Failure kube.* */
  read(signal: AbortSignal): Promise<Readonly<Record<string, string>> | undefined>;
  /** Makes it; gives false where it is there already. @throws Failure kube.* */
  create(data: Readonly<Record<string, string>>, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

const PURPOSE = utf8('holdfast root key');

export function kubernetesSeal({
  secret,
  namespace,
  name,
  entry,
}: {
  readonly secret: SecretAccess;
  readonly namespace: string;
  readonly name: string;
  /** The key of the Secret's data. */
  readonly entry: string;
}): KeyService {
  const where = `${namespace}/${name}`;
  /** The key of an entry, the caller's to wipe. */
  const keyIn = async (of: string, signal: AbortSignal): Promise<Uint8Array> => {
    const data = await asked(secret.read(signal));
    if (data === undefined) throw trouble(KUBERNETES, 'lost', 'its Secret is not there');
    const text = own(data, of);
    if (text === undefined) throw trouble(KUBERNETES, 'lost', 'its Secret has no such key');
    const key = fromBase64(text);
    if (key?.length === KEY_BYTES) return key;
    throw trouble(KUBERNETES, 'lost', `its Secret holds something else than ${KEY_BYTES} bytes`);
  };
  return {
    type: KUBERNETES,
    caution: `The seal "${KUBERNETES}" is for demonstrations: whoever may read Secrets in its namespace, or a backup of the cluster, opens this store.`,
    async prepare(signal) {
      if ((await asked(secret.read(signal))) !== undefined) return;
      const key = randomKey(KEY_BYTES);
      // Another node may have made it meanwhile: then it is that one which counts, and is read below like any other.
      await asked(secret.create({ [entry]: base64(key) }, signal));
      wipe(key);
    },
    async wrap(plain, signal) {
      const key = await keyIn(entry, signal).catch(unlost);
      try {
        return { key: where, version: `${entry}:${nameOf(key)}`, data: sealBytes(key, plain, PURPOSE) };
      } finally {
        wipe(key);
      }
    },
    async unwrap({ key: wrapped, version, data }, signal) {
      if (wrapped !== where) throw otherKey(KUBERNETES, wrapped, where);
      const [, of = '', fingerprint] = /^([-._a-zA-Z0-9]{1,253}):([0-9a-f]{16})$/.exec(version) ?? [];
      const key = await keyIn(of, signal);
      try {
        if (nameOf(key) !== fingerprint)
          throw otherKey(KUBERNETES, `${where} ${version}`, `${where} ${of}:${nameOf(key)}`);
        const plain = openBytes(key, data, PURPOSE);
        if (plain === undefined) throw trouble(KUBERNETES, 'lost', 'what the store holds of it is damaged');
        return plain;
      } finally {
        wipe(key);
      }
    },
    close: () => secret.close(),
  };
}

/** By which another key is told; it says nothing of a key of 256 random bits. */
const nameOf = (key: Uint8Array): string =>
  hex(hmac(key, utf8('holdfast seal kubernetes name')).subarray(0, 8));

/** Where there is nothing to open, a key that is missing is a matter of what the file names. */
const unlost = (error: unknown): never => {
  if (isFailure(error, 'seal.lost_key'))
    throw trouble(
      KUBERNETES,
      'refused',
      'its Secret holds no key of 32 bytes under the name that the stanza gives',
    );
  throw error;
};

const AWAY = ['kube.unreachable', 'kube.unavailable', 'kube.limited', 'kube.garbage'];

async function asked<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    const away = !isFailure(error) || AWAY.includes(error.code);
    throw trouble(
      KUBERNETES,
      away ? 'away' : 'refused',
      away ? 'no connection to the API of Kubernetes' : 'the API of Kubernetes refuses it',
      error,
    );
  }
}
