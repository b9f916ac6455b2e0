/**
 * A snapshot of the whole store as one file: gzip over tar with meta.json, state.bin, SHA256SUMS and SHA256SUMS.sealed, the
 * members that `operator raft snapshot` looks for. All entries are in it as they lie in the store, sealed; so the file is
 * no secret, and needs the unseal keys to be of use. A restore checks everything before it changes anything.
 *
 * state.bin: "HFSNAP1\n", then for each entry the length of its key (4 bytes, big-endian), the key in UTF-8, the length of
 * its value (4), the value.
 */

import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Barrier } from '../barrier/barrier.ts';
import { KEYRING, PLAIN } from '../barrier/records.ts';
import { padding, readTar, type TarFile, tarEnd, tarHeader } from './tar.ts';

const MAGIC = utf8('HFSNAP1\n');
const PURPOSE = 'snapshot';
/** Of what is unpacked: a restore holds it in memory, because it is one commit. */
export const SNAPSHOT_LIMIT = 2 * 1024 * 1024 * 1024;
const SMALL_LIMIT = 64 * 1024;
const CHUNK = 1024 * 1024;
const MEMBERS = ['meta.json', 'state.bin', 'SHA256SUMS', 'SHA256SUMS.sealed'] as const;

const broken = (reason: string) => failure('snapshot.broken', { reason });

/**
 * The file, from one scan of the store. It waits on disk meanwhile, sealed as it is, because tar wants sizes first.
 * @param at milliseconds since the epoch
 * @throws Failure server.sealed, storage.*
 */
