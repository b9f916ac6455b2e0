/**
 * Leases: what was given out and has to be taken back. A lease is written before the credential it covers is made, so that
 * a crash in between leaves a lease too many, never a credential without one.
 *
 * Layout: lease/id/<hash of the lease id>, lease/token/<token hash>/<hash>, lease/mount/<mount uuid>/<hash>; what ends
 * when is in the expiry index, in the same commits.
 */

import { sha256 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { LeaseHandler, LeaseInfo, LeaseTimes } from '../../plugin/plugin.ts';
import type { Storage, Write } from '../../storage/storage.ts';
import { base62 } from '../auth/identifiers.ts';
import { encode, load } from '../auth/records.ts';
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
  readonly tokenHash: string;
  readonly ttl: { readonly defaultMs: Milliseconds; readonly maxMs: Milliseconds };
  readonly times?: LeaseTimes;
}

const KIND = 'lease';

export class LeaseManager {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #expiry: ExpiryIndex;
  readonly #handlerOf: (mountUuid: string, handler: string) => LeaseHandler | undefined;

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
    const id = `${asked.path}/${base62(24)}`;
    const now = this.#clock.now();
    const maxMs = Math.min(asked.times?.maxTtlMs ?? Number.POSITIVE_INFINITY, asked.ttl.maxMs);
    const durationMs = Math.min(asked.times?.ttlMs ?? asked.ttl.defaultMs, maxMs);
    const entry: LeaseEntry = {
      id,
      mountUuid: asked.mountUuid,
      handler: asked.handler,
      state: asked.state,
      tokenHash: asked.tokenHash,
      issuedAt: now,
      expiresAt: now + durationMs,
      maxTtlMs: maxMs,
      renewable: asked.times?.renewable ?? true,
    };
    const hash = hashOf(id);
    // The token must still be there: a lease made while its token is being revoked would be overlooked.
    const token = await this.#storage.get(`token/id/${asked.tokenHash}`);
    if (token === undefined) throw failure('request.denied');
    await this.#storage.commit(
      [
        { key: idKey(id), value: encode(entry) },
        { key: tokenKey(entry.tokenHash, hash), value: encode(id) },
        { key: mountKey(entry.mountUuid, hash), value: encode(id) },
        ...this.#expiry.moved(KIND, hash, undefined, entry.expiresAt),
      ],
      [{ key: `token/id/${asked.tokenHash}`, revision: token.revision }],
    );
    this.#expiry.noted(entry.expiresAt);
    return { id, durationMs, renewable: entry.renewable };
  }

  async lookup(id: string): Promise<LeaseEntry | undefined> {
    return (await load<LeaseEntry>(this.#storage, idKey(id)))?.value;
  }

  /**
   * Gives a lease more time, as far as its handler and its caps allow.
   * @throws Failure lease.unknown, token.not_renewable
   */
  async renew(id: string, incrementMs: Milliseconds): Promise<LeaseInfo> {
    const found = await load<LeaseEntry>(this.#storage, idKey(id));
    const now = this.#clock.now();
    if (found === undefined || found.value.expiresAt <= now) throw failure('lease.unknown');
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
  async revoke(id: string): Promise<void> {
    const entry = await this.lookup(id);
    if (entry === undefined) return;
    await this.#handlerOf(entry.mountUuid, entry.handler)?.revoke(entry.state);
    const hash = hashOf(id);
    const writes: Write[] = [
      { key: idKey(id), delete: true },
      { key: tokenKey(entry.tokenHash, hash), delete: true },
      { key: mountKey(entry.mountUuid, hash), delete: true },
      ...this.#expiry.moved(KIND, hash, entry.expiresAt, undefined),
    ];
    await this.#storage.commit(writes);
  }

  /** Takes back all that a token was given. @throws what a handler throws; the rest is taken back nevertheless */
  revokeByToken(tokenHash: string): Promise<void> {
    return this.#revokeBelow(`lease/token/${tokenHash}/`);
  }

  /** Takes back all that a mount gave out; to be called while it can still do so. */
  revokeByMount(mountUuid: string): Promise<void> {
    return this.#revokeBelow(`lease/mount/${mountUuid}/`);
  }

  async #revokeBelow(prefix: string): Promise<void> {
    const names = await this.#storage.list(prefix);
    const outcomes = await Promise.allSettled(
      names.map(async (name) => {
        const id = await load<string>(this.#storage, prefix + name);
        if (id !== undefined) await this.revoke(id.value);
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
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
