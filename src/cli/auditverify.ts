/**
 * audit verify: whether anybody changed the trail. Exit 0: it is whole. 2: lines were changed, are missing or are not where
 * they were. 1: it could not be judged, which an alarm must not take for either.
 */

import type { Command } from 'commander';
import { type Anchor, ChainVerifier, type Finding } from '../base/chain.ts';
import { failure } from '../base/errors.ts';
import { isBag } from '../client/envelope.ts';
import { keyValueTable, print } from './output.ts';
import { type Flags, open, remote, type Session } from './session.ts';
import { Exit, explain, type Terminal } from './terminal.ts';
import { fileOfDevice, inOrder, linesOf } from './trail.ts';

/** More than a person reads; the rest is counted. */
const TOLD = 1000;

type VerifyFlags = Flags & { readonly device?: string; readonly partial?: boolean };

interface Place {
  readonly file: string;
  readonly line: number;
}

interface Verdict {
  readonly files: readonly string[];
  readonly lines: number;
  readonly writers: number;
  readonly anchored: boolean;
  readonly findings: readonly (Finding & Place)[];
  readonly untold: number;
}

export function declareAuditVerify(group: Command, terminal: Terminal): void {
  remote(group, 'verify [files...]', 'Tell whether lines were changed, deleted or moved')
    .option('--device <path>', 'the device whose files they are: the server tells which lines were its last')
    .option('--partial', 'older files were put away: the trail may begin in its middle')
    .action(async (typed: readonly string[], flags: VerifyFlags) => {
      const session = await open(terminal, flags);
      const verdict = await verify(session, typed, flags).catch((error: unknown) => {
        terminal.err(explain(error).text);
        throw new Exit(1);
      });
      tell(session, verdict);
      if (!isWhole(verdict)) throw new Exit(2);
    });
}

/** A torn line was acknowledged to nobody: that is how a crash looks. */
const isWhole = ({ findings, untold }: Verdict): boolean =>
  untold === 0 && findings.every(({ kind }) => kind === 'torn');

async function verify(session: Session, typed: readonly string[], flags: VerifyFlags): Promise<Verdict> {
  const { device } = flags;
  if (typed.length === 0 && device === undefined)
    throw failure('cli.usage', { reason: 'name the files of the trail, or the device with -device=PATH' });
  // Before the files are read: what is written meanwhile must not look as if it were missing.
  const anchors = device === undefined ? undefined : await anchorsOf(session, device);
  const named = typed.length > 0 ? typed : [await fileOfDevice(session.client, device ?? '')];
  const files = await inOrder(named);
  const begins: { readonly file: string; readonly after: number }[] = [];
  const at = (line: number): Place => {
    const begin = begins.findLast(({ after }) => after < line) ?? begins[0];
    return { file: begin?.file ?? '', line: line - (begin?.after ?? 0) };
  };
  const findings: (Finding & Place)[] = [];
  let untold = 0;
  const verifier = new ChainVerifier(
    {
      partial: flags.partial ?? false,
      ...(anchors === undefined ? {} : { anchors }),
      placeOf: (line) => `line ${at(line).line} of ${at(line).file}`,
    },
    (finding) => {
      if (findings.length < TOLD) findings.push({ ...finding, ...at(finding.line) });
      else untold++;
    },
  );
  let lines = 0;
  for (const file of files) {
    begins.push({ file, after: lines });
    for await (const line of linesOf(file)) {
      lines++;
      verifier.take(line);
    }
  }
  verifier.end();
  return {
    files,
    lines: verifier.lines,
    writers: verifier.writers,
    anchored: anchors !== undefined,
    findings,
    untold,
  };
}

async function anchorsOf({ client }: Session, device: string): Promise<readonly Anchor[]> {
  const path = `sys/audit-chain/${device.replace(/\/+$/, '')}`;
  const data = (await client.request('GET', path)).envelope?.data;
  const anchors = isBag(data) && Array.isArray(data['anchors']) ? data['anchors'] : [];
  return anchors.flatMap((anchor) => {
    if (!isBag(anchor)) return [];
    const { writer, seq, sum } = anchor;
    const isAnchor = typeof writer === 'string' && typeof seq === 'number' && typeof sum === 'string';
    return isAnchor ? [{ writer, seq, sum }] : [];
  });
}

function tell({ terminal, format }: Session, verdict: Verdict): void {
  const { files, lines, writers, anchored, findings, untold } = verdict;
  const whole = isWhole(verdict);
  print(terminal, format, { whole, files, lines, writers, anchored, findings, untold }, () => {
    const facts = keyValueTable(
      {
        Verdict: whole ? 'whole' : 'NOT WHOLE',
        Files: files.length,
        Lines: lines,
        Writers: writers,
        'Held against': anchored ? 'the server' : 'itself alone',
      },
      false,
    );
    const said = findings.map(({ kind, message }) => `  * ${kind}: ${message}\n`).join('');
    const rest = untold === 0 ? '' : `  * and ${untold} more\n`;
    return `${facts}${said === '' ? '' : `\n${said}${rest}`}`;
  });
  if (!anchored)
    terminal.err(
      'Lines that were cut off at the end, or a trail that was written anew, only the server can tell: add -device=PATH.\n',
    );
}
