/**
 * Initialization, sealing and unsealing, free of any wire. The shares and the root key pass through here and are wiped;
 * what stays in the store is the shape of the seal and the wrapped root key.
 */

import { textOf } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { KEY_BYTES } from '../../crypto/aead.ts';
import { randomKey } from '../../crypto/random.ts';
import { combineShares, refuseShares, shareBytes, splitSecret } from '../../crypto/shamir.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Backend } from '../../storage/storage.ts';
import type { Barrier } from '../barrier/barrier.ts';
import { type Course, courseOf } from './course.ts';
import { decodeRecord, refuseRecovery, type SealRecord } from './record.ts';
import { byPeople, byService, CONFIG, recordsUnder, type Stored, WRAPPED, wrappedSurely } from './rootkey.ts';
import { type Seals, SHAMIR } from './seal.ts';
import { UnsealProgress } from './shamir.ts';

/** As `sys/seal-status` shows it: `t` of `n` shares, `progress` of them given in the try named by `nonce`. */
export interface SealStatus {
  /** Of the seal that the configuration names, also while the store is still under another one. */
  readonly type: string;
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly t: number;
  readonly n: number;
  readonly progress: number;
  readonly nonce: string;
  /** Whether a service opens the store, and the shares are of a recovery key. */
  readonly recovery: boolean;
  /** Whether the store waits to be moved to the seal that the configuration names. */
  readonly migration: boolean;
}

/** Shares that do not count yet. */
export interface NewShares {
  /** What they give together: the unseal key, or the recovery key where a service opens the store. */
  readonly unsealKey: Uint8Array;
  readonly t: number;
  readonly n: number;
  readonly shares: readonly Uint8Array[];
}

export class SealKeeper {
  readonly #backend: Backend;
  readonly #barrier: Barrier;
  readonly #seals: Seals;
  readonly #progress = new UnsealProgress();
  #turn: Promise<unknown> = Promise.resolve();

  /** @param seals those of the configuration; none: key shares alone */
  constructor(backend: Backend, barrier: Barrier, seals: Seals = {}) {
    this.#backend = backend;
    this.#barrier = barrier;
    this.#seals = seals;
  }

  /**
   * Makes the keys of an empty store and gives their shares, which exist nowhere else: of the unseal key, or of the
   * recovery key (none, where 0 of 0 are asked for). The barrier is open afterwards, so that the caller can write what a
   * new server needs; it seals then, where that is wanted.
   * @throws Failure seal.config, barrier.initialized, and what the service throws
   */
  initialize({ shares, threshold }: { shares: number; threshold: number }): Promise<readonly Uint8Array[]> {
    return this.#inTurn(async () => {
      const { active } = this.#seals;
      const reason = (active === undefined ? refuseShares : refuseRecovery)(shares, threshold);
      if (reason !== undefined) throw failure('seal.config', { reason });
      // Else the service would be asked for nothing, and its answer told in place of what is the matter.
      if ((await this.#record()) !== undefined) throw failure('barrier.initialized');
      const heldKey = randomKey(KEY_BYTES);
      const rootKey = randomKey(KEY_BYTES);
      try {
        await active?.prepare?.();
        const key = shares === 0 ? undefined : heldKey;
        const made = shares === 0 ? [] : await splitSecret(heldKey, shares, threshold);
        const records = await recordsUnder(active, rootKey, { key, t: threshold, n: shares });
        await this.#barrier.initialize(rootKey, records);
        await this.#barrier.unseal(rootKey);
        return made;
      } finally {
        wipe(heldKey, rootKey);
      }
    });
  }

