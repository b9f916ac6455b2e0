/** Base 32 of RFC 4648 section 6, as the keys of authenticator apps are written. Pure. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Lengths, modulo eight, that no whole number of bytes has. */
const IMPOSSIBLE = [1, 3, 6];

/** Without padding: it is left out of `otpauth://` URLs, and apps choke on it. */
export function toBase32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET[(held << (5 - bits)) & 31];
}

/** The bytes of either case, padded or not; undefined where the text is not base 32. */
export function fromBase32(given: string): Buffer | undefined {
  const text = given.toUpperCase().replace(/={0,6}$/, '');
  if (!/^[A-Z2-7]*$/.test(text) || IMPOSSIBLE.includes(text.length % 8)) return undefined;
  const bytes = Buffer.alloc(Math.floor((text.length * 5) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const letter of text) {
    held = (held << 5) | ALPHABET.indexOf(letter);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = held >> bits;
    held &= (1 << bits) - 1;
  }
  return bytes;
}
