import { webcrypto } from 'node:crypto';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { type ClientOptions, VaultClient } from './client.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
let server: https.Server;
let port = 0;
let ca = '';

beforeAll(async () => {
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto as never);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=vault.test',
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'vault.test' }]),
    ],
  });
  ca = certificate.toString('pem');
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  server = https.createServer(
    { cert: ca, key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` },
    (_, response) => response.end('{"data":{}}'),
  );
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function outcome(options: Partial<ClientOptions>): Promise<string> {
  const client = new VaultClient({
    address: `https://127.0.0.1:${port}`,
    retries: 0,
    timeoutMs: 5000,
    ...options,
  });
  try {
    return String((await client.request('GET', 'x')).status);
  } catch (error) {
    return isFailure(error) ? `${error.code}: ${error.message.split(': ').slice(-1)[0]}` : String(error);
  } finally {
    client.close();
  }
}

describe('TLS', () => {
  const moved = (given?: string) => () => ({
    host: '127.0.0.1',
    port,
    ...(given === undefined ? {} : { ca: given }),
  });

  test('an unknown authority is refused and named as such', async () => {
    expect(await outcome({})).toBe('api.untrusted: its certificate is self-signed');
  });

  test('a trusted authority with another name is refused; with the name that was given it is taken', async () => {
    expect(await outcome({ ca })).toBe('api.untrusted: its certificate does not carry this host name');
    expect(await outcome({ ca, serverName: 'vault.test' })).toBe('200');
    expect(await outcome({ ca, serverName: 'other.test' })).toContain('does not carry this host name');
  });

  test('a host that is found elsewhere must still carry its own name', async () => {
    expect(await outcome({ address: 'https://vault.test:8200', resolve: moved(ca) })).toBe('200');
    expect(await outcome({ address: 'https://other.test:8200', resolve: moved(ca) })).toContain(
      'does not carry this host name',
    );
    expect(await outcome({ address: 'https://10.9.8.7:8200', resolve: moved(ca) })).toContain(
      'does not carry this host name',
    );
    expect(await outcome({ address: 'https://vault.test:8200', resolve: moved() })).toContain('self-signed');
  });

  test('verification is left out only where that is asked for', async () => {
    expect(await outcome({ skipVerify: true })).toBe('200');
  });

  test('HTTP to an HTTPS port is told apart from a Vault server', async () => {
    expect(await outcome({ address: `http://127.0.0.1:${port}` })).toMatch(
      /^api\.(unreachable|garbage|invalid)/,
    );
  });

  test('HTTPS to something else tells of the handshake', async () => {
    const plain = (await import('node:http')).createServer((_, response) => response.end('x'));
    await new Promise<void>((done) => plain.listen(0, '127.0.0.1', done));
    const at = (plain.address() as AddressInfo).port;
    expect(await outcome({ address: `https://127.0.0.1:${at}` })).toMatch(/^api\.untrusted/);
    plain.close();
  });
});
