/** What every command is given: the terminal, and a way to declare itself on the program. */

import type { Command } from 'commander';
import { failure, isFailure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { type Answer, problemOf, type VaultClient } from '../client/client.ts';
import { bagOf, isBag } from '../client/envelope.ts';
import { cell, type Format, formatOf, keyValueTable, printAnswer, printField, table } from './output.ts';
import { type ConnectionFlags, connect, withConnection } from './settings.ts';
import { Exit, type Terminal } from './terminal.ts';

export interface OutputFlags {
  readonly format?: string;
  readonly field?: string;
}

export type Flags = ConnectionFlags & OutputFlags;

/** Declares a command that talks to a server and prints what it says. */
export function remote(parent: Command, usage: string, summary: string): Command {
  return withConnection(parent.command(usage).description(summary))
    .option('--format <format>', 'table, json, yaml or raw (..._FORMAT)')
    .option('--field <name>', 'print only this field');
}

export interface Session {
  readonly terminal: Terminal;
  readonly client: VaultClient;
  readonly format: Format;
  readonly flags: Flags;
}

export async function open(terminal: Terminal, flags: Flags): Promise<Session> {
  const format = formatOf(terminal, flags.format);
  const there = flags.nonInteractive === true ? unattended(terminal) : terminal;
  return { terminal: there, flags, format, client: await connect(terminal, flags) };
}

/** A terminal at which nobody is asked for anything, for -non-interactive. */
const unattended = (terminal: Terminal): Terminal => ({
  ...terminal,
  secret: async () => {
    throw failure('cli.no_terminal');
  },
});

/** The client for what a command has to ask before its own request: asked in the clear, and even in a rehearsal. */
export const asking = ({ client }: Session): VaultClient =>
  client.with({ wrapTtl: undefined, rehearse: undefined });

/** Says that something was done; silent where a script reads JSON or YAML. */
export function success({ terminal, format }: Session, message: string): void {
  if (format === 'table' || format === 'raw') terminal.out(`Success! ${message}\n`);
}

/** Prints the warnings of an answer on standard error, where they do not disturb what a script reads. */
export function warn(session: Session, answer: Answer): void {
  tellWarnings(session, answer.envelope?.warnings ?? []);
}

export function tellWarnings({ terminal }: Pick<Session, 'terminal'>, warnings: readonly string[]): void {
  if (warnings.length === 0) return;
  terminal.err(
    `WARNING! The following warnings were returned from the server:\n\n${warnings.map((w) => `  * ${w}\n`).join('')}\n`,
  );
}

/** Says that there is nothing at a path: exit 2, as scripts test it. */
export function nothingAt({ terminal }: Pick<Session, 'terminal'>, path: string): never {
  terminal.err(`No value found at ${path}\n`);
  throw new Exit(2);
}

/** The answer of a read, or undefined where the server has nothing there; its warnings are told. */
export async function readOrNothing(session: Session, call: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call;
  } catch (error) {
    const problem = problemOf(error);
    if (!isFailure(error, 'api.missing') || problem === undefined || problem.errors.length > 0) throw error;
    tellWarnings(session, problem.envelope?.warnings ?? []);
    return undefined;
  }
}

/** Prints an answer the way `vault read` does: its lease, then its data, or its token, or its wrapping. */
export function printSecret(session: Session, answer: Answer): void {
  const { terminal, format, flags } = session;
  warn(session, answer);
  const fields = fieldsOf(answer);
  if (flags.field !== undefined)
    return printField(terminal, session.format, fieldsOf(answer, 'bare'), flags.field);
  const rows = Object.entries(fields).map(([key, value]) => [
    answer.envelope?.wrapInfo === undefined ? key : `${key}:`,
    looksLikeDuration(key) && typeof value === 'number' ? spell(value) : value,
  ]);
  // An answer of warnings alone has no table, as upstream has it.
  printAnswer(terminal, format, answer, () =>
    rows.length === 0 ? '' : keyValueTable(Object.fromEntries(rows), false),
  );
}

