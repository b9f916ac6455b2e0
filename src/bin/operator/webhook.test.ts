import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ManualClock } from '../../base/clock.ts';
import { isFailure } from '../../base/errors.ts';
import { type Log, silentLog } from '../../base/log.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import type { KubeObject } from '../../kube/kube.ts';
import { OPERATOR_NAME, OPERATOR_NAMESPACE } from '../../operator/api/rbac.ts';
import { OPERATOR_RIGHTS, WEBHOOK_CONFIGURATION } from '../../operator/api/rights.ts';
import { Reviews } from '../../operator/observe/reviews.ts';
import { FakeKube } from '../../operator/testing/kube.ts';
import { vaultProvider } from '../../providers/vault/vault.ts';
import { controllerOptions } from './options.ts';
import { openWebhook, WEBHOOK_PATHS } from './webhook.ts';
import { mountedPair, ownPair, type PairSource, WEBHOOK_NAME } from './webhookcerts.ts';

const DAY = 86_400_000;
const NAMESPACE = OPERATOR_NAMESPACE;
const HOST = `${WEBHOOK_NAME}.${NAMESPACE}.svc`;
const [PATH = ''] = WEBHOOK_PATHS;

const ended: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

const configured = async (): Promise<KubeObject[]> => {
  const text = await readFile(join(import.meta.dirname, '../../../deploy/operator/webhook.yaml'), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
};
const bundlesOf = (kube: FakeKube): string[] => {
  const found = kube.read('ValidatingWebhookConfiguration', undefined, WEBHOOK_CONFIGURATION);
  return ((found?.['webhooks'] ?? []) as { clientConfig: { caBundle?: string } }[]).map(({ clientConfig }) =>
    Buffer.from(clientConfig.caBundle ?? '', 'base64').toString(),
  );
};
const secretOf = (kube: FakeKube): Record<string, string> =>
  Object.fromEntries(
    Object.entries(
      (kube.read('Secret', NAMESPACE, WEBHOOK_NAME)?.['data'] ?? {}) as Record<string, string>,
    ).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
async function cluster(clock: ManualClock): Promise<FakeKube> {
  const kube = new FakeKube(() => clock.now());
  for (const object of await configured()) kube.put(object);
  return kube;
}
const own = (kube: FakeKube, clock: ManualClock, log: Log = silentLog): PairSource =>
  ownPair({ kube, namespace: NAMESPACE, now: () => clock.now(), log });

async function open(pair: PairSource, clock = new ManualClock(), reviews?: Reviews): Promise<number> {
  const opened = await openWebhook(
    { host: '127.0.0.1', port: 0 },
    {
      jurisdiction: { providers: [vaultProvider], controllerClass: 'default' },
      pair,
      clock,
      log: silentLog,
      ...(reviews === undefined ? {} : { reviews }),
    },
  );
  ended.push(() => opened.close());
  return opened.address.port;
}

interface Said {
  readonly status: number;
  readonly text: string;
}
const ask = (
  port: number,
  ca: string,
  body: string | Buffer,
  { path = PATH, method = 'POST', type = 'application/json' } = {},
): Promise<Said> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        ca,
        servername: HOST,
        agent: false,
        headers: { 'content-type': type },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
/** The certificate that is served, trusted by `ca` or not at all. */
const servedBy = (port: number, ca: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: HOST }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw).serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
const review = (spec: object): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      kind: { group: 'external-secrets.io', version: 'v1', kind: 'ExternalSecret' },
      operation: 'CREATE',
      object: { metadata: { name: 'it', namespace: 'shop' }, spec },
    },
  });
/** The client judges certificates by the machine's own clock: where one is renewed, the test's clock begins in the past. */
const polled = <T>(ask: () => T) => expect.poll(ask, { timeout: 20_000 });
const serial = (pem: string | undefined): string => new X509Certificate(pem ?? '').serialNumber;

