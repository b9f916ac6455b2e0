import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { privatePem } from '../../crypto/ssh/privatekey.ts';
import { parsePublicBlob, publicKeyOf, publicLine } from '../../crypto/ssh/publickey.ts';
import { Reader } from '../../crypto/ssh/wire.ts';
import type { Call } from '../../plugin/plugin.ts';
import { mountForTest } from '../../plugin/testing.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { ssh } from './index.ts';
import { makeOtp } from './otp.ts';
import { SshStore } from './store.ts';

let server: TestServer;
let clock: ManualClock;
beforeEach(async () => {
  clock = new ManualClock();
  server = await startServer([ssh], { clock });
  await server.ask('POST', 'sys/mounts/ssh', { type: 'ssh' });
});
afterEach(() => server.close());

const read = (path: string, headers?: Record<string, string>) =>
  server.ask('GET', `ssh/${path}`, undefined, headers);
const write = (path: string, body: unknown = {}, headers?: Record<string, string>) =>
  server.ask('POST', `ssh/${path}`, body, headers);
const remove = (path: string) => server.ask('DELETE', `ssh/${path}`);
const nobody = { 'x-vault-token': '' };

function pair(type: 'ed25519' | 'rsa' = 'ed25519'): { publicLine: string; privatePem: string } {
  const { privateKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  const key = publicKeyOf(privateKey);
  if (key === undefined) throw new Error('no key');
  return { publicLine: publicLine(key.type, key.blob), privatePem: privatePem(privateKey) };
}

/** The parts of a certificate for an Ed25519 key. */
function opened(line: string) {
  const reader = new Reader(Buffer.from(line.split(' ')[1] ?? '', 'base64'));
  const list = (bytes: Buffer): string[] => {
    const inner = new Reader(bytes);
    const all: string[] = [];
    while (inner.left > 0) all.push(inner.string().toString());
    return all;
  };
  const [type, , key] = [reader.text(), reader.string(), reader.string()];
  const serial = reader.take(8).toString('hex');
  const kind = reader.uint32();
  const [keyId, principals] = [reader.string().toString(), list(reader.string())];
  const [after, before] = [
    Number(reader.take(8).readBigUInt64BE()),
    Number(reader.take(8).readBigUInt64BE()),
  ];
  const [critical, extensions] = [list(reader.string()), list(reader.string())];
  reader.string();
  const authority = parsePublicBlob(reader.string());
  const signature = new Reader(reader.string()).text();
  reader.end();
  return {
    type,
    key,
    serial,
    kind,
    keyId,
    principals,
    after,
    before,
    critical,
    extensions,
    authority,
    signature,
  };
}

describe('the authority', () => {
  test('is made once, told to everybody by its public half, and never written over', async () => {
    expect((await read('config/ca')).json.errors).toEqual(["keys haven't been configured yet"]);
    expect((await read('public_key', nobody)).status).toBe(400);
    const made = await write('config/ca', { key_type: 'ed25519' });
    expect(made.status).toBe(200);
    const line: string = made.json.data.public_key;
    expect(line).toMatch(/^ssh-ed25519 \S+\n$/);
    expect((await read('config/ca')).json.data).toEqual({ public_key: line });
    const open = await read('public_key', nobody);
    expect([open.text, open.headers.get('content-type')]).toEqual([line, 'text/plain']);
    const again = await write('config/ca', { key_type: 'ed25519' });
    expect([again.status, again.json.errors[0]]).toEqual([
      400,
      'keys are already configured; delete them before reconfiguring',
    ]);
    expect((await remove('config/ca')).status).toBe(204);
    expect(
      (await write('config/ca', { generate_signing_key: true, key_type: 'ec', key_bits: 384 })).status,
    ).toBe(200);
    expect((await read('public_key', nobody)).text).toMatch(/^ecdsa-sha2-nistp384 /);
  });

  test('of several who make it at the same moment, one does', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => write('config/ca', { key_type: 'ed25519' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400]);
    const kept = answers.find(({ status }) => status === 200)?.json.data.public_key;
    expect((await read('config/ca')).json.data.public_key).toBe(kept);
  });

  test('is brought along whole, and nothing of its private half is ever told', async () => {
    const { publicLine: line, privatePem: pem } = pair();
    const commented = `${line.trim()} admin@example.com\n`;
    const given = { public_key: commented, private_key: pem, generate_signing_key: false };
    expect((await write('config/ca', given)).json.data).toEqual({ public_key: line });
    await write('roles/web', { key_type: 'ca', allow_user_certificates: true, allowed_users: '*' });
    const answers = [
      await read('config/ca'),
      await read('public_key'),
      await read('roles/web'),
      await write('sign/web', { public_key: pair().publicLine, valid_principals: 'a' }),
      await write('config/ca', given),
    ];
    const secret = pem.split('\n')[2] ?? '';
    expect(secret.length).toBeGreaterThan(60);
    for (const { text } of answers) expect(text).not.toContain(secret.slice(0, 20));
  });

  test.each([
    [{ generate_signing_key: false }, 'missing public_key'],
    [
      { generate_signing_key: true, public_key: 'x' },
      'must not be set when generate_signing_key is set to true',
    ],
    [{ public_key: 'x' }, 'only one of public_key and private_key set'],
    [{ private_key: 'x' }, 'only one of public_key and private_key set'],
    [{ public_key: 'x', private_key: 'y' }, 'could not parse public_key'],
    [{ public_key: pair().publicLine, private_key: 'y' }, 'could not parse private_key'],
    [
      { public_key: pair().publicLine, private_key: pair().privatePem },
      'is not the public half of private_key',
    ],
    [{ key_type: 'dsa' }, 'unknown ssh key pair algorithm: dsa'],
    [{ key_type: 'rsa', key_bits: 1024 }, 'refusing to generate weak rsa key'],
  ])('%# is refused with what is wrong', async (given, message) => {
    const { status, json } = await write('config/ca', given);
    expect([status, json.errors[0]]).toEqual([400, expect.stringContaining(message)]);
    expect((await read('config/ca')).status).toBe(400);
  });
});

