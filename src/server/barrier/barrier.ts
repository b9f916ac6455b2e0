/**
 * The wall between the server and a medium that it does not trust. What is written here is sealed before it reaches the
 * store and proven when it comes back; the set-hash record is updated in the same commit as the entries, so that a crash
 * leaves both or neither. Waiting commits share one commit of the store.
 */

import { sameSecret } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Soon } from '../../base/soon.ts';
import { KEY_BYTES } from '../../crypto/aead.ts';
import { wipe } from '../../crypto/wipe.ts';
import { GroupCommit } from '../../storage/group.ts';
import { assertKeys, copiesOf } from '../../storage/keys.ts';
import { conflict, prefixed } from '../../storage/prefixed.ts';
import type { Backend, Change, Check, Entry, Feed, Page, Storage, Write } from '../../storage/storage.ts';
import { type Commit, firstBroken, type Sealed, together, touched } from './batch.ts';
import { CachedPlace, EntryCache, type Source } from './cache.ts';
import { closeEnvelope, openEnvelope } from './envelope.ts';
import { Keyring } from './keyring.ts';
import { KEYRING, PLAIN, RESERVED, RESERVED_FOLDER, SET_HASH } from './records.ts';
import { lockByRoot } from './rootlock.ts';
import { copyOf, decodeSet, emptySet, encodeSet, partOf, type SetHash, toggle } from './sethash.ts';
import { type Verification, verifyEntries } from './verify.ts';

export type BarrierState = 'uninitialized' | 'sealed' | 'unsealed';

/** No key of the store begins so: what was sealed to leave it can never pass for an entry. */
const OUTSIDE = '\0outside/';
/** The keyring is sealed by the root key, which has no term. */
const ROOT_TERM = 0;
/** Other nodes hear of a new root key within a moment, where they run at all. */
const HAND_OVER_MS = 60_000;
const CACHE_BYTES = 64 * 1024 * 1024;

/** A key that left the store, sealed, and the records by which the root key is had. */
export interface Escrow {
  readonly plain: ReadonlyMap<string, Uint8Array>;
  /** What `unlockByRoot` opens. */
  readonly root: Uint8Array;
  /** What `openFor` opens. */
  readonly ring: Uint8Array;
}

interface Open {
  keyring: Keyring;
  rootKey: Buffer;
  /** Values sealed by the newest term since the barrier opened or the term began. */
  sealed: number;
  /** As the store has it at `setRevision`; undefined after a failed commit, until it is read again. */
  set: SetHash | undefined;
  setRevision: number;
}

/** A commit as it waits, and under whose keys its values were sealed. */
interface Member extends Commit {
  readonly open: Open;
}

export class Barrier implements Feed {
  readonly #backend: Backend;
  readonly #queue = new GroupCommit<Member>((batch) => this.#commitBatch(batch));
  readonly #root: Storage;
  readonly #cache: EntryCache;
  #open: Open | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #handOverUntil = 0;

  /** @param cacheBytes how much memory opened entries may take that `near` reads; 0: none are kept */
  constructor(backend: Backend, { cacheBytes = CACHE_BYTES }: { readonly cacheBytes?: number } = {}) {
    this.#backend = backend;
    this.#cache = new EntryCache(cacheBytes, backend.getNow !== undefined);
    this.#root = this.#sealedStorage();
  }

  get sealed(): boolean {
    return this.#open === undefined;
  }

