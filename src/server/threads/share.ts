/**
 * A second descriptor of a listening socket. Two threads that closed one descriptor would close each other's: so each has its
 * own, made as processes make them, by handing the socket to a child, which hands it back and ends.
 */

import { spawn } from 'node:child_process';

const SCRIPT =
  "const s=new (require('node:net').Socket)({fd:4,readable:false,writable:false});process.send(0,s._handle,()=>process.disconnect())";
const PATIENCE_MS = 10_000;

/**
 * A handle that `Server.listen` takes, of this thread.
 * @throws Error where this platform cannot share sockets so
 */
export function shareSocket(descriptor: number): Promise<object> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', SCRIPT], {
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc', descriptor],
    });
    const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    child.once('error', reject);
    child.once('message', (_, handle) => {
      if (typeof handle === 'object' && handle !== null) resolve(handle);
    });
    child.once('exit', () => {
      clearTimeout(late);
      setImmediate(() => reject(new Error('the socket was not handed back')));
    });
  });
}
