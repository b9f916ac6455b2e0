/**
 * How far the store is, as the threads of one process know it. The thread that writes posts each change to every reader, then
 * raises a shared counter, and only then lets an answer leave; a reader that begins to answer loads the counter and takes from
 * its port whatever it is behind by. So nothing it reads is older than a write that was acknowledged before the read began.
 */

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { failure, isFailure } from '../../base/errors.ts';
import type { Soon } from '../../base/soon.ts';
import { History } from '../../storage/history.ts';
import type { Backend, Change, Feed } from '../../storage/storage.ts';

/** Memory for the counter: it wraps, and is only ever compared by difference. */
export const sharedCounter = (): SharedArrayBuffer => new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);

/** The writer's half. */
export class Announcer {
  readonly counter = sharedCounter();
  readonly #cell = new Int32Array(this.counter);
  readonly #ports = new Set<MessagePort>();
  #number = 0;

  /** How many changes were told so far: where a reader that joins now begins. */
  get number(): number {
    return this.#number;
  }

  join(port: MessagePort): void {
    this.#ports.add(port);
  }

  leave(port: MessagePort): void {
    this.#ports.delete(port);
  }

  /** Tells every reader that these keys may have changed. When it returns, no read that begins misses it. */
  tell(keys: readonly string[]): void {
    const change: Change = { revision: ++this.#number, keys };
    for (const port of this.#ports) port.postMessage(change);
    // Behind the messages: who sees the number finds them in its port.
    Atomics.store(this.#cell, 0, this.#number | 0);
  }
}

/**
 * The store of the thread that writes, which tells its readers of each commit before whoever asked for it hears that it stands.
 * So does one that failed, but for a conflict: what a medium did that failed is its own secret.
 */
export function announced(backend: Backend, announcer: Announcer): Backend {
  return {
    name: backend.name,
    get: (key) => backend.get(key),
    ...(backend.getNow === undefined ? {} : { getNow: backend.getNow.bind(backend) }),
    getMany: (keys) => backend.getMany(keys),
    list: (prefix, page) => backend.list(prefix, page),
    scan: (prefix, signal) => backend.scan(prefix, signal),
    head: () => backend.head(),
    changes: (after, signal) => backend.changes(after, signal),
    close: () => backend.close(),
    async commit(writes, checks) {
      const tell = (): void => announcer.tell(writes.map(({ key }) => key));
      let revision: number;
      try {
        revision = await backend.commit(writes, checks);
      } catch (error) {
        if (!isFailure(error, 'storage.conflict') && writes.length > 0) tell();
        throw error;
      }
      if (writes.length > 0) tell();
      return revision;
    },
  };
}

export interface IndexOptions {
  readonly counter: SharedArrayBuffer;
  readonly port: MessagePort;
  /** What the writer had told when this reader joined. */
  readonly from: number;
  /** Called for each change, before anything is read that must not be older than it. */
  readonly onChange: () => void;
}

/** A reader's half: the feed that it follows, whose head is as far as the store was when it was asked. */
export class ReadIndex implements Feed {
  readonly #cell: Int32Array;
  readonly #port: MessagePort;
  readonly #history: History;
  readonly #onChange: () => void;
  #closed = false;

  constructor({ counter, port, from, onChange }: IndexOptions) {
    this.#cell = new Int32Array(counter);
    this.#port = port;
    this.#history = new History(from);
    this.#onChange = onChange;
    port.on('message', (change: Change) => this.#take(change));
  }

  /** A number that no write was above whose answer left before this was called. @throws Failure storage.closed */
  now(): number {
    const due = Atomics.load(this.#cell, 0);
    while (((due - (this.#history.head | 0)) | 0) > 0) {
      if (this.#closed) throw failure('storage.closed');
      const got = receiveMessageOnPort(this.#port);
      // The writer is gone with its port.
      if (got === undefined) throw failure('storage.closed');
      this.#take(got.message as Change);
    }
    return this.#history.head;
  }

  /** As `now`; what it throws is a rejection. */
  soon(): Soon<number> {
    try {
      return this.now();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async head(): Promise<number> {
    return this.now();
  }

  changes(after: number, signal: AbortSignal): AsyncIterable<Change> {
    return this.#history.follow(after, signal, () => (this.#closed ? failure('storage.closed') : undefined));
  }

  close(): void {
    this.#closed = true;
    this.#port.close();
    this.#history.wake();
  }

  #take(change: Change): void {
    this.#onChange();
    this.#history.add(change);
  }
}