  async state(): Promise<BarrierState> {
    if (this.#open !== undefined) return 'unsealed';
    return (await this.#backend.get(KEYRING)) === undefined ? 'uninitialized' : 'sealed';
  }

  /**
   * Makes the keys of an empty store, in one commit with `plain` (names of PLAIN only). The barrier stays sealed.
   * @throws Failure barrier.initialized
   */
  async initialize(rootKey: Uint8Array, plain: ReadonlyMap<string, Uint8Array> = new Map()): Promise<void> {
    if (rootKey.length !== KEY_BYTES) throw failure('barrier.wrong_key');
    for (const name of plain.keys())
      if (!PLAIN.includes(name))
        throw failure('storage.key', { reason: `${name} may not be stored in plain` });
    const keyring = Keyring.create();
    const encoded = keyring.encode();
    try {
      const records = new Map(plain).set(KEYRING, closeEnvelope(ROOT_TERM, rootKey, KEYRING, encoded));
      const set = emptySet();
      for (const [name, value] of records) toggle(set, 1, partOf(keyring.hashKey, name, value));
      records.set(SET_HASH, sealUnder(keyring, SET_HASH, encodeSet(set)));
      await this.#backend.commit(
        [...records].map(([key, value]) => ({ key, value })),
        [...records.keys()].map((key) => ({ key, revision: 0 })),
      );
    } catch (error) {
      if (isFailure(error, 'storage.conflict')) throw failure('barrier.initialized');
      throw error;
    } finally {
      wipe(encoded);
      keyring.wipe();
    }
  }

  /**
   * Opens the barrier with the key it was initialized with, of which it keeps a copy. Open already, it stays as it is.
   * @throws Failure server.uninitialized, barrier.wrong_key
   */
  async unseal(rootKey: Uint8Array): Promise<void> {
    const stored = await this.#backend.get(KEYRING);
    if (stored === undefined) throw failure('server.uninitialized');
    const encoded =
      rootKey.length === KEY_BYTES
        ? openEnvelope((term) => (term === ROOT_TERM ? rootKey : undefined), KEYRING, stored.value)
        : undefined;
    const keyring = encoded && Keyring.decode(encoded);
    wipe(encoded);
    if (keyring === undefined) throw failure('barrier.wrong_key');
    if (this.#open !== undefined) keyring.wipe();
    else this.#open = { keyring, rootKey: Buffer.from(rootKey), sealed: 0, set: undefined, setRevision: 0 };
  }

  /** Closes the barrier at once for all who come; those whose commit is under way get its true outcome first. */
  async seal(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    this.#cache.wipe();
    await this.#queue.idle();
    if (open === undefined) return;
    open.keyring.wipe();
    wipe(open.rootKey, open.set?.sum);
  }

  /** Adds a key, with which all that is written from now on is sealed. */
  rotate(): Promise<void> {
    return this.#inTurn(() => this.#rotate());
  }

  async #rotate(): Promise<void> {
    const open = this.#opened();
    const before = open.keyring;
    const next = before.rotated();
    const encoded = next.encode();
    const sealed = closeEnvelope(ROOT_TERM, open.rootKey, KEYRING, encoded);
    wipe(encoded);
    const stored = await this.#backend.get(KEYRING);
    try {
      await this.#commitOwn(
        open,
        new Map([[KEYRING, asSealed(open, KEYRING, sealed)]]),
        // Two rotations at once would else lose one of the two terms, and what it sealed.
        [{ key: KEYRING, revision: stored?.revision ?? 0 }],
      );
    } catch (error) {
      next.wipe();
      throw error;
    }
    if (this.#open !== open) return next.wipe();
    open.keyring = next;
    open.sealed = 0;
    before.wipe();
  }

  /** The newest term, and how many values it sealed since the barrier opened or the term began. @throws Failure server.sealed */
  get usage(): { readonly term: number; readonly sealed: number } {
    const { keyring, sealed } = this.#opened();
    return { term: keyring.term, sealed };
  }

  /**
   * Puts another root key over the keyring, in one commit with `plain` (names of PLAIN only): before it all old shares
   * open the store and after it only the new ones, with nothing in between.
   * @throws Failure server.sealed, storage.*
   */
  async rekey(rootKey: Uint8Array, plain: ReadonlyMap<string, Uint8Array>): Promise<void> {
    if (rootKey.length !== KEY_BYTES) throw failure('barrier.wrong_key');
    for (const name of plain.keys())
      if (!PLAIN.includes(name))
        throw failure('storage.key', { reason: `${name} may not be stored in plain` });
    this.#opened();
    return this.#inTurn(() => this.#rekey(rootKey, plain));
  }

  async #rekey(rootKey: Uint8Array, plain: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const open = this.#opened();
    const stored = await this.#backend.get(KEYRING);
    const encoded = open.keyring.encode();
    const records = new Map(plain).set(KEYRING, closeEnvelope(ROOT_TERM, rootKey, KEYRING, encoded));
    wipe(encoded);
    await this.#commitOwn(
      open,
      new Map([...records].map(([key, value]) => [key, asSealed(open, key, value)])),
      [{ key: KEYRING, revision: stored?.revision ?? 0 }],
    );
    wipe(open.rootKey);
    this.#handOverUntil = performance.now() + HAND_OVER_MS;
    // Sealed meanwhile, nobody may find a key here that lives on.
    if (this.#open === open) open.rootKey = Buffer.from(rootKey);
  }

