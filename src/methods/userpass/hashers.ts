/**
 * The threads that bcrypt runs on. One comparison takes a tenth of a second, and whoever reads a secret must not wait for it.
 * They are started when passwords come and ended when none came for a while; each does one job at a time.
 */

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { failure } from '../../base/errors.ts';

/** A password to be hashed in 2^rounds rounds, or compared with a hash. */
export type Job =
  | { readonly password: string; readonly rounds: number }
  | { readonly password: string; readonly against: string };

interface Waiting {
  readonly job: Job;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export interface HashersOptions {
  /** What a thread runs. */
  readonly file?: URL;
  /** Threads at most; by default all cores but the one that serves, and four at most. */
  readonly threads?: number;
  /** Jobs that may wait; whoever comes beyond is turned away at once. */
  readonly waiting?: number;
  /** How long a thread without work is kept, in milliseconds. */
  readonly idleMs?: number;
}

const MOST_THREADS = 4;
const WAITING = 128;
const IDLE_MS = 60_000;
/** Enough for bcrypt, whose tables take some kilobytes. */
const HEAP_MB = 32;

export class Hashers {
  readonly #file: URL;
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #idleMs: number;
  readonly #idle: Thread[] = [];
  readonly #waiting: Waiting[] = [];
  #threads = 0;

  constructor(options: HashersOptions = {}) {
    this.#file = options.file ?? placeOfHasher();
    this.#most = options.threads ?? Math.max(1, Math.min(MOST_THREADS, availableParallelism() - 1));
    this.#mostWaiting = options.waiting ?? WAITING;
    this.#idleMs = options.idleMs ?? IDLE_MS;
  }

  /** How many threads there are just now. */
  get threads(): number {
    return this.#threads;
  }

  /** @throws Failure login.busy, base.internal where the thread ended in the middle of it */
  async hash(password: string, rounds: number): Promise<string> {
    return String(await this.#run({ password, rounds }));
  }

  /** Whether the password has this hash. @throws as `hash` */
  async compare(password: string, against: string): Promise<boolean> {
    return (await this.#run({ password, against })) === true;
  }

  #run(job: Job): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= this.#mostWaiting) {
        reject(failure('login.busy'));
        return;
      }
      this.#waiting.push({ job, resolve, reject });
      this.#assign();
    });
  }

  #assign(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idle.pop() ?? this.#started();
      if (thread === undefined) return;
      const next = this.#waiting.shift();
      if (next !== undefined) thread.take(next);
    }
  }

  #started(): Thread | undefined {
    if (this.#threads >= this.#most) return undefined;
    this.#threads++;
    return new Thread(this.#file, this.#idleMs, {
      free: (thread) => {
        this.#idle.push(thread);
        this.#assign();
      },
      leaving: (thread) => this.#forget(thread),
      ended: (thread) => {
        this.#threads--;
        this.#forget(thread);
        this.#assign();
      },
    });
  }

  #forget(thread: Thread): void {
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

interface Keeper {
  /** It is done with its job. */
  free(thread: Thread): void;
  /** It is about to end, and takes no more. */
  leaving(thread: Thread): void;
  ended(thread: Thread): void;
}

class Thread {
  readonly #worker: Worker;
  readonly #idleMs: number;
  #job: Waiting | undefined;
  #rest: NodeJS.Timeout | undefined;

  constructor(file: URL, idleMs: number, keeper: Keeper) {
    this.#idleMs = idleMs;
    // Nothing of the server's own: not its flags, not its environment.
    this.#worker = new Worker(file, {
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    this.#worker.on('message', (value: unknown) => {
      const job = this.#job;
      this.#job = undefined;
      this.#worker.unref();
      this.#rest = setTimeout(() => {
        keeper.leaving(this);
        void this.#worker.terminate();
      }, this.#idleMs).unref();
      job?.resolve(value);
      keeper.free(this);
    });
    // Told by "exit" as well; unheard, it would end the process.
    this.#worker.on('error', () => {});
    this.#worker.once('exit', () => {
      clearTimeout(this.#rest);
      this.#job?.reject(failure('base.internal'));
      this.#job = undefined;
      keeper.ended(this);
    });
  }

  take(next: Waiting): void {
    clearTimeout(this.#rest);
    this.#job = next;
    this.#worker.ref();
    this.#worker.postMessage(next.job);
  }
}

/** Beside this file in a checkout; in the built program, beside the chunk that this file is in. */
function placeOfHasher(): URL {
  const source = new URL('hasher.mjs', import.meta.url);
  return existsSync(source) ? source : new URL('holdfast-hasher.js', import.meta.url);
}
