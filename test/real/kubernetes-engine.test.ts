/** The Kubernetes engine on a real API server with its etcd: whose tokens they are, and that they are worth nothing afterwards. */

import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import {
  type Bench,
  eventually,
  kubernetesEngineConformance,
  type Reply,
} from '../../src/engines/kubernetes/conformance.ts';
import { kubernetesTokens } from '../../src/engines/kubernetes/index.ts';
import { createDial } from '../../src/server/http/dial.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { freePort } from '../support/ports.ts';

const ASSETS = process.env['KUBEBUILDER_ASSETS'] ?? '/usr/local/kubebuilder/bin';
const found = ['kube-apiserver', 'etcd'].every((name) => existsSync(join(ASSETS, name)));
if (!found)
  console.warn(
    `SKIPPED test/real/kubernetes-engine: no kube-apiserver and etcd in ${ASSETS} (KUBEBUILDER_ASSETS names another folder)`,
  );

describe.skipIf(!found)('the Kubernetes engine on a real API server', () => {
  let folder: string;
  const children: ChildProcess[] = [];
  let server: TestServer;
  let bench: Bench;
  const dial = createDial({ target: (host, port) => ({ host, port }), allow: () => true });

  const start = (name: string, args: readonly string[]): void => {
    children.push(spawn(join(ASSETS, name), args, { stdio: 'ignore' }));
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-kube-'));
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const [client, peer, secure] = await Promise.all([freePort(), freePort(), freePort()]);
    start('etcd', [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
    ]);
    const authority = await createAuthority('a real cluster', Date.now());
    const certificate = await issueCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
    const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = file('sa.key', signing.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    const admin = randomBytes(16).toString('hex');
    start('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${client}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${secure}`,
      `--tls-cert-file=${file('tls.crt', certificate.certificate)}`,
      `--tls-private-key-file=${file('tls.key', certificate.key)}`,
      `--service-account-signing-key-file=${key}`,
      `--service-account-key-file=${file('sa.pub', signing.publicKey.export({ type: 'spki', format: 'pem' }).toString())}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
      `--token-auth-file=${file('tokens.csv', `${admin},admin,admin,system:masters\n`)}`,
    ]);
    const host = `https://127.0.0.1:${secure}`;
    const kube = async (method: string, path: string, body?: object, token = admin): Promise<Reply> => {
      const answer = await dial({
        url: host + path,
        method,
        ca: authority.certificate,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = Buffer.from(answer.body).toString();
      return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : text };
    };
    await eventually('the API server is ready', async () => {
      const ready = await kube('GET', '/readyz').catch(() => undefined);
      return ready?.status === 200;
    });
    server = await startServer([kubernetesTokens()], { dial });
    bench = {
      host,
      ca: authority.certificate,
      kube,
      async vault(method, path, body) {
        const { status, json } = await server.ask(method, path, body);
        return { status, body: json };
      },
    };
  }, 60_000);

  afterAll(async () => {
    await server?.close();
    for (const child of children.reverse()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  kubernetesEngineConformance(() => bench);

  test('the server is a real one', async () => {
    const { body } = await bench.kube('GET', '/version');
    expect(body.gitVersion).toMatch(/^v1\.\d+/);
    console.info(`ran against kube-apiserver ${body.gitVersion}`);
  });
});
