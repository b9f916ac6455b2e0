/**
 * Bodies that are larger than memory should hold, on their way to or from a server: the archive of a snapshot. What goes
 * through is not looked at. There is no time limit over the whole, because a large store takes as long as it takes; that
 * the other side is gone is found by the kernel's probes.
 */

import http from 'node:http';
import https from 'node:https';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { failure, isFailure } from '../base/errors.ts';
import { encodePath, type VaultClient } from './client.ts';
import { answerFailure, makeAnswer } from './envelope.ts';
import { networkFailure } from './transport.ts';

/** The most that is read of a refusal's body, in bytes. */
const REFUSAL_LIMIT = 1024 * 1024;
const PROBE_MS = 30_000;

/**
 * Writes the body of `GET /v1/<path>` into what `into` opens, which is called once the server has begun to give it.
 * Resolves when all of it is written. @throws Failure api.*; what the sink throws
 */
export async function download(client: VaultClient, path: string, into: () => Writable): Promise<void> {
  const request = begin(client, 'GET', path);
  request.end();
  const response = await answerTo(request, client);
  if (!isOk(response)) throw await refusal(response, `GET ${path}`, client);
  const sink = into();
  const culprit = firstToFail({ response, sink });
  try {
    await pipeline(response, sink);
  } catch (error) {
    // A body cut off in the middle would look like a whole backup on disk: the caller must hear of it.
    throw culprit() === 'sink' ? error : cut(client);
  }
  if (!response.complete) throw cut(client);
}

/**
 * Sends a body to `POST /v1/<path>` as it is read. Resolves when the server has taken it.
 * @throws Failure api.*; what the source throws
 */
export async function upload(client: VaultClient, path: string, source: Readable): Promise<void> {
  const request = begin(client, 'POST', path, { 'content-type': 'application/octet-stream' });
  const culprit = firstToFail({ request, source });
  const answered = answerTo(request, client);
  const sent = pipeline(source, request).then(
    () => undefined,
    (error: unknown) => error,
  );
  // A server that refuses answers before it has read everything: its answer, not the broken pipe, is what is told.
  const broken = await Promise.race([answered.then(settled, settled), sent]);
  if (broken !== undefined && culprit() === 'source') {
    await answered.catch(settled);
    throw broken;
  }
  const response = await answered;
  source.destroy();
  if (!isOk(response)) throw await refusal(response, `POST ${path}`, client);
  response.resume();
}

/** Tells which of the streams failed before a pipeline passed its failure on to the others. */
function firstToFail(streams: Readonly<Record<string, Readable | Writable>>): () => string | undefined {
  let first: string | undefined;
  for (const [name, stream] of Object.entries(streams))
    stream.once('error', () => {
      first ??= name;
    });
  return () => first;
}

const settled = (): undefined => undefined;
const isOk = (response: http.IncomingMessage): boolean =>
  response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300;

function begin(
  client: VaultClient,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): http.ClientRequest {
  const { url, headers: own, socket } = client.connection;
  const request = (url.protocol === 'https:' ? https : http).request({
    ...socket,
    method,
    path: `${url.pathname.replace(/\/+$/, '')}/v1/${encodePath(path)}`,
    headers: { host: url.host, ...own, ...headers },
    agent: false,
  });
  request.setSocketKeepAlive(true, PROBE_MS);
  return request;
}

function answerTo(request: http.ClientRequest, client: VaultClient): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', (error) => reject(networkFailure(error, client.address)));
  });
}

const cut = (client: VaultClient) =>
  failure('api.unreachable', { address: client.address, reason: 'the connection was cut' });

/** What a refusal says, read as every answer of a server is. */
async function refusal(
  response: http.IncomingMessage,
  request: string,
  client: VaultClient,
): Promise<ReturnType<typeof failure>> {
  const status = response.statusCode ?? 0;
  const target = response.headers.location;
  if (status >= 300 && status < 400 && target !== undefined)
    return failure('api.redirected', { address: client.address, target: originOf(target) });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > REFUSAL_LIMIT) break;
      chunks.push(chunk);
    }
  } catch (error) {
    return isFailure(error) ? error : cut(client);
  }
  const answer = makeAnswer(status, response.headers, Buffer.concat(chunks), client.address);
  return answerFailure(answer, request, client.address, (client.token ?? '') === '');
}

function originOf(target: string): string {
  try {
    return new URL(target).origin;
  } catch {
    return 'another address';
  }
}
