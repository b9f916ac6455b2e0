/** PushSecrets and the cluster's kinds over the whole platform, with the real kubectl: what people apply, and what they see. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeObject, Resource } from '../../../src/kube/kube.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  NAMESPACES,
  PUSH_SECRETS,
  SECRET_STORES,
  SECRETS,
} from '../../../src/operator/api/resources.ts';
import { eventually, type TestPlatform } from '../platform.ts';
import { makeTeam, type Team, textsOf } from '../team.ts';

/** @param start a platform of its own: over the embedded Kubernetes API, or over a real one */
export function pushSecretSuite(start: () => Promise<TestPlatform>): void {
  let platform: TestPlatform;
  let team: Team;
  const applied: KubeObject[] = [];
  beforeAll(async () => {
    platform = await start();
    team = await makeTeam(platform, 'shop');
    applied.push(
      (await platform.kube.get({ resource: SECRET_STORES, namespace: 'shop', name: 'vault' })) as KubeObject,
    );
  }, 60_000);
  afterAll(() => platform?.stop());

  /** Applies a PushSecret, with the rights that `holdfast dev` derives from it. */
  async function push(name: string, spec: object, annotations: Record<string, string> = {}): Promise<void> {
    const object: KubeObject = {
      apiVersion: 'external-secrets.io/v1alpha1',
      kind: 'PushSecret',
      metadata: {
        name,
        namespace: 'shop',
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      },
      spec: { refreshInterval: '1h', secretStoreRefs: [{ name: 'vault' }], ...spec },
    };
    applied.push(object);
    await platform.grant(applied);
    await team.kubectl.apply(object);
  }
  const vaultData = async (path: string): Promise<Record<string, unknown> | undefined> => {
    try {
      const answer = (await platform.root.request('GET', `secret/data/${path}`)).envelope?.data as {
        data: Record<string, unknown>;
      };
      return answer.data;
    } catch {
      return undefined;
    }
  };
  const isThere = (path: string, data: Record<string, unknown>) =>
    eventually(`${path} is ${JSON.stringify(data)}`, async () => {
      const found = await vaultData(path);
      return (
        found !== undefined &&
        JSON.stringify(Object.entries(found).sort()) === JSON.stringify(Object.entries(data).sort())
      );
    });
  const says = (name: string, text: RegExp, resource: Resource = PUSH_SECRETS) => {
    let seen = '';
    return eventually(`${name} says ${text}`, async () => {
      const object = await platform.kube.get({
        resource,
        ...(resource.namespaced ? { namespace: 'shop' } : {}),
        name,
      });
      const { conditions = [] } = (object?.['status'] ?? {}) as { conditions?: Record<string, string>[] };
      const ready = conditions.find(({ type }) => type === 'Ready') ?? {};
      seen = `${ready['status']} ${ready['reason']}: ${ready['message']}`;
      return text.test(seen) || undefined;
    }).catch((error: unknown) => {
      throw new Error(`${name} says ${seen}, not ${text}`, { cause: error });
    });
  };
  const secret = (name: string, text: string): Promise<string> =>
    team.kubectl.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: 'shop' },
      stringData: { password: text, user: 'amy' },
    });

  test('a Secret goes to Vault by property, follows each change, and leaves with its PushSecret', async () => {
    await secret('db', 'first');
    await push('db', {
      deletionPolicy: 'Delete',
      selector: { secret: { name: 'db' } },
      data: [
        {
          match: { secretKey: 'password', remoteRef: { remoteKey: 'shop/pushed/db', property: 'password' } },
        },
        { match: { secretKey: 'user', remoteRef: { remoteKey: 'shop/pushed/db', property: 'user' } } },
      ],
    });
    await isThere('shop/pushed/db', { password: 'first', user: 'amy' });
    await says('db', /^True Synced: PushSecret synced successfully$/);
    await secret('db', 'second');
    await isThere('shop/pushed/db', { password: 'second', user: 'amy' });
    const metadata = (await platform.root.request('GET', 'secret/metadata/shop/pushed/db')).envelope?.data;
    expect(metadata).toMatchObject({ custom_metadata: { 'managed-by': 'external-secrets' } });

    expect(await team.kubectl.ok('get ps db -n shop')).toMatch(
      /^NAME\s+AGE\s+STATUS\s+LAST SYNC\ndb\s+\S+\s+Synced\s+\S+$/,
    );
    const status = JSON.parse(await team.kubectl.ok('get pushsecret db -n shop -o json')).status;
    expect(Object.keys(status.syncedPushSecrets['SecretStore/vault']).sort()).toEqual([
      'shop/pushed/db/password',
      'shop/pushed/db/user',
    ]);
    const described = await team.kubectl.ok('describe pushsecret db -n shop');
    expect(described).toMatch(
      /Normal\s+Synced\s+\S+\s+(\(x\d+ over \S+\)\s+)?pushsecret\s+PushSecret synced successfully/,
    );
    const held = await team.kubectl.ok('get secretstore vault -n shop -o jsonpath={.metadata.finalizers}');
    expect(held).toContain('secretstore.externalsecrets.io/finalizer');

    await team.kubectl.ok('delete pushsecret db -n shop --timeout=20s');
    await eventually('it is gone from Vault', async () => (await vaultData('shop/pushed/db')) === undefined);
    await eventually(
      'the store is free',
      async () =>
        !(await team.kubectl.ok('get secretstore vault -n shop -o jsonpath={.metadata.finalizers}')).includes(
          'secretstore',
        ),
    );
  }, 60_000);

  test('a whole Secret by a template, and what was made by hand is taken over only where the manifest says so', async () => {
    await secret('whole', 'p');
    await platform.root.request('PUT', 'secret/data/shop/pushed/whole', { body: { data: { hand: 'made' } } });
    const spec = {
      selector: { secret: { name: 'whole' } },
      template: { data: { url: 'postgres://{{ .user }}:{{ .password }}@db' } },
      data: [{ match: { remoteRef: { remoteKey: 'shop/pushed/whole' } } }],
    };
    await push('whole', spec);
    await says(
      'whole',
      /^False Errored: set secret failed: .*secret not managed by external-secrets.*\[provider\.foreign\]; tried again within/,
    );
    expect(await vaultData('shop/pushed/whole')).toEqual({ hand: 'made' });
    await team.kubectl.ok('annotate pushsecret whole -n shop holdfast.dev/adopt=true');
    await isThere('shop/pushed/whole', { password: 'p', user: 'amy', url: 'postgres://amy:p@db' });
  }, 40_000);

  test('a bundle of matched keys, and what an ExternalSecret reads of it again', async () => {
    await secret('bundle', 'b');
    await push('bundle', {
      selector: { secret: { name: 'bundle' } },
      dataTo: [{ storeRef: { name: 'vault' }, remoteKey: 'shop/pushed/bundle', match: { regexp: '^pass' } }],
    });
    await isThere('shop/pushed/bundle', { password: 'b' });
    await team.externalSecret('back', { dataFrom: [{ extract: { key: 'shop/pushed/bundle' } }] });
    await team.holds('back', { password: 'b' });
  }, 40_000);

  test('what only an API server refuses is refused by ours', async () => {
    const wrong = (dataTo: object): object => ({
      apiVersion: 'external-secrets.io/v1alpha1',
      kind: 'PushSecret',
      metadata: { name: 'wrong', namespace: 'shop' },
      spec: { secretStoreRefs: [{ name: 'vault' }], selector: { secret: { name: 'x' } }, dataTo: [dataTo] },
    });
    for (const [dataTo, said] of [
      [{ remoteKey: 'k' }, 'storeRef must specify either name or labelSelector'],
      [
        { storeRef: { name: 'vault' }, remoteKey: 'k', rewrite: [{ regexp: { source: 'a', target: 'b' } }] },
        'remoteKey and rewrite are mutually exclusive',
      ],
    ] as const) {
      const { code, err } = await team.kubectl.run('apply -f -', JSON.stringify(wrong(dataTo)));
      expect([code, err]).toEqual([1, expect.stringContaining(said)]);
    }
  });

  test('a ClusterExternalSecret follows the labels of namespaces, and lets go of one that is deleted', async () => {
    await team.put('shared', { key: 'value' });
    await team.kubectl.apply({
      apiVersion: 'external-secrets.io/v1',
      kind: 'ClusterSecretStore',
      metadata: { name: 'static' },
      spec: { provider: { fake: { data: [{ key: 'k', value: 'v' }] } } },
    });
    await team.kubectl.apply({
      apiVersion: 'external-secrets.io/v1',
      kind: 'ClusterExternalSecret',
      metadata: { name: 'everywhere' },
      spec: {
        namespaceSelectors: [{ matchLabels: { shared: 'yes' } }],
        externalSecretSpec: {
          secretStoreRef: { name: 'static', kind: 'ClusterSecretStore' },
          data: [{ secretKey: 'v', remoteRef: { key: 'k' } }],
        },
      },
    });
    for (const name of ['one', 'two']) await team.kubectl.ok(`create namespace ${name}`);
    await team.kubectl.ok('label namespace one two shared=yes');
    const held = (namespace: string) =>
      platform.kube.get({ resource: SECRETS, namespace, name: 'everywhere' });
    for (const name of ['one', 'two'])
      await eventually(`the Secret in ${name}`, async () => {
        const found = await held(name);
        return found !== undefined && textsOf(found)['v'] === 'v';
      });
    expect(await team.kubectl.ok('get ces everywhere')).toMatch(
      /NAME\s+STORE\s+REFRESH INTERVAL\s+READY\neverywhere\s+static\s+True/,
    );
    await team.kubectl.ok('label namespace one shared-');
    await eventually('the Secret left with the label', async () => (await held('one')) === undefined);
    await team.kubectl.ok('delete namespace two --timeout=20s');
    await eventually(
      'the namespace is gone',
      async () => (await platform.kube.get({ resource: NAMESPACES, name: 'two' })) === undefined,
    );
    await team.kubectl.ok('delete ces everywhere --timeout=20s');
    const one = await platform.kube.get({ resource: NAMESPACES, name: 'one' });
    expect(one?.metadata.finalizers ?? []).toEqual([]);
    expect(
      await platform.kube.get({ resource: CLUSTER_EXTERNAL_SECRETS, name: 'everywhere' }),
    ).toBeUndefined();
  }, 60_000);

  test('a ClusterPushSecret pushes from each namespace that it selects', async () => {
    await team.kubectl.ok('label namespace shop pushes=yes');
    await secret('all', 'x');
    await team.kubectl.apply({
      apiVersion: 'external-secrets.io/v1alpha1',
      kind: 'ClusterPushSecret',
      metadata: { name: 'all' },
      spec: {
        namespaceSelectors: [{ matchLabels: { pushes: 'yes' } }],
        pushSecretSpec: {
          secretStoreRefs: [{ name: 'static', kind: 'ClusterSecretStore' }],
          selector: { secret: { name: 'all' } },
          data: [{ match: { secretKey: 'password', remoteRef: { remoteKey: 'from-shop' } } }],
        },
      },
    });
    await says('all', /^True Synced/);
    await team.kubectl.ok('delete clusterpushsecret all --timeout=20s');
    await eventually(
      'its child is gone',
      async () =>
        (await platform.kube.get({ resource: PUSH_SECRETS, namespace: 'shop', name: 'all' })) === undefined,
    );
  }, 40_000);
}
