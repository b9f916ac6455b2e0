import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { fromBase32 } from '../../base/base32.ts';
import type { Code } from '../../base/codes.ts';
import { isFailure } from '../../base/errors.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { totp } from './index.ts';

let mount: TestMount;
beforeEach(() => {
  mount = mountForTest(totp, { path: 'totp/' });
});

const write = (path: string, data?: unknown) => mount.call('write', path, data);
const read = (path: string) => mount.call('read', path);
const codeOf = async (name: string): Promise<string> => (await read(`code/${name}`)).data.code;
const KEY = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

async function refusal(promise: Promise<unknown>): Promise<{ code: Code; message: string }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return { code: error.code, message: error.message };
}

describe('keys', () => {
  test('a generated key is told once, as a URL and a picture, and never again', async () => {
    const made = await write('keys/app', { generate: true, issuer: 'Acme Co', account_name: 'bob@x.y' });
    expect(made.status).toBe(200);
    const url: string = made.data.url;
    const secret = new URL(url).searchParams.get('secret') ?? '';
    expect(url).toBe(
      `otpauth://totp/Acme%20Co:bob@x.y?algorithm=SHA1&digits=6&issuer=Acme%20Co&period=30&secret=${secret}`,
    );
    expect(fromBase32(secret)).toHaveLength(20);
    expect(Buffer.from(made.data.barcode, 'base64').readUInt32BE(16)).toBe(200);
    const told = await read('keys/app');
    expect(told.data).toEqual({
      issuer: 'Acme Co',
      account_name: 'bob@x.y',
      period: 30,
      algorithm: 'SHA1',
      digits: 6,
    });
  });

  test('without a size there is no picture, and what is not exported is told to nobody', async () => {
    const asked = { generate: true, issuer: 'A', account_name: 'b' };
    expect(Object.keys((await write('keys/a', { ...asked, qr_size: 0 })).data)).toEqual(['url']);
    expect(await write('keys/a', { ...asked, exported: false })).toMatchObject({ status: 204, data: null });
  });

  test('a key that cannot be drawn is not kept', async () => {
    const asked = { generate: true, issuer: 'A', account_name: 'b', qr_size: 10 };
    expect((await refusal(write('keys/a', asked))).message).toContain('can not scale barcode');
    expect((await read('keys/a')).status).toBe(404);
  });

  test('a URL that was told can be brought along elsewhere, and both give the same codes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          issuer: fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
          account_name: fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
          algorithm: fc.constantFrom('SHA1', 'SHA256', 'SHA512'),
          digits: fc.constantFrom(6, 8),
          period: fc.integer({ min: 1, max: 100_000 }),
          key_size: fc.integer({ min: 1, max: 64 }),
        }),
        async (asked) => {
          const { url } = (await write('keys/here', { ...asked, generate: true, qr_size: 0 })).data;
          await write('keys/there', { url });
          expect(await codeOf('there')).toBe(await codeOf('here'));
          const told = (await read('keys/there')).data;
          expect(told).toMatchObject({ issuer: asked.issuer, period: asked.period, digits: asked.digits });
          // Where the issuer holds a colon, a reader of the label cannot know where it ends: why there is a member for it.
          if (!asked.issuer.includes(':')) expect(told.account_name).toBe(asked.account_name);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('half a pair of a name that JSON can say and UTF-8 cannot is told as what it is not', async () => {
    const asked = { generate: true, issuer: 'A\ud800', account_name: 'b', qr_size: 0 };
    expect((await write('keys/a', asked)).data.url).toContain('A%EF%BF%BD:b');
  });

  test('a URL of an app is read: its issuer from the member or the label, its numbers from the query', async () => {
    await write('keys/b', {
      url: `otpauth://totp/Google:test@gmail.com?secret=${KEY}&issuer=Vault&digits=8&period=60`,
      digits: 6,
    });
    expect((await read('keys/b')).data).toEqual({
      issuer: 'Vault',
      account_name: 'test@gmail.com',
      period: 60,
      algorithm: 'SHA1',
      digits: 8,
    });
    await write('keys/b', { url: `otpauth://totp/Google:x?secret=${KEY}` });
    expect((await read('keys/b')).data).toMatchObject({ issuer: 'Google', account_name: 'x' });
  });

  test.each([
    [{}, 'the key value is required'],
    [{ generate: true, key: KEY }, 'a key should not be passed if generate is true'],
    [{ generate: true, url: 'otpauth://totp/a' }, 'a url should not be passed if generate is true'],
    [{ generate: true, issuer: 'A' }, 'the account_name value is required for generated keys'],
    [{ generate: true, account_name: 'A' }, 'the issuer value is required for generated keys'],
    [{ key: KEY, digits: 7 }, 'the digits value can only be 6 or 8'],
    [{ key: KEY, algorithm: 'sha1' }, 'the algorithm value is not valid'],
    [{ key: KEY, algorithm: 'toString' }, 'the algorithm value is not valid'],
    [{ key: KEY, period: 0 }, 'the period value must be greater than zero'],
    [{ key: KEY, period: '-30s' }, 'the period value must be greater than zero'],
    [{ key: KEY, skew: 2 }, 'the skew value must be 0 or 1'],
    [{ key: KEY, qr_size: -1 }, 'the qr_size value must be greater than or equal to zero'],
    [{ key: KEY, qr_size: 1e6 }, 'the qr_size value must not be greater than 4096'],
    [{ key: KEY, key_size: 0 }, 'the key_size value must be greater than zero'],
    [{ generate: true, issuer: 'A', account_name: 'b', key_size: 1e9 }, 'the key_size value must not be'],
    [{ key: 'GEZD GNBV' }, 'invalid key value: illegal base32 data'],
    [{ url: `otpauth://hotp/a?secret=${KEY}&counter=1` }, 'the url value must begin with otpauth://totp/'],
    [{ url: 'otpauth://totp/a' }, 'the key value is required'],
    [{ url: `otpauth://totp/%zz?secret=${KEY}` }, 'an error occurred while parsing url string'],
    [{ url: `otpauth://totp/a?secret=${KEY}&period=1e9` }, 'an error occurred while parsing period'],
    [{ url: `otpauth://totp/a?secret=${KEY}&digits=99` }, 'the digits value can only be 6 or 8'],
  ])('%j is refused, and nothing of a key is in the message', async (given, message) => {
    const { code, message: told } = await refusal(write('keys/x', given));
    expect(code).toBe('totp.request');
    expect(told).toContain(message);
    expect(told).not.toContain(KEY.slice(0, 4));
    expect((await read('keys/x')).status).toBe(404);
  });

  test.each(['-a', 'a-', 'a b', 'é', '.'])('the name %j is refused', async (name) => {
    const given = { key: KEY };
    expect(['totp.request', 'path.not_canonical']).toContain(
      (await refusal(write(`keys/${name}`, given))).code,
    );
  });

  test('names are listed, and deleting takes a key away', async () => {
    expect((await mount.call('list', 'keys')).status).toBe(404);
    await write('keys/a', { key: KEY });
    await write('keys/b@c.d', { key: KEY });
    expect((await mount.call('list', 'keys')).data).toEqual({ keys: ['a', 'b@c.d'] });
    await mount.call('delete', 'keys/a');
    await mount.call('delete', 'keys/a');
    expect((await refusal(read('code/a'))).message).toBe('unknown key: a');
    expect((await refusal(write('code/a', { code: '123456' }))).code).toBe('totp.unknown_key');
  });
});

