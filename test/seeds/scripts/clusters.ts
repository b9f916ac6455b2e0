/** The Kubernetes APIs that the scripts log in from: the embedded one, or a real kube-apiserver with its etcd. */

import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { startApiServer } from '../../../src/apiserver/server.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import {
  createAuthority,
  type Issued,
  issueCertificate,
  type Subject,
} from '../../../src/crypto/certificate.ts';
import { MemoryBackend } from '../../../src/storage/memory.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

export interface Cluster {
  /** Of its context in the kubeconfig. */
  readonly name: string;
  readonly url: string;
  readonly ca: string;
  readonly adminToken: string;
  stop(): Promise<void>;
}

export interface RealCluster extends Cluster {
  readonly port: number;
  /** A server certificate of the cluster's authority. */
  issue(subject: Subject): Promise<Issued>;
  /** Kills the API server and starts it again over the same etcd; resolves when it is ready. */
  restart(): Promise<void>;
  /** Has etcd forget all but what is now: no watch can go on from an older version. */
  compact(): Promise<void>;
  /** Stops the API server in its tracks, sockets open, and has it go on. */
  freeze(): void;
  thaw(): void;
}

export type ClusterKind = 'embedded' | 'kube-apiserver';

/** The folder with the binaries, by the convention of envtest; undefined where they are not. */
export const assets: string | undefined = [
  process.env['KUBEBUILDER_ASSETS'],
  '/usr/local/kubebuilder/bin',
].find(
  (folder) =>
    folder !== undefined && ['kube-apiserver', 'etcd'].every((name) => existsSync(join(folder, name))),
);

export async function startEmbedded(name: string): Promise<Cluster> {
  const api = await startApiServer({
    backend: new MemoryBackend(),
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    log: silentLog,
  });
  return { name, url: api.url, ca: api.caPem, adminToken: api.adminToken, stop: () => api.close() };
}

/** @param folder where it keeps its files; removed by the caller */
export async function startReal(name: string, folder: string): Promise<RealCluster> {
  const bin = assets ?? '';
  const home = join(folder, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const file = (leaf: string, text: string): string => {
    writeFileSync(join(home, leaf), text, { mode: 0o600 });
    return join(home, leaf);
  };
  const [client, peer, secure] = await Promise.all([freePort(), freePort(), freePort()]);
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const child of children.splice(0).reverse()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await ended;
    }
  };
  const authority = await createAuthority(`the cluster ${name}`, Date.now());
  const certificate = await issueCertificate(authority, {
    names: [
      'localhost',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
    ],
    ips: ['127.0.0.1'],
  });
  const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = file('sa.key', signing.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const publicKey = file('sa.pub', signing.publicKey.export({ type: 'spki', format: 'pem' }).toString());
  const adminToken = randomBytes(16).toString('hex');
  const programs: readonly (readonly [string, readonly string[]])[] = [
    [
      'etcd',
      [
        `--data-dir=${join(home, 'etcd')}`,
        `--listen-client-urls=http://127.0.0.1:${client}`,
        `--advertise-client-urls=http://127.0.0.1:${client}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
        '--unsafe-no-fsync',
      ],
    ],
    [
      'kube-apiserver',
      [
        `--etcd-servers=http://127.0.0.1:${client}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${secure}`,
        `--tls-cert-file=${file('tls.crt', certificate.certificate)}`,
        `--tls-private-key-file=${file('tls.key', certificate.key)}`,
        `--service-account-signing-key-file=${key}`,
        `--service-account-key-file=${publicKey}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        '--service-cluster-ip-range=10.0.0.0/24',
        '--authorization-mode=RBAC',
        '--disable-admission-plugins=ServiceAccount',
        `--token-auth-file=${file('tokens.csv', `${adminToken},admin,admin,system:masters\n`)}`,
      ],
    ],
  ];
  const run = ([program, args]: (typeof programs)[number]): void => {
    children.push(spawn(join(bin, program), args, { stdio: 'ignore' }));
  };
  for (const program of programs) run(program);
  const url = `https://127.0.0.1:${secure}`;
  const ca = authority.certificate;
  const ready = async (): Promise<void> => {
    await eventually(
      `${name} is ready`,
      async () => (await isReady(secure, ca, adminToken)) || undefined,
      60_000,
    );
  };
  try {
    await ready();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name,
    url,
    ca,
    adminToken,
    port: secure,
    stop,
    issue: (subject) => issueCertificate(authority, subject),
    async restart() {
      const old = children.pop();
      const ended = new Promise((resolve) => old?.once('exit', resolve));
      old?.kill('SIGKILL');
      await ended;
      for (const program of programs.slice(-1)) run(program);
      await ready();
    },
    async compact() {
      const ask = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
        const answer = await fetch(`http://127.0.0.1:${client}/v3/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
        });
        if (!answer.ok) throw new Error(`etcd answered ${answer.status} to ${path}`);
        return (await answer.json()) as { header: { revision: string } };
      };
      const { header } = await ask('kv/range', { key: Buffer.from('/').toString('base64') });
      await ask('kv/compaction', { revision: header.revision, physical: true });
    },
    freeze: () => void children.at(-1)?.kill('SIGSTOP'),
    thaw: () => void children.at(-1)?.kill('SIGCONT'),
  };
}

/** A kubeconfig with a context for each; the first is the current one. JSON is YAML. */
export const kubeconfigOf = (clusters: readonly Cluster[]): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': clusters[0]?.name,
    clusters: clusters.map(({ name, url, ca }) => ({
      name,
      cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
    })),
    users: clusters.map(({ name, adminToken }) => ({ name, user: { token: adminToken } })),
    contexts: clusters.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
  });

const isReady = (port: number, ca: string, token: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/readyz', ca, headers: { authorization: `Bearer ${token}` } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      },
    );
    asked.on('error', () => resolve(false));
    asked.end();
  });
