/**
 * Keeps issued credentials: gives out the one that there is, has a new one issued when that is due, renews, and takes back
 * what is no longer used. What to do is `plan.ts`'s to say; here it is done, and every change is stored before anything
 * hangs on it.
 */

import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { asFailure, failure } from '../../base/errors.ts';
import { backoff } from '../../base/retry.ts';
import type { Envelope, Issuance, Lessor, LessorEnv } from '../../provider/issuer.ts';
import { parseObjectValue } from '../../provider/property.ts';
import type { ProviderType, Value } from '../../provider/provider.ts';
import type { Outcome } from '../executor.ts';
import {
  applied,
  begun,
  disown,
  ended,
  type Former,
  type Holding,
  isDue,
  isGood,
  issued,
  type LeaseRecord,
  type Named,
  renewed,
  type Subject,
  spent,
  troubled,
  without,
} from './lease.ts';
import { type Facts, nextStep, type Step } from './plan.ts';
import { ownerKey, recordName } from './record.ts';
import { Records, type RecordsOptions, type Stored } from './records.ts';

export interface KeeperOptions extends RecordsOptions, Pick<LessorEnv, 'wayOut' | 'resolve'> {
  readonly clock: Clock;
  readonly providers: readonly ProviderType[];
  /** What the cluster says of the owner of a record. */
  use(subject: Subject, signal: AbortSignal): Promise<Pick<Facts, 'owner' | 'follows'>>;
  /** Has the owner ask for its credentials. */
  wake(owner: Subject['owner']): void;
  /** Plans to look at a record, in milliseconds from now. */
  plan(name: string, afterMs: number): void;
  readonly graceMs?: number;
}

/** A credential as it is given out. */
export interface Given {
  readonly value: Value;
  readonly envelope: Envelope;
}

/** Somebody else was there first: that often in a row, and something is wrong. */
const TRIES = 3;
/** Steps at one look; one that goes on for longer goes on at the next. */
const MOST_STEPS = 32;
/** Clocks are set and machines sleep: no record is left alone for longer. */
const LONGEST_WAIT_MS = 3_600_000;
/** Whatever goes wrong, no record is looked at all the time. */
const LEAST_WAIT_MS = 1000;
/** A lease that was seen to stand is not asked for again within this time. */
const SEEN_MS = 30_000;
/** What says that a record was not written; after any other failure it may have been. */
const UNRECORDED: readonly string[] = ['kube.gone', 'kube.conflict'];
const REST = { baseMs: 2000, maxMs: 60_000 };

