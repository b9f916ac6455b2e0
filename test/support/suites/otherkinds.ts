/**
 * The kinds beside an ExternalSecret, side by side in one cluster, for suites that make the API sick: what each makes of one
 * change, and that nothing which an engine issued meanwhile is forgotten.
 */

import { expect } from 'vitest';
import type { Resource } from '../../../src/kube/kube.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  CLUSTER_SECRET_STORES,
  DATABASE_SECRETS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  PUSH_SECRETS,
  SECRETS,
} from '../../../src/operator/api/resources.ts';
import type { Ground } from '../controller.ts';
import { eventually } from '../platform.ts';
import { type AgreeableRedis, issueAccounts, startAgreeableRedis } from '../redis.ts';
import { textsOf } from '../team.ts';

export interface OtherKinds {
  /** Waits until all have what `source` of `shop` says, and what is issued has come. */
  right(v: string): Promise<void>;
  /** Asks for new accounts of a database, in each way. */
  renew(): Promise<void>;
  /** No Secret of theirs is empty, and what a generator made stands. */
  stand(): Promise<void>;
  /** Deletes what asked for accounts; resolves when the database has none of them any more. */
  end(): Promise<void>;
  close(): Promise<void>;
}

const RIGHT_MS = 40_000;
const CREDS = 'database/creds/app';
const GENERATORS = 'generators.external-secrets.io/v1alpha1';
const generators = (plural: string, kind: string): Resource => ({
  group: 'generators.external-secrets.io',
  version: 'v1alpha1',
  plural,
  kind,
  namespaced: true,
});
/** ExternalSecrets whose Secret holds an account of the database: of a key, of a DatabaseSecret, of a generator. */
const ISSUED = ['pair', 'rows', 'account'] as const;

