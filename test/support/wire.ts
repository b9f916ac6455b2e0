/** Bytes to a server and back, with nothing in between that would make them valid: for tests that attack the wire. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { rawRequest } from '../../src/server/testing.ts';

export type Transport = 'plain' | 'TLS';

export interface WireReply {
  readonly status: number;
  /** How many answers came back. */
  readonly answers: number;
  readonly head: string;
  readonly body: string;
  /** `errors`, joined; "" where the body is no error. */
  readonly says: string;
}

/** Sends one message as it is and reads until the server ends the connection. */
export async function sendBytes(
  port: number,
  bytes: string | Uint8Array,
  transport: Transport = 'plain',
): Promise<WireReply> {
  const text = await rawRequest(port, bytes, { tls: transport === 'TLS' });
  const end = text.indexOf('\r\n\r\n');
  const head = end === -1 ? text : text.slice(0, end);
  const body = end === -1 ? '' : text.slice(end + 4);
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
    answers: text.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0,
    head,
    body,
    says: errorsOf(body),
  };
}

function errorsOf(body: string): string {
  try {
    return (
      (JSON.parse(Buffer.from(body, 'latin1').toString('utf8')) as { errors?: string[] }).errors ?? []
    ).join('; ');
  } catch {
    return '';
  }
}

export interface MessageParts {
  readonly method?: string;
  /** The request target as it goes on the line; a string of raw bytes (latin1). */
  readonly target: string;
  readonly host?: string;
  readonly token?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Uint8Array;
}

/** A message that ends its connection, from parts that nobody checks. */
export function message(parts: MessageParts): Uint8Array {
  const { method = 'GET', target, host = '127.0.0.1', token, headers = [], body } = parts;
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    ...(headers.some((header) => /^connection:/i.test(header)) ? [] : ['Connection: close']),
    ...(token === undefined ? [] : [`X-Vault-Token: ${token}`]),
    ...headers,
    ...(bytes === undefined ? [] : [`Content-Length: ${bytes.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes ?? Buffer.alloc(0)]);
}

/**
 * Sends a head and then a body without end, until the server stops it.
 * @returns what it answered, and how many bytes it took off the socket, as the server's own socket counts them
 */
export async function pour(
  port: number,
  head: string,
  piece: Uint8Array,
  transport: Transport = 'plain',
): Promise<{ readonly answer: string; readonly taken: number }> {
  const accepted = new Map<number | undefined, Socket>();
  const note = (given: unknown): void => {
    const { socket } = given as { socket: Socket };
    accepted.set(socket.remotePort, socket);
  };
  subscribe('net.server.socket', note);
  try {
    let own: number | undefined;
    const answer = await new Promise<string>((resolve) => {
      const begin = (): void => {
        own = socket.localPort;
        socket.write(head);
        more();
      };
      const socket: Socket =
        transport === 'TLS'
          ? connectSecure({ port, host: '127.0.0.1', rejectUnauthorized: false }, begin)
          : connect(port, '127.0.0.1', begin);
      let text = '';
      const more = (): void => {
        while (socket.writable && text === '' && socket.write(piece));
        if (socket.writable && text === '') socket.once('drain', more);
      };
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });
    return { answer, taken: accepted.get(own)?.bytesRead ?? Number.NaN };
  } finally {
    unsubscribe('net.server.socket', note);
  }
}
