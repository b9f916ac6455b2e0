/** audit who-read: who read a secret, out of the files of an audit device, without asking any server. */

import type { Command } from 'commander';
import { parseDuration } from '../base/duration.ts';
import { failure } from '../base/errors.ts';
import { stringify } from '../base/json.ts';
import { tame } from '../base/tame.ts';
import { type Format, formatOf, pretty, table, toYaml } from './output.ts';
import { type ReadEntry, ReadFinder } from './reads.ts';
import { type Flags, open, remote } from './session.ts';
import type { Terminal } from './terminal.ts';
import { fileOfDevice, inOrder, linesOf } from './trail.ts';

type WhoFlags = Flags & {
  readonly since?: string;
  readonly until?: string;
  readonly list?: boolean;
  readonly denied?: boolean;
  readonly device?: string;
};

export function declareWhoRead(group: Command, terminal: Terminal): void {
  remote(group, 'who-read <path> [files...]', 'Tell who read a secret, out of the files of the trail')
    .option('--since <when>', 'so long ago (24h), or a time of RFC 3339')
    .option('--until <when>', 'the same, for the end')
    .option('--list', 'who listed it or read its metadata, too')
    .option('--denied', 'who tried: denied, failed, nothing there, never answered')
    .option('--device <path>', 'where no file is named: read that of this device, as the server tells it')
    .action(async (path: string, typed: readonly string[], flags: WhoFlags) => {
      const format = formatOf(terminal, flags.format);
      const now = Date.now();
      const query = {
        path,
        ...(flags.since === undefined ? {} : { since: timeOf(flags.since, 'since', now) }),
        ...(flags.until === undefined ? {} : { until: timeOf(flags.until, 'until', now) }),
        lists: flags.list ?? false,
        attempts: flags.denied ?? false,
      };
      const rows = new Rows(terminal, format, path);
      const finder = new ReadFinder(query, (entry) => rows.add(entry));
      for (const file of await inOrder(await filesOf(terminal, typed, flags)))
        for await (const line of linesOf(file)) finder.take(line);
      finder.end();
      rows.end();
      if (finder.unreadable > 0)
        terminal.err(
          `${finder.unreadable} lines could not be read: holdfast audit verify tells what became of them.\n`,
        );
    });
}

async function filesOf(
  terminal: Terminal,
  typed: readonly string[],
  flags: WhoFlags,
): Promise<readonly string[]> {
  if (typed.length > 0) return typed;
  if (flags.device === undefined)
    throw failure('cli.usage', { reason: 'name the files of the trail, or the device with -device=PATH' });
  return [await fileOfDevice((await open(terminal, flags)).client, flags.device)];
}

function timeOf(given: string, flag: string, now: number): number {
  const at = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/.test(given) ? Date.parse(given) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  try {
    return now - parseDuration(given);
  } catch {
    throw failure('cli.usage', {
      reason: `-${flag} is a duration such as 24h, or a time such as 2026-01-02T03:04:05Z`,
    });
  }
}

/** Rows that are measured before a table is printed; later ones go by the same widths. */
const MEASURED = 1000;
/** As long as a path may be. */
const LONGEST_CELL = 4096;
const HEADING = ['Time', 'Name', 'Entity', 'Accessor', 'Address', 'Operation', 'Allowed', 'Path'];

/** Prints as it goes: what was read often by many must not fill the memory first. */
class Rows {
  readonly #terminal: Terminal;
  readonly #format: Format;
  readonly #path: string;
  #waiting: ReadEntry[] = [];
  #widths: readonly number[] | undefined;
  #printed = 0;

  constructor(terminal: Terminal, format: Format, path: string) {
    this.#terminal = terminal;
    this.#format = format;
    this.#path = path;
  }

  add(entry: ReadEntry): void {
    if (this.#format === 'table') {
      this.#waiting.push(entry);
      if (this.#waiting.length >= MEASURED) this.#flush();
      return;
    }
    const item = stringify(this.#format === 'yaml' ? [entry] : entry);
    const lead = this.#printed++ === 0 ? '[\n' : ',\n';
    if (this.#format === 'yaml') this.#terminal.out(toYaml(item));
    else this.#terminal.out(`${lead}${pretty(item).trimEnd().replace(/^/gm, '  ')}`);
  }

  end(): void {
    if (this.#format === 'table') {
      this.#flush();
      if (this.#printed === 0) this.#terminal.out(`Nobody read ${tame(this.#path)} in these files.\n`);
    } else if (this.#format === 'yaml') {
      if (this.#printed === 0) this.#terminal.out('[]\n');
    } else this.#terminal.out(this.#printed === 0 ? '[]\n' : '\n]\n');
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const rows = this.#waiting.map(cells);
    this.#waiting = [];
    this.#printed += rows.length;
    if (this.#widths === undefined) {
      this.#widths = HEADING.map((_, at) =>
        Math.max(...[HEADING, ...rows].map((row) => row[at]?.length ?? 0)),
      );
      this.#terminal.out(table([HEADING, ...rows]));
      return;
    }
    const widths = this.#widths;
    const line = (row: readonly string[]): string =>
      row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd((widths[at] ?? 0) + 4))).join('');
    this.#terminal.out(rows.map((row) => `${line(row)}\n`).join(''));
  }
}

const OUTCOMES: Readonly<Record<ReadEntry['outcome'], string>> = {
  read: '',
  nothing: ', nothing there',
  denied: '',
  failed: ', failed',
  unanswered: ', no answer',
};

/** Names and paths are text of strangers: none of it may move the cursor. */
const cells = (entry: ReadEntry): string[] =>
  [
    entry.time,
    entry.display_name || 'n/a',
    entry.entity_id || 'n/a',
    entry.accessor || 'n/a',
    entry.remote_address || 'n/a',
    `${entry.operation}${OUTCOMES[entry.outcome]}`,
    entry.allowed ? 'yes' : 'NO',
    entry.path,
  ].map((cell) => tame(cell, LONGEST_CELL));
