/** Against the embedded Kubernetes API, over TLS, under identities of the stores' own. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../apiserver/server.ts';
import { base64, textOf, utf8 } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { createKube, type KubeClient } from '../../kube/client.ts';
import type { Resource } from '../../kube/kube.ts';
import { describeProvider } from '../../provider/conformance.ts';
import { clusterJudge, NO_WAY_OUT } from '../../provider/egress.ts';
import { extract, lookup } from '../../provider/property.ts';
import type { Provider, ProviderEnv, Value } from '../../provider/provider.ts';
import { testEnv } from '../../provider/testing.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { createKubernetesProvider } from './kubernetes.ts';
import { kubernetesSpec } from './spec.ts';

const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});
const rbac = (plural: string, kind: string): Resource => ({
  ...core(plural, kind),
  group: 'rbac.authorization.k8s.io',
});
const SECRETS = core('secrets', 'Secret');

let api: ApiServer;
let admin: KubeClient;
let spaces = 0;

beforeAll(async () => {
  const at = { host: '127.0.0.1', port: 0, clock: systemClock, log: silentLog };
  api = await startApiServer({ backend: new MemoryBackend(), ...at });
  admin = createKube({ server: api.url, ca: api.caPem, token: api.adminToken });
}, 60_000);
afterAll(async () => {
  admin.close();
  await api.close();
});

async function namespace(): Promise<string> {
  const name = `space-${++spaces}`;
  const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  await admin.create({ resource: core('namespaces', 'Namespace', false), name }, object);
  return name;
}

const plant = (space: string, name: string, data: Record<string, string | Uint8Array>, more: object = {}) =>
  admin.create(
    { resource: SECRETS, namespace: space, name },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: space, ...more },
      data: Object.fromEntries(
        Object.entries(data).map(([key, value]) => [
          key,
          base64(typeof value === 'string' ? utf8(value) : value),
        ]),
      ),
    },
  );

/** A connection as the service account `reader` of the namespace, which may do these there. */
async function connect(
  space: string,
  verbs: readonly string[],
  spec: object = {},
  env: Partial<ProviderEnv> = {},
  monotonic: () => number = () => performance.now(),
): Promise<Provider> {
  const metadata = { name: 'reader', namespace: space };
  const version = 'rbac.authorization.k8s.io/v1';
  await admin.create(
    { resource: core('serviceaccounts', 'ServiceAccount'), ...metadata },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
  );
  const rules = [{ apiGroups: [''], resources: ['secrets'], verbs }];
  await admin.create(
    { resource: rbac('roles', 'Role'), ...metadata },
    { apiVersion: version, kind: 'Role', metadata, rules: verbs.length === 0 ? [] : rules },
  );
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' };
  const subjects = [{ kind: 'ServiceAccount', ...metadata }];
  await admin.create(
    { resource: rbac('rolebindings', 'RoleBinding'), ...metadata },
    { apiVersion: version, kind: 'RoleBinding', metadata, roleRef, subjects },
  );
  return createKubernetesProvider(monotonic).connect(
    kubernetesSpec.parse({
      server: { url: api.url, caBundle: base64(utf8(api.caPem)) },
      auth: { serviceAccount: { name: 'reader' } },
      remoteNamespace: space,
      ...spec,
    }),
    testEnv({
      store: 'SecretStore team/cluster',
      wayOut: { ...NO_WAY_OUT, mayReachCluster: () => true },
      serviceAccountToken: (ref) => tokenOf(space, ref.name),
      ...env,
    }),
  );
}

async function tokenOf(space: string, name: string): Promise<string> {
  const answer = await admin.create(
    { resource: core('serviceaccounts', 'ServiceAccount'), namespace: space, name },
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } },
    { subresource: 'token' },
  );
  return (answer['status'] as { token: string }).token;
}

const ALL = ['get', 'list', 'create', 'update', 'delete'];

describeProvider('kubernetes', {
  async start(planted) {
    const space = await namespace();
    for (const { key, fields, tags } of planted) await plant(space, key, fields, { labels: tags ?? {} });
    const provider = await connect(space, ALL);
    return { provider, stop: () => provider.close() };
  },
  without: { versions: 'a Secret has no versions' },
});

