// A server as a child process: started, read from, measured, and ended whatever happens.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../tools/launch.cjs', import.meta.url));
/** Linux counts CPU time in these, whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;

/** Starts `holdfast dev DIR` with more flags. */
export const startDev = (dir, flags) => startProgram(process.execPath, [LAUNCHER, 'dev', dir, ...flags]);

/** Starts a program. `line(pattern, timeoutMs)` waits for what it prints. */
export function startProgram(command, flags, options = {}) {
  const child = spawn(command, flags, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const waiting = new Set();
  const hear = (chunk) => {
    text += chunk.toString('utf8');
    for (const look of [...waiting]) look();
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(`${code ?? signal}`));
    child.once('error', ({ code }) => resolve(`${command} does not start: ${code}`));
  });
  const killer = () => child.kill('SIGKILL');
  process.once('exit', killer);
  return {
    pid: child.pid,
    output: () => text,
    async line(pattern, timeoutMs) {
      let stop = () => {};
      let timer;
      const found = new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(text);
          if (match !== null) resolve(match);
        };
        waiting.add(look);
        stop = () => waiting.delete(look);
        timer = setTimeout(() => reject(new Error(`in vain: ${pattern}\n${text}`)), timeoutMs);
        ended.then((how) => reject(new Error(`the program ended (${how}) before ${pattern}\n${text}`)));
        look();
      });
      return found.finally(() => {
        stop();
        clearTimeout(timer);
      });
    },
    /** { cpuSeconds, rssMb, peakMb, anonMb } as the kernel counts them; undefined where it does not tell. */
    usage: () => usageOf(child.pid),
    /** No grace: the kernel ends it. */
    async kill() {
      killer();
      await ended;
      process.off('exit', killer);
    },
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(killer, 10_000);
      await ended;
      clearTimeout(timer);
      process.off('exit', killer);
    },
  };
}

/** What a process has used: see `usage` above. */
export function usageOf(pid) {
  if (!existsSync(`/proc/${pid}/stat`)) return undefined;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024;
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssMb: mb('VmRSS'),
    peakMb: mb('VmHWM'),
    // The resident size counts the pages of a map, which are the cache of the kernel.
    anonMb: mb('RssAnon'),
  };
}
