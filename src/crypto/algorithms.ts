/**
 * The one table of the algorithms that named keys and hashes may have; nobody else enumerates them. Names are those of the
 * Vault HTTP API. Everything here is done by Node's OpenSSL: a type that it does not offer (xchacha20-poly1305) is not here.
 */

/** Hashes by their name in the API. `oid` is the last arc of the hash's DigestInfo (RFC 8017 section 9.2, note 1). */
export interface HashAlgorithm {
  /** As OpenSSL calls it. */
  readonly digest: string;
  readonly bytes: number;
  /** DER in front of the hash in a PKCS #1 v1.5 signature. */
  readonly prefix: Buffer;
}

/** id-sha1 is an OID of its own; all others are 2.16.840.1.101.3.4.2.N. */
const nist = (digest: string, bytes: number, arc: number): HashAlgorithm => ({
  digest,
  bytes,
  prefix: Buffer.from([
    ...[0x30, 17 + bytes, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02],
    ...[arc, 0x05, 0x00, 0x04, bytes],
  ]),
});

export const HASHES = {
  sha1: { digest: 'sha1', bytes: 20, prefix: Buffer.from('3021300906052b0e03021a05000414', 'hex') },
  'sha2-224': nist('sha224', 28, 4),
  'sha2-256': nist('sha256', 32, 1),
  'sha2-384': nist('sha384', 48, 2),
  'sha2-512': nist('sha512', 64, 3),
  'sha3-224': nist('sha3-224', 28, 7),
  'sha3-256': nist('sha3-256', 32, 8),
  'sha3-384': nist('sha3-384', 48, 9),
  'sha3-512': nist('sha3-512', 64, 10),
} as const satisfies Record<string, HashAlgorithm>;

export type HashName = keyof typeof HASHES;
export const HASH_NAMES = Object.keys(HASHES) as HashName[];

export const hashNamed = (name: string): HashAlgorithm | undefined =>
  Object.hasOwn(HASHES, name) ? HASHES[name as HashName] : undefined;

export interface Aead {
  readonly kind: 'aead';
  /** As OpenSSL calls it; nonces of 12 bytes, tags of 16. */
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyBytes: number;
}
export interface Ecdsa {
  readonly kind: 'ecdsa';
  /** As OpenSSL calls it. */
  readonly curve: 'prime256v1' | 'secp384r1' | 'secp521r1';
  /** As NIST calls it. */
  readonly title: 'P-256' | 'P-384' | 'P-521';
}
export interface Ed25519 {
  readonly kind: 'ed25519';
}
export interface Rsa {
  readonly kind: 'rsa';
  readonly bits: number;
}
export interface Hmac {
  readonly kind: 'hmac';
}
export type KeyAlgorithm = Aead | Ecdsa | Ed25519 | Rsa | Hmac;

export const KEY_ALGORITHMS = {
  'aes128-gcm96': { kind: 'aead', cipher: 'aes-128-gcm', keyBytes: 16 },
  'aes256-gcm96': { kind: 'aead', cipher: 'aes-256-gcm', keyBytes: 32 },
  'chacha20-poly1305': { kind: 'aead', cipher: 'chacha20-poly1305', keyBytes: 32 },
  ed25519: { kind: 'ed25519' },
  'ecdsa-p256': { kind: 'ecdsa', curve: 'prime256v1', title: 'P-256' },
  'ecdsa-p384': { kind: 'ecdsa', curve: 'secp384r1', title: 'P-384' },
  'ecdsa-p521': { kind: 'ecdsa', curve: 'secp521r1', title: 'P-521' },
  'rsa-2048': { kind: 'rsa', bits: 2048 },
  'rsa-3072': { kind: 'rsa', bits: 3072 },
  'rsa-4096': { kind: 'rsa', bits: 4096 },
  hmac: { kind: 'hmac' },
} as const satisfies Record<string, KeyAlgorithm>;

export type KeyType = keyof typeof KEY_ALGORITHMS;
export const KEY_TYPES = Object.keys(KEY_ALGORITHMS) as KeyType[];

export const isKeyType = (name: string): name is KeyType => Object.hasOwn(KEY_ALGORITHMS, name);
export const algorithmOf = (type: KeyType): KeyAlgorithm => KEY_ALGORITHMS[type];

/** What keys of a kind can do. `derivation`: a key of its own can be derived for each context. */
export const ABILITIES: Readonly<
  Record<
    KeyAlgorithm['kind'],
    { readonly encryption: boolean; readonly signing: boolean; readonly derivation: boolean }
  >
> = {
  aead: { encryption: true, signing: false, derivation: true },
  ed25519: { encryption: false, signing: true, derivation: true },
  ecdsa: { encryption: false, signing: true, derivation: false },
  rsa: { encryption: true, signing: true, derivation: false },
  hmac: { encryption: false, signing: false, derivation: false },
};
