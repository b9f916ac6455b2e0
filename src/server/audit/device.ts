/**
 * One device at work: lines wait here for the batch that is being written, are chained in the order they are written, and
 * are acknowledged when the sink has them. A sink that hangs costs its own lines a time limit and nobody else anything.
 */

import { randomBytes } from 'node:crypto';
import { hex } from '../../base/bytes.ts';
import { type Anchor, FIRST, GROUP_LINES } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import type { AuditSink } from './audit.ts';
import { Sheet } from './sheet.ts';

export interface DeviceOptions {
  readonly sink: AuditSink;
  readonly clock: Clock;
  /** Text before each line. */
  readonly prefix: string;
  readonly timeoutMs: number;
  /** Keeps the newest head behind the barrier; its failures are its own to tell. */
  anchor(head: Anchor): Promise<void>;
}

/** What is written at once, and who waits for it. */
interface Batch {
  readonly sheet: Sheet;
  lines: number;
  /** When the first of them has waited too long, on the monotonic clock. */
  readonly until: number;
  /** Whether somebody still wants to know. */
  waits: boolean;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What may wait: beyond it the sink is too slow and lines are refused at once. */
const QUEUE_LINES = 16_384;
const BATCH_BYTES = 1024 * 1024;
const ANCHOR_LINES = 256;
const ANCHOR_MS = 1000;
/** An anchor is a commit: under load, one for so many lines would be most of what the trail costs. */
const ANCHOR_REST_MS = 50;

const newWriter = (): Anchor => ({ writer: hex(randomBytes(8)), seq: 0, sum: FIRST });

export class Device {
  readonly #options: DeviceOptions;
  #queue: Batch[] = [];
  /** The one that is being written. */
  #writing: Batch | undefined;
  /** One for all that wait: a timer for each line would cost as much as its hashes. */
  #limit: (() => void) | undefined;
  #head = newWriter();
  /** What the last batch stood on, for the next one but one. */
  #spare: Sheet | undefined;
  #anchored = 0;
  #anchoredAt = 0;
  #anchorTimer: (() => void) | undefined;
  #busy: Promise<void> | undefined;
  #closed = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the sink has the lines, one behind the other.
   * @param put puts down so many lines, each the text of a JSON object that is ended by the sheet
   */
  write(lines: number, put: (sheet: Sheet) => void): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('the audit device is closed'));
    const last = this.#queue.at(-1);
    const batch = last !== undefined && hasRoom(last, lines) ? last : this.#begin();
    if (batch === undefined) return Promise.reject(new Error('the audit device is too slow'));
    this.#busy ??= this.#drain();
    const { sheet } = batch;
    const before = sheet.length;
    try {
      put(sheet);
    } catch (error) {
      sheet.length = before;
      return Promise.reject(error);
    }
    batch.lines += lines;
    return batch.done;
  }

  /** A batch behind those that wait; undefined where that are too many. */
  #begin(): Batch | undefined {
    const { clock, timeoutMs } = this.#options;
    if (this.#queue.reduce((sum, { lines }) => sum + lines, 0) >= QUEUE_LINES) return undefined;
    const sheet = this.#spare ?? new Sheet();
    this.#spare = undefined;
    const batch = { sheet, lines: 0, until: clock.monotonic() + timeoutMs, waits: true, ...deferred() };
    // Whoever waits is told; where nobody does, because nothing could be put down, there is nothing to tell.
    batch.done.catch(() => undefined);
    this.#queue.push(batch);
    this.#limit ??= clock.after(timeoutMs, () => this.#giveUp());
    return batch;
  }

  /** Refuses the lines whose time is over, and looks again when the next one's is. */
  #giveUp(): void {
    const { clock, timeoutMs } = this.#options;
    const now = clock.monotonic();
    const waiting = [this.#writing, ...this.#queue].filter((batch) => batch?.waits === true) as Batch[];
    for (const batch of waiting) {
      if (batch.until > now) continue;
      batch.waits = false;
      batch.reject(new Error(`the audit device did not answer within ${timeoutMs} ms`));
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
    for (let batch = this.#queue.shift(); batch !== undefined; batch = this.#queue.shift()) {
      this.#writing = batch;
      if (batch.lines > 0) await this.#writeBatch(batch);
      else batch.resolve();
    }
    this.#writing = undefined;
    this.#busy = undefined;
  }

  async #writeBatch(batch: Batch): Promise<void> {
    try {
      await this.#append(batch);
    } catch (error) {
      await this.#beginAnew();
      // Those whose time is over are refused already, and are not said again.
      if (!this.#options.sink.redials || !batch.waits) return batch.reject(error);
      try {
        await this.#append(batch);
      } catch (again) {
        await this.#beginAnew();
        batch.reject(again);
      }
    }
  }

  /** Chains the lines to the head, and acknowledges them once the sink has them. */
  async #append(batch: Batch): Promise<void> {
    const { prefix, sink, clock } = this.#options;
    const { bytes, head } = batch.sheet.closed(this.#head, batch.lines, prefix);
    await sink.append(bytes);
    // Not where it failed: a sink may hold on to what it was given.
    this.#spare = batch.sheet.cleared();
    this.#head = head;
    batch.waits = false;
    batch.resolve();
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

const hasRoom = ({ sheet, lines }: Batch, more: number): boolean =>
  sheet.length < BATCH_BYTES && lines + more <= GROUP_LINES;

function deferred(): Pick<Batch, 'done' | 'resolve' | 'reject'> {
  let resolve: Batch['resolve'] = () => undefined;
  let reject: Batch['reject'] = () => undefined;
  const done = new Promise<void>((done_, failed) => {
    resolve = done_;
    reject = failed;
  });
  return { done, resolve, reject };
}