describe('roles', () => {
  test('a role is told as it was written, with what it did not say, and listed with its type', async () => {
    const given = {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: 'ubuntu,root',
      default_user: 'ubuntu',
      default_extensions: [{ 'permit-pty': '' }],
      allowed_user_key_lengths: { rsa: 2048, ec: [256, '384'] },
      ttl: '30m',
    };
    expect((await write('roles/web', given)).status).toBe(204);
    expect((await read('roles/web')).json.data).toEqual({
      algorithm_signer: 'default',
      allow_bare_domains: false,
      allow_commas_in_identity_templates: false,
      allow_empty_principals: false,
      allow_host_certificates: false,
      allow_subdomains: false,
      allow_user_certificates: true,
      allow_user_key_ids: false,
      allowed_critical_options: '',
      allowed_domains: '',
      allowed_domains_template: false,
      allowed_extensions: '',
      allowed_user_key_lengths: { ec: [256, 384], rsa: [2048] },
      allowed_users: 'ubuntu,root',
      allowed_users_template: false,
      default_critical_options: {},
      default_extensions: { 'permit-pty': '' },
      default_extensions_template: false,
      default_user: 'ubuntu',
      default_user_template: false,
      issuer_ref: 'default',
      key_id_format: '',
      key_type: 'ca',
      max_ttl: 0,
      not_before_duration: 30,
      ttl: 1800,
    });
    await write('roles/door', { key_type: 'OTP', default_user: 'u', cidr_list: '10.0.0.0/8' });
    expect((await read('roles/door')).json.data).toEqual({
      allowed_users: '',
      cidr_list: '10.0.0.0/8',
      default_user: 'u',
      exclude_cidr_list: '',
      key_type: 'otp',
      port: 22,
    });
    expect((await server.ask('LIST', 'ssh/roles')).json.data).toEqual({
      keys: ['door', 'web'],
      key_info: { door: { key_type: 'otp' }, web: { key_type: 'ca' } },
    });
    await remove('roles/web');
    expect((await read('roles/web')).status).toBe(404);
  });

  test('what a write leaves out is gone', async () => {
    const base = { key_type: 'ca', allow_user_certificates: true };
    await write('roles/web', { ...base, allowed_users: '*', ttl: '1h' });
    await write('roles/web', base);
    expect((await read('roles/web')).json.data).toMatchObject({ allowed_users: '', ttl: 0 });
  });

  test.each([
    [{}, 'missing key type'],
    [{ key_type: 'dynamic' }, 'dynamic key type roles are no longer supported'],
    [{ key_type: 'zz' }, 'invalid key type'],
    [{ key_type: 'otp' }, 'missing default user'],
    [{ key_type: 'otp', default_user: 'u', port: 70_000 }, 'port must be from 1 to 65535'],
    [
      { key_type: 'ca' },
      "Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'",
    ],
    [{ ttl: '2h', max_ttl: '1h' }, '"ttl" value must be less than "max_ttl"'],
    [{ ttl: -5 }, 'cannot provide negative value'],
    [{ algorithm_signer: 'md5' }, 'unknown algorithm signer "md5"'],
    [{ algorithm_signer: 'toString' }, 'unknown algorithm signer "toString"'],
    [{ default_extensions: 'permit-pty' }, 'default_extensions'],
    [{ default_extensions: { 'a b': '' } }, 'of ASCII without blanks'],
    [{ default_user: 'a\nb' }, 'default_user holds a control character'],
    [{ allowed_user_key_lengths: { rsa: 'many' } }, 'whole number'],
    [{ issuer_ref: 'other' }, 'issuer_ref'],
  ])('%j is refused with what is wrong', async (given, message) => {
    const whole =
      'key_type' in given || Object.keys(given).length === 0
        ? given
        : { key_type: 'ca', allow_user_certificates: true, ...given };
    const { status, json } = await write('roles/x', whole);
    expect([status, json.errors[0]]).toEqual([400, expect.stringContaining(message)]);
    expect((await read('roles/x')).status).toBe(404);
  });
});

