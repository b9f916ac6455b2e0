/**
 * The embedded store: one LMDB file, written by one process. A commit that resolved has been synced, and writers that
 * wait share a sync. LMDB says nothing of who wrote the file: it is as untrusted as any other medium.
 *
 * In the file, "e" and a key leads to the entry: its revision (8 bytes, big-endian), then the value. "h" leads to the head.
 */

import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Database, open, type Transaction } from 'lmdb';
import { view } from '../base/bytes.ts';
import { failure, isFailure } from '../base/errors.ts';
import { type Log, silentLog } from '../base/log.ts';
import { GroupCommit } from './group.ts';
import { HIGH_WATER_FILE, HighWaterMark } from './highwater.ts';
import { History } from './history.ts';
import { assertKeys, canKeep, childOf, copiesOf, pastFolder } from './keys.ts';
import { FolderLock } from './lock.ts';
import { conflict } from './prefixed.ts';
import {
  type Backend,
  type Change,
  type Check,
  type Entry,
  KEY_LIMIT,
  type Page,
  type Write,
} from './storage.ts';

export interface LmdbOptions {
  /** What the lock tells others of this process beside its pid, such as the address it listens on. */
  readonly owner?: string;
  /** Hears when the disk stops taking writes, and when it takes them again. */
  readonly log?: Log;
}

export interface LmdbBackend extends Backend {
  /** Changes what the lock tells others of this process. */
  setOwner(owner: string): void;
}

const HEAD = Buffer.from('h');
/** 'e' */
const ENTRY = 0x65;
const REVISION_BYTES = 8;
/** What the upper half of a revision counts. */
const HIGH_UNIT = 2 ** 32;
/** How many entries of a scan are read in one go, between which others get their turn. */
const SCAN_CHUNK = 256;
/** How many bytes of writes share a sync at most, so that one batch does not hold up all others. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** mdb.c, MDB_MAGIC behind the header of each of the first two pages, in the byte order of the machine that wrote it. */
const META_MAGIC = Buffer.from('dec0efbe', 'hex');
const META_MAGIC_OFFSET = 24;
/** mdb.c, mm_psize: how long a page is, in 4 bytes. */
const PAGE_SIZE_OFFSET = 48;
const LARGEST_PAGE = 65_536;

/** A text is the key of an entry; bytes are as they lie in the file. */
type Key = string | Uint8Array;
type Store = Database<Buffer, Key>;

/** How lmdb has keys written: into room of its own, as a Buffer for each would cost as much as finding it. */
const keyEncoder = {
  writeKey(key: Key, target: Buffer, start: number): number {
    if (typeof key !== 'string') {
      target.set(key, start);
      return start + key.length;
    }
    target[start] = ENTRY;
    return start + 1 + target.write(key, start + 1);
  },
  readKey: (source: Uint8Array, start: number, end: number): Uint8Array =>
    Uint8Array.prototype.slice.call(source, start, end),
};

/**
 * Opens the store in `folder`, which is made where it is missing (mode 0700, files 0600), and holds its lock until close.
 * @throws Failure storage.locked naming the process that has it, storage.unusable, storage.older where acknowledged commits
 *   are gone
 */
export async function openLmdb(folder: string, options: LmdbOptions = {}): Promise<LmdbBackend> {
  const path = resolve(folder);
  const lock = new FolderLock(path);
  const log = options.log ?? silentLog;
  let store: Store | undefined;
  let isHeld = false;
  let mark: HighWaterMark | undefined;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const early = lock.holder();
    if (early !== undefined) throw lock.refusal(early);
    const file = join(path, 'store.mdb');
    // LMDB would make them readable for all.
    for (const name of [file, `${file}-lock`]) {
      closeSync(openSync(name, 'a', 0o600));
      chmodSync(name, 0o600);
    }
    assertStore(file);
    const opened = openFile(file);
    store = opened;
    // LMDB has one writer among all processes, so that of two that find a dead holder only one takes its place.
    const holder = opened.transactionSync(() => {
      const living = lock.holder();
      if (living === undefined) lock.take(options.owner ?? '');
      return living;
    });
    if (holder !== undefined) throw lock.refusal(holder);
    isHeld = true;
    mark = new HighWaterMark(path, (error) =>
      log.warn('the newest revision cannot be noted beside the store', {
        folder: path,
        reason: reasonOf(error),
      }),
    );
    assertNewest(opened, mark, path);
    syncFolder(path);
    syncFolder(dirname(path));
    return new Lmdb(opened, { lock, mark }, path, log);
  } catch (error) {
    mark?.close();
    await store?.close();
    if (isHeld) lock.release();
    if (isFailure(error)) throw error;
    throw failure('storage.unusable', { folder: path, reason: reasonOf(error) }, { cause: error });
  }
}

