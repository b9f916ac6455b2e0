/**
 * RC2 in CBC mode (RFC 2268), decryption alone: key stores that OpenSSL before 3.0 and old Windows wrote hide their certificates with it,
 * and today's OpenSSL has it no more. It protects nothing.
 */

/** A permutation of the byte values, from the digits of pi. */
const PI = Buffer.from(
  'd978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32' +
    'bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626' +
    '6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a' +
    '961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731' +
    '2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2e' +
    'c5f3db47e5a59c770aa62068fe7fc1ad',
  'hex',
);

const ROTATIONS = [1, 2, 3, 5] as const;

/** Section 2: the key stretched to 64 words, with as many effective bits as it has. */
function expand(key: Uint8Array): Uint16Array {
  const bytes = Buffer.alloc(128);
  bytes.set(key);
  const pi = (index: number): number => PI[index & 0xff] ?? 0;
  const at = (index: number): number => bytes[index] ?? 0;
  for (let i = key.length; i < 128; i++) bytes[i] = pi(at(i - 1) + at(i - key.length));
  bytes[128 - key.length] = pi(at(128 - key.length));
  for (let i = 127 - key.length; i >= 0; i--) bytes[i] = pi(at(i + 1) ^ at(i + key.length));
  return Uint16Array.from({ length: 64 }, (_, i) => bytes.readUInt16LE(i * 2));
}

/** Section 4: one block of four words, in place. */
function decryptBlock(words: Uint16Array, key: Uint16Array): void {
  const word = (i: number): number => words[i & 3] ?? 0;
  const mash = (): void => {
    for (let i = 3; i >= 0; i--) words[i] = word(i) - (key[word(i + 3) & 63] ?? 0);
  };
  let next = 63;
  const mix = (): void => {
    for (let i = 3; i >= 0; i--) {
      const by = ROTATIONS[i] ?? 0;
      const turned = (word(i) >>> by) | (word(i) << (16 - by));
      words[i] = turned - (key[next--] ?? 0) - (word(i + 3) & word(i + 2)) - (~word(i + 3) & word(i + 1));
    }
  };
  for (const rounds of [5, 6, 5]) {
    for (let i = 0; i < rounds; i++) mix();
    if (next >= 0) mash();
  }
}

/**
 * Decrypts; what fills the last block up is left in.
 * @param key up to 128 bytes, all of whose bits count
 * @param data a multiple of 8 bytes
 */
export function decryptRc2(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Buffer {
  const schedule = expand(key);
  const out = Buffer.alloc(data.length);
  let previous = iv;
  for (let at = 0; at < data.length; at += 8) {
    const block = data.subarray(at, at + 8);
    const view = Buffer.from(block);
    const words = Uint16Array.from({ length: 4 }, (_, i) => view.readUInt16LE(i * 2));
    decryptBlock(words, schedule);
    for (let i = 0; i < 4; i++) out.writeUInt16LE(words[i] ?? 0, at + i * 2);
    for (let i = 0; i < 8; i++) out[at + i] = (out[at + i] ?? 0) ^ (previous[i] ?? 0);
    previous = block;
  }
  return out;
}
