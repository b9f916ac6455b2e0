/**
 * A chain of lines: what makes a changed byte or a lost line of a trail show. Lines are written in groups, as many at a time as
 * were waiting; the last line of a group ends in who wrote it, its number, how many lines it closes, the sum of the group
 * before and the sum of its own; the others say that they are open. Whoever can write the file can also write a new chain:
 * against that, heads are kept in a safer place, as anchors, and a chain must agree with them.
 */

import { hash } from 'node:crypto';

/** The newest line of a writer that is known for certain. */
export interface Anchor {
  readonly writer: string;
  readonly seq: number;
  readonly sum: string;
}

export const FIRST = '0'.repeat(64);

/** The most lines of a group, and so the most among which one that is gone has to be looked for. */
export const GROUP_LINES = 256;

/** How a line ends that its group has not closed, with its line feed: what does not was never written by a server. */
export const OPEN = ',"chain":{"open":true}}\n';

const TAIL =
  /,"chain":\{"writer":"([^"\\]*)","seq":(\d{1,15}),"lines":(\d{1,4}),"prev":"([0-9a-f]{64})","sum":"([0-9a-f]{64})"\}\}$/;

/** In one call: a hash object for each group costs more than hashing it. */
const sumOf = (text: string | Uint8Array): string => hash('sha256', text);

/** What closes a group beside the name of its writer: its own text, two sums, nineteen digits and a line feed. */
const CLOSING_BYTES = 220;

/** How many bytes `closeGroup` may need behind the lines. */
export const closingSpace = ({ writer }: Anchor): number => 3 * writer.length + CLOSING_BYTES;

/**
 * Closes the group of lines after `head`, where it stands.
 * @param room holds them from its beginning up to `end`: texts of JSON objects, each with `OPEN` in place of its last brace,
 *   and has `closingSpace` behind them
 * @returns where the group now ends, and the new head
 */
export function closeGroup(
  head: Anchor,
  room: Buffer,
  end: number,
  lines: number,
): { readonly end: number; readonly head: Anchor } {
  const { writer, sum: prev } = head;
  const seq = head.seq + lines;
  let at = end - OPEN.length;
  at += room.write(
    `,"chain":{"writer":${JSON.stringify(writer)},"seq":${seq},"lines":${lines},"prev":"${prev}"`,
    at,
  );
  const sum = sumOf(room.subarray(0, at));
  at += room.write(`,"sum":"${sum}"}}\n`, at, 'latin1');
  return { end: at, head: { writer, seq, sum } };
}

/** The lines of the group after `head`, without line feeds, and the new head: `bodies` are texts of JSON objects. */
export function link(
  head: Anchor,
  bodies: readonly string[],
): { readonly lines: readonly string[]; readonly head: Anchor } {
  const text = bodies.map((body) => body.slice(0, -1) + OPEN).join('');
  const room = Buffer.alloc(Buffer.byteLength(text) + closingSpace(head));
  const { end, head: next } = closeGroup(head, room, room.write(text), bodies.length);
  return { lines: room.toString('utf8', 0, end - 1).split('\n'), head: next };
}

export type Finding =
  /** Bytes of a line are not those that were written. */
  | { readonly kind: 'changed'; readonly line: number; readonly message: string }
  /** Lines were written and are not there. */
  | {
      readonly kind: 'missing';
      readonly line: number;
      readonly writer: string;
      readonly from: number;
      readonly to: number;
      readonly message: string;
    }
  /** Lines that were being written at a crash, or on a full disk; they were acknowledged to nobody. */
  | { readonly kind: 'torn'; readonly line: number; readonly message: string }
  /** A line is there twice, or out of its order. */
  | { readonly kind: 'repeated'; readonly line: number; readonly message: string };

export interface VerifyOptions {
  /** The anchors of all writers of the device. */
  readonly anchors?: readonly Anchor[];
  /** The lines begin in the middle of the trail, because older files were put away: a writer may begin at any number. */
  readonly partial?: boolean;
  /** What a finding calls a line of this number; by default, "line 7". */
  readonly placeOf?: (line: number) => string;
}

/** What is known of a writer. */
interface Seen {
  /** The number of the line before its first group. */
  readonly after: number;
  readonly head: Anchor;
  /** The sum of the group whose last line is anchored. */
  readonly anchored: string | undefined;
}

