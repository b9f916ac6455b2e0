import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { cert } from './index.ts';
import { chainTo, readPem } from './x509.ts';

/** All certificates here are OpenSSL's own; its command line makes them in a moment. */
let folder: string;
const at = (name: string): string => join(folder, name);
const pem = (name: string): string => readFileSync(at(`${name}.pem`), 'utf8');
const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
};
interface Made {
  readonly subject: string;
  readonly by?: string;
  readonly lines?: readonly string[];
  readonly days?: number;
  readonly digest?: string;
}
function make(name: string, { subject, by, lines = [], days = 30, digest = 'sha256' }: Made): void {
  writeFileSync(at(`${name}.ext`), lines.join('\n'));
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
  openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
  const issuer =
    by === undefined
      ? ['-signkey', `${name}.key`]
      : ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    ...issuer,
    '-days',
    String(days),
    `-${digest}`,
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.pem`,
  );
}
const CA = [
  'basicConstraints=critical,CA:TRUE',
  'keyUsage=critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash',
];
const LEAF = ['basicConstraints=CA:FALSE', 'extendedKeyUsage=clientAuth', 'subjectKeyIdentifier=hash'];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cert-'));
  make('ca', { subject: '/CN=Test CA', lines: CA });
  make('twin', { subject: '/CN=Test CA', lines: CA });
  make('mid', { subject: '/CN=Mid CA', by: 'ca', lines: CA });
  make('app', {
    subject: '/O=x/OU=ops/OU=web/CN=app.example.com',
    by: 'ca',
    lines: [
      ...LEAF,
      'subjectAltName=DNS:app.example.com,email:app@example.com,URI:spiffe://x/app',
      '1.2.3.4=ASN1:UTF8String:blue-team',
      'authorityKeyIdentifier=keyid',
    ],
  });
  make('below', { subject: '/CN=below', by: 'mid', lines: LEAF });
  make('forged', { subject: '/CN=app.example.com', by: 'twin', lines: LEAF });
  make('self', { subject: '/CN=app.example.com', lines: LEAF });
  make('server', {
    subject: '/CN=app.example.com',
    by: 'ca',
    lines: [...LEAF.slice(0, 1), 'extendedKeyUsage=serverAuth'],
  });
  make('child', { subject: '/CN=child.example.com', by: 'app', lines: LEAF });
  make('sha1', { subject: '/CN=app.example.com', by: 'ca', lines: LEAF, digest: 'sha1' });
  make('strange', {
    subject: '/CN=app.example.com',
    by: 'ca',
    lines: [...LEAF, '1.2.3.9=critical,ASN1:UTF8String:x'],
  });
  make('two', { subject: '/CN=app.example.com/CN=other', by: 'ca', lines: LEAF });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let server: TestServer;
let clock: ManualClock;
interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  readonly json: any;
}
/** Asks over a TLS connection of its own, with the certificate of that name. */
function ask(client: string | undefined, path: string, body: unknown = {}, token?: string): Promise<Answer> {
  const options: RequestOptions = {
    method: 'POST',
    rejectUnauthorized: false,
    agent: false,
    ...(client === undefined ? {} : { cert: pem(client), key: readFileSync(at(`${client}.key`)) }),
    ...(token === undefined ? {} : { headers: { 'x-vault-token': token } }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url.replace('http:', 'https:')}/v1/${path}`, options, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, json: text === '' ? undefined : JSON.parse(text) }),
      );
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}
const login = (client: string | undefined, name?: string) =>
  ask(client, 'auth/cert/login', name === undefined ? {} : { name });
const trust = async (name: string, certificate: string, more: object = {}) => {
  const written = await ask(undefined, `auth/cert/certs/${name}`, { certificate, ...more }, server.root);
  expect([written.status, written.json]).toEqual([204, undefined]);
};
const NO_MATCH = 'no chain matching all constraints could be found for this login certificate';

beforeEach(async () => {
  clock = new ManualClock(Date.now());
  const authority = await createAuthority('listener');
  const tls = await issueCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
  server = await startServer([cert], {
    clock,
    listen: { tls: { cert: tls.certificate, key: tls.key, clientCertificates: true } },
  });
  await ask(undefined, 'sys/auth/cert', { type: 'cert' }, server.root);
});
afterEach(() => server.close());

