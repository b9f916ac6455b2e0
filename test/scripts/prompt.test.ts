/** What a person types at a prompt for a secret, on a real terminal: `script` of util-linux gives one. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const help = spawnSync('script', ['--help'], { encoding: 'utf8' });
const there = help.status === 0 && help.stdout.includes('--command');
if (!there)
  console.warn('skipped: the prompt for secrets on a terminal, because util-linux script is not here');

let program: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  program = join(await mkdtemp(join(root, 'node_modules', '.holdfast-prompt-')), 'prompt.mjs');
  await build({
    absWorkingDir: root,
    stdin: {
      contents: `import { explain, processTerminal } from './src/cli/terminal.ts';
        try {
          const typed = await processTerminal().secret('Key: ');
          process.stdout.write('read ' + [...typed].reverse().join('') + '.');
        } catch (error) { process.stdout.write('ended with ' + explain(error).code + '.'); }`,
      resolveDir: root,
      loader: 'ts',
    },
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'error',
  });
});
afterAll(() => rm(join(program, '..'), { recursive: true, force: true }));
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});

/** What is seen on the terminal when `typed` is typed at the prompt. */
function seenAfter(typed: string): Promise<string> {
  const child = spawn('script', ['-q', '-e', '-c', `${process.execPath} ${program}`, '/dev/null']);
  running.add(child);
  let seen = '';
  let answered = false;
  return new Promise((resolve) => {
    const end = (): void => resolve(seen);
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes('Key: ') && !answered) {
        answered = true;
        child.stdin.write(typed);
      }
      if (/\.\s*$/.test(seen)) end();
    });
    child.once('close', end);
  });
}

test.skipIf(!there)('a secret is read and never shown', async () => {
  const seen = await seenAfter('hunter2\r');
  expect(seen).toContain('read 2retnuh.');
  expect(seen).not.toContain('hunter2');
});

test.skipIf(!there).each([
  ['Ctrl-C', 'hun\u0003'],
  ['Ctrl-D', '\u0004'],
])('%s at the prompt ends the command with exit 1', async (_, typed) => {
  const seen = await seenAfter(typed);
  expect(seen).toContain('ended with 1.');
  expect(seen).not.toContain('hun');
});
