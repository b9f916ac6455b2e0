import { expect, test, vi } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { externalSecretSpec } from '../api/externalsecret.ts';
import {
  eventually,
  externalSecret,
  one,
  readyOfObject,
  secretData,
  secretStore,
  type startWorld,
  type World,
} from '../testing/cluster.ts';
import { FakeKube } from '../testing/kube.ts';
import { FakeStore } from '../testing/provider.ts';
import { startingWorlds } from '../testing/worlds.ts';

const start = startingWorlds();

const NAMES = Array.from({ length: 30 }, (_, at) => `app-${at}`);
const allHold = (world: World, value: string): Promise<boolean> =>
  eventually(`all hold ${value}`, () =>
    NAMES.every((name) => secretData(world.kube, 'team', name)?.['pass'] === value),
  );

function thirtyOfThree(given: Parameters<typeof startWorld>[0] = {}, spec: object = {}): World {
  const { kube = new FakeKube() } = given;
  const store = new FakeStore();
  for (const key of ['a', 'b', 'c']) store.put(key, { password: 'first' });
  kube.put(secretStore('store', 'team'));
  for (const [at, name] of NAMES.entries())
    kube.put(externalSecret(name, 'team', { ...one('pass', 'abc'[at % 3] ?? '', 'password'), ...spec }));
  return start({ store, push: false, ...given, kube });
}

test('thirty ExternalSecrets of three secrets are synced by three reads', async () => {
  const world = thirtyOfThree();
  await allHold(world, 'first');
  expect(world.store.reads).toBe(3);
});

test('new ones of one secret follow each other, so that their answer is at hand however long the first round takes', async () => {
  const world = thirtyOfThree({ concurrency: 1 });
  await allHold(world, 'first');
  const made = world.kube.calls.filter(({ op, kind }) => op === 'create' && kind === 'Secret');
  const keys = made.map(({ name }) => 'abc'[Number(name.replace('app-', '')) % 3]);
  expect(keys.join('')).toBe('a'.repeat(10) + 'b'.repeat(10) + 'c'.repeat(10));
});

test('one that is forced has its secret read anew, however lately another had it read', async () => {
  const world = thirtyOfThree();
  await allHold(world, 'first');
  world.store.put('a', { password: 'second' });
  const object = world.kube.read('ExternalSecret', 'team', 'app-0');
  if (object === undefined) throw new Error('it was there');
  world.kube.put({ ...object, metadata: { ...object.metadata, annotations: { 'force-sync': '1' } } });
  await eventually('it is new', () => secretData(world.kube, 'team', 'app-0')?.['pass'] === 'second');
  expect(world.store.reads).toBe(4);
  expect(secretData(world.kube, 'team', 'app-3')).toEqual({ pass: 'first' });
});

test('a round of refreshes reads each secret once, though each ExternalSecret is due at a time of its own', async () => {
  const clock = new ManualClock();
  const world = thirtyOfThree({ clock, kube: new FakeKube(() => clock.now()) }, { refreshInterval: '10m' });
  const pass = async (seconds: number): Promise<void> => {
    for (let at = 0; at < seconds; at += 2) {
      clock.advance(2000);
      for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await pass(10);
  await allHold(world, 'first');
  expect(world.store.reads).toBe(3);
  for (const key of ['a', 'b', 'c']) world.store.put(key, { password: 'second' });
  await pass(660);
  await allHold(world, 'second');
  expect(world.store.reads).toBe(6);
});

test('what a refresh costs does not grow with how many use the same secret', async () => {
  const parses = vi.spyOn(externalSecretSpec, 'safeParse');
  /** How often a spec is read for each of so many, from their first sync to the end of a round. */
  const costOf = async (count: number): Promise<number> => {
    const clock = new ManualClock();
    const kube = new FakeKube(() => clock.now());
    const store = new FakeStore();
    store.put('a', { password: 'first' });
    kube.put(secretStore('store', 'team'));
    const names = Array.from({ length: count }, (_, at) => `app-${at}`);
    for (const name of names)
      kube.put(externalSecret(name, 'team', { ...one('pass', 'a', 'password'), refreshInterval: '10m' }));
    parses.mockClear();
    start({ store, push: false, clock, kube });
    const holds = (value: string) =>
      names.every((name) => secretData(kube, 'team', name)?.['pass'] === value);
    for (const value of ['first', 'second']) {
      store.put('a', { password: value });
      for (let turn = 0; turn < 40_000 && !holds(value); turn++) {
        if (turn % 30 === 0) clock.advance(2000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(holds(value)).toBe(true);
    }
    expect(store.reads).toBe(2);
    return parses.mock.calls.length / count;
  };
  expect((await costOf(80)) / (await costOf(20))).toBeLessThan(1.5);
});

test('a restart verifies all and reads nothing', async () => {
  const world = thirtyOfThree();
  await allHold(world, 'first');
  await eventually('all are ready', () =>
    NAMES.every((name) => readyOfObject(world.kube, 'ExternalSecret', 'team', name)?.status === 'True'),
  );
  await world.stop();
  const { reads } = world.store;
  const writes = (): number =>
    (['create', 'update', 'patch', 'delete'] as const).reduce((sum, op) => sum + world.kube.count(op), 0);
  const before = writes();
  world.kube.remove('Secret', 'team', 'app-7');
  const again = start({ kube: world.kube, store: world.store, push: false });
  await eventually('the one that was missing is back', () => secretData(again.kube, 'team', 'app-7'));
  await eventually('it is told', () => world.store.reads === reads + 1);
  await again.operator.eventsWritten();
  // The Secret, its event and its condition; nothing for the other 29.
  expect(writes() - before).toBeLessThanOrEqual(3);
});

test('a store that says when to come again is not asked before, and its users say why they wait', async () => {
  const store = new FakeStore();
  const world = start({ store, push: false });
  store.put('a', { password: 'first' });
  store.failing = () =>
    failure('api.limited', { request: 'GET a', errors: 'slow down' }, { retryAfterMs: 1500 });
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('app', 'team', one('pass', 'a', 'password')));
  world.kube.put(externalSecret('other', 'team', one('pass', 'b', 'password')));
  const failed = await eventually('one was told', () => {
    const told = ['app', 'other'].map((name) => readyOfObject(world.kube, 'ExternalSecret', 'team', name));
    return told.every((ready) => ready?.status === 'False') && told;
  });
  expect(store.reads).toBeLessThanOrEqual(2);
  for (const told of failed) expect(told?.message).toMatch(/slow down|left alone for a moment/);
  expect(readyOfObject(world.kube, 'SecretStore', 'team', 'store')?.status).toBe('True');
  store.failing = undefined;
  await eventually('it is synced', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'first');
});

test('a store that is down is asked by one at a time, and all its users go on the moment it answers', async () => {
  const world = thirtyOfThree();
  await allHold(world, 'first');
  world.store.failing = () => failure('api.unavailable', { request: 'GET', errors: 'connection refused' });
  for (const name of NAMES) {
    const object = world.kube.read('ExternalSecret', 'team', name);
    if (object === undefined) throw new Error('it was there');
    world.kube.put({ ...object, metadata: { ...object.metadata, annotations: { 'force-sync': '1' } } });
  }
  await eventually('all have failed', () =>
    NAMES.every((name) => readyOfObject(world.kube, 'ExternalSecret', 'team', name)?.status === 'False'),
  );
  expect(secretData(world.kube, 'team', 'app-0')).toEqual({ pass: 'first' });
  world.store.failing = undefined;
  for (const key of ['a', 'b', 'c']) world.store.put(key, { password: 'second' });
  await allHold(world, 'second');
});
