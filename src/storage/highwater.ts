/**
 * The newest revision that a store acknowledged, in a file beside it. A damaged page can lead to the root of an earlier commit,
 * and then all of the store is as it was before: whole by itself, with each write since gone. So is an older copy of the file
 * that somebody put there. Only what lies outside the store can tell.
 *
 * It is written after the commit has been made to last, and is not synced itself: after a cut of the power it may be behind the
 * store, which says nothing, and is never ahead of it.
 */

import { closeSync, constants, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** Beside the store, in its folder. */
export const HIGH_WATER_FILE = 'store.head';

/** The revision, and a sum by which half a line is known. What is behind it, nobody reads. */
const LINE = /^(\d{1,16}) ([0-9a-f]{8})\n/;
const LONGEST_LINE = 26;

export class HighWaterMark {
  /** The newest revision that was noted before it was opened; 0 where the file says nothing that can be relied on. */
  readonly found: number;
  readonly #handle: number;
  readonly #onTrouble: (error: unknown) => void;
  #isTroubled = false;

  /**
   * @param folder of the store; the file is made where it is missing, for its owner alone
   * @param onTrouble hears once when it cannot be written, which harms nothing but what it could tell
   * @throws Error of the file system
   */
  constructor(folder: string, onTrouble: (error: unknown) => void) {
    this.#handle = openSync(join(folder, HIGH_WATER_FILE), constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#onTrouble = onTrouble;
    this.found = read(this.#handle) ?? 0;
  }

  /** Notes a revision that has been made to last, and no earlier. */
  note(revision: number): void {
    const digits = String(revision);
    try {
      // In place and never shorter than before, so that a full disk has nothing to give.
      writeSync(this.#handle, `${digits} ${sumOf(digits)}\n`, 0, 'latin1');
      this.#isTroubled = false;
    } catch (error) {
      if (!this.#isTroubled) this.#onTrouble(error);
      this.#isTroubled = true;
    }
  }

  close(): void {
    try {
      fdatasyncSync(this.#handle);
    } catch (error) {
      this.#onTrouble(error);
    }
    closeSync(this.#handle);
  }
}

function read(handle: number): number | undefined {
  const bytes = Buffer.alloc(LONGEST_LINE);
  const text = bytes.toString('latin1', 0, readSync(handle, bytes, 0, bytes.length, 0));
  const [, digits, sum] = LINE.exec(text) ?? [];
  return digits !== undefined && sum === sumOf(digits) ? Number(digits) : undefined;
}

const sumOf = (digits: string): string => crc32(digits).toString(16).padStart(8, '0');