/** Writing on would hide that acknowledged commits are gone, and what they took back, such as a revoked token, would count again. */
function assertNewest(store: Store, mark: HighWaterMark, folder: string): void {
  const found = headOf(store);
  if (found < mark.found)
    throw failure('storage.older', { folder, found, newest: mark.found, file: HIGH_WATER_FILE });
  if (found > mark.found) mark.note(found);
}

/** The same for all threads of a process: they share what LMDB has open of a file. */
function openFile(path: string): Store {
  const options = {
    path,
    noSubdir: true,
    encoding: 'binary',
    keyEncoder,
    cache: false,
    // With it a commit would resolve before it is on disk.
    overlappingSync: false,
    // Each write is one `batch`. Grouping by turn would add a promise that nobody can catch when the disk fails.
    eventTurnBatching: false,
    // With more than so many writes behind one that waits, it does not wait for the end of the turn.
    txnStartThreshold: 1,
  } as const;
  return open<Buffer, Key>(options);
}

/** The store as another thread of this process sees it, which never writes. */
export interface LmdbReader extends Backend {
  /** What is read from now on is as of now, and not as of the beginning of this turn of the loop. */
  renew(): void;
}

/**
 * Opens, for a thread that only reads, a store that another thread of this process holds open.
 * @throws Failure storage.unusable
 */
export function openLmdbReader(folder: string): LmdbReader {
  const path = resolve(folder);
  try {
    return new Lmdb(openFile(join(path, 'store.mdb')), undefined, path, silentLog);
  } catch (error) {
    throw failure('storage.unusable', { folder: path, reason: reasonOf(error) }, { cause: error });
  }
}

/** What the one thread has that writes. */
interface Writing {
  readonly lock: FolderLock;
  readonly mark: HighWaterMark;
}

/** Of an entry, as it lies in the file but for its revision, which is not known yet; undefined: it goes. */
type Waiting = Buffer | undefined;

interface Member {
  /** The last write of each key, in copies that the caller can no longer change. */
  readonly writes: ReadonlyMap<string, Waiting>;
  readonly checks: readonly Check[];
  readonly resolve: (revision: number) => void;
  readonly reject: (reason: unknown) => void;
}

class Lmdb implements LmdbBackend, LmdbReader {
  readonly name = 'lmdb';
  readonly #store: Store;
  /** Absent: another thread writes. */
  readonly #writing: Writing | undefined;
  readonly #history: History;
  readonly #queue = new GroupCommit<Member>((batch) => this.#write(batch));
  readonly #snapshots = new Set<Transaction>();
  readonly #folder: string;
  readonly #log: Log;
  #closed = false;
  #failing = false;

  constructor(store: Store, writing: Writing | undefined, folder: string, log: Log) {
    this.#store = store;
    this.#folder = folder;
    this.#log = log;
    this.#writing = writing;
    this.#history = new History(headOf(store));
  }

  setOwner(owner: string): void {
    this.#assertOpen();
    this.#writing?.lock.take(owner);
  }

  renew(): void {
    if (!this.#closed) this.#store.resetReadTxn();
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.getNow(key);
  }

  getNow(key: string): Entry | undefined {
    this.#assertOpen();
    return canKeep(key) ? this.#read(key) : undefined;
  }

  /** One turn of the one writer: nothing can be committed between two of its reads. */
  async getMany(keys: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    this.#assertOpen();
    const entries = new Map<string, Entry>();
    for (const key of keys) {
      const found = canKeep(key) ? this.#read(key) : undefined;
      if (found !== undefined) entries.set(key, found);
    }
    return entries;
  }

  async list(prefix: string, { after, limit = Number.POSITIVE_INFINITY }: Page = {}): Promise<string[]> {
    this.#assertOpen();
    const children: string[] = [];
    if (!canKeep(prefix)) return children;
    let start = after === undefined ? prefix : startAfter(prefix, after);
    let exclusive = after !== undefined && !after.includes('/');
    for (;;) {
      // Entries come in runs; a folder is skipped by a new seek, however much it holds.
      let folder: string | undefined;
      // A start that no key can have is cut: whatever is after the whole is after the part, and the other way round.
      const from = Buffer.from(`e${start}`).subarray(0, KEY_LIMIT + 1);
      for (const found of this.#store.getKeys({ start: from, exclusiveStart: exclusive })) {
        if (children.length >= limit) return children;
        const key = keyOf(found);
        if (!key?.startsWith(prefix)) return children;
        const child = childOf(key.slice(prefix.length));
        children.push(child);
        if (child.endsWith('/')) {
          folder = prefix + child;
          break;
        }
      }
      if (folder === undefined) return children;
      start = pastFolder(folder);
      exclusive = false;
    }
  }

  async *scan(prefix: string, signal: AbortSignal): AsyncGenerator<Entry, void, void> {
    signal.throwIfAborted();
    this.#assertOpen();
    if (!canKeep(prefix)) return;
    const snapshot = this.#store.useReadTransaction();
    this.#snapshots.add(snapshot);
    try {
      let last: string | undefined;
      for (;;) {
        const chunk = this.#chunk(prefix, last, snapshot);
        for (const entry of chunk) {
          signal.throwIfAborted();
          yield entry;
        }
        signal.throwIfAborted();
        // LMDB would read from memory that is no longer mapped.
        this.#assertOpen();
        last = chunk.at(-1)?.key;
        if (chunk.length < SCAN_CHUNK) return;
        await new Promise((resume) => setImmediate(resume));
        this.#assertOpen();
      }
    } finally {
      if (this.#snapshots.delete(snapshot)) snapshot.done();
    }
  }

  commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#assertOpen();
      if (this.#writing === undefined) throw failure('storage.standby');
      assertKeys(writes);
      const waiting = new Map<string, Waiting>();
      for (const write of writes)
        waiting.set(write.key, 'value' in write ? recordOf(write.value) : undefined);
      this.#queue.add({ writes: waiting, checks: copiesOf(checks), resolve, reject });
    });
  }

