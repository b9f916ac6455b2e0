/** `holdfast controller` as a child process, of the sources as they stand. */

import { type ChildProcess, spawn } from 'node:child_process';

export interface Controller {
  readonly child: ChildProcess;
  output(): string;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

export function startController(file: string, kubeconfig: string, flags: readonly string[]): Controller {
  const child = spawn(
    process.execPath,
    [
      ...[file, 'controller', '--kubeconfig', kubeconfig],
      ...['--metrics-addr', '0', '--live-addr', '0', '--loglevel', 'info', ...flags],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  const killer = (): void => void child.kill('SIGKILL');
  process.once('exit', killer);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    child,
    output: () => text,
    async kill(signal) {
      child.kill(signal);
      await ended;
      process.off('exit', killer);
    },
  };
}
