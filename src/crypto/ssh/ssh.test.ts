import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { certificateType, type SshCertificate, signedCertificate } from './certificate.ts';
import { makeKey, parsePrivatePem, privatePem, type RsaSignature, sshSignature } from './privatekey.ts';
import { parsePublicBlob, parsePublicLine, publicKeyOf, publicLine, type SshPublicKey } from './publickey.ts';
import { mpint, Reader, string } from './wire.ts';

const vectors = JSON.parse(readFileSync('test/vectors/ssh.json', 'utf8')) as {
  keys: { name: string; public: string; private: string; pem?: string }[];
  locked: string;
  certificates: (Omit<SshCertificate, 'publicKey' | 'serial' | 'nonce'> & {
    authority: string;
    signature: RsaSignature | '';
    public: string;
    nonce: string;
    serial: string;
    certificate: string;
  })[];
};
const bare = (line: string): string => `${line.split(' ').slice(0, 2).join(' ')}\n`;
const parsed = (line: string): SshPublicKey => parsePublicLine(line) ?? raise('no public key');
function raise(reason: string): never {
  throw new Error(reason);
}

describe('what ssh-keygen made', () => {
  test.each(vectors.keys)(
    '$name: the private key is read, and its public half is the one beside it',
    (given) => {
      for (const text of [
        given.private,
        given.private.replaceAll('\n', '\r\n'),
        given.pem ?? given.private,
      ]) {
        const key = parsePrivatePem(text) ?? raise('no private key');
        const publicKey = publicKeyOf(key) ?? raise('no public key');
        expect(publicLine(publicKey.type, publicKey.blob)).toBe(bare(given.public));
        expect(publicKey).toEqual(parsed(given.public));
      }
    },
  );

  test('a key under a passphrase is no key here', () => {
    expect(parsePrivatePem(vectors.locked)).toBeUndefined();
  });

  test.each(vectors.certificates)(
    'the $type certificate of $keyId by $authority $signature comes out byte for byte',
    (given) => {
      const pem = vectors.keys.find(({ name }) => name === given.authority)?.private ?? '';
      const key = parsePrivatePem(pem) ?? raise('no authority');
      const publicKey = parsed(given.public);
      const blob = signedCertificate(
        { ...given, publicKey, serial: BigInt(given.serial), nonce: Buffer.from(given.nonce, 'hex') },
        {
          key,
          publicKey: publicKeyOf(key) ?? raise('no public key'),
          signature: given.signature || 'rsa-sha2-256',
        },
      );
      expect(publicLine(certificateType(publicKey), blob)).toBe(given.certificate);
    },
  );

  test('a certificate is no key to be signed', () => {
    for (const { certificate } of vectors.certificates) expect(parsePublicLine(certificate)).toBeUndefined();
  });
});

describe('keys made here', () => {
  test.each([
    { type: 'rsa', bits: 2048 },
    { type: 'ec', bits: 256 },
    { type: 'ec', bits: 384 },
    { type: 'ec', bits: 521 },
    { type: 'ed25519', bits: 0 },
  ] as const)('$type $bits: the text is read again as the same key', async (kind) => {
    const key = await makeKey(kind);
    const text = privatePem(key);
    expect(text.endsWith('-----\n')).toBe(true);
    expect(parsePrivatePem(text)?.equals(key)).toBe(true);
    expect(publicKeyOf(key)).toMatchObject({
      bits: kind.bits,
      family: kind.type === 'ec' ? 'ecdsa' : kind.type,
    });
  });

  test('a signature of a curve verifies, and its numbers are in their shortest form', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp521r1' });
    for (let at = 0; at < 40; at++) {
      const data = Buffer.from(`message ${at}`);
      const outer = new Reader(sshSignature(privateKey, data, 'rsa-sha2-256'));
      expect(outer.text()).toBe('ecdsa-sha2-nistp521');
      const inner = new Reader(outer.string());
      const [r, s] = [inner.mpint(), inner.mpint()];
      inner.end();
      const whole = Buffer.concat(
        [r, s].map((number) => Buffer.concat([Buffer.alloc(66 - number.length), number])),
      );
      expect(verify('sha512', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, whole)).toBe(true);
    }
  });

  test('kinds that SSH has no name for are none', () => {
    const { privateKey } = generateKeyPairSync('ed448');
    expect(publicKeyOf(privateKey)).toBeUndefined();
    expect(parsePrivatePem(privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)).toBeUndefined();
    const k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
    expect(parsePrivatePem(k1.export({ format: 'pem', type: 'sec1' }) as string)).toBeUndefined();
  });

  test('halves that do not belong together are no key', () => {
    const [one, other] = [1, 2].map(() =>
      generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
    );
    const mixed = { ...one, x: other?.x ?? '' };
    let key: ReturnType<typeof createPrivateKey>;
    try {
      key = createPrivateKey({ key: mixed, format: 'jwk' });
    } catch {
      return;
    }
    // OpenSSL makes the public half anew from the private one: what was told beside it is not believed.
    expect(createPublicKey(key).export({ format: 'jwk' }).x).toBe(one?.x);
  });
});

