/**
 * The backups of a server: made on a schedule or when somebody asks, each verified by restoring it, old ones pruned. It lives
 * with the barrier: it begins on the node that leads, once that is open, and ends before the barrier closes.
 */

import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Cron } from '../../base/cron.ts';
import { asFailure, failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { pause } from '../../base/waiting.ts';
import { KEY_BYTES } from '../../crypto/aead.ts';
import { randomKey } from '../../crypto/random.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Barrier } from '../barrier/barrier.ts';
import type { AutoSeal } from '../seal/seal.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { ARCHIVE_FORMAT, type ArchiveCount, writeArchive } from './archive.ts';
import { knownBackup, latestGood, rememberBackup } from './behind.ts';
import { archiveName, type Manifest } from './manifest.ts';
import type { Place } from './place.ts';
import { gather } from './recall.ts';
import { choose, newest, nextTry, type PrunePlan, prunePlan, retryDelay } from './retention.ts';
import { discard, putManifest, type Shelved, shelved } from './shelf.ts';
import { KEY_PURPOSE, type Scratch, verifyArchive } from './verify.ts';

/** A `backup` stanza, opened. */
export interface BackupTarget {
  readonly name: string;
  /** Absent: only when somebody asks. */
  readonly schedule?: { readonly text: string; readonly cron: Cron };
  readonly keepMs: number;
  readonly place: Place;
}

export interface BackupWorld {
  readonly barrier: Barrier;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly targets: readonly BackupTarget[];
  clusterId(): string;
  /** A store to restore into; made anew each time. */
  scratch(): Promise<Scratch>;
  readonly seal?: AutoSeal | undefined;
}

/** What is known of a target without asking its place. Times are milliseconds since the epoch. */
export interface TargetState {
  readonly target: BackupTarget;
  /** When the newest backup that is known to be good was made. */
  readonly verifiedAt: number | undefined;
  readonly nextAt: number | undefined;
  readonly triedAt: number | undefined;
  /** In a row. */
  readonly failures: number;
  readonly totals: { readonly made: number; readonly failed: number };
  /** Empty where the last try went well. */
  readonly problem: string;
  readonly running: boolean;
  /** Whether the place holds a newer verified backup than this store knows of: it is older than its backups. */
  readonly behind: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Timers are set anew at least that often: a clock that was set shows within it. */
const LONGEST_WAIT_MS = 3_600_000;
/** After the barrier has opened, people's requests go first. */
const SETTLE_MS = 5000;
/** Leftovers of writes that were cut off are younger than that while the write may still run. */
const LEFTOVER_MS = 86_400_000;

export class Backups {
  readonly #world: BackupWorld;
  readonly #states: readonly Mutable<TargetState>[];
  #life: AbortController | undefined;
  readonly #jobs = new Set<Promise<unknown>>();

  constructor(world: BackupWorld) {
    this.#world = world;
    this.#states = world.targets.map((target) => ({
      target,
      verifiedAt: undefined,
      nextAt: undefined,
      triedAt: undefined,
      failures: 0,
      totals: { made: 0, failed: 0 },
      problem: '',
      running: false,
      behind: false,
    }));
  }

  /** Whether the schedules run: on the node that leads, while the barrier is open. */
  get running(): boolean {
    return this.#life !== undefined;
  }

  get states(): readonly TargetState[] {
    return this.#states;
  }

  /** Starts the schedules; begun already, it changes nothing. */
  begin(): void {
    if (this.#life !== undefined) return;
    const life = new AbortController();
    this.#life = life;
    for (const state of this.#states) void this.#job(this.#follow(state, life.signal));
  }

  /** Ends what runs, and waits until it has. */
  async end(): Promise<void> {
    this.#life?.abort();
    this.#life = undefined;
    await Promise.allSettled(this.#jobs);
    for (const state of this.#states) {
      state.nextAt = undefined;
      state.running = false;
    }
  }

  /** @throws Failure backup.target, backup.place */
  async list(target: string): Promise<readonly Shelved[]> {
    return this.#shelved(this.#state(target));
  }

  /**
   * Makes a backup and verifies it. It goes on when whoever asked is gone.
   * @throws Failure backup.target, backup.running, backup.place, backup.unverified
   */
  create(target: string): Promise<Manifest> {
    const state = this.#state(target);
    return this.#alone(state, (signal) => this.#attempt(state, signal));
  }

  /**
   * Verifies one backup again, or the newest, and records it.
   * @throws Failure backup.absent, backup.broken, backup.foreign, backup.unverified, backup.place
   */
  verify(target: string, name?: string): Promise<Manifest> {
    const state = this.#state(target);
    return this.#alone(state, async (signal) => {
      const all = await this.#shelved(state);
      const chosen = name === undefined ? newest(all) : choose(all, { name });
      if (chosen === undefined) throw failure('backup.absent', { name: name ?? `of "${target}"` });
      return this.#verified(state, chosen, signal);
    });
  }

  /** What a prune would remove now. @throws Failure backup.target, backup.place */
  async plan(target: string): Promise<PrunePlan<Shelved>> {
    const state = this.#state(target);
    return prunePlan(await this.#shelved(state), this.#world.clock.now(), state.target.keepMs);
  }

  /** Removes what is too old. @throws Failure backup.target, backup.place */
  async prune(target: string): Promise<PrunePlan<Shelved>> {
    const { place } = this.#state(target).target;
    const plan = await this.plan(target);
    for (const { name } of plan.remove) await discard(place, name);
    await place.tidy(this.#world.clock.now() - LEFTOVER_MS);
    return plan;
  }

  /**
   * A backup, whole and in memory, as a restore needs it. Changes nothing.
   * @param wish by name, or the newest verified one at or before a time
   * @param given unseal keys of its day, where another store made it; wiped
   * @param force take one that other keys open, or whose store is damaged
   * @throws Failure backup.*, snapshot.too_large
   */
  async recall(
    target: string,
    wish: { readonly name?: string | undefined; readonly at?: number | undefined },
    given: { readonly shares: readonly Uint8Array[]; readonly force: boolean },
    signal: AbortSignal,
  ): Promise<Snapshot & { readonly name: string }> {
    const state = this.#state(target);
    const chosen = choose(await this.#shelved(state), wish);
    if (chosen === undefined)
      throw failure('backup.absent', { name: wish.name ?? 'that was verified, at or before that time' });
    const { name } = chosen;
    const { barrier, seal } = this.#world;
    const source = await state.target.place.read(name, signal);
    const snapshot = await gather(barrier, name, source, { ...given, seal }, signal);
    return { ...snapshot, name };
  }

  /** After a restore that somebody asked for: that the store is older than its backups is no news. */
  async acknowledge(): Promise<void> {
    for (const state of this.#states) {
      const latest = latestGood(await this.#shelved(state));
      if (latest !== undefined)
        await rememberBackup(this.#world.barrier, state.target.name, latest.createdAt);
      state.verifiedAt = latest?.createdAt;
      state.behind = false;
    }
  }

  async #follow(state: Mutable<TargetState>, signal: AbortSignal): Promise<void> {
    const { barrier, clock, log } = this.#world;
    const { name, schedule } = state.target;
    const settled = pause(this.#world.clock, SETTLE_MS, signal);
    // What the store remembers, until the place was asked.
    state.verifiedAt = (await knownBackup(barrier, name).catch(() => 0)) || undefined;
    await settled;
    let retryAt: number | undefined;
    let learned = false;
    while (!signal.aborted) {
      const now = clock.now();
      const { verifiedAt } = state;
      // The place is asked first for what it has: without that, what was missed is not known.
      const due = learned
        ? schedule && nextTry(schedule.cron, now, { verifiedAt, retryAt })
        : (retryAt ?? now);
      state.nextAt = due;
      if (due === undefined) return;
      if (due > now) {
        await pause(this.#world.clock, Math.min(due - now, LONGEST_WAIT_MS), signal);
        continue;
      }
      try {
        if (learned) {
          await this.#alone(state, (ended) => this.#attempt(state, ended), signal);
          await this.#pruneQuietly(state);
        } else await this.#learn(state);
        learned = true;
        retryAt = undefined;
        state.failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!learned) this.#failed(state, error);
        retryAt = clock.now() + retryDelay(state.failures);
        log.error('no backup was made', { target: name, error, failures: state.failures, retryAt });
      }
    }
  }

  /** What the place has; and whether this store is older than it should be. */
  async #learn(state: Mutable<TargetState>): Promise<void> {
    const latest = latestGood(await this.#shelved(state));
    state.verifiedAt = latest?.createdAt;
    const known = await knownBackup(this.#world.barrier, state.target.name);
    state.behind = latest !== undefined && latest.createdAt > known;
    if (state.behind)
      this.#world.log.error(
        'the store is older than its newest backup: it was restored, or rolled back by somebody else',
        { target: state.target.name, backup: latest?.name },
      );
  }

  async #attempt(state: Mutable<TargetState>, signal: AbortSignal): Promise<Manifest> {
    try {
      const made = await this.#make(state, signal);
      const verified = await this.#verified(state, made, signal);
      state.totals = { ...state.totals, made: state.totals.made + 1 };
      state.failures = 0;
      state.problem = '';
      return verified;
    } catch (error) {
      if (!signal.aborted) this.#failed(state, error);
      throw error;
    } finally {
      state.triedAt = this.#world.clock.now();
    }
  }

  #failed(state: Mutable<TargetState>, error: unknown): void {
    state.failures++;
    state.totals = { ...state.totals, failed: state.totals.failed + 1 };
    state.problem = asFailure(error).message;
  }

  /** Writes the archive and its manifest. */
  async #make({ target }: TargetState, signal: AbortSignal): Promise<Shelved> {
    const { barrier, clock, version } = this.#world;
    const at = clock.now();
    const name = archiveName(target.name, at);
    const key = randomKey(KEY_BYTES);
    try {
      const { plain, root, ring } = await barrier.escrow(KEY_PURPOSE, key);
      const header = {
        format: ARCHIVE_FORMAT,
        created: new Date(at).toISOString(),
        revision: await barrier.head(),
        cluster_id: this.#world.clusterId(),
        version,
        seal: {
          config: plain.get('core/seal-config') ?? new Uint8Array(),
          wrapped: plain.get('core/root-key-wrapped') ?? new Uint8Array(),
        },
        key: { root, ring },
      } as const;
      let count: ArchiveCount = { entries: 0, bytes: 0 };
      const sum = createHash('sha256');
      let size = 0;
      const pieces = writeArchive(header, key, barrier.sealedEntries(signal), (told) => {
        count = told;
      });
      const measured = (async function* () {
        for await (const piece of pieces) {
          sum.update(piece);
          size += piece.length;
          yield piece;
        }
      })();
      await target.place.write(name, measured, signal);
      const { created, revision, cluster_id } = header;
      const facts = { format: 1, name, created, revision, cluster_id, version, verified: '' } as const;
      const manifest = { ...facts, entries: count.entries, bytes: size, sha256: sum.digest('hex') };
      await putManifest(target.place, barrier, manifest, signal);
      return { name, size, createdAt: at, verified: 'no', ours: true, manifest };
    } finally {
      wipe(key);
    }
  }

  /** Reads the archive back and restores it; its manifest says so afterwards. */
  async #verified(
    state: Mutable<TargetState>,
    { name, size, createdAt, manifest, ours }: Shelved,
    signal: AbortSignal,
  ): Promise<Manifest> {
    const { barrier, clock, log, scratch } = this.#world;
    const { place } = state.target;
    const at = await scratch();
    try {
      const found = await verifyArchive(barrier, name, await place.read(name, signal), at, signal);
      if (ours && manifest !== undefined && manifest.sha256 !== found.sha256)
        throw failure('backup.broken', { name, reason: 'it is not the file that was written' });
      const { created, revision, cluster_id, version } = found.header;
      const verified: Manifest = {
        ...{ format: 1, name, created, revision, cluster_id, version },
        entries: found.entries,
        bytes: size,
        sha256: found.sha256,
        verified: new Date(clock.now()).toISOString(),
      };
      // In the store first: a crash between the two must not look like a rollback.
      const known = await knownBackup(barrier, state.target.name);
      await rememberBackup(barrier, state.target.name, Math.max(createdAt, known));
      await putManifest(place, barrier, verified, signal);
      state.verifiedAt = Math.max(createdAt, state.verifiedAt ?? 0);
      log.info('a backup was verified', { target: state.target.name, name, entries: found.entries });
      return verified;
    } finally {
      await at
        .remove()
        .catch((error: unknown) => log.warn('a store for verifying was not removed', { error }));
    }
  }

  async #pruneQuietly({ target }: TargetState): Promise<void> {
    const { log } = this.#world;
    try {
      const { remove } = await this.prune(target.name);
      for (const { name } of remove) log.info('an old backup was removed', { target: target.name, name });
    } catch (error) {
      log.warn('old backups were not removed', { target: target.name, error });
    }
  }

  /** One at a time for each target; ended with the life of the barrier. */
  async #alone<T>(
    state: Mutable<TargetState>,
    work: (signal: AbortSignal) => Promise<T>,
    signal = this.#life?.signal,
  ): Promise<T> {
    if (signal === undefined) throw failure('server.sealed');
    if (state.running) throw failure('backup.running', { target: state.target.name });
    state.running = true;
    try {
      return await this.#job(work(signal));
    } finally {
      state.running = false;
    }
  }

  #job<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => this.#jobs.delete(settled));
    const settled = done.catch(() => {});
    this.#jobs.add(settled);
    return done;
  }

  #state(name: string): Mutable<TargetState> {
    const state = this.#states.find(({ target }) => target.name === name);
    if (state === undefined)
      throw failure('backup.target', { name: name === '' ? '' : ` by the name ${JSON.stringify(name)}` });
    return state;
  }

  #shelved({ target }: TargetState): Promise<readonly Shelved[]> {
    const signal = this.#life?.signal;
    if (signal === undefined) throw failure('server.sealed');
    return shelved(target.place, target.name, this.#world.barrier, signal);
  }
}
