/**
 * The threads that read, from the one that writes: started, given the keys, sealed, and made anew where one dies. What one had
 * in its hands when it died is lost with its sockets; nothing else is.
 */

import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { AuditedLines } from '../audit/broker.ts';
import type { Readers } from '../options.ts';
import type { Server } from '../server.ts';
import { Answering } from './answering.ts';
import { BatchPort } from './batch.ts';
import type { Announcer } from './index.ts';
import { type FromReader, type FromWriter, lend, type SharedTls } from './messages.ts';

/** What a thread is given when it is made. */
export interface Joining {
  readonly counter: SharedArrayBuffer;
  /** Where changes come in, and nothing else. */
  readonly changes: MessagePort;
  readonly from: number;
  readonly work: MessagePort;
}

export interface CrewOptions {
  readonly threads: number;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes a thread, which is handed its ports. */
  readonly make: (joining: Joining) => Worker;
  /** @throws where no device took the lines */
  readonly append: (lines: AuditedLines) => Promise<void>;
}

/** A thread that keeps a key for longer than this after it was told to forget it is ended. */
const SEAL_MS = 5000;
const RETRY = { baseMs: 100, maxMs: 10_000 };

interface Hand {
  readonly worker: Worker;
  readonly port: BatchPort<FromWriter, FromReader>;
  readonly gone: Promise<void>;
  sealed: () => void;
  closed: () => void;
}

export class Crew implements Readers {
  readonly #options: CrewOptions;
  readonly #hands = new Set<Hand>();
  #rootKey: (() => Buffer | undefined) | undefined;
  #ending = false;
  #failed = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Starts the threads; resolves once each accepts, or cannot. */
  async start(server: Server): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.threads }, () => this.#add(server)));
  }

  open(rootKey: () => Buffer | undefined): void {
    this.#rootKey = rootKey;
    for (const hand of this.#hands) this.#unseal(hand);
  }

  async seal(): Promise<void> {
    this.#rootKey = undefined;
    await Promise.all(
      [...this.#hands].map(async (hand) => {
        const sealed = new Promise<void>((resolve) => {
          hand.sealed = resolve;
        });
        hand.port.post({ kind: 'seal' });
        if (await this.#within(SEAL_MS, Promise.race([sealed, hand.gone]))) return;
        this.#options.log.error('a thread did not say that it forgot the keys, and is ended');
        await hand.worker.terminate();
      }),
    );
  }

  renew(listener: number, tls: SharedTls): void {
    for (const { port } of this.#hands) port.post({ kind: 'renew', listener, tls });
  }

  /** Lets the threads end what they answer, for so long, and ends them. */
  async close(graceMs?: number): Promise<void> {
    this.#ending = true;
    await Promise.all(
      [...this.#hands].map(async (hand) => {
        const closed = new Promise<void>((resolve) => {
          hand.closed = resolve;
        });
        hand.port.post({ kind: 'close', graceMs });
        await this.#within((graceMs ?? SEAL_MS) + SEAL_MS, Promise.race([closed, hand.gone]));
      }),
    );
  }

  /** Ends the threads themselves; to be called once the server is sealed. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#hands].map(({ worker }) => worker.terminate()));
  }

  #unseal({ port }: Hand): void {
    const rootKey = this.#rootKey?.();
    if (rootKey !== undefined) port.post({ kind: 'open', rootKey: lend(rootKey) });
    wipe(rootKey);
  }

  async #within(ms: number, work: Promise<void>): Promise<boolean> {
    let cancel = (): void => {};
    const late = new Promise<false>((resolve) => {
      cancel = this.#options.clock.after(ms, () => resolve(false));
    });
    return Promise.race([work.then(() => true), late]).finally(() => cancel());
  }

  #add(server: Server): Promise<void> {
    const { announcer, make, log, append, clock } = this.#options;
    const changes = new MessageChannel();
    const work = new MessageChannel();
    announcer.join(changes.port1);
    const worker = make({
      counter: announcer.counter,
      changes: changes.port2,
      from: announcer.number,
      work: work.port2,
    });
    return new Promise((started) => {
      const answering = new Answering({
        core: server.core,
        handle: (request) => server.handle(request),
        append,
        observed: ([labels, seconds]) => server.metrics.requests.observe(labels, seconds),
        post: (message) => port.post(message),
      });
      const port = new BatchPort<FromWriter, FromReader>(
        work.port1,
        (message) => {
          if (answering.take(message)) return;
          switch (message.kind) {
            case 'root-key': {
              const rootKey = this.#rootKey?.();
              port.post({
                kind: 'root-key',
                ...(rootKey === undefined ? {} : { rootKey: lend(rootKey) }),
              });
              wipe(rootKey);
              return;
            }
            case 'sealed':
              return hand.sealed();
            case 'closed':
              return hand.closed();
            case 'listening':
              this.#failed = 0;
              return started();
            case 'unshared':
              log.warn('a thread cannot accept on the sockets of this process, which serves without it', {
                reason: message.reason,
              });
              return started();
            default:
              return;
          }
        },
        () => {},
      );
      const gone = new Promise<void>((resolve) => {
        worker.once('exit', (code) => {
          announcer.leave(changes.port1);
          changes.port1.close();
          port.close();
          answering.close();
          this.#hands.delete(hand);
          started();
          resolve();
          if (this.#ending) return;
          log.error('a thread ended, and is made anew', { code });
          clock.after(backoff(this.#failed++, RETRY), () => {
            if (!this.#ending) void this.#add(server);
          });
        });
      });
      worker.once('error', (error) => log.error('a thread failed', { error }));
      const hand: Hand = { worker, port, gone, sealed: () => {}, closed: () => {} };
      this.#hands.add(hand);
      this.#unseal(hand);
    });
  }
}
