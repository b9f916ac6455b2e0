/** Key stores: what is written reads again, published vectors of what the old ones are made with, and stores that mean harm. */

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { children, octets, readOne, sequence, TAG, tlv } from '../x509/der.ts';
import { derOf } from './ber.ts';
import { derive, PURPOSE, passwordOf } from './password.ts';
import { decryptRc2 } from './rc2.ts';
import { readKeyStore, Unsupported, WrongPassword } from './read.ts';
import { writeKeyStore, writeTrustStore } from './write.ts';

const free = (): void => {};
const utf8 = (text: string): Buffer => Buffer.from(text);
const making = (password: string, byte = 7) => ({
  password: utf8(password),
  random: (count: number) => Buffer.alloc(count, byte),
  pay: free,
});
const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({
  type: 'pkcs8',
  format: 'der',
});
/** What stands in place of certificates: the store does not look into them. */
const leaf = sequence(octets(utf8('leaf')));
const root = sequence(octets(utf8('root')));

interface Stored {
  readonly name: string;
  readonly writer: string;
  readonly password: string;
  readonly keys: readonly string[];
  readonly certificates: readonly string[];
  readonly store: string;
}
const stored = JSON.parse(
  readFileSync(new URL('../../../test/vectors/pkcs12.json', import.meta.url), 'utf8'),
) as { stores: Stored[] };