describe('codes', () => {
  test('a code is told with the second it was made at and the one it ends at', async () => {
    await write('keys/a', { key: KEY, period: 60 });
    mount.clock.advance(61_500);
    const now = Math.floor(mount.clock.now() / 1000);
    const { data } = await read('code/a');
    expect(data).toMatchObject({
      generated: now,
      expire_time: (Math.floor(now / 60) + 1) * 60,
      period: '1m0s',
    });
    expect(data.code).toMatch(/^\d{6}$/);
  });

  test('a right code is taken once, whatever is restarted or written again meanwhile', async () => {
    await write('keys/a', { key: KEY });
    const code = await codeOf('a');
    expect((await write('code/a', { code })).data).toEqual({ valid: true });
    const again = () => refusal(write('code/a', { code }));
    expect((await again()).code).toBe('totp.used');
    mount.restart();
    expect((await again()).code).toBe('totp.used');
    await write('keys/a', { key: KEY });
    expect((await again()).code).toBe('totp.used');
    mount.clock.advance(60_000);
    expect((await again()).code).toBe('totp.used');
    mount.clock.advance(30_000);
    expect((await write('code/a', { code })).data).toEqual({ valid: false });
  });

  test('of many who send the same code at the same moment, one is let in', async () => {
    await write('keys/a', { key: KEY });
    const code = await codeOf('a');
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => write('code/a', { code })));
    const valid = answers.filter((one) => one.status === 'fulfilled' && one.value.data.valid);
    expect(valid).toHaveLength(1);
    for (const one of answers)
      if (one.status === 'rejected') expect(isFailure(one.reason, 'totp.used')).toBe(true);
  });

  test('a wrong code does not lock out the right one that it is a step later', async () => {
    await write('keys/a', { key: KEY, skew: 0 });
    mount.clock.advance(30_000);
    const next = await codeOf('a');
    mount.clock.advance(-30_000);
    expect((await write('code/a', { code: next })).data).toEqual({ valid: false });
    expect((await write('code/a', { code: next })).data).toEqual({ valid: false });
    mount.clock.advance(30_000);
    expect((await write('code/a', { code: next })).data).toEqual({ valid: true });
  });

  test('no spelling of a code that was taken passes again', async () => {
    await write('keys/a', { key: KEY });
    const code = await codeOf('a');
    await write('code/a', { code });
    for (const spelling of [
      ` ${code}`,
      `${code} `,
      `${code}\n`,
      `\u00a0${code}`,
      `${code}\0`,
      `+${code}`,
      `0${code}`,
    ])
      expect((await refusal(write('code/a', { code: spelling }))).message).toBe(
        'invalid number of digits for the code',
      );
    const fullwidth = code.replace(/\d/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0));
    expect((await refusal(write('code/a', { code: fullwidth }))).code).toBe('totp.request');
  });

  test('no code at all, or one of letters, is never right', async () => {
    await write('keys/a', { key: KEY });
    expect((await refusal(write('code/a', {}))).message).toBe('the code value is required');
    expect((await write('code/a', { code: 'abcdef' })).data).toEqual({ valid: false });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', minLength: 6, maxLength: 6 }), async (code) => {
        fc.pre(!/^\d{6}$/.test(code));
        const answer = await write('code/a', { code }).catch((error: unknown) => error);
        expect(isFailure(answer, 'totp.request') || (answer as { data: unknown }).data).toEqual(
          isFailure(answer) ? true : { valid: false },
        );
      }),
    );
  });

  test('what is kept of used codes does not grow', async () => {
    await write('keys/a', { key: KEY, period: 1 });
    for (let at = 0; at < 30; at++) {
      await write('code/a', { code: await codeOf('a') });
      mount.clock.advance(1000);
    }
    const kept = await mount.storage.get('key/a');
    const used = JSON.parse(Buffer.from(kept?.value ?? []).toString()).used as unknown[];
    expect(used.length).toBeLessThanOrEqual(4);
  });
});
