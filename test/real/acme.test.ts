/**
 * A public ACME client (npm: acme-client) against our server, from the first account to the renewal and the revocation, by
 * every kind of challenge: over HTTP, in a DNS that answers over UDP, and in a TLS handshake. openssl has the last word.
 */

import { execFile } from 'node:child_process';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { Client, crypto } from 'acme-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probes } from '../../src/bin/probes.ts';
import { pki } from '../../src/engines/pki/index.ts';
import { createDial, type DialOptions } from '../../src/server/http/dial.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { ALL_ACCOUNTED, because, recordClient, versionOf } from '../support/compatibility.ts';

const run = promisify(execFile);
const openssl = (...args: string[]) => run('openssl', args).then(({ stdout, stderr }) => stdout + stderr);
const hasOpenssl = await openssl('version').then(
  () => true,
  () => false,
);
if (!hasOpenssl)
  console.warn('SKIPPED in test/real/acme: openssl is not on the PATH, so no chain is verified by it');

const recording = recordClient({
  client: 'acme-client',
  version: versionOf('acme-client'),
  calls: Object.getOwnPropertyNames(Client.prototype).filter((name) => name !== 'constructor'),
  gaps: because('looks at the challenge from the client, and asks the server nothing', 'verifyChallenge'),
});

const http = new Map<string, string>();
const txt = new Map<string, string[]>();
const tls = new Map<string, { key: string; cert: string }>();

let server: TestServer;
let web: Server;
let names: Datagrams;
let hands: TlsServer;
let base: string;
let root: string;
let folder: string;

const listening = (one: { once(event: 'listening', done: () => void): unknown }) =>
  new Promise<void>((resolve) => one.once('listening', () => resolve()));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acme-'));
  web = createServer((request, response) => {
    const found = http.get(`${request.headers.host}${request.url}`);
    response.writeHead(found === undefined ? 404 : 200).end(found);
  }).listen(0, '127.0.0.1');
  await listening(web);
  names = createSocket('udp4', (question, from) => names.send(answer(question), from.port, from.address));
  names.bind(0, '127.0.0.1');
  await listening(names);
  hands = createTlsServer({
    ALPNProtocols: ['acme-tls/1'],
    SNICallback: (name, done) => {
      const found = tls.get(name);
      if (found === undefined) return done(new Error('unknown name'));
      import('node:tls').then(({ createSecureContext }) => done(null, createSecureContext(found)));
    },
  }).listen(0, '127.0.0.1');
  hands.on('tlsClientError', () => {});
  await listening(hands);

  const ports: Readonly<Record<number, number>> = {
    80: (web.address() as AddressInfo).port,
    443: (hands.address() as AddressInfo).port,
  };
  // As a server has it whose operator allowed this machine: each port leads to where the challenge is met here.
  const wayOut: DialOptions = {
    target: (host, port) => ({
      host: host.endsWith('.example.com') ? '127.0.0.1' : host,
      port: ports[port] ?? port,
    }),
    allow: ({ ip }) => ip === '127.0.0.1',
  };
  server = await startServer([pki(probes(wayOut))], { dial: createDial(wayOut) });
  base = `${server.url}/v1/pki`;
  const ask = async (path: string, body: object) => {
    const reply = await server.ask('POST', path, body);
    if (reply.status >= 300) throw new Error(reply.text);
    return reply.json?.data;
  };
  await ask('sys/mounts/pki', { type: 'pki' });
  root = (await ask('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec', ttl: '760h' }))
    .certificate;
  await ask('pki/config/cluster', { path: base });
  await ask('pki/roles/web', {
    allowed_domains: 'example.com',
    allow_subdomains: true,
    key_type: 'any',
    ttl: '24h',
  });
  await ask('pki/config/acme', { enabled: true });
});

afterAll(async () => {
  await server?.close();
  web?.close();
  names?.close();
  hands?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A DNS answer: TXT records of the names that are known, and 127.0.0.1 for every host. */
function answer(question: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  while ((question[at] ?? 0) > 0) {
    const length = question[at] ?? 0;
    labels.push(question.subarray(at + 1, at + 1 + length).toString('latin1'));
    at += length + 1;
  }
  const type = question.readUInt16BE(at + 1);
  const asked = question.subarray(12, at + 5);
  const datas =
    type === 16
      ? (txt.get(labels.join('.')) ?? []).map((text) =>
          Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]),
        )
      : type === 1
        ? [Buffer.from([127, 0, 0, 1])]
        : [];
  const records = datas.map((data) => {
    const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]);
    return Buffer.concat([head, data]);
  });
  const head = Buffer.from([0, 0, 0x84, 0, 0, 1, 0, records.length, 0, 0, 0, 0]);
  question.copy(head, 0, 0, 2);
  return Buffer.concat([head, asked, ...records]);
}

async function clientOf(path: string, more: object = {}) {
  return recording.watch(
    new Client({
      directoryUrl: `${base}/${path}acme/directory`,
      accountKey: await crypto.createPrivateEcdsaKey(),
      backoffMin: 50,
      backoffMax: 200,
      ...more,
    }),
  );
}

