/**
 * Private keys for SSH: made, read from PEM or from OpenSSH's own form (PROTOCOL.key, without passphrase), written as
 * `ssh-keygen` would, and signed with (RFC 8332, RFC 5656 section 3.1.2, RFC 8709). No I/O; nothing of a key is in an error.
 */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign as signWith,
  verify as verifyWith,
} from 'node:crypto';
import { base64, base64url, fromBase64 } from '../../base/bytes.ts';
import { CURVES, curveBytes, pointJwk, publicKeyOf, type SshPublicKey } from './publickey.ts';
import { mpint, Reader, string, uint32 } from './wire.ts';

export interface KeyKind {
  readonly type: 'rsa' | 'ec' | 'ed25519';
  /** Of the modulus or the curve; Ed25519 has one size. */
  readonly bits: number;
}

/** A new key, made off the main thread: RSA takes its time. */
export function makeKey({ type, bits }: KeyKind): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _public: KeyObject, made: KeyObject): void =>
      error === null ? resolve(made) : reject(error);
    const namedCurve = CURVES.find((curve) => curve.bits === bits)?.openssl ?? '';
    if (type === 'rsa') generateKeyPair('rsa', { modulusLength: bits }, done);
    else if (type === 'ec') generateKeyPair('ec', { namedCurve }, done);
    else generateKeyPair('ed25519', {}, done);
  });
}

/** The names under which RSA keys sign; the first is the one that no client trusts any more. */
export const RSA_SIGNATURES = {
  'ssh-rsa': 'sha1',
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
} as const;
export type RsaSignature = keyof typeof RSA_SIGNATURES;

