/**
 * The newest known line of each writer of a device, kept behind the barrier. A device has a new writer each time it is opened,
 * so that the oldest are let go of: their lines still vouch for each other, and only the last ones could go unnoticed.
 */

import { z } from 'zod';
import { textOf, utf8 } from '../../base/bytes.ts';
import type { Anchor } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import { stringify } from '../../base/json.ts';
import type { Storage } from '../../storage/storage.ts';

/** Writers that are remembered for each device. */
export const ANCHORS_KEPT = 256;

const kept = z.object({ writer: z.string(), seq: z.number(), sum: z.string(), at: z.number().default(0) });
type Kept = z.infer<typeof kept>;

export class Anchors {
  readonly #storage: Storage;
  readonly #clock: Clock;
  /** The writers that are known to be stored, so that only a new one makes the others be counted. */
  readonly #known = new Set<string>();

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Keeps the head of a device's writer; with a new writer, forgets the oldest beyond the bound. */
  async put(device: string, head: Anchor): Promise<void> {
    const key = folderOf(device) + head.writer;
    const value = utf8(stringify({ ...head, at: this.#clock.now() } satisfies Kept));
    const gone = this.#known.has(key) ? [] : await this.#tooMany(device, head.writer);
    await this.#storage.commit([{ key, value }, ...gone.map((old) => ({ key: old, delete: true as const }))]);
    this.#known.add(key);
    for (const old of gone) this.#known.delete(old);
  }

  async all(device: string): Promise<readonly Anchor[]> {
    return (await this.#read(device)).map(({ writer, seq, sum }) => ({ writer, seq, sum }));
  }

  async #tooMany(device: string, writer: string): Promise<string[]> {
    const others = (await this.#read(device)).filter((anchor) => anchor.writer !== writer);
    return others
      .sort((a, b) => b.at - a.at)
      .slice(ANCHORS_KEPT - 1)
      .map((old) => folderOf(device) + old.writer);
  }

  async #read(device: string): Promise<Kept[]> {
    const folder = folderOf(device);
    const found: Kept[] = [];
    for (const writer of await this.#storage.list(folder)) {
      const entry = await this.#storage.get(folder + writer);
      const text = entry && textOf(entry.value);
      if (text !== undefined) found.push(kept.parse(JSON.parse(text)));
    }
    return found;
  }
}

/** @param device its path, with the slash at its end */
const folderOf = (device: string): string => `anchors/${encodeURIComponent(device.slice(0, -1))}/`;
