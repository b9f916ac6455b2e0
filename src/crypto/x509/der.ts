/**
 * DER (X.690) as certificates need it: a writer, and a reader that takes definite lengths alone and nothing after the end.
 * What is read here was sent by strangers; a reader that guesses would let two programs see two certificates in one.
 */

import { failure } from '../../base/errors.ts';

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length included. */
  readonly whole: Buffer;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8: 0x0c,
  printable: 0x13,
  ia5: 0x16,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Nothing that is read here is bigger: a length beyond it is no length. */
const MOST_LENGTH_BYTES = 4;
const MOST_ARC = 2 ** 48;

export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(TAG.sequence, ...parts);
/** X.690 section 11.6: the members of a set stand in the order of their encodings. */
export const setOf = (...parts: readonly Uint8Array[]): Buffer =>
  tlv(TAG.set, ...[...parts].sort(Buffer.compare));
export const octets = (bytes: Uint8Array): Buffer => tlv(TAG.octets, bytes);
export const bitString = (bytes: Uint8Array, unused = 0): Buffer =>
  tlv(TAG.bits, Buffer.from([unused]), bytes);
export const boolean = (value: boolean): Buffer => tlv(TAG.boolean, Buffer.from([value ? 0xff : 0]));
export const nothing = (): Buffer => tlv(TAG.null);
export const enumerated = (value: number): Buffer => tlv(TAG.enumerated, Buffer.from([value]));
/** Explicit, constructed. */
export const context = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  tlv(0xa0 | number, ...parts);
/** Implicit, primitive. */
export const implicit = (number: number, bytes: Uint8Array): Buffer => tlv(0x80 | number, bytes);

/** Bits in the order in which ASN.1 names them, without zeros at the end (X.690 section 11.2.2). */
export function namedBits(bits: readonly number[]): Buffer {
  const most = Math.max(-1, ...bits);
  if (most < 0) return bitString(Buffer.alloc(0));
  const bytes = Buffer.alloc(Math.floor(most / 8) + 1);
  for (const bit of bits) {
    const at = Math.floor(bit / 8);
    bytes[at] = (bytes[at] ?? 0) | (0x80 >> (bit % 8));
  }
  return bitString(bytes, 7 - (most % 8));
}

/** A number that is not negative: as it is, or as its big-endian bytes. */
export function integer(value: number | Uint8Array): Buffer {
  let bytes: Buffer;
  if (typeof value === 'number') {
    const text = value.toString(16);
    bytes = Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
  } else bytes = Buffer.from(value);
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  bytes = bytes.subarray(start);
  if (bytes.length === 0) bytes = Buffer.from([0]);
  return tlv(TAG.integer, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left % 128) | 0x80);
    bytes.push(...groups);
  }
  return tlv(TAG.oid, Buffer.from(bytes));
}

/** Whether the text is an object identifier that `oid` can write. */
export function isOid(text: string): boolean {
  if (!/^[0-2](\.(0|[1-9]\d{0,13}))+$/.test(text)) return false;
  const [first = 0, second = 0] = text.split('.').map(Number);
  return first === 2 || second < 40;
}

export const utf8String = (text: string): Buffer => tlv(TAG.utf8, Buffer.from(text));
export const ia5String = (text: string): Buffer => tlv(TAG.ia5, Buffer.from(text, 'latin1'));
/** PrintableString where the text allows it, else UTF8String (RFC 5280 section 4.1.2.4). */
export const textString = (text: string): Buffer =>
  /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)
    ? tlv(TAG.printable, Buffer.from(text, 'latin1'))
    : utf8String(text);

/** UTCTime up to 2049, GeneralizedTime after it (RFC 5280 section 4.1.2.5). Milliseconds since 1970; cut to seconds. */
export function time(ms: number): Buffer {
  const text = digitsOf(ms);
  const year = Number(text.slice(0, 4));
  return year >= 1950 && year < 2050
    ? tlv(TAG.utcTime, Buffer.from(`${text.slice(2)}Z`))
    : tlv(TAG.time, Buffer.from(`${text}Z`));
}
export const generalizedTime = (ms: number): Buffer => tlv(TAG.time, Buffer.from(`${digitsOf(ms)}Z`));
const digitsOf = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replace(/[-:T]/g, '');