test('a review is answered over TLS that the caBundle of every webhook trusts', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  const port = await open(own(kube, clock), clock);
  const bundles = bundlesOf(kube);
  expect(bundles).toHaveLength(4);
  for (const bundle of bundles) {
    const { status, text } = await ask(port, bundle, review({}));
    expect(status).toBe(200);
    expect(JSON.parse(text).response).toMatchObject({ uid: 'u', allowed: false, status: { code: 403 } });
  }
});

test('what is no review is told so, whatever it is', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  const port = await open(own(kube, clock), clock);
  const [ca = ''] = bundlesOf(kube);
  const statusOf = async (...given: [string | Buffer, Parameters<typeof ask>[3]?]) =>
    (await ask(port, ca, ...given)).status;
  expect(await statusOf('garbage')).toBe(400);
  expect(await statusOf(Buffer.from([0xff, 0xfe, 0x00]))).toBe(400);
  expect(await statusOf('')).toBe(400);
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  expect(await statusOf(review({ data: 0 }).replace('"data":0', `"data":${deep}`))).toBeLessThan(500);
  expect(await statusOf(review({}), { path: '/validate' })).toBe(404);
  expect(await statusOf('', { method: 'GET' })).toBe(405);
  expect(await statusOf(review({}), { type: 'text/plain' })).toBe(415);
  expect(await statusOf(review({}))).toBe(200);
});

test('what it is asked is counted by path and status, and what it is not offered for makes no series', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  const reviews = new Reviews(clock);
  expect(reviews.gauges()).toEqual([]);
  const port = await open(own(kube, clock), clock, reviews);
  const counted = (code: string): number | undefined =>
    reviews.gauges()[0]?.samples.find(({ labels }) => labels?.['webhook'] === PATH && labels['code'] === code)
      ?.value;
  // A rate of failures is reckoned of a series that is there before the first.
  expect([counted('200'), counted('500')]).toEqual([0, 0]);
  const [ca = ''] = bundlesOf(kube);
  await ask(port, ca, review({}));
  await ask(port, ca, 'garbage');
  await ask(port, ca, review({}), { path: '/validate' });
  expect([counted('200'), counted('400'), counted('404')]).toEqual([1, 1, undefined]);
  const [asked, running] = reviews.gauges();
  expect(asked?.samples.every(({ labels }) => WEBHOOK_PATHS.includes(labels?.['webhook'] ?? ''))).toBe(true);
  expect(running?.samples.map(({ value }) => value)).toEqual(WEBHOOK_PATHS.map(() => 0));
  expect(reviews.histograms()[0]?.text()).toContain(
    `controller_runtime_webhook_latency_seconds_count{webhook="${PATH}"} 2`,
  );
});

test('a body larger than two objects is refused, and the next one is answered', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  const port = await open(own(kube, clock), clock);
  const [ca = ''] = bundlesOf(kube);
  const large = await ask(port, ca, Buffer.alloc(9 * 1024 * 1024, 0x20)).catch(() => undefined);
  expect(large?.status ?? 413).toBe(413);
  expect((await ask(port, ca, review({}))).status).toBe(200);
});

