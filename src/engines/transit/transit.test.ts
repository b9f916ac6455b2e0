import {
  createDecipheriv,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  verify as verifyWith,
} from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Code } from '../../base/codes.ts';
import { isFailure } from '../../base/errors.ts';
import { sealKey } from '../../crypto/keywrap.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { transit } from './index.ts';

let mount: TestMount;
beforeEach(() => {
  mount = mountForTest(transit, { path: 'transit/' });
});

const b64 = (text: string): string => Buffer.from(text).toString('base64');
const write = (path: string, data?: unknown) => mount.call('write', path, data);
const read = (path: string, data?: unknown) => mount.call('read', path, data);
const encrypt = async (name: string, text: string, more: object = {}): Promise<string> =>
  (await write(`encrypt/${name}`, { plaintext: b64(text), ...more })).data.ciphertext;
const decrypt = async (name: string, ciphertext: string, more: object = {}): Promise<string> =>
  Buffer.from((await write(`decrypt/${name}`, { ciphertext, ...more })).data.plaintext, 'base64').toString();

async function refusal(promise: Promise<unknown>): Promise<{ code: Code; message: string }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return { code: error.code, message: error.message };
}

describe('keys', () => {
  test('a key is told without its secrets, and making it again changes nothing', async () => {
    const made = await write('keys/app');
    expect(made.status).toBe(200);
    expect(made.data).toEqual({
      name: 'app',
      type: 'aes256-gcm96',
      derived: false,
      deletion_allowed: false,
      min_available_version: 0,
      min_decryption_version: 1,
      min_encryption_version: 0,
      latest_version: 1,
      exportable: false,
      allow_plaintext_backup: false,
      supports_encryption: true,
      supports_decryption: true,
      supports_signing: false,
      supports_derivation: true,
      auto_rotate_period: 0,
      imported_key: false,
      keys: { '1': Date.UTC(2026, 0, 1) / 1000 },
    });
    const again = await write('keys/app', { type: 'rsa-2048', exportable: true });
    expect(again.data).toEqual(made.data);
    expect(again.warnings).toEqual(['key app already existed']);
    expect((await mount.call('list', 'keys')).data).toEqual({ keys: ['app'] });
    expect((await read('keys/other')).status).toBe(404);
  });

  test('asymmetric keys tell their public keys', async () => {
    for (const [type, name] of [
      ['ecdsa-p256', 'P-256'],
      ['ecdsa-p521', 'P-521'],
      ['rsa-2048', 'rsa-2048'],
    ]) {
      const { keys } = (await write(`keys/${type}`, { type })).data;
      expect(keys['1']).toMatchObject({ name, creation_time: '2026-01-01T00:00:00.000Z' });
      expect(() => createPublicKey(keys['1'].public_key)).not.toThrow();
    }
    const { keys } = (await write('keys/ed', { type: 'ed25519' })).data;
    expect(Buffer.from(keys['1'].public_key, 'base64')).toHaveLength(32);
  });

  test.each([
    [{ type: 'aes512' }, 'unknown key type "aes512"'],
    [{ type: '<script>' }, 'unknown key type "?"'],
    [{ type: '__proto__' }, 'unknown key type "__proto__"'],
    [
      { type: 'rsa-2048', derived: true },
      'key derivation and convergent encryption not supported for keys of type rsa-2048',
    ],
    [{ convergent_encryption: true }, 'convergent encryption requires derivation to be enabled'],
    [{ type: 'hmac', key_size: 31 }, 'invalid key_size: must be between 32 and 512 bytes'],
    [{ key_size: 32 }, 'key_size is not valid for this key type'],
    [{ auto_rotate_period: '59m' }, 'auto rotate period must be 0 to disable or at least an hour'],
  ])('%j makes no key', async (wanted, message) => {
    expect(await refusal(write('keys/app', wanted))).toEqual({ code: 'transit.key', message });
    expect((await mount.call('list', 'keys')).status).toBe(404);
  });

  test.each(['-a', 'a-', '.a', 'a b', 'a:b', `${'a'.repeat(257)}`])('%s is no name', async (name) => {
    expect(await refusal(write(`keys/${name}`))).toMatchObject({ code: 'transit.name' });
    expect(await refusal(write(`encrypt/${name}`, { plaintext: '' }))).toMatchObject({
      code: 'transit.name',
    });
  });

  test('a key is deleted only where that was allowed, and its bytes go with it', async () => {
    await write('keys/app');
    await write('keys/app/rotate');
    expect(await refusal(mount.call('delete', 'keys/app'))).toEqual({
      code: 'transit.not_deletable',
      message: 'deletion is not allowed for this key',
    });
    await write('keys/app/config', { deletion_allowed: true });
    expect((await mount.call('delete', 'keys/app')).status).toBe(204);
    const left: string[] = [];
    for await (const entry of mount.storage.scan('', new AbortController().signal)) left.push(entry.key);
    expect(left).toEqual([]);
    expect(await refusal(mount.call('delete', 'keys/app'))).toMatchObject({
      message: 'could not delete key; not found',
    });
  });

  test('a key of a name that was deleted opens nothing of the old one', async () => {
    const old = await encrypt('app', 'x');
    await write('keys/app/config', { deletion_allowed: true });
    await mount.call('delete', 'keys/app');
    await write('keys/app');
    expect(await refusal(decrypt('app', old))).toMatchObject({ code: 'transit.no_match' });
  });
});

