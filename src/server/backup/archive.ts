/**
 * The file of a backup: every entry of one snapshot of the store, and an outer layer that hides their names, which lie in the
 * store in plain. It is written and read as a stream, in frames; each is proven before anything of it is used, and the last one
 * says that it is the last, so that a file cut off anywhere is no whole one.
 *
 *   "HFBACKUP1\n"
 *   length (4 bytes, big-endian), header (JSON, in plain)
 *   frames: length (4), then sealed under the file's own key, bound to SHA-256 of the header, the number of the frame and
 *   whether it is the last: entries, each as length of key (4), key, length of value (4), value; in the last frame a JSON
 *   object that counts them
 *
 * The file's own key lies in the header twice: sealed by the store that the file was made of, and under the root key of that
 * day, to which the two plain records in the header lead: whoever could unseal the server on that day can open the file.
 */

import { z } from 'zod';
import { base64, fromBase64, sha256, textOf, utf8 } from '../../base/bytes.ts';
import { type Failure, failure } from '../../base/errors.ts';
import { openBytes, sealBytes } from '../../crypto/aead.ts';
import { ByteReader } from './bytereader.ts';

export const ARCHIVE_FORMAT = 1;
const MAGIC = utf8('HFBACKUP1\n');
const HEADER_LIMIT = 64 * 1024;
/** How many bytes of entries a frame takes before it is closed. */
const FRAME_BYTES = 1024 * 1024;
/** An entry is in one frame, whole: larger than any that the server takes. */
const FRAME_LIMIT = 256 * 1024 * 1024;

const bytes = z.string().transform((text, context) => {
  const found = fromBase64(text);
  if (found !== undefined) return found;
  context.addIssue({ code: 'custom', message: 'no base64' });
  return z.NEVER;
});
const Header = z.object({
  format: z.literal(ARCHIVE_FORMAT),
  /** RFC 3339. */
  created: z.iso.datetime(),
  /** Of the store when the scan began. */
  revision: z.int().nonnegative(),
  cluster_id: z.string().max(100),
  version: z.string().max(100),
  /** The records `core/seal-config` and `core/root-key-wrapped` of that day. */
  seal: z.object({ config: bytes, wrapped: bytes }),
  /** The key of the frames: under the root key, and sealed by the store. */
  key: z.object({ root: bytes, ring: bytes }),
});
export type ArchiveHeader = z.output<typeof Header>;

const Trailer = z.object({ entries: z.int().nonnegative(), bytes: z.int().nonnegative() });
export type ArchiveCount = z.output<typeof Trailer>;

export interface ArchiveEntry {
  readonly key: string;
  readonly value: Uint8Array;
}

/**
 * The file, piece by piece.
 * @param key 32 bytes, used for nothing else; the caller's to wipe
 * @param counted told how many entries there were, after the last of them
 */
export async function* writeArchive(
  header: ArchiveHeader,
  key: Uint8Array,
  entries: AsyncIterable<ArchiveEntry>,
  counted: (count: ArchiveCount) => void,
): AsyncGenerator<Uint8Array, void, void> {
  const text = encoded(header);
  yield Buffer.concat([MAGIC, lengthOf(text), text]);
  const binding = new Binding(text);
  let held: Uint8Array[] = [];
  let holding = 0;
  let count = 0;
  let size = 0;
  const frame = (plain: Uint8Array, last: boolean): Buffer => {
    const sealed = sealBytes(key, plain, binding.next(last));
    return Buffer.concat([lengthOf(sealed), sealed]);
  };
  for await (const { key: name, value } of entries) {
    const label = utf8(name);
    held.push(lengthOf(label), label, lengthOf(value), value);
    holding += 8 + label.length + value.length;
    count++;
    size += label.length + value.length;
    if (holding < FRAME_BYTES) continue;
    yield frame(Buffer.concat(held), false);
    held = [];
    holding = 0;
  }
  if (holding > 0) yield frame(Buffer.concat(held), false);
  const total = { entries: count, bytes: size };
  yield frame(utf8(JSON.stringify(total)), true);
  counted(total);
}

/** A file whose header was read; its entries are read once. */
export interface OpenArchive {
  readonly header: ArchiveHeader;
  /**
   * The entries, each proven. Ends only where the file is whole: who reads to the end has all of them.
   * @throws Failure backup.broken
   */
  entries(key: Uint8Array): AsyncGenerator<ArchiveEntry, void, void>;
  /** Lets go of the file unread. */
  close(): Promise<void>;
}