export class LeaseKeeper {
  readonly #options: KeeperOptions;
  readonly #records: Records;
  /** This process, told apart from one that died: what that one began is not under way. */
  readonly #process = randomUUID();
  readonly #busy = new Map<string, Promise<unknown>>();
  /** Logins that a request failed under. */
  readonly #resting = new Map<string, { readonly until: number; readonly failures: number }>();
  /** When each lease was last seen to stand, by login; monotonic. */
  readonly #seen = new Map<string, number>();
  /** Credentials that were given out and that the Secret does not hold yet: owner -> record -> credential. */
  readonly #unapplied = new Map<string, Map<string, string>>();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#records = new Records(options);
  }

  /**
   * The credential of a subject: the one that is in use, or a new one where there is none, where it comes to its end, was
   * issued by something else, or is gone. Where no new one can be had, the one in use is given while it lives.
   * @param basis what it is issued by, hashed
   * @param find what issues it; undefined where nothing does
   * @throws Failure why there is none
   */
  give(
    subject: Subject,
    basis: string,
    find: () => Promise<Issuance | undefined>,
    signal: AbortSignal,
  ): Promise<Given | undefined> {
    return this.#alone(recordName(subject), async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#find(subject, basis, find, signal);
        } catch (error) {
          // Another process was there first: what it had issued may do.
          if (asFailure(error).code !== 'kube.exists' && asFailure(error).code !== 'kube.conflict')
            throw error;
          if (tries >= TRIES) throw error;
        }
      }
    });
  }

  async #find(
    subject: Subject,
    basis: string,
    find: () => Promise<Issuance | undefined>,
    signal: AbortSignal,
  ): Promise<Given | undefined> {
    const stored = await this.#records.of(subject, signal);
    const { clock, log } = this.#options;
    const current = stored.record.current;
    const good = isGood(current, basis, clock.now()) && (await this.#stands(stored.record, current));
    if (good && !isDue(current, clock.now())) return this.#give(stored.record, current);
    try {
      return await this.#issue(stored, basis, find, signal);
    } catch (error) {
      const { code, message, kind } = asFailure(error);
      if (!good || kind === 'conflict') throw error;
      log.warn('no new credential was issued; the one in use still lives', {
        owner: ownerKey(subject.owner),
        path: current.path,
        code,
        reason: message,
      });
      await this.#records
        .change(stored, (record) => troubled(record, `${message} [${code}]`))
        .catch(() => {});
      return this.#give(stored.record, current);
    }
  }

  async #issue(
    stored: Stored,
    basis: string,
    find: () => Promise<Issuance | undefined>,
    signal: AbortSignal,
  ): Promise<Given | undefined> {
    const { clock } = this.#options;
    const issuance = await find();
    if (issuance === undefined) return undefined;
    const login = { ...(await issuance.open(signal)), id: randomUUID() };
    let begunAt: Stored;
    try {
      begunAt = await this.#records.save(stored, begun(stored.record, login, this.#process, clock.now()));
    } catch (error) {
      // Nothing was issued under it, and nobody will know of it.
      await this.#takeBack(stored.record.provider, login).catch(() => {});
      throw error;
    }
    let made: Awaited<ReturnType<Issuance['issue']>>;
    try {
      made = await issuance.issue(login, signal);
    } catch (error) {
      await this.#records.change(begunAt, (record) => disownOf(record, login, clock.now())).catch(() => {});
      throw error;
    }
    const credential = { ...made, basis, path: issuance.path };
    let kept = false;
    const toRecord = this.#records.change(begunAt, (before) => {
      // Somebody took it for left behind, and takes it back.
      if (before.pending?.id !== login.id) throw failure('kube.gone', { request: 'a login of its own' });
      const after = issued(before, login, credential, clock.now());
      kept = after.kept;
      return after.record;
    });
    const { record } = await toRecord.catch(async (error: unknown) => {
      // It is certain that no record has it: its lease, by which a login that is not ours is cleared, is known here alone.
      const former = { handle: login.handle, leaseId: made.envelope.leaseId };
      if (UNRECORDED.includes(asFailure(error).code))
        await this.#takeBack(stored.record.provider, former).catch(() => {});
      throw error;
    });
    this.#seen.set(login.id, clock.monotonic());
    if (kept && record.current !== undefined) return this.#give(record, record.current);
    return { value: made.value, envelope: made.envelope };
  }

  #give({ owner, id }: Subject, holding: Holding): Given {
    if (holding.appliedAt === undefined) {
      const names = this.#unapplied.get(owner.uid) ?? new Map<string, string>();
      this.#unapplied.set(owner.uid, names.set(recordName({ owner, id }), holding.id));
    }
    const value = parseObjectValue(holding.value);
    if (value === undefined) throw failure('base.internal');
    return { value, envelope: holding.envelope };
  }

  /** Whether the lease in use still stands at its server: somebody may have revoked it. A server that is away is believed. */
  async #stands({ provider }: Subject, { by, envelope }: Holding): Promise<boolean> {
    const now = this.#options.clock.monotonic();
    if (by === undefined || now < (this.#seen.get(by.id) ?? -Infinity) + SEEN_MS) return true;
    try {
      const stands = await this.#lessor(provider).stands(by.handle, envelope.leaseId, this.#env);
      if (stands) this.#seen.set(by.id, now);
      return stands;
    } catch {
      return true;
    }
  }

  /** What was given to an owner is in its Secret now. @throws Failure kube.* */
  async applied(uid: string, signal: AbortSignal): Promise<void> {
    const names = this.#unapplied.get(uid);
    if (names === undefined) return;
    for (const [name, credential] of [...names]) {
      await this.#alone(name, async () => {
        const { clock, graceMs } = this.#options;
        const stored = await this.#records.named(name, signal);
        if (stored?.record.current?.id === credential)
          await this.#records.change(stored, (record) => applied(record, clock.now(), graceMs));
        names.delete(name);
      });
    }
    if (names.size === 0) this.#unapplied.delete(uid);
  }

  /** Its owner is gone. */
  forget(uid: string): void {
    this.#unapplied.delete(uid);
  }

  /** Looks at one record, and does what is due. @throws Failure kube.* */
  reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    return this.#alone(name, async () => {
      try {
        await this.#work(name, signal);
        return { end: 'done' };
      } catch (error) {
        if (asFailure(error).kind === 'conflict' || asFailure(error).code === 'kube.missing')
          return { end: 'stale' };
        throw error;
      }
    });
  }

  async #work(name: string, signal: AbortSignal): Promise<void> {
    let stored = await this.#records.named(name, signal);
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      if (stored === undefined) return;
      const { record } = stored;
      const use = await this.#options.use(record, signal);
      const facts = { ...use, process: this.#process, resting: this.#rests() };
      const now = this.#options.clock.now();
      const step = nextStep(record, facts, now, this.#options.graceMs);
      if (step.do === 'wake') this.#options.wake(record.owner);
      if (step.do === 'wake' || step.do === 'wait') {
        const wait = Math.min((step.until ?? Infinity) - now, LONGEST_WAIT_MS);
        return this.#options.plan(name, Math.max(LEAST_WAIT_MS, wait));
      }
      if (step.do === 'forget') return this.#records.delete(stored, use.owner);
      const next = await this.#take(record, step);
      if (next !== undefined) stored = await this.#records.save(stored, next, use.owner);
    }
    this.#options.plan(name, LEAST_WAIT_MS);
  }

  /** Does a step. @returns the record after it; undefined where it failed and is to rest */
  async #take(
    record: LeaseRecord,
    step: Extract<Step, { do: 'keep' | 'revoke' | 'renew' }>,
  ): Promise<LeaseRecord | undefined> {
    const { clock, log } = this.#options;
    switch (step.do) {
      case 'keep':
        return step.record;
      case 'revoke':
        try {
          await this.#takeBack(record.provider, step.former);
          this.#resting.delete(step.former.id);
          this.#seen.delete(step.former.id);
          return without(record, step.former);
        } catch (error) {
          this.#rest(step.former, error, 'a login was not taken back');
          return undefined;
        }
      case 'renew': {
        const { holding } = step;
        const { leaseId, leaseSeconds } = holding.envelope;
        const lessor = this.#lessor(record.provider);
        try {
          // Asked to renew what it does not renew, a server refuses all of it.
          const lease =
            holding.lease?.renewable === true ? { id: leaseId, seconds: leaseSeconds } : undefined;
          const given = await lessor.renew(holding.by.handle, lease, this.#env);
          this.#resting.delete(holding.by.id);
          return { ...record, current: renewed(holding, given, clock.now()) };
        } catch (error) {
          const { kind, code } = asFailure(error);
          if (!['denied', 'invalid', 'missing', 'unsupported'].includes(kind)) {
            this.#rest(holding.by, error, 'a lease was not renewed');
            return undefined;
          }
          log.info('a lease is not renewed any more', {
            owner: ownerKey(record.owner),
            path: holding.path,
            code,
          });
          this.#seen.delete(holding.by.id);
          const stands = await this.#stands(record, holding);
          return { ...record, current: (stands ? spent : ended)(holding, clock.now()) };
        }
      }
    }
  }

  async #takeBack(
    provider: string,
    { handle, ...former }: Pick<Former, 'handle' | 'leaseId'>,
  ): Promise<void> {
    await this.#lessor(provider).revoke(handle, former.leaseId, this.#env);
  }

  #lessor(provider: string): Lessor {
    const lessor = this.#options.providers.find(({ name }) => name === provider)?.lessor;
    if (lessor === undefined) throw failure('base.internal');
    return lessor;
  }

  get #env(): LessorEnv {
    const { wayOut, log, resolve } = this.#options;
    return { wayOut, log, resolve };
  }

  #rest({ id }: Named, error: unknown, what: string): void {
    const { clock, log } = this.#options;
    const failures = (this.#resting.get(id)?.failures ?? 0) + 1;
    this.#resting.set(id, { failures, until: clock.now() + backoff(failures - 1, REST) });
    log.warn(what, { code: asFailure(error).code });
  }

  #rests(): ReadonlyMap<string, number> {
    return new Map([...this.#resting].map(([id, { until }]) => [id, until]));
  }

  /** One at a time for each record. */
  async #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.then(
      () => {},
      () => {},
    );
    this.#busy.set(name, settled);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(name) === settled) this.#busy.delete(name);
    }
  }
}

/** The login goes to be taken back, unless somebody saw to that. */
const disownOf = (record: LeaseRecord, { id }: Named, now: number): LeaseRecord =>
  record.pending?.id === id ? disown(record, now) : record;
