/**
 * operator generate-root: a new root token, from as many key shares as unseal. The server tells it under a one-time pad
 * that only whoever began knows, so that the holder of the last share does not see it.
 */

import { randomInt } from 'node:crypto';
import type { Command } from 'commander';
import { failure } from '../../base/errors.ts';
import { beginRoot, cancelRoot, rootStatus, type Told, updateRoot } from '../../client/ceremonies.ts';
import { cell, columns, print } from '../output.ts';
import { asking, type Flags, open, remote, type Session, success } from '../session.ts';
import { Exit, type Terminal } from '../terminal.ts';
import { pgpKeyOf } from './pgp.ts';
import { noncedShareOf } from './share.ts';

interface RootFlags extends Flags {
  readonly init?: boolean;
  readonly cancel?: boolean;
  readonly status?: boolean;
  readonly decode?: string;
  readonly generateOtp?: boolean;
  readonly otp?: string;
  readonly pgpKey?: string;
  readonly nonce?: string;
}

export function declareGenerateRoot(group: Command, terminal: Terminal): void {
  remote(group, 'generate-root [key]', 'Make a new root token, by giving enough shares of the unseal key')
    .option('--init', 'begin')
    .option('--cancel', 'give up')
    .option('--status', 'only say how far it is')
    .option('--generate-otp', 'print a one-time password for -init')
    .option(
      '--otp <otp>',
      'the one-time password, for -init and -decode; -init makes one where none is given',
    )
    .option('--decode <token>', 'turn the encoded token, or "-" to read it, into the root token')
    .option('--pgp-key <file>', 'with -init: a PGP key, which the token is encrypted for')
    .option('--nonce <nonce>', 'the nonce told at the beginning; needed where the share is not typed')
    .action(async (key: string | undefined, flags: RootFlags) => {
      const session = await open(terminal, flags);
      const { client, format } = session;
      if (flags.generateOtp === true) {
        const otp = oneTimePad(otpLength(await rootStatus(client)));
        return format === 'table'
          ? terminal.out(otp)
          : print(terminal, format, { otp, otp_length: otp.length }, () => otp);
      }
      if (flags.decode !== undefined) return decode(session, flags.decode, flags.otp);
      if (flags.cancel === true) {
        await cancelRoot(client);
        return success(session, 'Root token generation canceled (if it was started)');
      }
      if (flags.init === true) return printStatus(session, await begin(session, flags));
      if (flags.status === true) return printStatus(session, await rootStatus(client));
      return give(session, { key, nonce: flags.nonce });
    });
}

async function begin({ client }: Session, { otp, pgpKey }: RootFlags): Promise<Told> {
  if (otp !== undefined && pgpKey !== undefined)
    throw failure('cli.usage', { reason: 'cannot specify both -otp and -pgp-key' });
  return beginRoot(client, { otp, pgpKey: pgpKey === undefined ? undefined : await pgpKeyOf(pgpKey) });
}

async function give(
  session: Session,
  given: { readonly key: string | undefined; readonly nonce: string | undefined },
): Promise<void> {
  const status = await rootStatus(asking(session));
  if (status['started'] !== true) {
    session.terminal.err(
      'No root generation is in progress. Start a root generation by running "holdfast operator generate-root -init".\n' +
        `A one-time password of your own has to be ${otpLength(status)} characters long.\n`,
    );
    throw new Exit(1);
  }
  const share = await noncedShareOf(session, given, {
    nonce: String(status['nonce'] ?? ''),
    what: 'Operation nonce',
    prompt: 'Unseal Key (will be hidden): ',
  });
  printStatus(session, await updateRoot(session.client, share.key, share.nonce));
}

/** Needs no server: the pad and the encoded token are all there is to it. */
async function decode(
  { terminal, format }: Session,
  encoded: string,
  otp: string | undefined,
): Promise<void> {
  if (otp === undefined || otp === '')
    throw failure('cli.usage', { reason: 'Missing otp: use -otp to supply it' });
  const text = encoded === '-' ? await terminal.stdin() : encoded;
  const token = decodeToken(text, otp);
  if (token === undefined)
    throw failure('cli.usage', {
      reason: 'the encoded token and the one-time password do not belong together: check that both are whole',
    });
  if (format === 'table') terminal.out(token);
  else print(terminal, format, { token }, () => token);
}

/** The token: base64 without padding of its bytes, each xored with that of the pad. Undefined: it cannot be that. */
export function decodeToken(encoded: string, otp: string): string | undefined {
  const text = encoded.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  const pad = Buffer.from(otp, 'utf8');
  if (bytes.length !== pad.length) return undefined;
  const token = Buffer.from(bytes.map((byte, at) => byte ^ (pad[at] ?? 0))).toString('latin1');
  // What is no token (another pad of the same length) must not go to a terminal as control characters.
  return /^[\x21-\x7e]+$/.test(token) ? token : undefined;
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** The length of a token here, for servers that do not tell it. */
const USUAL_LENGTH = 28;
const LONGEST = 1024;

const oneTimePad = (length: number): string =>
  Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');

function otpLength(status: Told): number {
  const length = status['otp_length'];
  return typeof length === 'number' && length > 0 && length <= LONGEST ? length : USUAL_LENGTH;
}

function printStatus({ terminal, format }: Session, status: Told): void {
  const text = (name: string): string => (typeof status[name] === 'string' ? (status[name] as string) : '');
  const encoded = text('encoded_root_token') || text('encoded_token');
  if (format === 'table' && text('otp') !== '')
    terminal.err(
      'A One-Time-Password has been generated for you and is shown in the OTP field. You will need this value to\n' +
        'decode the resulting root token, so keep it safe.\n',
    );
  print(terminal, format, status, () =>
    columns([
      ['Nonce', text('nonce') || 'n/a'],
      ['Started', cell(status['started'])],
      ['Progress', `${cell(status['progress'])}/${cell(status['required'])}`],
      ['Complete', cell(status['complete'])],
      ...(text('pgp_fingerprint') === '' ? [] : [['PGP Fingerprint', text('pgp_fingerprint')]]),
      ...(encoded === '' ? [] : [['Encoded Token', encoded]]),
      ...(text('otp') === '' ? [] : [['OTP', text('otp')]]),
      ...(typeof status['otp_length'] === 'number' ? [['OTP Length', String(otpLength(status))]] : []),
    ]),
  );
}
