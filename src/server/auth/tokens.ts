/**
 * Tokens: what a caller shows to be known. A token itself is never stored, only its HMAC under a salt behind the barrier, so
 * that neither a copy of the store nor a memory of its keys gives anybody a way in. Batch tokens are not stored at all:
 * they carry what is known of them, sealed under a key behind the barrier, and end with their time or their parent.
 *
 * Layout below the given storage: token/salt, token/id/<hash>, token/accessor/<hash of the accessor>,
 * token/child/<parent>/<child> for the cascade, and token/login/<mount uuid>/<hash> for what an auth method let in; what
 * ends when is in the expiry index, in the same commits.
 */

import { createHmac, hash as digest, randomBytes } from 'node:crypto';
import { utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { goDuration, type Milliseconds } from '../../base/duration.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { Recent } from '../../base/recent.ts';
import { after, type Soon } from '../../base/soon.ts';
import { hkdf } from '../../crypto/kdf.ts';
import { base62 } from '../../crypto/random.ts';
import { wipe as wipeBytes } from '../../crypto/wipe.ts';
import type { Grant } from '../../plugin/plugin.ts';
import { derived, near, placeOf } from '../../storage/near.ts';
import type { Entry, Place, Storage, Write } from '../../storage/storage.ts';
import type { ExpiryIndex } from '../lease/expiry.ts';
import { decode, encode, load } from './records.ts';
import { isBatch, openBatch, sealBatch } from './tokens-batch.ts';

/** What is known of a token. Times in milliseconds since the epoch. */
export interface TokenEntry {
  readonly hash: string;
  /** Absent: a service token. */
  readonly type?: 'batch';
  /** Empty for batch tokens. */
  readonly accessor: string;
  /** Hash of the token that made it; absent for orphans. */
  readonly parent?: string;
  readonly policies: readonly string[];
  /** Path of the request that made it. */
  readonly path: string;
  readonly displayName: string;
  readonly meta: Readonly<Record<string, string>>;
  /** Uses left; 0: without limit; -1: used up. */
  readonly uses: number;
  readonly createdAt: number;
  readonly ttlMs: Milliseconds;
  /** Longest life, as its mount or role gave it, counted from `createdAt`. */
  readonly maxTtlMs: Milliseconds;
  readonly explicitMaxTtlMs: Milliseconds;
  readonly periodMs: Milliseconds;
  /** Absent: never. */
  readonly expiresAt?: number;
  readonly lastRenewalAt?: number;
  readonly renewable: boolean;
  readonly entityId: string;
  readonly boundCidrs: readonly string[];
  /** The token role that it was made under. */
  readonly role?: string;
  /** The auth mount (its uuid) that let its holder in. */
  readonly loginMount?: string;
  /** Its end has begun: it is no longer a token, and what it made is being taken back. */
  readonly revoking?: true;
}

export interface NewToken {
  readonly type?: 'service' | 'batch';
  /** A token chosen by the caller; only root's routes allow it. */
  readonly id?: string;
  readonly parent?: string;
  readonly policies: readonly string[];
  readonly path: string;
  readonly displayName: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly uses?: number;
  /** 0: never expires, which only a root token may. */
  readonly ttlMs: Milliseconds;
  readonly maxTtlMs: Milliseconds;
  readonly explicitMaxTtlMs?: Milliseconds;
  readonly periodMs?: Milliseconds;
  readonly renewable?: boolean;
  readonly entityId?: string;
  readonly boundCidrs?: readonly string[];
  readonly role?: string;
  readonly loginMount?: string;
}

export interface IssuedToken {
  readonly token: string;
  readonly entry: TokenEntry;
  readonly warnings: readonly string[];
}

/** The reply of the token store's own routes: the token exists already, so the core makes none. */
export interface Issued extends Grant {
  readonly issued: IssuedToken;
}

export const isIssued = (grant: Grant): grant is Issued => 'issued' in grant;

const KIND = 'token';
/** Hashes of tokens that were shown of late. */
const HASH_LIMIT = 20_000;
const RETRY_MS = 1000;
const TOKEN_LENGTH = 1024;
const BATCH_KEY = utf8('holdfast batch tokens');

/** Where the token lies that a sender showed, on who sends it: in a map by object, each request would have to look far for it. */
const SHOWN = Symbol('the place of the token it showed');
type Shower = { [SHOWN]?: { readonly to: object; readonly place: Place } };

export class TokenStore {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #expiry: ExpiryIndex;
  readonly #salt: Uint8Array;
  readonly #batchKey: Buffer;
  readonly #release: (hash: string) => Promise<void>;
  /** Found by a digest under a key of this process, so that no token stays in memory by which one could be guessed at. */
  readonly #shown = new Recent<Place>(HASH_LIMIT);
  readonly #shownKey = randomBytes(32).toString('base64');
  /** Stands for this store with those who outlive it. */
  readonly #mark = {};
  readonly #watchers = new Set<(hash: string) => void>();
  /** Auth mounts that are gone, whose batch tokens have not run out by themselves yet. */
  readonly #closedLogins = new Set<string>();

  private constructor(options: TokenStoreOptions, salt: Uint8Array) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#expiry = options.expiry;
    this.#release = options.release;
    this.#salt = salt;
    this.#batchKey = hkdf(salt, new Uint8Array(0), BATCH_KEY, 32);
    this.#expiry.handle(KIND, (hash) => this.#expired(hash));
  }

  /** Reads the salt, and makes it on the first start. */
  static async open(options: TokenStoreOptions): Promise<TokenStore> {
    const found = await options.storage.get('token/salt');
    const salt = found?.value ?? randomBytes(32);
    if (found === undefined)
      await options.storage.commit(
        [{ key: 'token/salt', value: salt }],
        [{ key: 'token/salt', revision: 0 }],
      );
    const store = new TokenStore(options, salt);
    for (const uuid of await options.storage.list(CLOSED)) store.#closedLogins.add(uuid);
    return store;
  }

  now(): number {
    return this.#clock.now();
  }

  hash(token: string): string {
    return createHmac('sha256', this.#salt).update(token).digest('hex');
  }

  /** A token that may do everything, for ever: told when a store is begun, and by the ceremony that makes another. */
  async createRoot(): Promise<string> {
    const root = { policies: ['root'], path: 'auth/token/root', displayName: 'root', ttlMs: 0, maxTtlMs: 0 };
    return (await this.create(root)).token;
  }

  /**
   * Makes a token, durably; a batch token lies with its holder alone.
   * @throws Failure token.exists, token.missing (the parent is gone), token.batch_limited, token.batch_too_large
   */
  async create(asked: NewToken): Promise<IssuedToken> {
    if (asked.type === 'batch') return this.#createBatch(asked);
    const token = asked.id ?? `hvs.${base62(24)}`;
    const hash = this.hash(token);
    const now = this.#clock.now();
    const warnings: string[] = [];
    const explicitMaxTtlMs = asked.explicitMaxTtlMs ?? 0;
    const periodMs = asked.periodMs ?? 0;
    const life = lifeOf(
      { asked: asked.ttlMs, periodMs, maxTtlMs: asked.maxTtlMs, explicitMaxTtlMs },
      warnings,
    );
    const entry: TokenEntry = {
      hash,
      accessor: base62(24),
      ...(asked.parent === undefined ? {} : { parent: asked.parent }),
      policies: [...new Set(asked.policies)].sort(),
      path: asked.path,
      displayName: asked.displayName,
      meta: asked.meta ?? {},
      uses: asked.uses ?? 0,
      createdAt: now,
      ttlMs: life,
      maxTtlMs: asked.maxTtlMs,
      explicitMaxTtlMs,
      periodMs,
      ...(life === 0 ? {} : { expiresAt: now + life }),
      renewable: (asked.renewable ?? true) && life !== 0,
      entityId: asked.entityId ?? '',
      boundCidrs: asked.boundCidrs ?? [],
      ...(asked.role === undefined ? {} : { role: asked.role }),
      ...(asked.loginMount === undefined ? {} : { loginMount: asked.loginMount }),
    };
    const writes: Write[] = [
      { key: idKey(hash), value: encode(entry) },
      { key: this.#accessorKey(entry.accessor), value: encode(hash) },
      ...this.#expiry.moved(KIND, hash, undefined, entry.expiresAt),
    ];
    if (entry.parent !== undefined) writes.push({ key: childKey(entry.parent, hash), value: encode(hash) });
    if (entry.loginMount !== undefined)
      writes.push({ key: loginKey(entry.loginMount, hash), value: encode(hash) });
    for (;;) {
      const checks = [{ key: idKey(hash), revision: 0 }];
      if (entry.parent !== undefined) {
        // Held against the parent's revision: a child made while its parent is being revoked would outlive it.
        const parent = await load<TokenEntry>(this.#storage, idKey(entry.parent));
        if (parent === undefined || parent.value.revoking) throw failure('token.missing');
        checks.push({ key: idKey(entry.parent), revision: parent.revision });
      }
      // A login that is under way while its mount is taken away would be overlooked.
      if (entry.loginMount !== undefined) checks.push({ key: closedKey(entry.loginMount), revision: 0 });
      try {
        await this.#storage.commit(writes, checks);
        break;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
        if ((await this.#storage.get(idKey(hash))) !== undefined) throw failure('token.exists');
        if (this.#closedLogins.has(entry.loginMount ?? '')) throw failure('request.denied');
      }
    }
    this.#expiry.noted(entry.expiresAt);
    return { token, entry, warnings };
  }

  async #createBatch(asked: NewToken): Promise<IssuedToken> {
    const limited = batchReason(asked);
    if (limited !== undefined) throw failure('token.batch_limited', { field: limited });
    if (asked.parent !== undefined && (await this.byHash(asked.parent)) === undefined)
      throw failure('token.missing');
    const now = this.#clock.now();
    const warnings: string[] = [];
    const life = lifeOf(
      { asked: asked.ttlMs, periodMs: 0, maxTtlMs: asked.maxTtlMs, explicitMaxTtlMs: 0 },
      warnings,
    );
    const entry: Omit<TokenEntry, 'hash'> = {
      type: 'batch',
      accessor: '',
      ...(asked.parent === undefined ? {} : { parent: asked.parent }),
      policies: [...new Set(asked.policies)].sort(),
      path: asked.path,
      displayName: asked.displayName,
      meta: asked.meta ?? {},
      uses: 0,
      createdAt: now,
      ttlMs: life,
      maxTtlMs: asked.maxTtlMs,
      explicitMaxTtlMs: 0,
      periodMs: 0,
      expiresAt: now + life,
      renewable: false,
      entityId: asked.entityId ?? '',
      boundCidrs: asked.boundCidrs ?? [],
      ...(asked.role === undefined ? {} : { role: asked.role }),
      ...(asked.loginMount === undefined ? {} : { loginMount: asked.loginMount }),
    };
    const token = sealBatch(this.#batchKey, entry);
    return { token, entry: { ...entry, hash: this.hash(token) }, warnings };
  }

  /**
   * The living token of this text, or undefined for a token that never was, has expired or is used up.
   * @param sender who showed this very token before: by it its place is found without a digest
   */
  lookup(token: string, sender?: Shower): Soon<TokenEntry | undefined> {
    if (isBatch(token)) {
      const known = openBatch<Omit<TokenEntry, 'hash'>>(this.#batchKey, token);
      return known && this.current({ ...known, hash: this.hash(token) });
    }
    if (token === '' || token.length > TOKEN_LENGTH) return undefined;
    return this.#living(this.#placeFor(token, sender).near());
  }

  #placeFor(token: string, sender: Shower | undefined): Place {
    const known = sender?.[SHOWN];
    if (known?.to === this.#mark) return known.place;
    const place = this.#placeOf(token);
    if (sender !== undefined) sender[SHOWN] = { to: this.#mark, place };
    return place;
  }

  /** Where what callers show with each request lies: found by one digest in one call, where the HMAC costs several. */
  #placeOf(token: string): Place {
    const shown = digest('sha256', this.#shownKey + token, 'base64');
    const known = this.#shown.get(shown);
    if (known !== undefined) return known;
    const place = placeOf(this.#storage, idKey(this.hash(token)));
    this.#shown.set(shown, place);
    return place;
  }

  /** The token as it now is, or undefined where it is no longer alive. */
  async current(entry: TokenEntry): Promise<TokenEntry | undefined> {
    if (entry.type !== 'batch') return this.byHash(entry.hash);
    if (!this.alive(entry) || this.#closedLogins.has(entry.loginMount ?? '')) return undefined;
    if (entry.parent === undefined) return entry;
    return (await this.byHash(entry.parent)) === undefined ? undefined : entry;
  }

  /** The living token of this hash. Whether it still lives is asked each time: its end comes without a commit. */
  byHash(hash: string): Soon<TokenEntry | undefined> {
    return this.#living(near(this.#storage, idKey(hash)));
  }

  #living(entry: Soon<Entry | undefined>): Soon<TokenEntry | undefined> {
    return after(entry, (found) => {
      const token = found && derived(found, tokenOf);
      return token !== undefined && this.alive(token) ? token : undefined;
    });
  }

  async byAccessor(accessor: string): Promise<TokenEntry | undefined> {
    const hash = await load<string>(this.#storage, this.#accessorKey(accessor));
    return hash && this.byHash(hash.value);
  }

  alive(entry: TokenEntry): boolean {
    return (
      entry.revoking === undefined &&
      entry.uses >= 0 &&
      (entry.expiresAt === undefined || entry.expiresAt > this.#clock.now())
    );
  }

  /**
   * Counts one use of a token that has only so many, durably and exactly once each.
   * @returns the entry as it now is, `uses` -1 after the last one, or undefined where none was left
   */
  async use(entry: TokenEntry): Promise<TokenEntry | undefined> {
    if (entry.uses === 0) return entry;
    return this.#change(entry.hash, (current) =>
      this.alive(current) ? { ...current, uses: current.uses === 1 ? -1 : current.uses - 1 } : undefined,
    );
  }

  /**
   * Gives a token more time.
   * @param limits what its role or login gives now; absent: what it was born with
   * @throws Failure token.not_renewable, token.missing
   */
  async renew(
    hash: string,
    incrementMs: Milliseconds,
    limits: RenewalLimits = {},
  ): Promise<{ entry: TokenEntry; warnings: string[] }> {
    const warnings: string[] = [];
    const entry = await this.#change(hash, (stored) => {
      if (!this.alive(stored)) return undefined;
      const current = { ...stored, ...limits };
      if (!current.renewable || current.expiresAt === undefined) throw failure('token.not_renewable');
      warnings.length = 0;
      const now = this.#clock.now();
      const age = now - current.createdAt;
      const asked = incrementMs > 0 ? incrementMs : current.ttlMs;
      const expiresAt = now + lifeOf({ ...current, asked, age }, warnings);
      return { ...current, expiresAt, lastRenewalAt: now };
    });
    if (entry === undefined) throw failure('token.missing');
    this.#expiry.noted(entry.expiresAt);
    return { entry, warnings };
  }

  /**
   * Ends a token, everything it made, and theirs. Interrupted by a crash, it is taken up again at the next start.
   * @param keepChildren makes its children orphans instead
   */
  async revoke(hash: string, { keepChildren = false } = {}): Promise<void> {
    const entry = await this.#change(hash, (current) => ({ ...current, revoking: true }), true);
    if (entry === undefined) return;
    for (const watcher of this.#watchers) watcher(hash);
    try {
      await this.#end(entry, keepChildren);
    } catch (error) {
      // Still due in the index: the next sweep takes it up again.
      this.#expiry.noted(this.#clock.now() + RETRY_MS);
      throw error;
    }
  }

  async #end(entry: TokenEntry, keepChildren: boolean): Promise<void> {
    const { hash } = entry;
    for (const child of await this.#storage.list(`token/child/${hash}/`)) {
      if (keepChildren) await this.#orphan(child);
      else await this.revoke(child);
    }
    await this.#release(hash);
    const writes: Write[] = [
      { key: idKey(hash), delete: true },
      { key: this.#accessorKey(entry.accessor), delete: true },
      ...this.#expiry.moved(KIND, hash, dueOf(entry), undefined),
    ];
    for (const child of await this.#storage.list(`token/child/${hash}/`))
      writes.push({ key: childKey(hash, child), delete: true });
    if (entry.parent !== undefined) writes.push({ key: childKey(entry.parent, hash), delete: true });
    if (entry.loginMount !== undefined) writes.push({ key: loginKey(entry.loginMount, hash), delete: true });
    await this.#storage.commit(writes);
  }

  /** Ends what an auth mount let in. Its batch tokens cannot be taken back: they are no longer believed. */
  async revokeLogins(mountUuid: string): Promise<void> {
    this.#closedLogins.add(mountUuid);
    await this.#storage.commit([{ key: closedKey(mountUuid), value: encode(this.#clock.now()) }]);
    for (const hash of await this.#storage.list(`token/login/${mountUuid}/`)) await this.revoke(hash);
  }

  /** Clears away names that lead to tokens that are gone. @returns how many */
  async tidy(): Promise<number> {
    let cleared = 0;
    for (const name of await this.#storage.list('token/accessor/')) {
      const key = `token/accessor/${name}`;
      const found = await load<string>(this.#storage, key);
      if (found !== undefined) cleared += await this.#clearWithout(found.value, [key], found.revision);
    }
    for (const folder of ['token/child/', 'token/login/'])
      for (const group of await this.#storage.list(folder))
        for (const hash of await this.#storage.list(folder + group))
          cleared += await this.#clearWithout(hash, [folder + group + hash]);
    return cleared;
  }

  /** Deletes the keys unless the token exists: one that is being made meanwhile keeps its own. */
  async #clearWithout(hash: string, keys: readonly string[], revision?: number): Promise<number> {
    if ((await this.#storage.get(idKey(hash))) !== undefined) return 0;
    const checks = [{ key: idKey(hash), revision: 0 }];
    if (revision !== undefined && keys[0] !== undefined) checks.push({ key: keys[0], revision });
    try {
      await this.#storage.commit(
        keys.map((key) => ({ key, delete: true })),
        checks,
      );
      return 1;
    } catch (error) {
      if (isFailure(error, 'storage.conflict')) return 0;
      throw error;
    }
  }

  /** The accessors of all living tokens. */
  async accessors(): Promise<string[]> {
    const found: string[] = [];
    for (const hash of await this.#storage.list('token/id/')) {
      const entry = (await load<TokenEntry>(this.#storage, idKey(hash)))?.value;
      if (entry !== undefined && this.alive(entry)) found.push(entry.accessor);
    }
    return found;
  }

  /** Calls `watcher` with the hash of each token that is being revoked; gives what ends the watch. */
  onRevoke(watcher: (hash: string) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  close(): void {
    this.#shown.clear();
    wipeBytes(this.#salt, this.#batchKey);
  }

  async #expired(hash: string): Promise<number | undefined> {
    const entry = (await load<TokenEntry>(this.#storage, idKey(hash)))?.value;
    if (entry === undefined) return undefined;
    const due = dueOf(entry);
    if (due === undefined || due > this.#clock.now()) return due;
    await this.revoke(hash);
    return undefined;
  }

  async #orphan(hash: string): Promise<void> {
    await this.#change(hash, (current) => {
      const { parent: _, ...rest } = current;
      return rest;
    });
  }

  /** Reads, changes and writes one entry until nobody came between; undefined where it is gone or `change` declines. */
  async #change(
    hash: string,
    change: (current: TokenEntry) => TokenEntry | undefined,
    ending = false,
  ): Promise<TokenEntry | undefined> {
    for (;;) {
      const found = await load<TokenEntry>(this.#storage, idKey(hash));
      if (found === undefined) return undefined;
      const next = change(found.value);
      if (next === undefined) return undefined;
      // An ending token is due at once in the index, so that a crash in the middle of its end is mended on restart.
      const to = ending ? 0 : dueOf(next);
      const entry = ending ? { ...next, expiresAt: 0 } : next;
      try {
        await this.#storage.commit(
          [
            { key: idKey(hash), value: encode(entry) },
            ...this.#expiry.moved(KIND, hash, dueOf(found.value), to),
          ],
          [{ key: idKey(hash), revision: found.revision }],
        );
      } catch (error) {
        if (isFailure(error, 'storage.conflict')) continue;
        throw error;
      }
      return entry;
    }
  }

  #accessorKey(accessor: string): string {
    return `token/accessor/${this.hash(accessor)}`;
  }
}

/** What may have changed since a token was made. Milliseconds. */
export interface RenewalLimits {
  readonly ttlMs?: Milliseconds;
  readonly maxTtlMs?: Milliseconds;
  readonly explicitMaxTtlMs?: Milliseconds;
  readonly periodMs?: Milliseconds;
}

/** What a batch token cannot have, where it was asked for: nobody counts its uses or gives it more time. */
function batchReason(asked: NewToken): string | undefined {
  if ((asked.explicitMaxTtlMs ?? 0) !== 0) return 'explicit_max_ttl';
  if ((asked.uses ?? 0) !== 0) return 'num_uses';
  if ((asked.periodMs ?? 0) !== 0) return 'period';
  if (asked.id !== undefined) return 'id';
  // Without an end it could never be taken back.
  return asked.ttlMs === 0 ? 'ttl' : undefined;
}

export interface TokenStoreOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly expiry: ExpiryIndex;
  /** Takes back what hangs on a token: its leases and its own storage. Repeated until it succeeds. */
  readonly release: (hash: string) => Promise<void>;
}

const tokenOf = ({ key, value }: Entry): TokenEntry => decode<TokenEntry>(key, value);

const idKey = (hash: string): string => `token/id/${hash}`;
const childKey = (parent: string, child: string): string => `token/child/${parent}/${child}`;
const loginKey = (mountUuid: string, hash: string): string => `token/login/${mountUuid}/${hash}`;
const CLOSED = 'token/closed/';
const closedKey = (mountUuid: string): string => CLOSED + mountUuid;
const dueOf = (entry: TokenEntry): number | undefined => entry.expiresAt;

/**
 * How long a token lives from now: its period, or the time asked for, under the caps that count from its birth.
 * @returns milliseconds; 0 is for ever
 */
export function lifeOf(
  from: {
    readonly asked: Milliseconds;
    readonly periodMs: Milliseconds;
    readonly maxTtlMs: Milliseconds;
    readonly explicitMaxTtlMs: Milliseconds;
    readonly age?: Milliseconds;
  },
  warnings: string[],
): Milliseconds {
  const age = from.age ?? 0;
  const wanted = from.periodMs > 0 ? from.periodMs : from.asked;
  if (wanted === 0 && from.explicitMaxTtlMs === 0) return 0;
  const caps: Milliseconds[] = [];
  if (from.explicitMaxTtlMs > 0) caps.push(from.explicitMaxTtlMs);
  // A periodic token lives as long as it is renewed, unless somebody said otherwise explicitly.
  if (from.periodMs === 0 && from.maxTtlMs > 0) caps.push(from.maxTtlMs);
  const cap = Math.min(...caps);
  const left = Math.max(1, cap - age);
  if (wanted === 0) return left;
  if (wanted <= left) return wanted;
  // Upstream counts in whole seconds and names what is left: the milliseconds since the birth are no news to anybody.
  const told = Math.ceil(left / 1000) * 1000;
  if (wanted > told)
    warnings.push(
      `TTL of "${goDuration(wanted)}" exceeded the effective max_ttl of "${goDuration(told)}"; TTL value is capped accordingly`,
    );
  return left;
}