describe('certificates', () => {
  beforeEach(async () => {
    await write('config/ca', { key_type: 'ed25519' });
    await write('roles/web', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: 'ubuntu,root',
      default_user: 'ubuntu',
      default_extensions: { 'permit-pty': '' },
      ttl: '30m',
      max_ttl: '1h',
    });
  });

  test('a signed key says who, for how long and what, under the authority of the mount', async () => {
    const key = pair().publicLine;
    const { status, json } = await write('sign/web', { public_key: key });
    expect(status).toBe(200);
    expect(Object.keys(json.data).sort()).toEqual(['serial_number', 'signed_key']);
    expect(json.lease_id).toBe('');
    const found = opened(json.data.signed_key);
    const now = clock.now() / 1000;
    expect(found).toMatchObject({
      type: 'ssh-ed25519-cert-v01@openssh.com',
      kind: 1,
      principals: ['ubuntu'],
      after: now - 30,
      before: now + 1800,
      critical: [],
      extensions: ['permit-pty', ''],
      signature: 'ssh-ed25519',
    });
    expect(found.keyId).toMatch(/^vault-root-[0-9a-f]{64}$/);
    expect(BigInt(`0x${found.serial}`).toString(16)).toBe(json.data.serial_number);
    expect(Buffer.from(key.split(' ')[1] ?? '', 'base64').subarray(-32)).toEqual(found.key);
    const line = (await read('public_key')).text;
    expect(line).toBe(publicLine('ssh-ed25519', found.authority?.blob ?? Buffer.alloc(0)));
  });

  test('every asking has a serial and a nonce of its own', async () => {
    const asked = { public_key: pair().publicLine };
    const all = await Promise.all(Array.from({ length: 20 }, () => write('sign/web', asked)));
    expect(new Set(all.map(({ json }) => json.data.serial_number)).size).toBe(20);
    expect(new Set(all.map(({ json }) => json.data.signed_key)).size).toBe(20);
  });

  test('an issued key comes with its certificate, and is of the kind that was asked for', async () => {
    const { json } = await write('issue/web', { key_type: 'ed25519', valid_principals: 'root' });
    expect(json.data.private_key_type).toBe('ed25519');
    expect(json.data.private_key).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
    expect(opened(json.data.signed_key).principals).toEqual(['root']);
    const ec = await write('issue/web', { key_type: 'ec', key_bits: 521 });
    expect(ec.json.data.signed_key).toMatch(/^ecdsa-sha2-nistp521-cert-v01@openssh.com /);
    expect(ec.json.data.private_key).toMatch(/^-----BEGIN EC PRIVATE KEY-----\n/);
    const rsa = await write('issue/web', { key_bits: 2048 });
    expect([rsa.json.data.private_key_type, rsa.json.data.signed_key.split(' ')[0]]).toEqual([
      'rsa',
      'ssh-rsa-cert-v01@openssh.com',
    ]);
  });

  test.each([
    [{}, 'missing public_key'],
    [{ public_key: '###' }, 'failed to parse public_key as SSH key'],
    [{ valid_principals: 'bob' }, 'bob is not a valid value for valid_principals'],
    [{ valid_principals: '' }, 'refusing to issue unsafe'],
    [{ ttl: '61m' }, 'ttl is larger than maximum allowed 3600'],
    [{ ttl: '-1' }, 'cannot provide negative value'],
    [{ extensions: { 'permit-pty': '' } }, 'extensions [permit-pty] are not on allowed list'],
    [{ cert_type: 'host' }, "cert_type 'host' is not allowed by role"],
    [{ cert_type: 'x' }, "cert_type must be either 'user' or 'host'"],
    [{ key_id: 'x' }, 'setting key_id is not allowed by role'],
  ])('%j is refused with what is wrong', async (given, message) => {
    const key =
      Object.keys(given).length === 0 || 'public_key' in given ? {} : { public_key: pair().publicLine };
    const { status, json } = await write('sign/web', { ...key, ...given });
    expect([status, json.errors[0]]).toEqual([400, expect.stringContaining(message)]);
  });

  test('nobody is told of a role that is not there, nor signed for by one for passwords', async () => {
    expect((await write('sign/no')).json.errors).toEqual(['Unknown role: no']);
    expect((await write('issue/no')).json.errors).toEqual(['unknown role: no']);
    await write('roles/door', { key_type: 'otp', default_user: 'u' });
    expect((await write('sign/door', { public_key: pair().publicLine })).json.errors).toEqual([
      "cert_type 'user' is not allowed by role",
    ]);
    expect((await write('issue/door')).json.errors).toEqual([
      "role key type 'otp' not allowed to issue key pairs",
    ]);
  });

  test('the name of the algorithm goes with an RSA authority alone', async () => {
    await write('roles/rsa', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: '*',
      algorithm_signer: 'rsa-sha2-512',
    });
    const asked = { public_key: pair().publicLine, valid_principals: 'a' };
    expect((await write('sign/rsa', asked)).json.errors[0]).toContain('algorithm_signer rsa-sha2-512');
    await remove('config/ca');
    expect((await write('sign/rsa', asked)).json.errors).toEqual(["keys haven't been configured yet"]);
    const { publicLine: line, privatePem: pem } = pair('rsa');
    await write('config/ca', { public_key: line, private_key: pem });
    expect(opened((await write('sign/rsa', asked)).json.data.signed_key).signature).toBe('rsa-sha2-512');
    expect(
      opened((await write('sign/web', { public_key: asked.public_key })).json.data.signed_key).signature,
    ).toBe('rsa-sha2-256');
  });
});

