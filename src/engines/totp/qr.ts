/**
 * QR codes (ISO/IEC 18004) of bytes, at error correction level M: what is encoded and how it is protected. Where the modules
 * lie is told in `qr-symbol.ts`. Pure.
 */

import { type Modules, rawBits, symbol } from './qr-symbol.ts';

/** Of level M by version, table 9: codewords of error correction in each block, and how many blocks. */
const CORRECTION = [
  ...[10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26],
  ...new Array<number>(19).fill(28),
];
const BLOCKS = [
  ...[1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16],
  ...[17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49],
];
const BYTE_MODE = 0b0100;
/** Versions from here on count their bytes in sixteen bits. */
const LONG_COUNT = 10;
const PAD = [0xec, 0x11];

interface Shape {
  readonly version: number;
  readonly blocks: number;
  readonly correction: number;
  /** Codewords in all, and those of them that carry data. */
  readonly total: number;
  readonly data: number;
}

/** @returns rows of modules, true for dark; undefined where the bytes fit no version (more than 2331 of them) */
export function qrCode(bytes: Uint8Array): Modules | undefined {
  for (let version = 1; version <= BLOCKS.length; version++) {
    const shape = shapeOf(version);
    const needed = 4 + countBits(version) + 8 * bytes.length;
    if (needed <= 8 * shape.data) return symbol(version, interleaved(codewords(bytes, shape), shape));
  }
  return undefined;
}

const countBits = (version: number): number => (version < LONG_COUNT ? 8 : 16);

function shapeOf(version: number): Shape {
  const blocks = BLOCKS[version - 1] ?? 0;
  const correction = CORRECTION[version - 1] ?? 0;
  const total = rawBits(version) >> 3;
  return { version, blocks, correction, total, data: total - blocks * correction };
}

/** Mode, count, bytes, terminator and padding (section 7.4). */
function codewords(bytes: Uint8Array, { version, data }: Shape): Uint8Array {
  const count = countBits(version);
  // The mode takes half a byte, so every byte after it lies over two codewords.
  const nibbles = [BYTE_MODE, ...nibblesOf(bytes.length, count / 4)];
  for (const byte of bytes) nibbles.push(byte >> 4, byte & 15);
  // Four bits end it, or fewer where no more fit; there is half a codeword left at least, as all before is of nibbles.
  if (nibbles.length < 2 * data) nibbles.push(0);
  if (nibbles.length % 2 === 1) nibbles.push(0);
  const words = new Uint8Array(data);
  const filled = nibbles.length / 2;
  for (let at = 0; at < data; at++)
    words[at] =
      at < filled
        ? ((nibbles[2 * at] ?? 0) << 4) | (nibbles[2 * at + 1] ?? 0)
        : (PAD[(at - filled) % 2] ?? 0);
  return words;
}

const nibblesOf = (number: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => (number >> (4 * (count - 1 - at))) & 15);

/** Blocks with their corrections, dealt out codeword by codeword (section 7.6); the last blocks may be one longer. */
function interleaved(words: Uint8Array, { blocks, correction, data, total }: Shape): Uint8Array {
  const short = Math.floor(data / blocks);
  const shorter = blocks - (data % blocks);
  const divisor = generator(correction);
  const cut = Array.from({ length: blocks }, (_, at) => {
    const from = at * short + Math.max(0, at - shorter);
    return words.subarray(from, from + short + (at < shorter ? 0 : 1));
  });
  const corrections = cut.map((block) => remainder(block, divisor));
  const out: number[] = [];
  for (let at = 0; at <= short; at++)
    for (const block of cut) if (at < block.length) out.push(block[at] ?? 0);
  for (let at = 0; at < correction; at++) for (const block of corrections) out.push(block[at] ?? 0);
  if (out.length !== total) throw new Error('the tables of QR versions contradict each other');
  return Uint8Array.from(out);
}

/** Powers of two in GF(2^8) over x^8 + x^4 + x^3 + x^2 + 1, and their logarithms. */
const POWERS = new Uint8Array(255);
const LOGARITHMS = new Uint8Array(256);
for (let at = 0, power = 1; at < 255; at++) {
  POWERS[at] = power;
  LOGARITHMS[power] = at;
  power = power < 128 ? power << 1 : (power << 1) ^ 0x11d;
}

const times = (a: number, b: number): number =>
  a === 0 || b === 0 ? 0 : (POWERS[((LOGARITHMS[a] ?? 0) + (LOGARITHMS[b] ?? 0)) % 255] ?? 0);

/** The generator polynomial of Reed-Solomon, product of (x - 2^i); its leading one is left out (annex A). */
function generator(degree: number): number[] {
  let coefficients = [1];
  for (let at = 0; at < degree; at++) {
    const root = POWERS[at] ?? 0;
    const next = [...coefficients, 0];
    coefficients.forEach((coefficient, place) => {
      next[place + 1] = (next[place + 1] ?? 0) ^ times(coefficient, root);
    });
    coefficients = next;
  }
  return coefficients.slice(1);
}

function remainder(block: Uint8Array, divisor: readonly number[]): number[] {
  const rest = new Array<number>(divisor.length).fill(0);
  for (const word of block) {
    const factor = word ^ (rest.shift() ?? 0);
    rest.push(0);
    divisor.forEach((coefficient, at) => {
      rest[at] = (rest[at] ?? 0) ^ times(coefficient, factor);
    });
  }
  return rest;
}
