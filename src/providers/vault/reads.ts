/**
 * One read for all who ask for the same thing at the same time. Whoever was told of a change must not be given an answer
 * that was begun before it: such a read (`notBefore`) joins only reads that were begun with the same knowledge or more,
 * and insists on the version.
 */

import { failure } from '../../base/errors.ts';
import { sleep } from '../../base/retry.ts';

export interface Versioned {
  /** Of what was read, also where it is a deleted version; undefined: nothing is known. */
  readonly version: number | undefined;
}

interface Flight<T> {
  readonly promise: Promise<T>;
  /** The version that its beginning already knew of; 0: none. */
  readonly knew: number;
}

/** Waits between tries while a server (a standby behind its leader) still answers with what was before. */
const TRIES_MS: readonly number[] = [25, 50, 100, 200, 400, 800, 1600];

export class Reads<T extends Versioned> {
  readonly #flights = new Map<string, Flight<T>>();

  /** @param path for messages @throws Failure provider.stale where the version does not arrive in a few seconds; what `read` throws */
  async get(
    key: string,
    read: () => Promise<T>,
    options: {
      readonly notBefore?: { readonly version: number } | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly store: string;
      readonly path: string;
    },
  ): Promise<T> {
    const wanted = options.notBefore?.version ?? 0;
    for (let attempt = 0; ; attempt++) {
      const found = await unlessAborted(this.#join(key, read, wanted), options.signal);
      if (found.version === undefined || found.version >= wanted) return found;
      const wait = TRIES_MS[attempt];
      if (wait === undefined) {
        const { store, path } = options;
        throw failure('provider.stale', { store, path, version: wanted }, { retryAfterMs: 1000 });
      }
      await sleep(wait, options.signal);
    }
  }

  #join(key: string, read: () => Promise<T>, wanted: number): Promise<T> {
    const flying = this.#flights.get(key);
    if (flying !== undefined && flying.knew >= wanted) return flying.promise;
    const promise = read();
    const flight = { promise, knew: wanted };
    this.#flights.set(key, flight);
    const land = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    promise.then(land, land);
    return promise;
  }
}

/** One who leaves does not take the others' read with it. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