const contentOf = async (provider: Provider, key: string): Promise<Value> => {
  const read = await provider.get({ key });
  if (read === undefined) throw new Error(`absent: ${key}`);
  return read.value;
};

describe('the kubernetes provider', () => {
  test('a path leads into the document that one entry holds, digits kept', async () => {
    const space = await namespace();
    await plant(space, 'app', {
      config: '{"db":{"port":5432,"id":12345678901234567890}}',
      'config.db': 'own',
    });
    const provider = await connect(space, ['get']);
    const value = await contentOf(provider, 'app');
    expect(textOf(lookup(value, 'config.db.id', 'app'))).toBe('12345678901234567890');
    expect(textOf(lookup(value, 'config.db', 'app'))).toBe('own');
    expect([...extract(value, 'config', 'app').keys()]).toEqual(['db']);
    for (const property of ['config.', '.db', 'nothing.db', 'config.none'])
      expect(() => lookup(value, property, 'app')).toThrow('cannot find secret data');
    await provider.close();
  });

  test.each([
    [['get'], 'ready'],
    [['list'], 'client is not allowed to get secrets'],
    [[], 'client is not allowed to get secrets'],
  ])('an identity that may %j is told as %s', async (verbs, told) => {
    const provider = await connect(await namespace(), verbs);
    const said = await provider.validate().catch((error: Error) => error.message);
    expect(said).toContain(told);
    await provider.close();
  });

  test('a Secret of another namespace is refused by the cluster, and the refusal says what is missing', async () => {
    const other = await namespace();
    await plant(other, 'app', { a: 'canary-value' });
    const provider = await connect(await namespace(), ['get'], { remoteNamespace: other });
    await expect(provider.get({ key: 'app' })).rejects.toMatchObject({
      code: 'provider.denied',
      hint: `Let the store's identity "get" secrets in namespace ${other} of its cluster.`,
    });
    await provider.close();
  });

  test.each([['../configmaps/x'], ['a/b'], ['..'], ['']])(
    'a key %j leads to no other object',
    async (key) => {
      const provider = await connect(await namespace(), ['get']);
      await expect(provider.get({ key })).rejects.toMatchObject({ code: 'kube.invalid' });
      await provider.close();
    },
  );

  test('tags cannot add a rule of their own to the selector', async () => {
    const provider = await connect(await namespace(), ['get', 'list']);
    const run = async (tags: Record<string, string>): Promise<void> => {
      for await (const _ of provider.find?.({ tags }) ?? []) throw new Error('found');
    };
    await expect(run({ env: 'prod,tier!=db' })).rejects.toMatchObject({ code: 'provider.spec' });
    await expect(run({ 'a in (b)': 'c' })).rejects.toMatchObject({ code: 'provider.spec' });
    await provider.close();
  });

  test('a token is asked for anew at two thirds of its life, and once where it was refused', async () => {
    const space = await namespace();
    await plant(space, 'app', { a: 'b' });
    let now = 0;
    let asked = 0;
    const serviceAccountToken = async (): Promise<string> => {
      asked++;
      return asked === 2 ? 'a-token-that-nobody-knows' : tokenOf(space, 'reader');
    };
    const provider = await connect(space, ['get'], {}, { serviceAccountToken }, () => now);
    await provider.get({ key: 'app' });
    now = 2_390_000;
    await provider.get({ key: 'app' });
    expect(asked).toBe(1);
    now = 2_410_000;
    await expect(provider.get({ key: 'app' })).rejects.toMatchObject({ code: 'provider.denied' });
    expect(asked).toBe(2);
    now += 11_000;
    expect(await provider.get({ key: 'app' })).toBeDefined();
    expect(asked).toBe(3);
    await provider.close();
  });

  test('an address that is not to be reached is never connected to, by number or by name', async () => {
    const judge = clusterJudge({ allowed: () => false, isCluster: () => false });
    const wayOut = { ...NO_WAY_OUT, mayReachCluster: judge };
    await expect(connect(await namespace(), ['get'], {}, { wayOut })).rejects.toMatchObject({
      code: 'dial.refused',
    });
    const server = { url: `https://localhost:${api.port}`, caBundle: api.caPem };
    const named = await connect(await namespace(), ['get'], { server }, { wayOut });
    await expect(named.get({ key: 'app' })).rejects.toMatchObject({ code: 'dial.refused' });
    await named.close();
  });

  test('a cluster that the operator found elsewhere is judged by the name and the port that the store gave', async () => {
    const space = await namespace();
    await plant(space, 'app', { a: 'b' });
    const seen: unknown[] = [];
    const mayReachCluster = (at: unknown): boolean => seen.push(at) > 0;
    const provider = await connect(
      space,
      ['get'],
      { server: { url: 'kubernetes.default.svc' } },
      {
        wayOut: { ...NO_WAY_OUT, mayReachCluster },
        resolve: () => ({ host: '127.0.0.1', port: api.port, ca: api.caPem }),
      },
    );
    expect(await provider.get({ key: 'app' })).toBeDefined();
    expect(seen).toEqual([{ host: 'kubernetes.default.svc', port: 443, ip: '127.0.0.1' }]);
    await provider.close();
  });

  test('a kubeconfig in a Secret is an identity, and one that would run a program or read a file is none', async () => {
    const space = await namespace();
    await plant(space, 'app', { a: 'b' });
    const secretKey = async ({ key }: { readonly key: string }): Promise<Uint8Array> => {
      const good = api.kubeconfig();
      const user = (what: string): string =>
        `apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: ${JSON.stringify(api.url)}}}]\nusers: [{name: u, user: ${what}}]\n`;
      if (key === 'exec') return utf8(user('{exec: {command: sh}}'));
      if (key === 'file') return utf8(user('{client-key: /etc/shadow, client-certificate: /etc/passwd}'));
      return utf8(good);
    };
    const open = (key: string): Promise<Provider> =>
      namespace().then((own) =>
        connect(
          own,
          [],
          { auth: undefined, authRef: { name: 'kubeconfig', key }, remoteNamespace: space },
          { secretKey },
        ),
      );
    const provider = await open('config');
    expect(textOf(lookup(await contentOf(provider, 'app'), 'a', 'app'))).toBe('b');
    await provider.close();
    for (const key of ['exec', 'file'])
      await expect(open(key)).rejects.toMatchObject({ code: 'kube.config' });
  });

  test('a bearer token that no header can carry is refused without being told', async () => {
    const spec = { auth: { token: { bearerToken: { name: 't', key: 'token' } } } };
    const secretKey = async (): Promise<Uint8Array> => utf8('canary\r\nHost: evil');
    const refused = await connect(await namespace(), [], spec, { secretKey }).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'provider.spec' });
    expect(JSON.stringify(refused) + String(refused)).not.toContain('canary');
  });

  test('a reference that the store may not make ends the connection', async () => {
    const serviceAccountToken = async (): Promise<string> => {
      throw failure('operator.ref_namespace');
    };
    await expect(connect(await namespace(), [], {}, { serviceAccountToken })).rejects.toMatchObject({
      code: 'operator.ref_namespace',
    });
  });

  test.each([
    [{ auth: {} }, 'exactly one of cert, token, serviceAccount'],
    [
      { auth: { serviceAccount: { name: 'a' }, token: { bearerToken: { name: 'a', key: 'b' } } } },
      'exactly one of',
    ],
    [{ auth: { token: { bearerToken: { name: '', key: 'b' } } } }, 'name cannot be empty'],
    [{ remoteNamespace: '../kube-system' }, 'remoteNamespace'],
  ])('a spec %j is refused with the reason', (spec, reason) => {
    const read = kubernetesSpec.safeParse(spec);
    const told = read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join();
    expect(told).toContain(reason);
  });
});

