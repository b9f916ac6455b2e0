/**
 * Looks at challenges that clients said they are ready for, some at a time, beside the requests. What is to be looked at is
 * stored first, so a crash forgets none; a challenge is tried again with longer and longer pauses before it has failed.
 */

import type { Dial, Mount } from '../../../plugin/plugin.ts';
import type { PkiStore } from '../store.ts';
import { check } from './challenges.ts';
import type { Probes } from './probes.ts';
import { type AcmeError, asAcmeError } from './problem.ts';
import { type Authorization, below, type Challenge, type ChallengeType, type Validation } from './records.ts';

const AT_ONCE = 5;
const MOST_ATTEMPTS = 6;
/** The pause after the n-th attempt is n times as long. */
const PAUSE_MS = 5000;
/** RFC 8555 section 7.1.4: how long what was proven stays proven, for the order that asked. */
const PROVEN_MS = 15 * 24 * 3_600_000;

export class Validator {
  readonly #mount: Mount;
  readonly #store: PkiStore;
  readonly #probes: Probes | undefined;
  readonly #waiting: string[] = [];
  /** What waits, runs or is paused: each is looked at by one at a time. */
  readonly #known = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #timers = new Set<() => void>();
  /** Aborted when the mount goes away: a host that never answers must not hold up whoever seals the server. */
  readonly #ended = new AbortController();

  constructor(mount: Mount, store: PkiStore, probes: Probes | undefined) {
    this.#mount = mount;
    this.#store = store;
    this.#probes = probes;
  }