/** A signature with its name, as it stands in certificates. @param rsa what RSA keys sign with */
export function sshSignature(key: KeyObject, data: Uint8Array, rsa: RsaSignature): Buffer {
  const named = (name: string, signature: Uint8Array): Buffer =>
    Buffer.concat([string(name), string(signature)]);
  if (key.asymmetricKeyType === 'rsa') return named(rsa, signWith(RSA_SIGNATURES[rsa], data, key));
  if (key.asymmetricKeyType === 'ed25519') return named('ssh-ed25519', signWith(null, data, key));
  const curve = CURVES.find(({ openssl }) => openssl === key.asymmetricKeyDetails?.namedCurve);
  if (curve === undefined) throw new RangeError('keys of this kind do not sign for SSH');
  const both = signWith(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' });
  const half = both.length / 2;
  return named(
    `ecdsa-sha2-${curve.ssh}`,
    Buffer.concat([mpint(both.subarray(0, half)), mpint(both.subarray(half))]),
  );
}

const OPENSSH =
  /^-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END OPENSSH PRIVATE KEY-----$/;
const MAGIC = 'openssh-key-v1\0';

/** The private key of a PEM text, or undefined: where it is none, is under a passphrase, or of a kind SSH has no name for. */
export function parsePrivatePem(text: string): KeyObject | undefined {
  const pem = text.replaceAll('\r\n', '\n').trim();
  try {
    const own = OPENSSH.exec(pem)?.[1];
    const key = own === undefined ? createPrivateKey(pem) : openSshKey(own.replaceAll('\n', ''));
    return publicKeyOf(createPublicKey(key)) === undefined || !isWhole(key) ? undefined : key;
  } catch {
    return undefined;
  }
}

/** Whether both halves belong together: OpenSSL takes them from a file as they are. */
function isWhole(key: KeyObject): boolean {
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const probe = Buffer.from('probe');
  return verifyWith(hash, probe, createPublicKey(key), signWith(hash, probe, key));
}

function openSshKey(text: string): KeyObject {
  const outer = new Reader(fromBase64(text) ?? new Uint8Array());
  if (outer.take(MAGIC.length).toString('latin1') !== MAGIC) throw new RangeError('not of this format');
  const [cipher, kdf] = [outer.text(), outer.text()];
  outer.string();
  if (cipher !== 'none' || kdf !== 'none' || outer.uint32() !== 1) throw new RangeError('under a passphrase');
  outer.string();
  const inner = new Reader(outer.string());
  outer.end();
  const check = inner.uint32();
  if (inner.uint32() !== check) throw new RangeError('damaged');
  const key = createPrivateKey({ key: privateJwk(inner), format: 'jwk' });
  inner.string();
  return key;
}

function privateJwk(inner: Reader): JsonWebKey {
  const type = inner.text();
  if (type === 'ssh-ed25519') {
    const x = inner.string();
    const both = inner.string();
    if (x.length !== 32 || both.length !== 64) throw new RangeError('no Ed25519 key');
    return { kty: 'OKP', crv: 'Ed25519', x: base64url(x), d: base64url(both.subarray(0, 32)) };
  }
  if (type === 'ssh-rsa') {
    const [n, e, d, qi, p, q] = [1, 2, 3, 4, 5, 6].map(() => inner.mpint()) as Buffer[] & { length: 6 };
    return { kty: 'RSA', ...encoded({ n, e, d, qi, p, q, dp: reduced(d, p), dq: reduced(d, q) }) };
  }
  const curve = CURVES.find(({ ssh }) => type === `ecdsa-sha2-${ssh}`);
  if (curve === undefined || inner.text() !== curve.ssh) throw new RangeError('no key of a known kind');
  const point = inner.string();
  const d = inner.mpint();
  const padding = Buffer.alloc(Math.max(0, curveBytes(curve) - d.length));
  return { ...pointJwk(curve, point), d: base64url(Buffer.concat([padding, d])) };
}

const encoded = (numbers: Readonly<Record<string, Buffer | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(numbers).map(([name, bytes]) => [name, base64url(bytes ?? Buffer.alloc(0))]),
  );

/** d mod (p - 1), which OpenSSH leaves out of its form. */
function reduced(d: Buffer | undefined, p: Buffer | undefined): Buffer {
  const number = (bytes: Buffer | undefined): bigint => BigInt(`0x0${bytes?.toString('hex') ?? ''}`);
  const text = (number(d) % (number(p) - 1n)).toString(16);
  return Buffer.from(text.padStart(text.length + (text.length % 2), '0'), 'hex');
}

/** PEM as `ssh` reads it: PKCS #1 for RSA, SEC 1 for curves, OpenSSH's own form for Ed25519. With a newline at the end. */
export function privatePem(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return key.export({ format: 'pem', type: 'pkcs1' }) as string;
  if (key.asymmetricKeyType === 'ec') return key.export({ format: 'pem', type: 'sec1' }) as string;
  return openSshPem(key);
}

/** Blocks that the form is padded to where it is not encrypted. */
const BLOCK_BYTES = 8;
const LINE = 70;

/** OpenSSH's own form of a key of any kind, without a passphrase (PROTOCOL.key). @throws RangeError for a kind without a name */
export function openSshPem(key: KeyObject, comment = ''): string {
  const known = publicKeyOf(createPublicKey(key));
  if (known === undefined) throw new RangeError('SSH has no name for keys of this kind');
  const check = randomBytes(4);
  const inner = Buffer.concat([check, check, privateFields(known, key), string(comment)]);
  const padding = Buffer.from(
    Array.from({ length: (BLOCK_BYTES - (inner.length % BLOCK_BYTES)) % BLOCK_BYTES }, (_, at) => at + 1),
  );
  const all = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    string('none'),
    string('none'),
    string(''),
    uint32(1),
    string(known.blob),
    string(Buffer.concat([inner, padding])),
  ]);
  const lines = base64(all).match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** The key's numbers, in the order that its kind has in this form. */
function privateFields({ family, type, blob }: SshPublicKey, key: KeyObject): Buffer {
  const jwk = key.export({ format: 'jwk' });
  const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  if (family === 'rsa')
    return Buffer.concat([
      string(type),
      ...[jwk.n, jwk.e, jwk.d, jwk.qi, jwk.p, jwk.q].map((number) => mpint(bytes(number))),
    ]);
  if (family === 'ed25519') return Buffer.concat([blob, string(Buffer.concat([bytes(jwk.d), bytes(jwk.x)]))]);
  return Buffer.concat([blob, mpint(bytes(jwk.d))]);
}
