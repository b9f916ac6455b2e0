import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { createAuthority, issueCertificate } from './certificate.ts';

async function handshake(
  ca: string,
  leaf: { certificate: string; key: string },
  servername: string,
): Promise<string> {
  const server = createServer({ cert: leaf.certificate, key: leaf.key }, (socket) => socket.end('hello'));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ca, servername }, () => resolve('trusted'));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    });
  } finally {
    server.close();
  }
}

describe('certificates', () => {
  it('are trusted by Node under the names they carry, and under no other', async () => {
    const authority = await createAuthority('test authority');
    const leaf = await issueCertificate(authority, {
      names: ['api.test', 'localhost'],
      ips: ['127.0.0.1', '::1'],
    });
    expect(await handshake(authority.certificate, leaf, 'api.test')).toBe('trusted');
    expect(await handshake(authority.certificate, leaf, 'localhost')).toBe('trusted');
    expect(await handshake(authority.certificate, leaf, 'other.test')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('are not trusted through an authority of the same name', async () => {
    const [real, forged] = [await createAuthority('same name'), await createAuthority('same name')];
    const leaf = await issueCertificate(forged, { names: ['localhost'], ips: [] });
    expect(await handshake(real.certificate, leaf, 'localhost')).not.toBe('trusted');
  });

  it('are not trusted once they ended, and cannot issue others', async () => {
    const authority = await createAuthority('a');
    const old = await issueCertificate(authority, {
      names: ['localhost'],
      ips: [],
      now: Date.now() - 10_000_000,
      lifetime: 1000,
    });
    expect(await handshake(authority.certificate, old, 'localhost')).toBe('CERT_HAS_EXPIRED');
    const leaf = await issueCertificate(authority, { names: ['localhost'], ips: [], client: true });
    const read = new X509Certificate(leaf.certificate);
    expect(read.ca).toBe(false);
    expect(read.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const grandchild = await issueCertificate(leaf, { names: ['localhost'], ips: [] });
    expect(
      await handshake(
        authority.certificate,
        { certificate: grandchild.certificate + leaf.certificate, key: grandchild.key },
        'localhost',
      ),
    ).not.toBe('trusted');
  });

  it('keep a name that tries to add attributes one name', async () => {
    const authority = await createAuthority('a, O=evil+CN=b');
    expect(new X509Certificate(authority.certificate).subject).not.toMatch(/^O=/m);
  });
});
