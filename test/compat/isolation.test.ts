/**
 * A tenant may create ExternalSecrets and SecretStores, and Secrets and ConfigMaps of its own, in one namespace. Here it tries to
 * read, overwrite or name anything outside, by the ways that are published for operators of this kind and by those that we
 * could think of. Each attempt is applied with kubectl as the tenant; nothing of the other team may come over, whoever is asked.
 */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, SECRET_STORES, SECRETS } from '../../src/operator/api/resources.ts';
import { noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { type Condition, entry, makeTeam, type Team } from '../support/team.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/isolation: ${noKubectl}`);

const VICTIM = 'victim-value-4f1d2c';
const OWN_KEYS = 'operator-own-key-77aa';
const GOOD = { data: [entry('password', 'secret/shop/app', 'password')] };

interface World {
  readonly address: string;
  readonly apiPort: number;
  readonly ca: string;
}

/** A SecretStore that must not work, and an ExternalSecret that would read the other team's value through it. */
interface StoreAttempt {
  readonly provider: (world: World) => object;
  /** What the ExternalSecret asks it for; by default the other team's path. */
  readonly key?: string;
  /** What the store, or the ExternalSecret, says of it. */
  readonly says: RegExp;
  /** Where a store cannot know: it is the read that is refused. */
  readonly byRead?: true;
}

const vault =
  (more: object): StoreAttempt['provider'] =>
  () => ({
    vault: {
      server: 'http://vault.vault-system.svc.cluster.local:8200',
      path: 'secret',
      version: 'v2',
      ...more,
    },
  });
const kubernetes =
  (more: object): StoreAttempt['provider'] =>
  ({ ca }) => ({
    kubernetes: {
      server: { url: 'https://kubernetes.default.svc', caBundle: Buffer.from(ca).toString('base64') },
      ...more,
    },
  });
const webhook =
  (url: string, more: object = {}): StoreAttempt['provider'] =>
  () => ({
    webhook: { url, result: { jsonPath: '$.password' }, ...more },
  });
const aws =
  (auth: object, more: object = {}): StoreAttempt['provider'] =>
  () => ({
    aws: { service: 'SecretsManager', region: 'eu-west-1', auth, ...more },
  });
const account = (more: object) => ({
  kubernetes: {
    mountPath: 'kubernetes',
    role: 'eso-shop-role',
    serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
    ...more,
  },
});
const theirs = { name: 'credentials', key: 'token', namespace: 'other' };

const stores: Readonly<Record<string, StoreAttempt>> = {
  'the token of another namespace': {
    provider: vault({ auth: { tokenSecretRef: theirs } }),
    says: /namespace/,
  },
  'the service account of another namespace': {
    provider: vault({
      auth: account({
        role: 'eso-other-role',
        serviceAccountRef: { name: 'external-secrets', namespace: 'other', audiences: ['vault'] },
      }),
    }),
    says: /namespace/,
  },
  'the role of another team, with its own account': {
    provider: vault({ auth: account({ role: 'eso-other-role' }) }),
    says: /namespace not authorized/,
  },
  "the operator's own role, with its own account": {
    provider: vault({ auth: account({ role: 'holdfast-operator' }) }),
    says: /not authorized/,
  },
  'a role without any account of its own, in the hope of the operator’s': {
    provider: vault({ auth: { kubernetes: { mountPath: 'kubernetes', role: 'holdfast-operator' } } }),
    says: /neither a serviceAccountRef nor a secretRef/,
  },
  'an authority in a Secret of another namespace (GHSA-wv26-88m5-6h59)': {
    provider: vault({ caProvider: { type: 'Secret', ...theirs }, auth: account({}) }),
    says: /namespace/,
  },
  'an authority in a ConfigMap of another namespace (GHSA-wv26-88m5-6h59)': {
    provider: vault({
      caProvider: { type: 'ConfigMap', name: 'settings', key: 'ca', namespace: 'other' },
      auth: account({}),
    }),
    says: /namespace/,
  },
  'a client certificate of another namespace': {
    provider: vault({ tls: { certSecretRef: theirs, keySecretRef: theirs }, auth: account({}) }),
    says: /namespace/,
  },
  'a Secret named by a path': {
    provider: vault({ auth: { tokenSecretRef: { name: '../../other/secrets/credentials', key: 'token' } } }),
    says: /slash/,
  },
  'a server of Vault that is the API of the cluster': {
    provider: ({ apiPort }) => ({
      vault: {
        server: `https://127.0.0.1:${apiPort}`,
        path: 'api',
        auth: { tokenSecretRef: { name: 'own', key: 'token' } },
      },
    }),
    says: /not on the list of addresses/,
  },
  'a server of Vault where a cloud keeps the keys of its machines': {
    provider: vault({
      server: 'http://169.254.169.254',
      auth: { tokenSecretRef: { name: 'own', key: 'token' } },
    }),
    says: /not on the list of addresses/,
  },
  'a server of Vault on the operator’s own machine, by a number': {
    provider: vault({
      server: 'http://2130706433:9',
      auth: { tokenSecretRef: { name: 'own', key: 'token' } },
    }),
    says: /not on the list of addresses/,
  },
  'a server of Vault on the operator’s own machine, as version 6': {
    provider: vault({
      server: 'http://[::ffff:127.0.0.1]:9',
      auth: { tokenSecretRef: { name: 'own', key: 'token' } },
    }),
    says: /not on the list of addresses/,
  },
  'a header of Vault that smuggles in another': {
    provider: vault({ headers: { 'x-a': 'b\r\nX-Vault-Token: root' }, auth: account({}) }),
    says: /.+/,
  },
  'Secrets of another namespace by its own account': {
    provider: kubernetes({
      remoteNamespace: 'other',
      auth: { serviceAccount: { name: 'external-secrets' } },
    }),
    key: 'app',
    says: /not allowed to get secrets/,
  },
  'Secrets of another namespace by the account of that namespace': {
    provider: kubernetes({
      remoteNamespace: 'other',
      auth: { serviceAccount: { name: 'external-secrets', namespace: 'other' } },
    }),
    key: 'app',
    says: /namespace/,
  },
  'Secrets of another namespace by a token that lies there': {
    provider: kubernetes({ remoteNamespace: 'other', auth: { token: { bearerToken: theirs } } }),
    key: 'app',
    says: /namespace/,
  },
  'Secrets of another namespace as the operator itself': {
    provider: kubernetes({ remoteNamespace: 'other' }),
    key: 'app',
    says: /.+/,
  },
  'a kubeconfig of another namespace': {
    provider: kubernetes({ remoteNamespace: 'other', authRef: theirs }),
    key: 'app',
    says: /namespace/,
  },
  'a kubeconfig that runs a program': {
    provider: kubernetes({ remoteNamespace: 'other', authRef: { name: 'own', key: 'exec' } }),
    key: 'app',
    says: /runs a program/,
  },
  'a kubeconfig that reads a file of the operator': {
    provider: kubernetes({ remoteNamespace: 'other', authRef: { name: 'own', key: 'file' } }),
    key: 'app',
    says: /.+/,
  },
  'keys of AWS of another namespace': {
    provider: aws({ secretRef: { accessKeyIDSecretRef: theirs, secretAccessKeySecretRef: theirs } }),
    says: /namespace/,
  },
  'an account of another namespace for AWS': {
    provider: aws({ jwt: { serviceAccountRef: { name: 'external-secrets', namespace: 'other' } } }),
    says: /namespace/,
  },
  'the operator’s own keys of AWS, by naming none': { provider: aws({}), says: /keys|credentials/i },
  'a region of AWS that leads to another host': {
    provider: aws({}, { region: 'eu-west-1.evil.example/' }),
    says: /region not found/,
  },
  'a Secret of another namespace for a webhook': {
    provider: webhook('https://hooks.example.com/', {
      secrets: [{ name: 'x', secretRef: { name: 'hook', namespace: 'other' } }],
    }),
    says: /namespace/,
  },
  'an authority of another namespace for a webhook': {
    provider: webhook('https://hooks.example.com/', { caProvider: { type: 'Secret', ...theirs } }),
    says: /namespace/,
  },
  'its own Secret for a webhook that is not made for one': {
    provider: webhook('https://hooks.example.com/', { secrets: [{ name: 'x', secretRef: { name: 'own' } }] }),
    says: /label/,
  },
  'the keys of the machine by a webhook': {
    provider: webhook('http://169.254.169.254/latest/meta-data/iam/security-credentials/'),
    says: /not on the list of addresses/,
    byRead: true,
  },
  'the operator’s own machine by a webhook': {
    provider: webhook('http://localhost:1/'),
    says: /not on the list of addresses/,
    byRead: true,
  },
  'the API of the cluster by a webhook': {
    provider: webhook('https://kubernetes.default.svc/api/v1/namespaces/other/secrets/app'),
    says: /not on the list of addresses/,
    byRead: true,
  },
  'a host that the key names, by a webhook': {
    provider: webhook('https://hooks.example.com{{ .remoteRef.key }}/'),
    key: '@169.254.169.254/',
    says: /url|host/,
    byRead: true,
  },
};

/** An ExternalSecret over the tenant's own good store. */
interface SecretAttempt {
  readonly spec: object;
  readonly says: RegExp;
}

const templated = (template: object): object => ({ ...GOOD, target: { template } });

const secrets: Readonly<Record<string, SecretAttempt>> = {
  'the path of another team': {
    spec: { data: [entry('a', 'secret/other/app', 'password')] },
    says: /permission denied/,
  },
  'a path up and over': {
    spec: { data: [entry('a', 'secret/shop/../other/app', 'password')] },
    says: /canonical|".."/,
  },
  'an encoded path up and over': {
    spec: { data: [entry('a', 'secret/shop/%2e%2e/other/app', 'password')] },
    says: /denied|canonical|not exist/,
  },
  'another mount': {
    spec: { data: [entry('a', 'sys/policies/acl/admin', 'policy')] },
    says: /denied|not exist/,
  },
  'all that there is': { spec: { dataFrom: [{ find: { name: { regexp: '.*' } } }] }, says: /denied/ },
  'all of another folder': {
    spec: { dataFrom: [{ find: { path: 'other', name: { regexp: '.*' } } }] },
    says: /denied/,
  },
  'the store of another namespace': {
    spec: { ...GOOD, secretStoreRef: { name: 'other/vault', kind: 'SecretStore' } },
    says: /(must|should) match/,
  },
  'the store of another team by one entry': {
    spec: {
      data: [
        {
          ...entry('a', 'secret/other/app', 'password'),
          sourceRef: { storeRef: { name: '../other/vault' } },
        },
      ],
    },
    says: /(must|should) match/,
  },
  'a ClusterSecretStore that does not admit its namespace': {
    spec: { ...GOOD, secretStoreRef: { name: 'others-only', kind: 'ClusterSecretStore' } },
    says: /not allowed from namespace "shop"/,
  },
  'a store of a kind that there is not': {
    spec: { ...GOOD, secretStoreRef: { name: 'vault', kind: 'Secret' } },
    says: /kind/,
  },
  'a Secret that another object owns': {
    spec: { ...GOOD, target: { name: 'owned' } },
    says: /ownership|controlled/,
  },
  'a Secret of another namespace as its target': {
    spec: { ...GOOD, target: { name: '../other/app' } },
    says: /name/,
  },
  'a ConfigMap of another namespace in a template': {
    spec: templated({ templateFrom: [{ configMap: { name: '../other/settings', items: [{ key: 'ca' }] } }] }),
    says: /name|does not exist|slash/,
  },
  'a Secret of another namespace in a template': {
    spec: templated({ templateFrom: [{ secret: { name: 'other/credentials', items: [{ key: 'token' }] } }] }),
    says: /name|does not exist|slash/,
  },
  'a Secret by a function of templates (GHSA-77v3-r3jw-j2v2)': {
    spec: templated({ data: { a: '{{ getSecretKey "credentials" "other" "token" }}' } }),
    says: /function "getSecretKey" not defined/,
  },
  'the environment of the operator': {
    spec: templated({
      data: { a: '{{ env "AWS_SECRET_ACCESS_KEY" }}{{ expandenv "$AWS_SECRET_ACCESS_KEY" }}' },
    }),
    says: /function "(env|expandenv)" not defined/,
  },
  'the network of the operator by a template': {
    spec: templated({ data: { a: '{{ getHostByName "vault.other" }}' } }),
    says: /function "getHostByName" not defined/,
  },
  'a token of a service account': {
    spec: templated({
      type: 'kubernetes.io/service-account-token',
      metadata: { annotations: { 'kubernetes.io/service-account.name': 'external-secrets' } },
    }),
    says: /not allowed/,
  },
  'a token of a service account, its annotation hidden in a template': {
    spec: templated({
      type: 'kubernetes.io/service-account-token',
      templateFrom: [
        { target: 'Annotations', literal: 'kubernetes.io/service-account.name: external-secrets' },
      ],
    }),
    says: /not allowed/,
  },
  'a token to join the cluster with': {
    spec: templated({ type: 'bootstrap.kubernetes.io/token' }),
    says: /not allowed/,
  },
  'an object of another kind': {
    spec: {
      ...GOOD,
      target: { name: 'mine', manifest: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' } },
    },
    says: /manifest/,
  },
};

describe.skipIf(noKubectl !== undefined)('a tenant does not get', () => {
  let platform: TestPlatform;
  let team: Team;
  let other: Team;
  let before: string;
  let world: World;
  const kept = process.env['AWS_SECRET_ACCESS_KEY'];

  const tenant = async (...objects: readonly object[]): Promise<string> => {
    const { code, err } = await team.kubectl.run(
      'apply -f - --as=system:serviceaccount:shop:tenant --validate=false',
      objects
        .map((object) => JSON.stringify(object))
        .join('\n---\n')
        .replace(/^/, '---\n'),
    );
    return code === 0 ? '' : err;
  };
  const of = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'external-secrets.io/v1',
    kind,
    metadata: { name, namespace: 'shop', labels: { attempt: 'yes' } },
    spec,
  });
  const conditionOf = async (
    resource: typeof SECRET_STORES,
    name: string,
  ): Promise<Condition | undefined> => {
    const object = await platform.kube.get({ resource, namespace: 'shop', name });
    const { conditions = [] } = (object?.['status'] ?? {}) as {
      conditions?: readonly (Condition & { readonly type: string })[];
    };
    return conditions.find(({ type }) => type === 'Ready');
  };
  /** Waits until the ExternalSecret fails, and it or its store says so; stores are looked at in their own time. */
  const refused = async (name: string, says: RegExp, store = false): Promise<void> => {
    let seen = '';
    await eventually(`the ExternalSecret ${name} fails`, async () => {
      const told = await conditionOf(EXTERNAL_SECRETS, name);
      const of = store ? await conditionOf(SECRET_STORES, name) : undefined;
      seen = `${told?.message} ${of?.message ?? ''}`;
      return (told?.status === 'False' && says.test(seen)) || undefined;
    }).catch((error: unknown) => {
      throw new Error(`it says ${seen}, not ${says}`, { cause: error });
    });
  };
  /** Everything of the other team, as it is stored. */
  const theirThings = async (): Promise<string> => {
    const all = await Promise.all(
      [SECRETS, EXTERNAL_SECRETS, SECRET_STORES].map((resource) =>
        platform.kube.list({ resource, namespace: 'other' }),
      ),
    );
    return JSON.stringify(
      all.flatMap(({ items }) =>
        items.map(({ metadata, ...rest }) => [metadata.name, rest['data'], rest['spec']]),
      ),
    );
  };

  beforeAll(async () => {
    process.env['AWS_ACCESS_KEY_ID'] = OWN_KEYS;
    process.env['AWS_SECRET_ACCESS_KEY'] = OWN_KEYS;
    platform = await startTestPlatform();
    team = await makeTeam(platform, 'shop');
    other = await makeTeam(platform, 'other');
    world = { address: platform.address, apiPort: platform.api.port, ca: platform.api.caPem };
    await other.put('app', { password: VICTIM });
    await team.put('app', { password: 'mine' });
    await other.externalSecret('app', { data: [entry('password', 'secret/other/app', 'password')] });
    await other.holds('app', { password: VICTIM });
    await team.externalSecret('app', GOOD);
    await team.holds('app', { password: 'mine' });
    const secret = (namespace: string, name: string, stringData: object, more: object = {}): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, ...more },
      stringData,
    });
    const kubeconfig = (user: object): string =>
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: platform.api.url } }],
        users: [{ name: 'u', user }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      });
    await team.kubectl.ok('create configmap owner -n shop');
    const owner = await team.kubectl.ok("get configmap owner -n shop -o jsonpath='{.metadata.uid}'");
    await team.kubectl.apply(
      secret('other', 'credentials', { token: platform.keys.rootToken, victim: VICTIM }),
      secret('other', 'hook', { token: VICTIM }, { labels: { 'external-secrets.io/type': 'webhook' } }),
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'settings', namespace: 'other' },
        data: { ca: VICTIM },
      },
      secret('shop', 'own', {
        token: 'a-token-of-its-own',
        exec: kubeconfig({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sh' } }),
        file: kubeconfig({ tokenFile: '/etc/passwd', 'client-key': '/etc/passwd' }),
      }),
      secret(
        'shop',
        'owned',
        { theirs: 'by another controller' },
        {
          ownerReferences: [
            {
              apiVersion: 'v1',
              kind: 'ConfigMap',
              name: 'owner',
              uid: owner,
              controller: true,
            },
          ],
        },
      ),
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ClusterSecretStore',
        metadata: { name: 'others-only' },
        spec: {
          conditions: [{ namespaces: ['other'] }],
          provider: vault({
            auth: account({
              role: 'eso-other-role',
              serviceAccountRef: { name: 'external-secrets', namespace: 'other', audiences: ['vault'] },
            }),
          })(world),
        },
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'tenant', namespace: 'shop' },
        rules: [
          {
            apiGroups: ['external-secrets.io', ''],
            resources: ['externalsecrets', 'secretstores', 'pushsecrets', 'secrets', 'configmaps'],
            verbs: ['get', 'list', 'create', 'update', 'patch', 'delete'],
          },
        ],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'tenant', namespace: 'shop' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'tenant' },
        subjects: [{ kind: 'ServiceAccount', name: 'tenant', namespace: 'shop' }],
      },
    );
    before = await theirThings();
    expect(before).toContain(Buffer.from(VICTIM).toString('base64'));
  });
  afterAll(async () => {
    delete process.env['AWS_ACCESS_KEY_ID'];
    if (kept === undefined) delete process.env['AWS_SECRET_ACCESS_KEY'];
    else process.env['AWS_SECRET_ACCESS_KEY'] = kept;
    await platform?.stop();
  });

  afterEach(async () => {
    await platform.operator.eventsWritten();
    // Whatever the tenant may look at, and the log that others look at: the value is nowhere.
    const seen = await team.kubectl.ok(
      'get secrets,configmaps,externalsecrets,secretstores,events -n shop -o yaml',
    );
    for (const canary of [VICTIM, OWN_KEYS, platform.keys.rootToken]) {
      expect(seen).not.toContain(canary);
      expect(seen).not.toContain(Buffer.from(canary).toString('base64'));
    }
    expect(await platform.logged()).not.toContain(VICTIM);
    expect(await theirThings()).toBe(before);
    await team.kubectl.ok('delete externalsecrets,secretstores -n shop -l attempt=yes --wait=true');
    expect((await conditionOf(EXTERNAL_SECRETS, 'app'))?.status).toBe('True');
  });

  test.each(Object.entries(stores))('through a store: %s', { timeout: 60_000 }, async (_, attempt) => {
    const atTheDoor = await tenant(
      of('SecretStore', 'attempt', { provider: attempt.provider(world) }),
      of('ExternalSecret', 'attempt', {
        refreshInterval: '1h',
        secretStoreRef: { name: 'attempt', kind: 'SecretStore' },
        data: [entry('a', attempt.key ?? 'secret/other/app', 'password')],
      }),
    );
    if (atTheDoor !== '') expect(atTheDoor).toMatch(attempt.says);
    else await refused('attempt', attempt.says, attempt.byRead !== true);
    expect(await team.secret('attempt')).toBeUndefined();
  });

  test.each(Object.entries(secrets))(
    'with an ExternalSecret: %s',
    { timeout: 60_000 },
    async (_, { spec, says }) => {
      const atTheDoor = await tenant(
        of('ExternalSecret', 'attempt', {
          refreshInterval: '1h',
          secretStoreRef: { name: 'vault', kind: 'SecretStore' },
          ...spec,
        }),
      );
      if (atTheDoor !== '') expect(atTheDoor).toMatch(says);
      else await refused('attempt', says);
      expect(await team.secret('attempt')).toBeUndefined();
      expect((await team.secret('owned')) as KubeObject).toMatchObject({
        data: { theirs: Buffer.from('by another controller').toString('base64') },
      });
    },
  );

  test('another namespace by creating there: that is Kubernetes’ to refuse, and it does', async () => {
    const there = { ...(of('ExternalSecret', 'attempt', GOOD) as KubeObject) };
    const atTheDoor = await tenant({ ...there, metadata: { name: 'attempt', namespace: 'other' } });
    expect(atTheDoor).toMatch(/forbidden/i);
  });

  test('a good store to itself by taking over its name: what the former one had read is not given to the next', async () => {
    await tenant(of('SecretStore', 'reborn', { provider: vault({ auth: account({}) })(world) }));
    const read = of('ExternalSecret', 'reborn', {
      refreshInterval: '1h',
      secretStoreRef: { name: 'reborn', kind: 'SecretStore' },
      ...GOOD,
    });
    await tenant(read);
    await team.holds('reborn', { password: 'mine' });
    await team.kubectl.ok('delete secretstore reborn -n shop --wait=true');
    await tenant(
      of('SecretStore', 'reborn', {
        provider: vault({ auth: { tokenSecretRef: { name: 'own', key: 'token' } } })(world),
      }),
      {
        ...(read as KubeObject),
        metadata: { ...(read as KubeObject).metadata, annotations: { again: '1' } },
      },
    );
    await refused('reborn', /denied|not ready/);
  });
});
