/**
 * Leases: what was given out and has to be taken back. A lease is written before the credential it covers is made, so that
 * a crash in between leaves a lease too many, never a credential without one. Taking back goes on until it is done: what
 * failed is due again later, durably, and a mount that cannot take back is asked by one lease at a time (gate.ts).
 */

import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';
import { base62 } from '../../crypto/random.ts';
import type { LeaseHandler, LeaseInfo, LeaseTimes } from '../../plugin/plugin.ts';
import type { Check, Storage, Write } from '../../storage/storage.ts';
import { decode, encode, load } from '../auth/records.ts';
import {
  dueId,
  hashOf,
  IRREVOCABLE,
  idKey,
  keyOfHash,
  type LeaseEntry,
  MOUNTS,
  mountFolder,
  oneMore,
  pathFolder,
  pathKey,
  tokenFolder,
  UNHELD,
} from './entry.ts';
import { type ExpiryIndex, UNLISTED } from './expiry.ts';
import { Gate } from './gate.ts';
import { type Tidied, tidied } from './tidy.ts';
import { forEach, keysBelow, namesIn } from './walk.ts';

export type { LeaseEntry } from './entry.ts';

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

/** What became of leases since the barrier opened. */
export interface LeaseCounts {
  readonly revoked: number;
  readonly failures: number;
}

const KIND = 'lease';
/** Leases that one request works on at once; what they ask of a database is bounded by its mount's gate. */
const AT_ONCE = 64;
/** How long the end of a token waits for its leases, whose end is sure from when they are due. */
const PATIENCE_MS = 5_000;
const RETRY = { baseMs: 1000, maxMs: 600_000 };
/** Those that waited for a mount to come back come at different times. */
const SPREAD_MS = 1000;

export class LeaseManager {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #expiry: ExpiryIndex;
  readonly #handlerOf: (mountUuid: string, handler: string) => LeaseHandler | undefined;
  /** By lease id: two who take back the same lease wait for the same work. */
  readonly #revoking = new Map<string, Promise<void>>();
  /** By mount: those in which something is under way or in trouble. */
  readonly #gates = new Map<string, Gate>();
  readonly #counts = { revoked: 0, failures: 0 };