describe('a client', () => {
  it('logs in under the authority that issued its certificate, and is called what the certificate says', async () => {
    await trust('ca', pem('ca'), {
      token_policies: 'p',
      display_name: 'apps',
      allowed_metadata_extensions: '1.2.3.4',
    });
    const { status, json } = await login('app');
    expect(status).toBe(200);
    expect(json.auth).toMatchObject({
      policies: ['default', 'p'],
      token_type: 'service',
      metadata: { cert_name: 'ca', common_name: 'app.example.com', '1-2-3-4': 'blue-team' },
    });
    const serial = execFileSync('openssl', ['x509', '-in', at('app.pem'), '-noout', '-serial']).toString();
    const hexSerial = serial.trim().replace('serial=', '');
    expect(json.auth.metadata.serial_number).toBe(BigInt(`0x${hexSerial}`).toString());
    expect(json.auth.metadata.subject_key_id).toMatch(/^([0-9a-f]{2}:){19}[0-9a-f]{2}$/);
    const self = await server.server.call({
      verb: 'read',
      path: 'auth/token/lookup-self',
      token: json.auth.client_token,
    });
    expect(self).toMatchObject({ envelope: { data: { display_name: 'cert-apps' } } });
  });

  it('logs in where its own certificate is trusted, and nobody whom it signed', async () => {
    await trust('app', pem('app'));
    expect((await login('app')).status).toBe(200);
    expect((await login('child')).json.errors).toEqual([NO_MATCH]);
    expect((await login('self')).json.errors).toEqual([NO_MATCH]);
  });

  it.each([
    ['forged', 'of an authority with the same name and another key'],
    ['self', 'that it signed itself'],
    ['server', 'for servers only'],
    ['child', 'that a client signed'],
    ['below', 'whose issuer is not configured'],
    ['strange', 'with a critical extension that nobody understands'],
    ['mid', 'of an authority that it signed'],
    ['ca', 'of the authority itself'],
  ])('with the certificate %s, one %s, is refused', async (client) => {
    await trust('ca', pem('ca'));
    const refused = await login(client);
    expect([refused.status, refused.json.errors]).toEqual([400, [NO_MATCH]]);
  });

  it('stands under an authority in the middle once that is configured, alone or beside its root', async () => {
    await trust('mid', pem('mid'));
    expect((await login('below')).status).toBe(200);
    await trust('mid', `${pem('ca')}\n${pem('mid')}`);
    expect((await login('below')).json.auth.metadata.cert_name).toBe('mid');
  });

  it('without a certificate is told so, and everything else still answers it', async () => {
    await trust('ca', pem('ca'));
    const refused = await login(undefined);
    expect([refused.status, refused.json.errors]).toEqual([
      400,
      ['invalid certificate or no client certificate supplied'],
    ]);
    expect((await ask(undefined, 'auth/token/lookup-self', {}, server.root)).status).toBe(200);
  });

  it('is refused before the certificate begins, and when it or its authority has expired', async () => {
    await trust('ca', pem('ca'));
    await trust('own', pem('app'));
    clock.jump(31 * 86_400_000);
    expect((await login('app')).json.errors).toEqual([NO_MATCH]);
    clock.jump(-33 * 86_400_000);
    expect((await login('app')).json.errors).toEqual([NO_MATCH]);
  });

  it('is looked for under the one name that it gives', async () => {
    await trust('ca', pem('ca'));
    await trust('twin', pem('twin'));
    expect((await login('app', 'CA')).status).toBe(200);
    for (const name of ['twin', 'none', '../cert/ca', '__proto__'])
      expect((await login('app', name)).json.errors).toEqual([NO_MATCH]);
    expect((await login('forged')).json.auth.metadata.cert_name).toBe('twin');
  });
});

it('a certificate that was signed over SHA-1 stands under nobody', () => {
  const [ca] = readPem(pem('ca')) ?? [];
  const chain = (name: string) => {
    const [leaf] = readPem(pem(name)) ?? [];
    return ca && leaf && chainTo(leaf, [ca], Date.now());
  };
  expect(chain('app')).toHaveLength(2);
  expect(chain('sha1')).toBeUndefined();
});

