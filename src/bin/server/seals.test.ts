/** Servers that open by themselves: two services, of which one keeps the key of the other in its transit engine. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../../test/support/ports.ts';
import { systemClock } from '../../base/clock.ts';
import { type Log, silentLog } from '../../base/log.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { readServerConfig } from '../../server/config/config.ts';
import { type Service, startService } from './service.ts';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let port: number;
let services: Service[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-seals-'));
  port = await freePort();
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.close(0);
  await rm(folder, { recursive: true, force: true });
});

async function start(
  name: string,
  more = '',
  log: Log = silentLog,
  at = 0,
  wire = 'tls_disable = true',
): Promise<Service> {
  const text = `storage "lmdb" { path = "${folder}/${name}" }\nlistener "tcp" {\n address = "127.0.0.1:${at}"\n ${wire}\n}\n${more}`;
  const config = readServerConfig([{ name: 'vault.hcl', text }], {});
  const service = await startService(config, { log, clock: systemClock, env: {}, lookMs: 3_600_000 });
  services.push(service);
  return service;
}

async function stop(service: Service): Promise<void> {
  services = services.filter((one) => one !== service);
  await service.close(0);
}

async function ask(service: Service, method: string, path: string, body?: object, token = '') {
  const answer = await fetch(`http://127.0.0.1:${service.listeners[0]?.address.port}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
}

const statusOf = async (service: Service) => (await ask(service, 'GET', 'sys/seal-status')).json;
const untilOpen = (service: Service) =>
  vi.waitFor(async () => expect((await statusOf(service)).sealed).toBe(false), {
    timeout: 50_000,
    interval: 50,
  });

interface Keeper {
  service: Service;
  readonly keys: string[];
  readonly root: string;
  /** May use the key, and nothing else. */
  readonly token: string;
}

const POLICY = `path "transit/encrypt/unseal" { capabilities = ["update"] }
path "transit/decrypt/unseal" { capabilities = ["update"] }`;

/** The server that keeps the key. */
async function startKeeper(): Promise<Keeper> {
  const service = await start('keeper', '', silentLog, port);
  const { keys_base64: keys, root_token: root } = (
    await ask(service, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })
  ).json;
  await ask(service, 'PUT', 'sys/unseal', { key: keys[0] });
  await ask(service, 'POST', 'sys/mounts/transit', { type: 'transit' }, root);
  await ask(service, 'POST', 'transit/keys/unseal', {}, root);
  await ask(service, 'PUT', 'sys/policies/acl/unseal', { policy: POLICY }, root);
  const made = await ask(
    service,
    'POST',
    'auth/token/create-orphan',
    { policies: ['unseal'], period: '1h' },
    root,
  );
  return { service, keys, root, token: made.json.auth.client_token };
}

async function restartKeeper(keeper: Keeper): Promise<void> {
  keeper.service = await start('keeper', '', silentLog, port);
  await ask(keeper.service, 'PUT', 'sys/unseal', { key: keeper.keys[0] });
}

const transit = (token: string, more = ''): string =>
  `seal "transit" {\n address = "http://127.0.0.1:${port}"\n token = "${token}"\n key_name = "unseal"\n mount_path = "transit/"\n${more}}\n`;

interface Made {
  readonly root: string;
  readonly recovery: string[];
}

async function initialize(service: Service): Promise<Made> {
  const made = await ask(service, 'PUT', 'sys/init', { recovery_shares: 3, recovery_threshold: 2 });
  expect(made.status).toBe(200);
  expect(made.json.keys).toEqual([]);
  return { root: made.json.root_token, recovery: made.json.recovery_keys_base64 };
}

const writeSecret = async (service: Service, root: string): Promise<void> => {
  await ask(service, 'POST', 'sys/mounts/secret', { type: 'kv' }, root);
  expect((await ask(service, 'POST', 'secret/a', { x: 'kept' }, root)).status).toBe(204);
};
const readSecret = async (service: Service, root: string): Promise<unknown> =>
  (await ask(service, 'GET', 'secret/a', undefined, root)).json.data?.x;

