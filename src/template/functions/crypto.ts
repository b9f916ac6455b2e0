/**
 * Hashes, passwords and random texts. All randomness is the caller's: the same bytes give the same text, so that a
 * Secret does not change at every refresh (in the original it does).
 */

import { createCipheriv, createDecipheriv, createHash, createHmac, scryptSync } from 'node:crypto';
import bcryptjs from 'bcryptjs';
import { own } from '../../base/own.ts';
import { toBytes, toText } from '../text.ts';
import { type Call, CallError, fn, type Row, type Table } from './table.ts';

const BCRYPT_ROUNDS = 10; // the default of golang.org/x/crypto/bcrypt
const BCRYPT_LONGEST = 72;

const digest = (algorithm: string): Row =>
  fn('string', (call, text) => {
    call.meter.step(Math.ceil(text.length / 256));
    return createHash(algorithm).update(toBytes(text)).digest('hex');
  });

/** Characters of an alphabet, each as likely as any other. */
function randomText(call: Call, count: bigint, alphabet: string): string {
  if (count <= 0n) return '';
  call.meter.alloc(Number(count));
  call.meter.step(Number(count));
  // Bytes beyond the last whole multiple of the alphabet would make its first characters likelier.
  const limit = 256 - (256 % alphabet.length);
  let out = '';
  while (out.length < Number(count)) {
    for (const byte of call.random(Math.max(32, Number(count) - out.length))) {
      call.meter.step();
      if (byte < limit && out.length < Number(count)) out += alphabet[byte % alphabet.length];
    }
  }
  return out;
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const ALPHA = LOWER.toUpperCase() + LOWER;
const DIGITS = '0123456789';
const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
const random = (alphabet: string): Row => fn('int', (call, count) => randomText(call, count, alphabet));

function bcrypt(call: Call, password: string): string {
  if (password.length > BCRYPT_LONGEST) throw new CallError('bcrypt: password length exceeds 72 bytes');
  const text = toText(password);
  if (!isWellFormed(text)) throw new CallError('bcrypt: the password is not UTF-8');
  call.meter.spend(2 ** BCRYPT_ROUNDS);
  const salt = bcryptjs.encodeBase64(Array.from(call.random(16)), 16);
  return bcryptjs.hashSync(text, `$2a$${BCRYPT_ROUNDS}$${salt}`);
}
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

function adler32(text: string): number {
  let [a, b] = [1, 0];
  for (const byte of toBytes(text)) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}

export const crypto: Table = {
  sha1sum: digest('sha1'),
  sha256sum: digest('sha256'),
  sha512sum: digest('sha512'),
  adler32sum: fn('string', (_, text) => String(adler32(text))),
  bcrypt: fn('string', bcrypt),
  // The kind of hash is upstream's addition; without one it is Sprig's function.
  htpasswd: fn('string, string, ...string', (call, user, password, kind, ...more) => {
    if (more.length > 0) throw new CallError('it takes a user, a password and the kind of hash');
    if (user.includes(':')) throw new CallError('invalid username: it holds a colon');
    if (kind !== 'sha') return `${user}:${bcrypt(call, password)}`;
    return `${user}:{SHA}${createHash('sha1').update(toBytes(password)).digest('base64')}`;
  }),
  randAlphaNum: random(ALPHA + DIGITS),
  randAlpha: random(ALPHA),
  randNumeric: random(DIGITS),
  randAscii: random(ASCII),
  randBytes: fn('int', (call, count) => {
    if (count < 0n) throw new CallError('runtime error: makeslice: len out of range');
    call.meter.alloc(Number(count) * 2);
    return Buffer.from(call.random(Number(count))).toString('base64');
  }),
  uuidv4: fn('', (call) => {
    const bytes = Buffer.from(call.random(16));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }),
  shuffle: fn('string', (call, text) => {
    const chars = Array.from(text);
    call.meter.step(chars.length);
    const picks = call.random(chars.length * 4);
    const view = new DataView(picks.buffer, picks.byteOffset, picks.byteLength);
    for (let i = chars.length - 1; i > 0; i--) {
      const j = view.getUint32(i * 4) % (i + 1);
      [chars[i], chars[j]] = [chars[j] ?? '', chars[i] ?? ''];
    }
    return chars.join('');
  }),
  encryptAES: fn('string, string', (call, password, text) => {
    if (text === '') return '';
    call.meter.alloc(text.length * 2);
    const iv = call.random(16);
    const cipher = createCipheriv('aes-256-cbc', aesKey(password), iv);
    return Buffer.concat([iv, cipher.update(toBytes(text)), cipher.final()]).toString('base64');
  }),
  decryptAES: fn('string, string', (_, password, text) => {
    if (text === '') return '';
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length < 32 || bytes.length % 16 !== 0)
      throw new CallError('crypto/cipher: input not full blocks');
    const cipher = createDecipheriv('aes-256-cbc', aesKey(password), bytes.subarray(0, 16)).setAutoPadding(
      false,
    );
    const plain = Buffer.concat([cipher.update(bytes.subarray(16)), cipher.final()]);
    const padding = plain.at(-1) ?? 0;
    if (padding > plain.length) throw new CallError('runtime error: slice bounds out of range');
    return plain.subarray(0, plain.length - padding).toString('latin1');
  }),
  derivePassword: fn('uint32, string, string, string, string', derivePassword),
};

