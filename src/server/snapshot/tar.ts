/**
 * The little of tar that a snapshot is made of (POSIX.1-1988 ustar): regular files under plain names, one after the other.
 * What is read comes from strangers: every size is bounded and every header's sum is checked.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';

export const BLOCK = 512;
/** Eleven octal digits. */
const MOST_BYTES = 8 ** 11 - 1;

const broken = (reason: string) => failure('snapshot.broken', { reason });

/** The header of a file of `size` bytes; its bytes and `padding(size)` follow. @param at seconds since the epoch */
export function tarHeader(name: string, size: number, at: number): Uint8Array {
  const header = new Uint8Array(BLOCK);
  if (size > MOST_BYTES) throw failure('snapshot.too_large', { limit: MOST_BYTES });
  const put = (offset: number, text: string): void => header.set(utf8(text), offset);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  put(0, name);
  put(100, '0000600\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, `${octal(size, 11)}\0`);
  put(136, `${octal(Math.max(0, Math.floor(at)), 11)}\0`);
  put(148, ' '.repeat(8));
  put(156, '0');
  put(257, 'ustar\x0000');
  put(148, `${octal(sumOf(header), 6)}\0 `);
  return header;
}

/** What fills the last block of a file. */
export const padding = (size: number): Uint8Array => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

/** What ends an archive. */
export const tarEnd = (): Uint8Array => new Uint8Array(2 * BLOCK);

/** Told of each file: its pieces come in order and are only lent; `done` follows the last. */
export interface TarFile {
  piece(bytes: Uint8Array): Promise<void> | void;
  done(): Promise<void> | void;
}

/**
 * Reads an archive to its end.
 * @param open takes the name and size of each file and gives who reads it
 * @throws Failure snapshot.broken where it is no archive or ends too soon
 */
export async function readTar(
  source: AsyncIterable<Uint8Array>,
  open: (name: string, size: number) => TarFile,
): Promise<void> {
  let held = Buffer.alloc(0);
  let file: TarFile | undefined;
  let left = 0;
  let skip = 0;
  let ended = false;
  for await (const chunk of source) {
    held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk]);
    while (!ended) {
      if (file !== undefined) {
        const piece = held.subarray(0, left);
        if (piece.length > 0) await file.piece(piece);
        held = held.subarray(piece.length);
        left -= piece.length;
        if (left > 0) break;
        await file.done();
        file = undefined;
      }
      if (held.length < skip) break;
      held = held.subarray(skip);
      skip = 0;
      if (held.length < BLOCK) break;
      const header = held.subarray(0, BLOCK);
      held = held.subarray(BLOCK);
      if (header.every((byte) => byte === 0)) {
        ended = true;
        break;
      }
      const { name, size } = readHeader(header);
      file = open(name, size);
      left = size;
      skip = padding(size).length;
    }
    if (ended) held = Buffer.alloc(0);
  }
  if (!ended || file !== undefined) throw broken('it ends too soon');
}

function readHeader(header: Uint8Array): { name: string; size: number } {
  const text = (from: number, length: number): string =>
    (textOf(header.subarray(from, from + length)) ?? '').replace(/\0[\s\S]*$/, '');
  const number = (from: number, length: number): number => {
    const digits = text(from, length).trim();
    if (!/^[0-7]+$/.test(digits)) throw broken('it is no tar archive');
    return Number.parseInt(digits, 8);
  };
  const blank = Uint8Array.from(header);
  blank.fill(0x20, 148, 156);
  if (number(148, 8) !== sumOf(blank)) throw broken('the sum of a tar header is wrong');
  const type = header[156];
  // Regular files alone, whose type older programs leave as NUL.
  if (type !== 0x30 && type !== 0) throw broken('it holds what is no file');
  return { name: text(0, 100), size: number(124, 12) };
}

const sumOf = (header: Uint8Array): number => header.reduce((sum, byte) => sum + byte, 0);
