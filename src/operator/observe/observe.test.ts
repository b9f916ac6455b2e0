import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock, systemClock } from '../../base/clock.ts';
import { gaugeText } from '../../base/exposition.ts';
import type { WebRequest } from '../../base/web.ts';
import type { KubeObject } from '../../kube/kube.ts';
import { NO_WAY_OUT } from '../../provider/egress.ts';
import { eventually, externalSecret, one, secretStore, startWorld } from '../testing/cluster.ts';
import { countedWayOut, directCall, webCall } from './calls.ts';
import { Counter } from './counters.ts';
import { leaseGauge } from './leases.ts';
import { OperatorMetrics } from './metrics.ts';
import { objectGauges, type Tally } from './objects.ts';
import { Rotations } from './rotations.ts';

const es = (name: string, status: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: { name, namespace: 'team', labels },
  status: { conditions: [{ type: 'Ready', status, reason: 'x', message: 'm' }] },
});

describe('numbers of objects', () => {
  const usual = { most: 10, extended: false };
  const text = (objects: readonly KubeObject[], tally?: Tally, options = usual): string =>
    objectGauges('ExternalSecret', objects, () => tally, options)
      .map(gaugeText)
      .join('');

  test('say 1 for what is and 0 for its opposite', () => {
    const told = text([es('app', 'False')]);
    const labels = 'name="app",namespace="team",condition="Ready"';
    expect(told).toContain(`externalsecret_status_condition{${labels},status="False"} 1\n`);
    expect(told).toContain(`externalsecret_status_condition{${labels},status="True"} 0\n`);
  });

  test('say nothing of an opposite where a condition is unknown', () => {
    expect(text([es('app', 'Unknown')]).match(/^externalsecret_status_condition\{/gm)).toHaveLength(1);
  });

  test('count calls and errors, and the last reconcile in nanoseconds', () => {
    const told = text([es('app', 'True')], { calls: 3, errors: 1, milliseconds: 1.5 });
    expect(told).toContain('externalsecret_sync_calls_total{name="app",namespace="team"} 3\n');
    expect(told).toContain('externalsecret_sync_calls_error{name="app",namespace="team"} 1\n');
    expect(told).toContain('externalsecret_reconcile_duration{name="app",namespace="team"} 1500000\n');
  });

  test('of what was never reconciled are not made up', () => {
    expect(text([es('app', 'True')])).not.toContain('sync_calls_total{');
  });

  test('tell the recommended labels when they are asked to, and no others', () => {
    const told = text([es('app', 'True', { 'app.kubernetes.io/part-of': 'shop', secret: 'x' })], undefined, {
      ...usual,
      extended: true,
    });
    expect(told).toContain('app_kubernetes_io_part_of="shop"');
    expect(told).toContain('app_kubernetes_io_name=""');
    expect(told).not.toContain('"x"');
  });

  test('end where the limit says', () => {
    const many = Array.from({ length: 30 }, (_, at) => es(`app-${at}`, 'True'));
    expect(text(many).match(/^externalsecret_status_condition\{.*"True"\} 1$/gm)).toHaveLength(10);
  });

  test('of a kind that upstream counts nothing of are none', () => {
    expect(objectGauges('Secret', [es('app', 'True')], () => undefined, usual)).toEqual([]);
  });
});

describe('rotations', () => {
  const at = Date.UTC(2026, 0, 1);
  const secret = (hash: string, more: Partial<KubeObject['metadata']> = {}): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: 'app',
      namespace: 'team',
      labels: { 'reconcile.external-secrets.io/managed': 'true' },
      annotations: { 'reconcile.external-secrets.io/data-hash': hash },
      creationTimestamp: new Date(at - 100_000).toISOString(),
      ...more,
    },
  });
  const rig = () => {
    const clock = new ManualClock(at);
    const rotations = new Rotations(() => clock.now());
    const values = (): readonly number[] =>
      rotations.gauges(() => 'vault', 10).flatMap(({ samples }) => samples.map(({ value }) => value));
    return { clock, rotations, values };
  };

  test('a Secret is as old as our last write says, which a restart does not forget', () => {
    const { rotations, values } = rig();
    const managedFields = [
      {
        manager: 'externalsecrets.external-secrets.io/app',
        operation: 'Update' as const,
        apiVersion: 'v1',
        time: new Date(at - 40_000).toISOString(),
        fieldsType: 'FieldsV1' as const,
        fieldsV1: {},
      },
    ];
    const one = secret('a', { managedFields });
    rotations.heard({ new: one });
    expect(values()).toEqual([40, 0]);
  });

  test('without it, as old as the Secret itself', () => {
    const { rotations, values } = rig();
    rotations.heard({ new: secret('a') });
    expect(values()).toEqual([100, 0]);
  });

  test('a value that changed is young and counts; a label that changed is neither', () => {
    const { clock, rotations, values } = rig();
    rotations.heard({ new: secret('a') });
    clock.advance(5000);
    const labelled = secret('a', { labels: { ...secret('a').metadata.labels, more: 'x' } });
    rotations.heard({ old: secret('a'), new: labelled });
    expect(values()).toEqual([105, 0]);
    rotations.heard({ old: labelled, new: secret('b') });
    clock.advance(3000);
    expect(values()).toEqual([3, 1]);
  });

  test('a Secret that is gone, or ours no more, has none', () => {
    const { rotations, values } = rig();
    rotations.heard({ new: secret('a') });
    rotations.heard({ old: secret('a'), new: secret('a', { labels: {} }) });
    expect(values()).toEqual([]);
    rotations.heard({ new: secret('a') });
    rotations.heard({ old: secret('a') });
    expect(values()).toEqual([]);
  });

  test('a clock that was set back makes no Secret younger than nothing', () => {
    const { clock, rotations, values } = rig();
    rotations.heard({ new: secret('a') });
    clock.jump(-86_400_000);
    expect(values()[0]).toBe(0);
  });
});