/** A line that no group has closed yet: its text from the first brace on, undefined where it has none. */
interface Unclosed {
  readonly line: number;
  readonly text: string | undefined;
}

/** The last line of a group, and what it says of it. */
interface Closing {
  readonly line: number;
  /** Its text from the first brace up to its own sum, which the sum covers. */
  readonly text: string;
  readonly lines: number;
  readonly prev: string;
  readonly head: Anchor;
}

/**
 * Checks the lines of one device, taken one by one across rotations in the order they were written; keeps the lines of one
 * group at most, and the newest head of each writer. Line numbers count from 1 over all lines; empty lines are passed over.
 */
export class ChainVerifier {
  readonly #tell: (finding: Finding) => void;
  readonly #partial: boolean;
  readonly #place: (line: number) => string;
  readonly #anchors: ReadonlyMap<string, Anchor>;
  readonly #writers = new Map<string, Seen>();
  #unclosed: Unclosed[] = [];
  #current: string | undefined;
  #number = 0;
  #taken = 0;

  /** @param tell is called with each finding as soon as it is certain */
  constructor(options: VerifyOptions, tell: (finding: Finding) => void) {
    this.#tell = tell;
    this.#partial = options.partial ?? false;
    this.#place = options.placeOf ?? ((line) => `line ${line}`);
    this.#anchors = new Map((options.anchors ?? []).map((anchor) => [anchor.writer, anchor]));
  }

  /** How many lines there were that are not empty. */
  get lines(): number {
    return this.#taken;
  }

  /** How many writers they are of: one for each time the server opened the device. */
  get writers(): number {
    return this.#writers.size;
  }

