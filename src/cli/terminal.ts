/**
 * The rules of the terminal, in one file: where text comes from and goes to, what an exit code means, and how a failure
 * reads. Commands take a `Terminal`, so that a test can be one.
 */

import { spawn } from 'node:child_process';
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { Failure, failure, isFailure } from '../base/errors.ts';
import { tame } from '../base/tame.ts';
import { problemOf } from '../client/client.ts';

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  /** Absent: a terminal of texts alone. */
  outBytes?(bytes: Uint8Array): void;
  err(text: string): void;
  /** All of standard input as text. */
  stdin(): Promise<string>;
  /** Asks for a secret without echo. @throws Failure cli.no_terminal where nobody is there */
  secret(prompt: string): Promise<string>;
  readFile(path: string): Promise<string>;
  readonly tokenFile: TokenFile;
  /** Runs another program here, and gives what it exits with; undefined where there is no such program. Absent: none can be run. */
  start?(program: Started): Promise<number | undefined>;
}

export interface Started {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside what this program has. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether it may read from the terminal. */
  readonly interactive: boolean;
}

/** Where `login` keeps the token: ~/.vault-token, which other tools read too. */
export interface TokenFile {
  read(): Promise<string | undefined>;
  write(token: string): Promise<void>;
}

/** 0: done. 1: the command line is at fault. 2: the server said no, or is sealed. 127: there is no such command. Of `ssh`: that of what it ran. */
export type ExitCode = number;

/** Ends a command with a code and nothing more to say. */
export class Exit extends Error {
  override readonly name = 'Exit';
  readonly code: ExitCode;
  constructor(code: ExitCode) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** Tells a failure and ends with 2, where Vault's command line does so although it is no answer of the server. */
export const endWithTwo =
  (terminal: Terminal) =>
  (error: unknown): never => {
    terminal.err(explain(error).text);
    throw new Exit(2);
  };

/** What a failure looks like to a person, in the shape that Vault's own command line gives it, and its exit code. */
export function explain(error: unknown): { readonly text: string; readonly code: ExitCode } {
  if (error instanceof Exit) return { text: '', code: error.code };
  const problem = problemOf(error);
  if (problem !== undefined && error instanceof Failure) {
    const hints = [
      ...(error.hint === undefined ? [] : [error.hint]),
      // A login is made without a token: where it is denied, "log in" is no advice.
      ...(problem.anonymous && isFailure(error, 'api.denied') && !/\/login(\/|$)/.test(problem.request)
        ? ['No token was sent with it. Log in (holdfast login), or set VAULT_TOKEN.']
        : []),
    ];
    const errors = [...problem.errors, ...(problem.envelope?.warnings ?? [])].map((e) => `* ${tame(e)}\n`);
    return {
      text: `Error making API request.\n\nURL: ${problem.request}\nCode: ${problem.status}. Errors:\n\n${errors.join('')}${hints.map((hint) => `\n${hint}\n`).join('')}`,
      code: 2,
    };
  }
  if (error instanceof Failure)
    return { text: `${error.message}${mend(error)}\n`, code: error.code.startsWith('api.') ? 2 : 1 };
  return { text: `${error instanceof Error ? error.message : String(error)}\n`, code: 1 };
}

const mend = (error: Failure): string => (error.hint === undefined ? '' : `\n${error.hint}`);

/** The terminal that this process runs in. */
export function processTerminal(): Terminal {
  const tokenPath = join(homedir(), '.vault-token');
  return {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    outBytes: (bytes) => void process.stdout.write(bytes),
    err: (text) => void process.stderr.write(text),
    stdin: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString('utf8');
    },
    secret: askHidden,
    start: startProgram,
    readFile: async (path) => {
      try {
        return await readFile(path.replace(/^~(?=\/)/, homedir()), 'utf8');
      } catch {
        throw failure('cli.unreadable', { path });
      }
    },
    tokenFile: {
      read: () =>
        readFile(tokenPath, 'utf8').then(
          (text) => text.trim() || undefined,
          () => undefined,
        ),
      // Written beside and renamed, so that a crash leaves the old token and no moment is world-readable.
      write: async (token) => {
        const beside = `${tokenPath}.${process.pid}`;
        try {
          await writeFile(beside, token, { mode: 0o600 });
          await chmod(beside, 0o600);
          await rename(beside, tokenPath);
        } finally {
          await rm(beside, { force: true });
        }
      },
    },
  };
}

/** What is typed goes nowhere: readline writes every key back to the output that it was given. */
const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() });

/** @throws Failure cli.no_terminal; Exit where whoever was asked goes away (Ctrl-C, Ctrl-D) */
/** The signal that ends a program is told as shells tell it: 128 and its number. */
function startProgram({ command, args, env, interactive }: Started): Promise<number | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: [interactive ? 'inherit' : 'ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.once('error', () => resolve(undefined));
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

async function askHidden(prompt: string): Promise<string> {
  if (!process.stdin.isTTY) throw failure('cli.no_terminal');
  const lines = createInterface({ input: process.stdin, output: nowhere(), terminal: true });
  try {
    process.stderr.write(prompt);
    const gone = new Promise<never>((_, reject) => {
      for (const event of ['SIGINT', 'close']) lines.once(event, () => reject(new Exit(1)));
    });
    return (await Promise.race([lines.question(''), gone])).trim();
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
