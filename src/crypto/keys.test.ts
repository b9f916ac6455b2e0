/** Named keys: signatures over ready-made hashes against OpenSSL's own, published vectors, and every bit that may not matter. */

import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  algorithmOf,
  HASH_NAMES,
  HASHES,
  type HashName,
  KEY_TYPES,
  type KeyAlgorithm,
  type KeyType,
} from './algorithms.ts';
import { openAead, openRsa, sealAead, sealRsa } from './cipher.ts';
import { fromDer, toDer } from './ecdsa.ts';
import { hkdf } from './kdf.ts';
import { generateKey, importedKey, importedPublicKey, portableKey, publicText, spkiOf } from './keys.ts';
import { openKey, sealKey, unwrapKey, wrapKey } from './keywrap.ts';
import { misfit, type Scheme, sign, verify } from './signature.ts';

const keys = new Map<KeyType, Buffer>();
beforeAll(async () => {
  for (const type of KEY_TYPES) keys.set(type, await generateKey(algorithmOf(type)));
}, 60_000);
const keyOf = (type: KeyType): Buffer => keys.get(type) ?? Buffer.alloc(0);

interface Vectors {
  readonly hkdf: readonly {
    name: string;
    ikm: string;
    salt: string;
    info: string;
    length: number;
    okm: string;
  }[];
  readonly kwp: readonly { name: string; outcome: string; kek: string; key?: string; wrapped: string }[];
  readonly ed25519: { seed: string; public: string; jws: string; signature: string };
}
const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/transit-primitives.json', import.meta.url), 'utf8'),
) as Vectors;
const bytes = (hexText: string): Buffer => Buffer.from(hexText, 'hex');

describe('published vectors', () => {
  test.each(vectors.hkdf)('RFC 5869, $name', ({ ikm, salt, info, length, okm }) => {
    expect(hkdf(bytes(ikm), bytes(salt), bytes(info), length).toString('hex')).toBe(okm);
  });

  test.each(vectors.kwp)('RFC 5649, $name: $outcome', ({ outcome, kek, key, wrapped }) => {
    const opened = unwrapKey(bytes(kek), bytes(wrapped));
    if (outcome !== 'valid') return expect(opened).toBeUndefined();
    expect(opened?.toString('hex')).toBe(key);
    expect(wrapKey(bytes(kek), bytes(key ?? '')).toString('hex')).toBe(wrapped);
  });

  test('RFC 8037, appendix A: the Ed25519 key gives that public key and signs that JWS', () => {
    const { seed, public: given, jws, signature } = vectors.ed25519;
    const secret = Buffer.from(seed, 'base64url');
    const algorithm = algorithmOf('ed25519');
    expect(publicText(algorithm, secret)).toBe(Buffer.from(given, 'base64url').toString('base64'));
    const made = sign(algorithm, secret, Buffer.from(jws), scheme('sha2-256', {}));
    expect(made.toString('base64url')).toBe(signature);
  });
});

const scheme = (hash: HashName, rest: Partial<Scheme>): Scheme => ({
  hash: HASHES[hash],
  prehashed: false,
  padding: 'pss',
  salt: 'auto',
  encoding: 'asn1',
  ...rest,
});
const hashed = (hash: HashName, message: Uint8Array): Buffer =>
  createHash(HASHES[hash].digest).update(message).digest();

const SIGNERS = ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048'] as const;
const someScheme = fc.record({
  padding: fc.constantFrom('pss' as const, 'pkcs1v15' as const),
  salt: fc.constantFrom('auto' as const, 'hash' as const, 1, 20),
  encoding: fc.constantFrom('asn1' as const, 'jws' as const),
});

