/**
 * Credentials that are being made elsewhere at this moment. A lease can be revoked while the conversation that makes its
 * credential still goes on: what is taken away then would be made a moment later, with no lease left to end it.
 */
export class Making {
  readonly #running = new Map<string, Promise<unknown>>();

  /** Runs `work`, which writes the lease and makes what it covers, under a key that the lease's state holds. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = work();
    this.#running.set(
      key,
      running.catch(() => undefined),
    );
    try {
      return await running;
    } finally {
      this.#running.delete(key);
    }
  }

  /** Waits until nothing is made under this key any more; that it failed is its caller's to tell. */
  async ended(key: string): Promise<void> {
    await this.#running.get(key);
  }
}
