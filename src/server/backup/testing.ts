/** Doubles for tests of backups: a place in memory that can go wrong, and stores to restore into. */

import { failure } from '../../base/errors.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Place } from './place.ts';
import type { Scratch } from './verify.ts';

/** A place in memory, whose files a test may change, and which can be away. */
export class MemoryPlace implements Place {
  readonly shown = 'memory';
  readonly files = new Map<string, Buffer>();
  away = false;
  /** How many bytes of a write it takes before it is gone; absent: all. */
  cutAfter: number | undefined;

  async list() {
    this.#ask();
    return [...this.files].map(([name, bytes]) => ({ name, size: bytes.length }));
  }

  async write(name: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    this.#ask();
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of source) {
      signal.throwIfAborted();
      size += piece.length;
      if (this.cutAfter !== undefined && size > this.cutAfter) throw gone();
      pieces.push(Uint8Array.from(piece));
    }
    this.files.set(name, Buffer.concat(pieces));
  }

  async read(name: string): Promise<AsyncIterable<Uint8Array>> {
    this.#ask();
    const bytes = this.files.get(name);
    if (bytes === undefined) throw failure('backup.absent', { name });
    return inPieces(bytes);
  }

  async remove(name: string): Promise<void> {
    this.#ask();
    this.files.delete(name);
  }

  async tidy(): Promise<void> {
    this.#ask();
  }

  close(): void {}

  #ask(): void {
    if (this.away) throw gone();
  }
}

const gone = () => failure('backup.place', { place: 'memory', reason: 'away', mend: 'Bring it back.' });

/** Bytes in pieces of a size that fits no border of anything. */
export async function* inPieces(bytes: Uint8Array, size = 997): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Stores to restore into, and how many of them were not removed. */
export function scratches(): { readonly make: () => Promise<Scratch>; open(): number } {
  let count = 0;
  return {
    open: () => count,
    async make() {
      count++;
      const backend = new MemoryBackend();
      return {
        backend,
        async remove() {
          count--;
          await backend.close();
        },
      };
    },
  };
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(Uint8Array.from(piece));
  return Buffer.concat(pieces);
}
