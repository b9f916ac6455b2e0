/**
 * A tenant may create PushSecrets, SecretStores and Secrets in one namespace, and even write the status of its PushSecrets. Here
 * it tries to push what is not its own, and to write or delete where it may not. Each attempt is applied with kubectl; afterwards
 * everything of the other team is as it was, and nothing of it lies anywhere else.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, PUSH_SECRETS, SECRETS } from '../../src/operator/api/resources.ts';
import { type Kubectl, noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { makeTeam, textsOf } from '../support/team.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/isolation-push: ${noKubectl}`);

const VICTIM = 'victim-value-9c1b7e';
const OWN = 'tenant-value';

interface Attempt {
  readonly spec: object;
  readonly annotations?: Record<string, string>;
  /** The name of the PushSecret, where that matters. */
  readonly name?: string;
  /** What its condition says, or what kubectl says where the API server refuses it. */
  readonly says: RegExp;
  readonly refused?: true;
}

const own = { secret: { name: 'own' } };
const to = (remoteKey: string, more: object = {}) => [
  { match: { secretKey: 'p', remoteRef: { remoteKey, property: 'p' } }, ...more },
];
const whole = (remoteKey: string) => [{ match: { secretKey: 'p', remoteRef: { remoteKey } } }];
const loot = to('tenant/loot');
const vault = [{ name: 'vault' }];
const shared = [{ name: 'shared', kind: 'ClusterSecretStore' }];

const attempts: Readonly<Record<string, Attempt>> = {
  'the Secret of another namespace, by its name': {
    spec: { secretStoreRefs: vault, selector: { secret: { name: 'treasure' } }, data: loot },
    says: /^False Errored: could not get source secret/,
  },
  'the Secret of another namespace, by a path': {
    spec: {
      secretStoreRefs: vault,
      selector: { secret: { name: '../../victim/secrets/treasure' } },
      data: loot,
    },
    says: /spec\.selector\.secret\.name/,
    refused: true,
  },
  'the Secret of another namespace, by a namespace that the field does not have': {
    spec: {
      secretStoreRefs: vault,
      selector: { secret: { name: 'treasure', namespace: 'victim' } },
      data: loot,
    },
    says: /unknown field "spec\.selector\.secret\.namespace"/,
    refused: true,
  },
  'the Secrets of all namespaces, by a label (GHSA-fcxq-v2r3-cc8h)': {
    spec: {
      secretStoreRefs: vault,
      selector: { secret: { selector: { matchLabels: { steal: 'me' } } } },
      dataTo: [{ storeRef: { name: 'vault' }, remoteKey: 'tenant/loot' }],
    },
    says: /^True Synced/,
  },
  'a Secret of another namespace, through a template': {
    spec: {
      secretStoreRefs: vault,
      selector: own,
      template: {
        templateFrom: [{ secret: { name: 'treasure', items: [{ key: 'p', templateAs: 'Values' }] } }],
      },
      data: loot,
    },
    says: /^False Errored: could not execute template: error in secret treasure: it does not exist/,
  },
  'the SecretStore of another namespace, by its name': {
    spec: { secretStoreRefs: [{ name: 'victims' }], selector: own, data: to('any') },
    says: /could not get SecretStore "victims", there is no such SecretStore in namespace "tenant"/,
  },
  'the SecretStore of another namespace, by its labels': {
    spec: {
      secretStoreRefs: [{ labelSelector: { matchLabels: { tier: 'victims' } } }],
      selector: own,
      data: to('any'),
    },
    says: /^False Errored: spec\.secretStoreRefs matches no store by its labels/,
  },
  'a ClusterSecretStore that does not let the namespace in, by its name': {
    spec: {
      secretStoreRefs: [{ name: 'gated', kind: 'ClusterSecretStore' }],
      selector: own,
      data: to('any'),
    },
    says: /using cluster store "gated" is not allowed from namespace "tenant": denied by spec\.condition/,
  },
  'a ClusterSecretStore that does not let the namespace in, by its labels': {
    spec: {
      secretStoreRefs: [{ labelSelector: { matchLabels: { tier: 'gated' } }, kind: 'ClusterSecretStore' }],
      selector: own,
      data: to('any'),
    },
    says: /using cluster store "gated" is not allowed from namespace "tenant": denied by spec\.condition/,
  },
  'what another team pushed to a shared store, under the very name of its PushSecret': {
    name: 'treasure',
    spec: { secretStoreRefs: shared, selector: own, data: whole('treasure') },
    says: /treasure is not ours to write.*\[provider\.foreign\]/,
  },
  'the same, and says that it adopts': {
    spec: { secretStoreRefs: shared, selector: own, data: whole('treasure') },
    annotations: { 'holdfast.dev/adopt': 'true' },
    says: /treasure is not ours to write.*\[provider\.foreign\]/,
  },
  'a path of another team in Vault, through its own store': {
    spec: { secretStoreRefs: vault, selector: own, data: to('victim/treasure') },
    says: /secret\/data\/victim\/treasure: permission denied/,
  },
  'that path by steps upwards': {
    spec: { secretStoreRefs: vault, selector: own, data: to('tenant/../victim/treasure') },
    says: /^False Errored: set secret failed/,
  },
  'that path by steps upwards that are encoded': {
    spec: { secretStoreRefs: vault, selector: own, data: to('tenant/%2e%2e/victim/treasure') },
    says: /^False Errored: set secret failed/,
  },
  'another namespace, by the metadata of a store of the cluster': {
    spec: {
      secretStoreRefs: [{ name: 'cluster' }],
      selector: own,
      data: to('treasure', {
        metadata: {
          apiVersion: 'kubernetes.external-secrets.io/v1alpha1',
          kind: 'PushSecretMetadata',
          spec: { remoteNamespace: 'victim' },
        },
      }),
    },
    says: /remoteNamespace override is only supported with ClusterSecretStore/,
  },
};

