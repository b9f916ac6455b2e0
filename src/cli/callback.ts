/**
 * The listener that a browser comes back to from a login (RFC 8252 section 7.3). It listens on this machine alone unless told
 * otherwise, takes one answer, the one with the state of the login that was begun here, and closes.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sameSecret } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';

const PATH = '/oidc/callback';
/** An ID token and what comes with it. */
const BODY_LIMIT = 64 * 1024;

/** What a browser brought, and whether it was posted. */
export interface Brought {
  readonly fields: URLSearchParams;
  readonly posted: boolean;
}

export interface CallbackListener {
  readonly port: number;
  /** Waits for the answer with this state, completes it, and shows the browser how that went. @throws what `complete` did */
  answer<T>(state: string, complete: (brought: Brought) => Promise<T>, signal: AbortSignal): Promise<T>;
  close(): void;
}

type Handle = (brought: Brought) => Promise<Page>;

interface Page {
  readonly status: number;
  readonly heading: string;
  readonly text: string;
}

const ELSEWHERE: Page = {
  status: 404,
  heading: 'There is nothing here',
  text: 'This is the listener of a login that waits for another page.',
};

/** @throws Failure cli.oidc where the address or the port cannot be had */
export async function listenForCallback(host: string, port: number): Promise<CallbackListener> {
  let handle: Handle = async () => ELSEWHERE;
  const servers: Server[] = [];
  const close = (): void => {
    for (const server of servers) {
      server.close();
      server.closeIdleConnections();
    }
  };
  // A browser tries both of the addresses that "localhost" stands for: nobody else may be found at the other one.
  const hosts = host === 'localhost' ? ['127.0.0.1', '::1'] : [host];
  let actual = port;
  for (const [index, address] of hosts.entries()) {
    const server = createServer((message, response) => void respond(message, response, (b) => handle(b)));
    try {
      actual = await listen(server, address, actual);
      servers.push(server);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
      if (index > 0 && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(code)) continue;
      close();
      throw failure('cli.oidc', {
        reason: `cannot listen on ${address} port ${actual}: ${code}`,
        mend: 'Choose another port with port=NUMBER; the role and the identity provider must allow it.',
      });
    }
  }
  return {
    port: actual,
    close,
    answer: (state, complete, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        let taken = false;
        handle = async (brought) => {
          // A page of somebody else can send a browser here too: what is not of this login neither ends nor completes it.
          if (taken || !sameSecret(brought.fields.get('state') ?? '', state))
            return { ...ELSEWHERE, status: 400 };
          taken = true;
          try {
            resolve(await complete(brought));
            return {
              status: 200,
              heading: 'You are logged in',
              text: 'Close this window and go back to the terminal.',
            };
          } catch (error) {
            reject(error);
            return {
              status: 400,
              heading: 'The login failed',
              text: 'The terminal says why. Close this window and begin again.',
            };
          }
        };
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.removeListener('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function respond(message: IncomingMessage, response: ServerResponse, handle: Handle): Promise<void> {
  let page: Page;
  try {
    const brought = await broughtBy(message);
    page = brought === undefined ? ELSEWHERE : await handle(brought);
  } catch {
    page = { status: 400, heading: 'This is no answer of an identity provider', text: 'It was left unread.' };
  }
  const html = Buffer.from(
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${page.heading}</title></head>` +
      `<body style="font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem">` +
      `<h1 style="font-size:1.3rem">${page.heading}</h1><p>${page.text}</p></body></html>\n`,
  );
  response.writeHead(page.status, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': html.length,
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(html);
}

/** What the browser brings; undefined for another path or method. @throws for a body that is too long or cut off */
async function broughtBy(message: IncomingMessage): Promise<Brought | undefined> {
  const [path, query = ''] = (message.url ?? '').split(/\?(.*)/s);
  if (path !== PATH) return undefined;
  if (message.method === 'GET') return { fields: new URLSearchParams(query), posted: false };
  if (message.method !== 'POST') return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Error('too long');
    chunks.push(chunk);
  }
  return { fields: new URLSearchParams(Buffer.concat(chunks).toString('utf8')), posted: true };
}
