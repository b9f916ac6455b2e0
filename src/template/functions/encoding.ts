/** Encodings of bytes as text, and back. */

import { CallError, fn, type Table } from './table.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export const encoding: Table = {
  b64enc: fn('string', (call, text) => {
    call.meter.alloc((text.length * 4) / 3);
    return Buffer.from(text, 'latin1').toString('base64');
  }),
  b64dec: fn('string', (_, text) => fromBase64(text)),
  b32enc: fn('string', (call, text) => {
    call.meter.alloc(text.length * 2);
    return toBase32(text);
  }),
  hexdec: fn('string', (_, text) => {
    if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
      throw new CallError('encoding/hex: the text is not hexadecimal');
    return Buffer.from(text, 'hex').toString('latin1');
  }),
  b32dec: fn('string', (_, text) => fromBase32(text)),
};

/** The bytes, or, as in Sprig, the words of Go's error in their place. */
function fromBase64(text: string): string {
  const plain = text.replace(/[\r\n]/g, '');
  if (BASE64.test(plain)) return Buffer.from(plain, 'base64').toString('latin1');
  return `illegal base64 data at input byte ${illegalByte(text, /[A-Za-z0-9+/]/, 4, (have) => have >= 2)}`;
}

/** Where Go's decoders say that the input went wrong: they read whole groups and skip line ends. */
function illegalByte(text: string, digit: RegExp, group: number, mayPad: (have: number) => boolean): number {
  let have = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === '\r' || char === '\n') continue;
    if (digit.test(char)) {
      have = (have + 1) % group;
      continue;
    }
    if (char !== '=' || !mayPad(have)) return at;
    // Padding: it must fill the group and end the input.
    let next = at + 1;
    for (let missing = group - have - 1; missing > 0; missing--) {
      while (text[next] === '\r' || text[next] === '\n') next++;
      if (next >= text.length) return text.length;
      if (text[next] !== '=') return next;
      next++;
    }
    while (text[next] === '\r' || text[next] === '\n') next++;
    return next;
  }
  return text.length - have;
}

function toBase32(text: string): string {
  let bits = 0;
  let held = 0;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    held = (held << 8) | text.charCodeAt(i);
    bits += 8;
    for (; bits >= 5; bits -= 5) out += BASE32[(held >> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  if (bits > 0) out += BASE32[(held << (5 - bits)) & 31];
  return out.padEnd(Math.ceil(out.length / 8) * 8, '=');
}

function fromBase32(text: string): string {
  const plain = text.replace(/[\r\n]/g, '');
  if (plain.length % 8 !== 0 || !/^[A-Z2-7]*(?:={6}|={4}|={3}|=)?$/.test(plain)) {
    return `illegal base32 data at input byte ${illegalByte(text, /[A-Z2-7]/, 8, (have) => [2, 4, 5, 7].includes(have))}`;
  }
  let bits = 0;
  let held = 0;
  let out = '';
  for (const char of plain.replace(/=+$/, '')) {
    held = (held << 5) | BASE32.indexOf(char);
    bits += 5;
    if (bits >= 8) {
      out += String.fromCharCode((held >> (bits - 8)) & 255);
      bits -= 8;
    }
    held &= (1 << bits) - 1;
  }
  return out;
}