describe('pushes to a cluster', () => {
  const push = {
    apiVersion: 'kubernetes.external-secrets.io/v1alpha1',
    kind: 'PushSecretMetadata',
  };
  const source = {
    type: 'kubernetes.io/basic-auth',
    labels: { app: 'a', tier: 'source' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'canary', note: 'n' },
  };
  const value: Value = { fields: new Map([['password', utf8('p')]]), json: '{"password":"p"}' };
  const read = (space: string) => admin.get({ resource: SECRETS, namespace: space, name: 'new' });

  test.each([
    ['by default', undefined, { app: 'a', tier: 'source', old: 'o' }],
    ['Merge', { labels: { tier: 'pushed' } }, { app: 'a', tier: 'pushed', old: 'o' }],
    ['Replace', { targetMergePolicy: 'Replace' }, { app: 'a', tier: 'source' }],
    ['Ignore', { targetMergePolicy: 'Ignore' }, { old: 'o' }],
    ['a source’s Replace', { sourceMergePolicy: 'Replace', labels: { x: 'y' } }, { old: 'o', x: 'y' }],
  ])('labels meet what is there: %s', async (_, spec, labels) => {
    const space = await namespace();
    await plant(space, 'new', { stays: 's' }, { labels: { old: 'o' } });
    const provider = await connect(space, ALL);
    const metadata = spec === undefined ? undefined : { ...push, spec };
    await provider.put?.(
      { key: 'new', property: 'p' },
      { bytes: utf8('v') },
      { owner: 'us', source, metadata },
    );
    const secret = await read(space);
    expect(secret?.metadata.labels).toEqual(labels);
    expect(JSON.stringify(secret?.metadata)).not.toContain('canary');
    expect(Object.keys(secret?.['data'] as object).sort()).toEqual(['p', 'stays']);
    await provider.close();
  });

  test('a new Secret takes the type of its source; a key alone needs a property', async () => {
    const space = await namespace();
    const provider = await connect(space, ALL);
    await expect(provider.put?.({ key: 'new' }, { bytes: utf8('v') }, { owner: 'us' })).rejects.toThrow(
      'requires property in RemoteRef',
    );
    await provider.put?.({ key: 'new' }, value, { owner: 'us', source });
    expect((await read(space))?.['type']).toBe('kubernetes.io/basic-auth');
    await provider.close();
  });

  test.each([
    [{ spec: {} }, 'apiVersion'],
    [{ ...push, spec: { typo: 1 } }, 'unable to parse metadata parameters'],
    [{ ...push, spec: { targetMergePolicy: 'Sometimes' } }, 'spec.targetMergePolicy'],
    [{ ...push, spec: { remoteNamespace: 'kube-system' } }, 'only supported with ClusterSecretStore'],
  ])('metadata %j is refused', async (metadata, reason) => {
    const provider = await connect(await namespace(), ALL);
    await expect(provider.put?.({ key: 'new' }, value, { owner: 'us', metadata })).rejects.toThrow(reason);
    await provider.close();
  });

  test('pushes of many to one Secret at once lose nothing', async () => {
    const space = await namespace();
    const provider = await connect(space, ALL);
    const names = ['a', 'b', 'c'];
    await Promise.all(
      names.map((property) =>
        provider.put?.({ key: 'new', property }, { bytes: utf8(property) }, { owner: `owner-${property}` }),
      ),
    );
    expect(Object.keys((await read(space))?.['data'] as object).sort()).toEqual(names);
    await expect(provider.put?.({ key: 'new' }, value, { owner: 'owner-a' })).rejects.toMatchObject({
      code: 'provider.foreign',
    });
    expect(await provider.delete?.({ key: 'new', property: 'b' }, { owner: 'owner-a' })).toBe('foreign');
    await provider.close();
  });

  test('a record of owners that was broken makes nobody the owner', async () => {
    const space = await namespace();
    await plant(space, 'new', { a: '1' }, { annotations: { 'holdfast.dev/pushed-by': '{"a":' } });
    const provider = await connect(space, ALL);
    expect(await provider.delete?.({ key: 'new', property: 'a' }, { owner: 'us' })).toBe('foreign');
    expect(await provider.delete?.({ key: 'new' }, { owner: 'us' })).toBe('foreign');
    await provider.close();
  });
});