describe('one-time passwords', () => {
  beforeEach(async () => {
    await write('roles/door', {
      key_type: 'otp',
      default_user: 'ubuntu',
      cidr_list: '10.0.0.0/8',
      port: 2222,
    });
  });
  const verify = (otp: unknown) => write('verify', { otp }, nobody);
  const kept = async (): Promise<number> =>
    (await server.ask('LIST', 'sys/leases/lookup/ssh/creds/door')).json?.data?.keys?.length ?? 0;

  test('a password lets one in once, and the host needs no token to ask', async () => {
    const { status, json } = await write('creds/door', { ip: '::ffff:10.0.0.1' });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      renewable: false,
      data: { key_type: 'otp', username: 'ubuntu', ip: '10.0.0.1', port: 2222 },
    });
    expect(json.lease_id).toMatch(/^ssh\/creds\/door\//);
    const otp: string = json.data.key;
    expect(otp).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    for (const wrong of [otp.toUpperCase(), ` ${otp}`, `${otp}\n`, otp.slice(1), '', 7, '../ca'])
      if (wrong !== otp) expect((await verify(wrong)).json.errors).toEqual(['OTP not found']);
    expect((await verify(otp)).json.data).toEqual({ username: 'ubuntu', ip: '10.0.0.1', role_name: 'door' });
    expect((await verify(otp)).json.errors).toEqual(['OTP not found']);
  });

  test('of many who use a password at the same moment, one gets in', async () => {
    const otp = (await write('creds/door', { ip: '10.0.0.1' })).json.data.key;
    const answers = await Promise.all(Array.from({ length: 20 }, () => verify(otp)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test('the end of the lease, or its revocation, takes the password away', async () => {
    const first = (await write('creds/door', { ip: '10.0.0.1' })).json;
    expect(
      (await server.ask('POST', 'sys/leases/revoke', { lease_id: first.lease_id, sync: true })).status,
    ).toBe(204);
    expect((await verify(first.data.key)).json.errors).toEqual(['OTP not found']);
    expect((await server.ask('POST', 'sys/leases/renew', { lease_id: first.lease_id })).status).toBe(400);

    const second = (await write('creds/door', { ip: '10.0.0.1' })).json;
    expect(await kept()).toBe(1);
    clock.advance(second.lease_duration * 1000);
    expect((await verify(second.data.key)).json.errors).toEqual(['OTP not found']);
  });

  test('neither the store nor the lease holds the password', async () => {
    const { mount, storage } = mountForTest(ssh);
    const states: unknown[] = [];
    const reserve = async (_: string, state: unknown) => {
      states.push(state, ...(await storage.list('otp/')));
      return { id: 'lease', durationMs: 1000, renewable: false };
    };
    const what = { username: 'u', ip: '10.0.0.1', role: 'door' };
    const { otp } = await makeOtp(mount, new SshStore(mount), what, { reserve } as unknown as Call);
    expect(states, 'the lease comes first').toHaveLength(1);
    const [name = ''] = await storage.list('otp/');
    const value = Buffer.from((await storage.get(`otp/${name}`))?.value ?? []).toString();
    expect(value).toContain('"username":"u"');
    for (const text of [JSON.stringify(states), name, value]) expect(text).not.toContain(otp.slice(0, 13));
  });

  test.each([
    ['creds/door', {}, 'Missing ip'],
    ['creds/door', { ip: 'x' }, 'Invalid IP "x"'],
    ['creds/door', { ip: '11.0.0.1' }, 'Error validating IP: IP does not belong to role'],
    ['creds/door', { ip: '10.0.0.1', username: 'root' }, 'Username has to be either in allowed users list'],
    ['creds/no', { ip: '10.0.0.1' }, 'Role "no" not found'],
    ['lookup', {}, 'Missing ip'],
    ['lookup', { ip: 'x' }, 'Invalid IP "x"'],
    ['config/zeroaddress', {}, 'Missing roles'],
    ['config/zeroaddress', { roles: 'door,nope' }, 'Role "nope" does not exist'],
  ])('%s %j is refused, and no lease is left', async (path, given, message) => {
    const { status, json } = await write(path, given);
    expect([status, json.errors[0]]).toEqual([400, expect.stringContaining(message)]);
    expect(await kept()).toBe(0);
  });

  test('a role for all addresses is one until it is deleted, and not again when it is made anew', async () => {
    expect((await read('config/zeroaddress')).status).toBe(404);
    await write('config/zeroaddress', { roles: 'door' });
    expect((await read('config/zeroaddress')).json.data).toEqual({ roles: ['door'] });
    expect((await write('creds/door', { ip: '192.0.2.1' })).status).toBe(200);
    expect((await write('lookup', { ip: '192.0.2.1' })).json.data).toEqual({ roles: ['door'] });
    await remove('roles/door');
    expect((await read('config/zeroaddress')).json.data).toEqual({ roles: [] });
    await write('roles/door', { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' });
    expect((await write('creds/door', { ip: '192.0.2.1' })).status).toBe(400);
    expect((await write('lookup', { ip: '192.0.2.1' })).json.data).toEqual({ roles: null });
    expect((await write('lookup', { ip: '10.9.9.9' })).json.data).toEqual({ roles: ['door'] });
    expect((await remove('config/zeroaddress')).status).toBe(204);
  });

  test('a helper that looks whether the server is there is answered', async () => {
    expect((await verify('verify-echo-request')).json.data).toEqual({ message: 'verify-echo-response' });
  });
});