  /**
   * The root key that took the place of another a moment ago, for nodes that have the other one; the caller's to wipe.
   * Undefined at any other time: who was a node once must not come for it later. @throws Failure server.sealed
   */
  handOver(): Buffer | undefined {
    const { rootKey } = this.#opened();
    return performance.now() < this.#handOverUntil ? Buffer.from(rootKey) : undefined;
  }

  /** The root key, for another thread of this process alone; the caller's to wipe. Undefined while sealed. */
  rootKey(): Buffer | undefined {
    return this.#open && Buffer.from(this.#open.rootKey);
  }

  /** Whether this is the key that the barrier was opened with. @throws Failure server.sealed */
  isRootKey(key: Uint8Array): boolean {
    return sameSecret(key, this.#opened().rootKey);
  }

  /** Seals bytes that leave the store, under the newest term. @throws Failure server.sealed */
  sealFor(purpose: string, plain: Uint8Array): Uint8Array {
    return sealUnder(this.#opened().keyring, OUTSIDE + purpose, plain);
  }

  /** What `sealFor` sealed, or undefined where this barrier did not. @throws Failure server.sealed */
  openFor(purpose: string, sealed: Uint8Array): Uint8Array | undefined {
    return this.#unlock(this.#opened(), OUTSIDE + purpose, sealed);
  }

  /**
   * Replaces everything in the store by `entries`, bytes as they lie there, in one commit; then opens again with the
   * root key that it has, where that opens the new keyring, and else stays sealed. A store that does not take the commit
   * keeps all it had, and the barrier opens again.
   * @throws Failure server.sealed, storage.*
   */
  replaceAll(entries: ReadonlyMap<string, Uint8Array>, signal: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#replaceAll(entries, signal));
  }

  async #replaceAll(entries: ReadonlyMap<string, Uint8Array>, signal: AbortSignal): Promise<void> {
    const rootKey = Buffer.from(this.#opened().rootKey);
    await this.seal();
    try {
      try {
        const writes: Write[] = [...entries].map(([key, value]) => ({ key, value }));
        for await (const { key } of this.#backend.scan('', signal))
          if (!entries.has(key)) writes.push({ key, delete: true });
        await this.#backend.commit(writes);
      } catch (error) {
        await this.unseal(rootKey);
        throw error;
      }
      await this.unseal(rootKey).catch((error: unknown) => {
        if (!isFailure(error, 'barrier.wrong_key')) throw error;
      });
    } finally {
      wipe(rootKey);
    }
  }

  /** Every entry of one snapshot, as it lies in the store: sealed. @throws Failure server.sealed */
  sealedEntries(signal: AbortSignal): AsyncIterable<Entry> {
    this.#opened();
    return this.#backend.scan('', signal);
  }

  /** What lies below `prefix` (which ends in "/"), in plain. Every use fails with server.sealed while sealed. */
  view(prefix: string): Storage {
    return prefix === '' ? this.#root : prefixed(this.#root, prefix);
  }

  async head(): Promise<number> {
    this.#opened();
    return this.#backend.head();
  }

  async *changes(after: number, signal: AbortSignal): AsyncGenerator<Change, void, void> {
    this.#opened();
    for await (const { revision, keys } of this.#backend.changes(after, signal)) {
      this.#opened();
      yield { revision, keys: keys.filter((key) => !RESERVED.has(key)) };
    }
  }

  /**
   * Opens every entry of one snapshot and compares the whole with the set-hash record.
   * @param medium a copy of this store, in place of the store itself; one that is older than the root key is whole, but its
   *   keyring is told as damaged
   * @throws Failure server.sealed; storage.unreadable where the medium itself fails
   */
  verify(signal: AbortSignal, medium: Pick<Storage, 'scan'> = this.#backend): Promise<Verification> {
    return verifyEntries(medium.scan('', signal), signal, {
      open: (key, sealed) => this.#unlock(this.#opened(), key, sealed),
      part: (key, stored) => partOf(this.#opened().keyring.hashKey, key, stored),
    });
  }

  /**
   * Seals a key that leaves the store, twice: for whoever opens this store, today or after a rekey, and for whoever has the
   * root key of today, to which the plain records lead.
   * @throws Failure server.sealed, storage.corrupt where a plain record is missing
   */
  escrow(purpose: string, key: Uint8Array): Promise<Escrow> {
    // Not beside a rekey: the root key and the records that lead to it must be of one day.
    return this.#inTurn(async () => {
      const plain = new Map<string, Uint8Array>();
      for (const name of PLAIN) {
        const entry = await this.#backend.get(name);
        if (entry === undefined) throw failure('storage.corrupt', { key: name });
        plain.set(name, entry.value);
      }
      const root = lockByRoot(this.#opened().rootKey, purpose, key);
      return { plain, root, ring: this.sealFor(purpose, key) };
    });
  }

  #sealedStorage(): Storage {
    const barrier = this;
    const source: Source = { assertOpen: () => void this.#opened(), fetch: (key) => this.#fetch(key) };
    return {
      async get(key) {
        barrier.#opened();
        const entry = RESERVED.has(key) ? undefined : await barrier.#backend.get(key);
        return entry && barrier.#reveal(entry);
      },
      place: (key) => new CachedPlace(key, barrier.#cache, source),
      async list(prefix, page = {}) {
        barrier.#opened();
        if (prefix !== RESERVED_FOLDER) return barrier.#backend.list(prefix, page);
        const { limit = Number.POSITIVE_INFINITY } = page;
        const wider: Page = { ...page, limit: limit + RESERVED.size };
        const names = await barrier.#backend.list(prefix, wider);
        return names.filter((name) => !RESERVED.has(prefix + name)).slice(0, limit);
      },
      async *scan(prefix, signal) {
        barrier.#opened();
        for await (const entry of barrier.#backend.scan(prefix, signal))
          if (!RESERVED.has(entry.key)) yield barrier.#reveal(entry);
      },
      // What is thrown in here is a commit that failed, and no promise stands between this one and who commits.
      commit: (writes, checks = []) =>
        new Promise((resolve, reject) => {
          const open = barrier.#opened();
          if (writes.some(({ key }) => RESERVED.has(key)))
            throw failure('storage.key', { reason: 'it belongs to the barrier' });
          assertKeys(writes);
          const sealed = new Map<string, Sealed>();
          for (const write of writes) sealed.set(write.key, sealedWrite(open, write));
          barrier.#enqueue({ open, writes: sealed, checks: copiesOf(checks), resolve, reject });
        }),
    };
  }

  /** Drops from memory what another node wrote: to be called before anybody is answered who may know of it. */
  invalidate(keys: Iterable<string>): void {
    this.#cache.invalidate(keys);
  }

  /** Drops everything from memory: what changed elsewhere is not known any more. */
  forget(): void {
    this.#cache.clear();
  }

  /** Resolves when no commit waits or is under way. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /**
   * Reads the keyring anew, which another node may have rotated, and forgets what is known of the set of all entries.
   * @param rootKey one that may have taken the place of the present one; a copy is kept where it did
   * @throws Failure server.sealed; barrier.wrong_key where the root key was replaced by another one
   */
  refresh(rootKey?: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      const open = this.#opened();
      open.set = undefined;
      const stored = await this.#backend.get(KEYRING);
      const opening = rootKey?.length === KEY_BYTES ? rootKey : open.rootKey;
      const encoded =
        stored && openEnvelope((term) => (term === ROOT_TERM ? opening : undefined), KEYRING, stored.value);
      const keyring = encoded && Keyring.decode(encoded);
      wipe(encoded);
      if (keyring === undefined) throw failure('barrier.wrong_key');
      if (this.#open !== open) return keyring.wipe();
      if (opening !== open.rootKey) {
        wipe(open.rootKey);
        open.rootKey = Buffer.from(opening);
      }
      if (keyring.term === open.keyring.term) return keyring.wipe();
      const before = open.keyring;
      open.keyring = keyring;
      open.sealed = 0;
      before.wipe();
    });
  }

  #fetch(key: string): Soon<Entry | undefined> {
    if (RESERVED.has(key)) return undefined;
    const reading = this.#cache.begin(key);
    const found = (sealed: Entry | undefined): Entry | undefined =>
      this.#cache.end(key, reading, sealed && this.#reveal(sealed));
    const failed = (error: unknown): never => {
      // What could not be read is not known to be absent.
      this.#cache.abandon(key, reading);
      throw error;
    };
    const backend = this.#backend;
    if (backend.getNow === undefined) return backend.get(key).then(found).catch(failed);
    try {
      return found(backend.getNow(key));
    } catch (error) {
      return failed(error);
    }
  }

  /** One change of keys at a time: one that began under a root key or a term which another replaced would lose it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  #opened(): Open {
    if (this.#open === undefined) throw failure('server.sealed');
    return this.#open;
  }

  #reveal(entry: Entry): Entry {
    const value = this.#unlock(this.#opened(), entry.key, entry.value);
    if (value === undefined) throw failure('storage.corrupt', { key: entry.key });
    // Member by member: what a spread gives has a shape of its own, and looking for that costs as much as opening it.
    return { key: entry.key, value, revision: entry.revision };
  }

  #unlock(open: Open, name: string, sealed: Uint8Array): Buffer | undefined {
    return openEnvelope(
      (term) => (name === KEYRING ? (term === ROOT_TERM ? open.rootKey : undefined) : open.keyring.key(term)),
      name,
      sealed,
    );
  }

  #enqueue({ open, writes, checks, resolve, reject }: Member): void {
    this.#cache.hold(writes.keys());
    let held = true;
    const release = (): void => {
      if (held) this.#cache.release(writes.keys());
      held = false;
    };
    this.#queue.add({
      open,
      writes,
      checks,
      resolve(revision) {
        release();
        resolve(revision);
      },
      reject(reason) {
        release();
        reject(reason);
      },
    });
  }

  /** A commit of the barrier's own records. */
  #commitOwn(open: Open, writes: Member['writes'], checks: readonly Check[]): Promise<number> {
    return new Promise((resolve, reject) => this.#enqueue({ open, writes, checks, resolve, reject }));
  }

  /** One commit of the store for the first members of the batch. */
  async #commitBatch(batch: readonly Member[]): Promise<number> {
    const open = this.#open;
    const members = together(batch);
    try {
      if (open === undefined) throw failure('server.sealed');
      const set = copyOf(open.set ?? (await this.#readSet(open)));
      const stored = await this.#backend.getMany(touched(members));
      const writes = new Map<string, Sealed>();
      const accepted: Member[] = [];
      for (const member of members) {
        // Sealed and opened again meanwhile, the barrier may have another keyring.
        if (member.open !== open) {
          member.reject(failure('server.sealed'));
          continue;
        }
        const broken = firstBroken(member.checks, writes, stored);
        if (broken !== undefined) {
          member.reject(conflict(broken.key));
          continue;
        }
        accepted.push(member);
        for (const [key, sealed] of member.writes) {
          const old = stored.get(key);
          if (old !== undefined) toggle(set, -1, partOf(open.keyring.hashKey, key, old.value));
          if (sealed !== undefined) toggle(set, 1, sealed.part);
          writes.set(key, sealed);
        }
      }
      const revision =
        writes.size === 0 ? await this.#backend.head() : await this.#commitSet(open, writes, set);
      for (const member of accepted) member.resolve(revision);
    } catch (error) {
      const reason = isFailure(error, 'storage.conflict') ? failure('storage.foreign_writer') : error;
      // Members that were answered before the error ignore this.
      for (const member of members) member.reject(reason);
    }
    return members.length;
  }

  /** Commits the writes and the set that they lead to. Until the store has answered, nobody knows which set it holds. */
  async #commitSet(open: Open, writes: ReadonlyMap<string, Sealed>, set: SetHash): Promise<number> {
    open.set = undefined;
    const all: Write[] = [];
    for (const [key, sealed] of writes)
      all.push(sealed === undefined ? { key, delete: true } : { key, value: sealed.value });
    all.push({ key: SET_HASH, value: sealUnder(open.keyring, SET_HASH, encodeSet(set)) });
    const revision = await this.#backend.commit(all, [{ key: SET_HASH, revision: open.setRevision }]);
    open.set = set;
    open.setRevision = revision;
    return revision;
  }

  async #readSet(open: Open): Promise<SetHash> {
    const entry = await this.#backend.get(SET_HASH);
    const plain = entry && this.#unlock(open, SET_HASH, entry.value);
    const set = plain && decodeSet(plain);
    // Writing on would hide the loss under a new and valid hash.
    if (entry === undefined || set === undefined) throw failure('storage.corrupt', { key: SET_HASH });
    open.setRevision = entry.revision;
    return set;
  }
}

function sealedWrite(open: Open, write: Write): Sealed {
  if (!('value' in write)) return undefined;
  open.sealed++;
  return asSealed(open, write.key, sealUnder(open.keyring, write.key, write.value));
}

const asSealed = (open: Open, key: string, value: Uint8Array): Sealed => ({
  value,
  part: partOf(open.keyring.hashKey, key, value),
});

function sealUnder(keyring: Keyring, name: string, plain: Uint8Array): Buffer {
  const key = keyring.key(keyring.term);
  if (key === undefined) throw failure('server.sealed');
  return closeEnvelope(keyring.term, key, name, plain);
}