/**
 * Reads the header, which nothing proves before the first frame has been opened.
 * @param name what messages call the file
 * @throws Failure backup.broken; what the source throws
 */
export async function openArchive(name: string, source: AsyncIterable<Uint8Array>): Promise<OpenArchive> {
  const broken = (reason: string): Failure => failure('backup.broken', { name, reason });
  const reader = new ByteReader(source, () => broken('it ends too soon'));
  try {
    if (!(await reader.take(MAGIC.length)).equals(MAGIC)) throw broken('it is no backup of this program');
    const text = await reader.take(sizeWithin(await reader.take(4), HEADER_LIMIT, broken));
    const header = parsedHeader(text);
    if (header === undefined) throw broken('its header cannot be read; a newer version may have made it');
    return {
      header,
      entries: (key) => frames(reader, text, key, broken),
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function* frames(
  reader: ByteReader,
  header: Uint8Array,
  key: Uint8Array,
  broken: (reason: string) => Failure,
): AsyncGenerator<ArchiveEntry, void, void> {
  const binding = new Binding(header);
  let count = 0;
  let size = 0;
  try {
    for (;;) {
      const sealed = await reader.take(sizeWithin(await reader.take(4), FRAME_LIMIT, broken));
      const [middle, last] = binding.either();
      const plain = openBytes(key, sealed, middle);
      if (plain === undefined) {
        const trailer = openBytes(key, sealed, last);
        if (trailer === undefined) throw broken('it was changed, or is of another key');
        const told = parsed(Trailer, trailer);
        if (told?.entries !== count || told.bytes !== size) throw broken('its count is wrong');
        if (!(await reader.ended())) throw broken('there is something behind its end');
        return;
      }
      for (const entry of entriesOf(plain, broken)) {
        count++;
        size += Buffer.byteLength(entry.key) + entry.value.length;
        yield entry;
      }
    }
  } finally {
    await reader.close();
  }
}

function* entriesOf(plain: Buffer, broken: (reason: string) => Failure): Generator<ArchiveEntry, void, void> {
  let at = 0;
  const take = (): Buffer => {
    const end = at + 4 <= plain.length ? at + 4 + plain.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > plain.length) throw broken('a frame does not hold what it says');
    const part = plain.subarray(at + 4, end);
    at = end;
    return part;
  };
  while (at < plain.length) {
    const key = textOf(take());
    if (key === undefined) throw broken('a name in it is no text');
    yield { key, value: take() };
  }
}

/** What a frame is bound to: its file, its place in it, and whether it is the end. */
class Binding {
  readonly #header: Buffer;
  #index = 0n;

  constructor(header: Uint8Array) {
    this.#header = sha256(header);
  }

  next(last: boolean): Buffer {
    return this.#of(this.#index++, last);
  }

  /** Of the next frame, as one in the middle and as the last. */
  either(): readonly [Buffer, Buffer] {
    const index = this.#index++;
    return [this.#of(index, false), this.#of(index, true)];
  }

  #of(index: bigint, last: boolean): Buffer {
    const place = Buffer.alloc(9);
    place.writeBigUInt64BE(index);
    place[8] = last ? 1 : 0;
    return Buffer.concat([this.#header, place]);
  }
}

function encoded({ seal, key, ...facts }: ArchiveHeader): Uint8Array {
  return utf8(
    JSON.stringify({
      ...facts,
      seal: { config: base64(seal.config), wrapped: base64(seal.wrapped) },
      key: { root: base64(key.root), ring: base64(key.ring) },
    }),
  );
}

const parsedHeader = (text: Uint8Array): ArchiveHeader | undefined => parsed(Header, text);

function parsed<T>(schema: z.ZodType<T>, text: Uint8Array): T | undefined {
  try {
    return schema.safeParse(JSON.parse(textOf(text) ?? '')).data;
  } catch {
    return undefined;
  }
}

function sizeWithin(length: Buffer, limit: number, broken: (reason: string) => Failure): number {
  const size = length.readUInt32BE();
  if (size > limit) throw broken('a length in it cannot be');
  return size;
}

function lengthOf(part: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(part.length);
  return length;
}
