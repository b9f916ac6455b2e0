/** A balancer that does what none may: it answers reads from a memory of its own, or acknowledges writes that it drops. */

import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { Balanced, Behind } from './loadbalancer.ts';

export type Lie = 'stale reads' | 'lost writes';

/** How long a read is answered from memory, in milliseconds, and which of the writes is dropped. */
const STALE_MS = 150;
const LOST = 5;

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export async function startLiar(node: Behind, lie: Lie): Promise<Balanced & { readonly lies: () => number }> {
  const agent = new Agent({ keepAlive: true });
  const memory = new Map<string, { readonly answer: Answer; readonly at: number }>();
  const versions = new Map<string, number>();
  let writes = 0;
  let lies = 0;
  const server = createServer(async (incoming, outgoing) => {
    const body = await bodyOf(incoming);
    const { method = 'GET', url = '/' } = incoming;
    const reply = ({ status, body: text }: Answer): void => {
      outgoing.writeHead(status, { 'content-length': text.length });
      outgoing.end(text);
    };
    const known = memory.get(url);
    if (
      lie === 'stale reads' &&
      method === 'GET' &&
      known !== undefined &&
      performance.now() - known.at < STALE_MS
    ) {
      lies++;
      return reply(known.answer);
    }
    const version = versions.get(url);
    if (
      lie === 'lost writes' &&
      method === 'POST' &&
      !String(body).includes('"cas"') &&
      version !== undefined
    )
      if (++writes % LOST === 0) {
        lies++;
        return reply({ status: 200, body: Buffer.from(JSON.stringify({ data: { version: version + 1 } })) });
      }
    const forwarded = request(
      { host: node.host, port: node.port, agent, method, path: url, headers: incoming.headers },
      async (response) => {
        const answer = { status: response.statusCode ?? 0, body: await bodyOf(response) };
        if (method === 'GET') memory.set(url, { answer, at: performance.now() });
        if (method === 'POST' && answer.status === 200) {
          const made = (JSON.parse(answer.body.toString()) as { data: { version: number } }).data.version;
          versions.set(url, Math.max(made, versions.get(url) ?? 0));
        }
        reply(answer);
      },
    );
    forwarded.once('error', () => outgoing.destroy());
    forwarded.end(body);
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  return {
    name: `a balancer with ${lie}`,
    host: '127.0.0.1',
    port,
    lies: () => lies,
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