describe('a key store', () => {
  test('holds what was put in, under any password, and opens under no other', () => {
    for (const password of ['', 'changeit', 'pässwörd', 'a😀b', 'x'.repeat(200)]) {
      const store = writeKeyStore(key, [leaf, root], making(password));
      const { keys, certificates } = readKeyStore(store, utf8(password), free);
      expect(keys).toEqual([key]);
      expect(certificates).toEqual([leaf, root]);
      expect(() => readKeyStore(store, utf8(`${password}.`), free)).toThrow(WrongPassword);
    }
  });

  test('is the same for the same random bytes', () => {
    const of = (byte: number): string => writeKeyStore(key, [leaf], making('p', byte)).toString('hex');
    expect(of(1)).toBe(of(1));
    expect(of(2)).not.toBe(of(1));
  });

  test('of trusted certificates holds them all', () => {
    const entries = [leaf, root].map((certificate, i) => ({ certificate, name: `CN=ü${i}` }));
    const { keys, certificates } = readKeyStore(writeTrustStore(entries, making('p')), utf8('p'), free);
    expect([keys, certificates]).toEqual([[], [leaf, root]]);
  });

  for (const { name, writer, password, store, keys, certificates } of stored.stores)
    test(`written elsewhere opens: ${name} (${writer})`, () => {
      const found = readKeyStore(Buffer.from(store, 'base64'), utf8(password), free);
      expect(found.keys.map((one) => one.toString('base64'))).toEqual(keys);
      expect(found.certificates.map((one) => one.toString('base64'))).toEqual(certificates);
      expect(() => readKeyStore(Buffer.from(store, 'base64'), utf8(`${password}x`), free)).toThrow();
    });

  test('in BER opens like one in DER', () => {
    const der = writeKeyStore(key, [leaf, root], making('p'));
    expect(readKeyStore(indefinite(der), utf8('p'), free)).toEqual(readKeyStore(der, utf8('p'), free));
  });

  test('with one changed byte never opens as another one, and always fails as a store', () => {
    const store = writeKeyStore(key, [leaf, root], making('p'));
    const whole = readKeyStore(store, utf8('p'), free);
    fc.assert(
      fc.property(fc.nat(store.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = Buffer.from(store);
        changed[at] = (changed[at] ?? 0) ^ by;
        try {
          expect(readKeyStore(changed, utf8('p'), bounded())).toEqual(whole);
        } catch (error) {
          expect(isStoreError(error), String(error)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('of any bytes at all fails as a store', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readKeyStore(bytes, utf8('p'), bounded());
        } catch (error) {
          expect(isStoreError(error), String(error)).toBe(true);
        }
      }),
    );
  });

  test('that asks for billions of iterations is not begun with', () => {
    const store = writeKeyStore(key, [leaf], making('p'));
    // The last element is the count of the MAC: 02 02 08 00 becomes one of the same length.
    const [version, content, mac] = children(readOne(store));
    const [info, salt] = children(mac);
    const count = tlv(TAG.integer, Buffer.from('7fffffffff', 'hex'));
    const parts = [version?.whole, content?.whole, sequence(info?.whole ?? leaf, salt?.whole ?? leaf, count)];
    const hostile = sequence(...parts.map((part) => part ?? leaf));
    const paid: number[] = [];
    const stop = new Error('too much');
    expect(() =>
      readKeyStore(hostile, utf8('p'), (iterations) => {
        paid.push(iterations);
        throw stop;
      }),
    ).toThrow(stop);
    expect(paid[0]).toBeGreaterThan(0x7fffffffff);
  });
});

class TooMuch extends Error {}
/** Pays for some thousand iterations. */
function bounded(): (iterations: number) => void {
  let left = 100_000;
  return (iterations) => {
    left -= iterations;
    if (!(left > 0)) throw new TooMuch();
  };
}
const isStoreError = (error: unknown): boolean =>
  error instanceof WrongPassword ||
  error instanceof Unsupported ||
  error instanceof TooMuch ||
  (isFailure(error) && error.code === 'pki.malformed');

/** The same in BER with no lengths, and with octet strings in pieces. */
function indefinite(der: Uint8Array): Buffer {
  const element = readOne(der);
  const end = Buffer.alloc(2);
  if (element.tag === TAG.octets) {
    const middle = Math.floor(element.content.length / 2);
    const pieces = [element.content.subarray(0, middle), element.content.subarray(middle)].map(octets);
    return Buffer.concat([Buffer.from([0x24, 0x80]), ...pieces, end]);
  }
  if ((element.tag & 0x20) === 0) return element.whole;
  const parts: Buffer[] = [];
  for (let at = 0; at < element.content.length; ) {
    const [first] = firstOf(element.content.subarray(at));
    parts.push(indefinite(first));
    at += first.length;
  }
  return Buffer.concat([Buffer.from([element.tag, 0x80]), ...parts, end]);
}
function firstOf(bytes: Buffer): [Buffer] {
  const length = bytes[1] ?? 0;
  const head = length < 0x80 ? 2 : 2 + (length & 0x7f);
  const size = length < 0x80 ? length : bytes.readUIntBE(2, length & 0x7f);
  return [bytes.subarray(0, head + size)];
}

describe('BER', () => {
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  test('becomes DER', () => {
    expect(derOf(hex('3080020101 0000'.replaceAll(' ', ''))).toString('hex')).toBe('3003020101');
    expect(derOf(hex('308300000302 0101'.replaceAll(' ', ''))).toString('hex')).toBe('3003020101');
    expect(derOf(hex('2480040201020401030000')).toString('hex')).toBe('0403010203');
    expect(derOf(hex('24050401010400')).toString('hex')).toBe('040101');
  });
  for (const [reason, text] of Object.entries({
    'no end': '3080020101',
    'a length beyond the bytes': '3005020101',
    'a member beyond its parent': '3003020201',
    'bytes behind the end': '300302010100',
    'an indefinite primitive': '04800000',
    'a piece that is no octet string': '24030201ff',
    'half a length': '3082',
    'a length of more than six bytes': '308701000000000000',
    nothing: '',
    'a tag of many bytes': '3f8101',
  }))
    test(`that is none is refused: ${reason}`, () => {
      expect(() => derOf(hex(text))).toThrow(/malformed/);
    });
  test('nested too deeply is refused, and not by the stack', () => {
    expect(() => derOf(Buffer.alloc(200_000, Buffer.from([0x30, 0x80])))).toThrow(/malformed/);
  });
});

describe('published vectors', () => {
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  test('of RC2: RFC 2268 section 5', () => {
    const nothing = Buffer.alloc(8);
    const open = (secret: string, text: string): string =>
      decryptRc2(hex(secret), nothing, hex(text)).toString('hex');
    expect(open('ffffffffffffffff', '278b27e42e2f0d49')).toBe('ffffffffffffffff');
    expect(open('3000000000000000', '30649edf9be7d2c2')).toBe('1000000000000001');
    expect(open('88bca90e90875a7f0f79c384627bafb2', '2269552ab0f85ca6')).toBe('0000000000000000');
  });

  test('of the derivation of PKCS #12, as OpenSSL tests its own', () => {
    const made = (password: string, salt: string, times: number, purpose: 1 | 2 | 3, bytes: number): string =>
      derive('sha1', passwordOf(utf8(password)), hex(salt), times, purpose, bytes, free)
        .toString('hex')
        .toUpperCase();
    expect(made('smeg', '0A58CF64530D823F', 1, PURPOSE.key, 24)).toBe(
      '8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3',
    );
    expect(made('smeg', '0A58CF64530D823F', 1, PURPOSE.iv, 8)).toBe('79993DFE048D3B76');
    expect(made('smeg', '3D83C0E4546AC140', 1, PURPOSE.mac, 20)).toBe(
      '8D967D88F6CAA9D714800AB3D48051D63F73A312',
    );
    expect(made('queeg', '05DEC959ACFF72F7', 1000, PURPOSE.key, 24)).toBe(
      'ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4',
    );
  });
});
