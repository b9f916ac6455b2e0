/** A server that nobody has initialized yet, on a free port. */

import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { kv } from '../../src/engines/kv/index.ts';
import { createAuditBroker } from '../../src/server/audit/broker.ts';
import { listen } from '../../src/server/http/listener.ts';
import { createServer } from '../../src/server/server.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';

export async function startSealedServer(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const backend = new MemoryBackend();
  const server = await createServer({
    backend,
    plugins: [kv],
    clock: systemClock,
    log: silentLog,
    dial: async () => {
      throw new Error('this server dials nobody');
    },
    audit: async (world) => {
      const broker = createAuditBroker(world);
      await broker.load();
      return broker;
    },
  });
  const listener = await listen(server, { host: '127.0.0.1', port: 0 });
  return {
    url: `http://127.0.0.1:${listener.address.port}`,
    async close() {
      await listener.close(0);
      await server.close();
      await backend.close();
    },
  };
}
