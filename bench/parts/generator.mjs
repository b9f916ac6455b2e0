// The near end of the load generator.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LOAD = fileURLToPath(new URL('./load.mjs', import.meta.url));

/** Starts the process. It stays warm between jobs and takes one at a time. */
export function startGenerator() {
  const child = fork(LOAD, [], { serialization: 'advanced' });
  let waiting;
  child.on('message', ({ result, failure }) => {
    if (failure === undefined) waiting.resolve(result);
    else waiting.reject(new Error(failure));
  });
  child.on('exit', (code, signal) =>
    waiting?.reject(new Error(`the load generator ended (${signal ?? code})`)),
  );
  return {
    /**
     * @param job { module, params, host, port, clients, seconds }: `traffic(params)` of the module is run; without `seconds`
     *   until it has no more to send
     * @returns { answers, perSecond, p50Ms, p99Ms, maxMs, generatorShare }
     * @throws Error with the first answer that is wrong
     */
    run: (job) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        child.send(job);
      }),
    stop() {
      child.removeAllListeners('exit');
      child.disconnect();
    },
  };
}