test('a certificate is renewed after two thirds of its life, without a restart, and both authorities are trusted', async () => {
  const clock = new ManualClock(Date.now() - 61 * DAY);
  const kube = await cluster(clock);
  const port = await open(own(kube, clock), clock);
  const [before = ''] = bundlesOf(kube);
  const first = await servedBy(port, before);
  clock.jump(59 * DAY);
  clock.advance(30_000);
  await polled(() => kube.count('get', 'Secret')).toBeGreaterThanOrEqual(2);
  expect(serial(secretOf(kube)['tls.crt'])).toBe(first);
  clock.jump(2 * DAY);
  await polled(async () => {
    clock.advance(30_000);
    const [bundle = ''] = bundlesOf(kube);
    return (await servedBy(port, bundle)) !== first;
  }).toBe(true);
  const [after = ''] = bundlesOf(kube);
  expect(after.endsWith(before)).toBe(true);
  expect(after.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(serial(secretOf(kube)['tls.crt'])).toBe(await servedBy(port, after));
  await expect(servedBy(port, before)).rejects.toThrow();
});

test('two replicas that begin at once serve one pair, and one that is behind takes no authority away', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  const [a, b] = [own(kube, clock), own(kube, clock)];
  const [one, two] = await Promise.all([
    a(),
    b().catch((error: unknown) => {
      // Both wrote the bundle: the later one looks again.
      if (!isFailure(error, 'kube.conflict')) throw error;
      return b();
    }),
  ]);
  expect(two).toEqual(one);
  expect(kube.all('Secret')).toHaveLength(1);
  const old = kube.read('Secret', NAMESPACE, WEBHOOK_NAME);
  clock.jump(61 * DAY);
  const renewed = await a();
  const bundles = bundlesOf(kube);
  const behind: PairSource = ownPair({
    kube: {
      get: async (name) => (name.resource.kind === 'Secret' ? old : kube.get(name)),
      create: (name, object) => kube.create(name, object),
      update: async (name, object) => kube.update(name, object),
      patch: (name, patch) => kube.patch(name, patch),
    },
    namespace: NAMESPACE,
    now: () => clock.now() - 2 * DAY,
    log: silentLog,
  });
  expect(await behind()).toEqual(one);
  expect(bundlesOf(kube)).toEqual(bundles);
  expect(renewed).not.toEqual(one);
});

test('the key of an authority is kept nowhere', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  await own(kube, clock)();
  const secret = secretOf(kube);
  expect(Object.keys(secret).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
  expect(JSON.stringify(secret).match(/PRIVATE KEY/g)).toHaveLength(2);
});

test.each([
  ['holds nothing', () => ({})],
  ['holds no PEM', () => ({ 'ca.crt': 'eA==', 'tls.crt': 'eA==', 'tls.key': 'eA==' })],
  [
    'holds a certificate for another name',
    async () => {
      const authority = await createAuthority('other');
      const { certificate, key } = await issueCertificate(authority, { names: ['other.svc'], ips: [] });
      const text = (value: string) => Buffer.from(value).toString('base64');
      return {
        'ca.crt': text(authority.certificate),
        'tls.crt': text(certificate),
        'tls.key': text(key),
      };
    },
  ],
])('a Secret that %s is made anew', async (_, data) => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  kube.put({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: WEBHOOK_NAME, namespace: NAMESPACE },
    type: 'kubernetes.io/tls',
    data: await data(),
  });
  const port = await open(own(kube, clock), clock);
  const [ca = ''] = bundlesOf(kube);
  expect((await ask(port, ca, review({}))).status).toBe(200);
});

test('a caBundle that somebody takes away is written again', async () => {
  const clock = new ManualClock(Date.now());
  const kube = await cluster(clock);
  const pair = own(kube, clock);
  await pair();
  const before = bundlesOf(kube);
  for (const object of await configured()) kube.put(object);
  expect(bundlesOf(kube)).toEqual(['', '', '', '']);
  await pair();
  expect(bundlesOf(kube)).toEqual(before);
  const writes = kube.count('patch');
  await pair();
  expect(kube.count('patch')).toBe(writes);
});

test('a new pair is not served before the API server is told of it, and the operator goes on', async () => {
  const clock = new ManualClock(Date.now() - 61 * DAY);
  const kube = await cluster(clock);
  const port = await open(own(kube, clock), clock);
  const [ca = ''] = bundlesOf(kube);
  const first = await servedBy(port, ca);
  kube.fault = ({ op }) => {
    if (op === 'patch') throw new Error('no');
  };
  clock.jump(61 * DAY);
  clock.advance(30_000);
  await polled(() => serial(secretOf(kube)['tls.crt']) !== first).toBe(true);
  expect(await servedBy(port, ca)).toBe(first);
  kube.fault = () => {};
  await polled(async () => {
    clock.advance(30_000);
    const [bundle = ''] = bundlesOf(kube);
    return (await servedBy(port, bundle)) === serial(secretOf(kube)['tls.crt']);
  }).toBe(true);
});

