/** operator rotate and key-status: the key that everything is encrypted with. */

import type { Command } from 'commander';
import type { Answer } from '../../client/client.ts';
import { bagOf } from '../../client/envelope.ts';
import { cell, columns, print, printField } from '../output.ts';
import { type Flags, open, remote, type Session } from '../session.ts';
import type { Terminal } from '../terminal.ts';

export function declareKeyring(group: Command, terminal: Terminal): void {
  remote(group, 'rotate', 'Encrypt what is written from now on with a new key').action(
    async (flags: Flags) => {
      const session = await open(terminal, flags);
      await session.client.request('POST', 'sys/rotate', { body: {} });
      const status = await session.client.request('GET', 'sys/key-status');
      printKeyStatus(session, status, 'Success! Rotated key\n\n');
    },
  );

  remote(group, 'key-status', 'Show which key that is, and since when').action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    printKeyStatus(session, await session.client.request('GET', 'sys/key-status'), '');
  });
}

function printKeyStatus({ terminal, format, flags }: Session, answer: Answer, before: string): void {
  const status = bagOf(answer.envelope?.data);
  if (flags.field !== undefined) return printField(terminal, format, status, flags.field);
  print(
    terminal,
    format,
    status,
    () =>
      before +
      columns([
        ['Key Term', cell(status['term'])],
        ['Install Time', shortTime(cell(status['install_time']))],
        ['Encryption Count', cell(status['encryptions'])],
      ]),
  );
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** A time of RFC 3339 in UTC as RFC 822 spells it, which upstream prints: "02 Jan 06 15:04 UTC". */
export function shortTime(text: string): string {
  const [, year, month, day, clock] =
    /^\d\d(\d\d)-(\d\d)-(\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?Z$/.exec(text) ?? [];
  const name = MONTHS[Number(month) - 1];
  return name === undefined ? text : `${day} ${name} ${year} ${clock} UTC`;
}
