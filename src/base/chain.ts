/**
 * A chain of lines: what makes a changed byte or a lost line of a trail show. Every line ends in who wrote it, its number, the
 * sum of the line before and its own sum. Whoever can write the file can also write a new chain: against that, heads are kept
 * in a safer place, as anchors, and a chain must agree with them.
 */

import { hash } from 'node:crypto';

/** The newest line of a writer that is known for certain. */
export interface Anchor {
  readonly writer: string;
  readonly seq: number;
  readonly sum: string;
}

export const FIRST = '0'.repeat(64);

const TAIL =
  /,"chain":\{"writer":"([^"\\]*)","seq":(\d{1,15}),"prev":"([0-9a-f]{64})","sum":"([0-9a-f]{64})"\}\}$/;

/** In one call: a hash object for each line costs more than hashing it. */
const sumOf = (text: string | Uint8Array): string => hash('sha256', text);

/** The line after `head`: `body` is a JSON object's text. Gives the line, without its line feed, and the new head. */
export function link(head: Anchor, body: string): { line: string; head: Anchor } {
  const room = Buffer.allocUnsafe(spaceFor(head, [body], ''));
  const { bytes, head: next } = linkAll(head, [body], '', room);
  return { line: bytes.toString('utf8', 0, bytes.length - 1), head: next };
}

/** How many bytes `linkAll` may need for the lines. */
export function spaceFor({ writer }: Anchor, bodies: readonly string[], prefix: string): number {
  const beside = 3 * (prefix.length + writer.length) + CHAIN_BYTES;
  return bodies.reduce((sum, body) => sum + 3 * body.length + beside, 0);
}

/**
 * The lines after `head`, each with `prefix` before it and a line feed behind it, and the new head. Each text is turned into
 * bytes once, in its place: as texts they would be copied three times, to be hashed, joined and sent.
 * @param bodies the texts of JSON objects
 * @param room where the bytes are put; as large as `spaceFor` says
 * @returns the part of `room` that holds them
 */
export function linkAll(
  head: Anchor,
  bodies: readonly string[],
  prefix: string,
  room: Buffer,
): { bytes: Buffer; head: Anchor } {
  const writer = JSON.stringify(head.writer);
  let { seq, sum } = head;
  let at = 0;
  for (const body of bodies) {
    if (prefix !== '') at += room.write(prefix, at);
    const begin = at;
    // Over the brace that closes the object: the chain is its last member.
    at += room.write(body, at) - 1;
    at += room.write(`,"chain":{"writer":${writer},"seq":${++seq},"prev":"${sum}"`, at);
    sum = sumOf(room.subarray(begin, at));
    at += room.write(`,"sum":"${sum}"}}\n`, at, 'latin1');
  }
  return { bytes: room.subarray(0, at), head: { writer: head.writer, seq, sum } };
}

/** What the chain adds to a line beside the name of its writer: its own text, two sums, fifteen digits and a line feed. */
const CHAIN_BYTES = 200;

export type Finding =
  /** Bytes of the line are not those that were written. */
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
  /** A line was cut while it was written, by a crash or a full disk; it was acknowledged to nobody. */
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

interface Seen {
  head: Anchor;
  /** The sum of the line whose number is anchored. */
  anchored: string | undefined;
}

/**
 * Checks the lines of one device, taken one by one across rotations in the order they were written; keeps no line, only the
 * newest head of each writer. Line numbers count from 1 over all lines; empty lines are passed over.
 */
export class ChainVerifier {
  readonly #tell: (finding: Finding) => void;
  readonly #partial: boolean;
  readonly #place: (line: number) => string;
  readonly #anchors: ReadonlyMap<string, Anchor>;
  readonly #writers = new Map<string, Seen>();
  /** A line that is no whole line: torn if a new writer, or nobody, follows it; else changed. */
  #broken: { line: number; writer: string | undefined; cut: boolean } | undefined;
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

