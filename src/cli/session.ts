/** What every command is given: the terminal, and a way to declare itself on the program. */

import type { Command } from 'commander';
import { Failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { type Answer, problemOf, type VaultClient } from '../client/client.ts';
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
  return { terminal, flags, format, client: await connect(terminal, flags) };
}

/** Says that something was done; silent where a script reads JSON or YAML. */
export function success({ terminal, format }: Session, message: string): void {
  if (format === 'table' || format === 'raw') terminal.out(`Success! ${message}\n`);
}

/** Prints the warnings of an answer on standard error, where they do not disturb what a script reads. */
export function warn({ terminal }: Session, answer: Answer): void {
  const warnings = answer.envelope?.warnings ?? [];
  if (warnings.length === 0) return;
  terminal.err(
    `WARNING! The following warnings were returned from the server:\n\n${warnings.map((w) => `  * ${w}\n`).join('')}\n`,
  );
}

/** Says that there is nothing at a path: exit 2, as scripts test it. */
export function nothingAt({ terminal }: Session, path: string): never {
  terminal.err(`No value found at ${path}\n`);
  throw new Exit(2);
}

/** The answer of a read, or undefined where the server has nothing there and no more to say. */
export async function readOrNothing(call: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call;
  } catch (error) {
    if (
      error instanceof Failure &&
      error.code === 'api.missing' &&
      (problemOf(error)?.errors.length ?? 0) === 0
    )
      return undefined;
    throw error;
  }
}

/** Prints an answer the way `vault read` does: its lease, then its data, or its token, or its wrapping. */
export function printSecret(session: Session, answer: Answer): void {
  const { terminal, format, flags } = session;
  warn(session, answer);
  const fields = fieldsOf(answer);
  if (flags.field !== undefined) return printField(terminal, fields, flags.field);
  printAnswer(terminal, format, answer, () => keyValueTable(fields, false));
}

/** An answer as rows, in the order upstream prints them. */
export function fieldsOf(answer: Answer): Record<string, Json> {
  const envelope = answer.envelope;
  if (envelope === undefined) return {};
  if (envelope.wrapInfo !== undefined) {
    const { token, accessor, ttlSeconds, creationTime, creationPath } = envelope.wrapInfo;
    return {
      wrapping_token: token,
      wrapping_accessor: accessor,
      wrapping_token_ttl: spell(ttlSeconds),
      wrapping_token_creation_time: creationTime,
      wrapping_token_creation_path: creationPath,
    };
  }
  if (envelope.auth !== undefined) {
    const { clientToken, accessor, leaseSeconds, renewable, policies, metadata } = envelope.auth;
    return {
      token: clientToken,
      token_accessor: accessor,
      token_duration: leaseSeconds === 0 ? '∞' : spell(leaseSeconds),
      token_renewable: renewable,
      token_policies: policies.map((p) => JSON.stringify(p)),
      identity_policies: [],
      policies: policies.map((p) => JSON.stringify(p)),
      ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`token_meta_${key}`, value])),
    };
  }
  const lease: Record<string, Json> =
    envelope.leaseId !== ''
      ? {
          lease_id: envelope.leaseId,
          lease_duration: spell(envelope.leaseSeconds),
          lease_renewable: envelope.renewable,
        }
      : envelope.leaseSeconds > 0
        ? { refresh_interval: spell(envelope.leaseSeconds) }
        : {};
  const data =
    typeof envelope.data === 'object' && envelope.data !== null && !Array.isArray(envelope.data)
      ? (envelope.data as Record<string, Json>)
      : {};
  return { ...lease, ...Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

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
    if (session.format === 'json') session.terminal.out('{}\n');
    return nothingAt(session, path);
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