test('a cluster that has no configuration of ours is no failure, and is told once', async () => {
  const clock = new ManualClock(Date.now());
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
  const pair = own(new FakeKube(), clock, log);
  await pair();
  await pair();
  expect(warnings).toEqual(['nobody asks the webhook: its ValidatingWebhookConfiguration is not there']);
});

test('a certificate that is mounted is served, and its successor without a restart; half of one is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-webhook-'));
  ended.push(() => rm(folder, { recursive: true, force: true }));
  const authority = await createAuthority('mounted');
  const issue = () => issueCertificate(authority, { names: [HOST], ips: [] });
  const clock = new ManualClock(Date.now());
  const port = await open(mountedPair(folder), clock);
  await expect(servedBy(port, authority.certificate)).rejects.toThrow();
  const served = (wanted: string): Promise<void> =>
    polled(async () => {
      clock.advance(30_000);
      return servedBy(port, authority.certificate).catch(() => '');
    }).toBe(wanted);
  const [one, two] = [await issue(), await issue()];
  await writeFile(join(folder, 'tls.crt'), one.certificate);
  await writeFile(join(folder, 'tls.key'), one.key);
  await served(serial(one.certificate));
  await writeFile(join(folder, 'tls.crt'), two.certificate);
  clock.advance(30_000);
  expect(await servedBy(port, authority.certificate)).toBe(serial(one.certificate));
  await writeFile(join(folder, 'tls.key'), two.key);
  await served(serial(two.certificate));
});

test('deploy/operator/webhook.yaml leads to what is served, and stands in nobody’s way', async () => {
  const [service, configuration] = await configured();
  expect(service?.metadata).toMatchObject({ name: WEBHOOK_NAME, namespace: NAMESPACE });
  expect(configuration?.metadata.name).toBe(WEBHOOK_CONFIGURATION);
  expect(WEBHOOK_CONFIGURATION).toBe(OPERATOR_NAME);
  const webhooks = (configuration?.['webhooks'] ?? []) as {
    clientConfig: { service: object & { path: string } };
    failurePolicy: string;
    sideEffects: string;
  }[];
  expect(webhooks.map(({ clientConfig }) => clientConfig.service.path).sort()).toEqual(
    [...WEBHOOK_PATHS].sort(),
  );
  for (const { clientConfig, failurePolicy, sideEffects } of webhooks) {
    expect(clientConfig.service).toMatchObject({ name: WEBHOOK_NAME, namespace: NAMESPACE });
    expect([failurePolicy, sideEffects]).toEqual(['Ignore', 'None']);
  }
});

test('the operator may write no configuration of webhooks but its own', () => {
  const rights = OPERATOR_RIGHTS.filter(({ group }) => group === 'admissionregistration.k8s.io');
  expect(rights.map(({ names, verbs }) => ({ names, verbs }))).toEqual([
    { names: [WEBHOOK_CONFIGURATION], verbs: ['get', 'patch'] },
  ]);
});

test('flags that contradict each other are refused', () => {
  expect(controllerOptions({}, {}).webhook).toBeUndefined();
  expect(controllerOptions({ webhookAddress: ':9443', webhookCertDir: '/tls' }, {}).webhook).toEqual({
    at: { host: '::', port: 9443 },
    certDir: '/tls',
  });
  for (const flags of [
    { webhookCertDir: '/tls' },
    { webhookAddress: ':9443', shadow: true },
    { webhookAddress: 'nowhere' },
  ])
    expect(() => controllerOptions(flags, {})).toThrowError(expect.objectContaining({ code: 'cli.usage' }));
});
