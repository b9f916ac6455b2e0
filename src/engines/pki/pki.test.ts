import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { Failure } from '../../base/errors.ts';
import { readCertificate, readRequest, requestPem, signRequest } from '../../crypto/x509/certificate.ts';
import { alternativeNames, basicConstraints, keyUsage } from '../../crypto/x509/extensions.ts';
import { signerOf } from '../../crypto/x509/keytype.ts';
import { encodeName, NO_NAMES, NO_SUBJECT, readNames } from '../../crypto/x509/name.ts';
import { mountForTest } from '../../plugin/testing.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { pki } from './index.ts';
import { readOcspRequest } from './ocsp.ts';

const run = promisify(execFile);
const openssl = (...args: string[]) => run('openssl', args).then(({ stdout, stderr }) => stdout + stderr);
const hasOpenssl = await openssl('version').then(
  () => true,
  () => false,
);
if (!hasOpenssl)
  process.stderr.write('openssl is not on this machine: what it would prove of pki is not tested\n');

let server: TestServer;
let folder: string;
beforeEach(async () => {
  server = await startServer([pki()]);
  folder = await mkdtemp(join(tmpdir(), 'pki-'));
  const mounted = await server.ask('POST', 'sys/mounts/pki', { type: 'pki' });
  expect(mounted.text).toBe('');
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const ask = (method: string, path: string, body?: unknown) => server.ask(method, `pki/${path}`, body);
async function ok(method: string, path: string, body?: unknown) {
  const reply = await ask(method, path, body);
  if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
  return reply.json.data;
}
const refused = async (method: string, path: string, body?: unknown): Promise<string> => {
  const { status, json } = await ask(method, path, body);
  expect(status).toBe(400);
  return json.errors[0];
};
const anyone = (method: string, path: string) =>
  server.ask(method, `pki/${path}`, undefined, { 'x-vault-token': '' });
async function file(name: string, text: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}
const makeRoot = (more: object = {}) =>
  ok('POST', 'root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '700h', ...more });
const makeRole = (more: object = {}) =>
  ok('POST', 'roles/web', {
    allowed_domains: 'example.com',
    allow_subdomains: true,
    key_type: 'ec',
    ttl: '1h',
    ...more,
  });
const issue = (more: object = {}) =>
  ok('POST', 'issue/web', { common_name: 'a.example.com', ttl: '1h', ...more });

function request(commonName: string, extensions: Buffer[] = [], key = ecKey()): string {
  const subject = encodeName({ ...NO_SUBJECT, commonName: commonName === '' ? [] : [commonName] });
  return requestPem(signRequest(subject, key, extensions, signerOf(key)));
}
const ecKey = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;

describe('authorities', () => {
  test('an internal root never tells its key, an exported one once', async () => {
    const made = await makeRoot({ issuer_name: 'main', key_name: 'mine' });
    expect(made.private_key).toBeUndefined();
    expect(made).toMatchObject({ issuer_name: 'main', key_name: 'mine' });
    expect(made.certificate).toBe(made.issuing_ca);
    const other = await ok('POST', 'root/generate/exported', { common_name: 'Other', key_type: 'ed25519' });
    expect(createPrivateKey(other.private_key).asymmetricKeyType).toBe('ed25519');
    for (const path of [
      'issuer/main',
      `issuer/${other.issuer_id}`,
      'key/mine',
      `key/${other.key_id}`,
      'config/keys',
    ])
      expect(JSON.stringify(await ok('GET', path))).not.toMatch(/PRIVATE|MC4CAQ/);
    expect((await ok('LIST', 'issuers')).keys).toHaveLength(2);
    expect((await ok('GET', 'config/issuers')).default).toBe(made.issuer_id);
  });

  test('serial numbers are 20 octets, positive, and not the same twice', async () => {
    await makeRoot();
    await makeRole();
    const serials = [];
    for (let i = 0; i < 5; i++) serials.push((await issue()).serial_number);
    expect(new Set(serials).size).toBe(5);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f](:[0-9a-f]{2}){19}$/);
  });

  test('an intermediate of another mount is signed, set, and its leaves stand under the root', async () => {
    await server.ask('POST', 'sys/mounts/sub', { type: 'pki' });
    const made = await makeRoot();
    const { csr } = (
      await server.ask('POST', 'sub/intermediate/generate/internal', { common_name: 'Sub', key_type: 'ec' })
    ).json.data;
    const signed = await ok('POST', 'root/sign-intermediate', { csr, common_name: 'Sub', ttl: '600h' });
    expect(signed.ca_chain).toEqual([made.certificate]);
    const set = await server.ask('POST', 'sub/intermediate/set-signed', {
      certificate: [signed.certificate, ...signed.ca_chain].join('\n'),
    });
    expect(set.json.data.imported_issuers).toHaveLength(2);
    await server.ask('POST', 'sub/roles/web', { allow_any_name: true, key_type: 'ec' });
    const leaf = (await server.ask('POST', 'sub/issue/web', { common_name: 'x.test', ttl: '1h' })).json.data;
    expect(leaf.ca_chain).toEqual([signed.certificate, made.certificate]);
    if (!hasOpenssl) return;
    const at = [
      '-CAfile',
      await file('root', made.certificate),
      '-untrusted',
      await file('sub', signed.certificate),
    ];
    expect(await openssl('verify', '-x509_strict', ...at, await file('leaf', leaf.certificate))).toContain(
      'OK',
    );
  });

  test('a path length of nothing signs no authority, and others count down', async () => {
    await makeRoot({ max_path_length: 1 });
    const signed = await ok('POST', 'root/sign-intermediate', {
      csr: request('Sub'),
      common_name: 'Sub',
      ttl: '1h',
    });
    expect(new X509Certificate(signed.certificate).ca).toBe(true);
    await ok('POST', 'root/generate/internal', {
      common_name: 'Leafs only',
      key_type: 'ec',
      max_path_length: 0,
      issuer_name: 'last',
    });
    expect(
      await refused('POST', 'issuer/last/sign-intermediate', { csr: request('Sub'), common_name: 'Sub' }),
    ).toMatch(/path length/);
  });

  test('names outside the name constraints of the issuer are not signed', async () => {
    await makeRoot({
      permitted_dns_domains: 'example.com',
      excluded_dns_domains: 'bad.example.com',
      permitted_ip_ranges: '10.0.0.0/8',
    });
    await makeRole({ allow_any_name: true });
    await issue({ ip_sans: '10.1.2.3' });
    expect(await refused('POST', 'issue/web', { common_name: 'a.test' })).toMatch(/name constraints/);
    expect(await refused('POST', 'issue/web', { common_name: 'x.bad.example.com' })).toMatch(
      /name constraints/,
    );
    expect(await refused('POST', 'issue/web', { common_name: 'a.example.com', ip_sans: '11.0.0.1' })).toMatch(
      /name constraints/,
    );
  });

  test('a bundle brings key and certificate; a certificate that is no authority is refused', async () => {
    const made = await ok('POST', 'root/generate/exported', { common_name: 'Root', key_type: 'rsa' });
    await server.ask('POST', 'sys/mounts/sub', { type: 'pki' });
    const bundle = `${made.private_key}\n${made.certificate}`;
    const closed = await server.ask('POST', 'sub/issuers/import/cert', { pem_bundle: bundle });
    expect(closed.status).toBe(400);
    const open = await server.ask('POST', 'sub/config/ca', { pem_bundle: bundle });
    const { imported_issuers: issuers, mapping, imported_keys: keys } = open.json.data;
    expect(mapping).toEqual({ [issuers[0]]: keys[0] });
    const again = await server.ask('POST', 'sub/config/ca', { pem_bundle: bundle });
    expect(again.json.data).toMatchObject({
      imported_issuers: null,
      existing_issuers: issuers,
      existing_keys: keys,
    });
    await makeRole();
    const leaf = await issue();
    expect(await refused('POST', 'issuers/import/cert', { pem_bundle: leaf.certificate })).toMatch(/non-CA/);
    expect(
      await refused('POST', 'config/ca', {
        pem_bundle: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      }),
    ).toMatch(/malformed/);
  });
});

describe('roles', () => {
  test('a role is told as it was written, with the defaults of the API', async () => {
    const role = await makeRole({ max_ttl: '10h' });
    expect(role).toEqual(await ok('GET', 'roles/web'));
    expect(role).toMatchObject({
      issuer_ref: 'default',
      max_ttl: 36_000,
      not_before_duration: 30,
      key_usage: ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment'],
      require_cn: true,
      server_flag: true,
      allow_any_name: false,
    });
    expect((await ok('LIST', 'roles')).keys).toEqual(['web']);
    expect(await refused('POST', 'roles/bad', { ttl: '2h', max_ttl: '1h' })).toBe(
      '"ttl" value must be less than "max_ttl" value',
    );
    await ask('DELETE', 'roles/web');
    expect((await ask('GET', 'roles/web')).status).toBe(404);
    expect(await refused('POST', 'issue/web', { common_name: 'a.example.com' })).toBe('unknown role: web');
  });

  test('a name that is not under the role is refused, however it is spelled', async () => {
    await makeRoot();
    await makeRole();
    const bad = [
      'example.com',
      'example.com.evil.test',
      'evilexample.com',
      'a.example.com.',
      'a..example.com',
      'a b.example.com',
      'a\u0000.example.com',
      'a.example.com\n',
      '-a.example.com',
      'a_b.example.com',
      '*.*.example.com',
      'a.*.example.com',
      '*',
      '*.com',
      'root@example.com',
      'ex\u0430mple.com',
      '\u00e9.example.com/evil',
      '\u00e9@a.example.com',
      '\u00e9.example.com\n',
      'a\u00ad.example.com',
      'a\u200b.example.com',
    ];
    for (const name of bad) {
      expect(await refused('POST', 'issue/web', { common_name: name }), name).toMatch(
        /not allowed by this role/,
      );
      if (!/[\n\u00ad\u200b]/.test(name))
        expect(
          await refused('POST', 'issue/web', { common_name: 'a.example.com', alt_names: [name] }),
          name,
        ).toMatch(/not allowed|no host name/);
    }
    for (const name of ['A.Example.com', '*.example.com', 'a.b.example.com', 'localhost'])
      expect((await issue({ common_name: name })).certificate).toContain('BEGIN');
    await makeRole({ allow_wildcard_certificates: false, allow_localhost: false, allow_bare_domains: true });
    expect(await refused('POST', 'issue/web', { common_name: '*.example.com' })).toMatch(/not allowed/);
    expect(await refused('POST', 'issue/web', { common_name: 'localhost' })).toMatch(/not allowed/);
    await issue({ common_name: 'example.com' });
  });

  test('addresses, URIs and other names are for roles that allow them', async () => {
    await makeRoot();
    await makeRole({ allow_ip_sans: false });
    const base = { common_name: 'a.example.com' };
    expect(await refused('POST', 'issue/web', { ...base, ip_sans: '10.0.0.1' })).toBe(
      'IP Subject Alternative Names are not allowed in this role',
    );
    expect(await refused('POST', 'issue/web', { ...base, uri_sans: 'spiffe://a/b' })).toMatch(/URI/);
    expect(await refused('POST', 'issue/web', { ...base, other_sans: '1.2.3;UTF8:x' })).toMatch(/other SAN/);
    await makeRole({ allowed_uri_sans: 'spiffe://a/*', allowed_other_sans: '1.2.3;UTF8:dev*' });
    expect(await refused('POST', 'issue/web', { ...base, ip_sans: '10.0.0.1/8' })).toMatch(/IP/);
    expect(await refused('POST', 'issue/web', { ...base, uri_sans: 'spiffe://b/b' })).toMatch(/URI/);
    const made = await issue({
      ip_sans: '10.0.0.1,::1',
      uri_sans: 'spiffe://a/b',
      other_sans: '1.2.3;UTF8:devops',
    });
    const names = new X509Certificate(made.certificate).subjectAltName ?? '';
    for (const part of [
      'IP Address:10.0.0.1',
      'IP Address:0:0:0:0:0:0:0:1',
      'URI:spiffe://a/b',
      'DNS:a.example.com',
    ])
      expect(names).toContain(part);
  });

  test('nothing lives longer than its issuer, its role or its mount', async () => {
    await makeRoot({ ttl: '2h' });
    await makeRole({ max_ttl: '90m' });
    const capped = await ask('POST', 'issue/web', { common_name: 'a.example.com', ttl: '100m' });
    expect(capped.json.warnings[0]).toMatch(/longer than permitted maxTTL "1h30m0s"/);
    await makeRole();
    expect(await refused('POST', 'issue/web', { common_name: 'a.example.com', ttl: '3h' })).toMatch(
      /beyond the expiration of the CA certificate/,
    );
    await ok('POST', 'issuer/default', { leaf_not_after_behavior: 'truncate' });
    const cut = await issue({ ttl: '3h' });
    const authority = new X509Certificate(cut.issuing_ca);
    expect(new X509Certificate(cut.certificate).validTo).toBe(authority.validTo);
    expect(
      await refused('POST', 'issue/web', {
        common_name: 'a.example.com',
        ttl: '1h',
        not_after: '2030-01-01T00:00:00Z',
      }),
    ).toMatch(/Both/);
  });
});

describe('requests', () => {
  test('a request is signed as far as the role allows, and only by who has its key', async () => {
    await makeRoot();
    await makeRole();
    const sans = (dns: string[]) => alternativeNames({ ...NO_NAMES, dns }, false);
    const made = await ok('POST', 'sign/web', { csr: request('a.example.com', [sans(['b.example.com'])]) });
    expect(made.private_key).toBeUndefined();
    expect(new X509Certificate(made.certificate).subjectAltName).toBe('DNS:a.example.com, DNS:b.example.com');
    expect(await refused('POST', 'sign/web', { csr: request('a.example.com', [sans(['b.test'])]) })).toMatch(
      /b\.test not allowed/,
    );
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(await refused('POST', 'sign/web', { csr: request('a.example.com', [], rsa) })).toMatch(
      /role requires keys of type ec/,
    );
    const pem = request('a.example.com');
    const der = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
    der[30] = (der[30] ?? 0) ^ 1;
    expect(await refused('POST', 'sign/web', { csr: requestPem(der) })).toMatch(
      /signature invalid|malformed/,
    );
    expect(await refused('POST', 'sign/web', { csr: 'nonsense' })).toMatch(/csr/);
  });

  test('a request never makes an authority of itself, not even verbatim', async () => {
    await makeRoot();
    const csr = request('any thing', [basicConstraints(true), keyUsage([0, 5, 6])]);
    const made = await ok('POST', 'sign-verbatim', { csr, ttl: '1h' });
    const certificate = new X509Certificate(made.certificate);
    expect(certificate.subject).toBe('CN=any thing');
    expect(certificate.ca).toBe(false);
    if (!hasOpenssl) return;
    const text = await openssl('x509', '-noout', '-text', '-in', await file('c', made.certificate));
    expect(text).toContain('Digital Signature');
    expect(text).not.toMatch(/Certificate Sign|CRL Sign|CA:TRUE/);
  });
});

describe('revocation', () => {
  test('a revoked certificate is in the list, in the answer, and stays revoked from the first time on', async () => {
    await makeRoot();
    await makeRole();
    const made = await issue();
    const first = await ok('POST', 'revoke', { serial_number: made.serial_number });
    expect(first.state).toBe('revoked');
    expect(
      await ok('POST', 'revoke', { serial_number: made.serial_number.replaceAll(':', '-').toUpperCase() }),
    ).toEqual(first);
    const told = (await anyone('GET', `cert/${made.serial_number}`)).json.data;
    expect(told).toMatchObject({ certificate: made.certificate, revocation_time: first.revocation_time });
    expect((await ok('LIST', 'certs/revoked')).keys).toEqual([made.serial_number]);
    expect((await ok('LIST', 'certs')).keys).toContain(made.serial_number);
    expect(await refused('POST', 'revoke', { serial_number: '11:22' })).toBe(
      'certificate with serial 11:22 not found.',
    );
    expect(await refused('POST', 'revoke', {})).toMatch(/must be provided/);
  });

  test('who has the key may revoke, who has another may not', async () => {
    await makeRoot();
    await makeRole();
    const made = await issue();
    const other = await issue();
    const body = { serial_number: made.serial_number, private_key: other.private_key };
    expect(await refused('POST', 'revoke-with-key', body)).toMatch(/does not match/);
    expect((await ok('POST', 'revoke-with-key', { ...body, private_key: made.private_key })).state).toBe(
      'revoked',
    );
  });

  test('a lease that is revoked takes its certificate with it', async () => {
    await makeRoot();
    await makeRole({ generate_lease: true });
    const { json } = await ask('POST', 'issue/web', { common_name: 'a.example.com', ttl: '1h' });
    expect(json.lease_id).toMatch(/^pki\/issue\/web\//);
    // A certificate ends on a whole second, and some of the last one has passed.
    expect([3599, 3600]).toContain(json.lease_duration);
    const gone = await server.ask('PUT', 'sys/leases/revoke', { lease_id: json.lease_id, sync: true });
    expect(gone.status).toBeLessThan(300);
    expect((await ok('LIST', 'certs/revoked')).keys).toEqual([json.data.serial_number]);
  });

  test('everything that checks certificates is read without a token, and nothing else is', async () => {
    await makeRoot();
    for (const path of [
      'ca',
      'ca/pem',
      'ca_chain',
      'crl',
      'crl/pem',
      'cert/ca',
      'cert/ca_chain',
      'cert/crl',
      'cert/ca/raw/pem',
      'issuer/default/json',
      'issuer/default/pem',
      'issuer/default/der',
      'issuer/default/crl/der',
    ])
      expect((await anyone('GET', path)).status, path).toBe(200);
    expect((await anyone('GET', 'ca/pem')).headers.get('content-type')).toBe(
      'application/pem-certificate-chain',
    );
    expect((await anyone('GET', 'crl')).headers.get('content-type')).toBe('application/pkix-crl');
    for (const path of ['issuer/default', 'roles/web', 'key/default', 'config/urls', 'certs'])
      expect((await anyone('GET', path)).status, path).toBe(403);
  });
});

test('help and OpenAPI are made of the routes', async () => {
  expect((await ask('GET', 'issue/web?help=1')).text).toContain('certificate');
  const { text } = await server.ask('GET', 'sys/internal/specs/openapi');
  expect(text).toContain('sign-verbatim');
});

describe('tidying', () => {
  test('what ended long enough ago goes, with its revocation, and nothing else', async () => {
    const clock = new ManualClock();
    const mount = mountForTest(pki(), { path: 'pki/', clock });
    const write = async (path: string, body: object) => (await mount.call('write', path, body)).data;
    const made = await write('root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '700h' });
    await write('roles/web', { allow_any_name: true, key_type: 'ec' });
    const short = await write('issue/web', { common_name: 'a.test', ttl: '1h' });
    const long = await write('issue/web', { common_name: 'b.test', ttl: '600h' });
    await write('revoke', { serial_number: short.serial_number });
    const tidy = async () => {
      const begun = await mount.call('write', 'tidy', {
        tidy_cert_store: true,
        tidy_revoked_certs: true,
        safety_buffer: '1h',
      });
      expect(begun.status).toBe(202);
      await expect.poll(async () => (await mount.call('read', 'tidy-status')).data.state).toBe('Finished');
    };
    await tidy();
    expect((await mount.call('list', 'certs')).data.keys).toContain(short.serial_number);
    await clock.advance(3 * 3_600_000);
    await tidy();
    const left = [made.serial_number, long.serial_number].sort();
    expect((await mount.call('list', 'certs')).data.keys.sort()).toEqual(left);
    expect((await mount.call('list', 'certs/revoked')).status).toBe(404);
  });
});

describe('what strangers send', () => {
  test('no bytes, and no change of a true request, make it throw anything but a refusal', () => {
    const pem = request('a.example.com', [
      alternativeNames({ ...NO_NAMES, dns: ['a.test'], ips: ['::1'] }, false),
    ]);
    const der = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
    const tries = (bytes: Uint8Array): void => {
      for (const read of [readRequest, readCertificate, readNames, readOcspRequest]) {
        try {
          read(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
        }
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), tries));
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(der);
        if (changed[at] === byte) return;
        changed[at] = byte;
        tries(changed);
        // A changed request proves possession of nothing.
        expect(() => readRequest(changed)).toThrow(Failure);
      }),
    );
  });
});

