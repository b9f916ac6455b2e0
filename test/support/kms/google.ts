/**
 * Google Cloud KMS as far as the seal uses it, by its REST API, with real keys. The token that a service account signs for
 * itself is verified, and so is each checksum. Google's own error names are given back.
 */

import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  verify,
} from 'node:crypto';
import { crc32c } from '../../../src/crypto/crc32c.ts';
import type { Answer } from '../../../src/server/seal/ask.ts';
import { type Double, type DoubleRequest, jsonAnswer } from './double.ts';

export interface GoogleDouble extends Double {
  readonly project: string;
  readonly keyRing: string;
  readonly cryptoKey: string;
  /** The text of a file of credentials. */
  readonly credentials: string;
  /** A damaged byte on the way back. */
  damaged: boolean;
}

const EMAIL = 'unseal@holdfast-test.iam.gserviceaccount.com';
const NAME = 'projects/holdfast-test/locations/europe-west3/keyRings/ring/cryptoKeys/unseal';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const sum = (bytes: Uint8Array): string => String(crc32c(bytes));

export function googleDouble(): GoogleDouble {
  const versions = [randomBytes(32)];
  let state: 'ENABLED' | 'DISABLED' | 'GONE' = 'ENABLED';
  let isDenied = false;
  const error = (code: number, status: string, message = 'no'): Answer =>
    jsonAnswer(code, { error: { code, message, status } });

  function handle({ url, method, headers, body }: DoubleRequest): Answer {
    const problem = tokenProblem(headers['authorization'] ?? '');
    if (problem !== undefined) return error(401, 'UNAUTHENTICATED', problem);
    const [, name = '', what = ''] =
      /^\/v1\/(.+):(encrypt|decrypt)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    if (method !== 'POST' || what === '') return error(404, 'NOT_FOUND');
    if (isDenied)
      return error(403, 'PERMISSION_DENIED', `Permission denied on resource '${name}' for canary-account`);
    if (name !== NAME || state === 'GONE') return error(404, 'NOT_FOUND', `CryptoKey ${name} not found.`);
    const given = JSON.parse(body);
    const bound = Buffer.from(given.additionalAuthenticatedData, 'base64');
    if (given.additionalAuthenticatedDataCrc32c !== sum(bound)) return error(400, 'INVALID_ARGUMENT', 'crc');
    if (state === 'DISABLED') return error(400, 'FAILED_PRECONDITION', `${name} is not enabled`);
    if (what === 'encrypt') {
      const plain = Buffer.from(given.plaintext, 'base64');
      if (given.plaintextCrc32c !== sum(plain)) return error(400, 'INVALID_ARGUMENT', 'crc');
      const version = versions.length;
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', versions.at(-1) as Buffer, nonce).setAAD(bound);
      const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
      const blob = Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), sealed]);
      const answered = double.fault === 'forged' ? NAME.replace('unseal', 'other') : NAME;
      return jsonAnswer(200, {
        name: `${answered}/cryptoKeyVersions/${version}`,
        ciphertext: blob.toString('base64'),
        ciphertextCrc32c: sum(double.damaged ? Buffer.of(1) : blob),
        verifiedPlaintextCrc32c: true,
        verifiedAdditionalAuthenticatedDataCrc32c: true,
        protectionLevel: 'SOFTWARE',
      });
    }
    const blob = Buffer.from(given.ciphertext, 'base64');
    if (given.ciphertextCrc32c !== sum(blob)) return error(400, 'INVALID_ARGUMENT', 'crc');
    try {
      const decipher = createDecipheriv(
        'aes-256-gcm',
        versions[(blob[0] ?? 0) - 1] as Buffer,
        blob.subarray(1, 13),
      );
      decipher.setAAD(bound).setAuthTag(blob.subarray(13, 29));
      const plain = Buffer.concat([decipher.update(blob.subarray(29)), decipher.final()]);
      return jsonAnswer(200, {
        plaintext: plain.toString('base64'),
        plaintextCrc32c: sum(double.damaged ? Buffer.of(1) : plain),
        usedPrimary: blob[0] === versions.length,
        protectionLevel: 'SOFTWARE',
      });
    } catch {
      return error(400, 'INVALID_ARGUMENT', 'Decryption failed: the ciphertext is invalid.');
    }
  }

  const double: GoogleDouble = {
    handle,
    fault: 'none',
    damaged: false,
    requests: [],
    project: 'holdfast-test',
    keyRing: 'ring',
    cryptoKey: 'unseal',
    credentials: JSON.stringify({
      type: 'service_account',
      project_id: 'holdfast-test',
      private_key_id: 'k1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: EMAIL,
      token_uri: 'https://oauth2.googleapis.com/token',
    }),
    rotate() {
      versions.push(randomBytes(32));
    },
    disable() {
      state = 'DISABLED';
    },
    remove() {
      state = 'GONE';
    },
    deny() {
      isDenied = true;
    },
  };
  return double;
}

/** Why Google would not take the token, or undefined. Source: AIP-4111, tokens that service accounts sign for themselves. */
function tokenProblem(authorization: string): string | undefined {
  const [head = '', claims = '', signature = ''] = authorization.replace(/^Bearer /, '').split('.');
  const isSigned = verify(
    'RSA-SHA256',
    Buffer.from(`${head}.${claims}`),
    createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })),
    Buffer.from(signature, 'base64url'),
  );
  if (!isSigned) return 'the signature is none of this account';
  const { iss, sub, scope, exp, iat } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  if (iss !== EMAIL || sub !== EMAIL) return 'another account';
  if (scope !== 'https://www.googleapis.com/auth/cloudkms') return 'another scope';
  return exp > Date.now() / 1000 && exp - iat <= 3600 ? undefined : 'it has ended';
}
