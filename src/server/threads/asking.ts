/** The reader's way to the thread that writes: requests, sockets and audit lines go there, and what comes back is told here. */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { AuditedLines } from '../audit/broker.ts';
import type { Answer, Request } from '../core/request.ts';
import { remoteOf } from '../http/intake.ts';
import type { Asked, FromReader, FromWriter, Told } from './messages.ts';
import { Streams } from './streams.ts';

/** What crosses of a request: plain values alone, without what a view of a pool would take along. */
export function crossing(request: Request): Asked {
  const { verb, path, opaque, headersOnly, body, data, form, token } = request;
  const { wrapTtlMs, help, headers, remote, peerCertificate, openMetrics, stream } = request;
  return {
    verb,
    path: { text: path.text, segments: path.segments, folder: path.folder },
    headers,
    remote,
    streamed: stream !== undefined,
    ...(opaque === undefined ? {} : { opaque }),
    ...(headersOnly === undefined ? {} : { headersOnly }),
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    ...(data === undefined ? {} : { data }),
    ...(form === undefined ? {} : { form }),
    ...(token === undefined ? {} : { token }),
    ...(wrapTtlMs === undefined ? {} : { wrapTtlMs }),
    ...(help === undefined ? {} : { help }),
    ...(peerCertificate === undefined ? {} : { peerCertificate: new Uint8Array(peerCertificate) }),
    ...(openMetrics === undefined ? {} : { openMetrics }),
  };
}

export class Asking {
  readonly #post: (message: FromReader) => void;
  readonly #streams: Streams;
  readonly #asked = new Map<number, (told: Told) => void>();
  readonly #lines = new Map<number, (taken: boolean) => void>();
  #number = 0;

  constructor(post: (message: FromReader) => void) {
    this.#post = post;
    this.#streams = new Streams(post);
  }

  /** Never throws; where the other thread is gone, so is this one. */
  ask(request: Request): Promise<Answer> {
    const id = ++this.#number;
    return new Promise((resolve) => {
      const gone = (): void => this.#post({ kind: 'gone', id });
      const { signal, stream } = request;
      this.#asked.set(id, (told) => {
        // A stream can be given up yet.
        if (told.body !== undefined) signal.removeEventListener('abort', gone);
        resolve({ kind: 'raw', reply: this.#replyOf(id, told) });
      });
      signal.addEventListener('abort', gone);
      this.#post({ kind: 'ask', id, asked: crossing(request) });
      if (stream !== undefined) void this.#streams.send(id, stream);
    });
  }

  /** Joins a socket that asks for events to the other thread, its upgrade's words first. */
  join(message: IncomingMessage, socket: Socket, head: Buffer): void {
    const id = ++this.#number;
    const remote = remoteOf(message.socket);
    const back = this.#streams.receive(id);
    this.#post({ kind: 'events', id, remote });
    const words = wordsOf(message);
    void this.#streams.send(
      id,
      (async function* () {
        yield Buffer.concat([Buffer.from(words, 'latin1'), head]);
        for await (const bytes of socket) yield bytes as Uint8Array;
      })(),
    );
    pipeline(back, socket).catch(() => socket.destroy());
  }

  /** Resolves to whether some device took the lines. */
  append(lines: AuditedLines): Promise<boolean> {
    const id = ++this.#number;
    return new Promise((resolve) => {
      this.#lines.set(id, resolve);
      this.#post({ kind: 'lines', id, lines });
    });
  }

  /** @returns whether the message was of this kind */
  take(message: FromWriter): boolean {
    switch (message.kind) {
      case 'told': {
        const resolve = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        resolve?.(message.told);
        return true;
      }
      case 'line-taken': {
        const resolve = this.#lines.get(message.id);
        this.#lines.delete(message.id);
        resolve?.(message.taken);
        return true;
      }
      default:
        return this.#streams.take(message);
    }
  }

  #replyOf(id: number, { status, headers, body }: Told) {
    const given = headers as Record<string, string>;
    if (body === undefined) return { status, headers: given, body: this.#streams.receive(id) };
    return { status, headers: given, body: typeof body === 'string' ? Buffer.from(body) : body };
  }
}

/** The upgrade as the client sent it. */
function wordsOf({ method, url, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
