/**
 * Tokens: what a caller shows to be known. A token itself is never stored, only its HMAC under a salt behind the barrier, so
 * that neither a copy of the store nor a memory of its keys gives anybody a way in.
 *
 * Layout below the given storage: token/salt, token/id/<hash>, token/accessor/<hash of the accessor>, and
 * token/child/<parent>/<child> for the cascade; what ends when is in the expiry index, in the same commits.
 */

import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { goDuration, type Milliseconds } from '../../base/duration.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Grant } from '../../plugin/plugin.ts';
import type { Storage, Write } from '../../storage/storage.ts';
import type { ExpiryIndex } from '../lease/expiry.ts';
import { base62 } from './identifiers.ts';
import { encode, load } from './records.ts';

/** What is known of a token. Times in milliseconds since the epoch. */
export interface TokenEntry {
  readonly hash: string;
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
  /** Its end has begun: it is no longer a token, and what it made is being taken back. */
  readonly revoking?: true;
}

export interface NewToken {
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
const CACHE_LIMIT = 20_000;
const RETRY_MS = 1000;

export class TokenStore {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #expiry: ExpiryIndex;
  readonly #salt: Uint8Array;
  readonly #release: (hash: string) => Promise<void>;
  readonly #cache = new Map<string, TokenEntry>();
  readonly #watchers = new Set<(hash: string) => void>();
  /** Rises with each change: a slow read must not put back into the cache what was taken away meanwhile. */
  #changes = 0;

  private constructor(options: TokenStoreOptions, salt: Uint8Array) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#expiry = options.expiry;
    this.#release = options.release;
    this.#salt = salt;
    this.#expiry.handle(KIND, (hash) => this.#expired(hash));
  }

  /** Reads the salt, and makes it on the first start. */
  static async open(options: TokenStoreOptions): Promise<TokenStore> {
    const found = await options.storage.get('token/salt');
    if (found !== undefined) return new TokenStore(options, found.value);
    const salt = randomBytes(32);
    await options.storage.commit([{ key: 'token/salt', value: salt }], [{ key: 'token/salt', revision: 0 }]);
    return new TokenStore(options, salt);
  }

  hash(token: string): string {
    return createHmac('sha256', this.#salt).update(token).digest('hex');
  }

  /**
   * Makes a token, durably.
   * @throws Failure token.exists, token.missing (the parent is gone)
   */
  async create(asked: NewToken): Promise<IssuedToken> {
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
    };
    const writes: Write[] = [
      { key: idKey(hash), value: encode(entry) },
      { key: this.#accessorKey(entry.accessor), value: encode(hash) },
      ...this.#expiry.moved(KIND, hash, undefined, entry.expiresAt),
    ];
    if (entry.parent !== undefined) writes.push({ key: childKey(entry.parent, hash), value: encode(hash) });
    for (;;) {
      const checks = [{ key: idKey(hash), revision: 0 }];
      if (entry.parent !== undefined) {
        // Held against the parent's revision: a child made while its parent is being revoked would outlive it.
        const parent = await load<TokenEntry>(this.#storage, idKey(entry.parent));
        if (parent === undefined || parent.value.revoking) throw failure('token.missing');
        checks.push({ key: idKey(entry.parent), revision: parent.revision });
      }
      try {
        await this.#storage.commit(writes, checks);
        break;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
        if ((await this.#storage.get(idKey(hash))) !== undefined) throw failure('token.exists');
      }
    }
    this.#expiry.noted(entry.expiresAt);
    return { token, entry, warnings };
  }

  /** The living token of this text, or undefined for a token that never was, has expired or is used up. */
  async lookup(token: string): Promise<TokenEntry | undefined> {
    if (token === '' || token.length > 1024) return undefined;
    return this.byHash(this.hash(token));
  }

  async byHash(hash: string): Promise<TokenEntry | undefined> {
    let entry = this.#cache.get(hash);
    if (entry === undefined) {
      const before = this.#changes;
      entry = (await load<TokenEntry>(this.#storage, idKey(hash)))?.value;
      if (entry !== undefined && before === this.#changes) this.#remember(entry);
    }
    return entry !== undefined && this.alive(entry) ? entry : undefined;
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
   * @throws Failure token.not_renewable, token.missing
   */
  async renew(hash: string, incrementMs: Milliseconds): Promise<{ entry: TokenEntry; warnings: string[] }> {
    const warnings: string[] = [];
    const entry = await this.#change(hash, (current) => {
      if (!this.alive(current)) return undefined;
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
    this.#forget(hash);
    await this.#storage.commit(writes);
    this.#forget(hash);
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
    this.#cache.clear();
    this.#changes++;
    this.#salt.fill(0);
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
      this.#forget(hash);
      return entry;
    }
  }

  #accessorKey(accessor: string): string {
    return `token/accessor/${this.hash(accessor)}`;
  }

  #remember(entry: TokenEntry): void {
    if (this.#cache.size >= CACHE_LIMIT) {
      const oldest = this.#cache.keys().next().value;
      if (oldest !== undefined) this.#cache.delete(oldest);
    }
    this.#cache.set(entry.hash, entry);
  }

  #forget(hash: string): void {
    this.#changes++;
    this.#cache.delete(hash);
  }
}

export interface TokenStoreOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly expiry: ExpiryIndex;
  /** Takes back what hangs on a token: its leases and its own storage. Repeated until it succeeds. */
  readonly release: (hash: string) => Promise<void>;
}

const idKey = (hash: string): string => `token/id/${hash}`;
const childKey = (parent: string, child: string): string => `token/child/${parent}/${child}`;
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
  warnings.push(
    `TTL of "${goDuration(wanted)}" exceeded the effective max_ttl of "${goDuration(cap)}"; TTL value is capped accordingly`,
  );
  return left;
}
