/**
 * BER (X.690) made DER: lengths that are not told beforehand, lengths with more bytes than they need, and octet strings in pieces, all of
 * which key stores may have. What comes out is read by the strict reader of `x509/der.ts`, so that only this step is lenient.
 */

import { failure } from '../../base/errors.ts';
import { TAG, tlv } from '../x509/der.ts';

/** No key store nests deeper; each level is a level of this reader's own stack. */
const DEEPEST = 32;
const CONSTRUCTED = 0x20;
/** An octet string whose content is octet strings: its pieces. */
const OCTETS_IN_PIECES = TAG.octets | CONSTRUCTED;

interface Read {
  readonly tag: number;
  /** DER of what stands in it, or its bytes. */
  readonly content: Buffer;
  readonly end: number;
}

/** The one element that the bytes are, in DER. @throws Failure pki.malformed */
export function derOf(bytes: Uint8Array): Buffer {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { tag, content, end } = elementAt(all, 0, all.length, 0);
  if (end !== all.length) throw failure('pki.malformed');
  return tlv(tag, content);
}

function elementAt(all: Buffer, start: number, limit: number, depth: number): Read {
  const tag = all[start];
  const first = all[start + 1];
  if (
    tag === undefined ||
    first === undefined ||
    start + 2 > limit ||
    (tag & 0x1f) === 0x1f ||
    depth > DEEPEST
  )
    throw failure('pki.malformed');
  let at = start + 2;
  let end: number | undefined;
  if (first < 0x80) end = at + first;
  else if (first > 0x80) {
    const count = first & 0x7f;
    const digits = all.subarray(at, at + count);
    at += count;
    if (digits.length !== count || count > 8 || digits.subarray(0, -6).some((digit) => digit !== 0))
      throw failure('pki.malformed');
    end = at + digits.subarray(-6).readUIntBE(0, Math.min(6, count));
  }
  if ((end !== undefined && end > limit) || (end === undefined && (tag & CONSTRUCTED) === 0))
    throw failure('pki.malformed');
  if ((tag & CONSTRUCTED) === 0) return { tag, content: all.subarray(at, end), end: end ?? limit };

  const parts: Read[] = [];
  for (;;) {
    if (end === undefined ? all[at] === 0 && all[at + 1] === 0 : at === end) break;
    const part = elementAt(all, at, end ?? limit, depth + 1);
    parts.push(part);
    at = part.end;
  }
  const next = end ?? at + 2;
  if (next > limit) throw failure('pki.malformed');
  if (tag !== OCTETS_IN_PIECES)
    return { tag, content: Buffer.concat(parts.map((part) => tlv(part.tag, part.content))), end: next };
  if (parts.some((part) => part.tag !== TAG.octets)) throw failure('pki.malformed');
  return { tag: TAG.octets, content: Buffer.concat(parts.map((part) => part.content)), end: next };
}
