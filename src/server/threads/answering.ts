/** The other end of asking.ts: the thread that writes answers for one reader, and appends its audit lines. */

import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex, PassThrough, Readable } from 'node:stream';
import type { Soon } from '../../base/soon.ts';
import type { AuditedLines } from '../audit/broker.ts';
import type { Core } from '../core/core.ts';
import { envelopeText } from '../core/envelope.ts';
import type { Answer, Request } from '../core/request.ts';
import { takeEventSocket } from '../http/eventsocket.ts';
import { refuseUpgrade } from '../http/listener.ts';
import { errorText, NOTHING, statusOf } from '../http/status.ts';
import type { FromReader, FromWriter, Observed, Told } from './messages.ts';
import { Streams } from './streams.ts';

export interface AnsweringOptions {
  readonly core: Core;
  readonly handle: (request: Request) => Soon<Answer>;
  /** @throws where no device took the line */
  readonly append: (lines: AuditedLines) => Promise<void>;
  readonly observed: (one: Observed) => void;
  readonly post: (message: FromWriter) => void;
}

export class Answering {
  readonly #options: AnsweringOptions;
  readonly #streams: Streams;
  readonly #underWay = new Map<number, AbortController>();
  readonly #over = new AbortController();
  /** Never listens: it is given the sockets that ask for events, and knows the words of HTTP. */
  readonly #upgrades = createServer((_, response) => response.destroy());
  readonly #remotes = new WeakMap<object, Request['remote']>();

  constructor(options: AnsweringOptions) {
    this.#options = options;
    this.#streams = new Streams(options.post);
    const { core } = options;
    this.#upgrades.on('upgrade', (message, socket, head) => {
      const remote = this.#remotes.get(socket) ?? { address: '', port: 0 };
      void takeEventSocket(
        { core, remote },
        message,
        socket as Socket,
        head,
        this.#over.signal,
        refuseUpgrade,
      );
    });
  }

  /** @returns whether the message was of this kind */
  take(message: FromReader): boolean {
    switch (message.kind) {
      case 'ask':
        void this.#answer(message);
        return true;
      case 'gone':
        this.#underWay.get(message.id)?.abort();
        this.#streams.take({ kind: 'stop', id: message.id });
        return true;
      case 'events':
        this.#join(message);
        return true;
      case 'lines':
        this.#options.append(message.lines).then(
          () => this.#options.post({ kind: 'line-taken', id: message.id, taken: true }),
          () => this.#options.post({ kind: 'line-taken', id: message.id, taken: false }),
        );
        return true;
      case 'observed':
        for (const one of message.all) this.#options.observed(one);
        return true;
      default:
        return this.#streams.take(message);
    }
  }

  /** The reader is gone, and with it all who asked through it. */
  close(): void {
    this.#over.abort();
    for (const one of this.#underWay.values()) one.abort();
    this.#streams.close();
    this.#upgrades.closeAllConnections();
  }

  async #answer({ id, asked: { streamed, ...asked } }: Extract<FromReader, { kind: 'ask' }>): Promise<void> {
    const gone = new AbortController();
    this.#underWay.set(id, gone);
    const request: Request = {
      ...asked,
      signal: gone.signal,
      ...(streamed ? { stream: this.#streams.receive(id) } : {}),
    };
    const given = await this.#options.handle(request);
    const { told, rest } = toldOf(given);
    this.#options.post({ kind: 'told', id, told });
    if (rest !== undefined && !gone.signal.aborted) await this.#streams.send(id, rest);
    this.#underWay.delete(id);
  }

  #join({ id, remote }: Extract<FromReader, { kind: 'events' }>): void {
    const out = new PassThrough();
    const socket = Duplex.from({ readable: Readable.from(this.#streams.receive(id)), writable: out });
    socket.on('error', () => socket.destroy());
    this.#remotes.set(socket, remote);
    this.#upgrades.emit('connection', socket);
    void this.#streams.send(id, out);
  }
}

/** The answer as http/reply.ts would write it, and what is still to come of it. */
export function toldOf(answer: Answer): { readonly told: Told; readonly rest?: AsyncIterable<Uint8Array> } {
  const json = (
    status: number,
    body: string,
    extra: Readonly<Record<string, string>> = {},
  ): { readonly told: Told } => ({
    told: {
      status,
      headers: {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'content-length': Buffer.byteLength(body),
        ...extra,
      },
      body,
    },
  });
  switch (answer.kind) {
    case 'envelope':
      return json(answer.status ?? 200, envelopeText(answer.envelope));
    case 'done':
      return { told: { status: 204, headers: { 'cache-control': 'no-store' }, body: '' } };
    case 'absent':
      return json(404, NOTHING);
    case 'failed': {
      const { failure } = answer;
      return json(statusOf(failure), errorText(failure), {
        'x-holdfast-code': failure.code,
        ...(failure.retryAfterMs === undefined
          ? {}
          : { 'retry-after': String(Math.ceil(failure.retryAfterMs / 1000)) }),
      });
    }
    case 'raw': {
      const { status, headers, body } = answer.reply;
      return body instanceof Uint8Array
        ? { told: { status, headers, body: new Uint8Array(body) } }
        : { told: { status, headers }, rest: body };
    }
  }
}
