/**
 * Where lines are put down as the bytes that go out, one behind the other. Kept as texts until they are sent, they would be
 * put together, flattened and encoded, each a copy of the whole.
 */

import { utf8 } from '../../base/bytes.ts';
import { type Anchor, closeGroup, closingSpace, OPEN } from '../../base/chain.ts';

const FIRST_BYTES = 64 * 1024;
/** What one long line made a sheet grow to is not kept for the next. */
const KEPT_BYTES = 4 * 1024 * 1024;
const OPEN_BYTES = utf8(OPEN);
/** In letters. */
const SHORT = 64;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

export class Sheet {
  #room = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** In bytes. */
  length = 0;

  text(text: string): void {
    if (text.length <= SHORT && this.#ascii(text)) return;
    // Three bytes of UTF-8 for each unit of UTF-16 are the most; counting them is worth it only where they would not fit.
    if (this.length + 3 * text.length > this.#room.length) this.#need(Buffer.byteLength(text));
    this.length += this.#room.write(text, this.length);
  }

  /** Letter by letter, which takes less than to have a short text written; false, and nothing of it, where not all is ASCII. */
  #ascii(text: string): boolean {
    this.#need(text.length);
    const room = this.#room;
    const from = this.length;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) return false;
      room[from + at] = code;
    }
    this.length += text.length;
    return true;
  }

  /** Ends a line, in place of the last brace of its object. */
  endLine(): void {
    this.bytes(OPEN_BYTES);
  }

  bytes(bytes: Uint8Array): void {
    this.#need(bytes.length);
    this.#room.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Makes an object of the members that stand from `from` on, each with a comma before it. */
  object(from: number): void {
    this.#need(2);
    if (this.length === from) this.length++;
    this.#room[from] = OPENING_BRACE;
    this.#room[this.length++] = CLOSING_BRACE;
  }

  /** What stands from `from` up to `to`, once more. */
  again(from: number, to: number): void {
    this.#need(to - from);
    this.#room.copyWithin(this.length, from, to);
    this.length += to - from;
  }

  /** All of it as a text: to another thread that is cheaper to send than bytes. */
  toString(): string {
    return this.#room.toString('utf8', 0, this.length);
  }

  /**
   * Its lines as a group of a chain, which may be asked for again with another head.
   * @param prefix stands before each line, and no sum covers it
   * @returns bytes that are only lent: whoever writes on this sheet changes them
   */
  closed(head: Anchor, lines: number, prefix: string): { readonly bytes: Uint8Array; readonly head: Anchor } {
    this.#need(closingSpace(head));
    const { end, head: next } = closeGroup(head, this.#room, this.length, lines);
    const bytes = this.#room.subarray(0, end);
    return { bytes: prefix === '' ? bytes : prefixed(bytes, prefix), head: next };
  }

  /** Empty again, for other lines. */
  cleared(): this {
    this.length = 0;
    if (this.#room.length > KEPT_BYTES) this.#room = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return this;
  }

  #need(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.#room.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#room.length));
    this.#room.copy(larger, 0, 0, this.length);
    this.#room = larger;
  }
}

/** Whatever `put` puts down on the sheets, or nothing of it on any where it fails. */
export function whole(sheets: readonly Sheet[], put: () => void): void {
  const before = sheets.map((sheet) => sheet.length);
  try {
    put();
  } catch (error) {
    for (const [at, sheet] of sheets.entries()) sheet.length = before[at] ?? 0;
    throw error;
  }
}

/** A line is JSON: it has no line feed within, but may have what a regular expression takes for the end of a line. */
const prefixed = (lines: Buffer, prefix: string): Buffer =>
  Buffer.from(lines.toString().replace(/(^|\n)(?=\{)/g, (feed) => feed + prefix));
