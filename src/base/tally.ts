/**
 * Tells whether a text is about, of which many come and go: in memory of one size, and without a table that grows and shrinks
 * with them. It may take one text for another, so it may say that one is about which is not, and never the other way round.
 */

import { roughHash } from './doorkeeper.ts';

export class Tally {
  readonly #counts: Uint32Array;
  readonly #mask: number;

  /** @param places a power of two, many times as large as the number of texts that are about at once */
  constructor(places: number) {
    this.#counts = new Uint32Array(places);
    this.#mask = places - 1;
  }

  has(text: string): boolean {
    return this.#counts[roughHash(text) & this.#mask] !== 0;
  }

  /** One more of it: as often as it was added it has to be taken away. */
  add(text: string): void {
    this.#change(text, 1);
  }

  delete(text: string): void {
    this.#change(text, -1);
  }

  #change(text: string, by: 1 | -1): void {
    const place = roughHash(text) & this.#mask;
    this.#counts[place] = (this.#counts[place] ?? 0) + by;
  }
}
