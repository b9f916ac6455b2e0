/** What makes credentials when it is asked over HTTP, for the custom engine: it knows which of them live. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Source {
  readonly port: number;
  /** The living credentials: the key that each was made under, by its name. */
  readonly living: ReadonlyMap<string, string>;
  /** Whether it answers 503 to everything. */
  away: boolean;
  /** How many conversations it had, and had at once at most. */
  readonly asked: { count: number; atOnce: number };
  close(): Promise<void>;
}

export async function startSource(): Promise<Source> {
  const living = new Map<string, string>();
  const asked = { count: 0, atOnce: 0 };
  let now = 0;
  const server = createServer((request, response) => {
    asked.count++;
    asked.atOnce = Math.max(asked.atOnce, ++now);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    response.on('close', () => now--);
    request.on('end', () => {
      if (source.away) return void response.writeHead(503).end();
      if (request.method === 'POST') {
        const { name, key } = JSON.parse(Buffer.concat(chunks).toString()) as { name: string; key: string };
        living.set(name, key);
        return void response
          .writeHead(201, { 'content-type': 'application/json' })
          .end(JSON.stringify({ name }));
      }
      const key = (request.url ?? '').split('/').at(-1);
      const found = [...living].find(([, other]) => other === key);
      if (found !== undefined) living.delete(found[0]);
      response.writeHead(found === undefined ? 410 : 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const source: Source = {
    port: (server.address() as AddressInfo).port,
    living,
    away: false,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return source;
}

/** The stanza that lets the server reach it. */
export const egressTo = ({ port }: Source): string => `egress {\n  allow = ["127.0.0.1:${port}"]\n}`;

/** The bodies that configure the custom engine to ask the source. */
export const sourceConfig = ({ port }: Source) => ({
  config: { address: `http://127.0.0.1:${port}` },
  role: {
    create: {
      method: 'POST',
      path: '/accounts',
      body: { name: '{{username}}', key: '{{key}}' },
      expect: [201],
      response: { username: '/name' },
    },
    revoke: { method: 'DELETE', path: '/accounts/{{key}}' },
    default_ttl: '1h',
    max_ttl: '24h',
  },
});
