/** operator rekey: new key shares for the present ones, given by as many of their holders as unseal. */

import type { Command } from 'commander';
import { failure } from '../../base/errors.ts';
import {
  beginRekey,
  cancelRekey,
  deleteRekeyBackup,
  type RekeyPart,
  type RekeyTarget,
  rekeyBackup,
  rekeyStatus,
  type Told,
  updateRekey,
} from '../../client/ceremonies.ts';
import { cell, keyValueTable, print } from '../output.ts';
import { asking, type Flags, open, printSecret, remote, type Session, success } from '../session.ts';
import { Exit, type Terminal } from '../terminal.ts';
import { pgpKeysOf } from './pgp.ts';
import { countOf, noncedShareOf } from './share.ts';

interface RekeyFlags extends Flags {
  readonly init?: boolean;
  readonly cancel?: boolean;
  readonly status?: boolean;
  readonly verify?: boolean;
  readonly keyShares: string;
  readonly keyThreshold: string;
  readonly nonce?: string;
  readonly target: string;
  readonly pgpKeys?: string;
  readonly backup?: boolean;
  readonly backupDelete?: boolean;
  readonly backupRetrieve?: boolean;
}

export function declareRekey(group: Command, terminal: Terminal): void {
  remote(group, 'rekey [key]', 'Replace the shares of the unseal key, by giving enough of the present ones')
    .option('--init', 'begin')
    .option('--cancel', 'give up: the present shares stay valid; with -verify, begin the verification again')
    .option('--status', 'only say how far it is')
    .option('--key-shares <number>', 'how many shares there shall be', '5')
    .option('--key-threshold <number>', 'how many of them shall be enough', '3')
    .option('--nonce <nonce>', 'the nonce told at the beginning; needed where the share is not typed')
    .option('--target <target>', 'barrier, or recovery', 'barrier')
    .option('--verify', 'with -init: the new shares count once they were given back; else: give one back')
    .option('--pgp-keys <files>', 'a PGP key for each share, which it is encrypted for; separated by commas')
    .option('--backup', 'with -init and -pgp-keys: the server keeps the encrypted shares too')
    .option('--backup-retrieve', 'print the encrypted shares that the server keeps')
    .option('--backup-delete', 'delete them')
    .action(async (key: string | undefined, flags: RekeyFlags) => {
      const target = targetOf(flags.target);
      const part: RekeyPart = flags.verify === true ? 'verify' : 'init';
      const session = await open(terminal, flags);
      const { client } = session;
      if (flags.backupDelete === true) {
        await deleteRekeyBackup(client, target);
        return success(session, 'Deleted backed up keys (if they existed)');
      }
      if (flags.backupRetrieve === true) return printSecret(session, await rekeyBackup(client, target));
      if (flags.cancel === true) {
        await cancelRekey(client, target, part);
        return success(session, 'Canceled rekeying (if it was started)');
      }
      if (flags.init === true) return begin(session, target, flags);
      if (flags.status === true) return printStatus(session, part, await rekeyStatus(client, target, part));
      return give(session, target, part, { key, nonce: flags.nonce });
    });
}

/** "hsm" is upstream's older word for recovery. @throws Failure cli.usage */
function targetOf(text: string): RekeyTarget {
  const target = text.trim().toLowerCase();
  if (target === 'barrier') return 'barrier';
  if (target === 'recovery' || target === 'hsm') return 'recovery';
  throw failure('cli.usage', { reason: `Unknown target: ${text}` });
}

async function begin(session: Session, target: RekeyTarget, flags: RekeyFlags): Promise<void> {
  const pgpKeys = await pgpKeysOf(flags.pgpKeys);
  const status = await beginRekey(session.client, target, {
    shares: countOf(flags.keyShares, '-key-shares'),
    threshold: countOf(flags.keyThreshold, '-key-threshold'),
    pgpKeys,
    backup: flags.backup === true,
    verify: flags.verify === true,
  });
  if (session.format === 'table' && status['verification_required'] !== true)
    session.terminal.err(
      'WARNING! The new shares count as soon as they are shown: if they are lost then, nothing brings them back.\n' +
        'To have them given back before they count, cancel this and begin with -verify.\n\n',
    );
  printStatus(session, 'init', status);
}

