// What answers the operator's reads as a Vault server would, and counts them by who asked for what. It is no measure of a
// server: it costs as little as it can.

import { createServer } from 'node:http';

const CREATED = '2026-01-01T00:00:00Z';

export async function startStore() {
  let reads = new Map();
  const server = createServer((request, response) => {
    request.resume();
    const send = (body) => {
      const text = JSON.stringify(body);
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      });
      response.end(text);
    };
    const token = request.headers['x-vault-token'] ?? '';
    if (request.url === '/v1/auth/token/lookup-self')
      return send({ data: { id: token, policies: ['default'], ttl: 0, renewable: false } });
    const id = `${token} ${request.url}`;
    reads.set(id, (reads.get(id) ?? 0) + 1);
    return send({
      data: {
        data: { value: `of ${request.url}` },
        metadata: {
          version: 1,
          created_time: CREATED,
          deletion_time: '',
          destroyed: false,
          custom_metadata: null,
        },
      },
    });
  });
  server.keepAliveTimeout = 120_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    port,
    /** What was read since the last call: how often in all, and how many different things. */
    take() {
      const taken = reads;
      reads = new Map();
      let all = 0;
      let most = 0;
      for (const count of taken.values()) {
        all += count;
        most = Math.max(most, count);
      }
      return { all, unique: taken.size, most };
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