describe.skipIf(noKubectl !== undefined)('a tenant that pushes', () => {
  let platform: TestPlatform;
  let kubectl: Kubectl;
  const of = (
    kind: string,
    name: string,
    namespace: string | undefined,
    spec: object,
    more: object = {},
  ): KubeObject => ({
    apiVersion: kind === 'PushSecret' ? 'external-secrets.io/v1alpha1' : 'external-secrets.io/v1',
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...more },
    spec,
  });
  const condition = async (name: string, namespace = 'tenant'): Promise<string> => {
    const object = await platform.kube.get({ resource: PUSH_SECRETS, namespace, name });
    const { conditions = [] } = (object?.['status'] ?? {}) as { conditions?: Record<string, string>[] };
    const ready = conditions.find(({ type }) => type === 'Ready') ?? {};
    return `${ready['status']} ${ready['reason']}: ${ready['message']}`;
  };
  const inVault = async (path: string): Promise<unknown> => {
    try {
      const data = (await platform.root.request('GET', `secret/data/${path}`)).envelope?.data as {
        data: unknown;
      };
      return data.data;
    } catch {
      return undefined;
    }
  };
  /** What the other team has, wherever it has it. */
  const treasures = async (): Promise<unknown> => {
    await kubectl.ok(`annotate es reads -n victim force-sync=${Math.random()} --overwrite`);
    const read = await eventually('what the victim reads', async () => {
      const es = await platform.kube.get({ resource: EXTERNAL_SECRETS, namespace: 'victim', name: 'reads' });
      const status = es?.['status'] as { conditions?: { status: string }[] } | undefined;
      if (status?.conditions?.[0]?.status !== 'True') return undefined;
      return platform.kube.get({ resource: SECRETS, namespace: 'victim', name: 'reads' });
    });
    const secret = await platform.kube.get({ resource: SECRETS, namespace: 'victim', name: 'treasure' });
    return [textsOf(read), secret && textsOf(secret), await inVault('victim/treasure')];
  };
  const UNTOUCHED = [{ p: VICTIM, q: VICTIM }, { p: VICTIM }, { p: VICTIM }];

  beforeAll(async () => {
    platform = await startTestPlatform();
    const [tenant] = [await makeTeam(platform, 'tenant'), await makeTeam(platform, 'victim')];
    ({ kubectl } = tenant);
    const secretOf = (name: string, namespace: string, value: string, labels: object = {}): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, labels },
      stringData: { p: value },
    });
    const fake = { provider: { fake: { data: [] } } };
    await platform.root.request('PUT', 'secret/data/victim/treasure', { body: { data: { p: VICTIM } } });
    const rbac = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      metadata: { name: 'pusher', namespace: 'tenant' },
    };
    await kubectl.apply(
      {
        ...rbac,
        kind: 'Role',
        rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'create', 'update'] }],
      },
      {
        ...rbac,
        kind: 'RoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'pusher' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'tenant' }],
      },
      secretOf('own', 'tenant', OWN),
      secretOf('treasure', 'victim', VICTIM, { steal: 'me' }),
      of('SecretStore', 'victims', 'victim', fake, { labels: { tier: 'victims' } }),
      of('ClusterSecretStore', 'shared', undefined, fake),
      of(
        'ClusterSecretStore',
        'gated',
        undefined,
        { ...fake, conditions: [{ namespaces: ['victim'] }] },
        { labels: { tier: 'gated' } },
      ),
      of('SecretStore', 'cluster', 'tenant', {
        provider: {
          kubernetes: {
            server: { url: 'kubernetes.default.svc' },
            auth: { serviceAccount: { name: 'default' } },
            remoteNamespace: 'tenant',
          },
        },
      }),
      ...['shared', 'gated'].map((store) =>
        of('PushSecret', store === 'shared' ? 'treasure' : 'gated', 'victim', {
          secretStoreRefs: [{ name: store, kind: 'ClusterSecretStore' }],
          selector: { secret: { name: 'treasure' } },
          data: whole('treasure'),
        }),
      ),
      of('ExternalSecret', 'reads', 'victim', {
        refreshInterval: '1h',
        data: ['shared', 'gated'].map((name, at) => ({
          secretKey: at === 0 ? 'p' : 'q',
          remoteRef: { key: 'treasure' },
          sourceRef: { storeRef: { name, kind: 'ClusterSecretStore' } },
        })),
      }),
    );
    // Rights as `holdfast dev` derives them: of the tenant's own path, and of nothing else.
    await platform.grant([
      (await platform.kube.get({
        resource: {
          group: 'external-secrets.io',
          version: 'v1',
          plural: 'secretstores',
          kind: 'SecretStore',
          namespaced: true,
        },
        namespace: 'tenant',
        name: 'vault',
      })) as KubeObject,
      of('PushSecret', 'own', 'tenant', { secretStoreRefs: vault, selector: own, data: loot }),
    ]);
    for (const name of ['treasure', 'gated'])
      await eventually(`the victim pushed ${name}`, async () =>
        (await condition(name, 'victim')).startsWith('True'),
      );
    expect(await treasures()).toEqual(UNTOUCHED);
  }, 90_000);
  afterAll(() => platform?.stop());

  test('may push what is its own to where it may', async () => {
    await kubectl.apply(
      of('PushSecret', 'honest', 'tenant', { secretStoreRefs: vault, selector: own, data: loot }),
    );
    await eventually(
      'it is pushed',
      async () => JSON.stringify(await inVault('tenant/loot')) === JSON.stringify({ p: OWN }),
    );
    await kubectl.ok('delete pushsecret honest -n tenant --timeout=20s');
    await platform.root.request('DELETE', 'secret/metadata/tenant/loot');
  }, 30_000);

  let count = 0;
  for (const [what, { spec, annotations = {}, name = `try-${++count}`, says, refused }] of Object.entries(
    attempts,
  )) {
    test(`gets nothing of ${what}`, async () => {
      const { err, code } = await kubectl.run(
        'apply -f -',
        JSON.stringify(of('PushSecret', name, 'tenant', spec, { annotations })),
      );
      if (refused === true) {
        expect([code, err]).toEqual([1, expect.stringMatching(says)]);
      } else {
        expect([code, err]).toEqual([0, '']);
        let seen = '';
        await eventually(`it says ${says}`, async () => {
          seen = await condition(name);
          return says.test(seen) || undefined;
        }).catch((error: unknown) => {
          throw new Error(`it says ${seen}`, { cause: error });
        });
        expect(await kubectl.ok(`get pushsecret ${name} -n tenant -o yaml`)).not.toContain(VICTIM);
        await kubectl.ok(`delete pushsecret ${name} -n tenant --timeout=20s`);
      }
      expect(await treasures()).toEqual(UNTOUCHED);
      expect(await inVault('tenant/loot')).toBeUndefined();
    }, 40_000);
  }

  test.each([
    ['a shared store', 'ClusterSecretStore/shared', 'gone'],
    ['a store that does not let it in', 'ClusterSecretStore/gated', 'stays'],
    ['the store of another namespace', 'SecretStore/victims', 'stays'],
    ['the store of another namespace, by a path', 'SecretStore/../victim/victims', 'stays'],
  ])(
    'deletes nothing of another team in %s by a status that it forged',
    async (_, store, end) => {
      const name = `forged-${++count}`;
      await kubectl.apply(
        of('PushSecret', name, 'tenant', {
          secretStoreRefs: shared,
          deletionPolicy: 'Delete',
          selector: own,
          data: whole(`tenant-${count}`),
        }),
      );
      await eventually('it is pushed', async () => (await condition(name)).startsWith('True'));
      const status = {
        syncedPushSecrets: { [store]: { treasure: { match: { remoteRef: { remoteKey: 'treasure' } } } } },
      };
      await kubectl.ok(
        `patch pushsecret ${name} -n tenant --subresource=status --type=merge -p '${JSON.stringify({ status })}'`,
      );
      await kubectl.ok(`delete pushsecret ${name} -n tenant --wait=false`);
      if (end === 'stays') {
        await eventually('it says that it may not', async () =>
          /Failed to Delete Secrets from Provider: .*(denied by spec\.condition|there is no such)/.test(
            await condition(name),
          ),
        );
        await kubectl.ok(
          `patch pushsecret ${name} -n tenant --type=merge -p '{"spec":{"deletionPolicy":"None"}}'`,
        );
      }
      await eventually(
        'it is gone',
        async () =>
          (await platform.kube.get({ resource: PUSH_SECRETS, namespace: 'tenant', name })) === undefined,
      );
      expect(await treasures()).toEqual(UNTOUCHED);
    },
    40_000,
  );
});