async function give(
  session: Session,
  target: RekeyTarget,
  part: RekeyPart,
  given: { readonly key: string | undefined; readonly nonce: string | undefined },
): Promise<void> {
  const status = await rekeyStatus(asking(session), target, part);
  if (status['started'] !== true) {
    session.terminal.err(
      'No rekey is in progress. Start a rekey process by running "holdfast operator rekey -init".\n',
    );
    throw new Exit(1);
  }
  const share = await noncedShareOf(session, given, {
    nonce: String(status['nonce'] ?? ''),
    what: 'Rekey operation nonce',
    prompt: `${target === 'barrier' ? 'Unseal' : 'Recovery'} Key (will be hidden): `,
  });
  const told = await updateRekey(session.client, target, part, share);
  if (told['complete'] !== true)
    return printStatus(session, part, await rekeyStatus(session.client, target, part));
  if (part === 'verify')
    return print(
      session.terminal,
      session.format,
      told,
      () =>
        'Rekey verification successful. The rekey operation is complete and the new keys are now active.\n',
    );
  print(session.terminal, session.format, told, () => newShares(target, status, told));
  if (session.format === 'table' && status['verification_required'] === true)
    printStatus(session, 'verify', await rekeyStatus(session.client, target, 'verify'));
}

/** The new shares, and what to do with them. */
function newShares(target: RekeyTarget, status: Told, told: Told): string {
  const keys = listOf(told['keys_base64']);
  const fingerprints = listOf(told['pgp_fingerprints']);
  const purpose =
    target === 'barrier'
      ? `whenever the server restarts, ${cell(status['t'])} of them unseal it.`
      : `${cell(status['t'])} of them make a root token, or replace the shares again.`;
  return [
    '',
    ...keys.map((key, at) =>
      fingerprints[at] === undefined
        ? `Key ${at + 1}: ${key}`
        : `Key ${at + 1} fingerprint: ${fingerprints[at]}; value: ${key}`,
    ),
    '',
    `Operation nonce: ${cell(told['nonce'])}`,
    '',
    `There are ${cell(status['n'])} new key shares with a threshold of ${cell(status['t'])}. Give the shares to different people`,
    `and keep them safe: ${purpose}`,
    ...(told['backup'] === true
      ? [
          'The server keeps the encrypted shares too: holdfast operator rekey -backup-retrieve, or -backup-delete.',
        ]
      : []),
    ...(status['verification_required'] === true
      ? [
          '',
          'They do not count yet: the present shares stay valid until enough of the new ones were given back with',
          '"holdfast operator rekey -verify". If this is canceled, or the server is sealed, the new ones are forgotten.',
          '',
        ]
      : []),
    '',
  ].join('\n');
}

const listOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);

function printStatus({ terminal, format }: Session, part: RekeyPart, status: Told): void {
  print(terminal, format, status, () =>
    keyValueTable(part === 'verify' ? verifyRows(status) : rekeyRows(status), false),
  );
}

function rekeyRows(status: Told): Readonly<Record<string, unknown>> {
  const done = status['progress'] === status['required'];
  const fingerprints = listOf(status['pgp_fingerprints']);
  return {
    Nonce: status['nonce'] ?? '',
    Started: status['started'],
    ...(status['started'] === true
      ? {
          Progress: `${cell(status['progress'])}/${cell(status['required'])}${done ? ' (verification in progress)' : ''}`,
          'New Shares': status['n'],
          'New Threshold': status['t'],
          'Verification Required': status['verification_required'],
          ...(typeof status['verification_nonce'] === 'string' && status['verification_nonce'] !== ''
            ? { 'Verification Nonce': status['verification_nonce'] }
            : {}),
        }
      : {}),
    ...(fingerprints.length > 0 ? { 'PGP Fingerprints': fingerprints, Backup: status['backup'] } : {}),
  };
}

const verifyRows = (status: Told): Readonly<Record<string, unknown>> => ({
  Started: status['started'],
  'New Shares': status['n'],
  'New Threshold': status['t'],
  'Verification Nonce': status['nonce'],
  'Verification Progress': `${cell(status['progress'])}/${cell(status['t'])}`,
});
