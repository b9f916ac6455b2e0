/** The life of an ExternalSecret as a person sees it with kubectl: refreshing, waiting, describing, failing and recovering. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type TestPlatform } from '../platform.ts';
import { entry, makeTeam, type Team } from '../team.ts';

/** @param start a platform of its own: over the embedded Kubernetes API, or over a real one */
export function externalSecretSuite(start: () => Promise<TestPlatform>): void {
  let platform: TestPlatform;
  let team: Team;
  beforeAll(async () => {
    platform = await start();
    team = await makeTeam(platform, 'shop');
  });
  afterAll(() => platform?.stop());

  const app = (name: string, path: string, more: object = {}): Promise<void> =>
    team.externalSecret(name, { data: [entry('password', `secret/shop/${path}`, 'password')], ...more });
  const kubectl = (line: string): Promise<string> => team.kubectl.ok(`${line} -n shop`);

  test('shows what it does in columns, events and waits', async () => {
    await team.put('app', { password: 'one' });
    await app('app', 'app');
    expect(await kubectl('wait --for=condition=Ready es/app --timeout=20s')).toContain('condition met');
    const [head = '', ...rows] = (await team.kubectl.ok('get es -A')).split('\n');
    expect(head.split(/ {2,}/)).toEqual([
      'NAMESPACE',
      'NAME',
      'STORETYPE',
      'STORE',
      'REFRESH INTERVAL',
      'STATUS',
      'READY',
      'LAST SYNC',
    ]);
    expect(rows.find((row) => row.startsWith('shop '))).toMatch(
      /^shop\s+app\s+SecretStore\s+vault\s+1h\s+SecretSynced\s+True\s+\d+s$/,
    );
    expect(await kubectl('get ss')).toMatch(
      /^NAME\s+AGE\s+STATUS\s+CAPABILITIES\s+READY\nvault\s+\S+\s+Valid\s+Read\w+\s+True$/,
    );
    const described = await eventually('the event is described', async () => {
      const text = await kubectl('describe es app');
      return text.includes('secret created') ? text : undefined;
    });
    expect(described).toMatch(/Normal\s+Created\s+.*secret created/);
    expect(described).toMatch(/Reason:\s+SecretSynced/);
    expect(described).not.toContain('one\n');
    expect(await kubectl('get es --field-selector spec.secretStoreRef.name=vault -o name')).toContain('/app');
  });

  test('of v1beta1 is read back as v1, and as it was applied', async () => {
    await team.put('beta', { password: 'b' });
    const spec = { data: [entry('password', 'secret/shop/beta', 'password')] };
    await team.externalSecret('beta', spec, 'v1beta1');
    await team.holds('beta', { password: 'b' });
    const read = async (kind: string) => JSON.parse(await kubectl(`get ${kind} beta -o json`));
    const [v1, beta] = [
      await read('externalsecrets.v1.external-secrets.io'),
      await read('externalsecrets.v1beta1.external-secrets.io'),
    ];
    expect(v1.apiVersion).toBe('external-secrets.io/v1');
    expect(beta.apiVersion).toBe('external-secrets.io/v1beta1');
    expect(v1.spec.data[0]).toMatchObject(spec.data[0] ?? {});
    expect(v1.status.conditions[0]).toMatchObject({ type: 'Ready', status: 'True' });
  });

  test('over stores of v1beta1, as a ClusterExternalSecret of v1beta1 makes it, is filled like any other', async () => {
    const beta = (kind: string, metadata: object, spec: object): object => ({
      apiVersion: 'external-secrets.io/v1beta1',
      kind,
      metadata,
      spec,
    });
    const provider = { fake: { data: [{ key: 'k', value: 'v' }] } };
    await kubectl('label namespace shop beta=yes');
    await team.kubectl.apply(
      beta('SecretStore', { name: 'beta', namespace: 'shop' }, { provider }),
      beta('ClusterSecretStore', { name: 'beta' }, { provider }),
      beta(
        'ClusterExternalSecret',
        { name: 'beta-everywhere' },
        {
          namespaceSelector: { matchLabels: { beta: 'yes' } },
          externalSecretSpec: {
            refreshInterval: '1h',
            secretStoreRef: { name: 'beta', kind: 'ClusterSecretStore' },
            data: [{ secretKey: 'cluster', remoteRef: { key: 'k' } }],
          },
        },
      ),
    );
    await team.holds('beta-everywhere', { cluster: 'v' });
    const own = { secretStoreRef: { name: 'beta' }, data: [{ secretKey: 'own', remoteRef: { key: 'k' } }] };
    await team.externalSecret('beta-own', own, 'v1beta1');
    await team.holds('beta-own', { own: 'v' });
    for (const kind of ['secretstores', 'clustersecretstores', 'clusterexternalsecrets'])
      for (const version of ['v1', 'v1beta1']) {
        const name = kind === 'clusterexternalsecrets' ? 'beta-everywhere' : 'beta';
        const read = JSON.parse(await kubectl(`get ${kind}.${version}.external-secrets.io ${name} -o json`));
        expect(read.apiVersion).toBe(`external-secrets.io/${version}`);
        expect(read.status.conditions[0]).toMatchObject({ type: 'Ready', status: 'True' });
      }
    await team.kubectl.ok('delete clusterexternalsecret beta-everywhere --timeout=20s');
    await team.gone('beta-everywhere');
  });

  test('takes templates from ConfigMaps and Secrets, and is rendered anew when one of them changes', async () => {
    const template = (kind: 'ConfigMap' | 'Secret', name: string, texts: object): object => ({
      apiVersion: 'v1',
      kind,
      metadata: { name, namespace: 'shop' },
      ...(kind === 'Secret' ? { stringData: texts } : { data: texts }),
    });
    await team.put('rendered', { user: 'amy', password: 'p' });
    await team.kubectl.apply(
      template('ConfigMap', 'files', { 'app.conf': 'user={{ .user }}', unused: '{{ .none }}' }),
      template('Secret', 'hidden', { notes: 'owner: {{ .user }}\nteam: shop' }),
    );
    const templateFrom = [
      { configMap: { name: 'files', items: [{ key: 'app.conf' }] } },
      {
        target: 'Annotations',
        secret: { name: 'hidden', items: [{ key: 'notes', templateAs: 'KeysAndValues' }] },
      },
      { target: 'Labels', literal: 'who: {{ .user }}' },
    ];
    await app('rendered', 'rendered', {
      target: { template: { templateFrom } },
      dataFrom: [{ extract: { key: 'secret/shop/rendered' } }],
    });
    const secret = await team.holds('rendered', { 'app.conf': 'user=amy' });
    expect(secret.metadata.annotations).toMatchObject({ owner: 'amy', team: 'shop' });
    expect(secret.metadata.labels).toMatchObject({ who: 'amy' });
    await team.kubectl.apply(template('ConfigMap', 'files', { 'app.conf': 'login={{ .user | upper }}' }));
    await team.holds('rendered', { 'app.conf': 'login=AMY' });
    await team.kubectl.apply(template('Secret', 'hidden', { notes: 'keeper: {{ .user }}' }));
    await eventually('the annotation follows', async () => {
      const { annotations = {} } = (await team.secret('rendered'))?.metadata ?? {};
      return (annotations['keeper'] === 'amy' && annotations['owner'] === undefined) || undefined;
    });
    await kubectl('delete configmap files');
    await kubectl('annotate es rendered force-sync=1');
    await team.says('rendered', /^False SecretSyncedError: .*files/);
    await team.holds('rendered', { 'app.conf': 'login=AMY' });
  });

  test('follows its refresh policy: OnChange hears an annotation, CreatedOnce nothing, Periodic everything', async () => {
    await team.put('policy', { password: 'old' });
    const policies = { once: 'CreatedOnce', change: 'OnChange', always: 'Periodic' };
    for (const [name, refreshPolicy] of Object.entries(policies)) {
      await app(name, 'policy', { refreshPolicy });
      await team.holds(name, { password: 'old' });
    }
    await team.put('policy', { password: 'new' });
    await team.holds('always', { password: 'new' });
    await team.holds('change', { password: 'old' });
    await kubectl('annotate es once change force-sync=1');
    await team.holds('change', { password: 'new' });
    await team.holds('once', { password: 'old' });
    // What was made once is made again when it is lost.
    await kubectl('delete secret once');
    await team.holds('once', { password: 'new' });
  });

  test('without an interval is read again by force-sync alone', async () => {
    await team.put('forced', { password: 'old' });
    await app('forced', 'forced', { refreshPolicy: 'OnChange', refreshInterval: '0' });
    await team.holds('forced', { password: 'old' });
    for (const round of ['1', '2']) {
      await team.put('forced', { password: `new${round}` });
      await kubectl(`annotate es forced force-sync=${round} --overwrite`);
      await team.holds('forced', { password: `new${round}` });
    }
  });

  test('that names a key which is not there says which entry, which key and the nearest one', async () => {
    await team.put('typo', { password: 'p', username: 'u' });
    await team.externalSecret('typo', { data: [entry('x', 'secret/shop/typo', 'pasword')] });
    await team.says(
      'typo',
      /^False SecretSyncedError: .*spec\.data\[0\] \(key: secret\/shop\/typo\).*"pasword".*"password"/,
    );
    expect(await kubectl('wait --for=condition=Ready=False es/typo --timeout=20s')).toContain(
      'condition met',
    );
    const warned = await eventually('the warning is described', async () => {
      const text = await kubectl('describe es typo');
      return text.includes('UpdateFailed') ? text : undefined;
    });
    expect(warned).toMatch(/Warning\s+UpdateFailed\s+.*pasword/);
    await team.put('typo', { pasword: 'as asked' });
    await team.holds('typo', { x: 'as asked' });
  });

  test('over a store of an unknown provider says so, and the store names what there is', async () => {
    await team.kubectl.apply({
      apiVersion: 'external-secrets.io/v1',
      kind: 'SecretStore',
      metadata: { name: 'foreign', namespace: 'shop' },
      spec: { provider: { acme: { url: 'https://acme.example.com' } } },
    });
    await team.externalSecret('foreign', {
      secretStoreRef: { name: 'foreign' },
      data: [entry('a', 'a', 'a')],
    });
    const known = /unknown provider "acme"; this build has: .*vault/;
    await team.says(
      'foreign',
      new RegExp(`^False SecretSyncedError: .*"foreign" is not ready: .*${known.source}`),
    );
    expect(await kubectl(`get ss foreign -o jsonpath='{.status.conditions[0].message}'`)).toMatch(known);
  });

  const endless: readonly (readonly [name: string, text: string, what: RegExp])[] = [
    ['recursion', '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}', /template/],
    ['memory', '{{ repeat 1000000000 .password }}', /used up its|too/],
    [
      'loops',
      '{{ range until 1000000 }}{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}{{ end }}',
      /used up its/,
    ],
    [
      'doubling',
      `{{ $x := .password }}${'{{ $x = printf "%s%s" $x $x }}'.repeat(60)}{{ $x }}`,
      /used up its/,
    ],
  ];
  test.each(endless)(
    'with a template that never ends (%s) is told, and keeps nobody waiting',
    async (name, text, what) => {
      await team.put('fuel', { password: 'p' });
      const broken = `fuel-${name}`;
      await app(broken, 'fuel', { target: { template: { data: { x: text } } } });
      await team.says(
        broken,
        /^False SecretSyncedError: could not update secret: template.*\[template\.fuel\]/,
      );
      expect((await team.condition(broken)).message).toMatch(what);
      expect(await team.secret(broken)).toBeUndefined();
      await app(`beside-${name}`, 'fuel');
      await team.holds(`beside-${name}`, { password: 'p' });
      await kubectl(`delete es ${broken} --timeout=20s`);
    },
  );

  test('of which the server is sealed keeps its Secret, says why, and recovers by itself', async () => {
    await team.put('outage', { password: 'before' });
    await app('outage', 'outage');
    await team.holds('outage', { password: 'before' });
    const store = (): Promise<string> =>
      kubectl(`get ss vault -o jsonpath='{.status.conditions[0].message}'`);
    await platform.root.request('PUT', 'sys/seal');
    // Nobody asked: the store says so at once, where its next check is minutes away.
    await eventually('the store says sealed', async () => /sealed/.test(await store()) || undefined);
    await team.says('outage', /^True SecretSynced/);
    await kubectl('annotate es outage force-sync=1');
    await team.says('outage', /^False SecretSyncedError: .*sealed/);
    await team.holds('outage', { password: 'before' });
    await platform.root.request('PUT', 'sys/unseal', { body: { key: platform.keys.unsealKey } });
    await team.says('outage', /^True SecretSynced/);
    expect(await store()).toBe('store validated');
    // Push is back, too: nothing else would bring this within the hour.
    await team.put('outage', { password: 'after' });
    await team.holds('outage', { password: 'after' });
  });

  test('shows no value of a secret in a condition, an event or a log', async () => {
    const canary = 'c4n4ry-9f2e7b6a1d';
    await team.put('canary', { password: canary, json: `{"a": ${canary}` });
    await team.externalSecret('canary', {
      target: { template: { data: { x: '{{ .password | fromJson }}{{ .nothing }}' } } },
      data: [entry('password', 'secret/shop/canary', 'password')],
    });
    await team.says('canary', /^False SecretSyncedError/);
    await team.externalSecret('canary', { data: [entry('a', 'secret/shop/canary', 'json.a.b')] });
    await team.says('canary', /^False SecretSyncedError: .*spec\.data\[0\]/);
    await team.externalSecret('canary', {
      data: [
        {
          secretKey: 'a',
          remoteRef: { key: 'secret/shop/canary', property: 'json', decodingStrategy: 'Base64' },
        },
      ],
    });
    await team.says('canary', /^False SecretSyncedError: .*Base64/);
    await platform.operator.eventsWritten();
    const seen = [
      await team.kubectl.ok('get es,ss,events -A -o yaml'),
      await platform.logged(),
      await platform.audited(),
    ].join('\n');
    expect(seen).toContain('canary');
    expect(seen).not.toContain(canary);
  });
}
