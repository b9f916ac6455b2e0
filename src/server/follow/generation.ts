/** Services that are in use: closed once nobody uses them any more, or at once where nobody may any more. */

import type { Soon } from '../../base/soon.ts';

export interface Closing {
  close(): Promise<void>;
}

export class Generation<S extends Closing> {
  readonly services: S;
  #users = 0;
  #over: (() => void) | undefined;

  constructor(services: S) {
    this.services = services;
  }

  async use<T>(work: (services: S) => Soon<T>): Promise<T> {
    this.#users++;
    try {
      return await work(this.services);
    } finally {
      this.#leave();
    }
  }

  /** As `use`, and at once where the work is done at once. */
  useSoon<T>(work: (services: S) => Soon<T>): Soon<T> {
    this.#users++;
    let given: Soon<T>;
    try {
      given = work(this.services);
    } catch (error) {
      this.#leave();
      throw error;
    }
    if (given instanceof Promise) return given.finally(() => this.#leave());
    this.#leave();
    return given;
  }

  #leave(): void {
    this.#users--;
    if (this.#users === 0) this.#over?.();
  }

  /** Resolves once nobody uses them. */
  async unused(): Promise<void> {
    if (this.#users === 0) return;
    await new Promise<void>((resolve) => {
      this.#over = resolve;
    });
  }

  async retire(): Promise<void> {
    await this.unused();
    await this.services.close();
  }
}
