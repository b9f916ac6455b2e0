/**
 * A child that tells by its channel that it goes on, and is ended when it has been silent for too long: what native code does to
 * a process over a damaged file may be to hold it for ever.
 */

import type { ChildProcess } from 'node:child_process';

const BEAT_MS = 1000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It was silent for too long, and was killed. */
  readonly hung: boolean;
}

/** In the child: tells whoever started it, for as long as it lives, that its loop still turns. Nothing where nobody listens. */
export function beat(): void {
  if (process.send === undefined) return;
  setInterval(() => process.send?.('alive', () => {}), BEAT_MS).unref();
}

/**
 * Waits for the end of a child that was started with an "ipc" channel.
 * @throws Error where it could not be started
 */
export function watched(child: ChildProcess, longestSilenceMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, longestSilenceMs);
    child.on('message', () => timer.refresh());
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, hung });
    });
  });
}
