// A TCP relay that stands between the operator and the server, so that the line can be cut and refused.

import { connect, createServer } from 'node:net';

/** `target` is where connections go: { host, port }, or undefined while nothing is there yet. */
export async function startProxy() {
  let target;
  let refusing = false;
  const open = new Set();
  const accepted = [];
  const server = createServer((near) => {
    if (refusing || target === undefined) return near.destroy();
    accepted.push(performance.now());
    const far = connect(target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      open.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    point(at) {
      target = at;
    },
    /** Cuts every connection, and refuses new ones until `heal`. Gives how many were cut. */
    cut() {
      refusing = true;
      const count = open.size / 2;
      for (const socket of open) socket.destroy();
      return count;
    },
    heal() {
      refusing = false;
    },
    /** When the first connection since `at` (performance.now()) was let through; undefined while none was. */
    firstSince: (at) => accepted.find((time) => time >= at),
    close() {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
