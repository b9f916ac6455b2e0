/** What the PKI issues, and how it answers over HTTP, as `openssl` of this machine judges it: chains, lists and OCSP. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../compat/server.ts';
import { recordClient } from '../support/compatibility.ts';

const run = promisify(execFile);
const openssl = (...args: string[]): Promise<string> =>
  run('openssl', args).then(({ stdout, stderr }) => stdout + stderr);
const told = await openssl('version').catch(() => undefined);
if (told === undefined) console.warn('SKIPPED test/real/openssl: openssl is not on the PATH');

describe.skipIf(told === undefined)('openssl', () => {
  const recording = recordClient({ client: 'openssl', version: told?.split(' ')[1] ?? '' });
  let server: TestServer;
  let folder: string;
  let at: string;
  let root: string;
  let between: string;

  const ask = async (method: string, path: string, body: object): Promise<Record<string, string>> => {
    const response = await fetch(`${server.url}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': server.token },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${text}`);
    return text === '' ? {} : JSON.parse(text).data;
  };
  const file = async (name: string, text: string | Uint8Array): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const fetched = async (path: string): Promise<Uint8Array> => {
    const response = await fetch(`${server.url}/v1/${path}`);
    expect(response.status).toBe(200);
    return new Uint8Array(await response.arrayBuffer());
  };
  const leaf = (): Promise<Record<string, string>> =>
    ask('POST', 'between/issue/web', { common_name: 'a.example.com', ttl: '1h' });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-openssl-'));
    server = await startServer();
    at = `${server.url}/v1/between`;
    for (const path of ['pki', 'between'])
      await ask('POST', `sys/mounts/${path}`, { type: 'pki', config: { max_lease_ttl: '87600h' } });
    const made = await ask('POST', 'pki/root/generate/internal', { common_name: 'Root', ttl: '8760h' });
    root = await file('root', made['certificate'] ?? '');
    const { csr } = await ask('POST', 'between/intermediate/generate/internal', {
      common_name: 'Between',
      key_type: 'ec',
    });
    const { certificate = '' } = await ask('POST', 'pki/root/sign-intermediate', {
      csr,
      common_name: 'Between',
      ttl: '4380h',
    });
    between = await file('between', certificate);
    await ask('POST', 'between/intermediate/set-signed', { certificate });
    await ask('POST', 'between/config/urls', {
      issuing_certificates: [`${at}/ca`],
      crl_distribution_points: [`${at}/crl`],
      ocsp_servers: [`${at}/ocsp`],
    });
    await ask('POST', 'between/roles/web', {
      allowed_domains: 'example.com',
      allow_subdomains: true,
      key_type: 'ec',
    });
  });
  afterAll(async () => {
    await server?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('verifies a chain, for its name and no other', async () => {
    const made = await file('leaf', (await leaf())['certificate'] ?? '');
    const verify = (name: string): Promise<string> =>
      openssl(
        ...['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', name],
        ...['-CAfile', root, '-untrusted', between, made],
      );
    expect(await verify('a.example.com')).toContain('OK');
    await expect(verify('b.example.com')).rejects.toThrow(/hostname mismatch/);
    recording.note('verify: a chain, strictly, and its name');
    const text = await openssl('x509', '-noout', '-text', '-in', made);
    for (const address of [`CA Issuers - URI:${at}/ca`, `OCSP - URI:${at}/ocsp`, `URI:${at}/crl`])
      expect(text).toContain(address);
    recording.note('x509: the addresses in a certificate');
  });

  test('takes the list, in which what was revoked stands', async () => {
    const [good, bad] = [await leaf(), await leaf()];
    await ask('POST', 'between/revoke', { serial_number: bad['serial_number'] });
    const list = await file('list', await fetched('between/crl/pem'));
    expect(await openssl('crl', '-noout', '-in', list, '-CAfile', between)).toContain('verify OK');
    recording.note('crl: the signature of a list');
    const der = await file('list.der', await fetched('between/crl'));
    const text = await openssl('crl', '-noout', '-text', '-inform', 'DER', '-in', der);
    expect(text).toContain((bad['serial_number'] ?? '').replaceAll(':', '').toUpperCase());
    recording.note('crl: what stands in a list');
    const check = async (certificate = ''): Promise<string> =>
      openssl(
        ...['verify', '-crl_check', '-CAfile', root, '-untrusted', between, '-CRLfile', list],
        await file('checked', certificate),
      );
    expect(await check(good['certificate'])).toContain('OK');
    await expect(check(bad['certificate'])).rejects.toThrow(/certificate revoked/);
    recording.note('verify: a chain against a list');
  });

  test.each(['sha1', 'sha256'])(
    'asks by OCSP over HTTP, naming by %s, and verifies the answer',
    async (hash) => {
      const made = await leaf();
      const cert = await file('asked', made['certificate'] ?? '');
      const answer = (): Promise<string> =>
        openssl(
          ...['ocsp', `-${hash}`, '-issuer', between, '-cert', cert, '-url', `${at}/ocsp`],
          ...['-CAfile', root, '-verify_other', between],
        );
      // Of its two outputs neither comes first for sure.
      const good = await answer();
      expect(good).toContain('Response verify OK');
      expect(good).toContain(`${cert}: good`);
      await ask('POST', 'between/revoke', { serial_number: made['serial_number'] ?? '' });
      const revoked = await answer();
      expect(revoked).toContain('Response verify OK');
      expect(revoked).toContain(`${cert}: revoked`);
      recording.note(`ocsp: a signed answer over HTTP, certificates named by ${hash}`);
    },
  );
});
