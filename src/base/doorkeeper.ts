/**
 * Tells what comes again from what comes once, in little memory: to a cache that lets in whatever is asked for, a large store
 * that is read at random is all work and no use. It may take one for another, so nothing but what is worth keeping may depend
 * on it.
 */
export class Doorkeeper {
  /** A mark of the text that came last at each place. */
  readonly #seen: Uint16Array;
  readonly #mask: number;

  /** @param places how many texts it knows at most; a power of two */
  constructor(places: number) {
    this.#seen = new Uint16Array(places);
    this.#mask = places - 1;
  }

  /** Whether the text came before, of late. */
  knows(text: string): boolean {
    const hash = roughHash(text);
    const place = hash & this.#mask;
    // Never zero, which is the mark of nothing.
    const mark = (hash >>> 16) | 1;
    if (this.#seen[place] === mark) return true;
    this.#seen[place] = mark;
    return false;
  }
}

/** Of the end, where names differ. */
const SIGNIFICANT = 24;

/** 32 bits that tell most texts apart (FNV-1a), for what may take one text for another. */
export function roughHash(text: string): number {
  let hash = 0x811c9dc5 ^ text.length;
  for (let at = Math.max(0, text.length - SIGNIFICANT); at < text.length; at++)
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  // The low bits alone say little of the first characters.
  return (hash ^ (hash >>> 15)) >>> 0;
}