describe('a constraint', () => {
  it.each([
    [{ allowed_names: '*.example.com' }, true],
    [{ allowed_names: 'app@example.com' }, true],
    [{ allowed_names: 'other,*.example.org' }, false],
    [{ allowed_common_names: 'app.*' }, true],
    [{ allowed_common_names: 'app' }, false],
    [{ allowed_dns_sans: 'app.example.com' }, true],
    [{ allowed_dns_sans: 'app@example.com' }, false],
    [{ allowed_email_sans: '*@example.com' }, true],
    [{ allowed_email_sans: '*@example.org' }, false],
    [{ allowed_uri_sans: 'spiffe://x/*' }, true],
    [{ allowed_uri_sans: 'spiffe://y/*' }, false],
    [{ allowed_organizational_units: 'web' }, true],
    [{ allowed_organizational_units: 'dev' }, false],
    [{ allowed_common_names: 'app.*', allowed_organizational_units: 'dev' }, false],
    [{ required_extensions: '1.2.3.4:blue-*' }, true],
    [{ required_extensions: '1.2.3.4:red' }, false],
    [{ required_extensions: '1.2.3.5:*' }, false],
    [{ required_extensions: `hex:1.2.3.4:0c09${Buffer.from('blue-team').toString('hex')}` }, true],
    [{ required_extensions: 'hex:1.2.3.4:00*' }, false],
    [{ token_bound_cidrs: '127.0.0.1' }, true],
  ])('%j lets the client in: %s', async (constraint, allowed) => {
    await trust('ca', pem('ca'), constraint);
    expect((await login('app')).status).toBe(allowed ? 200 : 400);
  });

  it('on networks is a denial, and one on names does not take the first of two', async () => {
    await trust('ca', pem('ca'), { token_bound_cidrs: '10.0.0.0/8' });
    expect((await login('app')).status).toBe(403);
    await trust('ca', pem('ca'), { token_bound_cidrs: [], allowed_common_names: 'app.example.com,other' });
    expect((await login('two')).status).toBe(400);
  });

  it.each([
    [{ certificate: 'nothing' }, 'failed to parse certificate'],
    [{}, 'failed to parse certificate'],
    [
      { certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      'failed to parse certificate',
    ],
    [{ required_extensions: 'x' }, 'required_extensions takes "oid:value" or "hex:oid:value"'],
    [{ ocsp_enabled: true }, "OCSP is not supported: write the authority's list to crls/<name>"],
  ])('%j is refused when it is written', async (body, message) => {
    const certificate =
      'required_extensions' in body || 'ocsp_enabled' in body ? { certificate: pem('ca') } : {};
    const refused = await ask(undefined, 'auth/cert/certs/x', { ...certificate, ...body }, server.root);
    expect([refused.status, refused.json.errors]).toEqual([400, [message]]);
  });
});

describe('what is revoked', () => {
  it('does not log in, from the moment the list is written until it is taken away', async () => {
    await trust('ca', pem('ca'));
    await trust('own', pem('app'));
    writeFileSync(at('index.txt'), '');
    writeFileSync(
      at('ca.cnf'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=30\n',
    );
    openssl('ca', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-revoke', 'app.pem');
    openssl('ca', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-gencrl', '-out', 'crl.pem');
    expect((await login('app')).status).toBe(200);
    expect((await ask(undefined, 'auth/cert/crls/x', { crl: pem('crl') }, server.root)).status).toBe(204);
    expect((await login('app')).json.errors).toEqual([NO_MATCH]);
    const read = await server.server.call({ verb: 'read', path: 'auth/cert/crls/x', token: server.root });
    expect(
      Object.keys((read as { envelope: { data: { serials: object } } }).envelope.data.serials),
    ).toHaveLength(1);
    await server.server.call({ verb: 'delete', path: 'auth/cert/crls/x', token: server.root });
    expect((await login('app')).status).toBe(200);
    for (const body of [{}, { crl: 'x' }, { crl: pem('ca') }, { url: 'http://crl' }])
      expect((await ask(undefined, 'auth/cert/crls/x', body, server.root)).status).toBe(400);
  });
});

describe('a renewal', () => {
  const renew = (client: string | undefined, token: string) =>
    ask(client, 'auth/token/renew-self', {}, token);

  it('asks for the certificate of the login again, unless it was told not to', async () => {
    await trust('ca', pem('ca'), { token_ttl: '1h' });
    const token: string = (await login('app')).json.auth.client_token;
    expect((await renew('app', token)).status).toBe(200);
    for (const client of [undefined, 'two', 'forged']) expect((await renew(client, token)).status).toBe(400);
    await ask(undefined, 'auth/cert/config', { disable_binding: true }, server.root);
    expect((await renew(undefined, token)).status).toBe(200);
  });

  it('ends with the trust, and when the policies are others', async () => {
    await trust('ca', pem('ca'), { token_policies: 'p' });
    const token: string = (await login('app')).json.auth.client_token;
    await trust('ca', pem('ca'), { token_policies: 'q' });
    expect((await renew('app', token)).json.errors).toEqual(['policies have changed, not renewing']);
    await trust('ca', pem('twin'), { token_policies: 'p' });
    expect((await renew('app', token)).json.errors).toEqual([NO_MATCH]);
  });
});