/** The password's bytes, cut or filled up with zeros: Sprig's own, weak, way. */
const aesKey = (password: string): Buffer =>
  Buffer.concat([toBytes(password), Buffer.alloc(32)]).subarray(0, 32);

// The Master Password algorithm (masterpasswordapp.com), version 0.
const SITE = 'com.lyndir.masterpassword';
const SHAPES: Readonly<Record<string, readonly string[]>> = {
  maximum: ['anoxxxxxxxxxxxxxxxxx', 'axxxxxxxxxxxxxxxxxno'],
  long: (
    'CvcvnoCvcvCvcv CvcvCvcvnoCvcv CvcvCvcvCvcvno CvccnoCvcvCvcv CvccCvcvnoCvcv CvccCvcvCvcvno CvcvnoCvccCvcv ' +
    'CvcvCvccnoCvcv CvcvCvccCvcvno CvcvnoCvcvCvcc CvcvCvcvnoCvcc CvcvCvcvCvccno CvccnoCvccCvcv CvccCvccnoCvcv ' +
    'CvccCvccCvcvno CvcvnoCvccCvcc CvcvCvccnoCvcc CvcvCvccCvccno CvccnoCvcvCvcc CvccCvcvnoCvcc CvccCvcvCvccno'
  ).split(' '),
  medium: ['CvcnoCvc', 'CvcCvcno'],
  short: ['Cvcn'],
  basic: ['aaanaaan', 'aannaaan', 'aaannaaa'],
  pin: ['nnnn'],
};
const VOWELS = 'aeiou';
const CONSONANTS = 'bcdfghjklmnpqrstvwxyz';
const LETTERS = VOWELS.toUpperCase() + VOWELS + CONSONANTS.toUpperCase() + CONSONANTS;
const CLASSES: Readonly<Record<string, string>> = {
  V: VOWELS.toUpperCase(),
  C: CONSONANTS.toUpperCase(),
  v: VOWELS,
  c: CONSONANTS,
  A: (VOWELS + CONSONANTS).toUpperCase(),
  a: LETTERS,
  n: DIGITS,
  o: "@&%?,=[]_:-+*$#!'^~;()/.",
  x: `${LETTERS}${DIGITS}!@#$%^&*()`,
};

function derivePassword(
  call: Call,
  counter: unknown,
  shape: string,
  password: string,
  user: string,
  site: string,
): string {
  const shapes = own(SHAPES, shape);
  if (shapes === undefined) return `cannot find password template ${shape}`;
  call.meter.spend(4096);
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value >>> 0);
    return bytes;
  };
  const salt = Buffer.concat([Buffer.from(SITE), number(user.length), toBytes(user)]);
  const key = scryptSync(toBytes(password), salt, 64, { N: 32768, r: 8, p: 2, maxmem: 64 * 1024 * 1024 });
  const count =
    typeof counter === 'object' && counter !== null && 'value' in counter
      ? Number(counter.value)
      : Number(counter);
  const seed = createHmac('sha256', key)
    .update(Buffer.concat([Buffer.from(SITE), number(site.length), toBytes(site), number(count)]))
    .digest();
  const form = shapes[(seed[0] ?? 0) % shapes.length] ?? '';
  return Array.from(form, (kind, i) => {
    const letters = CLASSES[kind] ?? '';
    return letters[(seed[i + 1] ?? 0) % letters.length];
  }).join('');
}