describe('a hash made elsewhere', () => {
  test.each(SIGNERS)(
    'signs under %s just as the message does: OpenSSL takes ours, and we take its',
    (type) => {
      const algorithm = algorithmOf(type);
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 80 }),
          fc.constantFrom(...HASH_NAMES),
          someScheme,
          (message, hash, rest) => {
            const whole = scheme(hash, rest);
            const ready = scheme(hash, { ...rest, prehashed: true });
            const digest = hashed(hash, message);
            const ours = sign(algorithm, keyOf(type), digest, ready);
            const theirs = sign(algorithm, keyOf(type), message, whole);
            expect(verify(algorithm, keyOf(type), message, ours, whole)).toBe(true);
            expect(verify(algorithm, keyOf(type), digest, theirs, ready)).toBe(true);
            const other = hashed(hash, Buffer.concat([message, Buffer.from('x')]));
            expect(verify(algorithm, keyOf(type), other, theirs, ready)).toBe(false);
          },
        ),
        { numRuns: 40 },
      );
    },
  );

  test.each(SIGNERS)(
    'no single changed bit of a signature under %s passes',
    (type) => {
      const algorithm = algorithmOf(type);
      const digest = hashed('sha2-256', Buffer.from('message'));
      for (const padding of ['pss', 'pkcs1v15'] as const) {
        const how = scheme('sha2-256', { prehashed: true, padding });
        const signature = sign(algorithm, keyOf(type), digest, how);
        expect(verify(algorithm, keyOf(type), digest, signature, how)).toBe(true);
        for (let at = 0; at < signature.length; at++) {
          const changed = Buffer.from(signature);
          changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
          expect(verify(algorithm, keyOf(type), digest, changed, how), `byte ${at}`).toBe(false);
        }
      }
    },
    30_000,
  );

  test('r and s of zero, of n and beyond are no signature', () => {
    const algorithm = algorithmOf('ecdsa-p256');
    const n = bytes('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
    const digest = hashed('sha2-256', Buffer.from('message'));
    const how = scheme('sha2-256', { prehashed: true, encoding: 'jws' });
    const good = sign(algorithm, keyOf('ecdsa-p256'), digest, how);
    const [r, s] = [good.subarray(0, 32), good.subarray(32)];
    const zero = Buffer.alloc(32);
    for (const forged of [
      Buffer.concat([zero, s]),
      Buffer.concat([r, zero]),
      Buffer.concat([zero, zero]),
      Buffer.concat([n, s]),
      Buffer.concat([r, n]),
      Buffer.alloc(64, 0xff),
      good.subarray(0, 63),
      Buffer.concat([good, zero]),
      Buffer.alloc(0),
    ])
      expect(verify(algorithm, keyOf('ecdsa-p256'), digest, forged, how)).toBe(false);
    expect(verify(algorithm, keyOf('ecdsa-p256'), digest, good, how)).toBe(true);
  });

  test('a signature in DER has one spelling', () => {
    const algorithm = algorithmOf('ecdsa-p521') as Extract<KeyAlgorithm, { kind: 'ecdsa' }>;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 132, maxLength: 132 }), (signature) => {
        const der = toDer(signature);
        expect(fromDer(algorithm, der)).toEqual(Buffer.from(signature));
        expect(fromDer(algorithm, Buffer.concat([der, Buffer.from([0])]))).toBeUndefined();
      }),
    );
    expect(fromDer(algorithm, bytes('3006020100020101'))).toEqual(
      Buffer.concat([Buffer.alloc(131), Buffer.from([1])]),
    );
    for (const bad of [
      '',
      '30',
      '3000',
      '30070200020101',
      '300702020000020101',
      '3081060201000201',
      '020100',
    ])
      expect(fromDer(algorithm, bytes(bad)), bad).toBeUndefined();
  });

  test('a hash of another length, no hash at all, and a salt that does not fit are named before anything is signed', () => {
    const rsa = algorithmOf('rsa-2048');
    const curve = algorithmOf('ecdsa-p256');
    const digest = Buffer.alloc(32);
    const ready = scheme('sha2-512', { prehashed: true });
    expect(misfit(rsa, digest, ready)).toContain('64 bytes');
    expect(misfit(curve, digest, ready)).toContain('64 bytes');
    const none: Scheme = { ...ready, hash: undefined };
    expect(misfit(rsa, digest, none)).toContain('none');
    expect(misfit(curve, digest, none)).toContain('none');
    expect(misfit(rsa, digest, { ...none, padding: 'pkcs1v15' })).toBeUndefined();
    expect(misfit(rsa, Buffer.alloc(246), { ...none, padding: 'pkcs1v15' })).toContain('too long');
    expect(misfit(rsa, digest, scheme('sha2-256', { salt: 223 }))).toContain('salt_length');
    expect(misfit(rsa, digest, scheme('sha2-256', { salt: 222 }))).toBeUndefined();
  });
});

