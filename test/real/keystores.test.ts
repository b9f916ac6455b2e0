/** Key stores that templates make, as `openssl` and Java's `keytool` of this machine judge them, and theirs as templates read them. */

import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Data, DEFAULT_FUEL, render } from '../../src/template/index.ts';

const run = promisify(execFile);
const tool =
  (name: string) =>
  (...args: string[]): Promise<string> =>
    run(name, args).then(({ stdout, stderr }) => stdout + stderr);
const openssl = tool('openssl');
const keytool = tool('keytool');
const hasOpenssl = await openssl('version').then(
  (text) => text.startsWith('OpenSSL 3'),
  () => false,
);
const hasKeytool = await keytool('-help').then(
  () => true,
  () => false,
);
if (!hasOpenssl) console.warn('SKIPPED test/real/keystores: openssl 3 is not on the PATH');
if (!hasKeytool) console.warn('SKIPPED test/real/keystores with Java: keytool is not on the PATH');

const PASSWORD = 'changeit';
const env = {
  now: new Date(),
  random: (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 31 + 5) % 256),
  fuel: DEFAULT_FUEL,
};
const text = (template: string, data: Data): string => Buffer.from(render(template, data, env)).toString();
const plain = (pem: string): string[] => pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];

describe.skipIf(!hasOpenssl)('key stores', () => {
  let folder: string;
  const data: Record<string, string> = {};
  const path = (name: string): string => join(folder, name);
  const stored = (template: string): Promise<void> =>
    writeFile(path('made.p12'), Buffer.from(text(template, data), 'base64'));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-keystores-'));
    const key = (): string =>
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      }) as string;
    data['key'] = key();
    const made = text(
      `{{ $ca := genCAWithKey "Root" 30 .ca }}{{ $c := genSignedCertWithKey "a" nil (list "a.example.com") 30 $ca .key }}{{ $c.Cert }}{{ $ca.Cert }}`,
      { ...data, ca: key() },
    );
    data['full'] = made;
    const [leaf = '', root = ''] = plain(made);
    Object.assign(data, { leaf: `${leaf}\n`, root: `${root}\n` });
    for (const [name, value] of Object.entries(data)) await writeFile(path(`${name}.pem`), value);
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('openssl verifies what an authority of a template signed', async () => {
    const said = await openssl('verify', '-x509_strict', '-CAfile', path('root.pem'), path('leaf.pem')).catch(
      () => openssl('verify', '-CAfile', path('root.pem'), path('leaf.pem')),
    );
    expect(said).toContain('OK');
  });

  for (const password of ['', PASSWORD, 'pässwörd'])
    test(`openssl opens what a template made: password "${password}"`, async () => {
      await stored(`{{ fullPemToPkcs12Pass .full .key "${password}" }}`);
      const said = await openssl(
        'pkcs12',
        '-in',
        path('made.p12'),
        '-nodes',
        '-passin',
        `pass:${password}`,
        '-info',
      );
      expect(said).toContain('MAC: sha256, Iteration 2048');
      expect(plain(said).sort()).toEqual([...plain(data['full'] ?? ''), ...plain(data['key'] ?? '')].sort());
      await expect(
        openssl('pkcs12', '-in', path('made.p12'), '-nodes', '-passin', 'pass:other'),
      ).rejects.toThrow();
    });

  const writings: Record<string, string[]> = {
    'as OpenSSL 3 does': [],
    'as OpenSSL 1 did, with RC2 and triple DES': ['-legacy'],
    'with triple DES alone': ['-legacy', '-descert'],
    'with RC2 of 128 bits and two keys of DES': [
      '-legacy',
      '-certpbe',
      'PBE-SHA1-RC2-128',
      '-keypbe',
      'PBE-SHA1-2DES',
    ],
    'with AES-128 and a MAC of SHA-512': [
      '-certpbe',
      'AES-128-CBC',
      '-keypbe',
      'AES-192-CBC',
      '-macalg',
      'sha512',
    ],
    'with a name and many iterations': ['-name', 'leaf', '-iter', '50000'],
  };
  for (const [name, options] of Object.entries(writings))
    test(`a template opens what openssl wrote: ${name}`, async () => {
      const files = ['-inkey', path('key.pem'), '-in', path('leaf.pem'), '-certfile', path('root.pem')];
      await openssl(
        'pkcs12',
        '-export',
        ...files,
        '-out',
        path('theirs.p12'),
        '-passout',
        `pass:${PASSWORD}`,
        ...options,
      );
      const store = (await readFile(path('theirs.p12'))).toString('base64');
      expect(text(`{{ .s | b64dec | pkcs12certPass "${PASSWORD}" }}`, { s: store })).toBe(data['full']);
      expect(text(`{{ .s | b64dec | pkcs12keyPass "${PASSWORD}" }}`, { s: store })).toBe(data['key']);
    });

  describe.skipIf(!hasKeytool)('and Java', () => {
    const listed = (file: string, ...more: string[]): Promise<string> =>
      keytool('-list', '-keystore', path(file), '-storetype', 'PKCS12', '-storepass', PASSWORD, ...more);

    test('keytool finds the key with its chain in what a template made', { timeout: 60_000 }, async () => {
      await stored(`{{ fullPemToPkcs12Pass .full .key "${PASSWORD}" }}`);
      const said = await listed('made.p12', '-v');
      expect(said).toContain('PrivateKeyEntry');
      expect(said).toContain('Certificate chain length: 2');
    });

    test('keytool trusts every certificate of a trust store that a template made', {
      timeout: 60_000,
    }, async () => {
      data['twice'] = `${data['root']}${data['leaf']}${data['root']}`;
      await stored(`{{ pemTruststoreToPKCS12Pass .twice "${PASSWORD}" }}`);
      const said = await listed('made.p12');
      expect(said.match(/trustedCertEntry/g)).toHaveLength(3);
    });

    for (const [name, options] of Object.entries({
      'as it does': [],
      'as it did': ['-J-Dkeystore.pkcs12.legacy'],
    }))
      test(`a template opens what keytool wrote: ${name}`, { timeout: 60_000 }, async () => {
        await stored(`{{ fullPemToPkcs12Pass .full .key "${PASSWORD}" }}`);
        const target = path(`java-${options.length}.p12`);
        const from = ['-srckeystore', path('made.p12'), '-srcstoretype', 'PKCS12', '-srcstorepass', PASSWORD];
        const to = ['-destkeystore', target, '-deststoretype', 'PKCS12', '-deststorepass', PASSWORD];
        await keytool(...options, '-importkeystore', '-noprompt', ...from, ...to);
        const store = (await readFile(target)).toString('base64');
        expect(text(`{{ .s | b64dec | pkcs12certPass "${PASSWORD}" }}`, { s: store })).toBe(data['full']);
        expect(text(`{{ .s | b64dec | pkcs12keyPass "${PASSWORD}" }}`, { s: store })).toBe(data['key']);
      });
  });
});