const malformed = () => failure('pki.malformed');

/** The one element that the bytes are. @throws Failure pki.malformed */
export function readOne(bytes: Uint8Array, tag?: number): Element {
  const [element, ...more] = readAll(bytes);
  if (element === undefined || more.length > 0 || (tag !== undefined && element.tag !== tag))
    throw malformed();
  return element;
}

/** The elements that stand one after another. @throws Failure pki.malformed */
export function readAll(bytes: Uint8Array): Element[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Element[] = [];
  let at = 0;
  while (at < all.length) {
    const element = readAt(all, at);
    found.push(element);
    at += element.whole.length;
  }
  return found;
}

function readAt(all: Buffer, start: number): Element {
  const tag = all[start] ?? 0;
  let length = all[start + 1];
  let head = 2;
  if (length === undefined || (tag & 0x1f) === 0x1f) throw malformed();
  if (length >= 0x80) {
    const count = length & 0x7f;
    head += count;
    if (count === 0 || count > MOST_LENGTH_BYTES || start + head > all.length) throw malformed();
    length = all.readUIntBE(start + 2, count);
    if (length < 0x80 || lengthOf(length).length !== count + 1) throw malformed();
  }
  const end = start + head + length;
  if (end > all.length) throw malformed();
  return { tag, content: all.subarray(start + head, end), whole: all.subarray(start, end) };
}

/** The children of a constructed element of this tag. @throws Failure pki.malformed */
export function children(element: Element | undefined, tag: number = TAG.sequence): Element[] {
  if (element?.tag !== tag) throw malformed();
  return readAll(element.content);
}

/** The content of an element that must be there and of this tag. @throws Failure pki.malformed */
export function contentOf(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw malformed();
  return element.content;
}

export function readOid(element: Element | undefined): string {
  const bytes = contentOf(element, TAG.oid);
  const arcs: number[] = [];
  let arc = 0;
  for (const [index, byte] of bytes.entries()) {
    arc = arc * 128 + (byte & 0x7f);
    if (arc > MOST_ARC) throw malformed();
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    } else if (index === bytes.length - 1) throw malformed();
  }
  const [first] = arcs;
  if (first === undefined) throw malformed();
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...arcs.slice(1)].join('.');
}

/** The bytes of a bit string that fills whole bytes. */
export function readBits(element: Element | undefined): Buffer {
  const content = contentOf(element, TAG.bits);
  if (content[0] !== 0) throw malformed();
  return content.subarray(1);
}

/** The numbers of the bits that are set. */
export function readNamedBits(element: Element | undefined): number[] {
  const bytes = contentOf(element, TAG.bits).subarray(1);
  const found: number[] = [];
  for (const [index, byte] of bytes.entries())
    for (let bit = 0; bit < 8; bit++) if ((byte & (0x80 >> bit)) !== 0) found.push(index * 8 + bit);
  return found;
}

/** Text of any string type that names use; what is not UTF-8 is read as Latin-1, so that nothing is lost. */
export function readText({ tag, content }: Element): string {
  if (tag === 0x1e) {
    if (content.length % 2 !== 0) throw malformed();
    return Buffer.from(content).swap16().toString('utf16le');
  }
  return tag === TAG.utf8 ? content.toString('utf8') : content.toString('latin1');
}

/** Milliseconds since 1970. */
export function readTime({ tag, content }: Element): number {
  const text = content.toString('latin1');
  const parts = (tag === TAG.utcTime ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text);
  if (parts === null || (tag !== TAG.utcTime && tag !== TAG.time)) throw malformed();
  const short = Number(parts[1]);
  const year = tag === TAG.utcTime ? (short < 50 ? 2000 + short : 1900 + short) : short;
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] =
    (parts[2] ?? '').match(/\d\d/g)?.map(Number) ?? [];
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  if (Number.isNaN(at)) throw malformed();
  return at;
}
