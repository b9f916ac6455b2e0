/** What is taken away, when, and what stays: asked for, and by itself. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { AcmeClient } from './acme/testing.ts';
import { pki } from './index.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let server: TestServer;
let clock: ManualClock;
beforeEach(async () => {
  clock = new ManualClock();
  server = await startServer([pki()], { clock });
  await server.ask('POST', 'sys/mounts/pki', { type: 'pki' });
  await ok('POST', 'root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '700h' });
  await ok('POST', 'roles/web', { allow_any_name: true, key_type: 'ec' });
});
afterEach(() => server.close());

const ask = (method: string, path: string, body?: unknown) => server.ask(method, `pki/${path}`, body);
async function ok(method: string, path: string, body?: unknown) {
  const reply = await ask(method, path, body);
  if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
  return reply.json.data;
}
const issue = (ttl: string) => ok('POST', 'issue/web', { common_name: 'a.test', ttl });
const certs = async (): Promise<string[]> => (await ok('LIST', 'certs')).keys;
const status = () => ok('GET', 'tidy-status');
async function tidy(body: object) {
  expect((await ask('POST', 'tidy', body)).status).toBe(202);
  await expect.poll(async () => (await status()).state).toBe('Finished');
  return status();
}

describe('asked for', () => {
  test('nothing asked for is nothing done, and the status tells every field that clients know', async () => {
    const idle = await status();
    expect(idle).toMatchObject({ state: 'Inactive', tidy_acme: null, cert_store_deleted_count: null });
    const begun = await ask('POST', 'tidy');
    expect([begun.status, begun.json.warnings[0]]).toEqual([
      202,
      expect.stringMatching(/no tidy operations were set/),
    ]);
    await expect.poll(async () => (await status()).state).toBe('Finished');
    expect(await status()).toMatchObject({
      safety_buffer: 259_200,
      revoked_safety_buffer: 259_200,
      issuer_safety_buffer: 31_536_000,
      acme_account_safety_buffer: 2_592_000,
      page_size: 1000,
      pause_duration: '0s',
      cert_store_deleted_count: 0,
      error: null,
      message: null,
    });
    expect(Object.keys(await status())).toEqual(expect.arrayContaining(Object.keys(idle)));
  });

  test.each([
    [{ safety_buffer: 0 }, /safety_buffer must be greater than zero/],
    [{ revoked_safety_buffer: 0 }, /revoked_safety_buffer/],
    [{ issuer_safety_buffer: '0s' }, /issuer_safety_buffer/],
    [{ acme_account_safety_buffer: 0 }, /acme_account_safety_buffer/],
    [{ pause_duration: '-1s' }, /negative pause_duration/],
    [{ page_size: 4 }, /page_size/],
  ])('%j is refused', async (body, why) => {
    const reply = await ask('POST', 'tidy', { tidy_cert_store: true, ...body });
    expect([reply.status, reply.json.errors[0]]).toEqual([400, expect.stringMatching(why)]);
  });

  test('small pages find everything that a whole list would', async () => {
    for (let i = 0; i < 13; i++) await issue('1h');
    const long = await issue('600h');
    clock.advance(80 * HOUR);
    const done = await tidy({ tidy_cert_store: true, page_size: 5 });
    expect(done.cert_store_deleted_count).toBe(13);
    expect(await certs()).toContain(long.serial_number);
    expect(await certs()).toHaveLength(2);
  });

  test('an issuer that ended goes, its key stays, and what it left without an issuer is given to its twin', async () => {
    const old = await ok('POST', 'root/generate/internal', {
      common_name: 'Old',
      key_type: 'ec',
      ttl: '1h',
      issuer_name: 'old',
    });
    clock.advance(2 * HOUR);
    expect((await tidy({ tidy_expired_issuers: true })).state).toBe('Finished');
    expect((await ok('LIST', 'issuers')).keys).toHaveLength(2);
    await tidy({ tidy_expired_issuers: true, issuer_safety_buffer: '30m' });
    expect((await ok('LIST', 'issuers')).keys).not.toContain(old.issuer_id);
    expect((await ok('LIST', 'keys')).keys).toContain(old.key_id);

    const first = await ok('GET', 'issuer/default');
    const twin = await ok('POST', 'root/generate/existing', {
      common_name: 'Root',
      key_ref: first.key_id,
      ttl: '690h',
      issuer_name: 'twin',
    });
    const leaf = await issue('100h');
    await ok('POST', 'revoke', { serial_number: leaf.serial_number });
    const revoked = async () => (await ok('GET', `cert/${leaf.serial_number}`)).issuer_id;
    const [gone, stays] = (await revoked()) === twin.issuer_id ? ['twin', first] : [first.issuer_id, twin];
    await ask('DELETE', `issuer/${gone}`);
    const found = await tidy({ tidy_revoked_cert_issuer_associations: true });
    expect(found.missing_issuer_cert_count).toBe(1);
    expect(await revoked()).toBe(stays.issuer_id);
  });

  test('is cancelled where it stands', async () => {
    for (let i = 0; i < 5; i++) await issue('1h');
    clock.advance(80 * HOUR);
    await ask('POST', 'tidy', { tidy_cert_store: true, pause_duration: '1h' });
    expect((await ask('POST', 'tidy', { tidy_cert_store: true })).json.warnings[0]).toMatch(
      /already in progress/,
    );
    const cancelled = await ok('POST', 'tidy-cancel');
    expect(['Cancelling', 'Cancelled']).toContain(cancelled.state);
    await expect.poll(async () => (await status()).state).toBe('Cancelled');
    expect((await certs()).length).toBeGreaterThan(3);
    const none = await ask('POST', 'tidy-cancel');
    expect(none.json.warnings[0]).toMatch(/none is currently running/);
  });
});

describe('by itself', () => {
  test('the settings are told with the defaults of the API', async () => {
    expect(await ok('GET', 'config/auto-tidy')).toEqual({
      enabled: false,
      interval_duration: 43_200,
      tidy_cert_store: false,
      tidy_revoked_certs: false,
      tidy_invalid_certs: false,
      tidy_revoked_cert_issuer_associations: false,
      tidy_expired_issuers: false,
      tidy_move_legacy_ca_bundle: false,
      tidy_acme: false,
      safety_buffer: 259_200,
      revoked_safety_buffer: 259_200,
      issuer_safety_buffer: 31_536_000,
      acme_account_safety_buffer: 2_592_000,
      pause_duration: '0s',
      page_size: 1000,
      maintain_stored_certificate_counts: false,
      publish_stored_certificate_count_metrics: false,
    });
    const none = await ask('POST', 'config/auto-tidy', { enabled: true });
    expect([none.status, none.json.errors[0]]).toEqual([
      400,
      expect.stringMatching(/no tidy operations were requested/),
    ]);
    const lone = await ask('POST', 'config/auto-tidy', { publish_stored_certificate_count_metrics: true });
    expect(lone.json.errors[0]).toMatch(/Can not publish/);
    await ok('POST', 'config/auto-tidy', { maintain_stored_certificate_counts: true });
    expect(await status()).toMatchObject({ current_cert_store_count: 1, current_revoked_cert_count: 0 });
  });

  test('goes when its time has come, and not before', async () => {
    const short = await issue('1h');
    await ok('POST', 'config/auto-tidy', {
      enabled: true,
      tidy_cert_store: true,
      interval_duration: '24h',
      safety_buffer: '1h',
    });
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= HOUR) {
        clock.advance(HOUR);
        // The periodic work of a mount is not waited for by the clock.
        await new Promise((resolve) => setImmediate(resolve));
        await certs();
      }
    };
    await pass(20 * HOUR);
    expect(await certs()).toContain(short.serial_number);
    await pass(10 * HOUR);
    await expect.poll(certs).not.toContain(short.serial_number);
    expect((await status()).state).toBe('Finished');
  });
});

describe('of ACME', () => {
  const url = () => `${server.url}/v1/pki`;
  beforeEach(async () => {
    await ok('POST', 'config/cluster', { path: url() });
    await ok('POST', 'config/acme', { enabled: true });
  });
  const idle = async (): Promise<AcmeClient> => {
    const client = new AcmeClient(`${url()}/acme/directory`);
    await client.register();
    return client;
  };

  test('orders that came to nothing go; an idle account is ended, and much later forgotten', async () => {
    const client = await idle();
    const order = await client.order('a.test');
    clock.advance(2 * DAY);
    const first = await tidy({ tidy_acme: true });
    expect(first).toMatchObject({ total_acme_account_count: 1, acme_account_revoked_count: 0 });
    expect((await client.post(order.headers.get('location') ?? '')).json.detail).toMatch(/does not exist/);
    expect((await client.post(order.json.authorizations[0])).json.detail).toMatch(/does not exist/);
    expect((await client.post(client.kid ?? '')).json.status).toBe('valid');

    clock.advance(31 * DAY);
    expect(await tidy({ tidy_acme: true })).toMatchObject({ acme_account_revoked_count: 1 });
    expect((await client.post(client.kid ?? '')).json.detail).toMatch(/status: revoked/);
    clock.advance(31 * DAY);
    expect(await tidy({ tidy_acme: true })).toMatchObject({ acme_account_deleted_count: 1 });
    expect((await client.post(client.kid ?? '')).json.type).toMatch(/accountDoesNotExist/);
    // The key is nobody's now: it may have an account again.
    const again = new AcmeClient(`${url()}/acme/directory`, client.key);
    expect((await again.register()).status).toBe(201);
  });

  test('an account that ordered not long ago stays, however old it is', async () => {
    const client = await idle();
    clock.advance(40 * DAY);
    await client.order('a.test');
    clock.advance(3 * DAY);
    expect(await tidy({ tidy_acme: true })).toMatchObject({ acme_account_revoked_count: 0 });
    expect((await client.post(client.kid ?? '')).json.status).toBe('valid');
  });

  test('orders that came to nothing go even where nobody tidies: strangers made them', async () => {
    const client = await idle();
    const order = await client.order('a.test');
    clock.advance(26 * HOUR);
    expect((await client.post(order.headers.get('location') ?? '')).json.status).toBe('invalid');
    clock.advance(26 * HOUR);
    await expect
      .poll(async () => (await client.post(order.headers.get('location') ?? '')).json.detail)
      .toMatch(/does not exist/);
  });
});
