/** ExternalSecrets over stores that are no server of Vault: the whole way, as `holdfast dev` wires it. */

import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject, Resource } from '../../../src/kube/kube.ts';
import {
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../../src/operator/api/resources.ts';
import { eventually, type TestPlatform } from '../platform.ts';
import { textsOf } from '../team.ts';

const kubernetes = (more: object = {}) => ({
  kubernetes: {
    server: { url: 'kubernetes.default.svc' },
    auth: { serviceAccount: { name: 'reader' } },
    remoteNamespace: 'source',
    ...more,
  },
});

/** @param start a platform of its own: over the embedded Kubernetes API, or over a real one */
export function storeSuite(start: () => Promise<TestPlatform>): void {
  let platform: TestPlatform;
  beforeAll(async () => {
    platform = await start();
    for (const name of ['team', 'source']) await make(NAMESPACES, { name });
    await make(SERVICE_ACCOUNTS, { name: 'reader', namespace: 'team' });
    const group = 'rbac.authorization.k8s.io';
    const rbac = (plural: string, kind: string): Resource => ({
      group,
      version: 'v1',
      plural,
      kind,
      namespaced: true,
    });
    const at = { name: 'reader', namespace: 'source' };
    await make(rbac('roles', 'Role'), at, {
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list'] }],
    });
    await make(rbac('rolebindings', 'RoleBinding'), at, {
      roleRef: { apiGroup: group, kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'team' }],
    });
    await make(
      SECRETS,
      { name: 'app', namespace: 'source', labels: { env: 'prod' } },
      { data: { user: Buffer.from('amy').toString('base64'), blob: Buffer.of(0, 255).toString('base64') } },
    );
  }, 60_000);
  afterAll(() => platform?.stop());

  async function make(
    resource: Resource,
    metadata: KubeObject['metadata'],
    rest: object = {},
  ): Promise<void> {
    const apiVersion = resource.group === '' ? 'v1' : `${resource.group}/${resource.version}`;
    const object = { apiVersion, kind: resource.kind, metadata, ...rest };
    await platform.kube.apply({ resource, ...metadata }, object, { manager: 'kubectl', force: true });
  }

  const store = (name: string, provider: object) =>
    make(SECRET_STORES, { name, namespace: 'team' }, { spec: { provider } });
  const externalSecret = (name: string, from: string, spec: object) =>
    make(
      EXTERNAL_SECRETS,
      { name, namespace: 'team' },
      { spec: { refreshInterval: '1h', secretStoreRef: { name: from }, ...spec } },
    );

  /** Waits until the Ready condition says something that fits. */
  const says = (resource: Resource, name: string, text: RegExp) =>
    eventually(`${resource.kind} ${name} says ${text}`, async () => {
      const status = (await platform.kube.get({ resource, namespace: 'team', name }))?.['status'] as
        | { conditions?: readonly Record<string, string>[]; capabilities?: string }
        | undefined;
      const ready = status?.conditions?.find((condition) => condition['type'] === 'Ready');
      const said = `${ready?.['status']} ${ready?.['reason']}: ${ready?.['message']} (${status?.capabilities})`;
      return text.test(said) ? said : undefined;
    });
  const secret = (name: string) =>
    eventually(`Secret ${name} is there`, () =>
      platform.kube.get({ resource: SECRETS, namespace: 'team', name }),
    );

  describe('a store of the fake provider', () => {
    test('is valid, and gives values, versions and what a search finds', async () => {
      await store('fake', {
        fake: {
          data: [
            { key: 'app', value: '{"user":"amy","n":1.50}' },
            { key: 'app', value: 'old', version: 'v1' },
          ],
        },
      });
      expect(await says(SECRET_STORES, 'fake', /^True/)).toBe('True Valid: store validated (ReadWrite)');
      await externalSecret('from-fake', 'fake', {
        data: [
          { secretKey: 'user', remoteRef: { key: 'app', property: 'user' } },
          { secretKey: 'old', remoteRef: { key: 'app', version: 'v1' } },
        ],
        dataFrom: [{ extract: { key: 'app' } }],
      });
      expect(textsOf(await secret('from-fake'))).toEqual({ user: 'amy', n: '1.5', old: 'old' });
      await says(EXTERNAL_SECRETS, 'from-fake', /^True SecretSynced: secret synced/);
    });

    test('says that it is wrong in upstream’s words, and its ExternalSecrets wait', async () => {
      await store('wrong', { fake: { data: [], validationResult: 2 } });
      await says(SECRET_STORES, 'wrong', /^False InvalidProviderConfig: unable to validate store/);
      await externalSecret('waits', 'wrong', { data: [{ secretKey: 'a', remoteRef: { key: 'b' } }] });
      await says(EXTERNAL_SECRETS, 'waits', /^False SecretSyncedError: .*is not ready/);
    });
  });

  describe('a store of the kubernetes provider', () => {
    test('reads another namespace as its own account, bytes and metadata included', async () => {
      await store('cluster', kubernetes());
      expect(await says(SECRET_STORES, 'cluster', /^True/)).toBe('True Valid: store validated (ReadWrite)');
      await externalSecret('from-cluster', 'cluster', {
        data: [
          { secretKey: 'blob', remoteRef: { key: 'app', property: 'blob' } },
          { secretKey: 'env', remoteRef: { key: 'app', property: 'labels.env', metadataPolicy: 'Fetch' } },
        ],
        dataFrom: [{ find: { tags: { env: 'prod' } } }],
      });
      const { data } = await secret('from-cluster');
      const { blob, env, app } = data as Record<string, string>;
      expect(blob).toBe(Buffer.of(0, 255).toString('base64'));
      expect(Buffer.from(env ?? '', 'base64').toString()).toBe('prod');
      expect(JSON.parse(Buffer.from(app ?? '', 'base64').toString())).toMatchObject({ user: 'amy' });
    });

    test('whose account may not read there is not valid, and says so', async () => {
      await store('denied', kubernetes({ remoteNamespace: 'kube-system' }));
      await says(
        SECRET_STORES,
        'denied',
        /^False InvalidProviderConfig: unable to validate store.*client is not allowed to get secrets/,
      );
    });

    test.each([
      ['an account', { auth: { serviceAccount: { name: 'default', namespace: 'source' } } }],
      ['a token', { auth: { token: { bearerToken: { name: 'app', key: 'user', namespace: 'source' } } } }],
      ['a kubeconfig', { authRef: { name: 'app', key: 'user', namespace: 'source' } }],
      [
        'an authority',
        { server: { caProvider: { type: 'Secret', name: 'app', key: 'user', namespace: 'source' } } },
      ],
    ])('that names %s of another namespace gets none', async (what, spec) => {
      const name = `foreign-${what.split(' ')[1]}`;
      await store(name, kubernetes(spec));
      await says(
        SECRET_STORES,
        name,
        /^False InvalidProviderConfig: unable to create client.*namespace should either be empty or match/,
      );
    });

    test('that names this machine reaches nothing here but what the platform serves', async () => {
      let knocked = 0;
      const other = createServer((socket) => {
        knocked++;
        socket.destroy();
      });
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const { port } = other.address() as AddressInfo;
      await store('inside', kubernetes({ server: { url: `https://127.0.0.1:${port}` } }));
      await says(
        SECRET_STORES,
        'inside',
        /^False InvalidProviderConfig: unable to create client.*not on the list of addresses/,
      );
      await new Promise((resolve) => other.close(resolve));
      expect(knocked).toBe(0);
    });
  });
}
