/** A server on a free port of this machine, initialized and open, for clients that know nothing of this code. */

import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { plugins } from '../../src/bin/plugins.ts';
import type { Locate } from '../../src/engines/database/driver.ts';
import type { Dial } from '../../src/plugin/plugin.ts';
import { type ListenerTls, listen } from '../../src/server/http/listener.ts';
import { createServer } from '../../src/server/server.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';
import { startThreads } from './threads.ts';

export interface TestServer {
  readonly url: string;
  readonly token: string;
  /** The key shares that it was initialized with. */
  readonly keys: readonly Uint8Array[];
  /** Listens over TLS as well; its address. */
  securely(tls: ListenerTls): Promise<string>;
  close(): Promise<void>;
}

export interface TestServerOptions {
  readonly dial?: Dial;
  /** Which addresses a request may name for the plugins to reach. Absent: none. */
  readonly mayReach?: (url: string) => Promise<boolean>;
  /** Where databases are found. Absent: nowhere. */
  readonly locate?: Locate;
}

/** A server with key shares of one: its first token is root. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { url, secure, initialize, close } = await startUninitialized(options);
  const { keys, rootToken } = await initialize();
  return { url, token: rootToken, keys, securely: secure, close };
}

/** A server that nobody has initialized yet, for clients that do it themselves. */
export async function startUninitialized({
  dial = async () => {
    throw new Error('these tests dial nobody');
  },
  mayReach,
  locate = async (host) => ({ ip: host, port: 0 }),
}: TestServerOptions = {}) {
  const threaded = Number(process.env['HOLDFAST_TEST_THREADS'] ?? 1) > 1 ? await startThreads() : undefined;
  const backend = threaded?.backend ?? new MemoryBackend();
  const server = await createServer({
    backend,
    ...(threaded === undefined ? {} : { readers: threaded.crew }),
    plugins: plugins(undefined, locate),
    clock: systemClock,
    log: silentLog,
    dial,
    ...(mayReach === undefined ? {} : { mayReach }),
  });
  const first = await listen(server, { host: '127.0.0.1', port: 0 });
  const listeners = [first];
  await threaded?.share(server, first);
  return {
    url: `http://127.0.0.1:${first.address.port}`,
    async initialize() {
      const made = await server.seal.initialize(1, 1);
      for (const key of made.keys) await server.seal.submit(key);
      return made;
    },
    async secure(tls: ListenerTls): Promise<string> {
      const listener = await listen(server, { host: '127.0.0.1', port: 0, tls });
      listeners.push(listener);
      return `https://127.0.0.1:${listener.address.port}`;
    },
    async close() {
      for (const listener of listeners) await listener.close(0);
      await threaded?.crew.close(0);
      await server.close();
      await threaded?.crew.end();
      await backend.close();
      await threaded?.remove();
    },
  };
}