describe('hostile public keys', () => {
  const ed25519 = vectors.keys.find(({ name }) => name === 'ed25519-256')?.public ?? '';
  const word = ed25519.split(' ')[1] ?? '';

  test.each([
    ['nothing', ''],
    ['a type alone', 'ssh-ed25519'],
    ['another type before it', `ssh-rsa ${word}`],
    ['options before it', `restrict ssh-ed25519 ${word}`],
    ['two lines', `ssh-ed25519 ${word}\nssh-ed25519 ${word}`],
    ['base 64 with something else in it', `ssh-ed25519 ${word.slice(0, -4)}\u00a0${word.slice(-4)}`],
    ['one byte less', Buffer.from(word, 'base64').subarray(0, -1).toString('base64')],
    ['one byte more', Buffer.concat([Buffer.from(word, 'base64'), Buffer.of(0)]).toString('base64')],
    ['a type that nobody knows', string('ssh-dss').toString('base64')],
    ['a type of every object', string('constructor').toString('base64')],
    ['a point that is not on its curve', ecdsaBlob(Buffer.alloc(64, 7)).toString('base64')],
    ['a point at infinity', ecdsaBlob(Buffer.alloc(0)).toString('base64')],
    ['an RSA exponent of one', rsaBlob(1n, 2048).toString('base64')],
    ['an even RSA exponent', rsaBlob(4n, 2048).toString('base64')],
    ['an RSA modulus that is too short', rsaBlob(65537n, 1016).toString('base64')],
    ['an RSA modulus that is too long', rsaBlob(65537n, 16_392).toString('base64')],
  ])('%s is no key', (_, text) => {
    expect(parsePublicLine(text)).toBeUndefined();
  });

  test('a number in a longer form than it needs is none', () => {
    const n = Buffer.from(`00${'00'}${'ff'.repeat(256)}`, 'hex');
    const blob = Buffer.concat([string('ssh-rsa'), mpint(Buffer.of(1, 0, 1)), string(n)]);
    expect(parsePublicBlob(blob)).toBeUndefined();
    expect(parsePublicBlob(rsaBlob(65537n, 2048))?.bits).toBe(2048);
  });

  test('no bytes make the reader throw, and what it takes it gives back whole', () => {
    const seeds = vectors.keys.map(({ public: line }) => parsed(line).blob);
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.nat(3),
        (seed, place, byte, cut) => {
          const bytes = Buffer.from(seed.subarray(0, seed.length - cut));
          bytes[place % bytes.length] = byte;
          const key = parsePublicBlob(bytes);
          if (key !== undefined) expect(key.blob.equals(bytes)).toBe(true);
        },
      ),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => parsePublicBlob(bytes) === undefined),
    );
  });
});

function ecdsaBlob(point: Buffer): Buffer {
  const body = point.length === 0 ? Buffer.of(0) : Buffer.concat([Buffer.of(4), point]);
  return Buffer.concat([string('ecdsa-sha2-nistp256'), string('nistp256'), string(body)]);
}

function rsaBlob(exponent: bigint, bits: number): Buffer {
  const e = Buffer.from(exponent.toString(16).padStart(8, '0'), 'hex');
  return Buffer.concat([string('ssh-rsa'), mpint(e), mpint(Buffer.alloc(bits / 8, 0xff))]);
}
