/**
 * The validating webhook over HTTPS. Whoever reaches the port may ask, and hears nothing but what the rules say of what was
 * sent. While it has no certificate no handshake succeeds; the API server then lets objects in without its word.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { asFailure, Failure, failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { answerReview, JUDGED_KINDS, type Jurisdiction } from '../../operator/admission/review.ts';
import type { Reviews } from '../../operator/observe/reviews.ts';
import { listening, type Opened } from './endpoints.ts';
import type { HostPort } from './options.ts';
import type { Pair, PairSource } from './webhookcerts.ts';

export interface WebhookOptions {
  readonly jurisdiction: Jurisdiction;
  readonly pair: PairSource;
  readonly clock: Clock;
  readonly log: Log;
  /** Counts what is asked. */
  readonly reviews?: Pick<Reviews, 'offered' | 'began'>;
}

/** The API server waits for five seconds, and then goes on without us. */
const REQUEST_MS = 5000;
/** An object may have 3 MiB, and the review of a change holds it twice. */
const BODY_LIMIT = 8 * 1024 * 1024;
/** How often the certificate is looked at. */
const LOOK_MS = 30_000;

/** Where it is asked for each kind: upstream's paths, so that its configuration fits, and one of the same form for PushSecrets. */
export const WEBHOOK_PATHS: readonly string[] = JUDGED_KINDS.map(
  (kind) =>
    `/validate-external-secrets-io-${kind === 'PushSecret' ? 'v1alpha1' : 'v1'}-${kind.toLowerCase()}`,
);

/**
 * Listens. A certificate that cannot be had is told in the log and asked for again: the operator does its work without.
 * @throws Failure config.refused where the address cannot be had
 */
export async function openWebhook(at: HostPort, options: WebhookOptions): Promise<Opened> {
  const { pair, clock, log } = options;
  const server = createServer(
    { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, maxHeaderSize: 16_384, minVersion: 'TLSv1.2' },
    (request, response) => void answer(request, response, options),
  );
  server.maxConnections = 256;
  await listening(server, at);
  options.reviews?.offered(WEBHOOK_PATHS);
  let served: Pair | undefined;
  let closed = false;
  let cancel = (): void => {};
  const look = async (): Promise<void> => {
    try {
      const next = await pair();
      if (next.cert !== served?.cert || next.key !== served.key) {
        // Connections from now on meet it; those that stand are not touched.
        server.setSecureContext({ cert: next.cert, key: next.key, minVersion: 'TLSv1.2' });
        served = next;
      }
    } catch (error) {
      const { code, message } = asFailure(error);
      log.warn('the webhook could not get its certificate', { code, reason: message });
    }
    if (!closed) cancel = clock.after(LOOK_MS, () => void look());
  };
  await look();
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close: () =>
      new Promise((resolve) => {
        closed = true;
        cancel();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { jurisdiction, log, reviews }: WebhookOptions,
): Promise<void> {
  let ended: ReturnType<Reviews['began']> | undefined;
  const send = (status: number, type: string, text: string): void => {
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      // What was not read to its end would be taken for the next request.
      ...(status === 200 ? {} : { connection: 'close' }),
    });
    response.end(text);
  };
  const refuse = (status: number, reason: string): void =>
    send(status, 'text/plain; charset=utf-8', `${reason}\n`);
  try {
    const [path = ''] = (request.url ?? '').split('?');
    if (!WEBHOOK_PATHS.includes(path)) return refuse(404, 'there is nothing here');
    ended = reviews?.began(path);
    if (request.method !== 'POST') return refuse(405, 'only POST');
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
      return refuse(415, 'only application/json');
    const said = answerReview(await bodyOf(request), jurisdiction);
    send(200, 'application/json', JSON.stringify(said));
  } catch (error) {
    // A sender that went away is owed nothing.
    if (response.headersSent || response.destroyed) return;
    if (error instanceof Failure)
      return refuse(error.code === 'request.too_large' ? 413 : 400, error.message);
    // Nested deeper than a stack is: the sender's doing, not ours.
    if (error instanceof RangeError) return refuse(400, 'the body is nested too deeply');
    log.error('the webhook failed in a way it should not', { error });
    refuse(500, 'internal error');
  } finally {
    ended?.(response.headersSent ? response.statusCode : undefined);
  }
}

/** @throws Failure request.too_large; what the socket broke on */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The socket stays: the refusal goes out on it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw failure('request.too_large', { limit: BODY_LIMIT });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
