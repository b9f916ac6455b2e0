/**
 * The operator beside a Kubernetes API that is not well: too busy, in conflict, too old for its watches, gone, slow, talking
 * nonsense. While it lasts nothing is blanked or deleted; when it is over, everything comes right by itself.
 */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, SECRETS } from '../../../src/operator/api/resources.ts';
import type { Ground } from '../controller.ts';
import type { Fault } from '../kubefaults.ts';
import { eventually } from '../platform.ts';
import { textsOf } from '../team.ts';
import { type OtherKinds, startOtherKinds } from './otherkinds.ts';

const BUSY: Fault = { status: 429, reason: 'TooManyRequests', headers: { 'retry-after': '1' } };
const GONE: Fault = { status: 410, reason: 'Expired' };
const CONFLICT: Fault = { status: 409, reason: 'Conflict' };
const DOWN: Fault = { status: 503, reason: 'ServiceUnavailable' };
/** How long something bad lasts where time matters. */
const SPELL_MS = 2500;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

/** @param start a ground of its own */
export function kubeFaultsSuite(start: () => Promise<Ground>): void {
  let ground: Ground;
  let others: OtherKinds;
  let made = 0;

  const store: KubeObject = {
    apiVersion: 'external-secrets.io/v1',
    kind: 'SecretStore',
    metadata: { name: 'store', namespace: 'shop' },
    spec: {
      provider: {
        vault: {
          server: 'http://placeholder',
          path: 'secret',
          version: 'v2',
          auth: {
            kubernetes: {
              mountPath: 'kubernetes',
              role: 'eso-shop-role',
              serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
            },
          },
        },
      },
    },
  };
  const externalSecret = (name: string): KubeObject => ({
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name, namespace: 'shop' },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { name: 'store', kind: 'SecretStore' },
      data: [{ secretKey: 'v', remoteRef: { key: `secret/shop/${name}`, property: 'v' } }],
    },
  });
  const write = (name: string, v: string): Promise<unknown> =>
    ground.root.request('PUT', `secret/data/shop/${name}`, { body: { data: { v } } });
  const secret = (name: string): Promise<KubeObject | undefined> =>
    ground.kube.get({ resource: SECRETS, namespace: 'shop', name });
  const holding = async (name: string): Promise<string | undefined> => {
    const found = await secret(name);
    return found === undefined ? undefined : textsOf(found)['v'];
  };
  const holds = (name: string, v: string): Promise<true> =>
    eventually(`${name} holds ${v}`, async () => (await holding(name)) === v || undefined, 30_000);
  const allHold = async (v: string): Promise<void> => {
    await Promise.all(NAMES.map((name) => holds(name, v)));
  };
  const apply = (object: KubeObject): Promise<KubeObject> =>
    ground.kube.create({ resource: EXTERNAL_SECRETS, namespace: 'shop', name: object.metadata.name }, object);
  const remove = (name: string): Promise<boolean> =>
    ground.kube.delete({ resource: SECRETS, namespace: 'shop', name });
  /** Spoils what `which` says for a while, changing all sources meanwhile; no Secret may lose its value. */
  const during = async (spoil: () => void, v: string): Promise<void> => {
    spoil();
    await Promise.all(NAMES.map((name) => write(name, v)));
    await others.renew();
    const end = Date.now() + SPELL_MS;
    while (Date.now() < end) {
      for (const name of NAMES) expect(await holding(name), name).toMatch(/^v\d+$/);
      await others.stand();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    ground.between.fault = () => undefined;
    await allHold(v);
    await others.right(v);
  };
  const next = (): string => `v${++made}`;

  beforeAll(async () => {
    ground = await start();
    (store['spec'] as { provider: { vault: { server: string } } }).provider.vault.server = ground.address;
    await ground.grant([store, ...NAMES.map(externalSecret), externalSecret('late')]);
    await ground.kube.create(
      {
        resource: {
          group: 'external-secrets.io',
          version: 'v1',
          plural: 'secretstores',
          kind: 'SecretStore',
          namespaced: true,
        },
        namespace: 'shop',
        name: 'store',
      },
      store,
    );
    const first = next();
    await write('late', 'late');
    for (const name of NAMES) {
      await write(name, first);
      await apply(externalSecret(name));
    }
    others = await startOtherKinds(ground, 'a');
    await ground.run({
      egressAllow: [ground.address.replace('http://', '')],
      pushServer: [ground.address],
      pushTokenFile: ground.tokenFile,
      generatorGcGracePeriod: '1s',
    });
    await allHold(first);
    await others.right(first);
  }, 120_000);
  afterAll(async () => {
    await ground?.stop();
    await others?.close();
  });
  afterEach(async () => {
    ground.between.fault = () => undefined;
  });

  test('one that answers 429 is asked again when it says, and everything comes', async () => {
    await during(() => {
      ground.between.fault = ({ watch }) => (watch ? undefined : BUSY);
    }, next());
  });

  test('writes that conflict are made anew from what is there', async () => {
    // The first that each object hears: Secrets, what is recorded of accounts, statuses and finalizers alike.
    const refused = new Set<string>();
    ground.between.fault = ({ method, path }) => {
      if (!['PUT', 'PATCH'].includes(method) || refused.has(path)) return undefined;
      refused.add(path);
      return CONFLICT;
    };
    const v = next();
    await Promise.all(NAMES.map((name) => write(name, v)));
    await others.renew();
    await allHold(v);
    await others.right(v);
    for (const name of NAMES) expect([...refused]).toContainEqual(expect.stringMatching(`/secrets/${name}$`));
  });

  test('watches that are too old begin anew with a list, and what was missed is found', async () => {
    // Nobody is heard: each watch that is asked for is too old, until it is over.
    ground.between.fault = ({ watch }) => (watch ? GONE : undefined);
    ground.between.cut();
    await remove('a');
    await apply(externalSecret('late'));
    await new Promise((resolve) => setTimeout(resolve, SPELL_MS));
    ground.between.fault = () => undefined;
    await holds('late', 'late');
    await holds('a', `v${made}`);
    expect(ground.between.asked.filter(({ watch }) => watch).length).toBeGreaterThan(6);
  });

  test('one that is gone for a while changes nothing, and what happened meanwhile is done after it', async () => {
    const v = next();
    await during(() => {
      ground.between.fault = () => 'cut';
      ground.between.cut();
    }, v);
    await remove('b');
    await holds('b', v);
  });

  test('one that is up and answers 503 is waited for', async () => {
    await during(() => {
      ground.between.fault = () => DOWN;
      ground.between.cut();
    }, next());
  });

  test('one that talks nonsense is not believed', async () => {
    await during(() => {
      ground.between.fault = ({ watch }) => (watch ? undefined : 'garbage');
    }, next());
  });

  test('streams that lag behind what is read cause no fight: a Secret is written once for each change', async () => {
    ground.between.fault = ({ watch }) => (watch ? { delayMs: 700 } : undefined);
    ground.between.cut();
    const v = next();
    await Promise.all(NAMES.map((name) => write(name, v)));
    await allHold(v);
    const versions = async () =>
      Promise.all(NAMES.map(async (name) => (await secret(name))?.metadata.resourceVersion));
    await new Promise((resolve) => setTimeout(resolve, SPELL_MS));
    const before = await versions();
    const asked = ground.between.asked.length;
    await new Promise((resolve) => setTimeout(resolve, SPELL_MS));
    expect(await versions()).toEqual(before);
    // Lagging news is no reason to write, nor to look again and again. What was issued before may end in the meantime.
    const puts = ground.between.asked.slice(asked).filter(({ method }) => method === 'PUT');
    expect(puts.filter(({ path }) => NAMES.some((name) => path.endsWith(`/secrets/${name}`)))).toEqual([]);
  });

  test('nothing that was issued in all this is forgotten: the database is as it was once nobody asks any more', async () => {
    await others.end();
  });
}
