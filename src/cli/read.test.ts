/** What `read` prints of answers that are no envelopes, against a server that answers bytes. */

import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from './program.ts';
import type { Terminal } from './terminal.ts';

const DER = Buffer.from([0x30, 0x82, 0x00, 0xff, 0xc3, 0x28, 0x0a]);
const ANSWERS: Readonly<Record<string, Buffer>> = {
  '/v1/ssh/public_key': Buffer.from('ssh-ed25519 AAAA\n'),
  '/v1/pki/ca': DER,
  '/v1/secret/app': Buffer.from('{"data":{"a":1.10},"warnings":["mind"]}\n'),
  '/v1/empty': Buffer.alloc(0),
};
const server = createServer((request, response) => {
  const body = ANSWERS[request.url ?? ''];
  response.statusCode = body === undefined ? 404 : 200;
  response.end(body ?? '{"errors":[]}');
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

async function read(...args: string[]): Promise<{ code: number; out: Buffer; err: string }> {
  const address = server.address();
  const out: Uint8Array[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    env: {
      VAULT_ADDR: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
      VAULT_TOKEN: 't',
    },
    out: (text) => void out.push(Buffer.from(text)),
    outBytes: (bytes) => void out.push(bytes),
    err: (text) => void err.push(text),
    stdin: async () => '',
    secret: async () => '',
    readFile: async () => '',
    tokenFile: { read: async () => undefined, write: async () => {} },
  };
  const code = await runCli(['read', ...args], terminal, '0.0.0');
  return { code, out: Buffer.concat(out), err: err.join('') };
}

test('-format=raw prints a body that is no envelope byte by byte', async () => {
  expect((await read('-format=raw', 'ssh/public_key')).out.toString()).toBe('ssh-ed25519 AAAA\n');
  const der = await read('-format=raw', 'pki/ca');
  expect(der.code).toBe(0);
  expect(der.out.equals(DER)).toBe(true);
});

test('-format=raw prints an envelope as it came too, to the digit, and one field of it alone where that is asked for', async () => {
  const { out, err } = await read('-format=raw', 'secret/app');
  expect(out.toString()).toBe('{"data":{"a":1.10},"warnings":["mind"]}\n');
  expect(err).toBe('');
  expect((await read('-format=raw', '-field=a', 'secret/app')).out.toString()).toBe('1.10');
});

test('every other format wants an envelope, and nothing is nothing in all of them', async () => {
  const { code, out, err } = await read('ssh/public_key');
  expect({ code, out: out.toString() }).toEqual({ code: 2, out: '' });
  expect(err).toContain('is not JSON');
  for (const path of ['empty', 'absent'])
    for (const format of ['raw', 'table', 'json'])
      expect(await read(`-format=${format}`, path)).toMatchObject({
        code: 2,
        err: `No value found at ${path}\n`,
      });
});
