import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { VaultClient } from './client.ts';
import { download, upload } from './stream.ts';

const closing: Server[] = [];
afterEach(() => {
  for (const server of closing.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serving(listener: RequestListener): Promise<VaultClient> {
  const server = createServer(listener);
  closing.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return new VaultClient({ address: `http://127.0.0.1:${port}`, token: 'hvs.t' });
}

/** A sink that remembers, and fails with `error` at its first chunk where one is given. */
function sink(error?: Error): Writable & { text(): string } {
  const chunks: Buffer[] = [];
  const made = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done(error);
    },
  });
  return Object.assign(made, { text: () => Buffer.concat(chunks).toString() });
}

describe('a download', () => {
  test('writes the whole body, sent with the token', async () => {
    const client = await serving((request, response) => {
      response.write(`${request.method} ${request.url} ${request.headers['x-vault-token']} `);
      response.end('end');
    });
    const into = sink();
    await download(client, 'sys/storage/raft/snapshot', () => into);
    expect(into.text()).toBe('GET /v1/sys/storage/raft/snapshot hvs.t end');
  });

  test('opens nothing to write into where the server refuses, and tells what it said', async () => {
    const client = await serving((_, response) => {
      response.statusCode = 403;
      response.end('{"errors":["permission denied"]}');
    });
    let opened = false;
    const trying = download(client, 'a', () => {
      opened = true;
      return sink();
    });
    await expect(trying).rejects.toMatchObject({ code: 'api.denied', message: 'GET a: permission denied' });
    expect(opened).toBe(false);
  });

  test.each([['with its length told', { 'content-length': '100' }] as const, ['in chunks', {}] as const])(
    'that is cut off in the middle fails, %s',
    async (_, headers) => {
      const client = await serving((_request, response) => {
        response.writeHead(200, headers);
        response.write('half', () => response.destroy());
      });
      await expect(download(client, 'a', () => sink())).rejects.toMatchObject({
        code: 'api.unreachable',
        message: expect.stringContaining('the connection was cut'),
      });
    },
  );

  test('tells that the disk is full as what it is', async () => {
    const client = await serving((_, response) => response.end('body'));
    const full = new Error('ENOSPC');
    await expect(download(client, 'a', () => sink(full))).rejects.toBe(full);
  });

  test('is not carried to where an answer points', async () => {
    const client = await serving((_, response) => {
      response.writeHead(307, { location: 'http://127.0.0.2:1/v1/a' });
      response.end();
    });
    await expect(download(client, 'a', () => sink())).rejects.toMatchObject({
      code: 'api.redirected',
      message: expect.stringContaining('http://127.0.0.2:1'),
    });
  });

  test('from nobody says so', async () => {
    const client = new VaultClient({ address: 'http://127.0.0.1:1' });
    await expect(download(client, 'a', () => sink())).rejects.toMatchObject({ code: 'api.unreachable' });
  });
});

describe('an upload', () => {
  test('sends all of its source', async () => {
    let got = '';
    const client = await serving(async (request, response) => {
      for await (const chunk of request) got += String(chunk);
      response.statusCode = 204;
      response.end();
    });
    await upload(client, 'a', Readable.from([Buffer.from('one '), Buffer.from('two')]));
    expect(got).toBe('one two');
  });

  test('tells the refusal of a server that does not read it to its end', async () => {
    const client = await serving((_, response) => {
      response.writeHead(403, { connection: 'close' });
      response.end('{"errors":["permission denied"]}', () => response.socket?.destroySoon());
    });
    const endless = Readable.from(
      (async function* () {
        for (;;) yield Buffer.alloc(65_536);
      })(),
    );
    await expect(upload(client, 'a', endless)).rejects.toMatchObject({
      code: expect.stringMatching(/^api\.(denied|unreachable)$/),
    });
    expect(endless.destroyed).toBe(true);
  });

  test('tells that its source failed as what it is', async () => {
    const client = await serving((request) => request.resume());
    const broken = new Error('EIO');
    const source = new Readable({
      read() {
        this.destroy(broken);
      },
    });
    await expect(upload(client, 'a', source)).rejects.toBe(broken);
  });
});
