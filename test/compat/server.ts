/** A server on a free port of this machine, initialized and open, for clients that know nothing of this code. */

import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { plugins } from '../../src/bin/plugins.ts';
import type { Dial } from '../../src/plugin/plugin.ts';
import { listen } from '../../src/server/http/listener.ts';
import { createServer } from '../../src/server/server.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';

export interface TestServer {
  readonly url: string;
  readonly token: string;
  /** The key shares that it was initialized with. */
  readonly keys: readonly Uint8Array[];
  close(): Promise<void>;
}

/** @param dial the plugins' way out; absent: nobody is dialled */
export async function startServer({
  dial = async () => {
    throw new Error('these tests dial nobody');
  },
}: {
  readonly dial?: Dial;
} = {}): Promise<TestServer> {
  const backend = new MemoryBackend();
  const server = await createServer({
    backend,
    plugins: plugins(undefined, async (host) => ({ ip: host, port: 0 })),
    clock: systemClock,
    log: silentLog,
    dial,
  });
  const listener = await listen(server, { host: '127.0.0.1', port: 0 });
  const { keys, rootToken } = await server.seal.initialize(1, 1);
  for (const key of keys) await server.seal.submit(key);
  return {
    url: `http://127.0.0.1:${listener.address.port}`,
    token: rootToken,
    keys,
    async close() {
      await listener.close(0);
      await server.close();
      await backend.close();
    },
  };
}
