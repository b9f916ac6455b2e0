/**
 * Who was refused, and what happens when rights are mended. The clock stands still in these tests: no retry ever falls due,
 * so whatever is tried again was woken.
 */

import { expect, test } from 'vitest';
import { ManualClock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import type { KubeObject } from '../kube/kube.ts';
import type { OperatorOptions } from './options.ts';
import {
  eventually,
  externalSecret,
  one,
  readyOfObject,
  secretStore,
  type World,
} from './testing/cluster.ts';
import { FakeKube } from './testing/kube.ts';
import { FakeStore, fakeProvider } from './testing/provider.ts';
import { startingWorlds } from './testing/worlds.ts';
import { Shelves, shelfProvider } from './testing/writer.ts';

const startWorld = startingWorlds();
const start = (given: Parameters<typeof startWorld>[0] = {}): World =>
  startWorld({ clock: new ManualClock(), ...given });

const denied = (path: string): Error =>
  failure('provider.denied', {
    store: 'SecretStore team/store',
    path,
    reason: 'permission denied',
    mend: 'Mend it.',
  });

const is = (world: World, status: string, name: string, kind = 'ExternalSecret') =>
  eventually(`${kind} ${name} is ${status}`, () => {
    const condition = readyOfObject(world.kube, kind, 'team', name);
    return condition?.status === status ? condition : undefined;
  });

test('an ExternalSecret that was denied is synced when rights change, and one that fails otherwise is left alone', async () => {
  const world = start();
  world.store.put('app', { password: 'first' });
  world.store.failing = () => denied('app');
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
  expect((await is(world, 'False', 'app')).message).toContain('permission denied');
  world.store.failing = undefined;
  world.kube.put(externalSecret('absent', 'team', one('pass', 'none', 'password')));
  await is(world, 'False', 'absent');
  const { reads } = world.store;
  world.store.changeRights();
  await is(world, 'True', 'app');
  expect(world.store.reads).toBe(reads + 1);
  expect(world.store.hints).toBe(1);
});

test('rights that change while a read is refused are not missed', async () => {
  const clock = new ManualClock();
  const world = start({ clock });
  world.store.put('app', { password: 'first' });
  world.store.failing = () => {
    world.store.failing = undefined;
    clock.advance(1);
    world.store.changeRights();
    return denied('app');
  };
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
  await is(world, 'True', 'app');
});

test('a store that could not log in is looked at again, and its users go on', async () => {
  const world = start();
  world.store.put('app', { password: 'first' });
  world.store.locked = true;
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
  await is(world, 'False', 'store', 'SecretStore');
  await is(world, 'False', 'app');
  world.store.locked = false;
  world.store.changeRights();
  await is(world, 'True', 'store', 'SecretStore');
  await is(world, 'True', 'app');
});

test('what was mended while the stream was away is tried when it is back', async () => {
  const clock = new ManualClock();
  const world = start({ clock });
  world.store.put('app', { password: 'first' });
  world.store.failing = () => denied('app');
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
  await is(world, 'False', 'app');
  const { subscriptions, hints } = world.store;
  world.store.failing = undefined;
  world.store.cut();
  await eventually('it listens again', () => {
    clock.advance(10);
    return world.store.subscriptions > subscriptions;
  });
  await is(world, 'True', 'app');
  expect(world.store.hints).toBeGreaterThan(hints);
});

test('a PushSecret that may not write is written when rights change', async () => {
  const shelves = new Shelves();
  const store = new FakeStore();
  shelves.fault = () => {
    throw failure('provider.write_denied', {
      store: 'SecretStore team/store',
      path: 'db',
      reason: 'permission denied',
      mend: 'Mend it.',
    });
  };
  const world = start({
    kube: new FakeKube(),
    store,
    providers: [shelfProvider(shelves), fakeProvider(store)] as unknown as OperatorOptions['providers'],
  });
  world.kube.put({ ...secretStore('store', 'team'), spec: { provider: { webhook: {} } } });
  world.kube.put({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'app', namespace: 'team' },
    data: { pass: Buffer.from('first').toString('base64') },
  });
  world.kube.put(pushSecret);
  await is(world, 'False', 'app', 'PushSecret');
  shelves.fault = () => {};
  store.changeRights();
  await is(world, 'True', 'app', 'PushSecret');
  expect(shelves.texts('SecretStore team/store')).toEqual({ db: 'first' });
});

const pushSecret: KubeObject = {
  apiVersion: 'external-secrets.io/v1alpha1',
  kind: 'PushSecret',
  metadata: { name: 'app', namespace: 'team' },
  spec: {
    refreshInterval: '1h',
    secretStoreRefs: [{ name: 'store' }],
    selector: { secret: { name: 'app' } },
    data: [{ match: { secretKey: 'pass', remoteRef: { remoteKey: 'db' } } }],
  },
};

test('three hundred that were denied are read once each, however often rights change in that moment', async () => {
  const world = start({ storeRate: { perSecond: 1e6, burst: 1e6 } });
  const names = Array.from({ length: 300 }, (_, at) => `app-${at}`);
  for (const name of names) world.store.put(name, { password: 'first' });
  world.store.put('open', { password: 'first' });
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('open', 'team', one('pass', 'open', 'password')));
  await is(world, 'True', 'open');
  world.store.failing = () => denied('app');
  for (const name of names) world.kube.put(externalSecret(name, 'team', one('pass', name, 'password')));
  for (const name of names) await is(world, 'False', name);
  world.store.failing = undefined;
  const { reads } = world.store;
  for (let i = 0; i < 10; i++) world.store.changeRights();
  for (const name of names) await is(world, 'True', name);
  expect(world.store.reads).toBe(reads + 300);
});