/** Gets a certificate, meeting whatever kind of challenge is wanted. */
async function certify(client: Client, altNames: string[], kind: 'http-01' | 'dns-01' | 'tls-alpn-01') {
  const [key, csr] = await crypto.createCsr({ altNames }, await crypto.createPrivateEcdsaKey());
  const pem = await client.auto({
    csr,
    email: 'ops@example.com',
    termsOfServiceAgreed: true,
    skipChallengeVerification: true,
    challengePriority: [kind],
    async challengeCreateFn(authorization, challenge, proof) {
      const name = authorization.identifier.value;
      expect(challenge.type).toBe(kind);
      if (kind === 'http-01') http.set(`${name}/.well-known/acme-challenge/${challenge.token}`, `${proof}\n`);
      else if (kind === 'dns-01') {
        // A wildcard and the name below it are proven under one name, each by its own record.
        const at = `_acme-challenge.${name}`;
        txt.set(at, [...(txt.get(at) ?? ['something else']), proof]);
      } else {
        const [own, cert] = await crypto.createAlpnCertificate(authorization, proof);
        tls.set(name, { key: own.toString(), cert: cert.toString() });
      }
    },
    async challengeRemoveFn() {},
  });
  return { key: key.toString(), pem };
}

async function verify(pem: string, name: string): Promise<void> {
  if (!hasOpenssl) return;
  const [leaf, ...chain] = crypto.splitPemChain(pem);
  const file = async (what: string, text: string): Promise<string> => {
    await writeFile(join(folder, what), text);
    return join(folder, what);
  };
  const told = await openssl(
    ...['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', name],
    ...['-CAfile', await file('root', root), '-untrusted', await file('chain', chain.join('\n'))],
    await file('leaf', leaf ?? ''),
  );
  expect(told).toContain('OK');
}

describe('acme-client', () => {
  test('gets a certificate over HTTP, renews it, and revokes it', async () => {
    const client = await clientOf('roles/web/');
    const first = await certify(client, ['a.example.com', 'b.example.com'], 'http-01');
    await verify(first.pem, 'a.example.com');
    await verify(first.pem, 'b.example.com');
    const { commonName, altNames } = crypto.readCertificateInfo(first.pem).domains;
    expect([commonName, ...altNames]).toEqual(['a.example.com', 'a.example.com', 'b.example.com']);
    const second = await certify(client, ['a.example.com', 'b.example.com'], 'http-01');
    expect(second.pem).not.toBe(first.pem);
    await verify(second.pem, 'a.example.com');
    await client.revokeCertificate(first.pem);
    const revoked = await server.ask('LIST', 'pki/certs/revoked');
    expect(revoked.json.data.keys).toHaveLength(1);
    await expect(client.revokeCertificate(first.pem)).rejects.toThrow(/revoked already/);
  });

  test('changes its account, its key, and ends it', async () => {
    const client = await clientOf('');
    await client.createAccount({ termsOfServiceAgreed: true, contact: ['mailto:ops@example.com'] });
    const changed = await client.updateAccount({ contact: ['mailto:other@example.com'] });
    expect(changed.contact).toEqual(['mailto:other@example.com']);
    await client.updateAccountKey(await crypto.createPrivateRsaKey());
    await certify(client, ['rsa.example.com'], 'http-01');
    await client.updateAccount({ status: 'deactivated' });
    await expect(
      client.createOrder({ identifiers: [{ type: 'dns', value: 'a.example.com' }] }),
    ).rejects.toThrow(/deactivated/);
  });

  test('gets a wildcard by a DNS of its own, asked over UDP', async () => {
    await server.ask('POST', 'pki/config/acme', {
      dns_resolver: `127.0.0.1:${(names.address() as AddressInfo).port}`,
    });
    try {
      const { pem } = await certify(await clientOf(''), ['*.wild.example.com', 'wild.example.com'], 'dns-01');
      await verify(pem, 'any.wild.example.com');
      // With a name server of one's own, HTTP goes to the address that it tells.
      await verify(
        (await certify(await clientOf(''), ['named.example.com'], 'http-01')).pem,
        'named.example.com',
      );
    } finally {
      await server.ask('POST', 'pki/config/acme', { dns_resolver: '' });
    }
  });

  test('proves a name in a TLS handshake', async () => {
    const { pem } = await certify(await clientOf(''), ['t.example.com'], 'tls-alpn-01');
    await verify(pem, 't.example.com');
  });

  test('with a binding gets in where bindings are required', async () => {
    await server.ask('POST', 'pki/config/acme', { eab_policy: 'always-required' });
    try {
      const eab = (await server.ask('POST', 'pki/acme/new-eab')).json.data;
      await expect((await clientOf('')).createAccount({ termsOfServiceAgreed: true })).rejects.toThrow(
        /externalAccountBinding/,
      );
      const client = await clientOf('', { externalAccountBinding: { kid: eab.id, hmacKey: eab.key } });
      const { pem } = await certify(client, ['bound.example.com'], 'http-01');
      await verify(pem, 'bound.example.com');
    } finally {
      await server.ask('POST', 'pki/config/acme', { eab_policy: 'not-required' });
    }
  });

  test('reads its account and an order again, and gives up an authorization', async () => {
    const client = await clientOf('');
    expect(await client.getTermsOfServiceUrl()).toBeNull();
    await client.createAccount({ termsOfServiceAgreed: true });
    expect(client.getAccountUrl()).toMatch(`${base}/acme/account/`);
    const order = await client.createOrder({ identifiers: [{ type: 'dns', value: 'up.example.com' }] });
    expect(await client.getOrder(order)).toMatchObject({ status: 'pending', url: order.url });
    const [authorization] = await client.getAuthorizations(order);
    if (authorization === undefined) throw new Error('the order has no authorization');
    expect(await client.deactivateAuthorization(authorization)).toMatchObject({ status: 'deactivated' });
    expect((await client.getOrder(order)).status).toBe('invalid');
  });

  test('has every method tried, or the gap has a reason', () => {
    expect(recording.unaccounted()).toEqual(ALL_ACCOUNTED);
  });
});