describe('requests to stores', () => {
  test.each<readonly [string, string, string]>([
    ['PUT', 'auth/kubernetes/login', 'Login'],
    ['PUT', 'auth/team/ldap/login/alice', 'Login'],
    ['GET', 'auth/token/lookup-self', 'LookupSelf'],
    ['PUT', 'auth/token/revoke-self', 'RevokeSelf'],
    ['PUT', 'auth/token/renew-self', 'RenewSelf'],
    ['GET', 'secret/data/team/login', 'ReadSecretData'],
    ['LIST', 'secret/metadata/', 'ListSecrets'],
    ['PUT', 'secret/data/app', 'WriteSecretData'],
    ['DELETE', 'secret/metadata/app', 'DeleteSecret'],
    ['PUT', 'sys/capabilities-self', 'System'],
  ])('of Vault: %s %s is %s', (method, path, call) =>
    expect(directCall('vault', { method, path })).toEqual(['HashiCorp/Vault', call]),
  );

  const asked = (url: string, more: Partial<WebRequest> = {}): WebRequest => ({
    url,
    method: 'POST',
    ...more,
  });
  test.each<readonly [string, WebRequest, string, string]>([
    [
      'aws',
      asked('https://x/', { headers: { 'x-amz-target': 'secretsmanager.GetSecretValue' } }),
      'AWS/SecretsManager',
      'GetSecretValue',
    ],
    [
      'aws',
      asked('https://x/', { headers: { 'x-amz-target': 'AmazonSSM.GetParameter' } }),
      'AWS/ParameterStore',
      'GetParameter',
    ],
    ['aws', asked('https://sts/', { body: 'Version=1&Action=AssumeRole&x=y' }), 'AWS/STS', 'AssumeRole'],
    [
      'gcpsm',
      asked('https://x/v1/projects/p/secrets/s/versions/latest:access', { method: 'GET' }),
      'GCP/SecretManager',
      'AccessSecretVersion',
    ],
    ['gcpsm', asked('https://oauth2.googleapis.com/token'), 'GCP/SecretManager', 'Token'],
    [
      'azurekv',
      asked('https://v.vault.azure.net/secrets/name?api-version=7', { method: 'GET' }),
      'Azure/KeyVault',
      'GetSecret',
    ],
    ['webhook', asked('https://hooks.example.com/secret-path'), 'Webhook', 'HTTPRequest'],
  ])('of %s over HTTP have the name of the call', (provider, request, name, call) =>
    expect(webCall(provider, request)).toEqual({ provider: name, call }),
  );

  test('are of no kind by a name that every object has', () => {
    const { call } = webCall('azurekv', {
      method: 'GET',
      url: 'http://a.aa/valueOf/x',
      headers: {},
      body: '',
    });
    expect(call).toBe('Token');
  });

  test('never bring a text of the request into a label', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('aws', 'gcpsm', 'azurekv', 'webhook', 'another'),
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
        fc.webUrl({ withQueryParameters: true }),
        fc.string(),
        (provider, method, url, text) => {
          const headers = { 'x-amz-target': text };
          const { call } = webCall(provider, { method, url: `${url}/s3cr3t-${text}`, headers, body: text });
          expect(call).toMatch(/^[A-Za-z]\w*$/);
          expect(call).not.toContain('s3cr3t');
        },
      ),
    );
  });

  test('are counted by how they ended, also where no answer came', async () => {
    const counted: unknown[] = [];
    const dial = async ({ url }: WebRequest) => {
      if (url.endsWith('/down')) throw new Error('no answer');
      return { status: url.endsWith('/no') ? 404 : 200, body: new Uint8Array() };
    };
    const out = countedWayOut({ ...NO_WAY_OUT, dial }, 'webhook', (provider, call, ok, ms) => {
      expect(ms).toBeGreaterThanOrEqual(0);
      counted.push([provider, call, ok]);
    });
    await out.dial({ method: 'GET', url: 'https://x/yes' });
    await out.dial({ method: 'GET', url: 'https://x/no' });
    await expect(out.dial({ method: 'GET', url: 'https://x/down' })).rejects.toThrow('no answer');
    expect(counted).toEqual([
      ['Webhook', 'HTTPRequest', true],
      ['Webhook', 'HTTPRequest', false],
      ['Webhook', 'HTTPRequest', false],
    ]);
  });
});