  async head(): Promise<number> {
    this.#assertOpen();
    return this.#history.head;
  }

  changes(after: number, signal: AbortSignal): AsyncIterable<Change> {
    return this.#history.follow(after, signal, () => (this.#closed ? failure('storage.closed') : undefined));
  }

  /** Waits for the commits that were asked for, then lets go of the folder. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#history.wake();
    await this.#queue.idle();
    for (const snapshot of this.#snapshots) snapshot.done();
    this.#snapshots.clear();
    await this.#store.close();
    this.#writing?.mark.close();
    this.#writing?.lock.release();
  }

  /**
   * Tests each member against the store and the members before it, then writes all that hold in one transaction. The
   * tests come first because LMDB's own transactions do not roll back: nothing that can fail happens between the puts.
   */
  async #write(batch: readonly Member[]): Promise<number> {
    const base = this.#history.head;
    let revision = base;
    let bytes = 0;
    let taken = 0;
    const changed = new Map<string, Waiting>();
    const accepted: { readonly member: Member; readonly revision: number }[] = [];
    for (const member of batch) {
      if (bytes > BATCH_BYTES) break;
      taken++;
      try {
        const broken = member.checks.find((check) => this.#revisionOf(check.key, changed) !== check.revision);
        if (broken !== undefined) {
          member.reject(conflict(broken.key));
          continue;
        }
      } catch (error) {
        member.reject(failure('storage.write', {}, { cause: error }));
        continue;
      }
      if (member.writes.size > 0) revision++;
      for (const [key, record] of member.writes) {
        if (record !== undefined) stamp(record, revision);
        changed.set(key, record);
        bytes += key.length + (record?.length ?? 0);
      }
      accepted.push({ member, revision });
    }
    try {
      if (revision > base) await this.#put(changed, revision);
    } catch (error) {
      this.#fails(error);
      const reason = failure('storage.write', {}, { cause: error });
      for (const { member } of accepted) member.reject(reason);
      return taken;
    }
    if (this.#failing && revision > base) this.#recovers();
    if (revision > base) this.#writing?.mark.note(revision);
    for (const { member, revision: given } of accepted) {
      if (member.writes.size > 0) this.#history.add({ revision: given, keys: [...member.writes.keys()] });
      member.resolve(given);
    }
    return taken;
  }

  /** Once, and not for each of the requests that it fails. */
  #fails(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#log.error('the store does not take writes', { folder: this.#folder, reason: reasonOf(error) });
  }

