/** hvac from PyPI, unmodified, against our server: hvac/main.py asks for all that it offers, and claims what has to come back. */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { CLIENT, FakeProvider, ISSUER, pemOf, rsa, SECRET, signed } from '../../src/methods/jwt/testing.ts';
import { startServer, startUninitialized, type TestServer } from '../compat/server.ts';
import { ALL_ACCOUNTED, type Unaccounted, writeRun } from '../support/compatibility.ts';
import { withFiles } from '../support/files.ts';
import { findPython } from '../support/python.ts';
import { type AgreeableRedis, startAgreeableRedis } from '../support/redis.ts';
import { accountToken, REVIEWER_HOST, reviewing } from '../support/reviews.ts';

const python = await findPython('hvac');
if ('missing' in python) console.warn(`SKIPPED test/real/hvac: ${python.missing}`);

interface Report extends Unaccounted {
  readonly version: string;
  readonly offers: number;
  readonly tried: readonly string[];
  readonly matching: readonly string[];
  readonly gaps: Readonly<Record<string, string>>;
  readonly steps: readonly { readonly step: string; readonly failure: string | null }[];
}

describe.skipIf('missing' in python)('hvac', () => {
  let folder: string;
  let provider: FakeProvider;
  let codes: Server;
  let redis: AgreeableRedis;
  let server: TestServer;
  let bare: Awaited<ReturnType<typeof startUninitialized>>;
  const jwt = accountToken('shop', 'app');
  const key = rsa();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-hvac-'));
    redis = await startAgreeableRedis('keeper', 'legacy');
    provider = new FakeProvider(key);
    codes = await startCodes(provider);
    const review = reviewing({ [jwt]: { namespace: 'shop', name: 'app' } });
    server = await startServer({
      dial: (request) => (request.url.startsWith(ISSUER) ? provider.dial(request) : review(request)),
      locate: async (_host, port) => ({ ip: '127.0.0.1', port }),
    });
    bare = await startUninitialized();
  });

  afterAll(async () => {
    codes?.close();
    await server?.close();
    await bare?.close();
    await redis?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('does all that it offers, but for the gaps that are told', async () => {
    const clients = await createAuthority('clients');
    const listeners = await createAuthority('listeners');
    const listener = await issueCertificate(listeners, { names: ['localhost'], ips: ['127.0.0.1'] });
    const shown = await issueCertificate(clients, { names: ['web.example'], ips: [], client: true });
    const files = {
      authority: clients.certificate,
      listener: listeners.certificate,
      cert: shown.certificate,
      key: shown.key,
    };
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: 'https://ci.example', sub: 'job-7', iat: now, exp: now + 300 };
    const report = await withFiles(files, async (cert) =>
      ask({
        url: server.url,
        token: server.token,
        key: Buffer.from(server.keys[0] ?? []).toString('base64'),
        bareUrl: bare.url,
        secureUrl: await server.securely({
          cert: listener.certificate,
          key: listener.key,
          clientCertificates: true,
        }),
        auditFile: join(folder, 'audit.log'),
        redisPort: redis.port,
        bundle: clients.certificate + clients.key,
        cert,
        kubernetes: {
          host: REVIEWER_HOST,
          ca: clients.certificate,
          reviewer: accountToken('vault', 'reviewer'),
          jwt,
          stranger: accountToken('shop', 'stranger'),
        },
        jwt: {
          publicKey: pemOf(key),
          issuer: claims.iss,
          token: signed({ ...claims, aud: 'holdfast' }, key),
          elsewhere: signed({ ...claims, aud: 'elsewhere' }, key),
        },
        oidc: {
          issuer: ISSUER,
          client: CLIENT,
          secret: SECRET,
          codes: `http://127.0.0.1:${(codes.address() as AddressInfo).port}/`,
        },
      }),
    );
    const { version, offers, tried, matching, gaps, steps, untold, both, unknown } = report;
    await writeRun({ client: 'hvac', version, offers, tried, matching, gaps });
    expect(steps.filter(({ failure }) => failure !== null)).toEqual([]);
    expect({ untold, both, unknown }).toEqual(ALL_ACCOUNTED);
    expect(matching).toEqual(tried);
  });
});

/** Runs hvac/main.py as a process of its own: the server that it asks runs in this one. */
function ask(world: object): Promise<Report> {
  const command = 'missing' in python ? '' : python.command;
  const main = fileURLToPath(new URL('./hvac/main.py', import.meta.url));
  const child = spawn(command, ['-B', '-W', 'ignore', main], { stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  child.stdin.end(JSON.stringify(world));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(out));
      else reject(new Error(`hvac/main.py ended with ${code}: ${err}`));
    });
  });
}

/** Where a browser would have logged in: gives a code for a nonce, which the provider then trades in. */
async function startCodes(provider: FakeProvider): Promise<Server> {
  const key = provider.keys[0];
  if (key === undefined) throw new Error('the provider has no key');
  const server = createServer((request, response) => {
    const nonce = new URL(request.url ?? '', 'http://localhost').searchParams.get('nonce') ?? '';
    const code = `code-for-${nonce}`;
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: ISSUER, sub: 'ada', aud: CLIENT, nonce, iat: now, exp: now + 300 };
    provider.codes.set(code, () => ({
      access_token: 'access',
      token_type: 'Bearer',
      id_token: signed(claims, key),
    }));
    response.end(code);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