  constructor(options: {
    storage: Storage;
    clock: Clock;
    log: Log;
    expiry: ExpiryIndex;
    /** The handler of a mounted plugin; undefined where the mount is gone and with it all it could take back. */
    handlerOf: (mountUuid: string, handler: string) => LeaseHandler | undefined;
  }) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#expiry = options.expiry;
    this.#handlerOf = options.handlerOf;
    this.#expiry.handle(
      KIND,
      (id, at) => this.#expired(id, at),
      (mountUuid, running) =>
        this.#gates.get(mountUuid)?.room(running, this.#clock.monotonic()) ?? Number.POSITIVE_INFINITY,
    );
  }

  get counts(): LeaseCounts {
    return this.#counts;
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
        { key: tokenFolder(entry.tokenHash) + hash, value: encode(id) },
        { key: mountFolder(entry.mountUuid) + hash, value: encode(id) },
        { key: pathKey(id), value: encode(hash) },
        ...this.#expiry.moved(KIND, dueId(entry), undefined, entry.expiresAt),
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
        ...this.#expiry.moved(KIND, dueId(entry), entry.expiresAt, next.expiresAt),
      ],
      [{ key: idKey(id), revision: found.revision }],
    );
    this.#expiry.noted(next.expiresAt);
    return { id, durationMs, renewable: true };
  }

  /** Takes back what the lease covers, then forgets it. Does nothing where there is none. @throws what its handler throws */
  revoke(id: string): Promise<void> {
    return this.#revokeOnce(id, false);
  }

  #revokeOnce(id: string, onlyIfOpen: boolean): Promise<void> {
    const running = this.#revoking.get(id);
    if (running !== undefined) return running;
    const work = this.#revoke(id, onlyIfOpen).finally(() => this.#revoking.delete(id));
    this.#revoking.set(id, work);
    return work;
  }

  /**
   * Makes a lease due now, durably: from here on its end is sure, through failures and restarts, whoever waits for it.
   * @returns false where there is none
   */
  async revokeSoon(id: string): Promise<boolean> {
    const due = await this.#makeDue(id);
    this.#expiry.noted(due);
    return due !== undefined;
  }

  /** @returns since when it is due, undefined where there is none */
  async #makeDue(id: string): Promise<number | undefined> {
    for (;;) {
      const found = await load<LeaseEntry>(this.#storage, idKey(id));
      if (found === undefined) return undefined;
      const now = this.#clock.now();
      const entry = found.value;
      if (entry.expiresAt <= now) return entry.expiresAt;
      try {
        await this.#storage.commit(
          [
            { key: idKey(id), value: encode({ ...entry, expiresAt: now, renewable: false }) },
            ...this.#expiry.moved(KIND, dueId(entry), entry.expiresAt, now),
          ],
          [{ key: idKey(id), revision: found.revision }],
        );
      } catch (error) {
        if (isFailure(error, 'storage.conflict')) continue;
        throw error;
      }
      return now;
    }
  }

  /** Forgets a lease, whatever its handler says: for credentials that were taken back by hand. */
  async forget(id: string): Promise<void> {
    try {
      await this.#revokeOnce(id, true);
    } catch {
      const entry = await this.lookup(id);
      if (entry !== undefined) await this.#remove(entry);
    }
  }

  /**
   * Takes back all that a token was given: durably due when this resolves, and done where that does not take long. A
   * database that is away must not keep a token from ending.
   * @throws Failure storage.*
   */
  async revokeByToken(tokenHash: string): Promise<void> {
    let held = 0;
    const folder = tokenFolder(tokenHash);
    await forEach(this.#idsIn(folder), AT_ONCE, (id) => {
      held++;
      return this.revokeSoon(id);
    });
    if (held === 0) return;
    const done = forEach(this.#idsIn(folder), AT_ONCE, (id) => this.#revokeOnce(id, true)).catch(() => {});
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(PATIENCE_MS, resolve);
    });
    await Promise.race([done, late]);
    cancel();
  }

  /** Takes back all that a mount gave out; to be called while it can still do so. @throws what a handler throws */
  revokeByMount(mountUuid: string): Promise<void> {
    return forEach(this.#idsIn(mountFolder(mountUuid)), AT_ONCE, (id) => this.#revokeOnce(id, true));
  }

  /**
   * `how` for each lease at or below `prefix`, which may also be the id of one.
   * @throws the first failure, after all were done or, of a mount that cannot take back, left to be done later
   */
  async allBelow(prefix: string, how: 'revoke' | 'revokeSoon' | 'forget'): Promise<void> {
    const work = {
      revoke: (id: string) => this.#revokeOnce(id, true),
      revokeSoon: (id: string) => this.#makeDue(id),
      forget: (id: string) => this.forget(id),
    };
    try {
      await forEach(this.below(prefix), AT_ONCE, work[how]);
    } finally {
      // Only now: who waits for a hundred thousand to be due is not to wait for their revocations too.
      if (how === 'revokeSoon') this.#expiry.noted(this.#clock.now());
    }
  }

  /** The ids of all leases at or below `prefix`. A lease keeps its id, and so its place here, when its mount moves. */
  async *below(prefix: string): AsyncGenerator<string, void, void> {
    const leaf = prefix.replace(/\/+$/, '');
    if ((await this.#storage.get(pathKey(leaf))) !== undefined) return yield leaf;
    for await (const key of keysBelow(this.#storage, pathFolder(leaf)))
      yield leaf === '' ? key : `${leaf}/${key}`;
  }

  /** The next segments of lease ids below `prefix`; folders end in "/". */
  children(prefix: string): Promise<string[]> {
    return this.#storage.list(pathFolder(prefix.replace(/\/+$/, '')));
  }

  /** Every lease there is, one after the other. */
  async *all(): AsyncGenerator<LeaseEntry, void, void> {
    for await (const { key, value } of this.#storage.scan('lease/id/', new AbortController().signal))
      yield decode<LeaseEntry>(key, value);
  }

  /** The leases that end first, at most `limit` of them, in the order of their ends. */
  async *soonest(limit: number): AsyncGenerator<LeaseEntry, void, void> {
    for await (const id of this.#expiry.soonest(KIND, limit)) {
      const entry = await this.#byDueId(id);
      if (entry !== undefined) yield entry;
    }
  }

  /** How many leases there are, by the uuid of the mount that gave them; none of them is read. */
  async count(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for await (const folder of namesIn(this.#storage, MOUNTS)) {
      let count = 0;
      for await (const _ of namesIn(this.#storage, MOUNTS + folder)) count++;
      counts.set(folder.slice(0, -1), count);
    }
    return counts;
  }

  /** Leases that were tried to be taken back so often, and for so long, that somebody should look. */
  async *irrevocable(): AsyncGenerator<LeaseEntry, void, void> {
    for await (const hash of namesIn(this.#storage, IRREVOCABLE)) {
      const entry = (await load<LeaseEntry>(this.#storage, keyOfHash(hash)))?.value;
      if (entry !== undefined) yield entry;
    }
  }

  /** Why nothing of a mount is taken back at the moment; undefined where nothing keeps it. */
  problemOf(mountUuid: string): string | undefined {
    const health = this.#gates.get(mountUuid)?.health;
    return health === undefined || health.pauses === 0 ? undefined : health.reason;
  }

  /** Mends what no crash should leave behind but a restored or damaged store might: dead index entries, leases of no token. */
  tidy(): Promise<Tidied> {
    return tidied(this.#storage, async (id) => void (await this.revokeSoon(id)));
  }

  async *#idsIn(folder: string): AsyncGenerator<string, void, void> {
    for await (const name of namesIn(this.#storage, folder)) {
      const id = await load<string>(this.#storage, folder + name);
      if (id !== undefined) yield id.value;
    }
  }

  /** @param onlyIfOpen leaves it for later where it is known that its mount cannot take back */
  async #revoke(id: string, onlyIfOpen: boolean): Promise<void> {
    const entry = await this.lookup(id);
    if (entry === undefined) return;
    const handler = this.#handlerOf(entry.mountUuid, entry.handler);
    if (handler !== undefined) await this.#takeBack(entry, handler, onlyIfOpen);
    await this.#remove(entry);
    this.#counts.revoked++;
  }

  async #takeBack(entry: LeaseEntry, handler: LeaseHandler, onlyIfOpen: boolean): Promise<void> {
    const { mountUuid } = entry;
    const gate = this.#gates.get(mountUuid) ?? new Gate();
    this.#gates.set(mountUuid, gate);
    try {
      await gate.pass(async () => {
        const began = this.#clock.monotonic();
        if (onlyIfOpen && gate.isPaused(began))
          throw failure('lease.waiting', { reason: gate.health.reason });
        try {
          await handler.revoke(entry.state);
        } catch (error) {
          await this.#failed(entry, gate, began, error);
          throw error;
        }
        // Whoever waited for the mount to come back need not wait longer.
        if (gate.health.pauses > 0) this.#expiry.noted(this.#clock.now());
        gate.succeeded();
      });
    } finally {
      if (gate.size === 0 && gate.health.failures === 0) this.#gates.delete(mountUuid);
    }
  }

  async #failed(entry: LeaseEntry, gate: Gate, began: number, error: unknown): Promise<void> {
    this.#counts.failures++;
    const reason = isFailure(error) ? error.message : 'internal error';
    const now = this.#clock.monotonic();
    if (gate.failed(began, now, reason)) {
      const pauseMs = Math.round(gate.health.pausedUntil - now);
      const mount = entry.id.slice(0, entry.id.indexOf('/'));
      this.#log.warn('a mount takes no lease back; one is tried now and then', { mount, pauseMs, error });
      this.#expiry.noted(this.#clock.now() + pauseMs);
    }
    try {
      await this.#remember(entry.id, reason);
    } catch (problem) {
      if (!isFailure(problem, 'storage.conflict') && !isFailure(problem, 'server.sealed'))
        this.#log.warn('why a lease could not be taken back was not kept', { error: problem });
    }
  }

  async #remember(id: string, reason: string): Promise<void> {
    const found = await load<LeaseEntry>(this.#storage, idKey(id));
    if (found === undefined) return;
    const trouble = oneMore(found.value.trouble, this.#clock.now(), reason);
    const writes: Write[] = [{ key: idKey(id), value: encode({ ...found.value, trouble }) }];
    if (trouble.irrevocable) writes.push({ key: IRREVOCABLE + hashOf(id), value: encode(id) });
    await this.#storage.commit(writes, [{ key: idKey(id), revision: found.revision }]);
  }

  async #remove(entry: LeaseEntry): Promise<void> {
    const hash = hashOf(entry.id);
    const keys = [
      idKey(entry.id),
      tokenFolder(entry.tokenHash) + hash,
      mountFolder(entry.mountUuid) + hash,
      pathKey(entry.id),
    ];
    if (entry.trouble?.irrevocable === true) keys.push(IRREVOCABLE + hash);
    await this.#storage.commit([
      ...keys.map((key) => ({ key, delete: true }) as const),
      ...this.#expiry.moved(KIND, dueId(entry), entry.expiresAt, undefined),
    ]);
  }

  async #byDueId(dueId: string): Promise<LeaseEntry | undefined> {
    const [hash = ''] = dueId.split('.');
    return (await load<LeaseEntry>(this.#storage, keyOfHash(hash)))?.value;
  }

  async #expired(id: string, at: number): Promise<number | undefined | typeof UNLISTED> {
    const entry = await this.#byDueId(id);
    if (entry === undefined) return undefined;
    if (entry.expiresAt > this.#clock.now()) return entry.expiresAt;
    try {
      await this.#revokeOnce(entry.id, true);
    } catch {
      return this.#retryAt(entry);
    }
    return dueId(entry) === id && Math.ceil(entry.expiresAt) === at ? UNLISTED : undefined;
  }

  /** With its mount, where that is what fails; else by itself, at growing distances. */
  async #retryAt({ id, mountUuid }: LeaseEntry): Promise<number> {
    const now = this.#clock.now();
    const health = this.#gates.get(mountUuid)?.health;
    if (health !== undefined && health.pauses > 0)
      return now + Math.max(0, health.pausedUntil - this.#clock.monotonic()) + Math.random() * SPREAD_MS;
    return now + backoff(((await this.lookup(id))?.trouble?.attempts ?? 1) - 1, RETRY);
  }
}
