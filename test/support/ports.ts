/** Ports for servers that cannot tell which one the kernel gave them. */

import { createServer } from 'node:net';

/** Below what kernels hand to outgoing connections (32,768 on Linux, 49,152 elsewhere), above what services are known by. */
const FIRST = 15_000;
const COUNT = 17_000;

const given = new Set<number>();

/**
 * A port of 127.0.0.1 that nobody listens on, and that this process hands out once. One that the kernel chose would be
 * taken back by any outgoing connection before the server that it is for has started, and a client that asks there until
 * it answers may even connect to itself.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`a hundred ports between ${FIRST} and ${FIRST + COUNT} were all taken`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