  #recovers(): void {
    this.#failing = false;
    this.#log.info('the store takes writes again', { folder: this.#folder });
  }

  async #put(writes: ReadonlyMap<string, Waiting>, head: number): Promise<void> {
    // A put may have a promise of its own, and all fail together: one left alone would end the process.
    const done = new Set<Promise<boolean>>();
    done.add(
      this.#store.batch(() => {
        for (const [key, record] of writes)
          done.add(record === undefined ? this.#store.remove(key) : this.#store.put(key, record));
        done.add(this.#store.put(HEAD, stamp(Buffer.allocUnsafe(REVISION_BYTES), head)));
      }),
    );
    // By itself lmdb begins at the end of this turn, behind all requests and answers of it: a batch more has it begin now.
    done.add(this.#store.batch(() => {}));
    const results = await Promise.allSettled(done);
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      const { reason } = result;
      if (!(reason instanceof Error && 'commitError' in reason && reason.commitError instanceof Promise))
        throw reason;
      // The medium's own error is a promise on the error; that it is awaited keeps it from ending the process.
      throw await reason.commitError.then(
        () => reason,
        (cause: unknown) => cause,
      );
    }
  }

  #revisionOf(key: string, changed: ReadonlyMap<string, Waiting>): number {
    if (changed.has(key)) return revisionOf(changed.get(key));
    return canKeep(key) ? (this.#read(key)?.revision ?? 0) : 0;
  }

  #read(key: string): Entry | undefined {
    const record = this.#store.getBinaryFast(key);
    return record && decode(key, record);
  }

  #chunk(prefix: string, after: string | undefined, transaction: Transaction): Entry[] {
    const entries: Entry[] = [];
    const range = this.#store.getRange({
      start: after ?? prefix,
      exclusiveStart: after !== undefined,
      limit: SCAN_CHUNK,
      transaction,
    });
    for (const found of range) {
      const key = keyOf(found.key);
      if (!key?.startsWith(prefix)) break;
      entries.push(decode(key, found.value));
    }
    for (const entry of entries) this.#assertFound(entry, transaction);
    return entries;
  }

  /** Where a page that leads to others is damaged, a walk along the leaves passes what a lookup never comes to. */
  #assertFound({ key, revision }: Entry, transaction: Transaction): void {
    const found = this.#store.get(key, { transaction });
    if (found === undefined || revisionOf(found) !== revision)
      throw failure('storage.unreadable', { reason: `it holds ${key}, and a lookup does not find it` });
  }

  #assertOpen(): void {
    if (this.#closed) throw failure('storage.closed');
  }
}

const headOf = (store: Store): number => revisionOf(store.getBinaryFast(HEAD));

/** The key of an entry, or undefined for what is none. */
function keyOf(key: Key): string | undefined {
  return typeof key !== 'string' && key[0] === ENTRY ? view(key).toString('utf8', 1) : undefined;
}

function startAfter(prefix: string, after: string): string {
  return prefix + (after.includes('/') ? pastFolder(childOf(after)) : after);
}

/** A record with room for its revision. */
function recordOf(value: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(REVISION_BYTES + value.length);
  record.set(value, REVISION_BYTES);
  return record;
}

/** Writes the revision into a record: in halves, as a bigint would be made for each. */
function stamp(record: Buffer, revision: number): Buffer {
  record.writeUInt32BE(Math.floor(revision / HIGH_UNIT));
  record.writeUInt32BE(revision % HIGH_UNIT, REVISION_BYTES / 2);
  return record;
}

const revisionOf = (record: Buffer | undefined): number =>
  record === undefined || record.length < REVISION_BYTES
    ? 0
    : record.readUInt32BE() * HIGH_UNIT + record.readUInt32BE(REVISION_BYTES / 2);

/**
 * Copies out of the map: its memory is another entry's after the next read. The record is a buffer of 16 MB whose `length`
 * lmdb overrides: what Node does natively (subarray, from Node 24 on) sees the true one, so the end is always given.
 */
function decode(key: string, record: Buffer): Entry {
  const { length } = record;
  const value = Buffer.allocUnsafe(Math.max(0, length - REVISION_BYTES));
  record.copy(value, 0, REVISION_BYTES, length);
  return { key, value, revision: revisionOf(record) };
}

/**
 * LMDB's native code crashes the process over a file that is none of its own, and takes for the newest commit whatever the
 * second page says. Empty is as good as new; so is a second page that was never written.
 */
function assertStore(file: string): void {
  const start = Buffer.alloc(PAGE_SIZE_OFFSET + 4);
  const magicOf = (page: Buffer): Buffer =>
    page.subarray(META_MAGIC_OFFSET, META_MAGIC_OFFSET + META_MAGIC.length);
  const handle = openSync(file, 'r');
  try {
    const length = readSync(handle, start, 0, start.length, 0);
    if (length === 0) return;
    const pageSize = start.readUInt32LE(PAGE_SIZE_OFFSET);
    if (!magicOf(start).equals(META_MAGIC) || pageSize > LARGEST_PAGE)
      throw new Error('store.mdb is no LMDB file');
    const second = Buffer.alloc(start.length);
    readSync(handle, second, 0, second.length, pageSize);
    if (!magicOf(second).equals(META_MAGIC) && second.some((byte) => byte !== 0))
      throw new Error('the second page of store.mdb is damaged');
  } finally {
    closeSync(handle);
  }
}

/** What the file system must not forget: that the file exists. */
function syncFolder(path: string): void {
  if (!existsSync(path)) return;
  try {
    const folder = openSync(path, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch {
    // Some systems cannot sync a folder, and a parent may be unreadable.
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message.slice(0, 100);
}