/** @param source the KV path below `secret/shop/` whose `v` is read; the Secret of that name in `shop` holds it */
export async function startOtherKinds(ground: Ground, source: string): Promise<OtherKinds> {
  const { kube, root } = ground;
  const redis: AgreeableRedis = await startAgreeableRedis();
  const put = (path: string, body: object): Promise<unknown> => root.request('PUT', path, { body });
  await issueAccounts(put, redis);

  const make = async (resource: Resource, name: string, rest: object, labels = {}): Promise<void> => {
    const namespace = resource.namespaced ? { namespace: 'shop' } : {};
    const apiVersion = resource.group === '' ? 'v1' : `${resource.group}/${resource.version}`;
    const object = { apiVersion, kind: resource.kind, metadata: { name, labels, ...namespace }, ...rest };
    await kube.apply({ resource, name, ...namespace }, object, { manager: 'test', force: true });
  };
  const storeRef = { name: 'all', kind: 'ClusterSecretStore' };
  const generatorRef = (kind: string, name: string) => ({
    sourceRef: { generatorRef: { apiVersion: GENERATORS, kind, name } },
  });
  const auth = { tokenSecretRef: { name: 'token', namespace: 'shop', key: 'token' } };
  const vault = { server: ground.address, path: 'secret', version: 'v2' };
  await make(NAMESPACES, 'shop', {}, { wide: 'yes' });
  await make(NAMESPACES, 'mall', {}, { wide: 'yes' });
  await make(SECRETS, 'token', { stringData: { token: ground.keys.rootToken } });
  await make(CLUSTER_SECRET_STORES, 'all', { spec: { provider: { vault: { ...vault, auth } } } });
  const pushes = (name: string, remoteKey: string) => ({
    refreshInterval: '1h',
    secretStoreRefs: [storeRef],
    selector: { secret: { name } },
    data: [{ match: { secretKey: 'v', remoteRef: { remoteKey, property: 'v' } } }],
  });
  const entry = { secretKey: 'v', remoteRef: { key: `shop/${source}`, property: 'v' } };
  await make(PUSH_SECRETS, 'pushed', { spec: pushes(source, 'pushed/one') });
  const namespaceSelectors = [{ matchLabels: { wide: 'yes' } }];
  await make(CLUSTER_EXTERNAL_SECRETS, 'wide', {
    spec: {
      namespaceSelectors,
      externalSecretSpec: { refreshInterval: '1h', secretStoreRef: storeRef, data: [entry] },
    },
  });
  await make(CLUSTER_PUSH_SECRETS, 'wide', {
    spec: { namespaceSelectors, pushSecretSpec: pushes('wide', 'pushed/all') },
  });
  await make(generators('passwords', 'Password'), 'made', { spec: { length: 20, allowRepeat: true } });
  await make(EXTERNAL_SECRETS, 'made', {
    spec: { refreshInterval: '1h', dataFrom: [generatorRef('Password', 'made')] },
  });
  await make(EXTERNAL_SECRETS, 'pair', {
    spec: { refreshInterval: '1h', secretStoreRef: storeRef, dataFrom: [{ extract: { key: CREDS } }] },
  });
  await make(DATABASE_SECRETS, 'rows', { spec: { backend: 'all', vaultRole: 'app' } });
  await make(generators('vaultdynamicsecrets', 'VaultDynamicSecret'), 'account', {
    spec: {
      path: CREDS,
      provider: { server: ground.address, auth: { tokenSecretRef: { name: 'token', key: 'token' } } },
    },
  });
  await make(EXTERNAL_SECRETS, 'account', {
    spec: { refreshInterval: '1h', dataFrom: [generatorRef('VaultDynamicSecret', 'account')] },
  });

  const texts = async (name: string, namespace = 'shop'): Promise<Record<string, string>> => {
    const found = await kube.get({ resource: SECRETS, namespace, name });
    return found === undefined ? {} : textsOf(found);
  };
  const pushed = async (path: string): Promise<unknown> => {
    const answer = await root.request('GET', `secret/data/${path}`).catch(() => undefined);
    return (answer?.envelope?.data as { data?: { v?: string } } | undefined)?.data?.v;
  };
  const accounts = (): ReadonlySet<string> => {
    const there = new Set<string>();
    for (const [command, verb, name = ''] of redis.heard) {
      if (command === 'ACL' && verb === 'SETUSER') there.add(name);
      if (command === 'ACL' && verb === 'DELUSER') there.delete(name);
    }
    return there;
  };
  const issued = new Map<string, string>(ISSUED.map((name) => [name, '']));
  let password: string | undefined;

  return {
    async right(v) {
      await eventually(
        `other kinds hold ${v}`,
        async () =>
          [
            (await texts('wide'))['v'],
            (await texts('wide', 'mall'))['v'],
            await pushed('pushed/one'),
            await pushed('pushed/all'),
          ].every((one) => one === v) || undefined,
        RIGHT_MS,
      );
      for (const name of ISSUED) {
        const { username = '' } = await eventually(
          `another account in ${name} than ${issued.get(name)}`,
          async () => {
            const found = await texts(name);
            return found['username'] === undefined || found['username'] === issued.get(name)
              ? undefined
              : found;
          },
          RIGHT_MS,
        );
        expect(accounts(), name).toContain(username);
        issued.set(name, username);
      }
      password ??= await eventually('a password is made', async () => (await texts('made'))['password']);
    },
    async renew() {
      for (const name of ISSUED)
        await kube.patch(
          { resource: EXTERNAL_SECRETS, namespace: 'shop', name },
          { metadata: { annotations: { 'force-sync': `${Date.now()}` } } },
        );
    },
    async stand() {
      expect((await texts('made'))['password']).toBe(password);
      for (const name of ISSUED) expect((await texts(name))['username'], name).toMatch(/./);
      expect((await texts('wide', 'mall'))['v']).toMatch(/./);
    },
    async end() {
      for (const name of ['pair', 'account'])
        await kube.delete({ resource: EXTERNAL_SECRETS, namespace: 'shop', name });
      await kube.delete({ resource: DATABASE_SECRETS, namespace: 'shop', name: 'rows' });
      let left: readonly string[] = [];
      await eventually(
        'no account is left in the database',
        () => {
          left = [...accounts()];
          return left.length === 0 || undefined;
        },
        RIGHT_MS,
      ).catch((error: unknown) => {
        throw new Error(`accounts that nobody took back: ${left.join(' ')}`, { cause: error });
      });
    },
    close: () => redis.close(),
  };
}
