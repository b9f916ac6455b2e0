/** Folders that are wider than a page, over the wire: what leaves when, and what is known before it does. */

import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { folderReply, NAMES_AT_ONCE } from '../../plugin/listing.ts';
import { operation, type PluginType } from '../../plugin/plugin.ts';
import type { Page } from '../../storage/storage.ts';
import { startServer, type TestServer } from '../testing.ts';

const WIDTH = 3 * NAMES_AT_ONCE + 7;
/** Letters that JSON escapes, and some that it does not. */
const nameOf = (i: number): string => `n"\\é€${String(i).padStart(7, '0')}`;
const NAMES = Array.from({ length: WIDTH }, (_, i) => nameOf(i));

let server: TestServer;
/** Called before each page is given. */
let beforePage: (page: number) => Promise<void>;
let pages: number;

/** A mount with one folder, which is as wide as `names` says. */
const wide = (names: (page: Page) => string[]): PluginType => ({
  name: 'wide',
  kind: 'secret',
  create: () => ({
    routes: [
      {
        path: '*path',
        operations: {
          list: operation({
            summary: 'List.',
            input: z.object({}),
            output: z.object({ keys: z.array(z.string()) }),
            effect: 'none',
            run: () =>
              folderReply(async (page) => {
                await beforePage(++pages);
                return names(page);
              }, {}),
          }),
        },
      },
    ],
  }),
});

const slice = ({ after, limit = WIDTH }: Page): string[] => {
  const start = after === undefined ? 0 : NAMES.indexOf(after) + 1;
  return NAMES.slice(start, start + limit);
};

const start = async (names = slice): Promise<void> => {
  server = await startServer([wide(names)]);
  expect((await server.ask('POST', 'sys/mounts/wide', { type: 'wide' })).status).toBe(204);
};

beforeEach(() => {
  pages = 0;
  beforePage = async () => {};
});
afterEach(() => server.close());

/** Asks for the listing over a socket of its own; what came so far, and whether the other side has ended. */
function listed(): { text: () => string; ended: () => boolean; pause(): void } {
  const chunks: Buffer[] = [];
  let over = false;
  const socket = connect(server.listener.address.port, '127.0.0.1', () =>
    socket.write(
      `LIST /v1/wide/ HTTP/1.1\r\nHost: x\r\nX-Vault-Token: ${server.root}\r\nConnection: close\r\n\r\n`,
    ),
  );
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.on('close', () => {
    over = true;
  });
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    ended: () => over,
    pause: () => socket.pause(),
  };
}

test('without a trail, names leave while later ones are still unread, and others are answered meanwhile', async () => {
  await start();
  server.seen.enabled = false;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  beforePage = (page) => (page === 3 ? held : Promise.resolve());
  const answer = listed();
  await vi.waitFor(() => expect(answer.text()).toContain(JSON.stringify(nameOf(2 * NAMES_AT_ONCE - 1))));
  expect(answer.text()).not.toContain(JSON.stringify(nameOf(2 * NAMES_AT_ONCE)));
  expect((await server.ask('GET', 'sys/health')).status).toBe(200);
  release();
  await vi.waitFor(() => expect(answer.ended()).toBe(true));
  expect(answer.text()).toMatch(/^HTTP\/1.1 200 /);
  expect(answer.text()).toContain('0\r\n\r\n');
});

test('what comes in pages is, but for its id, to the byte what comes as a whole', async () => {
  await start();
  const whole = await server.ask('LIST', 'wide/');
  server.seen.enabled = false;
  const paged = await server.ask('LIST', 'wide/');
  expect(paged.headers.get('content-type')).toBe('application/json');
  expect(paged.headers.get('cache-control')).toBe('no-store');
  expect(whole.headers.get('content-length')).not.toBeNull();
  expect(paged.headers.get('content-length')).toBeNull();
  expect(paged.json.data.keys).toEqual(NAMES);
  const anonymous = ({ text, json }: typeof paged): string => text.replace(json.request_id, '');
  expect(anonymous(paged)).toBe(anonymous(whole));
});

test('with a trail, every name is in it before the first byte leaves; and where no device takes it, none leaves', async () => {
  await start();
  const told = await server.ask('LIST', 'wide/');
  expect(told.json.data.keys).toEqual(NAMES);
  expect(server.seen.lines.at(-1)).toMatchObject({ type: 'response', response: { data: { keys: NAMES } } });
  server.seen.failing = 'response';
  const refused = await server.ask('LIST', 'wide/');
  expect(refused.status).toBe(500);
  expect(refused.text).not.toContain('0000000');
});

test('a trail that is switched on amid a listing does not stop what had already left', async () => {
  await start();
  server.seen.enabled = false;
  beforePage = async (page) => {
    if (page === 3) server.seen.enabled = true;
  };
  expect((await server.ask('LIST', 'wide/')).json.data.keys).toEqual(NAMES);
});

test('a store that fails midway cuts the connection: a part must never look like the whole', async () => {
  await start();
  server.seen.enabled = false;
  beforePage = async (page) => {
    if (page === 3) throw new Error('the medium is away');
  };
  const answer = listed();
  await vi.waitFor(() => expect(answer.ended()).toBe(true));
  expect(answer.text()).toMatch(/^HTTP\/1.1 200 /);
  expect(answer.text()).not.toContain('0\r\n\r\n');
  expect(answer.text()).not.toContain('mount_type');
});

test('a store that fails at once is told as any failure', async () => {
  await start();
  server.seen.enabled = false;
  beforePage = async () => {
    throw new Error('the medium is away');
  };
  expect((await server.ask('LIST', 'wide/')).status).toBe(500);
});

test('a wrapped listing is whole', async () => {
  await start();
  server.seen.enabled = false;
  const wrapped = await server.ask('LIST', 'wide/', undefined, { 'x-vault-wrap-ttl': '60' });
  const token = wrapped.json.wrap_info.token;
  const opened = await server.ask('POST', 'sys/wrapping/unwrap', { token });
  expect(opened.json.data.keys).toEqual(NAMES);
});

test('a token that ends with its listing still gets all of it', async () => {
  await start();
  server.seen.enabled = false;
  const made = await server.ask('POST', 'auth/token/create', { num_uses: 1, policies: ['root'] });
  const token = made.json.auth.client_token;
  const answer = await server.ask('LIST', 'wide/', undefined, { 'x-vault-token': token });
  expect(answer.json.data.keys).toEqual(NAMES);
  expect((await server.ask('LIST', 'wide/', undefined, { 'x-vault-token': token })).status).toBe(403);
});

test('a client that does not read holds up the listing, not the memory of the server', async () => {
  const long = 'x'.repeat(1000);
  // A folder without end.
  await start(({ limit = 0 }) => Array.from({ length: limit }, () => long));
  server.seen.enabled = false;
  const answer = listed();
  await vi.waitFor(() => expect(answer.text().length).toBeGreaterThan(0));
  answer.pause();
  let before = -1;
  await vi.waitFor(
    () => {
      const still = pages === before;
      before = pages;
      expect(still).toBe(true);
    },
    { timeout: 20_000, interval: 300 },
  );
  // What the two sockets hold between them, and no more: a page is a megabyte.
  expect(pages).toBeLessThan(64);
});
