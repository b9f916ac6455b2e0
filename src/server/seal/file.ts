/**
 * A key or a passphrase in a file. It is worth as much as the file is kept apart from the store: it protects a copy of the store
 * (a backup, a disk that was given away) without the file, and nothing on a machine where both are read.
 */

import { type ScryptOptions, scrypt } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fromBase64, fromHex, hex, textOf, utf8, view } from '../../base/bytes.ts';
import { KEY_BYTES, openBytes, sealBytes } from '../../crypto/aead.ts';
import { hmac } from '../../crypto/kdf.ts';
import { randomKey } from '../../crypto/random.ts';
import { wipe } from '../../crypto/wipe.ts';
import { trouble } from './ask.ts';
import { type KeyService, otherKey } from './keyservice.ts';

export const FILE = 'file';

const PURPOSE = utf8('holdfast root key');
const SALT_BYTES = 16;
/** Letters; five random words have more. What is shorter is guessed from a stolen copy of the store. */
export const SHORTEST_PASSPHRASE = 20;
const LONGEST_FILE = 4096;

/** Of scrypt (RFC 7914): 128 MiB and about half a second for each guess. */
interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}
const COST: Cost = { N: 2 ** 17, r: 8, p: 1 };
/** What a store may ask for: whoever writes to it must not make this server use up its memory. */
const DEAREST = 2 ** 20;

/** @param cost for tests: what they wrap is guessed more cheaply */
export function fileSeal({ path, cost = COST }: { readonly path: string; readonly cost?: Cost }): KeyService {
  return {
    type: FILE,
    caution: `The seal "${FILE}" protects copies of the store that are kept without its file. Whoever reads both on this machine, or in one backup, reads everything.`,
    async wrap(plain) {
      const secret = await readSecret(path);
      const salt = secret.kind === 'key' ? new Uint8Array(0) : randomKey(SALT_BYTES);
      const version = secret.kind === 'key' ? 'key' : `scrypt:${cost.N}:${cost.r}:${cost.p}`;
      const key = await keyOf(secret, salt, cost);
      try {
        return {
          key: nameOf(secret, key),
          version,
          data: Buffer.concat([salt, sealBytes(key, plain, PURPOSE)]),
        };
      } finally {
        wipe(key, secret.bytes);
      }
    },
    async unwrap({ key: wrapped, version, data }) {
      const secret = await readSecret(path);
      const found = version === 'key' ? undefined : costIn(version);
      if ((version === 'key') !== (secret.kind === 'key')) {
        wipe(secret.bytes);
        throw otherKey(FILE, `a ${version === 'key' ? 'key' : 'passphrase'}`, `a ${secret.kind}`);
      }
      if (version !== 'key' && found === undefined) {
        wipe(secret.bytes);
        throw damaged();
      }
      const saltBytes = found === undefined ? 0 : SALT_BYTES;
      const key = await keyOf(secret, data.subarray(0, saltBytes), found ?? cost);
      try {
        if (secret.kind === 'key' && nameOf(secret, key) !== wrapped)
          throw otherKey(FILE, `the key ${wrapped}`, `the key ${nameOf(secret, key)}`);
        const plain = openBytes(key, data.subarray(saltBytes), PURPOSE);
        if (plain !== undefined) return plain;
        throw trouble(
          FILE,
          'lost',
          secret.kind === 'key' ? 'it was changed' : 'the passphrase is another one',
        );
      } finally {
        wipe(key, secret.bytes);
      }
    },
  };
}

const damaged = () => trouble(FILE, 'lost', 'what the store holds of it is damaged');

interface Secret {
  readonly kind: 'key' | 'passphrase';
  /** The caller's to wipe. */
  readonly bytes: Uint8Array;
}

/** Of a key a fingerprint, by which another one is told; of a passphrase nothing: it would be guessed by that. */
const nameOf = ({ kind }: Secret, key: Uint8Array): string =>
  kind === 'key' ? hex(hmac(key, utf8('holdfast seal file name')).subarray(0, 8)) : 'passphrase';

async function keyOf({ kind, bytes }: Secret, salt: Uint8Array, { N, r, p }: Cost): Promise<Uint8Array> {
  if (kind === 'key') return Uint8Array.from(bytes);
  const options: ScryptOptions = { N, r, p, maxmem: 128 * N * r + 128 * r * p + 1024 * 1024 };
  return new Promise((resolve, reject) =>
    scrypt(bytes, salt, KEY_BYTES, options, (error, key) => (error === null ? resolve(key) : reject(error))),
  );
}

/** Undefined where scrypt takes no such parameters, or nobody should. */
function costIn(version: string): Cost | undefined {
  const [N = 0, r = 0, p = 0] = (/^scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3})$/.exec(version) ?? [])
    .slice(1)
    .map(Number);
  const isPower = N > 1 && Number.isInteger(Math.log2(N));
  return isPower && r > 0 && p > 0 && p <= 4 && N * r <= DEAREST * 8 ? { N, r, p } : undefined;
}

/**
 * What the file holds: 32 bytes, as they are or in base64 or hex, are a key; any other text is a passphrase.
 * @throws Failure seal.unreachable where it is not there: it may be mounted later; seal.refused
 */
async function readSecret(path: string): Promise<Secret> {
  const bytes = await readOwn(path);
  const text = textOf(bytes)?.replace(/\r?\n$/, '');
  const key = bytes.length === KEY_BYTES && !/^[\x20-\x7e\n]*$/.test(text ?? '\0') ? bytes : undefined;
  const written = text === undefined ? undefined : (fromHex(text) ?? fromBase64(text));
  if (key !== undefined) return { kind: 'key', bytes: Uint8Array.from(key) };
  if (written?.length === KEY_BYTES) return { kind: 'key', bytes: written };
  if (text === undefined)
    throw trouble(FILE, 'refused', 'its file holds neither a key of 32 bytes nor a passphrase in UTF-8');
  if ([...text].length < SHORTEST_PASSPHRASE)
    throw trouble(
      FILE,
      'refused',
      `the passphrase in its file is shorter than ${SHORTEST_PASSPHRASE} letters`,
    );
  return { kind: 'passphrase', bytes: utf8(text.normalize('NFC')) };
}

/** Looked at after it was opened: what is judged is what is read. */
async function readOwn(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw trouble(FILE, 'away', 'its file is not there');
    throw trouble(FILE, 'refused', 'its file cannot be read');
  });
  try {
    const found = await file.stat();
    if (!found.isFile()) throw trouble(FILE, 'refused', 'what its path names is no file');
    const self = process.geteuid?.();
    if (self !== undefined && found.uid !== self && found.uid !== 0)
      throw trouble(FILE, 'refused', 'its file belongs to another user than the one that the server runs as');
    if ((found.mode & 0o077) !== 0)
      throw trouble(FILE, 'refused', 'its file can be read by others: it has to have the mode 0600 or 0400');
    if (found.size > LONGEST_FILE)
      throw trouble(FILE, 'refused', `its file is larger than ${LONGEST_FILE} bytes`);
    return view(await file.readFile());
  } finally {
    await file.close();
  }
}
