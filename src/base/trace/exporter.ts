/**
 * Sends spans in batches, behind everybody's back: whoever ends a span never waits and never hears of a failure. What waits is
 * bounded; what finds no room is dropped and counted, because a collector that is down must cost no memory and no secret.
 */

import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type Backoff, backoff } from '../retry.ts';
import type { EndedSpan } from './tracer.ts';

export interface ExporterOptions {
  /** Sends one body. @returns the status of the answer. Rejects where none came */
  send(spans: readonly EndedSpan[]): Promise<number>;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1), for spreading; absent: Math.random. */
  readonly random?: () => number;
  /** Spans that wait at most. Absent: 2048, as the specification's batch processor. */
  readonly most?: number;
}

/** The usual values of the specification's batch processor. */
const MOST = 2048;
const BATCH = 512;
const DELAY_MS = 5000;
/** After a failure that may pass. */
const RETRY: Backoff = { baseMs: 5000, maxMs: 60_000 };
/** What OTLP over HTTP says may be sent again; whatever else is refused would be refused again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

type Outcome = 'sent' | 'later' | 'refused';

export class BatchExporter {
  readonly #options: ExporterOptions;
  readonly #most: number;
  #waiting: EndedSpan[] = [];
  #sending: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #failures = 0;
  #closed = false;
  #sent = 0;
  #dropped = 0;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#most = options.most ?? MOST;
  }

  /** Spans that a collector took, and that nobody will ever see. */
  get counts(): { readonly sent: number; readonly dropped: number } {
    return { sent: this.#sent, dropped: this.#dropped };
  }

  /** Takes a span to be sent, or drops it. */
  add(span: EndedSpan): void {
    if (this.#closed || this.#waiting.length >= this.#most) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(span);
    // A collector that fails is not asked sooner because there is more to send.
    if (this.#waiting.length >= BATCH && this.#failures === 0) this.#begin();
    else this.#plan(DELAY_MS);
  }

  /** Takes nothing more and sends what waits, each batch once. What is not gone after that is dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#sending;
    while (this.#waiting.length > 0 && (await this.#sendOne()) !== 'later');
    this.#dropped += this.#waiting.splice(0).length;
    const { sent, dropped } = this.counts;
    if (dropped > 0) this.#options.log.warn('traces were lost', { sent, dropped });
  }

  #plan(ms: number): void {
    if (this.#cancel !== undefined || this.#sending !== undefined || this.#closed) return;
    this.#cancel = this.#options.clock.after(ms, () => this.#begin());
  }

  #begin(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#sending !== undefined) return;
    this.#sending = this.#sendOne().then((outcome) => {
      this.#sending = undefined;
      if (this.#waiting.length === 0) return;
      const { random = Math.random } = this.#options;
      if (outcome === 'later') this.#plan(backoff(this.#failures - 1, RETRY, random));
      else if (this.#waiting.length >= BATCH && !this.#closed) this.#begin();
      else this.#plan(DELAY_MS);
    });
  }

  async #sendOne(): Promise<Outcome> {
    const batch = this.#waiting.slice(0, BATCH);
    const outcome = await this.#ask(batch);
    if (outcome === 'later') return outcome;
    this.#waiting.splice(0, batch.length);
    if (outcome === 'sent') this.#sent += batch.length;
    else this.#dropped += batch.length;
    return outcome;
  }

  async #ask(batch: readonly EndedSpan[]): Promise<Outcome> {
    const { send, log } = this.#options;
    try {
      const status = await send(batch);
      if (status >= 200 && status < 300) {
        if (this.#failures > 0) log.info('the collector of traces answers again', this.counts);
        this.#failures = 0;
        return 'sent';
      }
      this.#tell({ status });
      return RETRYABLE.has(status) ? 'later' : 'refused';
    } catch (error) {
      this.#tell({ error });
      return 'later';
    }
  }

  /** Once for all failures in a row. */
  #tell(facts: { readonly status: number } | { readonly error: unknown }): void {
    if (this.#failures++ === 0) this.#options.log.warn('the collector takes no traces', facts);
  }
}
