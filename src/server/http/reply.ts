/** Writes an answer to the wire. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Failure } from '../../base/errors.ts';
import type { Soon } from '../../base/soon.ts';
import { envelopeBody } from '../core/envelope.ts';
import type { Answer } from '../core/request.ts';
import { errorText, NOTHING, statusOf } from './status.ts';

/** Long enough for a client that is still sending to read why it is cut off. */
const LINGER_MS = 500;

export function writeAnswer(message: IncomingMessage, response: ServerResponse, answer: Answer): Soon<void> {
  switch (answer.kind) {
    case 'envelope': {
      const { head, tail } = envelopeBody(answer.envelope);
      if (tail === undefined) return writeJson(response, answer.status ?? 200, head);
      return writeParts(response, answer.status ?? 200, head, tail);
    }
    case 'done':
      response.writeHead(204, { 'cache-control': 'no-store' });
      response.end();
      return;
    case 'absent':
      return writeJson(response, 404, NOTHING);
    case 'failed':
      return writeFailure(message, response, answer.failure);
    case 'raw': {
      const { status, headers, body } = answer.reply;
      const all = { 'cache-control': 'no-store', ...headers };
      if (body instanceof Uint8Array) {
        // RFC 9110 section 8.6: a 204 has no length.
        response.writeHead(status, status === 204 ? all : { ...all, 'content-length': body.length });
        response.end(body);
        return;
      }
      response.writeHead(status, all);
      return pipeline(Readable.from(body), response);
    }
  }
}

export function writeFailure(message: IncomingMessage, response: ServerResponse, failure: Failure): void {
  const extra: Record<string, string> = { 'x-holdfast-code': failure.code };
  if (failure.retryAfterMs !== undefined)
    extra['retry-after'] = String(Math.ceil(failure.retryAfterMs / 1000));
  if (!message.complete) cutOff(message, response);
  writeJson(response, statusOf(failure), errorText(failure), extra);
}

export function writeJson(
  response: ServerResponse,
  status: number,
  text: string,
  extra?: Readonly<Record<string, string>>,
): void {
  const bytes = Buffer.byteLength(text);
  const head = jsonHead(bytes);
  response.writeHead(status, extra === undefined ? head : { ...head, ...extra });
  // As text: Node then sends head and body in one write. Where each character is a byte, they need not be encoded.
  response.end(text, bytes === text.length ? 'latin1' : 'utf8');
}

const jsonHead = (length: number) => ({
  'content-type': 'application/json',
  'cache-control': 'no-store',
  'content-length': length,
});

/** A text, which is ASCII, and bytes that are kept: they go out as they lie there, together with the head, in one write. */
function writeParts(response: ServerResponse, status: number, text: string, bytes: Uint8Array): void {
  response.writeHead(status, jsonHead(text.length + bytes.length));
  response.socket?.cork();
  response.write(text, 'latin1');
  // It takes the cork out.
  response.end(bytes);
}

/** The rest of the body is not wanted: no more is read, and the connection ends once the answer is out. */
export function cutOff(message: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
  const { socket } = message;
  message.pause();
  // Node closes the socket the moment the answer is written. Over bytes that nobody read that is a reset, and the reset
  // overtakes the answer: so our side is closed, what still comes is dropped for a moment, and then the socket goes.
  socket.destroySoon = () => {
    socket.end();
    message.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
}
