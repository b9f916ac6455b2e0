import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { watched } from './watched.ts';

const run = (code: string) =>
  spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });

test('a child that says nothing any more is ended', async () => {
  const child = run('process.send("alive"); for (;;);');
  expect(await watched(child, 1500)).toEqual({ code: null, signal: 'SIGKILL', hung: true });
});

test('a child that goes on is left alone, however long it takes', async () => {
  const child = run(
    'const timer = setInterval(() => process.send("alive"), 100); setTimeout(() => { clearInterval(timer); process.exitCode = 3; process.disconnect(); }, 6000)',
  );
  // Longer than a busy machine takes to start a process.
  expect(await watched(child, 5000)).toEqual({ code: 3, signal: null, hung: false });
}, 20_000);

test('what cannot be started is told', async () => {
  await expect(watched(spawn('/nowhere/at-all', []), 1500)).rejects.toMatchObject({ code: 'ENOENT' });
});