/** What a log was told, as text: messages, facts and the messages of failures. */
function listeningLog(): { log: Log; text(): string } {
  const lines: string[] = [];
  const take = (message: string, facts?: Readonly<Record<string, unknown>>): void => {
    const { error } = facts ?? {};
    lines.push(`${message} ${JSON.stringify(facts)} ${error instanceof Error ? error.message : ''}`);
  };
  const log: Log = { debug: take, info: take, warn: take, error: take, with: () => log };
  return { log, text: () => lines.join('\n') };
}

describe('a server whose key is in the transit engine of another', () => {
  test('is open right after init and after each start, and tells how', async () => {
    const keeper = await startKeeper();
    let service = await start('own', transit(keeper.token));
    expect(await statusOf(service)).toMatchObject({
      type: 'transit',
      initialized: false,
      sealed: true,
      recovery_seal: true,
      n: 0,
    });
    const { root, recovery } = await initialize(service);
    expect(recovery).toHaveLength(3);
    await writeSecret(service, root);
    await stop(service);
    service = await start('own', transit(keeper.token));
    await untilOpen(service);
    expect(await readSecret(service, root)).toBe('kept');
    const status = await statusOf(service);
    expect(status).toMatchObject({
      type: 'transit',
      recovery_seal: true,
      recovery_seal_type: 'shamir',
      t: 2,
      n: 3,
    });
    expect(status).toMatchObject({ migration: false, sealed: false });
    expect(status).not.toHaveProperty('warnings');
  });

  test.each([
    [{ secret_shares: 5, secret_threshold: 3 }, 'secret_shares,secret_threshold', true],
    [{ secret_shares: 1 }, 'secret_shares', true],
    [{ recovery_shares: 5, recovery_threshold: 3 }, 'recovery_shares,recovery_threshold', false],
  ])('refuses %j at init, which belongs to the other kind of seal', async (body, named, auto) => {
    const service = await start('own', auto ? transit('x') : '');
    const refused = await ask(service, 'PUT', 'sys/init', body);
    expect(refused.status).toBe(400);
    expect(refused.json.errors).toEqual([
      `parameters ${named} not applicable to seal type ${auto ? 'transit' : 'shamir'}`,
    ]);
    expect((await statusOf(service)).initialized).toBe(false);
  });

  test('is not initialized where the token may wrap and not unwrap: it would never open again', async () => {
    const keeper = await startKeeper();
    await ask(
      keeper.service,
      'PUT',
      'sys/policies/acl/unseal',
      { policy: POLICY.split('\n')[0] },
      keeper.root,
    );
    const service = await start('own', transit(keeper.token));
    const refused = await ask(service, 'PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 });
    expect(refused.status).toBe(503);
    expect(refused.json.errors[0]).toContain('refuses this server: HTTP 403');
    expect((await statusOf(service)).initialized).toBe(false);
  });

  test('started before the other it waits, says why, and opens once that one is there', async () => {
    const keeper = await startKeeper();
    let service = await start('own', transit(keeper.token));
    const { root } = await initialize(service);
    await writeSecret(service, root);
    await stop(service);
    await stop(keeper.service);
    const { log, text } = listeningLog();
    service = await start('own', transit(keeper.token), log);
    await vi.waitFor(async () => expect((await statusOf(service)).warnings).toHaveLength(1));
    const { warnings, sealed } = await statusOf(service);
    expect(sealed).toBe(true);
    expect(warnings[0]).toMatch(/^The seal "transit" does not answer/);
    expect(warnings[0]).not.toContain('127.0.0.1');
    expect((await ask(service, 'GET', 'secret/a', undefined, root)).status).toBe(503);
    expect(text()).toMatch(/still sealed.*ECONNREFUSED/);
    await restartKeeper(keeper);
    await untilOpen(service);
    expect(await readSecret(service, root)).toBe('kept');
    expect(await statusOf(service)).not.toHaveProperty('warnings');
    expect(text()).not.toContain(keeper.token);
  });

  test('goes on while the other is away, and cannot be opened again without it', async () => {
    const keeper = await startKeeper();
    const service = await start('own', transit(keeper.token));
    const { root, recovery } = await initialize(service);
    await writeSecret(service, root);
    await stop(keeper.service);
    expect(await readSecret(service, root)).toBe('kept');
    expect((await ask(service, 'PUT', 'sys/seal', {}, root)).status).toBe(204);
    await vi.waitFor(async () => expect((await statusOf(service)).sealed).toBe(true));
    await ask(service, 'PUT', 'sys/unseal', { key: recovery[0] });
    const alone = await ask(service, 'PUT', 'sys/unseal', { key: recovery[1] });
    expect(alone.status).toBe(503);
    expect(alone.json.errors[0]).toContain('does not answer');
    await restartKeeper(keeper);
    // Sealed by hand it stays so, until holders of the recovery key ask for it.
    for (const key of recovery.slice(1)) await ask(service, 'PUT', 'sys/unseal', { key });
    expect((await statusOf(service)).sealed).toBe(false);
    expect(await readSecret(service, root)).toBe('kept');
  });

  test('wraps its root key anew after a rotation, so that the old version can be given up', async () => {
    const keeper = await startKeeper();
    const { log, text } = listeningLog();
    let service = await start('own', transit(keeper.token));
    const { root } = await initialize(service);
    await writeSecret(service, root);
    await ask(keeper.service, 'POST', 'transit/keys/unseal/rotate', {}, keeper.root);
    await stop(service);
    service = await start('own', transit(keeper.token), log);
    await vi.waitFor(() => expect(text()).toContain('wrapped by the newest key'), { timeout: 50_000 });
    await ask(
      keeper.service,
      'POST',
      'transit/keys/unseal/config',
      { min_decryption_version: 2 },
      keeper.root,
    );
    await stop(service);
    service = await start('own', transit(keeper.token));
    await untilOpen(service);
    expect(await readSecret(service, root)).toBe('kept');
  });

  test('whose key was given up says so and loses nothing: with the key back it opens by itself', async () => {
    const keeper = await startKeeper();
    let service = await start('own', transit(keeper.token));
    const { root } = await initialize(service);
    await writeSecret(service, root);
    await stop(service);
    const config = (version: number) =>
      ask(
        keeper.service,
        'POST',
        'transit/keys/unseal/config',
        { min_decryption_version: version },
        keeper.root,
      );
    await ask(keeper.service, 'POST', 'transit/keys/unseal/rotate', {}, keeper.root);
    expect((await config(2)).status).toBeLessThan(300);
    const { log, text } = listeningLog();
    service = await start('own', transit(keeper.token), log);
    await vi.waitFor(async () =>
      expect((await statusOf(service)).warnings?.[0]).toContain('does not open this store'),
    );
    expect(text()).toContain('does not open this store: HTTP 400');
    expect((await config(1)).status).toBeLessThan(300);
    await untilOpen(service);
    expect(await readSecret(service, root)).toBe('kept');
  });

  test('recovery keys of another store under the same key are refused', async () => {
    const keeper = await startKeeper();
    const service = await start('own', transit(keeper.token));
    const other = await start('other', transit(keeper.token));
    const { recovery } = await initialize(service);
    const { root } = await initialize(other);
    await ask(other, 'PUT', 'sys/seal', {}, root);
    await vi.waitFor(async () => expect((await statusOf(other)).sealed).toBe(true));
    await ask(other, 'PUT', 'sys/unseal', { key: recovery[0] });
    const refused = await ask(other, 'PUT', 'sys/unseal', { key: recovery[1] });
    expect(refused.status).toBe(400);
    expect((await statusOf(other)).sealed).toBe(true);
  });
});

describe('the way to a seal by TLS', () => {
  /** A server that wants certificates of one authority, and files of that authority and of a stranger's. */
  const prepare = async (): Promise<void> => {
    const own = await createAuthority('holdfast test');
    const stranger = await createAuthority('somebody else');
    const server = await issueCertificate(own, { names: ['seal.internal'], ips: [] });
    const client = await issueCertificate(own, { names: ['client'], ips: [], client: true });
    for (const [name, text] of [
      ['ca', own.certificate],
      ['stranger', stranger.certificate],
      ['server', server.certificate],
      ['server.key', server.key],
      ['client', client.certificate],
      ['client.key', client.key],
    ] as const)
      await writeFile(join(folder, name), text);
    const files = `tls_cert_file = "${folder}/server"\n tls_key_file = "${folder}/server.key"\n`;
    const asked = ` tls_client_ca_file = "${folder}/ca"\n tls_require_and_verify_client_cert = true`;
    await start('keeper', '', silentLog, port, files + asked);
  };
  const CLIENT = () => ` tls_client_cert = "${folder}/client"\n tls_client_key = "${folder}/client.key"\n`;
  const CA = (name: string) => ` tls_ca_cert = "${folder}/${name}"\n`;
  const NAME = ' tls_server_name = "seal.internal"\n';

  test.each<[string, () => string, string]>([
    ['the right ones', () => CA('ca') + CLIENT() + NAME, 'HTTP 503'],
    ['nobody verified', () => `${CLIENT()} tls_skip_verify = "true"\n`, 'HTTP 503'],
    [
      'the authority of a stranger',
      () => CA('stranger') + CLIENT() + NAME,
      'cannot|SIGNED|SIGNATURE|ISSUER|VERIFY',
    ],
    ['another name', () => CA('ca') + CLIENT(), 'ALTNAME'],
    ['no certificate of ours', () => CA('ca') + NAME, 'CERTIFICATE_REQUIRED|ECONNRESET|EPIPE'],
  ])('with %s reaches the other server, or does not', async (_name, tls, reason) => {
    await prepare();
    const seal = transit('x', tls()).replace('http:', 'https:');
    const { log, text } = listeningLog();
    const service = await start('own', seal, log);
    await vi.waitFor(() => expect(text()).toContain('was not renewed yet'));
    const refused = await ask(service, 'PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 });
    expect(refused.status).toBe(503);
    expect(refused.json.errors[0]).toContain('does not answer');
    expect(text()).toMatch(new RegExp(reason));
    // Whoever asks has no token yet: the address of the other server is not for them.
    expect(refused.json.errors[0]).not.toContain('127.0.0.1');
  });
});

describe('the holders of recovery keys', () => {
  const give = async (service: Service, path: string, nonce: string, keys: readonly string[]) => {
    let last: Awaited<ReturnType<typeof ask>> | undefined;
    for (const key of keys) last = await ask(service, 'PUT', path, { key, nonce });
    return last;
  };

  test('make a root token, and replace their keys: then only the new ones count', async () => {
    const keeper = await startKeeper();
    let service = await start('own', transit(keeper.token));
    const { root, recovery } = await initialize(service);
    await writeSecret(service, root);
    const rootBy = async (keys: readonly string[]) => {
      await ask(service, 'DELETE', 'sys/generate-root/attempt');
      const { nonce, otp, required } = (await ask(service, 'PUT', 'sys/generate-root/attempt', {})).json;
      const answer = await give(service, 'sys/generate-root/update', nonce, keys.slice(0, required));
      if (answer?.status !== 200) return answer?.status;
      const [pad, bytes] = [Buffer.from(otp), Buffer.from(answer.json.encoded_root_token, 'base64')];
      return Buffer.from(bytes.map((byte, at) => byte ^ (pad[at] ?? 0))).toString();
    };
    expect(await readSecret(service, String(await rootBy(recovery)))).toBe('kept');

    const begun = await ask(service, 'PUT', 'sys/rekey-recovery-key/init', {
      secret_shares: 2,
      secret_threshold: 2,
    });
    expect(begun.json).toMatchObject({ started: true, required: 2, t: 2, n: 2 });
    const done = await give(service, 'sys/rekey-recovery-key/update', begun.json.nonce, recovery.slice(0, 2));
    expect(done?.json.complete).toBe(true);
    expect(await rootBy(recovery)).toBe(400);
    expect(await readSecret(service, String(await rootBy(done?.json.keys_base64)))).toBe('kept');
    await stop(service);
    service = await start('own', transit(keeper.token));
    await untilOpen(service);
    expect(await statusOf(service)).toMatchObject({ t: 2, n: 2 });
  });

  test('replace nothing while the seal is away, and the present keys stay valid', async () => {
    const keeper = await startKeeper();
    const service = await start('own', transit(keeper.token));
    const { recovery } = await initialize(service);
    const { nonce } = (
      await ask(service, 'PUT', 'sys/rekey-recovery-key/init', { secret_shares: 1, secret_threshold: 1 })
    ).json;
    await stop(keeper.service);
    const away = await give(service, 'sys/rekey-recovery-key/update', nonce, recovery.slice(0, 2));
    expect(away?.status).toBe(503);
    await restartKeeper(keeper);
    const done = await give(service, 'sys/rekey-recovery-key/update', nonce, recovery.slice(1));
    expect(done?.json.complete).toBe(true);
  });

  test('have no unseal keys to replace, and holders of unseal keys no recovery keys', async () => {
    const keeper = await startKeeper();
    const service = await start('own', transit(keeper.token));
    const { root } = await initialize(service);
    const unseal = await ask(service, 'PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 });
    expect(unseal.status).toBe(400);
    expect(unseal.json.errors[0]).toContain('seal type transit');
    expect((await ask(service, 'GET', 'sys/rotate/root/init', undefined, root)).status).toBe(400);
    for (const [method, path] of [
      ['GET', 'sys/rekey-recovery-key/init'],
      ['PUT', 'sys/rekey-recovery-key/update'],
    ] as const) {
      const body = method === 'PUT' ? { key: 'AA==', nonce: 'x' } : undefined;
      const refused = await ask(keeper.service, method, path, body);
      expect([refused.status, refused.json.errors]).toEqual([400, ['recovery rekeying not supported']]);
    }
  });
});

describe('a store that is moved from one seal to the other', () => {
  const migrate = async (service: Service, keys: readonly string[]) => {
    const answers = [];
    for (const key of keys) answers.push(await ask(service, 'PUT', 'sys/unseal', { key, migrate: true }));
    return answers.map(({ status, json }) => [status, json.sealed ?? json.errors[0]]);
  };

  test('shares become recovery keys, and with the seal disabled they become shares again', async () => {
    const keeper = await startKeeper();
    let service = await start('own');
    const made = (await ask(service, 'PUT', 'sys/init', { secret_shares: 3, secret_threshold: 2 })).json;
    const [root, keys] = [made.root_token, made.keys_base64 as string[]];
    for (const key of keys.slice(0, 2)) await ask(service, 'PUT', 'sys/unseal', { key });
    await writeSecret(service, root);
    await stop(service);

    service = await start('own', transit(keeper.token));
    expect(await statusOf(service)).toMatchObject({
      type: 'transit',
      migration: true,
      sealed: true,
      t: 2,
      n: 3,
    });
    const without = await ask(service, 'PUT', 'sys/unseal', { key: keys[0] });
    expect([without.status, without.json.errors]).toEqual([
      400,
      ['migrate option not provided and seal migration is pending'],
    ]);
    expect(await migrate(service, keys.slice(1))).toEqual([
      [200, true],
      [200, false],
    ]);
    expect(await readSecret(service, root)).toBe('kept');
    expect(await statusOf(service)).toMatchObject({ migration: false, recovery_seal: true });
    await stop(service);
    service = await start('own', transit(keeper.token));
    await untilOpen(service);
    await stop(service);

    await expect(start('own')).rejects.toThrow(
      'cannot seal migrate from "transit" to Shamir, no disabled seal in configuration',
    );
    service = await start('own', transit(keeper.token, ' disabled = "true"\n'));
    expect(await statusOf(service)).toMatchObject({ type: 'shamir', migration: true, recovery_seal: false });
    expect(await migrate(service, keys.slice(0, 2))).toEqual([
      [200, true],
      [200, false],
    ]);
    expect(await readSecret(service, root)).toBe('kept');
    await stop(service);
    await stop(keeper.service);

    service = await start('own');
    for (const key of keys.slice(1)) await ask(service, 'PUT', 'sys/unseal', { key });
    expect(await readSecret(service, root)).toBe('kept');
    expect(await migrate(service, keys.slice(0, 1))).toEqual([
      [400, "can't perform a seal migration, no migration seal found"],
    ]);
  });

  test('stays where it is when the new seal does not answer, or shares are wrong', async () => {
    const keeper = await startKeeper();
    let service = await start('own');
    const made = (await ask(service, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })).json;
    await stop(service);
    await stop(keeper.service);
    service = await start('own', transit(keeper.token));
    const [away] = await migrate(service, made.keys_base64);
    expect(away?.[0]).toBe(503);
    const [wrong] = await migrate(service, [Buffer.alloc(32, 7).toString('base64')]);
    expect(wrong?.[0]).toBe(400);
    expect(await statusOf(service)).toMatchObject({ sealed: true, migration: true });
    await stop(service);
    service = await start('own');
    await ask(service, 'PUT', 'sys/unseal', { key: made.keys_base64[0] });
    expect((await statusOf(service)).sealed).toBe(false);
  });
});
