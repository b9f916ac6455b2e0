/** Plain curl against our server: what people type by hand. */

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from './server.ts';

const run = promisify(execFile);
const isHere = (): boolean => {
  try {
    execFileSync('curl', ['--version']);
    return true;
  } catch {
    return false;
  }
};

describe.skipIf(!isHere())('curl (skipped where this machine has none)', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
    await curl('sys/mounts/secret', '-d', '{"type":"kv","options":{"version":"2"}}');
  });
  afterAll(() => server?.close());

  async function curl(path: string, ...options: string[]): Promise<{ status: number; body: string }> {
    const { stdout } = await run('curl', [
      ...['-s', '--path-as-is', '-w', '\n%{http_code}', '-H', `X-Vault-Token: ${server.token}`],
      ...options,
      `${server.url}/v1/${path}`,
    ]);
    const end = stdout.lastIndexOf('\n');
    return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
  }

  test('numbers and the order of keys come back to the digit, though curl calls its JSON a form', async () => {
    const text = '{"10":12345678901234567890,"2":1.0,"a":1e400}';
    expect((await curl('secret/data/app', '-d', `{"data":${text}}`)).status).toBe(200);
    const { status, body } = await curl('secret/data/app');
    expect(status).toBe(200);
    expect(body).toContain(`"data":{"data":${text},"metadata":{`);
  });

  test('the verb LIST and ?list=true give the same keys', async () => {
    await curl('secret/data/folder/a', '-X', 'PUT', '-d', '{"data":{"a":1}}');
    for (const path of ['secret/metadata/folder', 'secret/metadata/folder/']) {
      const literal = await curl(path, '-X', 'LIST');
      const query = await curl(`${path}?list=true`);
      expect([literal.status, query.status]).toEqual([200, 200]);
      for (const { body } of [literal, query]) expect(JSON.parse(body).data).toEqual({ keys: ['a'] });
    }
    expect(await curl('secret/metadata/none', '-X', 'LIST')).toEqual({
      status: 404,
      body: '{"errors":[]}',
    });
  });

  test('a deleted version is a 404 with its envelope, what never was is a bare one', async () => {
    await curl('secret/data/gone', '-d', '{"data":{"a":1}}');
    expect((await curl('secret/data/gone', '-X', 'DELETE')).status).toBe(204);
    const gone = await curl('secret/data/gone');
    expect(gone.status).toBe(404);
    expect(JSON.parse(gone.body)).toMatchObject({
      request_id: expect.stringMatching(/./),
      data: { data: null, metadata: { version: 1, destroyed: false } },
      auth: null,
      wrap_info: null,
      warnings: null,
    });
    const never = await curl('secret/data/never');
    expect(never.status).toBe(404);
    expect(JSON.parse(never.body)).toEqual({ errors: [] });
  });

  test('a path without "data/" says what is wrong with it', async () => {
    const { status, body } = await curl('secret/app');
    expect(status).toBe(404);
    expect(JSON.parse(body).warnings[0]).toContain('Invalid path for a versioned K/V secrets engine');
  });

  test('a patch needs its own content type', async () => {
    await curl('secret/data/patched', '-d', '{"data":{"a":1,"b":2}}');
    const patch = (type: string) =>
      curl('secret/data/patched', '-X', 'PATCH', '-H', `Content-Type: ${type}`, '-d', '{"data":{"b":null}}');
    expect((await patch('application/json')).status).toBe(415);
    expect((await patch('application/merge-patch+json')).status).toBe(200);
    expect(JSON.parse((await curl('secret/data/patched')).body).data.data).toEqual({ a: 1 });
  });

  test.each([
    'secret/data/../../sys/mounts',
    'secret/data/%2e%2e/x',
    'secret/data//x',
    'secret/data/a%00b',
    'secret/data/a%2fb',
  ])('the path %s is refused', async (path) => {
    expect((await curl(path)).status).toBe(400);
    expect((await curl(path, '-d', '{"data":{"a":1}}')).status).toBe(400);
  });

  test('no token, or a wrong one, is denied alike', async () => {
    const without = await curl('secret/data/app', '-H', 'X-Vault-Token;');
    const wrong = await curl('secret/data/app', '-H', 'X-Vault-Token: hvs.wrong');
    for (const answer of [without, wrong]) expect(answer.status).toBe(403);
  });
});
