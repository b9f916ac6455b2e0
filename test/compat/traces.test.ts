/** One trace from a write to the Secret that holds it, as a collector of OpenTelemetry is told. */

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { openTracing, type Tracing } from '../../src/bin/tracing.ts';
import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import {
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../src/operator/api/resources.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';

const NS = 'team';
const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const CANARY = 'canary-4711';

interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { key: string; value: { stringValue?: string } }[];
}

const bodies: string[] = [];
const asked: { path: string; headers: IncomingHttpHeaders }[] = [];
const collector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    asked.push({ path: `${request.method} ${request.url}`, headers: request.headers });
    bodies.push(Buffer.concat(chunks).toString());
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
});
let tracing: Tracing;
let platform: TestPlatform;

const put = (resource: Resource, kind: string, apiVersion: string, name: string, spec?: object) =>
  platform.kube.create(
    { resource, name, ...(kind === 'Namespace' ? {} : { namespace: NS }) },
    {
      apiVersion,
      kind,
      metadata: { name, ...(kind === 'Namespace' ? {} : { namespace: NS }) },
      ...(spec === undefined ? {} : { spec }),
    },
  );
const write = (value: string, headers: Record<string, string> = {}) =>
  fetch(`${platform.address}/v1/secret/data/hidden-name`, {
    method: 'POST',
    headers: { 'x-vault-token': platform.keys.rootToken, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ data: { pass: value } }),
  });
async function holds(value: string): Promise<KubeObject> {
  return eventually('the Secret holds what was written', async () => {
    const found = await platform.kube.get({ resource: SECRETS, namespace: NS, name: 'app' });
    const data = found?.['data'] as { pass?: string } | undefined;
    return data?.pass === Buffer.from(value).toString('base64') ? found : undefined;
  });
}

beforeAll(async () => {
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  tracing = await openTracing('holdfast-test', {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-scope=tests',
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
    },
    clock: systemClock,
    log: silentLog,
  });
  const { tracer } = tracing;
  if (tracer === undefined) throw new Error('an endpoint is named');
  const started = vi.spyOn(tracer, 'start');
  platform = await startTestPlatform({ tracer });
  const { root } = platform;
  await put(NAMESPACES, 'Namespace', 'v1', NS);
  await put(SERVICE_ACCOUNTS, 'ServiceAccount', 'v1', 'reader');
  await root.request('PUT', 'sys/policies/acl/team', {
    body: { policy: 'path "secret/data/*" { capabilities = ["read"] }' },
  });
  await root.request('PUT', 'auth/kubernetes/role/team', {
    body: {
      bound_service_account_names: 'reader',
      bound_service_account_namespaces: NS,
      audience: 'vault',
      token_policies: ['team'],
    },
  });
  await write('first');
  await put(SECRET_STORES, 'SecretStore', 'external-secrets.io/v1', 'vault', {
    provider: {
      vault: {
        server: platform.address,
        path: 'secret',
        auth: {
          kubernetes: { role: 'team', serviceAccountRef: { name: 'reader', audiences: ['vault'] } },
        },
      },
    },
  });
  await put(EXTERNAL_SECRETS, 'ExternalSecret', 'external-secrets.io/v1', 'app', {
    secretStoreRef: { name: 'vault' },
    refreshInterval: '1h',
    data: [{ secretKey: 'pass', remoteRef: { key: 'hidden-name', property: 'pass' } }],
  });
  await holds('first');
  // Before its stream is open the operator reads what is new without having been told of it.
  const isHeard = () => started.mock.calls.some(([{ name }]) => name === 'reconcile ExternalSecret');
  for (let n = 0; !isHeard(); n++) {
    await write(`unheard ${n}`);
    await holds(`unheard ${n}`);
  }
}, 60_000);
afterAll(async () => {
  await platform?.stop();
  collector.close();
});

test('a write with a traceparent is one trace, from the request to the Secret', async () => {
  await write(CANARY, { traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-01` });
  await holds(CANARY);
  // Neither a caller that records nothing nor one that is not understood begins a trace here: the sampler says so.
  await write('third', { traceparent: `00-${'b'.repeat(32)}-${CALLER.spanId}-00` });
  await write('fourth', { traceparent: `00-${'0'.repeat(32)}-${CALLER.spanId}-01` });
  await holds('fourth');
  await platform.operator.drained(() => false);
  await tracing.close();

  expect(asked[0]).toMatchObject({
    path: 'POST /v1/traces',
    headers: { 'content-type': 'application/json', 'x-scope': 'tests' },
  });
  const spans = bodies.flatMap((body) => {
    const { resourceSpans } = JSON.parse(body) as {
      resourceSpans: { scopeSpans: { spans: SentSpan[] }[] }[];
    };
    return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  });
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([CALLER.traceId]));
  const named = (name: string): SentSpan => {
    const found = spans.filter((span) => span.name === name);
    expect(found, name).toHaveLength(1);
    return found[0] as SentSpan;
  };
  const [request, sync, read, secret] = [
    named('write kv'),
    named('reconcile ExternalSecret'),
    named('read store'),
    named('update Secret'),
  ];
  expect(spans).toHaveLength(4);
  expect(request).toMatchObject({ parentSpanId: CALLER.spanId, kind: 2 });
  expect(sync).toMatchObject({ parentSpanId: request.spanId, kind: 5 });
  expect(read).toMatchObject({ parentSpanId: sync.spanId, kind: 3 });
  expect(secret).toMatchObject({ parentSpanId: sync.spanId, kind: 3 });
  expect(request.attributes.map(({ key }) => key)).toEqual([
    'holdfast.mount',
    'holdfast.request_id',
    'holdfast.outcome',
  ]);
  expect(request.attributes[0]?.value).toEqual({ stringValue: 'secret/' });
  expect(BigInt(secret.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(read.endTimeUnixNano));
  expect(bodies.join('')).not.toMatch(/canary|hidden-name|hvs\./);
}, 60_000);
