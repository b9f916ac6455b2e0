// A client of the Vault API for what comes before the measuring: it insists on each answer.

import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { AnswerReader } from './wire.mjs';

/** `ask(method, path, body)` gives the JSON of the answer, undefined where it has none. @throws Error on any status from 400 */
export function apiAt({ host, port }, token) {
  const agent = new Agent({ keepAlive: true });
  const ask = (method, path, body, as = token) =>
    new Promise((resolve, reject) => {
      const headers = as === undefined ? {} : { 'x-vault-token': as };
      const call = request({ host, port, agent, method, path: `/v1/${path}`, headers }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode >= 400)
            return reject(new Error(`${method} ${path} was answered ${response.statusCode}: ${text}`));
          resolve(text === '' ? undefined : JSON.parse(text));
        });
      });
      call.once('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return { ask, close: () => agent.destroy() };
}

/** One request and its answer as they are on the wire: { status, head, body }. */
export function exchange({ host, port }, text) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const reader = new AnswerReader((status, body, head) => {
      resolve({ status, head, body: Buffer.from(body) });
      socket.destroy();
    });
    socket.on('data', (chunk) => reader.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed without an answer')));
    socket.write(text, 'latin1');
  });
}
