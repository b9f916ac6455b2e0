import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Clock, ManualClock, systemClock } from '../../base/clock.ts';
import { Failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { readServerConfig } from '../../server/config/config.ts';
import { type Service, startService } from './service.ts';

let folder: string;
const services: Service[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-server-'));
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.close(50);
  await rm(folder, { recursive: true, force: true });
});

async function start(
  text: string,
  lookMs = 3_600_000,
  log = silentLog,
  clock: Clock = systemClock,
): Promise<Service> {
  const config = readServerConfig([{ name: 'vault.hcl', text }], {});
  const service = await startService(config, { log, clock, env: {}, lookMs });
  services.push(service);
  return service;
}

async function refusal(text: string): Promise<string> {
  try {
    await start(text);
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
  return 'started';
}

const INMEM = 'storage "inmem" {}\n';
const TLS = (more = ''): string =>
  `${INMEM}listener "tcp" {\n address = "127.0.0.1:0"\n tls_cert_file = "${folder}/tls.crt"\n tls_key_file = "${folder}/tls.key"\n${more}}\n`;

/** Puts a new pair in place and gives the certificate's text. */
async function newPair(halves: readonly ('crt' | 'key')[] = ['crt', 'key']): Promise<string> {
  const authority = await createAuthority('holdfast test');
  const pair = await issueCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
  for (const [half, text] of [
    ['crt', pair.certificate],
    ['key', pair.key],
  ] as const) {
    if (!halves.includes(half)) continue;
    await writeFile(join(folder, `${half}.new`), text);
    await rename(join(folder, `${half}.new`), join(folder, `tls.${half}`));
  }
  return pair.certificate;
}

const dial = (service: Service, more: object = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const port = service.listeners[0]?.address.port ?? 0;
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...more }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
  });

async function served(service: Service): Promise<string> {
  const socket = await dial(service);
  const shown = socket.getPeerCertificate().raw.toString('base64');
  socket.destroy();
  return shown;
}
const derOf = (pem: string): string =>
  pem.slice(0, pem.indexOf('-----END')).replace(/-----BEGIN CERTIFICATE-----|\s/g, '');