describe('ciphers', () => {
  test.each(KEY_TYPES.filter((type) => algorithmOf(type).kind === 'aead'))(
    '%s opens only what it sealed',
    (type) => {
      const algorithm = algorithmOf(type) as Extract<KeyAlgorithm, { kind: 'aead' }>;
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 40 }),
          fc.uint8Array({ maxLength: 10 }),
          fc.nat(),
          fc.integer({ min: 0, max: 7 }),
          (plain, bound, where, bit) => {
            const sealed = sealAead(algorithm, keyOf(type), Buffer.alloc(12, 7), plain, bound);
            expect(openAead(algorithm, keyOf(type), sealed, bound)).toEqual(Buffer.from(plain));
            const changed = Buffer.from(sealed);
            const at = where % changed.length;
            changed[at] = (changed[at] ?? 0) ^ (1 << bit);
            expect(openAead(algorithm, keyOf(type), changed, bound)).toBeUndefined();
            expect(
              openAead(algorithm, keyOf(type), sealed.subarray(0, where % sealed.length), bound),
            ).toBeUndefined();
            expect(
              openAead(algorithm, keyOf(type), sealed, Buffer.concat([bound, Buffer.from([0])])),
            ).toBeUndefined();
          },
        ),
      );
    },
  );

  test('a key travels under RSA whole or not at all', () => {
    const rsa = keyOf('rsa-2048');
    const key = Buffer.from('a key of odd length, 29 bytes');
    const sealed = sealKey(rsa, key, 'sha2-256');
    expect(openKey(rsa, sealed, 'sha2-256')).toEqual(key);
    expect(openKey(rsa, sealed, 'sha2-384')).toBeUndefined();
    expect(openKey(keyOf('rsa-3072'), sealed, 'sha2-256')).toBeUndefined();
    for (let at = 0; at < sealed.length; at += 7) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(openKey(rsa, changed, 'sha2-256'), `byte ${at}`).toBeUndefined();
      expect(openKey(rsa, sealed.subarray(0, at), 'sha2-256')).toBeUndefined();
    }
    const small = sealRsa(rsa, Buffer.alloc(16), 'sha2-256');
    expect(openRsa(rsa, small)).toEqual(Buffer.alloc(16));
    expect(openKey(rsa, Buffer.concat([small, wrapKey(Buffer.alloc(16), key)]), 'sha2-256')).toBeUndefined();
  });
});

describe('keys that are brought along', () => {
  test.each(KEY_TYPES)('%s comes back as it went', (type) => {
    const algorithm = algorithmOf(type);
    expect(importedKey(algorithm, portableKey(algorithm, keyOf(type)))).toEqual(keyOf(type));
  });

  test('a key of one type is none of another', () => {
    for (const from of KEY_TYPES)
      for (const to of KEY_TYPES) {
        const [source, target] = [algorithmOf(from), algorithmOf(to)];
        // Raw bytes carry no type: of equal length they are taken, as upstream takes them.
        const raw = source.kind === 'aead' || source.kind === 'hmac';
        if (raw || target.kind === 'hmac' || from === to) continue;
        expect(importedKey(target, portableKey(source, keyOf(from))), `${from} as ${to}`).toBeUndefined();
      }
  });

  test('a public key is taken from its PEM, and a private one is not taken for it', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const algorithm = algorithmOf('ecdsa-p256');
    const pem = publicKey.export({ format: 'pem', type: 'spki' }) as string;
    const der = importedPublicKey(algorithm, pem);
    expect(der && createPublicKey({ key: der, format: 'der', type: 'spki' }).equals(publicKey)).toBe(true);
    const secret = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    expect(importedPublicKey(algorithm, secret)).toBeUndefined();
    expect(importedPublicKey(algorithmOf('ecdsa-p384'), pem)).toBeUndefined();
    expect(importedPublicKey(algorithm, 'nonsense')).toBeUndefined();
    expect(spkiOf(algorithmOf('hmac'), Buffer.alloc(32))).toBeUndefined();
  });
});
