/**
 * The age of the sealing key: since when it seals, how often it did, and when it is replaced by itself. AES-GCM with random
 * nonces must not seal without end under one key (NIST SP 800-38D: 2^32 times), so the count survives restarts.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Barrier } from './barrier.ts';

export interface KeyStatus {
  readonly term: number;
  /** Milliseconds since the epoch. */
  readonly installedAt: number;
  readonly encryptions: number;
}

export interface RotationConfig {
  readonly enabled: boolean;
  readonly maxOperations: number;
  /** 0: by count alone. */
  readonly intervalMs: Milliseconds;
}

/** As upstream bounds them. */
const MOST_OPERATIONS = 3_865_470_566;
const FEWEST_OPERATIONS = 1_000_000;
const SHORTEST_INTERVAL: Milliseconds = 24 * 3_600_000;
const LOOK_EVERY: Milliseconds = 10 * 60_000;

const STATUS = 'keys/status';
const CONFIG = 'keys/rotation';

interface Kept {
  readonly term: number;
  readonly installedAt: number;
  readonly encryptions: number;
}

export class KeyCustody {
  readonly #barrier: Barrier;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #log: Log;
  #kept: Kept;
  #config: RotationConfig;
  /** How much of the barrier's own count is in `#kept` already. */
  #counted = 0;
  #cancel: (() => void) | undefined;

  private constructor(options: CustodyOptions, kept: Kept, config: RotationConfig) {
    this.#barrier = options.barrier;
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#kept = kept;
    this.#config = config;
  }

  static async open(options: CustodyOptions): Promise<KeyCustody> {
    const { term } = options.barrier.usage;
    const kept = await read<Kept>(options.storage, STATUS);
    const config = await read<RotationConfig>(options.storage, CONFIG);
    const custody = new KeyCustody(
      options,
      kept?.term === term ? kept : { term, installedAt: options.clock.now(), encryptions: 0 },
      config ?? { enabled: true, maxOperations: MOST_OPERATIONS, intervalMs: 0 },
    );
    if (kept?.term !== term && options.readOnly !== true) await custody.save();
    return custody;
  }

  status(): KeyStatus {
    const { term, sealed } = this.#barrier.usage;
    if (term !== this.#kept.term) return { term, installedAt: this.#clock.now(), encryptions: sealed };
    return { ...this.#kept, encryptions: this.#kept.encryptions + sealed - this.#counted };
  }

  get config(): RotationConfig {
    return this.#config;
  }

  /** Puts a new key in front of all others. */
  async rotate(): Promise<void> {
    await this.#barrier.rotate();
    this.#kept = { term: this.#barrier.usage.term, installedAt: this.#clock.now(), encryptions: 0 };
    this.#counted = 0;
    await this.save();
  }

  /** @throws Failure request.invalid where the numbers would let a key seal for too long, or not at all */
  async configure(config: RotationConfig): Promise<void> {
    if (config.maxOperations < FEWEST_OPERATIONS || config.maxOperations > MOST_OPERATIONS)
      throw failure('request.invalid', {
        reason: `max_operations must be between ${FEWEST_OPERATIONS} and ${MOST_OPERATIONS}`,
      });
    if (config.intervalMs !== 0 && config.intervalMs < SHORTEST_INTERVAL)
      throw failure('request.invalid', { reason: 'interval must be at least 24 hours' });
    await this.#storage.commit([{ key: CONFIG, value: utf8(JSON.stringify(config)) }]);
    this.#config = config;
  }

  /** Writes the count down. */
  async save(): Promise<void> {
    const { sealed } = this.#barrier.usage;
    const kept = { ...this.#kept, encryptions: this.#kept.encryptions + sealed - this.#counted };
    await this.#storage.commit([{ key: STATUS, value: utf8(JSON.stringify(kept)) }]);
    this.#kept = kept;
    this.#counted = sealed;
  }

  /** Looks now and then whether the key is old enough, until `stop`. */
  start(): void {
    this.#cancel = this.#clock.after(LOOK_EVERY, () => {
      this.look()
        .catch((error: unknown) => this.#log.error('the sealing key could not be looked after', { error }))
        .finally(() => {
          if (this.#cancel !== undefined) this.start();
        });
    });
  }

  /** Rotates where the key is used up or old, and else writes the count down. */
  async look(): Promise<void> {
    const { encryptions, installedAt, term } = this.status();
    const { enabled, maxOperations, intervalMs } = this.#config;
    const isOld = intervalMs > 0 && this.#clock.now() - installedAt >= intervalMs;
    if (enabled && (encryptions >= maxOperations || isOld)) {
      await this.rotate();
      this.#log.info('the sealing key was rotated', { before: term });
    } else if (encryptions !== this.#kept.encryptions) await this.save();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

export interface CustodyOptions {
  readonly barrier: Barrier;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  /** Another node counts: nothing is written. */
  readonly readOnly?: boolean;
}

async function read<T>(storage: Storage, key: string): Promise<T | undefined> {
  const entry = await storage.get(key);
  return entry && (JSON.parse(textOf(entry.value) ?? '') as T);
}