describe.runIf(hasOpenssl)('as OpenSSL sees it', () => {
  test('chains of every type of key verify, and the text says what was asked for', async () => {
    for (const [key_type, key_bits, more] of [
      ['rsa', 2048, {}],
      ['rsa', 2048, { use_pss: true, signature_bits: 384 }],
      ['ec', 224, {}],
      ['ec', 384, {}],
      ['ec', 521, {}],
      ['ed25519', 0, {}],
    ] as const) {
      const name = `${key_type}${key_bits}${Object.keys(more).length}`;
      const made = await makeRoot({ key_type, key_bits, ...more, issuer_name: name });
      await makeRole({ issuer_ref: name, key_type, key_bits, ...more });
      const leaf = await issue({ ip_sans: '::1', alt_names: 'b.example.com' });
      const [ca, at] = [await file('ca', made.certificate), await file('leaf', leaf.certificate)];
      expect(
        await openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', ca, at),
        name,
      ).toContain('OK');
      const text = await openssl('x509', '-noout', '-text', '-in', at);
      expect(text).toMatch(/DNS:a\.example\.com, DNS:b\.example\.com, IP Address:0:0:0:0:0:0:0:1/);
      expect(text).toMatch(/TLS Web Server Authentication, TLS Web Client Authentication/);
      expect(createPrivateKey(leaf.private_key).asymmetricKeyType).toBe(key_type);
    }
  }, 60_000);

  test('the revocation list holds, says who is revoked, and makes verification fail', async () => {
    const made = await makeRoot();
    await makeRole();
    const [good, bad] = [await issue(), await issue()];
    await ok('POST', 'revoke', { serial_number: bad.serial_number });
    const ca = await file('ca', made.certificate);
    const crl = await file('crl', (await anyone('GET', 'crl/pem')).text);
    const text = await openssl('crl', '-noout', '-text', '-in', crl, '-CAfile', ca);
    expect(text).toContain('verify OK');
    expect(text).toContain(bad.serial_number.replaceAll(':', '').toUpperCase());
    expect(text).not.toContain(good.serial_number.replaceAll(':', '').toUpperCase());
    const check = ['verify', '-crl_check', '-CAfile', ca, '-CRLfile', crl];
    expect(await openssl(...check, await file('good', good.certificate))).toContain('OK');
    await expect(openssl(...check, await file('bad', bad.certificate))).rejects.toThrow(
      /certificate revoked/,
    );
  });

  test('a delta list names its base and what was revoked since', async () => {
    const made = await makeRoot();
    await makeRole();
    await ok('POST', 'config/crl', { auto_rebuild: true, enable_delta: true });
    const leaf = await issue();
    await ok('POST', 'revoke', { serial_number: leaf.serial_number });
    await ok('GET', 'crl/rotate-delta');
    const ca = await file('ca', made.certificate);
    const serial = leaf.serial_number.replaceAll(':', '').toUpperCase();
    const show = async (path: string) =>
      openssl(
        'crl',
        '-noout',
        '-text',
        '-CAfile',
        ca,
        '-in',
        await file('crl', (await anyone('GET', path)).text),
      );
    expect(await show('crl/pem')).not.toContain(serial);
    const delta = await show('crl/delta/pem');
    expect(delta).toMatch(/verify OK/);
    expect(delta).toMatch(/X509v3 Delta CRL Indicator: critical/);
    expect(delta).toContain(serial);
    await ok('GET', 'crl/rotate');
    expect(await show('crl/pem')).toContain(serial);
  });

  test('OCSP answers are signed, repeat the nonce, and tell good from revoked', async () => {
    const made = await makeRoot({ key_type: 'rsa' });
    await makeRole();
    const [good, bad] = [await issue(), await issue()];
    await ok('POST', 'revoke', { serial_number: bad.serial_number });
    const ca = await file('ca', made.certificate);
    const url = `${server.url}/v1/pki/ocsp`;
    for (const [name, { certificate }, word] of [
      ['good', good, 'good'],
      ['bad', bad, 'revoked'],
    ] as const) {
      const cert = await file(name, certificate);
      const out = await openssl('ocsp', '-issuer', ca, '-cert', cert, '-CAfile', ca, '-url', url);
      expect(out).toContain('Response verify OK');
      expect(out).toContain(`${name}: ${word}`);
      expect(out).not.toContain('WARNING');
    }
    const wrong = await fetch(url, { method: 'POST', body: 'nonsense' });
    expect(wrong.status).toBe(400);
    expect(Buffer.from(await wrong.arrayBuffer()).toString('hex')).toBe('30030a0101');
  });

  test('requests that openssl makes are signed', async () => {
    await makeRoot();
    await makeRole({ key_type: 'rsa' });
    const at = join(folder, 'csr');
    await openssl(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      join(folder, 'k'),
      '-out',
      at,
      '-subj',
      '/O=Us/CN=a.example.com',
      '-addext',
      'subjectAltName=DNS:b.example.com',
    );
    const made = await ok('POST', 'sign/web', { csr: await readFile(at, 'utf8'), ttl: '1h' });
    expect(
      new X509Certificate(made.certificate).checkPrivateKey(
        createPrivateKey(await readFile(join(folder, 'k'))),
      ),
    ).toBe(true);
  });
});