test('what was issued tells when it ends, by the name of its ExternalSecret and no path', () => {
  const report = (name: string, status?: object): KubeObject => ({
    apiVersion: 'holdfast.dev/v1alpha1',
    kind: 'SyncReport',
    metadata: { name, namespace: 'team' },
    ...(status === undefined ? {} : { status }),
  });
  const lease = { key: 'database/creds/app', path: 'database/creds/app', leaseId: 'database/creds/app/x' };
  const ends = { leases: [lease], expireTime: '2026-01-01T00:00:10Z' };
  const reports = [report('a', ends), report('b', { leases: [] }), report('c'), report('d', ends)];
  const text = gaugeText(leaseGauge(reports, 10));
  const at = Date.UTC(2026, 0, 1) / 1000 + 10;
  expect(text).toContain(`holdfast_lease_expiration_time_seconds{name="a",namespace="team"} ${at}\n`);
  expect(leaseGauge(reports, 10).samples).toHaveLength(2);
  expect(leaseGauge(reports, 1).samples).toHaveLength(1);
  expect(text).not.toContain('database');
});

test('requests to stores are told by how long they took, too', () => {
  const metrics = new OperatorMetrics({ clock: new ManualClock() });
  for (const ms of [40, 700]) metrics.called('HashiCorp/Vault', 'ReadSecretData', true, ms);
  const series = 'holdfast_provider_api_call_duration_seconds';
  const labels = 'provider="HashiCorp/Vault",call="ReadSecretData"';
  expect(metrics.text()).toContain(`${series}_bucket{${labels},le="0.5"} 1\n`);
  expect(metrics.text()).toContain(`${series}_count{${labels}} 2\n`);
});

