/** OCSP by GET: the one protocol that is served whose paths hold base64, and that nothing else is reached by its spelling. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../server/testing.ts';
import { kv } from '../kv/index.ts';
import { pki } from './index.ts';

const run = promisify(execFile);
const openssl = (...args: string[]) => run('openssl', args).then(({ stdout, stderr }) => stdout + stderr);
const hasOpenssl = await openssl('version').then(
  () => true,
  () => false,
);
if (!hasOpenssl) process.stderr.write('openssl is not on this machine: OCSP by GET is not tested with it\n');

let server: TestServer;
beforeEach(async () => {
  server = await startServer([pki(), kv]);
  await server.ask('POST', 'sys/mounts/pki', { type: 'pki' });
  await server.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '1' } });
});
afterEach(() => server.close());

const get = (path: string, token = '') =>
  fetch(`${server.url}/v1/${path}`, token === '' ? {} : { headers: { 'x-vault-token': token } });

describe('an encoded slash', () => {
  test('reaches the protocol, without a token', async () => {
    for (const path of ['pki/ocsp/MAA%2F', 'pki/unified-ocsp/MAA%2F', 'pki/ocsp/MAAA', 'pki/ocsp/MA//MA==']) {
      const answer = await get(path);
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([
        path,
        400,
        'application/ocsp-response',
      ]);
      expect(Buffer.from(await answer.arrayBuffer()).toString('hex')).toBe('30030a0101');
    }
  });

  test('reaches nothing else, not even for root, and not what lies at the name that it would become', async () => {
    await server.ask('POST', 'secret/ocsp/MAA_', { x: 'canary' });
    await server.ask('POST', 'secret/a/b', { x: 'canary' });
    expect((await get('secret/ocsp/MAA_', server.root)).status).toBe(200);
    for (const path of [
      'secret/ocsp/MAA%2F',
      'secret/ocsp/MAA//',
      'secret/a%2Fb',
      'pki%2Focsp/MAA%2F',
      'pki/cert%2Fca',
      'pki/issuer/a%2Fb/json',
      'pki/issuer/default/ocsp/MAA%2F',
      'pki/ocsp/%2e%2e%2Fcert%2Fca',
      'sys/ocsp/MAA%2F',
      'nowhere/ocsp/MAA%2F',
    ])
      for (const token of ['', server.root]) {
        const answer = await get(path, token);
        expect([path, answer.status]).toEqual([path, 400]);
        expect(await answer.text()).toContain('path is not canonical');
      }
  });

  test('is for reading alone', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await server.ask(method, 'pki/ocsp/MAA%2F');
      expect([method, answer.status]).toEqual([method, 400]);
    }
  });
});

describe.runIf(hasOpenssl)('as OpenSSL sees it', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ocsp-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('a GET is answered as a POST is, however its base64 was sent', async () => {
    const ask = async (path: string, body: object) =>
      (await server.ask('POST', `pki/${path}`, body)).json.data;
    const root = await ask('root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '700h' });
    await ask('roles/web', { allow_any_name: true, key_type: 'ec' });
    const at = (name: string) => join(folder, name);
    await writeFile(at('ca'), root.certificate);
    for (const [name, word] of [
      ['good', 'good'],
      ['bad', 'revoked'],
    ] as const) {
      const leaf = await ask('issue/web', { common_name: 'a.test', ttl: '1h' });
      if (name === 'bad') await ask('revoke', { serial_number: leaf.serial_number });
      await writeFile(at(name), leaf.certificate);
      await openssl('ocsp', '-issuer', at('ca'), '-cert', at(name), '-no_nonce', '-reqout', at('req'));
      const text = (await readFile(at('req'))).toString('base64');
      for (const sent of [encodeURIComponent(text), text, text.replaceAll('/', '%2F')]) {
        const answer = await get(`pki/ocsp/${sent}`);
        expect(answer.status).toBe(200);
        await writeFile(at('answer'), Buffer.from(await answer.arrayBuffer()));
        const told = await openssl(
          ...['ocsp', '-issuer', at('ca'), '-cert', at(name), '-CAfile', at('ca')],
          ...['-respin', at('answer'), '-no_nonce'],
        );
        expect(told).toContain('Response verify OK');
        expect(told).toContain(`${name}: ${word}`);
      }
    }
  });
});