const ask = (socket: TLSSocket): Promise<string> =>
  new Promise((resolve, reject) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.write('GET /v1/sys/seal-status HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });

describe('a certificate that is renewed', () => {
  test('is what new connections meet after a reload, and a connection that stands lives on', async () => {
    const first = await newPair();
    const service = await start(TLS());
    const standing = await dial(service);
    expect(await ask(standing)).toContain('HTTP/1.1 200');
    expect(await served(service)).toBe(derOf(first));
    const second = await newPair();
    expect(await served(service)).toBe(derOf(first));
    await service.reload();
    expect(await served(service)).toBe(derOf(second));
    expect(await ask(standing)).toContain('HTTP/1.1 200');
    standing.destroy();
  });

  test('is found without a signal', async () => {
    await newPair();
    const service = await start(TLS(), 20);
    const second = await newPair();
    await vi.waitFor(async () => expect(await served(service)).toBe(derOf(second)), { timeout: 10_000 });
  });

  test('is not served before its key is there, and then it is, and that is said once', async () => {
    const first = await newPair();
    const lines: string[] = [];
    const log = { ...silentLog, error: (text: string) => void lines.push(text) };
    const service = await start(TLS(), 20, log);
    const text = await readFile(join(folder, 'tls.key'), 'utf8');
    await newPair(['crt']);
    await vi.waitFor(() => expect(lines).toEqual(['the certificate was not renewed']), { timeout: 10_000 });
    expect(await served(service)).toBe(derOf(first));
    expect(await readFile(join(folder, 'tls.key'), 'utf8')).toBe(text);
    const third = await newPair();
    await vi.waitFor(async () => expect(await served(service)).toBe(derOf(third)), { timeout: 10_000 });
    expect(lines.length).toBeLessThanOrEqual(2);
  });

  test.each([
    ['gone', async () => rm(join(folder, 'tls.crt'))],
    ['garbage', async () => writeFile(join(folder, 'tls.crt'), 'no certificate')],
    ['half written', async () => writeFile(join(folder, 'tls.key'), '-----BEGIN PRIVATE KEY-----\nMIIE')],
  ])('and whose file is %s leaves the old one in place', async (_name, spoil) => {
    const first = await newPair();
    const service = await start(TLS());
    await spoil();
    await service.reload();
    expect(await served(service)).toBe(derOf(first));
  });
});

describe('client certificates', () => {
  test('that are required: without one there is no answer, also after a reload', async () => {
    const authority = await createAuthority('clients');
    await writeFile(join(folder, 'ca.pem'), authority.certificate);
    await newPair();
    const service = await start(
      TLS(` tls_client_ca_file = "${folder}/ca.pem"\n tls_require_and_verify_client_cert = true\n`),
    );
    const mine = await issueCertificate(authority, { names: ['me'], ips: [], client: true });
    const shown = { cert: mine.certificate, key: mine.key };
    for (const again of [false, true]) {
      if (again) await service.reload();
      const socket = await dial(service, shown);
      expect(await ask(socket)).toContain('HTTP/1.1 200');
      socket.destroy();
      await expect(dial(service).then(ask)).rejects.toThrow();
    }
  });

  test('that are asked for are not required', async () => {
    await newPair();
    const socket = await dial(await start(TLS()));
    expect(await ask(socket)).toContain('HTTP/1.1 200');
    socket.destroy();
  });

  test('TLS 1.2 is refused where 1.3 is the least', async () => {
    await newPair();
    const service = await start(TLS(' tls_min_version = "tls13"\n'));
    await expect(dial(service, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
    (await dial(service)).destroy();
  });
});

const onDisk = (path: string): string =>
  `storage "lmdb" { path = "${path}" }\nlistener "tcp" {\n address = "127.0.0.1:0"\n tls_disable = true\n}\n`;

describe('what is refused before anything listens', () => {
  test('a certificate that is not there, and no store is made', async () => {
    const text = TLS().replace(INMEM, `storage "lmdb" { path = "${folder}/data" }\n`);
    expect(await refusal(text)).toBe(`cannot read the file ${folder}/tls.crt`);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  test('a key of another certificate', async () => {
    await newPair();
    await newPair(['key']);
    expect(await refusal(TLS())).toBe(
      `${folder}/tls.key: it is not the key of the certificate in ${folder}/tls.crt`,
    );
  });

  test.each(['vault.db', 'raft', 'core'])('a folder with the %s of a Vault', async (name) => {
    await mkdir(join(folder, 'data', name), { recursive: true });
    expect(await refusal(onDisk(`${folder}/data`))).toContain(`holds the data of a Vault (${name})`);
  });

  test('the data of holdfast dev, whose keys lie in the clear beside it', async () => {
    const data = join(folder, 'data', 'server');
    await mkdir(data, { recursive: true });
    await writeFile(join(folder, 'keys.json'), '{"unseal_keys_b64": ["canary"], "root_token": "canary"}');
    const text = await refusal(onDisk(data));
    expect(text).toContain('lie in the clear');
    expect(text).not.toContain('canary');
  });

  test('a store that another process holds, with its owner', async () => {
    await start(onDisk(`${folder}/data`));
    expect(await refusal(onDisk(`${folder}/data`))).toContain(`is in use by process ${process.pid}`);
  });

  test('an address that is not of this machine, or taken; and the store is let go', async () => {
    const one = await start(onDisk(`${folder}/a`));
    const port = one.listeners[0]?.address.port ?? 0;
    const taken = onDisk(`${folder}/b`).replace('127.0.0.1:0', `127.0.0.1:${port}`);
    expect(await refusal(taken)).toBe(`the address 127.0.0.1:${port} is in use`);
    const foreign = onDisk(`${folder}/b`).replace('127.0.0.1:0', '192.0.2.1:8200');
    expect(await refusal(foreign)).toBe('cannot listen on 192.0.2.1:8200: EADDRNOTAVAIL');
    expect(await refusal(onDisk(`${folder}/b`))).toBe('started');
  });
});

test('a token lives as long as the file lets it, where nothing else is said', async () => {
  const text = `${onDisk(`${folder}/data`)}max_lease_ttl = "2h"\ndefault_lease_ttl = "1h"\n`;
  const { server } = await start(text, undefined, undefined, new ManualClock(Date.now()));
  const { keys, rootToken: token } = await server.seal.initialize(1, 1);
  for (const key of keys) await server.seal.submit(key);
  const leaseOf = async (data: Record<string, string>): Promise<number | undefined> => {
    const path = 'auth/token/create';
    const made = await server.call({ verb: 'write', path, token, data: { policies: 'default', ...data } });
    return made.kind === 'envelope' ? made.envelope.auth?.leaseMs : undefined;
  };
  expect(await leaseOf({})).toBe(3_600_000);
  expect(await leaseOf({ ttl: '9h' })).toBe(7_200_000);
});