/** Names under which seconds are told as "8h" in a table; the list is upstream's. */
const looksLikeDuration = (key: string): boolean => /(^|_)(period|ttl|duration)$|^lease_max$/.test(key);

/**
 * An answer as rows, in the order upstream prints them.
 * @param manner for a table, in which times are spelled and policies quoted; or bare, as -field prints one of them
 */
export function fieldsOf(answer: Answer, manner: 'table' | 'bare' = 'table'): Record<string, Json> {
  const time = (seconds: number): Json => (manner === 'bare' ? seconds : spell(seconds));
  const names = (list: readonly string[]): Json =>
    list.map((name) => (manner === 'bare' ? name : JSON.stringify(name)));
  const envelope = answer.envelope;
  if (envelope === undefined) return {};
  if (envelope.wrapInfo !== undefined) {
    const { token, accessor, ttlSeconds, creationTime, creationPath, wrappedAccessor } = envelope.wrapInfo;
    return {
      wrapping_token: token,
      wrapping_accessor: accessor,
      wrapping_token_ttl: time(ttlSeconds),
      wrapping_token_creation_time: goTime(creationTime),
      wrapping_token_creation_path: creationPath,
      ...(wrappedAccessor === '' ? {} : { wrapped_accessor: wrappedAccessor }),
    };
  }
  if (envelope.auth !== undefined) {
    const { clientToken, accessor, leaseSeconds, renewable, policies, metadata } = envelope.auth;
    return {
      token: clientToken,
      token_accessor: accessor,
      token_duration: leaseSeconds === 0 && manner === 'table' ? '∞' : time(leaseSeconds),
      token_renewable: renewable,
      token_policies: names(policies),
      identity_policies: [],
      policies: names(policies),
      ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`token_meta_${key}`, value])),
    };
  }
  const lease: Record<string, Json> =
    envelope.leaseId !== ''
      ? {
          lease_id: envelope.leaseId,
          lease_duration: time(envelope.leaseSeconds),
          lease_renewable: envelope.renewable,
        }
      : envelope.leaseSeconds > 0
        ? { refresh_interval: time(envelope.leaseSeconds) }
        : {};
  // sys/seal-status, sys/health and their like answer without an envelope: the answer is the data.
  const bare = isBag(answer.json) && !('data' in answer.json) && !('request_id' in answer.json);
  const data = bagOf(bare ? answer.json : envelope.data);
  return { ...lease, ...Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** A time of RFC 3339 as Go prints it: "2026-01-02 03:04:05.678 +0000 UTC". */
const goTime = (text: string): string =>
  text.replace(
    /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:(\.\d*?)0*)?Z$/,
    (_, day: string, time: string, part?: string) =>
      `${day} ${time}${part === undefined || part === '.' ? '' : part} +0000 UTC`,
  );

/** Seconds as "768h", "1h30m", "45s". */
export function spell(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const;
  return (
    parts
      .filter(([count]) => count > 0)
      .map(([count, unit]) => `${count}${unit}`)
      .join('') || '0s'
  );
}

/** Prints the keys of a list. */
export function printKeys(session: Session, path: string, answer: Answer | undefined): void {
  const data = answer?.envelope?.data;
  const keys = typeof data === 'object' && data !== null && 'keys' in data ? data['keys'] : undefined;
  if (answer === undefined || !Array.isArray(keys)) {
    // Scripts read what is printed as JSON: an empty object, and the exit code.
    if (session.format !== 'json') return nothingAt(session, path);
    session.terminal.out('{}\n');
    throw new Exit(2);
  }
  if (session.format === 'json' || session.format === 'yaml')
    return printAnswer(
      session.terminal,
      session.format,
      { ...answer, bytes: Buffer.from(JSON.stringify(keys)) },
      () => '',
    );
  session.terminal.out(table([['Keys'], ...keys.map((key) => [cell(key)])]));
}