  /**
   * Counts a share, and unseals with the last one that is needed. While unsealed it changes nothing.
   * @param migrate whether the holder agrees that the store is moved to the seal of the configuration
   * @throws Failure server.uninitialized; seal.migration_pending, seal.no_migration; seal.share_length, which costs no
   *   progress; seal.wrong_shares and what a service throws, which cost all
   */
  submitShare(share: Uint8Array, migrate = false): Promise<SealStatus> {
    return this.#inTurn(async () => {
      const record = await this.#record();
      if (record === undefined) throw failure('server.uninitialized');
      const course = this.#course(record);
      if (course.kind === 'stranded') throw stranded(course);
      if (migrate && course.kind !== 'migrating') throw failure('seal.no_migration');
      if (!migrate && course.kind === 'migrating') throw failure('seal.migration_pending');
      if (!this.#barrier.sealed) return this.#facts(record);
      if (record.n === 0) throw failure('seal.no_recovery');
      const expected = shareBytes(KEY_BYTES, record.n);
      if (share.length !== expected) throw failure('seal.share_length', { expected });
      const all = this.#progress.add(share, record.t);
      if (all !== undefined) await this.#unsealWith(course, all);
      // Read anew: a migration wrote another one.
      return this.status();
    });
  }

  /**
   * Opens the store without anybody, where a service can.
   * @returns "people": only shares open it, now
   * @throws Failure seal.unreachable, seal.refused, seal.lost_key, storage.*
   */
  openByService(): Promise<'open' | 'uninitialized' | 'people'> {
    return this.#inTurn(async () => {
      const record = await this.#record();
      if (record === undefined) return 'uninitialized';
      const course = this.#course(record);
      if (course.kind === 'stranded') throw stranded(course);
      if (!this.#barrier.sealed) return 'open';
      if (course.kind !== 'settled' || course.seal === undefined) return 'people';
      const rootKey = await byService(course.seal, await this.#wrapped());
      try {
        await this.#openWith(rootKey);
        this.#progress.reset();
        return 'open';
      } finally {
        wipe(rootKey);
      }
    });
  }

  /**
   * Wraps the root key anew where the service's key was rotated since, so that its old version can be given up.
   * @returns whether it did
   * @throws Failure server.sealed, and what the service throws
   */
  rewrap(): Promise<boolean> {
    return this.#inTurn(async () => {
      const record = await this.#record();
      const course = record && this.#course(record);
      if (course?.kind !== 'settled' || course.seal === undefined) return false;
      const { seal } = course;
      const wrapped = await this.#wrapped();
      const rootKey = await byService(seal, wrapped);
      try {
        if (!this.#barrier.isRootKey(rootKey)) throw failure('storage.corrupt', { key: WRAPPED });
        const fresh = await wrappedSurely(seal, rootKey);
        if (seal.generation(fresh) === seal.generation(wrapped)) return false;
        await this.#barrier.rekey(rootKey, new Map([[WRAPPED, fresh]]));
        return true;
      } finally {
        wipe(rootKey);
      }
    });
  }

  /** @throws Failure seal.stranded where no seal of the configuration opens this store */
  async check(): Promise<void> {
    const record = await this.#record();
    const course = record && this.#course(record);
    if (course?.kind === 'stranded') throw stranded(course);
  }

  /** Forgets the shares given so far. */
  reset(): Promise<SealStatus> {
    return this.#inTurn(async () => {
      this.#progress.reset();
      return this.#facts(await this.#record());
    });
  }

  async status(): Promise<SealStatus> {
    return this.#facts(await this.#record());
  }

  seal(): Promise<void> {
    return this.#inTurn(async () => {
      this.#progress.reset();
      await this.#barrier.seal();
    });
  }

  /**
   * How many shares open the store, or prove that their holders may act for it, and of how many bytes each is.
   * @throws Failure server.uninitialized
   */
  async shape(): Promise<{ readonly t: number; readonly n: number; readonly shareBytes: number }> {
    const record = await this.#record();
    if (record === undefined) throw failure('server.uninitialized');
    return { t: record.t, n: record.n, shareBytes: shareBytes(KEY_BYTES, record.n) };
  }

  /** The type of the service that opens this store, and undefined where shares do. */
  get service(): string | undefined {
    return this.#seals.active?.type;
  }

  /**
   * Whether these shares are those that open this store, or those of its recovery key: what root generation and rekeying
   * ask of people. The shares are wiped.
   * @throws Failure seal.wrong_shares, server.sealed, and what the service throws
   */
  async prove(shares: readonly Uint8Array[]): Promise<void> {
    const key = await this.#combined(shares);
    try {
      const stored = await this.#stored();
      const course = this.#course(stored.record);
      if (course.kind !== 'settled') throw failure('seal.migration_pending');
      const rootKey = await byPeople(course.seal, stored, key);
      try {
        if (!this.#barrier.isRootKey(rootKey)) throw failure('seal.wrong_shares');
      } finally {
        wipe(rootKey);
      }
    } finally {
      wipe(key);
    }
  }

  /** New shares of a new unseal or recovery key, for `adopt` to make the valid ones. @throws Failure seal.config */
  async draw(shares: number, threshold: number): Promise<NewShares> {
    const reason = refuseShares(shares, threshold);
    if (reason !== undefined) throw failure('seal.config', { reason });
    const unsealKey = randomKey(KEY_BYTES);
    return { unsealKey, t: threshold, n: shares, shares: await splitSecret(unsealKey, shares, threshold) };
  }

  /**
   * Makes the drawn shares the only ones that count, under a new root key, in one commit; wipes their key.
   * @throws Failure server.sealed, storage.*, and what the service throws: then the present shares stay the valid ones
   */
  adopt({ unsealKey: key, t, n }: NewShares): Promise<void> {
    return this.#inTurn(async () => {
      const rootKey = randomKey(KEY_BYTES);
      try {
        await this.#barrier.rekey(rootKey, await recordsUnder(this.#seals.active, rootKey, { key, t, n }));
        wipe(key);
      } finally {
        wipe(rootKey);
      }
    });
  }

  async #unsealWith(
    course: Exclude<Course, { kind: 'stranded' }>,
    shares: readonly Uint8Array[],
  ): Promise<void> {
    const key = await this.#combined(shares);
    try {
      const stored = await this.#stored();
      if (course.kind === 'migrating') return await this.#migrate(course, stored, key);
      const rootKey = await byPeople(course.seal, stored, key);
      try {
        await this.#openWith(rootKey);
      } finally {
        wipe(rootKey);
      }
    } finally {
      wipe(key);
    }
  }

  /**
   * Opens the store with the old seal and puts it under the new one, with a new root key, in one commit: a crash leaves it
   * under one of the two. The shares stay as they are and change their meaning.
   */
  async #migrate(
    { from, to }: Extract<Course, { kind: 'migrating' }>,
    stored: Stored,
    key: Uint8Array,
  ): Promise<void> {
    const before = await byPeople(from, stored, key);
    const rootKey = randomKey(KEY_BYTES);
    try {
      const { t, n } = stored.record;
      await to?.prepare?.();
      const records = await recordsUnder(to, rootKey, { key, t, n });
      await this.#openWith(before);
      await this.#barrier.rekey(rootKey, records).catch(async (error: unknown) => {
        await this.#barrier.seal();
        throw error;
      });
    } finally {
      wipe(before, rootKey);
    }
  }

  async #openWith(rootKey: Uint8Array): Promise<void> {
    try {
      await this.#barrier.unseal(rootKey);
    } catch (error) {
      // The seal did open a root key: it is the keyring that does not fit it.
      if (isFailure(error, 'barrier.wrong_key')) throw failure('storage.corrupt', { key: 'core/keyring' });
      throw error;
    }
  }

  /** What the shares give together, the caller's to wipe; they are wiped. @throws Failure seal.wrong_shares */
  async #combined(shares: readonly Uint8Array[]): Promise<Uint8Array> {
    const key = await combineShares(shares);
    wipe(...shares);
    if (key === undefined) throw failure('seal.wrong_shares');
    return key;
  }

  #course(record: SealRecord): Course {
    return courseOf(record.type, this.#seals);
  }

  #facts(record: SealRecord | undefined): SealStatus {
    const { active } = this.#seals;
    return {
      type: active?.type ?? SHAMIR,
      initialized: record !== undefined,
      sealed: this.#barrier.sealed,
      t: record?.t ?? 0,
      n: record?.n ?? 0,
      progress: this.#progress.count,
      nonce: this.#progress.nonce,
      recovery: active !== undefined,
      migration: record !== undefined && this.#course(record).kind === 'migrating',
    };
  }

  async #stored(): Promise<Stored> {
    const record = await this.#record();
    if (record === undefined) throw failure('server.uninitialized');
    return { record, wrapped: await this.#wrapped() };
  }

  async #wrapped(): Promise<Uint8Array> {
    const entry = await this.#backend.get(WRAPPED);
    if (entry === undefined) throw failure('storage.corrupt', { key: WRAPPED });
    return entry.value;
  }

  async #record(): Promise<SealRecord | undefined> {
    const entry = await this.#backend.get(CONFIG);
    if (entry === undefined) return undefined;
    const record = decodeRecord(textOf(entry.value) ?? '');
    if (record === undefined) throw failure('storage.corrupt', { key: CONFIG });
    return record;
  }

  /** One at a time: two last shares at once would each take the other's try for its own. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

const stranded = ({ from, to }: Extract<Course, { kind: 'stranded' }>) =>
  failure('seal.stranded', { from, to });
