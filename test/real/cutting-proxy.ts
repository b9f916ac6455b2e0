/** A TCP proxy in front of a PostgreSQL that cuts connections where it is told to, counted in the protocol's messages. */

import { connect, createServer, type Socket } from 'node:net';

export interface Cut {
  /** Whose messages are counted. */
  readonly from: 'client' | 'server';
  /** How many whole messages still pass, and how many bytes of the one after them. */
  readonly messages: number;
  readonly bytes: number;
  /** Where set, the rest of what the client sent reaches the server so many milliseconds after its connection is gone. */
  readonly lateMs?: number;
  /** Whether nobody is let in afterwards, until the next arming. */
  readonly down?: boolean;
}

export interface CuttingProxy {
  readonly port: number;
  /** Cuts the first connection that gets so far; undefined lets all pass. */
  arm(cut: Cut | undefined): void;
  /** Whether the last cut has happened. */
  readonly hit: boolean;
  /** Lets nothing pass, and closes nothing: a network that swallows. */
  swallow(on: boolean): void;
  close(): Promise<void>;
}

/** A message after the start of a session: a byte of type, four of length, which counts itself (PostgreSQL manual, 55.7). */
const HEADER = 5;

export async function startCuttingProxy(target: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let cut: Cut | undefined;
  let armings = 0;
  let hit = false;
  let swallowing = false;
  const waiting: (() => void)[] = [];

  const server = createServer((client) => {
    if (hit && cut?.down === true) {
      client.on('error', () => {});
      client.destroy();
      return;
    }
    const upstream = connect(target, '127.0.0.1');
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    const pass = (from: Cut['from'], input: Socket, output: Socket): void => {
      let counted = 0;
      let mine = -1;
      let pending = Buffer.alloc(0);
      let late: Buffer[] | undefined;
      const forward = (data: Buffer): void => {
        if (late !== undefined) {
          late.push(data);
          return;
        }
        if (cut === undefined || cut.from !== from || hit) return void output.write(data);
        if (mine !== armings) {
          mine = armings;
          counted = 0;
          pending = Buffer.alloc(0);
        }
        const { messages, bytes, lateMs } = cut;
        const before = pending.length;
        pending = Buffer.concat([pending, data]);
        let at = 0;
        while (counted < messages && pending.length - at >= HEADER) {
          const size = pending.readUInt32BE(at + 1) + 1;
          if (pending.length - at < size) break;
          at += size;
          counted++;
        }
        const end = counted === messages ? at + bytes : Number.POSITIVE_INFINITY;
        if (pending.length < end) {
          output.write(data);
          pending = pending.subarray(at);
          return;
        }
        hit = true;
        const split = Math.max(end - before, 0);
        output.write(data.subarray(0, split));
        if (lateMs === undefined || from === 'server') {
          client.destroy();
          upstream.destroySoon();
          return;
        }
        late = [data.subarray(split)];
        client.destroy();
        setTimeout(() => {
          if (!upstream.destroyed) upstream.write(Buffer.concat(late ?? []));
          upstream.end();
        }, lateMs);
      };
      input.on('data', (data: Buffer) => {
        if (swallowing) waiting.push(() => forward(data));
        else forward(data);
      });
      input.on('end', () => {
        if (late === undefined) output.end();
      });
    };
    pass('client', client, upstream);
    pass('server', upstream, client);
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  return {
    port,
    get hit() {
      return hit;
    },
    arm(next) {
      cut = next;
      hit = false;
      armings++;
    },
    swallow(on) {
      swallowing = on;
      if (!on) for (const go of waiting.splice(0)) go();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
