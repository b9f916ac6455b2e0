/** The command line against a server, as transcripts. `UPDATE_TRANSCRIPTS=1` writes what is seen; read it before you keep it. */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { failure } from '../../src/base/errors.ts';
import { runCli } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { startTestPlatform } from '../support/platform.ts';
import { startSealedServer } from './sealed.ts';
import { expanded, kept, readTranscript, rewritten, type Seen, spelled, wordsOf } from './transcript.ts';

const folder = new URL('./transcripts/', import.meta.url).pathname;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const names = (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort();

test('there are transcripts', () => expect(names.length).toBeGreaterThan(5));

test.each(names)('%s is what is seen', async (name) => {
  const file = join(folder, name);
  const text = await readFile(file, 'utf8');
  const work = await mkdtemp(join(tmpdir(), 'holdfast-transcript-'));
  closing.push(() => rm(work, { recursive: true, force: true }));
  const env: Record<string, string> = { ...(await startWorld(name)), DIR: work };
  const address = env['VAULT_ADDR'] ?? '';
  const hidden = { address, host: address.replace(/^https?:\/\//, ''), dir: work, home: env['HOME'] ?? work };
  const seen = new Map<number, string>();
  const steps: { line: number; command: string; seen: string }[] = [];
  const session = { token: undefined as string | undefined };
  for (const directive of readTranscript(text)) {
    if (directive.kind === 'file') await writeFile(join(work, directive.name), directive.text);
    else if (directive.kind === 'set') env[directive.name] = wordsOf(directive.value, env)[0] ?? '';
    else {
      const { step } = directive;
      const result = await run(wordsOf(step.command, env), expanded(step.stdin, env), env, session);
      for (const keep of step.keep) env[keep.name] = kept(result.out, keep);
      seen.set(step.line, spelled(result, hidden));
      steps.push({ line: step.line, command: step.command, seen: step.seen });
    }
  }
  if (process.env['UPDATE_TRANSCRIPTS'] === '1') return writeFile(file, rewritten(text, seen));
  expect(steps.length).toBeGreaterThan(0);
  expect(steps.map(({ line, command }) => `${line} $ ${command}\n${seen.get(line)}`)).toEqual(
    steps.map((step) => `${step.line} $ ${step.command}\n${step.seen}`),
  );
});

/** A server for a transcript: sealed and new for those that begin so, else a whole platform. */
async function startWorld(name: string): Promise<Record<string, string>> {
  if (name.startsWith('sealed')) {
    const server = await startSealedServer();
    closing.push(() => server.close());
    return { VAULT_ADDR: server.url };
  }
  const platform = await startTestPlatform();
  closing.push(() => platform.stop());
  return {
    VAULT_ADDR: platform.address,
    VAULT_TOKEN: platform.keys.rootToken,
    HOME: platform.folder,
  };
}

async function run(
  argv: readonly string[],
  stdin: string,
  env: Readonly<Record<string, string>>,
  session: { token: string | undefined },
): Promise<Seen> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    env,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    stdin: async () => stdin,
    secret: async () => {
      if (stdin === '') throw failure('cli.no_terminal');
      return stdin.trim();
    },
    readFile: (path) =>
      readFile(path, 'utf8').catch(() => {
        throw failure('cli.unreadable', { path });
      }),
    tokenFile: {
      read: async () => session.token,
      write: async (token) => {
        session.token = token;
      },
    },
  };
  const code = await runCli(argv, terminal, '0.0.0');
  return { out: out.join(''), err: err.join(''), code };
}