export async function saveSnapshot(
  barrier: Barrier,
  { at, version, signal }: { at: number; version: string; signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  const head = await barrier.head();
  const spool = await spoolFile();
  try {
    const sum = createHash('sha256');
    let size = 0;
    const write = async (bytes: Uint8Array): Promise<void> => {
      sum.update(bytes);
      await writeAll(spool, bytes);
      size += bytes.length;
    };
    let held: Uint8Array[] = [MAGIC];
    let holding = MAGIC.length;
    for await (const { key, value } of barrier.sealedEntries(signal)) {
      const name = utf8(key);
      held.push(lengthOf(name), name, lengthOf(value), value);
      holding += 8 + name.length + value.length;
      if (holding < CHUNK) continue;
      await write(Buffer.concat(held));
      held = [];
      holding = 0;
    }
    await write(Buffer.concat(held));
    const state = { spool, size, hash: sum.digest('hex') };
    const meta = utf8(
      JSON.stringify({
        Version: 1,
        ID: `holdfast-${head}`,
        Index: head,
        Term: 1,
        Size: size,
        version,
        created: new Date(at).toISOString(),
      }),
    );
    const sums = utf8(`${sha256Hex(meta)}  meta.json\n${state.hash}  state.bin\n`);
    const sealed = barrier.sealFor(PURPOSE, sums);
    return packed(members(at / 1000, meta, state, sums, sealed), spool);
  } catch (error) {
    await spool.close();
    throw error;
  }
}

async function* members(
  at: number,
  meta: Uint8Array,
  state: { spool: FileHandle; size: number },
  sums: Uint8Array,
  sealed: Uint8Array,
): AsyncGenerator<Uint8Array, void, void> {
  const small = (name: string, bytes: Uint8Array) => [
    tarHeader(name, bytes.length, at),
    bytes,
    padding(bytes.length),
  ];
  yield* small('meta.json', meta);
  yield tarHeader('state.bin', state.size, at);
  for (let from = 0; from < state.size; ) {
    const piece = Buffer.alloc(Math.min(CHUNK, state.size - from));
    const { bytesRead } = await state.spool.read(piece, 0, piece.length, from);
    if (bytesRead === 0) throw failure('base.internal');
    from += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
  yield padding(state.size);
  yield* small('SHA256SUMS', sums);
  yield* small('SHA256SUMS.sealed', sealed);
  yield tarEnd();
}

async function* packed(
  parts: AsyncIterable<Uint8Array>,
  spool: FileHandle,
): AsyncGenerator<Uint8Array, void, void> {
  const source = Readable.from(parts, { objectMode: false });
  const gzip = createGzip();
  source.once('error', (error) => gzip.destroy(error));
  try {
    yield* source.pipe(gzip);
  } finally {
    source.destroy();
    gzip.destroy();
    await spool.close();
  }
}

/** A snapshot that was read to its end and is whole. */
export interface Snapshot {
  readonly entries: ReadonlyMap<string, Uint8Array>;
  /** Whether the barrier that is open here sealed it. */
  readonly own: boolean;
}

/**
 * Reads and checks a snapshot; changes nothing.
 * @throws Failure snapshot.broken, snapshot.too_large
 */
export async function readSnapshot(barrier: Barrier, source: AsyncIterable<Uint8Array>): Promise<Snapshot> {
  const found = new Map<string, { bytes: Uint8Array; hash: string }>();
  const gunzip = createGunzip();
  const input = Readable.from(source, { objectMode: false });
  input.once('error', (error) => gunzip.destroy(error));
  try {
    await readTar(input.pipe(gunzip), (name, size) => collect(name, size, found));
  } catch (error) {
    if (isFailure(error)) throw error;
    // What zlib says may quote what it read.
    throw broken('it is no whole gzip file');
  } finally {
    input.destroy();
    gunzip.destroy();
  }
  const [meta, state, sums, sealed] = MEMBERS.map((name) => {
    const member = found.get(name);
    if (member === undefined) throw broken(`it has no ${name}`);
    return member;
  });
  if (meta === undefined || state === undefined || sums === undefined || sealed === undefined)
    throw broken('a member is missing');
  const expected = `${meta.hash}  meta.json\n${state.hash}  state.bin\n`;
  if (textOf(sums.bytes) !== expected) throw broken('a sum in SHA256SUMS is wrong');
  const opened = barrier.openFor(PURPOSE, sealed.bytes);
  const own = opened !== undefined && textOf(opened) === expected;
  const entries = readState(state.bytes);
  for (const needed of [KEYRING, ...PLAIN])
    if (!entries.has(needed)) throw broken(`its store has no ${needed}`);
  return { entries, own };
}

function collect(
  name: string,
  size: number,
  found: Map<string, { bytes: Uint8Array; hash: string }>,
): TarFile {
  if (!(MEMBERS as readonly string[]).includes(name))
    throw broken('it holds a file that is none of a snapshot');
  if (found.has(name)) throw broken('it holds a file twice');
  const limit = name === 'state.bin' ? SNAPSHOT_LIMIT : SMALL_LIMIT;
  if (size > limit) throw failure('snapshot.too_large', { limit });
  const pieces: Buffer[] = [];
  const sum = createHash('sha256');
  return {
    piece(bytes) {
      sum.update(bytes);
      pieces.push(Buffer.from(bytes));
    },
    done() {
      found.set(name, { bytes: Buffer.concat(pieces), hash: sum.digest('hex') });
    },
  };
}

function readState(state: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const bytes = Buffer.from(state.buffer, state.byteOffset, state.byteLength);
  if (Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0)
    throw broken('its state is of another program');
  const entries = new Map<string, Uint8Array>();
  let at = MAGIC.length;
  const take = (): Buffer => {
    if (at + 4 > bytes.length) throw broken('its state is cut off');
    const length = bytes.readUInt32BE(at);
    at += 4 + length;
    if (at > bytes.length) throw broken('its state is cut off');
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = textOf(take());
    if (key === undefined || entries.has(key)) throw broken('a key of its state is not valid');
    entries.set(key, take());
  }
  return entries;
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

/** A file that only this process can reach: it has no name once it is open. */
async function spoolFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `holdfast-snapshot-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, from);
    from += bytesWritten;
  }
}

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
