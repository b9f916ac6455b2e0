/*
 * The bare answer that ratios are against: node:http with nothing behind it. It gives the bytes that our server gave, with the
 * same headers, to every request of a method, once the whole request is there.
 * As a program it is the server; as a module it starts one.
 */

import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { usageOf } from './program.mjs';

/** node:http writes these itself. */
const OWN = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length']);

/**
 * Starts it as a process of its own.
 * @param samples by method: { status, head, body } as our server answered
 */
export async function startBare(samples) {
  const child = fork(fileURLToPath(import.meta.url), [], { serialization: 'advanced' });
  const port = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', () => reject(new Error('the bare server ended')));
    child.send(samples);
  });
  child.removeAllListeners('exit');
  return {
    name: 'bare node:http',
    host: '127.0.0.1',
    port,
    usage: () => usageOf(child.pid),
    async stop() {
      child.disconnect();
    },
  };
}

function serve(samples) {
  const answers = new Map(
    Object.entries(samples).map(([method, { status, head, body }]) => {
      const headers = Object.fromEntries(
        head
          .split('\r\n')
          .slice(1)
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
          .filter(([name]) => !OWN.has(name.toLowerCase())),
      );
      if (status !== 204) headers['content-length'] = body.length;
      return [method, { status, headers, body: Buffer.from(body) }];
    }),
  );
  const answer = ({ method }, response) => {
    const { status, headers, body } = answers.get(method);
    response.writeHead(status, headers);
    response.end(body);
  };
  const server = createServer((request, response) => {
    if (request.headers['content-length'] === undefined) return answer(request, response);
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => answer(request, response));
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once('message', serve);
  process.on('disconnect', () => process.exit());
}
