/** A TCP proxy that lets everything pass until it is told to refuse, or to swallow: the ways in which a network fails. */

import { connect, createServer, type Socket } from 'node:net';

/**
 * `refuse`: connections are reset, and new ones too. `swallow`: they stand, new ones are taken, and nothing passes, as
 * where packets are dropped. Neither end hears of the other until all passes again; then what lost a byte is reset.
 */
export type Passing = 'all' | 'refuse' | 'swallow';

export interface CuttingProxy {
  readonly port: number;
  set(passing: Passing): void;
  close(): Promise<void>;
}

/** Two ends of one connection; `lost` once anything between them was swallowed. */
interface Pair {
  readonly ends: readonly Socket[];
  lost: boolean;
}

/**
 * @param target a port of the loopback interface
 * @param options `host` to listen at, and the address `from` which the target sees the connections come
 */
export async function startCuttingProxy(
  target: number,
  options: { readonly host?: string; readonly from?: string } = {},
): Promise<CuttingProxy> {
  const pairs = new Set<Pair>();
  let passing: Passing = 'all';
  const reset = (pair: Pair): void => {
    pairs.delete(pair);
    for (const end of pair.ends) if (!end.destroyed) end.resetAndDestroy();
  };
  const server = createServer((client) => {
    client.on('error', () => {});
    if (passing === 'refuse') return void client.resetAndDestroy();
    if (passing === 'swallow') {
      pairs.add({ ends: [client], lost: true });
      client.resume();
      return;
    }
    const from = options.from === undefined ? {} : { localAddress: options.from };
    const upstream = connect({ host: '127.0.0.1', port: target, ...from });
    const pair: Pair = { ends: [client, upstream], lost: false };
    pairs.add(pair);
    const pass = (input: Socket, output: Socket): void => {
      input.setNoDelay(true);
      input.on('error', () => {});
      input.on('data', (data: Buffer) => {
        if (passing === 'swallow') pair.lost = true;
        if (!pair.lost && !output.write(data)) input.pause();
      });
      output.on('drain', () => input.resume());
      input.on('close', () => {
        if (passing === 'swallow') pair.lost = true;
        else reset(pair);
      });
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, options.host ?? '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  return {
    port,
    set(next) {
      passing = next;
      for (const pair of pairs) if (next === 'refuse' || (next === 'all' && pair.lost)) reset(pair);
    },
    async close() {
      for (const pair of pairs) reset(pair);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