  take(text: string): void {
    const line = ++this.#number;
    if (text === '') return;
    this.#taken++;
    const start = text.indexOf('{');
    const tail = start === -1 ? null : TAIL.exec(text);
    if (tail === null) {
      // No group has so many lines: the oldest half is of none.
      if (this.#unclosed.length >= 2 * GROUP_LINES) this.#strange(this.#unclosed.splice(0, GROUP_LINES));
      this.#unclosed.push({ line, text: start === -1 ? undefined : text.slice(start) });
      return;
    }
    const [whole, writer = '', seq = '', lines = '', prev = '', sum = ''] = tail;
    const covered = text.length - whole.length + whole.indexOf(',"sum":"');
    this.#close({
      line,
      text: text.slice(start, covered),
      lines: Number(lines),
      prev,
      head: { writer, seq: Number(seq), sum },
    });
  }

  /** Nothing follows: what only the end can tell is told. */
  end(): void {
    this.#leftOver(this.#unclosed, true);
    this.#unclosed = [];
    for (const anchor of this.#anchors.values()) {
      const seen = this.#writers.get(anchor.writer);
      const last = seen?.head.seq ?? 0;
      if (seen === undefined && this.#partial) continue;
      if (last < anchor.seq) this.#missing(this.#number, anchor.writer, last + 1, anchor.seq, 'at the end');
      else if (seen !== undefined && anchor.seq > seen.after && seen.anchored !== anchor.sum)
        this.#changed(
          this.#number,
          `the lines of writer ${anchor.writer} up to number ${anchor.seq} were written anew`,
        );
    }
  }

  /** Holds a group against what it says of itself, and against the one before it of the same writer. */
  #close(closing: Closing): void {
    const { line, lines, head } = closing;
    const { writer, seq, sum } = head;
    const others = this.#unclosed;
    this.#unclosed = [];
    const own = others.splice(Math.max(0, others.length - (lines - 1)));
    const after = seq - lines;
    const seen = this.#writers.get(writer);
    const last = seen?.head ?? (this.#partial ? undefined : { writer, seq: 0, sum: FIRST });
    this.#leftOver(others, seen === undefined && after === 0);
    this.#current = writer;
    if (last !== undefined && after < last.seq) {
      const message = `${this.#place(line)} repeats number ${seq} of writer ${writer}, or is out of its order`;
      this.#tell({ kind: 'repeated', line, message });
      return;
    }
    if (own.length < lines - 1) this.#shortened(closing, own, last === undefined);
    else if (sumOf([...own, closing].map(({ text }) => text ?? '').join('\n')) !== sum)
      this.#changed(
        own[0]?.line ?? line,
        own[0] === undefined
          ? `${this.#place(line)} was changed`
          : `one of the lines from ${this.#place(own[0].line)} to ${this.#place(line)} was changed`,
      );
    // A line that is none stands for one that it hid: that is not missing as well.
    const gone = last === undefined ? 0 : after - last.seq - others.length;
    if (last !== undefined && gone > 0)
      this.#missing(line, writer, last.seq + 1, after, `before ${this.#place(own[0]?.line ?? line)}`);
    else if (last?.seq === after && closing.prev !== last.sum)
      this.#changed(
        line,
        `${this.#place(line)} does not follow the line before it: one of the two was changed`,
      );
    const anchored = this.#anchors.get(writer)?.seq === seq ? sum : seen?.anchored;
    this.#writers.set(writer, { after: seen?.after ?? after, head, anchored });
  }

  /** Lines of a group are missing, and nobody knows which. @param isFirst the trail may begin in the middle of the group */
  #shortened({ line, lines, head }: Closing, own: readonly Unclosed[], isFirst: boolean): void {
    if (isFirst) return;
    const { writer, seq } = head;
    const gone = lines - 1 - own.length;
    const message = `${gone} of the lines number ${seq - lines + 1} to ${seq} of writer ${writer} ${gone === 1 ? 'is' : 'are'} missing before ${this.#place(line)}`;
    this.#tell({ kind: 'missing', line, writer, from: seq - lines + 1, to: seq, message });
  }

  /**
   * Lines that belong to no group. A crash leaves some open ones and then one that is cut, where a writer ended; if the
   * server knows that more of them were acknowledged, that was no crash.
   */
  #leftOver(lines: readonly Unclosed[], hasEnded: boolean): void {
    const [first] = lines;
    if (first === undefined) return;
    const anchor = this.#current === undefined ? undefined : this.#anchors.get(this.#current);
    const seen = this.#current === undefined ? undefined : this.#writers.get(this.#current);
    const acknowledged = anchor !== undefined && anchor.seq > (seen?.head.seq ?? 0);
    const isTorn = lines.every(
      ({ text }, at) => isOpen(text) || (at === lines.length - 1 && !isObject(text)),
    );
    if (!hasEnded || acknowledged || !isTorn) return this.#strange(lines);
    this.#tell({ kind: 'torn', line: first.line, message: this.#tornOf(lines, this.#place(first.line)) });
  }

  #tornOf(lines: readonly Unclosed[], first: string): string {
    if (lines.length > 1)
      return `${lines.length} lines from ${first} on were being written when the server ended`;
    return `${first} was ${isOpen(lines[0]?.text) ? 'being written when the server ended' : 'cut while it was written'}`;
  }

  /** Lines that this server did not write, or that are no longer what it wrote. */
  #strange(lines: readonly Unclosed[]): void {
    const [first, last] = [lines[0]?.line ?? 0, lines.at(-1)?.line ?? 0];
    this.#changed(
      first,
      first === last
        ? `${this.#place(first)} is not a line that this server wrote`
        : `the lines from ${this.#place(first)} to ${this.#place(last)} are closed by no sum of this server`,
    );
  }

  #changed(line: number, message: string): void {
    this.#tell({ kind: 'changed', line, message });
  }

  #missing(line: number, writer: string, from: number, to: number, where: string): void {
    const what = from === to ? `line number ${from}` : `lines number ${from} to ${to}`;
    const message = `${what} of writer ${writer} ${from === to ? 'is' : 'are'} missing ${where}`;
    this.#tell({ kind: 'missing', line, writer, from, to, message });
  }
}

const isOpen = (text: string | undefined): boolean =>
  text?.endsWith(OPEN.trimEnd()) === true && isObject(text);

/** Whether the text is a whole object: what was cut while it was written never is. */
function isObject(text: string | undefined): boolean {
  if (text?.endsWith('}') !== true) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Checks lines that are all at hand. A text that ends in a line feed gives an empty last line when split. */
export function verifyChain(lines: Iterable<string>, options: VerifyOptions = {}): Finding[] {
  const findings: Finding[] = [];
  const verifier = new ChainVerifier(options, (finding) => findings.push(finding));
  for (const line of lines) verifier.take(line);
  verifier.end();
  return findings;
}
