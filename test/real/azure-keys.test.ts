/** Keys and certificates in a key vault that is not ours; azure-provider.test.ts says how one is named. */

import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  verify,
  X509Certificate,
} from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { writeKeyStore } from '../../src/crypto/pkcs12/write.ts';
import type { Provider, Value } from '../../src/provider/provider.ts';
import { entry, said, textAt } from '../../src/provider/testing.ts';
import { ask, atLast, connect, describeVault, named } from './azure-vault.ts';

describeVault('keys and certificates in a vault that is not ours', 'test/real/azure-keys', () => {
  let provider: Provider;
  const put = (key: string, value: Value, options: object = {}) =>
    provider.put?.({ key }, value, { owner: 'us', ...options });
  const remove = (key: string) => provider.delete?.({ key }, { owner: 'us' });
  beforeAll(async () => {
    provider = await connect();
  });
  afterAll(async () => {
    await provider?.close();
  });

  const pairs = {
    'RSA, 2048 bits': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    'RSA, 3072 bits': () => generateKeyPairSync('rsa', { modulusLength: 3072 }),
    'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  };
  test.each(Object.entries(pairs))(
    'a private key (%s) is imported once; its public half is read, and the vault signs with it',
    async (kind, make) => {
      const { privateKey, publicKey } = make();
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const name = named(`key-${kind.replace(/\W+/g, '-')}`);
      const key = `key/${name}`;
      expect(await put(key, entry(pem))).toBe('written');
      expect(await put(key, entry(pem))).toBe('unchanged');
      const { kty, ...halves } = publicKey.export({ format: 'jwk' });
      expect(JSON.parse((await textAt(provider, key)) ?? '')).toMatchObject({ kty, ...halves });
      expect(await isSignedBy(name, publicKey)).toBe(true);
      expect(await said(put(key, entry(pem), { owner: 'them' }))).toMatchObject({ code: 'provider.foreign' });
      expect(await remove(key)).toBe('deleted');
    },
  );

  test('a new private key is a new version, and the old one is read by its own', async () => {
    const key = `key/${named('turned')}`;
    const [old, next] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    const pushed = (pair = old) =>
      put(key, entry(pair?.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() ?? ''));
    const shown = (pair = old) => pair?.publicKey.export({ format: 'jwk' }).x;
    expect(await pushed()).toBe('written');
    const version = (await provider.get({ key }))?.version ?? '';
    expect(await pushed(next)).toBe('written');
    expect(await textAt(provider, key, 'x')).toBe(shown(next));
    expect(await textAt(provider, key, 'x', version)).toBe(shown(old));
    expect(await remove(key)).toBe('deleted');
  });

  test('a key and a certificate that their own pushes deleted are recovered and written', async () => {
    const issued = await issueCertificate(await createAuthority('ca'), { names: ['web'], ips: [] });
    for (const key of [`key/${named('back')}`, `cert/${named('back-cert')}`]) {
      const value = entry(key.startsWith('key/') ? issued.key : issued.certificate + issued.key);
      expect(await put(key, value)).toBe('written');
      expect(await remove(key)).toBe('deleted');
      expect(await provider.get({ key })).toBeUndefined();
      // As it was, so that there is nothing left to write.
      expect(await atLast(async () => put(key, value))).toBe('unchanged');
      expect(await remove(key)).toBe('deleted');
    }
  }, 180_000);

  test('a symmetric key is nothing that a vault of this kind takes, and says so', async () => {
    const error = await said(put(`key/${named('oct')}`, entry('0123456789abcdef')));
    expect(error).toMatchObject({ code: 'provider.push', message: expect.stringContaining('keys/import') });
  });

  const forms = {
    PEM: ({ certificate, key }: Issued) => utf8(certificate + key),
    'PEM, its key first': ({ certificate, key }: Issued) => utf8(key + certificate),
    'PKCS #12': ({ certificate, key }: Issued) =>
      writeKeyStore(
        Buffer.from(key.replace(/-----[^-]+-----|\s/g, ''), 'base64'),
        [new X509Certificate(certificate).raw],
        { password: new Uint8Array(0), random: randomBytes, pay: () => {} },
      ),
  };
  test.each(Object.entries(forms))(
    'a certificate is imported from %s once, read in DER, and the vault signs with its key',
    async (form, make) => {
      const issued = await issueCertificate(await createAuthority('ca'), { names: ['web'], ips: [] });
      const { raw, publicKey } = new X509Certificate(issued.certificate);
      const name = named(`cert-${form.replace(/\W+/g, '-')}`);
      const key = `cert/${name}`;
      expect(await put(key, entry(make(issued)))).toBe('written');
      expect(await put(key, entry(make(issued)))).toBe('unchanged');
      const read = await provider.get({ key });
      expect(read?.value).toEqual({ bytes: raw });
      expect(await isSignedBy(name, publicKey)).toBe(true);
      const next = await issueCertificate(await createAuthority('ca'), { names: ['web'], ips: [] });
      expect(await put(key, entry(make(next)))).toBe('written');
      expect((await provider.get({ key, version: read?.version ?? '' }))?.value).toEqual({ bytes: raw });
      expect((await provider.get({ key }))?.value).toEqual({
        bytes: new X509Certificate(next.certificate).raw,
      });
      expect(await said(put(key, entry(make(issued)), { owner: 'them' }))).toMatchObject({
        code: 'provider.foreign',
      });
      expect(await remove(key)).toBe('deleted');
    },
  );
});

interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** Whether the vault has the private half: by a signature that it makes. */
async function isSignedBy(name: string, publicKey: KeyObject): Promise<boolean> {
  const { crv } = publicKey.export({ format: 'jwk' });
  const algorithms: Record<string, readonly [alg: string, hash: string]> = {
    'P-384': ['ES384', 'sha384'],
    'P-521': ['ES512', 'sha512'],
    'P-256': ['ES256', 'sha256'],
  };
  const [alg, hash] = algorithms[crv ?? ''] ?? ['RS256', 'sha256'];
  const data = randomBytes(40);
  const digest = createHash(hash).update(data).digest('base64url');
  const { value } = await ask('POST', `/keys/${name}/sign`, { alg, value: digest });
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  return verify(hash, data, key, Buffer.from(value, 'base64url'));
}
