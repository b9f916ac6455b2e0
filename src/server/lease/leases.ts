/**
 * Leases: what was given out and has to be taken back. A lease is written before the credential it covers is made, so that
 * a crash in between leaves a lease too many, never a credential without one.
 *
 * Layout: lease/id/<hash of the lease id>, lease/token/<token hash>/<hash>, lease/mount/<mount uuid>/<hash> and
 * lease/path/<lease id>; what ends when is in the expiry index, in the same commits.
 */

import { sha256 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { base62 } from '../../crypto/random.ts';
import type { LeaseHandler, LeaseInfo, LeaseTimes } from '../../plugin/plugin.ts';
import type { Check, Storage, Write } from '../../storage/storage.ts';
import { decode, encode, load } from '../auth/records.ts';
import type { ExpiryIndex } from './expiry.ts';

/** Times in milliseconds since the epoch. */
export interface LeaseEntry {
  readonly id: string;
  readonly mountUuid: string;
  readonly handler: string;
  readonly state: Json;
  readonly tokenHash: string;
  readonly issuedAt: number;
  readonly lastRenewalAt?: number;
  readonly expiresAt: number;
  readonly maxTtlMs: Milliseconds;
  readonly renewable: boolean;
}

export interface Reservation {
  /** Path of the request: the lease id begins with it. */
  readonly path: string;
  readonly mountUuid: string;
  readonly handler: string;
  readonly state: Json;
  /** Whose end is the lease's end; absent: nobody's that is stored (an orphaned batch token's). */
  readonly tokenHash?: string;
  readonly ttl: { readonly defaultMs: Milliseconds; readonly maxMs: Milliseconds };
  readonly times?: LeaseTimes;
}

const KIND = 'lease';
/** Stands for the holder of leases that no stored token holds. */
const UNHELD = 'none';
/** Revocations that run at once: each may be a conversation with somebody else's database. */
const AT_ONCE = 64;
/** A lease this long past its end is one that cannot be taken back without help. */
const IRREVOCABLE_MS = 24 * 3_600_000;

/** What `tidy` found and mended. */
export interface Tidied {
  /** Index entries that led nowhere. */
  readonly dangling: number;
  /** Leases whose token is gone. */
  readonly orphaned: number;
}

export class LeaseManager {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #expiry: ExpiryIndex;
  readonly #handlerOf: (mountUuid: string, handler: string) => LeaseHandler | undefined;
  /** By lease id: two who take back the same lease wait for the same work. */
  readonly #revoking = new Map<string, Promise<void>>();

  constructor(options: {
    storage: Storage;
    clock: Clock;
    expiry: ExpiryIndex;
    /** The handler of a mounted plugin; undefined where the mount is gone and with it all it could take back. */
    handlerOf: (mountUuid: string, handler: string) => LeaseHandler | undefined;
  }) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#expiry = options.expiry;
    this.#handlerOf = options.handlerOf;
    this.#expiry.handle(KIND, (hash) => this.#expired(hash));
  }

  /** Writes a lease, durably. Its credential may be made only once this has resolved. */
  async reserve(asked: Reservation): Promise<LeaseInfo> {
    const id = `${asked.path.replace(/\/+$/, '')}/${base62(24)}`;
    const now = this.#clock.now();
    const maxMs = Math.min(asked.times?.maxTtlMs ?? Number.POSITIVE_INFINITY, asked.ttl.maxMs);
    const durationMs = Math.min(asked.times?.ttlMs ?? asked.ttl.defaultMs, maxMs);
    const entry: LeaseEntry = {
      id,
      mountUuid: asked.mountUuid,
      handler: asked.handler,
      state: asked.state,
      tokenHash: asked.tokenHash ?? UNHELD,
      issuedAt: now,
      expiresAt: now + durationMs,
      maxTtlMs: maxMs,
      renewable: asked.times?.renewable ?? true,
    };
    const hash = hashOf(id);
    const checks = asked.tokenHash === undefined ? [] : [await this.#livingToken(asked.tokenHash)];
    await this.#storage.commit(
      [
        { key: idKey(id), value: encode(entry) },
        { key: tokenKey(entry.tokenHash, hash), value: encode(id) },
        { key: mountKey(entry.mountUuid, hash), value: encode(id) },
        { key: pathKey(id), value: encode(hash) },
        ...this.#expiry.moved(KIND, hash, undefined, entry.expiresAt),
      ],
      checks,
    );
    this.#expiry.noted(entry.expiresAt);
    return { id, durationMs, renewable: entry.renewable };
  }

  /** The token must still be there: a lease made while its token is being revoked would be overlooked. */
  async #livingToken(hash: string): Promise<Check> {
    const key = `token/id/${hash}`;
    const token = await load<{ revoking?: true }>(this.#storage, key);
    if (token === undefined || token.value.revoking) throw failure('request.denied');
    return { key, revision: token.revision };
  }

  async lookup(id: string): Promise<LeaseEntry | undefined> {
    return (await load<LeaseEntry>(this.#storage, idKey(id)))?.value;
  }

  /**
   * Gives a lease more time, as far as its handler and its caps allow.
   * @throws Failure lease.not_found, token.not_renewable
   */
  async renew(id: string, incrementMs: Milliseconds): Promise<LeaseInfo> {
    const found = await load<LeaseEntry>(this.#storage, idKey(id));
    const now = this.#clock.now();
    if (found === undefined || found.value.expiresAt <= now) throw failure('lease.not_found');
    const entry = found.value;
    const handler = this.#handlerOf(entry.mountUuid, entry.handler);
    if (!entry.renewable || handler === undefined) throw failure('token.not_renewable');
    const left = Math.max(1, entry.issuedAt + entry.maxTtlMs - now);
    const granted = await handler.renew(entry.state, Math.min(incrementMs, left));
    const durationMs = Math.min(granted, left);
    const next: LeaseEntry = { ...entry, expiresAt: now + durationMs, lastRenewalAt: now };
    await this.#storage.commit(
      [
        { key: idKey(id), value: encode(next) },
        ...this.#expiry.moved(KIND, hashOf(id), entry.expiresAt, next.expiresAt),
      ],
      [{ key: idKey(id), revision: found.revision }],
    );
    this.#expiry.noted(next.expiresAt);
    return { id, durationMs, renewable: true };
  }

  /** Takes back what the lease covers, then forgets it. Does nothing where there is none. */
  revoke(id: string): Promise<void> {
    const running = this.#revoking.get(id);
    if (running !== undefined) return running;
    const work = this.#revoke(id).finally(() => this.#revoking.delete(id));
    this.#revoking.set(id, work);
    return work;
  }

  /**
   * Makes a lease due now, durably: from here on its end is sure, through failures and restarts, whoever waits for it.
   * @returns false where there is none
   */
  async revokeSoon(id: string): Promise<boolean> {
    for (;;) {
      const found = await load<LeaseEntry>(this.#storage, idKey(id));
      if (found === undefined) return false;
      const now = this.#clock.now();
      const entry = found.value;
      if (entry.expiresAt <= now) return true;
      try {
        await this.#storage.commit(
          [
            { key: idKey(id), value: encode({ ...entry, expiresAt: now, renewable: false }) },
            ...this.#expiry.moved(KIND, hashOf(id), entry.expiresAt, now),
          ],
          [{ key: idKey(id), revision: found.revision }],
        );
      } catch (error) {
        if (isFailure(error, 'storage.conflict')) continue;
        throw error;
      }
      this.#expiry.noted(now);
      return true;
    }
  }

  /** Forgets a lease, whatever its handler says: for credentials that were taken back by hand. */
  async forget(id: string): Promise<void> {
    try {
      await this.revoke(id);
    } catch {
      const entry = await this.lookup(id);
      if (entry !== undefined) await this.#remove(entry);
    }
  }

  /** Takes back all that a token was given. @throws what a handler throws; the rest is taken back nevertheless */
  async revokeByToken(tokenHash: string): Promise<void> {
    await this.#each(await this.#idsIn(`lease/token/${tokenHash}/`), (id) => this.revoke(id));
  }

  /** Takes back all that a mount gave out; to be called while it can still do so. */
  async revokeByMount(mountUuid: string): Promise<void> {
    await this.#each(await this.#idsIn(`lease/mount/${mountUuid}/`), (id) => this.revoke(id));
  }

  /** Does `work` for each of the leases. @throws the first failure; the others are done nevertheless */
  async #each(ids: readonly string[], work: (id: string) => Promise<unknown>): Promise<void> {
    const failures: unknown[] = [];
    const rest = [...ids];
    const worker = async (): Promise<void> => {
      for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
        try {
          await work(id);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, worker));
    if (failures.length > 0) throw failures[0];
  }

  /** `how` for each lease at or below `prefix`, which may also be the id of one. @throws the first failure, after all */
  async allBelow(prefix: string, how: 'revoke' | 'revokeSoon' | 'forget'): Promise<void> {
    await this.#each(await this.below(prefix), (id) => this[how](id));
  }

  /** The ids of all leases at or below `prefix`. A lease keeps its id, and so its place here, when its mount moves. */
  async below(prefix: string): Promise<string[]> {
    const leaf = prefix.replace(/\/+$/, '');
    if ((await this.#storage.get(pathKey(leaf))) !== undefined) return [leaf];
    const folder = `lease/path/${leaf === '' ? '' : `${leaf}/`}`;
    const ids: string[] = [];
    for await (const { key } of this.#storage.scan(folder, new AbortController().signal))
      ids.push(key.slice('lease/path/'.length));
    return ids;
  }

  /** The next segments of lease ids below `prefix`; folders end in "/". */
  children(prefix: string): Promise<string[]> {
    const leaf = prefix.replace(/\/+$/, '');
    return this.#storage.list(`lease/path/${leaf === '' ? '' : `${leaf}/`}`);
  }

  /** Every lease there is, one after the other. */
  async *all(): AsyncGenerator<LeaseEntry, void, void> {
    for await (const { key, value } of this.#storage.scan('lease/id/', new AbortController().signal))
      yield decode<LeaseEntry>(key, value);
  }

  /** Leases that are long past their end and still there: their handler fails again and again. */
  async irrevocable(): Promise<LeaseEntry[]> {
    const limit = this.#clock.now() - IRREVOCABLE_MS;
    const found: LeaseEntry[] = [];
    for await (const entry of this.all()) if (entry.expiresAt < limit) found.push(entry);
    return found;
  }

  /** Mends what no crash should leave behind but a restored or damaged store might: dead index entries, leases of no token. */
  async tidy(): Promise<Tidied> {
    let dangling = 0;
    for (const folder of ['lease/token/', 'lease/mount/', 'lease/path/']) {
      const dead: Write[] = [];
      for await (const { key, value } of this.#storage.scan(folder, new AbortController().signal)) {
        const named = decode<string>(key, value);
        const hash = folder === 'lease/path/' ? named : hashOf(named);
        if ((await this.#storage.get(`lease/id/${hash}`)) === undefined) dead.push({ key, delete: true });
      }
      dangling += dead.length;
      if (dead.length > 0) await this.#storage.commit(dead);
    }
    const orphans: string[] = [];
    for await (const entry of this.all())
      if (
        entry.tokenHash !== UNHELD &&
        (await this.#storage.get(`token/id/${entry.tokenHash}`)) === undefined
      )
        orphans.push(entry.id);
    await this.#each(orphans, (id) => this.revokeSoon(id));
    return { dangling, orphaned: orphans.length };
  }

  async #idsIn(folder: string): Promise<string[]> {
    const ids: string[] = [];
    for (const name of await this.#storage.list(folder)) {
      const id = await load<string>(this.#storage, folder + name);
      if (id !== undefined) ids.push(id.value);
    }
    return ids;
  }

  async #revoke(id: string): Promise<void> {
    const entry = await this.lookup(id);
    if (entry === undefined) return;
    await this.#handlerOf(entry.mountUuid, entry.handler)?.revoke(entry.state);
    await this.#remove(entry);
  }

  async #remove({ id, tokenHash, mountUuid, expiresAt }: LeaseEntry): Promise<void> {
    const hash = hashOf(id);
    await this.#storage.commit([
      { key: idKey(id), delete: true },
      { key: tokenKey(tokenHash, hash), delete: true },
      { key: mountKey(mountUuid, hash), delete: true },
      { key: pathKey(id), delete: true },
      ...this.#expiry.moved(KIND, hash, expiresAt, undefined),
    ]);
  }

  async #expired(hash: string): Promise<number | undefined> {
    const entry = (await load<LeaseEntry>(this.#storage, `lease/id/${hash}`))?.value;
    if (entry === undefined) return undefined;
    if (entry.expiresAt > this.#clock.now()) return entry.expiresAt;
    await this.revoke(entry.id);
    return undefined;
  }
}

const hashOf = (id: string): string => sha256(id).toString('hex');
const idKey = (id: string): string => `lease/id/${hashOf(id)}`;
const tokenKey = (tokenHash: string, hash: string): string => `lease/token/${tokenHash}/${hash}`;
const mountKey = (mountUuid: string, hash: string): string => `lease/mount/${mountUuid}/${hash}`;
const pathKey = (id: string): string => `lease/path/${id}`;