  take(line: string): void {
    const number = ++this.#number;
    if (line === '') return;
    this.#taken++;
    const start = line.indexOf('{');
    const tail = TAIL.exec(line);
    if (start === -1 || tail === null) {
      this.#settle({ writer: '', seq: 0 });
      this.#broken = { line: number, writer: this.#current, cut: !isObject(line.slice(start)) };
      return;
    }
    const [whole, writer = '', digits = '', prev = '', sum = ''] = tail;
    const seq = Number(digits);
    this.#settle({ writer, seq });
    this.#current = writer;
    // The sum covers the text from the first brace up to its own member.
    const covered = line.slice(start, line.length - whole.length) + whole.slice(0, whole.indexOf(',"sum":"'));
    if (sumOf(covered) !== sum) this.#changed(number, `${this.#place(number)} was changed`);
    this.#follow(number, { writer, seq, sum }, prev);
  }

  /** Nothing follows: what only the end can tell is told. */
  end(): void {
    this.#settle(undefined);
    for (const anchor of this.#anchors.values()) {
      const seen = this.#writers.get(anchor.writer);
      const last = seen?.head.seq ?? 0;
      if (seen === undefined && this.#partial) continue;
      if (last < anchor.seq) this.#missing(this.#number, anchor.writer, last + 1, anchor.seq);
      else if (seen?.anchored !== undefined && seen.anchored !== anchor.sum)
        this.#changed(
          this.#number,
          `the lines of writer ${anchor.writer} up to number ${anchor.seq} were written anew`,
        );
    }
  }

  /** Holds a line against the one before it of the same writer. */
  #follow(number: number, head: Anchor, prev: string): void {
    const { writer, seq, sum } = head;
    const seen = this.#writers.get(writer);
    const last = seen?.head ?? (this.#partial ? undefined : { writer, seq: 0, sum: FIRST });
    if (last !== undefined && seq <= last.seq) {
      const message = `${this.#place(number)} repeats number ${seq} of writer ${writer}, or is out of its order`;
      this.#tell({ kind: 'repeated', line: number, message });
      return;
    }
    if (last !== undefined && seq > last.seq + 1)
      this.#missing(number, writer, last.seq + 1, seq - 1, `before ${this.#place(number)}`);
    else if (last !== undefined && last.sum !== '' && prev !== last.sum)
      this.#changed(
        number,
        `${this.#place(number)} does not follow the line before it: one of the two was changed`,
      );
    const anchored = this.#anchors.get(writer)?.seq === seq ? sum : seen?.anchored;
    this.#writers.set(writer, { head, anchored });
  }

  #settle(next: { writer: string; seq: number } | undefined): void {
    if (this.#broken === undefined) return;
    const { line, writer, cut } = this.#broken;
    const anchor = writer === undefined ? undefined : this.#anchors.get(writer);
    const seen = writer === undefined ? undefined : this.#writers.get(writer);
    const acknowledged = anchor !== undefined && anchor.seq > (seen?.head.seq ?? 0);
    const fresh = next === undefined || (next.writer !== writer && next.seq === 1);
    if (cut && fresh && !acknowledged)
      this.#tell({ kind: 'torn', line, message: `${this.#place(line)} was cut while it was written` });
    else this.#changed(line, `${this.#place(line)} is not a line that this server wrote`);
    // The broken line stands for the number that it hid: it is not missing as well.
    if (seen !== undefined && next?.writer === writer && next?.seq === seen.head.seq + 2)
      seen.head = { ...seen.head, seq: seen.head.seq + 1, sum: '' };
    this.#broken = undefined;
  }

  #changed(line: number, message: string): void {
    this.#tell({ kind: 'changed', line, message });
  }

  #missing(line: number, writer: string, from: number, to: number, where = 'at the end'): void {
    const what = from === to ? `line number ${from}` : `lines number ${from} to ${to}`;
    const message = `${what} of writer ${writer} ${from === to ? 'is' : 'are'} missing ${where}`;
    this.#tell({ kind: 'missing', line, writer, from, to, message });
  }
}

/** Whether the text is a whole object: what was cut while it was written never is. */
function isObject(text: string): boolean {
  if (!text.endsWith('}')) return false;
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
