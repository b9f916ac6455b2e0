/**
 * One device at work: lines wait here for the batch that is being written, are chained in the order they are written, and
 * are acknowledged when the sink has them. A sink that hangs costs its own lines a time limit and nobody else anything.
 */

import { randomBytes } from 'node:crypto';
import { hex } from '../../base/bytes.ts';
import { type Anchor, FIRST, linkAll, spaceFor } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import type { AuditSink } from './audit.ts';

export interface DeviceOptions {
  readonly sink: AuditSink;
  readonly clock: Clock;
  /** Text before each line. */
  readonly prefix: string;
  readonly timeoutMs: number;
  /** Keeps the newest head behind the barrier; its failures are its own to tell. */
  anchor(head: Anchor): Promise<void>;
}

interface Waiting {
  readonly bodies: readonly string[];
  /** On the monotonic clock. */
  readonly until: number;
  /** Whether somebody still wants to know. */
  waits: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What may wait: beyond it the sink is too slow and lines are refused at once. */
const QUEUE_LIMIT = 8192;
const BATCH_BYTES = 1024 * 1024;
const ANCHOR_LINES = 256;
const ANCHOR_MS = 1000;
/** An anchor is a commit: under load, one for so many lines would be most of what the trail costs. */
const ANCHOR_REST_MS = 50;

const NO_ROOM = Buffer.alloc(0);
const newWriter = (): Anchor => ({ writer: hex(randomBytes(8)), seq: 0, sum: FIRST });

export class Device {
  readonly #options: DeviceOptions;
  #queue: Waiting[] = [];
  /** The lines that are being written. */
  #batch: readonly Waiting[] = [];
  /** One for all that wait: a timer for each line would cost as much as its hashes. */
  #limit: (() => void) | undefined;
  #head = newWriter();
  /** What the last batch was put together in, for the next one: there is never more than one under way. */
  #room = NO_ROOM;
  #anchored = 0;
  #anchoredAt = 0;
  #anchorTimer: (() => void) | undefined;
  #busy: Promise<void> | undefined;
  #closed = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
  }

  /** Resolves when the sink has the lines, one behind the other. Each body is the text of a JSON object. */
  write(bodies: readonly string[]): Promise<void> {
    return new Promise<void>((done, failed) => {
      if (this.#closed) return failed(new Error('the audit device is closed'));
      if (this.#queue.length >= QUEUE_LIMIT) return failed(new Error('the audit device is too slow'));
      const { clock, timeoutMs } = this.#options;
      const until = clock.monotonic() + timeoutMs;
      this.#queue.push({ bodies, until, waits: true, resolve: done, reject: failed });
      this.#limit ??= clock.after(timeoutMs, () => this.#giveUp());
      this.#busy ??= this.#drain();
    });
  }

  /** Refuses the lines whose time is over, and looks again when the next one's is. */
  #giveUp(): void {
    const { clock, timeoutMs } = this.#options;
    const now = clock.monotonic();
    const waiting = [...this.#batch, ...this.#queue].filter(({ waits }) => waits);
    for (const line of waiting) {
      if (line.until > now) continue;
      line.waits = false;
      line.reject(new Error(`the audit device did not answer within ${timeoutMs} ms`));
    }
    this.#queue = this.#queue.filter(({ waits }) => waits);
    // They came in the order of their ends.
    const next = waiting.find(({ waits }) => waits);
    this.#limit = next && clock.after(next.until - now, () => this.#giveUp());
  }

  reopen(): Promise<void> {
    return this.#options.sink.reopen();
  }

  /** Anchors the newest line now, for who is about to verify the trail. */
  anchorNow(): Promise<void> {
    return this.#anchor();
  }

  /** Writes what waits, anchors the head, closes the sink; gives up on a sink that hangs. */
  async close(): Promise<void> {
    this.#closed = true;
    const { clock, timeoutMs, sink } = this.#options;
    const orderly = (async () => {
      await this.#busy;
      await this.#anchor();
      await sink.close();
    })();
    orderly.catch(() => undefined);
    let stop = (): void => undefined;
    const limit = new Promise<void>((resolve) => {
      stop = clock.after(timeoutMs, resolve);
    });
    await Promise.race([orderly, limit]).finally(() => stop());
    this.#anchorTimer?.();
    this.#limit?.();
  }

  async #drain(): Promise<void> {
    // One turn of the loop lets every request that is ready put its line into the same batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) await this.#writeBatch();
    this.#batch = [];
    this.#busy = undefined;
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#nextBatch();
    this.#batch = batch;
    try {
      await this.#append(batch);
    } catch (error) {
      await this.#beginAnew();
      if (!this.#options.sink.redials) return rejectAll(batch, error);
      // Those whose time is over are refused already, and are not said again.
      const left = batch.filter((waiting) => waiting.waits);
      if (left.length === 0) return;
      try {
        await this.#append(left);
      } catch (again) {
        await this.#beginAnew();
        return rejectAll(left, again);
      }
    }
  }

  #nextBatch(): Waiting[] {
    const batch: Waiting[] = [];
    for (let size = 0; size < BATCH_BYTES; ) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      for (const { length } of next.bodies) size += length;
      batch.push(next);
    }
    return batch;
  }

  /** Chains the lines to the head, and acknowledges them once the sink has them. */
  async #append(batch: readonly Waiting[]): Promise<void> {
    const { prefix, sink, clock } = this.#options;
    const bodies = batch.flatMap((waiting) => waiting.bodies);
    const space = spaceFor(this.#head, bodies, prefix);
    const room = this.#room.length >= space ? this.#room : Buffer.allocUnsafeSlow(space);
    const { bytes, head } = linkAll(this.#head, bodies, prefix, room);
    // A sink that failed may hold on to what it was given.
    this.#room = NO_ROOM;
    await sink.append(bytes);
    this.#room = room;
    this.#head = head;
    for (const waiting of batch) {
      waiting.waits = false;
      waiting.resolve();
    }
    const isDue = head.seq - this.#anchored >= ANCHOR_LINES;
    if (isDue && clock.monotonic() - this.#anchoredAt >= ANCHOR_REST_MS) void this.#anchor();
    else this.#anchorTimer ??= clock.after(ANCHOR_MS, () => void this.#anchor());
  }

  /**
   * Part of a batch that failed may have arrived: going on with its numbers would show lines as missing that nobody was
   * promised, so what follows is a new chain.
   */
  async #beginAnew(): Promise<void> {
    await this.#anchor();
    this.#head = newWriter();
    this.#anchored = 0;
  }

  async #anchor(): Promise<void> {
    this.#anchorTimer?.();
    this.#anchorTimer = undefined;
    if (this.#head.seq === this.#anchored) return;
    const head = this.#head;
    this.#anchored = head.seq;
    this.#anchoredAt = this.#options.clock.monotonic();
    await this.#options.anchor(head);
  }
}

function rejectAll(batch: readonly Waiting[], error: unknown): void {
  const problem = error instanceof Error ? error : new Error('the audit device failed');
  for (const waiting of batch) waiting.reject(problem);
}
