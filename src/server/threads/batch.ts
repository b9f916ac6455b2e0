/** Messages of one turn of the loop go as one: what a message costs is shared by all that it carries. */

import type { MessagePort } from 'node:worker_threads';

export class BatchPort<Out, In> {
  readonly #port: MessagePort;
  #waiting: Out[] = [];
  #closed = false;

  constructor(port: MessagePort, take: (message: In) => void, gone: () => void) {
    this.#port = port;
    port.on('message', (batch: readonly In[]) => {
      for (const message of batch) take(message);
    });
    port.once('close', () => {
      this.#closed = true;
      gone();
    });
  }

  post(message: Out): void {
    this.#waiting.push(message);
    if (this.#waiting.length === 1) setImmediate(this.#flush);
  }

  close(): void {
    this.#flush();
    this.#port.close();
  }

  readonly #flush = (): void => {
    const batch = this.#waiting;
    this.#waiting = [];
    if (!this.#closed && batch.length > 0) this.#port.postMessage(batch);
  };
}
