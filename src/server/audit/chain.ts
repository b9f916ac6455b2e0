/**
 * The chain that makes a changed byte or a lost line of the trail show. Every line ends in who wrote it, its number, the
 * sum of the line before and its own sum. Whoever can write the file can also write a new chain: against that, heads are
 * anchored behind the barrier, and a chain must agree with its anchor.
 */

import { hex, sha256 } from '../../base/bytes.ts';

/** The newest line of a writer that is known for certain. */
export interface Anchor {
  readonly writer: string;
  readonly seq: number;
  readonly sum: string;
}

export const FIRST = '0'.repeat(64);

const TAIL =
  /,"chain":\{"writer":"([^"\\]*)","seq":(\d{1,15}),"prev":"([0-9a-f]{64})","sum":"([0-9a-f]{64})"\}\}$/;

/** The line after `head`: `body` is a JSON object's text. Gives the line, without its line feed, and the new head. */
export function link(head: Anchor, body: string): { line: string; head: Anchor } {
  const seq = head.seq + 1;
  const open = `${body.slice(0, -1)},"chain":{"writer":${JSON.stringify(head.writer)},"seq":${seq},"prev":"${head.sum}"`;
  const sum = hex(sha256(open));
  return { line: `${open},"sum":"${sum}"}}`, head: { writer: head.writer, seq, sum } };
}

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
  /** The anchors of all writers of the device, or one of them. */
  readonly anchor?: Anchor | readonly Anchor[];
  /** The lines begin in the middle of the trail, because older files were put away: a writer may begin at any number. */
  readonly partial?: boolean;
}

interface Seen {
  head: Anchor;
  /** Sums by number, kept for the numbers that are anchored alone. */
  anchored: string | undefined;
}

/**
 * Checks the lines of one device, across rotations in the order they were written. Line numbers count from 1.
 * A text that ends in a line feed gives an empty last line when split; empty lines are passed over.
 */
export function verifyAudit(lines: Iterable<string>, options: VerifyOptions = {}): Finding[] {
  const findings: Finding[] = [];
  const anchors = new Map(
    (options.anchor === undefined ? [] : 'writer' in options.anchor ? [options.anchor] : options.anchor).map(
      (anchor) => [anchor.writer, anchor],
    ),
  );
  const writers = new Map<string, Seen>();
  /** A line that is no whole line: torn if a new writer, or nobody, follows it; else changed. */
  let broken: { line: number; writer: string | undefined } | undefined;
  let current: string | undefined;
  let number = 0;

  const settle = (next: { writer: string; seq: number } | undefined): void => {
    if (broken === undefined) return;
    const { line, writer } = broken;
    const anchor = writer === undefined ? undefined : anchors.get(writer);
    const seen = writer === undefined ? undefined : writers.get(writer);
    const acknowledged = anchor !== undefined && anchor.seq > (seen?.head.seq ?? 0);
    const fresh = next === undefined || (next.writer !== writer && next.seq === 1);
    findings.push(
      fresh && !acknowledged
        ? { kind: 'torn', line, message: `line ${line} was cut while it was written` }
        : { kind: 'changed', line, message: `line ${line} is not a line that this server wrote` },
    );
    // The broken line stands for the number that it hid: it is not missing as well.
    if (seen !== undefined && next?.writer === writer && next?.seq === seen.head.seq + 2)
      seen.head = { ...seen.head, seq: seen.head.seq + 1, sum: '' };
    broken = undefined;
  };

  for (const line of lines) {
    number++;
    if (line === '') continue;
    const start = line.indexOf('{');
    const tail = TAIL.exec(line);
    if (start === -1 || tail === null) {
      settle({ writer: '', seq: 0 });
      broken = { line: number, writer: current };
      continue;
    }
    const [whole, writer = '', digits = '', prev = '', sum = ''] = tail;
    const seq = Number(digits);
    settle({ writer, seq });
    current = writer;
    // The sum covers the text from the first brace up to its own member.
    const covered = line.slice(start, line.length - whole.length) + whole.slice(0, whole.indexOf(',"sum":"'));
    if (hex(sha256(covered)) !== sum)
      findings.push({ kind: 'changed', line: number, message: `line ${number} was changed` });
    const seen = writers.get(writer);
    const last = seen?.head ?? (options.partial ? undefined : { writer, seq: 0, sum: FIRST });
    if (last !== undefined && seq <= last.seq) {
      findings.push({
        kind: 'repeated',
        line: number,
        message: `line ${number} repeats number ${seq} of ${writer}`,
      });
      continue;
    }
    if (last !== undefined && seq > last.seq + 1)
      findings.push(missing(number, writer, last.seq + 1, seq - 1));
    else if (last !== undefined && last.sum !== '' && prev !== last.sum)
      findings.push({
        kind: 'changed',
        line: number,
        message: `line ${number} does not follow the line before it: one of the two was changed`,
      });
    writers.set(writer, {
      head: { writer, seq, sum },
      anchored: anchors.get(writer)?.seq === seq ? sum : seen?.anchored,
    });
  }
  settle(undefined);

  for (const anchor of anchors.values()) {
    const seen = writers.get(anchor.writer);
    const last = seen?.head.seq ?? 0;
    if (seen === undefined && options.partial) continue;
    if (last < anchor.seq) findings.push(missing(number, anchor.writer, last + 1, anchor.seq));
    else if (seen?.anchored !== undefined && seen.anchored !== anchor.sum)
      findings.push({
        kind: 'changed',
        line: number,
        message: `the lines of ${anchor.writer} up to number ${anchor.seq} were written anew`,
      });
  }
  return findings;
}

const missing = (line: number, writer: string, from: number, to: number): Finding => ({
  kind: 'missing',
  line,
  writer,
  from,
  to,
  message:
    from === to
      ? `line number ${from} of ${writer} is missing before line ${line}`
      : `lines number ${from} to ${to} of ${writer} are missing before line ${line}`,
});