  /** Takes up what an earlier process left. */
  async resume(): Promise<void> {
    for (const name of await this.#store.list('acme/validation')) this.#take(name);
  }

  /**
   * Notes that a challenge is to be looked at. Asked twice, or for what is decided, it does nothing.
   * @returns the authorization as it is now
   */
  async accept(
    asked: Authorization,
    type: ChallengeType,
    thumbprint: string,
  ): Promise<Authorization | undefined> {
    const { account, id } = asked;
    const name = `${id}.${type}`;
    const after = await this.#store.again(async () => {
      const found = await this.#store.entry('acme/authorization', below(account, id));
      if (found === undefined) return undefined;
      const { value, check: unchanged } = found;
      const challenge = value.challenges.find((one) => one.type === type);
      if (challenge?.status !== 'pending' || value.status !== 'pending') return value;
      if (value.expires <= this.#store.now()) return value;
      const changed = withChallenge(value, { ...challenge, status: 'processing' });
      const validation: Validation = {
        account,
        authorization: id,
        type,
        thumbprint,
        attempts: 0,
        due: this.#store.now(),
      };
      await this.#store.commit(
        [
          this.#store.written('acme/authorization', below(account, id), changed),
          this.#store.written('acme/validation', name, validation),
        ],
        [unchanged],
      );
      return changed;
    });
    if (after?.challenges.some((one) => one.type === type && one.status === 'processing')) this.#take(name);
    return after;
  }

  /** Ends what runs and waits for it: nothing may write to a mount that is gone. */
  async close(): Promise<void> {
    this.#ended.abort();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    await Promise.all(this.#running);
  }

  #take(name: string): void {
    if (this.#known.has(name) || this.#ended.signal.aborted) return;
    this.#known.add(name);
    this.#waiting.push(name);
    this.#pump();
  }

  #pump(): void {
    while (!this.#ended.signal.aborted && this.#running.size < AT_ONCE) {
      const name = this.#waiting.shift();
      if (name === undefined) return;
      const run = this.#run(name)
        .catch((error: unknown) => {
          this.#mount.log.error('a challenge could not be looked at', { error });
          this.#known.delete(name);
        })
        .finally(() => {
          this.#running.delete(run);
          this.#pump();
        });
      this.#running.add(run);
    }
  }

  async #run(name: string): Promise<void> {
    const validation = await this.#store.get('acme/validation', name);
    const wait = (validation?.due ?? 0) - this.#store.now();
    if (validation !== undefined && wait > 0) return this.#later(name, wait);
    const again = validation === undefined ? undefined : await this.#attempt(name, validation);
    if (again !== undefined) this.#later(name, again);
    else this.#known.delete(name);
  }

  #later(name: string, ms: number): void {
    if (this.#ended.signal.aborted) return;
    const cancel = this.#mount.clock.after(ms, () => {
      this.#timers.delete(cancel);
      this.#waiting.push(name);
      this.#pump();
    });
    this.#timers.add(cancel);
  }

  /** Looks once. @returns in how many milliseconds to look again; undefined: it is decided */
  async #attempt(name: string, validation: Validation): Promise<number | undefined> {
    const { account, authorization: id, type, thumbprint } = validation;
    const before = await this.#store.get('acme/authorization', below(account, id));
    const challenge = before?.challenges.find((one) => one.type === type);
    let problem: AcmeError | undefined;
    if (before?.status === 'pending' && challenge?.status === 'processing') {
      const { identifier } = before;
      const { resolver } = await this.#store.setting('acme');
      const { signal } = this.#ended;
      const dial: Dial = (request) => this.#mount.dial({ ...request, signal });
      const asked = { type, identifier, token: challenge.token, thumbprint };
      try {
        await Promise.race([
          check(asked, { dial, probes: this.#probes, resolver }),
          new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
        ]);
      } catch (error) {
        problem = asAcmeError(error, 'serverInternal');
        // Names and reasons, never what was fetched.
        this.#mount.log.debug('a challenge was not met', {
          type,
          host: identifier.value,
          problem: problem.message,
        });
      }
    }
    // What was cut off was not decided: whoever comes next asks again.
    return this.#ended.signal.aborted ? undefined : this.#settle(name, validation, problem);
  }

  async #settle(
    name: string,
    validation: Validation,
    problem: AcmeError | undefined,
  ): Promise<number | undefined> {
    const { account, authorization: id, type } = validation;
    return this.#store.again(async () => {
      const found = await this.#store.entry('acme/authorization', below(account, id));
      const done = this.#store.gone('acme/validation', name);
      const challenge = found?.value.challenges.find((one) => one.type === type);
      // Deactivated or decided meanwhile: what was found out now changes nothing.
      if (found?.value.status !== 'pending' || challenge?.status !== 'processing') {
        await this.#store.commit([done]);
        return undefined;
      }
      const attempts = validation.attempts + 1;
      const isLast = problem === undefined || attempts >= MOST_ATTEMPTS;
      const now = this.#store.now();
      const pause = attempts * PAUSE_MS;
      await this.#store.commit(
        [
          this.#store.written(
            'acme/authorization',
            below(account, id),
            judged(found.value, challenge, problem, isLast, now),
          ),
          isLast
            ? done
            : this.#store.written('acme/validation', name, { ...validation, attempts, due: now + pause }),
        ],
        [found.check],
      );
      return isLast ? undefined : pause;
    });
  }
}

/** The authorization after an attempt. Pure. RFC 8555 section 7.1.6: one challenge met is enough, one failed is the end. */
function judged(
  before: Authorization,
  challenge: Challenge,
  problem: AcmeError | undefined,
  isLast: boolean,
  now: number,
): Authorization {
  if (problem === undefined) {
    const { error: _, ...rest } = challenge;
    const met = withChallenge(before, { ...rest, status: 'valid', validated: now });
    return { ...met, status: 'valid', expires: now + PROVEN_MS };
  }
  const failed = withChallenge(before, {
    ...challenge,
    status: isLast ? 'invalid' : 'processing',
    error: problem.problem,
  });
  return isLast ? { ...failed, status: 'invalid' } : failed;
}

const withChallenge = (before: Authorization, challenge: Challenge): Authorization => ({
  ...before,
  challenges: before.challenges.map((one) => (one.type === challenge.type ? challenge : one)),
});
