import { expect, test } from 'vitest';
import { failure } from '../../base/errors.ts';
import { eventually, externalSecret, one, secretData, secretStore, type World } from '../testing/cluster.ts';
import { FakeKube } from '../testing/kube.ts';
import { FakeStore } from '../testing/provider.ts';
import { startingWorlds } from '../testing/worlds.ts';

const start = startingWorlds();

const found = (world: World, name: string) =>
  world.operator.differences().find((difference) => difference.name === name);

test('beside an operator that works, nothing is written, and what differs is told by name', async () => {
  const kube = new FakeKube();
  const store = new FakeStore();
  store.put('app', { password: 'canary-4711' });
  kube.put(secretStore('store', 'team'));
  for (const name of ['same', 'edited'])
    kube.put(externalSecret(name, 'team', one('pass', 'app', 'password')));
  const other = start({ kube, store });
  await eventually('the other operator has synced', () => secretData(kube, 'team', 'edited'));
  await eventually('both', () => secretData(kube, 'team', 'same'));
  await other.stop();
  const secret = kube.read('Secret', 'team', 'edited');
  if (secret === undefined) throw new Error('it was there');
  kube.put({ ...secret, data: { pass: 'b2xk', extra: 'eA==' } });
  kube.put(externalSecret('new', 'team', one('pass', 'app', 'password')));
  kube.put(externalSecret('wrong', 'team', one('pass', 'app', 'passwort')));

  const before = kube.calls.length;
  const shadow = start({ kube, store, shadow: true });
  await eventually('all are compared', () => shadow.operator.differences().length === 4);
  expect(found(shadow, 'same')?.verdict).toBe('same');
  expect(found(shadow, 'new')).toMatchObject({ verdict: 'create' });
  expect(found(shadow, 'new')?.details).toContain('data.pass is added');
  expect(found(shadow, 'edited')).toMatchObject({ verdict: 'change' });
  expect(found(shadow, 'edited')?.details).toEqual(
    expect.arrayContaining(['data.pass is changed', 'data.extra is removed']),
  );
  expect(found(shadow, 'wrong')).toMatchObject({ verdict: 'failed' });
  expect(found(shadow, 'wrong')?.message).toContain('did you mean "password"?');
  expect(JSON.stringify(shadow.operator.differences())).not.toContain('canary-4711');

  store.put('app', { password: 'next' });
  await eventually('a change in the store is heard', () => found(shadow, 'same')?.verdict === 'change');
  await shadow.stop();
  expect(kube.calls.slice(before).filter(({ op }) => !['get', 'list', 'watch'].includes(op))).toEqual([]);
});

test('a store that nobody has looked at is found out by asking it', async () => {
  const kube = new FakeKube();
  const store = new FakeStore();
  store.failing = () => failure('api.unavailable', { request: 'GET', errors: 'connection refused' });
  kube.put(secretStore('store', 'team'));
  kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
  const shadow = start({ kube, store, shadow: true });
  const told = await eventually('it failed', () => found(shadow, 'app'));
  expect(told).toMatchObject({ verdict: 'failed' });
  expect(told.message).toContain('connection refused');
  store.failing = undefined;
  store.put('app', { password: 'x' });
  await eventually('it would be made', () => found(shadow, 'app')?.verdict === 'create');
});
