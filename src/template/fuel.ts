/**
 * What one rendering may use up. Templates come from whoever may write an ExternalSecret, and run in the process that
 * serves everybody: each step, each byte made and each costly function is paid for before it is done.
 */

import { failure } from '../base/errors.ts';

export interface Fuel {
  /** Nodes walked, items visited, and one per 64 bytes that a function reads. */
  readonly steps: number;
  /** Bytes written or made on the way, results of functions included. */
  readonly bytes: number;
  /** Slow cryptography, in units of one bcrypt round of cost 0: bcrypt of cost 10 is 1024. */
  readonly cost: number;
}

/** Enough for any sane Secret (which may be 1 MiB), and stopped within about a second. */
export const DEFAULT_FUEL: Fuel = { steps: 1_000_000, bytes: 16 * 1024 * 1024, cost: 16 * 1024 };

export class Meter {
  readonly #name: string;
  readonly #limits: Fuel;
  #steps = 0;
  #bytes = 0;
  #cost = 0;

  constructor(name: string, limits: Fuel) {
    this.#name = name;
    this.#limits = limits;
  }

  /** What has been used so far. */
  get used(): Fuel {
    return { steps: this.#steps, bytes: this.#bytes, cost: this.#cost };
  }

  /** Pays for work. @throws Failure template.fuel */
  step(count = 1): void {
    if (!(this.#steps + count <= this.#limits.steps)) this.#out('steps', this.#limits.steps);
    this.#steps += count;
  }

  /** Pays for memory, before it is taken. @throws Failure template.fuel */
  alloc(bytes: number): void {
    if (!(this.#bytes + bytes <= this.#limits.bytes)) this.#out('bytes', this.#limits.bytes);
    this.#bytes += bytes;
  }

  /** Pays for slow cryptography. @throws Failure template.fuel */
  spend(cost: number): void {
    if (!(this.#cost + cost <= this.#limits.cost)) this.#out('cost', this.#limits.cost);
    this.#cost += cost;
  }

  /** Stops a walk that goes too deep, such as into a map that holds itself. @throws Failure template.fuel */
  deep(depth: number, limit: number): void {
    if (depth > limit) this.#out('depth', limit);
  }

  #out(resource: string, limit: number): never {
    throw failure('template.fuel', { name: this.#name, resource, limit });
  }
}