describe('versions', () => {
  test.each([
    [{ min_decryption_version: -1 }, 'min decryption version cannot be negative'],
    [{ min_decryption_version: 4 }, 'cannot set min decryption version of 4, latest key version is 3'],
    [{ min_encryption_version: 4 }, 'cannot set min encryption version of 4, latest key version is 3'],
    [
      { min_decryption_version: 3, min_encryption_version: 2 },
      'cannot set min encryption/decryption values; min encryption version of 2 must be greater than or equal to min decryption version of 3',
    ],
  ])('%j is refused and changes nothing', async (config, message) => {
    await write('keys/app');
    await write('keys/app/rotate');
    const before = (await write('keys/app/rotate')).data;
    expect(await refusal(write('keys/app/config', config))).toEqual({ code: 'transit.key', message });
    expect((await read('keys/app')).data).toEqual(before);
  });

  test('trimming wants both least versions set, never goes back, and deletes the bytes', async () => {
    await write('keys/app');
    const old = await encrypt('app', 'one');
    await write('keys/app/rotate');
    await write('keys/app/rotate');
    const trim = (version?: number) => write('keys/app/trim', { min_available_version: version });
    expect(await refusal(trim())).toMatchObject({ message: 'missing min_available_version' });
    expect(await refusal(trim(1))).toMatchObject({
      message: 'minimum available version cannot be set when minimum encryption version is not set',
    });
    await write('keys/app/config', { min_decryption_version: 2, min_encryption_version: 3 });
    expect(await refusal(trim(3))).toMatchObject({
      message: 'minimum available version cannot be higher than minimum decryption version',
    });
    expect((await trim(2)).data).toMatchObject({ min_available_version: 2, latest_version: 3 });
    expect(await refusal(trim(1))).toMatchObject({
      message: 'minimum available version cannot be decremented',
    });
    expect(await refusal(write('keys/app/config', { min_decryption_version: 1 }))).toMatchObject({
      message: 'min decryption version should not be less then min available version',
    });
    expect(await refusal(decrypt('app', old))).toMatchObject({ code: 'transit.too_old' });
    const left: string[] = [];
    for await (const entry of mount.storage.scan('material/', new AbortController().signal))
      left.push(entry.key.slice(-2));
    expect(left).toEqual(['/2', '/3']);
  });

  test('what may be exported once may be for ever', async () => {
    await write('keys/app', { exportable: true, allow_plaintext_backup: true });
    const { data } = await write('keys/app/config', { exportable: false, allow_plaintext_backup: false });
    expect(data).toMatchObject({ exportable: true, allow_plaintext_backup: true });
  });

  test('two who rotate at once get two versions', async () => {
    await write('keys/app');
    const numbers = await Promise.all(
      Array.from({ length: 8 }, async () => (await write('keys/app/rotate')).data.latest_version),
    );
    expect(numbers.sort()).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('a key rotates by itself when its period is over, once, and not before', async () => {
    await write('keys/app', { auto_rotate_period: '2h' });
    await write('keys/still');
    const tick = async () => (await mount.plugin.tick?.())?.getTime() ?? 0;
    const hour = 3_600_000;
    expect(await tick()).toBe(mount.clock.now() + hour);
    mount.clock.advance(2 * hour - 1);
    expect(await tick()).toBe(mount.clock.now() + 1);
    expect((await read('keys/app')).data.latest_version).toBe(1);
    mount.clock.advance(1);
    await Promise.all([tick(), tick()]);
    expect((await read('keys/app')).data.latest_version).toBe(2);
    expect((await read('keys/still')).data.latest_version).toBe(1);
    await write('keys/app/config', { auto_rotate_period: 0 });
    mount.clock.advance(9 * hour);
    await tick();
    expect((await read('keys/app')).data.latest_version).toBe(2);
  });
});

describe('encryption', () => {
  test('the ciphertext is vault:vN: and base64 of nonce, ciphertext and tag, as other servers read it', async () => {
    await write('keys/app', { exportable: true });
    const ciphertext = await encrypt('app', 'text', { associated_data: b64('bound') });
    const key = Buffer.from((await read('export/encryption-key/app')).data.keys['1'], 'base64');
    expect(ciphertext).toMatch(/^vault:v1:/);
    const sealed = Buffer.from(ciphertext.slice('vault:v1:'.length), 'base64');
    expect(sealed).toHaveLength(12 + 4 + 16);
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
    decipher.setAAD(Buffer.from('bound'));
    decipher.setAuthTag(sealed.subarray(-16));
    expect(Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString()).toBe(
      'text',
    );
  });

  test('convergent encryption is the scheme of version 3: key and nonce key by HKDF, nonce by HMAC', async () => {
    await write('keys/app', { exportable: true, derived: true, convergent_encryption: true });
    const key = Buffer.from((await read('export/encryption-key/app')).data.keys['1'], 'base64');
    const both = Buffer.from(hkdfSync('sha256', key, '', 'context', 64));
    const sealed = Buffer.from(
      (await encrypt('app', 'text', { context: b64('context') })).slice(9),
      'base64',
    );
    const nonce = createHmac('sha256', both.subarray(32)).update('text').digest().subarray(0, 12);
    expect(sealed.subarray(0, 12)).toEqual(nonce);
    const decipher = createDecipheriv('aes-256-gcm', both.subarray(0, 32), nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    expect(Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString()).toBe(
      'text',
    );
  });

  test('a nonce never serves two kinds of associated data, and no plaintext can spell out the frame', async () => {
    await write('keys/app', { derived: true, convergent_encryption: true });
    const nonceOf = async (text: string, bound: string): Promise<string> =>
      Buffer.from(
        (await encrypt('app', text, { context: b64('c'), associated_data: b64(bound) })).slice(9),
        'base64',
      ).toString('hex', 0, 12);
    const length = '\0\0\0\0\0\0\0\x01';
    const nonces = [
      await nonceOf('text', ''),
      await nonceOf('text', 'a'),
      await nonceOf('text', 'b'),
      await nonceOf('xt', 'te'),
      await nonceOf(`${length}atext`, ''),
      await nonceOf(`nonces over associated data${length}atext`, ''),
    ];
    expect(new Set(nonces).size).toBe(nonces.length);
    expect(await nonceOf('text', 'a')).toBe(nonces[1]);
  });

  test('encrypting makes the key that is missing, as policy is told, unless that was switched off', async () => {
    expect(await mount.exists('encrypt/app')).toBe(false);
    await encrypt('app', 'x');
    expect(await mount.exists('encrypt/app')).toBe(true);
    await encrypt('ctx', 'x', { context: b64('c'), convergent_encryption: true });
    expect((await read('keys/ctx')).data).toMatchObject({
      derived: true,
      convergent_encryption: true,
      kdf: 'hkdf_sha256',
    });
    expect((await write('config/keys', { disable_upsert: true })).data).toEqual({ disable_upsert: true });
    expect(await refusal(encrypt('other', 'x'))).toEqual({
      code: 'transit.no_encryption_key',
      message: 'encryption key not found',
    });
    expect((await mount.call('list', 'keys')).data).toEqual({ keys: ['app', 'ctx'] });
  });

  test.each([
    [{ type: 'ed25519' }, 'message encryption not supported for key type ed25519'],
    [
      { convergent_encryption: true },
      'convergent encryption requires derivation to be enabled, so context is required',
    ],
    [{ batch_input: [] }, 'missing batch input to process'],
    [
      { batch_input: [{ plaintext: '', context: 'Yw==' }, { plaintext: '' }] },
      'context should be set either in all the request blocks or in none',
    ],
  ])('%j makes no key by encrypting', async (more, message) => {
    expect(await refusal(write('encrypt/app', { plaintext: '', ...more }))).toMatchObject({ message });
    expect((await read('keys/app')).status).toBe(404);
  });

  test.each([
    ['', 'missing ciphertext to decrypt'],
    ['abc', 'invalid ciphertext: no prefix'],
    ['vault:v1', 'invalid ciphertext: wrong number of fields'],
    ['vault:v1:YQ==:YQ==', 'invalid ciphertext: wrong number of fields'],
    ['vault:vx:YQ==', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v-1:YQ==', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v1e1:YQ==', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v3:YQ==', 'invalid ciphertext: version is too new'],
    ['vault:v99999999999:YQ==', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v1:!!', 'invalid ciphertext: could not decode base64'],
    ['vault:v1:YQ==', 'cipher: message authentication failed'],
    ['vault:v2:', 'cipher: message authentication failed'],
  ])('%j is not decrypted: %s', async (ciphertext, message) => {
    await write('keys/app');
    await write('keys/app/rotate');
    expect(await refusal(write('decrypt/app', { ciphertext }))).toMatchObject({ message });
    expect(await refusal(write('rewrap/app', { ciphertext }))).toMatchObject({ message });
    const batch = await write('decrypt/app', { batch_input: [{ ciphertext, reference: 'r' }] });
    expect(batch).toMatchObject({
      status: 400,
      data: { batch_results: [{ error: message, reference: 'r' }] },
    });
  });

  test.each([
    [{}, 'transit.field', 'missing plaintext to encrypt'],
    [{ plaintext: 'plain text' }, 'transit.base64', 'failed to base64-decode plaintext'],
    [{ plaintext: '', context: '!' }, 'transit.base64', 'failed to base64-decode context'],
    [{ plaintext: '', associated_data: '!' }, 'transit.base64', 'failed to base64-decode associated_data'],
    [
      { plaintext: '', nonce: 'YWJjZGVmZ2hpamts' },
      'transit.field',
      'provided nonce not allowed for this key',
    ],
    [{ plaintext: '', key_version: -1 }, 'transit.version', 'requested version for encryption is negative'],
    [
      { plaintext: '', key_version: 4 },
      'transit.version',
      'requested version for encryption is higher than the latest key version',
    ],
    [
      { plaintext: '', key_version: 1 },
      'transit.version',
      'requested version for encryption is less than the minimum encryption key version',
    ],
  ])('%j is not encrypted', async (given, code, message) => {
    await write('keys/app');
    await write('keys/app/rotate');
    await write('keys/app/config', { min_encryption_version: 2 });
    expect(await refusal(write('encrypt/app', given))).toEqual({ code, message });
  });

  test('a derived key wants its context, and another context opens nothing', async () => {
    await write('keys/app', { derived: true });
    const ciphertext = await encrypt('app', 'x', { context: b64('one') });
    expect(await decrypt('app', ciphertext, { context: b64('one') })).toBe('x');
    expect(await refusal(decrypt('app', ciphertext, { context: b64('two') }))).toMatchObject({
      code: 'transit.no_match',
    });
    expect(await refusal(decrypt('app', ciphertext))).toMatchObject({ code: 'transit.context' });
    expect((await refusal(encrypt('app', 'x'))).message).toMatch(/^missing 'context' for key derivation/);
  });

  test('base64 with line ends, as a shell writes it, is read', async () => {
    const answer = await write('encrypt/app', { plaintext: 'dGV4\ndA==\n' });
    expect(await decrypt('app', answer.data.ciphertext)).toBe('text');
  });

  test('RSA encrypts what fits, takes no associated data, and keeps to its own kind of failure', async () => {
    await write('keys/rsa', { type: 'rsa-2048' });
    expect(await decrypt('rsa', await encrypt('rsa', 'x'.repeat(190)))).toBe('x'.repeat(190));
    expect(await refusal(encrypt('rsa', 'x'.repeat(191)))).toMatchObject({
      message: 'message too long for RSA key size',
    });
    expect(await refusal(encrypt('rsa', 'x', { associated_data: 'YQ==' }))).toMatchObject({
      message: 'associated_data provided for non-AEAD cipher suite rsa-2048',
    });
    expect(
      await refusal(decrypt('rsa', `vault:v1:${Buffer.alloc(256, 1).toString('base64')}`)),
    ).toMatchObject({
      message: 'invalid ciphertext: unable to decrypt',
    });
  });

  test('a data key is given in plain or not, and opens to what it is', async () => {
    await write('keys/app');
    const { data } = await write('datakey/plaintext/app', { bits: 512 });
    expect(Buffer.from(data.plaintext, 'base64')).toHaveLength(64);
    const opened = await write('decrypt/app', { ciphertext: data.ciphertext });
    expect(opened.data.plaintext).toBe(data.plaintext);
    expect(Object.keys((await write('datakey/wrapped/app')).data)).toEqual(['ciphertext', 'key_version']);
    expect(await refusal(write('datakey/plaintext/app', { bits: 100 }))).toMatchObject({
      message: 'invalid bit length',
    });
    expect(await refusal(write('datakey/both/app'))).toMatchObject({ code: 'transit.field' });
    expect(await refusal(write('datakey/wrapped/none'))).toMatchObject({ code: 'transit.no_encryption_key' });
  });
});

describe('batches', () => {
  test('a batch with one bad item answers 400, with every result', async () => {
    await write('keys/app');
    const input = [{ plaintext: b64('a'), reference: 'first' }, { plaintext: '!' }];
    const mixed = await write('encrypt/app', { batch_input: input });
    expect(mixed.status).toBe(400);
    expect(mixed.data.batch_results).toEqual([
      { ciphertext: expect.stringMatching(/^vault:v1:/), key_version: 1, reference: 'first' },
      { error: 'failed to base64-decode plaintext', reference: '' },
    ]);
    const told = { batch_input: input, partial_failure_response_code: 207 };
    expect((await write('encrypt/app', told)).status).toBe(207);
    const odd = await write('encrypt/app', { ...told, partial_failure_response_code: 204 });
    expect(odd).toMatchObject({ status: 400, warnings: [expect.stringContaining('using default')] });
    const none = { batch_input: [{ plaintext: '!' }], partial_failure_response_code: 200 };
    expect((await write('encrypt/app', none)).status).toBe(400);
    expect(await refusal(write('decrypt/app', { batch_input: [] }))).toMatchObject({
      message: 'missing batch input to process',
    });
  });

  test('a failure that is not the item’s own fails the whole request', async () => {
    let broken = false;
    mount = mountForTest(transit, {
      wrap: (storage) => ({
        ...storage,
        get: async (key) => {
          if (broken && key.startsWith('material/')) throw new Error('the medium failed');
          return storage.get(key);
        },
        list: storage.list.bind(storage),
        scan: storage.scan.bind(storage),
        commit: storage.commit.bind(storage),
      }),
    });
    await write('keys/app');
    broken = true;
    await expect(write('encrypt/app', { batch_input: [{ plaintext: '' }] })).rejects.toThrow(
      'the medium failed',
    );
  });
});

describe('signatures and HMACs', () => {
  const input = b64('message');

  test.each([
    ['ecdsa-p256', {}],
    ['ecdsa-p384', { hash_algorithm: 'sha2-384', marshaling_algorithm: 'jws' }],
    ['ecdsa-p521', { hash_algorithm: 'sha3-512' }],
    ['ed25519', {}],
    ['ed25519', { marshaling_algorithm: 'jws' }],
    ['rsa-2048', {}],
    ['rsa-2048', { signature_algorithm: 'pkcs1v15', hash_algorithm: 'sha1' }],
    ['rsa-2048', { salt_length: 'hash' }],
    ['rsa-2048', { salt_length: 20 }],
  ])('%s signs with %j, and only that message verifies', async (type, how) => {
    await write('keys/app', { type });
    const { data } = await write('sign/app', { input, ...how });
    expect(data.signature).toMatch(/^vault:v1:/);
    const verify = async (more: object) =>
      (await write('verify/app', { input, signature: data.signature, ...how, ...more })).data;
    expect(await verify({})).toEqual({ valid: true });
    expect(await verify({ input: b64('other') })).toEqual({ valid: false });
    await write('keys/app/rotate');
    expect(await verify({})).toEqual({ valid: true });
    expect(await verify({ signature: data.signature.replace('v1', 'v2') })).toEqual({ valid: false });
  });

  test('a signature stands before OpenSSL with the public key that is told', async () => {
    const { data: key } = await write('keys/app', { type: 'ecdsa-p256' });
    const { data } = await write('sign/app/sha2-512', { input });
    const signature = Buffer.from(data.signature.slice(9), 'base64');
    expect(verifyWith('sha512', Buffer.from('message'), key.keys['1'].public_key, signature)).toBe(true);
  });

  test('a derived Ed25519 key signs for its context, and tells that context’s public key', async () => {
    await write('keys/app', { type: 'ed25519', derived: true });
    const { data } = await write('sign/app', { input, context: b64('one') });
    const { data: key } = await read('keys/app', { context: b64('one') });
    expect(key.keys['1'].public_key).toBe(data.public_key);
    expect((await read('keys/app')).data.keys['1'].public_key).toBe('');
    const verify = async (context: string) =>
      (await write('verify/app', { input, signature: data.signature, context: b64(context) })).data.valid;
    expect(await verify('one')).toBe(true);
    expect(await verify('two')).toBe(false);
    expect(await refusal(write('sign/app', { input }))).toMatchObject({ code: 'transit.context' });
  });

  test.each([
    ['sign/app', { input, hash_algorithm: 'md5' }, 'unsupported hash algorithm'],
    ['sign/app/md5', { input }, 'unsupported hash algorithm'],
    ['sign/app/toString', { input }, 'unsupported hash algorithm'],
    ['sign/app', { input, signature_algorithm: 'pss2' }, 'invalid signature algorithm'],
    ['sign/app', { input, marshaling_algorithm: 'xml' }, 'invalid marshaling type'],
    ['sign/app', { input, salt_length: 'long' }, 'salt_length must be'],
    ['sign/app', {}, 'missing input'],
    ['sign/app', { input: '!' }, 'failed to base64-decode input'],
    ['sign/app', { input, prehashed: true }, 'prehashed input must be 32 bytes long'],
    ['sign/app', { input, key_version: 2 }, 'requested version for signing is higher'],
    ['sign/aes', { input }, 'message signing not supported for key type aes256-gcm96'],
    ['sign/none', { input }, 'signing key not found'],
    ['verify/none', { input }, 'signature verification key not found'],
    ['verify/app', { input }, "neither a 'signature' nor an 'hmac'"],
    ['verify/app', { input, signature: 'a', hmac: 'b' }, "provide one of 'signature' or 'hmac'"],
    ['verify/app', { input, signature: 'a' }, 'invalid signature: no prefix'],
    ['verify/app', { input, signature: 'vault:v2:YQ==' }, 'invalid signature: version is too new'],
    ['verify/app', { input, signature: 'vault:v1:!' }, 'invalid signature: could not decode base64'],
    ['verify/app', { input, hmac: 'vault:v9:YQ==' }, 'invalid HMAC: version is too new'],
    ['hmac/app', {}, 'missing input for HMAC'],
    ['hmac/app/none', { input }, 'unsupported hash algorithm'],
  ])('%s with %j is refused', async (path, given, message) => {
    await write('keys/app', { type: 'ecdsa-p256' });
    await write('keys/aes');
    expect((await refusal(write(path, given))).message).toContain(message);
  });

  test('HMACs are the standard’s, by version, under a key of their own', async () => {
    await write('keys/app', { exportable: true });
    const { data } = await write('hmac/app/sha2-512', { input });
    const key = Buffer.from((await read('export/hmac-key/app/1')).data.keys['1'], 'base64');
    expect(key.toString('base64')).not.toBe((await read('export/encryption-key/app/1')).data.keys['1']);
    expect(data.hmac).toBe(`vault:v1:${createHmac('sha512', key).update('message').digest('base64')}`);
    await write('keys/app/rotate');
    expect((await write('hmac/app', { input })).data.hmac).toMatch(/^vault:v2:/);
    const verify = async (more: object) =>
      (await write('verify/app/sha2-512', { input, hmac: data.hmac, ...more })).data.valid;
    expect(await verify({})).toBe(true);
    expect(await verify({ input: '' })).toBe(false);
    expect(await verify({ hmac: 'vault:v1:YQ==' })).toBe(false);
    await write('keys/app/config', { min_decryption_version: 2 });
    expect(await refusal(verify({}))).toMatchObject({ code: 'transit.too_old' });
  });

  test('an hmac key is as long as it was asked to be, and is the one that is exported', async () => {
    const { data: key } = await write('keys/mac', { type: 'hmac', key_size: 64, exportable: true });
    expect(key).toMatchObject({ key_size: 64, supports_encryption: false, supports_signing: false });
    const secret = Buffer.from((await read('export/hmac-key/mac')).data.keys['1'], 'base64');
    expect(secret).toHaveLength(64);
    const { data } = await write('hmac/mac', { input });
    expect(data.hmac).toBe(`vault:v1:${createHmac('sha256', secret).update('message').digest('base64')}`);
  });
});

describe('keys that leave', () => {
  test('only the public half of a key leaves unless it is exportable', async () => {
    await write('keys/app', { type: 'rsa-2048' });
    for (const what of ['encryption-key', 'signing-key', 'hmac-key'])
      expect(await refusal(read(`export/${what}/app`))).toEqual({
        code: 'transit.export',
        message: 'private key material is not exportable',
      });
    expect((await read('export/public-key/app')).data.keys['1']).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(await refusal(read('backup/app'))).toMatchObject({
      message: 'exporting is disallowed on the policy',
    });
    expect((await read('export/public-key/none')).status).toBe(404);
  });

  test.each([
    ['export/secret/app', 'invalid export type'],
    ['export/signing-key/app', 'signing not supported for the key'],
    ['export/public-key/app', 'unknown key type aes256-gcm96 for export type public-key'],
    ['export/encryption-key/app/x', 'invalid key version'],
    ['export/encryption-key/app/3', 'version does not exist or cannot be found'],
    ['export/encryption-key/app/1', 'version for export is below minimum decryption version'],
  ])('%s is refused', async (path, message) => {
    await write('keys/app', { exportable: true });
    await write('keys/app/rotate');
    await write('keys/app/config', { min_decryption_version: 2 });
    expect((await refusal(read(path))).message).toContain(message);
    expect(Object.keys((await read('export/encryption-key/app')).data.keys)).toEqual(['2']);
    expect(Object.keys((await read('export/encryption-key/app/latest')).data.keys)).toEqual(['2']);
  });

  test.each(['aes256-gcm96', 'ecdsa-p384', 'ed25519', 'rsa-2048', 'hmac'])(
    'a %s key comes back from its backup whole, under another name too',
    async (type) => {
      await write('keys/app', { type, exportable: true, allow_plaintext_backup: true });
      await write('keys/app/rotate');
      const { data: mac } = await write('hmac/app', { input: b64('m'), key_version: 1 });
      const { backup } = (await read('backup/app')).data;
      expect(await refusal(write('restore', { backup }))).toMatchObject({
        message: 'the backup cannot be restored: key "app" already exists'.replace(
          'the backup cannot be restored: ',
          '',
        ),
      });
      await write('restore/copy', { backup });
      expect({ ...(await read('keys/copy')).data, name: 'app' }).toEqual((await read('keys/app')).data);
      expect((await write('hmac/copy', { input: b64('m'), key_version: 1 })).data).toEqual(mac);
      expect((await write('restore/copy', { backup, force: true })).status).toBe(204);
      expect((await write('verify/copy', { input: b64('m'), hmac: mac.hmac })).data.valid).toBe(true);
    },
  );

  test('what is no backup of ours is not restored, and nothing of it is told', async () => {
    await write('keys/app', { exportable: true, allow_plaintext_backup: true });
    const text = Buffer.from((await read('backup/app')).data.backup, 'base64').toString();
    const whole = JSON.parse(text);
    const bad: unknown[] = [
      null,
      [],
      {},
      { ...whole, latest: 2 },
      { ...whole, minDecryption: 2 },
      { ...whole, type: 'rsa-2048' },
      { ...whole, more: 1 },
      { ...whole, versions: { ...whole.versions, 7: whole.versions['1'] } },
      { ...whole, versions: { 1: { ...whole.versions['1'], key: b64('canary-secret') } } },
      { ...whole, convergent: true },
    ];
    for (const each of bad) {
      const { message } = await refusal(write('restore/copy', { backup: b64(JSON.stringify(each)) }));
      expect(message).not.toContain('canary');
    }
    expect(await refusal(write('restore/copy', { backup: b64('{') }))).toMatchObject({
      code: 'transit.backup',
    });
    expect(await refusal(write('restore/-', { backup: b64(text) }))).toMatchObject({ code: 'transit.name' });
    expect((await mount.call('list', 'keys')).data).toEqual({ keys: ['app'] });
  });
});

describe('keys that come in', () => {
  const wrapping = async (): Promise<Buffer> =>
    createPublicKey((await read('wrapping_key')).data.public_key).export({ format: 'der', type: 'spki' });

  test('a key that was wrapped for this server is taken, rotated only where that was allowed', async () => {
    const key = Buffer.alloc(32, 9);
    const rsa = await wrapping();
    const ciphertext = sealKey(rsa, key, 'sha2-256').toString('base64');
    expect(
      (await write('keys/app/import', { ciphertext, type: 'aes256-gcm96', exportable: true })).status,
    ).toBe(204);
    expect((await read('export/encryption-key/app')).data.keys['1']).toBe(key.toString('base64'));
    expect((await read('keys/app')).data).toMatchObject({
      imported_key: true,
      imported_key_allow_rotation: false,
    });
    expect(await refusal(write('keys/app/rotate'))).toMatchObject({
      message: 'imported key app does not allow rotation within Vault',
    });
    const next = sealKey(rsa, Buffer.alloc(32, 8), 'sha2-512').toString('base64');
    await write('keys/app/import_version', { ciphertext: next, hash_function: 'SHA512' });
    expect((await read('keys/app')).data.latest_version).toBe(2);
    expect(await decrypt('app', await encrypt('app', 'x', { key_version: 1 }))).toBe('x');

    for (const [path, given, message] of [
      ['app/import', { ciphertext }, 'the import path cannot be used with an existing key'],
      ['two/import', { ciphertext, type: 'aes128-gcm96' }, 'the unwrapped key is not one of this key type'],
      ['two/import', { ciphertext: b64('nonsense') }, 'the ciphertext does not open'],
      ['two/import', { ciphertext, hash_function: 'SHA1' }, 'the ciphertext does not open'],
      ['two/import', { ciphertext, hash_function: 'MD5' }, 'unsupported hash function'],
      ['two/import', {}, 'only one of the following fields'],
      ['two/import', { ciphertext, auto_rotate_period: '2h' }, 'allow_rotation must be set to true'],
      ['two/import_version', { ciphertext }, 'no key found with name two'],
    ] as const)
      expect((await refusal(write(`keys/${path}`, given))).message).toContain(message);
    await write('keys/made');
    expect((await refusal(write('keys/made/import_version', { ciphertext }))).message).toContain(
      'can only be used with an imported key',
    );
    expect((await mount.call('list', 'keys')).data).toEqual({ keys: ['app', 'made'] });
  }, 30_000);

  test('a public key verifies alone, and is completed by its private half and no other', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const public_key = pair.publicKey.export({ format: 'pem', type: 'spki' });
    await write('keys/app/import', { public_key, type: 'ecdsa-p256' });
    const why = 'does not contain a private part';
    expect((await refusal(write('sign/app', { input: '' }))).message).toContain(why);
    expect((await refusal(write('hmac/app', { input: '' }))).message).toContain(why);
    const rsa = await wrapping();
    const half = (key: typeof pair) =>
      sealKey(rsa, key.privateKey.export({ format: 'der', type: 'pkcs8' }), 'sha2-256').toString('base64');
    expect(
      (await refusal(write('keys/app/import_version', { ciphertext: half(other), version: 1 }))).message,
    ).toContain('does not belong');
    await write('keys/app/import_version', { ciphertext: half(pair), version: 1 });
    const { signature } = (await write('sign/app', { input: b64('m') })).data;
    expect((await write('verify/app', { input: b64('m'), signature })).data.valid).toBe(true);
  }, 30_000);

  test('a key goes from one server to another without being seen', async () => {
    const rsa = await wrapping();
    await write('keys/app', { exportable: true });
    const pem = createPublicKey({ key: rsa, format: 'der', type: 'spki' }).export({
      format: 'pem',
      type: 'spki',
    });
    await write('keys/there/import', { public_key: pem, type: 'rsa-4096' });
    const { keys } = (await read('byok-export/there/app')).data;
    await write('keys/copy/import', { ciphertext: keys['1'] });
    expect(await decrypt('copy', await encrypt('app', 'x'))).toBe('x');
    await write('keys/closed');
    expect(await refusal(read('byok-export/there/closed'))).toMatchObject({
      message: 'private key material is not exportable',
    });
    expect(await refusal(read('byok-export/app/app'))).toMatchObject({
      message: 'the destination key must be an RSA key',
    });
  }, 30_000);
});

test('random bytes and hashes need no key', async () => {
  expect(Buffer.from((await write('random/16')).data.random_bytes, 'base64')).toHaveLength(16);
  expect((await write('random/platform/4', { format: 'hex' })).data.random_bytes).toMatch(/^[0-9a-f]{8}$/);
  expect(await refusal(write('random/0'))).toMatchObject({ code: 'transit.field' });
  expect(await refusal(write('random/131073'))).toMatchObject({ code: 'transit.field' });
  expect((await write('hash/sha2-256', { input: b64('abc') })).data.sum).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

test('the cache that is not there says so', async () => {
  expect((await read('cache-config')).data).toEqual({ size: 0 });
  expect(await write('cache-config', { size: 500 })).toMatchObject({
    data: { size: 500 },
    warnings: [expect.stringContaining('no keys in a cache')],
  });
  expect(await refusal(write('cache-config', { size: 5 }))).toMatchObject({ code: 'transit.field' });
});

test('no event, no log line and no stored record of a key carries a secret', async () => {
  await write('keys/app', { type: 'hmac', exportable: true });
  const secret = (await read('export/hmac-key/app')).data.keys['1'];
  await encrypt('box', 'canary-plaintext');
  const records: string[] = [];
  for await (const entry of mount.storage.scan('key/', new AbortController().signal))
    records.push(Buffer.from(entry.value).toString());
  const told = JSON.stringify([mount.events, mount.logged, records]);
  expect(records).toHaveLength(2);
  expect(told).not.toContain(secret);
  expect(told).not.toContain('canary');
});
