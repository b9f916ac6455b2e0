/**
 * Who is refused, and an administrator who mends it: a policy, a role, or a role that is not there. The whole way, over the
 * server and the operator as `holdfast dev` wires them. That nothing here waits for a retry is shown where the clock stands
 * still (src/operator/denied.test.ts); here, that the server's word reaches those whom it concerns.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject, Resource } from '../../src/kube/kube.ts';
import {
  EXTERNAL_SECRETS,
  NAMESPACES,
  PUSH_SECRETS,
  SECRET_STORES,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../src/operator/api/resources.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { byAccount, textsOf } from '../support/team.ts';

interface Meta {
  readonly meta: Readonly<Record<string, string>> | null;
}

describe('what was refused and is mended', () => {
  let platform: TestPlatform;
  beforeAll(async () => {
    platform = await startTestPlatform();
    await make(NAMESPACES, { name: 'shop' });
    await make(SERVICE_ACCOUNTS, { name: 'reader', namespace: 'shop' });
    await policy('reads', 'path "secret/data/shop/*" { capabilities = ["read"] }');
  }, 60_000);
  afterAll(() => platform?.stop());

  async function make(resource: Resource, metadata: KubeObject['metadata'], spec?: object): Promise<void> {
    const apiVersion = resource.group === '' ? 'v1' : `${resource.group}/${resource.version}`;
    const object = { apiVersion, kind: resource.kind, metadata, ...(spec === undefined ? {} : { spec }) };
    await platform.kube.apply({ resource, ...metadata }, object, { manager: 'kubectl', force: true });
  }
  const dataOf = async <T>(method: 'GET' | 'LIST' | 'POST', path: string, body?: object): Promise<T> =>
    (await platform.root.request(method, path, body === undefined ? {} : { body })).envelope?.data as T;
  const policy = (name: string, text: string): Promise<unknown> =>
    platform.root.request('PUT', `sys/policies/acl/${name}`, { body: { policy: text } });
  const role = (name: string, policies: readonly string[]): Promise<unknown> =>
    platform.root.request('PUT', `auth/kubernetes/role/${name}`, {
      body: {
        bound_service_account_names: ['reader'],
        bound_service_account_namespaces: ['shop'],
        audience: 'vault',
        token_policies: policies,
      },
    });
  const store = (name: string, roleName: string): Promise<void> =>
    make(SECRET_STORES, { name, namespace: 'shop' }, byAccount(roleName, 'reader'));
  const externalSecret = (name: string, from: string): Promise<void> =>
    make(
      EXTERNAL_SECRETS,
      { name, namespace: 'shop' },
      {
        refreshInterval: '1h',
        secretStoreRef: { name: from },
        data: [{ secretKey: 'pass', remoteRef: { key: `shop/${name}`, property: 'pass' } }],
      },
    );
  const says = (resource: Resource, name: string, text: RegExp): Promise<string> =>
    eventually(`${resource.kind} ${name} says ${text}`, async () => {
      const status = (await platform.kube.get({ resource, namespace: 'shop', name }))?.['status'] as
        | { conditions?: readonly Record<string, string>[] }
        | undefined;
      const ready = status?.conditions?.find((condition) => condition['type'] === 'Ready');
      const said = `${ready?.['status']} ${ready?.['reason']}: ${ready?.['message']}`;
      return text.test(said) ? said : undefined;
    });
  const write = (name: string): Promise<unknown> =>
    platform.root.request('PUT', `secret/data/shop/${name}`, { body: { data: { pass: 'first' } } });
  const holds = async (name: string): Promise<void> => {
    const secret = await eventually(`Secret ${name} is there`, () =>
      platform.kube.get({ resource: SECRETS, namespace: 'shop', name }),
    );
    expect(textsOf(secret)).toEqual({ pass: 'first' });
  };

  test('a policy: the token that is there reads with it', async () => {
    await write('by-policy');
    await role('by-policy', ['by-policy']);
    await store('by-policy', 'by-policy');
    await externalSecret('by-policy', 'by-policy');
    await says(EXTERNAL_SECRETS, 'by-policy', /^False SecretSyncedError: .*permission denied/);
    await policy('by-policy', 'path "secret/data/shop/by-policy" { capabilities = ["read"] }');
    await holds('by-policy');
    await says(EXTERNAL_SECRETS, 'by-policy', /^True SecretSynced/);
  });

  test('a role: a new login has what it gives now, and the former token is gone', async () => {
    await write('by-role');
    await role('by-role', []);
    await store('by-role', 'by-role');
    await externalSecret('by-role', 'by-role');
    await says(EXTERNAL_SECRETS, 'by-role', /^False SecretSyncedError: .*permission denied/);
    await role('by-role', ['reads']);
    await holds('by-role');
    const { keys } = await dataOf<{ keys: readonly string[] }>('LIST', 'auth/token/accessors');
    const held = await Promise.all(
      keys.map(async (accessor) => {
        const known = await dataOf<Meta>('POST', 'auth/token/lookup-accessor', { accessor });
        return known.meta?.['role'];
      }),
    );
    expect(held.filter((name) => name === 'by-role')).toHaveLength(1);
  });

  test('a role that is not there: its store becomes ready, and what waited for the store is synced', async () => {
    await write('by-store');
    await store('by-store', 'by-store');
    await externalSecret('by-store', 'by-store');
    await says(SECRET_STORES, 'by-store', /^False InvalidProviderConfig: .*cannot log in/);
    await role('by-store', ['reads']);
    await says(SECRET_STORES, 'by-store', /^True/);
    await holds('by-store');
  });

  test('a policy that does not let a PushSecret write', async () => {
    const data = { data: { pass: Buffer.from('first').toString('base64') } };
    const at = { name: 'source', namespace: 'shop' };
    await platform.kube.apply(
      { resource: SECRETS, ...at },
      { apiVersion: 'v1', kind: 'Secret', metadata: at, ...data },
      { manager: 'kubectl', force: true },
    );
    await role('pushes', ['pushes', 'reads']);
    await store('pushes', 'pushes');
    await make(
      PUSH_SECRETS,
      { name: 'pushes', namespace: 'shop' },
      {
        refreshInterval: '1h',
        secretStoreRefs: [{ name: 'pushes' }],
        selector: { secret: { name: 'source' } },
        data: [{ match: { secretKey: 'pass', remoteRef: { remoteKey: 'shop/pushed', property: 'pass' } } }],
      },
    );
    await says(PUSH_SECRETS, 'pushes', /^False Errored: .*permission denied/);
    const all = 'capabilities = ["create", "read", "update", "delete"]';
    await policy(
      'pushes',
      `path "secret/data/shop/pushed" { ${all} }\npath "secret/metadata/shop/pushed" { ${all} }`,
    );
    await says(PUSH_SECRETS, 'pushes', /^True/);
    const { data: pushed } = await dataOf<{ data: object }>('GET', 'secret/data/shop/pushed');
    expect(pushed).toEqual({ pass: 'first' });
  });
});
