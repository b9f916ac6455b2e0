/**
 * Public keys as SSH writes them: RSA (RFC 4253 section 6.6), ECDSA (RFC 5656), Ed25519 (RFC 8709), and those of security keys
 * (OpenSSH, PROTOCOL.u2f). DSA is not here: OpenSSH has given it up. Pure.
 */

import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { base64, base64url, fromBase64 } from '../../base/bytes.ts';
import { own } from '../../base/own.ts';
import { mpint, Reader, string } from './wire.ts';

export interface SshPublicKey {
  /** As SSH names it: "ssh-ed25519". */
  readonly type: string;
  readonly family: 'rsa' | 'ecdsa' | 'ed25519' | 'sk-ecdsa' | 'sk-ed25519';
  /** Of the modulus or the curve; 0 for Ed25519. */
  readonly bits: number;
  readonly blob: Buffer;
}

export interface Curve {
  /** As SSH, as NIST and JWK, and as OpenSSL call it. */
  readonly ssh: string;
  readonly nist: string;
  readonly openssl: string;
  readonly bits: number;
  readonly hash: string;
}

/** The curves of RFC 5656 section 10.1, and the hash that goes with each (section 6.2.1). */
export const CURVES: readonly Curve[] = [
  { ssh: 'nistp256', nist: 'P-256', openssl: 'prime256v1', bits: 256, hash: 'sha256' },
  { ssh: 'nistp384', nist: 'P-384', openssl: 'secp384r1', bits: 384, hash: 'sha384' },
  { ssh: 'nistp521', nist: 'P-521', openssl: 'secp521r1', bits: 521, hash: 'sha512' },
];
export const curveBytes = ({ bits }: Curve): number => Math.ceil(bits / 8);

/** OpenSSH refuses less, and more would only cost time (sshkey.h, SSHBUF_MAX_BIGNUM). */
const RSA_BITS = { least: 1024, most: 16_384 };
const ED25519_BYTES = 32;
const UNCOMPRESSED = 0x04;

type Body = Omit<SshPublicKey, 'type' | 'blob'>;

const TYPES: Readonly<Record<string, (reader: Reader) => Body>> = {
  'ssh-rsa': rsa,
  'ssh-ed25519': (reader) => ed25519(reader, 'ed25519'),
  'sk-ssh-ed25519@openssh.com': (reader) => application(reader, ed25519(reader, 'sk-ed25519')),
  'sk-ecdsa-sha2-nistp256@openssh.com': (reader) =>
    application(reader, ecdsa(reader, 'nistp256', 'sk-ecdsa')),
  ...Object.fromEntries(
    CURVES.map(({ ssh }) => [`ecdsa-sha2-${ssh}`, (reader: Reader) => ecdsa(reader, ssh, 'ecdsa')]),
  ),
};

/** The key of a blob, or undefined where it holds none that is known here, or one that no mathematics stands behind. */
export function parsePublicBlob(bytes: Uint8Array): SshPublicKey | undefined {
  try {
    const reader = new Reader(bytes);
    const type = reader.text();
    const body = own(TYPES, type)?.(reader);
    reader.end();
    return body && { type, ...body, blob: Buffer.from(bytes) };
  } catch {
    return undefined;
  }
}

/** The key of a line as `id_ed25519.pub` has it, "type base64 comment", or of its base64 alone. */
export function parsePublicLine(line: string): SshPublicKey | undefined {
  const words = line.trim().split(/[ \t]+/);
  if (/[\r\n\0]/.test(line.trim())) return undefined;
  const bytes = fromBase64((words.length > 1 ? words[1] : words[0]) ?? '');
  const key = bytes && parsePublicBlob(bytes);
  return words.length > 1 && key?.type !== words[0] ? undefined : key;
}

/** A line of `authorized_keys`, with its newline. */
export const publicLine = (type: string, blob: Uint8Array): string => `${type} ${base64(blob)}\n`;

function rsa(reader: Reader): Body {
  const e = reader.mpint();
  const n = reader.mpint();
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  const isOdd = (number: Buffer): boolean => ((number.at(-1) ?? 0) & 1) === 1;
  // An exponent of one signs nothing, and an even one is no exponent.
  const isSound = isOdd(e) && isOdd(n) && e.length <= 4 && !(e.length === 1 && (e[0] ?? 0) < 3);
  if (!isSound || bits < RSA_BITS.least || bits > RSA_BITS.most) throw new RangeError('no RSA key');
  return { family: 'rsa', bits };
}

function ecdsa(reader: Reader, name: string, family: 'ecdsa' | 'sk-ecdsa'): Body {
  const curve = CURVES.find(({ ssh }) => ssh === name);
  if (curve === undefined || reader.text() !== name) throw new RangeError('no such curve');
  // OpenSSL refuses a point that is not on the curve.
  createPublicKey({ key: pointJwk(curve, reader.string()), format: 'jwk' });
  return { family, bits: curve.bits };
}

/** @throws RangeError where the point is not written in full */
export function pointJwk(curve: Curve, point: Uint8Array): JsonWebKey {
  const size = curveBytes(curve);
  if (point.length !== 1 + 2 * size || point[0] !== UNCOMPRESSED) throw new RangeError('no point');
  return {
    kty: 'EC',
    crv: curve.nist,
    x: base64url(point.subarray(1, 1 + size)),
    y: base64url(point.subarray(1 + size)),
  };
}

function ed25519(reader: Reader, family: 'ed25519' | 'sk-ed25519'): Body {
  if (reader.string().length !== ED25519_BYTES) throw new RangeError('no Ed25519 key');
  return { family, bits: 0 };
}

function application(reader: Reader, body: Body): Body {
  reader.string();
  return body;
}

/** The public half of a key that Node holds, or undefined where SSH has no name for its kind. */
export function publicKeyOf(key: KeyObject): SshPublicKey | undefined {
  const { kty, crv, n = '', e = '', x = '', y = '' } = key.export({ format: 'jwk' });
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  if (kty === 'RSA')
    return parsePublicBlob(Buffer.concat([string('ssh-rsa'), mpint(bytes(e)), mpint(bytes(n))]));
  if (kty === 'OKP' && crv === 'Ed25519')
    return parsePublicBlob(Buffer.concat([string('ssh-ed25519'), string(bytes(x))]));
  const curve = CURVES.find(({ nist }) => nist === crv);
  if (kty !== 'EC' || curve === undefined) return undefined;
  const point = Buffer.concat([Buffer.of(UNCOMPRESSED), bytes(x), bytes(y)]);
  return parsePublicBlob(
    Buffer.concat([string(`ecdsa-sha2-${curve.ssh}`), string(curve.ssh), string(point)]),
  );
}
