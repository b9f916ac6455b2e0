/**
 * A key in Google Cloud KMS, by its REST API. What goes there and what comes back has a checksum (CRC-32C), and both sides
 * verify it: a root key that was damaged on the way would lock the store.
 */

import { z } from 'zod';
import { base64, fromBase64, textOf, utf8 } from '../../base/bytes.ts';
import { crc32c } from '../../crypto/crc32c.ts';
import { type Ask, said, trouble, type Verdict, verdictOf } from './ask.ts';
import { GCPCKMS, type GoogleIdentity } from './google-identity.ts';
import { type KeyService, otherKey } from './keyservice.ts';

export interface GcpKmsOptions {
  readonly ask: Ask;
  /** URL of Cloud KMS, without a slash at the end. */
  readonly endpoint: string;
  readonly project: string;
  readonly region: string;
  readonly keyRing: string;
  readonly cryptoKey: string;
  readonly identity: GoogleIdentity;
}

const TIMEOUT_MS = 5000;
const PURPOSE = utf8('holdfast root key');
const bound = {
  additionalAuthenticatedData: base64(PURPOSE),
  additionalAuthenticatedDataCrc32c: String(crc32c(PURPOSE)),
};

const checksum = z.union([z.string(), z.number()]).transform(String);
const encrypted = z.object({
  name: z.string(),
  ciphertext: z.string(),
  ciphertextCrc32c: checksum,
  verifiedPlaintextCrc32c: z.literal(true),
  verifiedAdditionalAuthenticatedDataCrc32c: z.literal(true),
});
const decrypted = z.object({ plaintext: z.string(), plaintextCrc32c: checksum });
const refusal = z.object({
  error: z.object({ status: z.string().regex(/^[A-Z_]{1,40}$/), message: z.string().default('') }),
});

export function gcpKms({
  ask,
  endpoint,
  project,
  region,
  keyRing,
  cryptoKey,
  identity,
}: GcpKmsOptions): KeyService {
  const key = `projects/${project}/locations/${region}/keyRings/${keyRing}/cryptoKeys/${cryptoKey}`;
  const post = async <T>(
    what: 'encrypt' | 'decrypt',
    body: object,
    schema: z.ZodType<T>,
    signal: AbortSignal,
  ) => {
    const token = await identity.token(ask, signal);
    const path = key.split('/').map(encodeURIComponent).join('/');
    const { status, body: bytes } = await ask({
      url: `${endpoint}/v1/${path}:${what}`,
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ ...body, ...bound }),
      timeoutMs: TIMEOUT_MS,
      signal,
    }).catch((error: unknown) => {
      throw trouble(GCPCKMS, 'away', 'no connection to it', error);
    });
    const read = jsonIn(bytes);
    if (status !== 200) throw refused(status, read, what === 'decrypt');
    const { success, data } = schema.safeParse(read);
    if (!success) throw trouble(GCPCKMS, 'refused', 'its answer was not one of Cloud KMS');
    return data;
  };
  return {
    type: GCPCKMS,
    async wrap(plain, signal) {
      const given = { plaintext: base64(plain), plaintextCrc32c: String(crc32c(plain)) };
      const { name, ciphertext, ciphertextCrc32c } = await post('encrypt', given, encrypted, signal);
      const version = /^\d{1,20}$/.exec(name.slice(`${key}/cryptoKeyVersions/`.length))?.[0];
      if (!name.startsWith(`${key}/cryptoKeyVersions/`) || version === undefined)
        throw trouble(GCPCKMS, 'refused', 'it answered for another key');
      return { key, version, data: intact(ciphertext, ciphertextCrc32c) };
    },
    async unwrap({ key: wrapped, data }, signal) {
      if (wrapped !== key) throw otherKey(GCPCKMS, wrapped, key);
      const given = { ciphertext: base64(data), ciphertextCrc32c: String(crc32c(data)) };
      const { plaintext, plaintextCrc32c } = await post('decrypt', given, decrypted, signal);
      return intact(plaintext, plaintextCrc32c);
    },
  };
}

/** The bytes of an answer. @throws Failure seal.unreachable where they were damaged on the way: they are asked for again */
function intact(text: string, sum: string): Uint8Array {
  const bytes = fromBase64(text);
  if (bytes === undefined) throw trouble(GCPCKMS, 'refused', 'its answer was not one of Cloud KMS');
  if (String(crc32c(bytes)) !== sum) throw trouble(GCPCKMS, 'away', 'its answer was damaged on the way');
  return bytes;
}

/** A key that is not there, or not enabled, and a ciphertext that is not of this key. Source: the errors of google.rpc.Code. */
const LOST: ReadonlySet<string> = new Set(['NOT_FOUND', 'FAILED_PRECONDITION', 'INVALID_ARGUMENT']);

function refused(status: number, read: unknown, isUnwrap: boolean) {
  const { success, data } = refusal.safeParse(read);
  if (!success) return trouble(GCPCKMS, verdictOf(status), `HTTP ${status}`);
  const { status: name, message } = data.error;
  const verdict: Verdict = isUnwrap && LOST.has(name) ? 'lost' : verdictOf(status);
  return trouble(
    GCPCKMS,
    verdict,
    `HTTP ${status} ${name}`,
    isUnwrap ? said(`${name}: ${message}`) : undefined,
  );
}

function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes) ?? '');
  } catch {
    return undefined;
  }
}