test('a counter with many labels stays bounded, and loses no count', () => {
  const counter = new Counter('x_total', 'X.', ['a', 'b']);
  for (let at = 0; at < 2000; at++) counter.add([`v${at}`, 'same']);
  const { samples } = counter.gauge();
  expect(samples.length).toBeLessThanOrEqual(501);
  expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(2000);
  expect(samples.at(-1)?.labels).toEqual({ a: 'other', b: 'other' });
});

test('an operator tells what it did: syncs, errors, provider calls, rotations and how long they took', async () => {
  const clock = systemClock;
  const metrics = new OperatorMetrics({ clock });
  const world = startWorld({ metrics });
  try {
    world.kube.put(secretStore('store', 'team'));
    world.store.put('app', { password: 'c4n4ry' });
    world.kube.put(externalSecret('app', 'team', one('password', 'app', 'password')));
    world.kube.put(externalSecret('bad', 'team', one('password', 'missing', 'password')));
    const has =
      (line: RegExp): (() => true | undefined) =>
      () =>
        line.test(metrics.text()) || undefined;
    await eventually('it is synced', has(/status_condition\{name="app".*"True"\} 1/));
    await eventually('the other fails', has(/sync_calls_error\{name="bad",namespace="team"\} [1-9]/));
    world.store.put('app', { password: 'c4n4ry2' });
    await eventually('a rotation counts', has(/rotations_total\{secret_name="app".*\} 1/));
    await eventually('its delay is told', has(/holdfast_rotation_delay_seconds_count 1/));
    const text = metrics.text();
    expect(text).toMatch(
      /controller_runtime_reconcile_total\{controller="externalsecret",result="success"\} [1-9]/,
    );
    expect(text).toMatch(/controller_runtime_reconcile_errors_total\{controller="externalsecret"\} [1-9]/);
    expect(text).toMatch(/workqueue_retries_total\{name="externalsecret"\} [1-9]/);
    // What upstream's dashboard chooses controllers from, and divides by, before anything has failed.
    for (const controller of ['externalsecret', 'secretstore', 'pushsecret', 'clusterpushsecret']) {
      expect(text).toContain(`controller_runtime_active_workers{controller="${controller}"} `);
      expect(text).toMatch(
        new RegExp(`controller_runtime_max_concurrent_reconciles\\{controller="${controller}"\\} [1-9]`),
      );
    }
    expect(text).toContain('controller_runtime_reconcile_total{controller="pushsecret",result="error"} 0\n');
    expect(text).not.toContain('c4n4ry');
    world.kube.remove('ExternalSecret', 'team', 'bad');
    await eventually('what is gone has no series', () => !metrics.text().includes('name="bad"') || undefined);
  } finally {
    await world.stop();
  }
});

test('the text is what Prometheus reads: each family once, with its type before its samples', async () => {
  const metrics = new OperatorMetrics({ clock: systemClock });
  const world = startWorld({ metrics });
  try {
    world.kube.put(secretStore('store', 'team'));
    world.kube.put(externalSecret('app', 'team', one('a', 'a', 'a')));
    await eventually('something is counted', () => metrics.text().includes('sync_calls_total{') || undefined);
    const families = [...metrics.text().matchAll(/^# TYPE (\S+) (gauge|counter|histogram|untyped)$/gm)].map(
      ([, name]) => name,
    );
    expect(families.length).toBeGreaterThan(15);
    expect(new Set(families).size).toBe(families.length);
    for (const line of metrics.text().trimEnd().split('\n'))
      expect(line).toMatch(
        /^(# (HELP|TYPE) .+|[a-z_]+(\{([a-zA-Z_]+="(\\.|[^"\\])*",?)+\})? [-+\d.eInfNa]+)$/,
      );
  } finally {
    await world.stop();
  }
});
