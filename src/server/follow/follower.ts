/**
 * A follower answers reads from a store that somebody else writes, and is never older than any write that was acknowledged
 * before the read began: it asks how far the store is (the read index) once the read is there, sees all changes up to that, lets
 * go of what they name, and only then answers from its own reads. What it may not or cannot answer is somebody else's.
 * The store is on another machine or in another thread; nothing here knows which.
 */

import type { Clock } from '../../base/clock.ts';
import type { Failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';
import { after, type Soon } from '../../base/soon.ts';
import { pause, Waiting } from '../../base/waiting.ts';
import { type Feed, Gone } from '../../storage/storage.ts';
import type { Answer, Request } from '../core/request.ts';
import { type Forgotten, forgottenBy } from './changed.ts';
import { Generation } from './generation.ts';
import type { Place } from './reach.ts';

/** Services over a view that is read only, as of one moment, which forget what they are told. */
export interface Following {
  /** Where it can be answered, as far as these services know. */
  placeOf(request: Request): Place;
  answer(request: Request): Soon<Answer>;
  forget(what: Forgotten): void;
  close(): Promise<void>;
}

export interface FollowerOptions<S extends Following> {
  readonly feed: Feed;
  /**
   * How far the store is: a revision that no write was above whose answer was given before this was asked. One that is told at
   * once is of a store in this process, which cannot be lost.
   */
  readonly readIndex: () => Soon<number>;
  /** Opens the services anew, with nothing remembered. */
  readonly open: () => Promise<S>;
  /** Lets go of entries that are kept in memory, of these keys or of all. */
  readonly forget: (keys?: readonly string[]) => void;
  /** Reads the keys of the barrier anew. @throws where they no longer open: then nobody may be answered any more */
  readonly rekey: () => Promise<void>;
  /** Told of each change that names another leader. */
  readonly leaderChanged: () => void;
  /** How long a read waits until it is known how far the store is, and then for its changes, in milliseconds. */
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Follower<S extends Following> {
  /** @returns "elsewhere": nothing was done, and another node has to be asked */
  handle(request: Request): Soon<Answer | 'elsewhere'>;
  /** The revision up to which everything is known; undefined while nothing is. */
  readonly applied: number | undefined;
  /** What answers at this moment. */
  readonly services: S | undefined;
  /** Whether it would answer a read now, as far as it knows; where it would not, it looks again. */
  readonly answers: boolean;
  /** Lets those end that are being answered, and forgets everything. */
  close(): Promise<void>;
}

/**
 * Whether the leader has to say it: a read that turned out to need a write, which was refused before anything was done; an
 * entry that did not open, because it may be sealed by a key that this node has yet to hear of; and a store that does not answer
 * this node, which it may well answer the leader.
 */
const isForLeader = (why: Failure): boolean => FOR_LEADER.has(why.code);
const FOR_LEADER: ReadonlySet<string> = new Set([
  'storage.standby',
  'storage.corrupt',
  'storage.database',
  'storage.closed',
]);

const RETRY = { baseMs: 50, maxMs: 2000 };

/** Begins to follow at once; until it has caught up for the first time, it answers nothing itself. */
export function createFollower<S extends Following>(options: FollowerOptions<S>): Follower<S> {
  const { feed, log, clock } = options;
  const ended = new AbortController();
  let current: Generation<S> | undefined;
  let applied: number | undefined;
  const waiting = new Waiting(clock);
  const retiring = new Set<Promise<void>>();

  const retire = (): void => {
    const old = current;
    current = undefined;
    if (old === undefined) return;
    const done = old.retire().catch((error: unknown) => log.warn('services were not closed', { error }));
    retiring.add(done);
    void done.then(() => retiring.delete(done));
  };

  const apply = async (keys: readonly string[]): Promise<void> => {
    // First the entries: what is read from now on is read anew, by the old services and by the next.
    options.forget(keys);
    const what = forgottenBy(keys);
    if (what.keyring) await options.rekey();
    if (what.structure) {
      const next = new Generation(await options.open());
      retire();
      current = next;
    } else current?.services.forget(what);
    if (what.leader) options.leaderChanged();
  };

  const follow = async (): Promise<never> => {
    const { signal } = ended;
    let at = await feed.head();
    options.forget();
    await options.rekey();
    const opened = new Generation(await options.open());
    if (signal.aborted) {
      await opened.retire();
      throw signal.reason;
    }
    current = opened;
    // Services may have opened over a store that went on meanwhile: everything since is said again.
    applied = at;
    options.leaderChanged();
    waiting.wake();
    for await (const { revision, keys } of feed.changes(at, signal)) {
      await apply(keys);
      at = revision;
      applied = revision;
      waiting.wake();
    }
    throw new Gone('the feed ended');
  };

  const run = async (): Promise<void> => {
    for (let failed = 0; !ended.signal.aborted; failed++) {
      const from = applied;
      try {
        await follow();
      } catch (error) {
        if (ended.signal.aborted) break;
        if (applied !== from) failed = 0;
        // Nothing that is remembered can be trusted: what changed is no longer known.
        applied = undefined;
        retire();
        options.forget();
        if (!(error instanceof Gone)) log.warn('the store cannot be followed, and is tried again', { error });
        const wait = error instanceof Gone ? 0 : backoff(failed, RETRY);
        await pause(clock, wait, ended.signal);
      }
    }
  };
  const running = run();

  /** Whether everything up to `index` is known in time. */
  const reaches = async (index: number, until: number): Promise<boolean> => {
    while (applied === undefined || applied < index) {
      const left = until - clock.monotonic();
      if (left <= 0 || ended.signal.aborted) return false;
      await waiting.until(left);
    }
    return true;
  };

  /** Those who are being answered, to be told when the store is lost: they would wait for as long as a dead way does. */
  const underWay = new Set<() => void>();
  /** The store does not answer; it is asked again by one at a time, and nobody waits for it meanwhile. */
  let lost = false;
  let probing = false;
  const lose = (): void => {
    if (!lost) log.warn('the store does not answer this node: its reads are handed to the leader');
    lost = true;
    for (const tell of [...underWay]) tell();
  };
  const probe = (): void => {
    if (probing || ended.signal.aborted) return;
    probing = true;
    Promise.resolve(options.readIndex())
      .then(
        () => {
          lost = false;
        },
        () => undefined,
      )
      .finally(() => {
        probing = false;
      });
  };
  /** What `work` gives, or undefined once the store is lost or, where one is set, the time is over. */
  const unlessLost = <T>(work: Promise<T>, ms?: number): Promise<T | undefined> =>
    new Promise((resolve, reject) => {
      const end = (): void => {
        underWay.delete(give);
        cancel?.();
      };
      const give = (): void => {
        end();
        resolve(undefined);
      };
      const cancel = ms === undefined ? undefined : clock.after(ms, give);
      underWay.add(give);
      work.then(resolve, reject).finally(end);
    });

  /** What the services gave, unless it is the leader's to say. */
  const told = (answer: Answer): Answer | 'elsewhere' =>
    answer.kind === 'failed' && isForLeader(answer.failure) ? 'elsewhere' : answer;

  const whenReached = async (request: Request, asked: Soon<number>): Promise<Answer | 'elsewhere'> => {
    const index =
      typeof asked === 'number' ? asked : await unlessLost(asked, options.patienceMs).catch(() => undefined);
    if (index === undefined) {
      lose();
      return 'elsewhere';
    }
    if (!(await reaches(index, clock.monotonic() + options.patienceMs))) return 'elsewhere';
    const answering = current?.use(async (services) =>
      services.placeOf(request) === 'leader' ? undefined : services.answer(request),
    );
    const answer = answering && (await unlessLost(answering));
    return answer === undefined ? 'elsewhere' : told(answer);
  };

  return {
    get applied() {
      return applied;
    },
    get answers() {
      if (lost) probe();
      return applied !== undefined && !lost;
    },
    get services() {
      return current?.services;
    },
    handle(request) {
      // What is the leader's by a table that may be old is the leader's to judge: nothing is lost by asking it.
      if (current === undefined || current.services.placeOf(request) === 'leader') return 'elsewhere';
      if (lost) {
        probe();
        return 'elsewhere';
      }
      const index = options.readIndex();
      if (typeof index === 'number' && applied !== undefined && applied >= index)
        return after(
          current.useSoon((services) => services.answer(request)),
          told,
        );
      return whenReached(request, index);
    },
    async close() {
      ended.abort();
      waiting.wake();
      await running;
      retire();
      applied = undefined;
      await Promise.all(retiring);
    },
  };
}
