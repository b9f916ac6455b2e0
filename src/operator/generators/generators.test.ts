import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { GeneratorType } from '../../provider/generator.ts';
import {
  eventually,
  externalSecret,
  readyOfObject,
  secretData,
  startWorld,
  type World,
} from '../testing/cluster.ts';
import { FakeKube } from '../testing/kube.ts';
import { STATE_FINALIZER } from './states.ts';

const GRACE_MS = 40;
const worlds: World[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
});

/** Counts what it makes: "value 1", "value 2". */
class Counter implements GeneratorType<unknown> {
  readonly kind = 'Password';
  readonly spec = z.looseObject({});
  made = 0;
  readonly namespaces: string[] = [];

  readonly generate: GeneratorType['generate'] = async (_, env) => {
    this.namespaces.push(env.namespace());
    return new Map([['password', utf8(`value ${++this.made}`)]]);
  };
}

/** Makes accounts, and must take each away again. */
class Accounts implements GeneratorType<unknown> {
  readonly kind = 'Fake';
  readonly spec = z.looseObject({});
  readonly standing = new Set<string>();
  /** Of those that were made: whether a state stood before. */
  readonly reserved: boolean[] = [];
  down = false;
  made = 0;
  readonly #kube: FakeKube;
  constructor(kube: FakeKube) {
    this.#kube = kube;
  }

  readonly generate: GeneratorType['generate'] = async (_spec, _env, reserve) => {
    const account = `account ${++this.made}`;
    const reserved = await reserve({ account });
    await reserved.keepSecret(utf8(`key of ${account}`));
    this.reserved.push(states(this.#kube).some(({ spec }) => spec.state.account === account));
    this.standing.add(account);
    return new Map([['account', utf8(account)]]);
  };

  readonly cleaner: NonNullable<GeneratorType['cleaner']> = {
    cleanup: async (_spec, reserved, env) => {
      if (this.down)
        throw failure('provider.read', { store: env.store, path: 'the accounts', reason: 'it is away' });
      const account = String(reserved.state['account']);
      expect(Buffer.from((await reserved.secret()) ?? []).toString()).toBe(`key of ${account}`);
      this.standing.delete(account);
    },
  };
}

type StateObject = KubeObject & {
  readonly spec: {
    readonly garbageCollectionDeadline?: string;
    readonly state: { readonly account: string };
  };
};
const states = (kube: FakeKube): StateObject[] => kube.all('GeneratorState') as StateObject[];

const generator = (kind: string, name: string, spec: object = {}): KubeObject => ({
  apiVersion: 'generators.external-secrets.io/v1alpha1',
  kind,
  metadata: { name, namespace: 'team' },
  spec,
});

const from = (kind: string, name: string, more: object = {}): object => ({
  dataFrom: [
    {
      sourceRef: {
        generatorRef: { apiVersion: 'generators.external-secrets.io/v1alpha1', kind, name },
      },
      ...more,
    },
  ],
});

function start(kube = new FakeKube()): { world: World; counter: Counter; accounts: Accounts } {
  const counter = new Counter();
  const accounts = new Accounts(kube);
  const world = startWorld({ kube, generators: [counter, accounts], generatorGraceMs: GRACE_MS });
  worlds.push(world);
  return { world, counter, accounts };
}

const data = ({ kube }: World, name = 'app') => secretData(kube, 'team', name);
const ready = ({ kube }: World, name = 'app') => readyOfObject(kube, 'ExternalSecret', 'team', name);

/** As `kubectl annotate externalsecret app force-sync=...`. */
function force({ kube }: World, value: string): void {
  const object = kube.read('ExternalSecret', 'team', 'app');
  if (object === undefined) throw new Error('there is no ExternalSecret');
  kube.put({ ...object, metadata: { ...object.metadata, annotations: { 'force-sync': value } } });
}

test('what was made stays until a refresh is due, and each refresh makes it anew', async () => {
  const { world, counter } = start();
  world.kube.put(generator('Password', 'pw'));
  world.kube.put(externalSecret('app', 'team', from('Password', 'pw')));
  await eventually('it is synced', () => ready(world)?.status === 'True');
  expect(data(world)).toEqual({ password: 'value 1' });
  world.kube.put(externalSecret('other', 'team', from('Password', 'pw')));
  await eventually('another is synced', () => data(world, 'other')?.['password']);
  expect(counter.made).toBe(2);
  force(world, '1');
  await eventually('a new one', () => data(world)?.['password'] === 'value 3');
  expect(counter.made).toBe(3);
});

test('a generator that is not there is told by name, and what waits for it goes on when it is', async () => {
  const { world } = start();
  world.kube.put(externalSecret('app', 'team', from('Password', 'pw')));
  const told = await eventually('it fails', () =>
    ready(world)?.status === 'False' ? ready(world) : undefined,
  );
  expect(told.message).toContain(
    'error processing spec.dataFrom[0].sourceRef.generatorRef, err: unable to get generator: there is no Password "pw" in namespace "team"',
  );
  world.kube.put(generator('Password', 'pw'));
  await eventually('it is synced', () => ready(world)?.status === 'True');
});

test.each([
  [
    { kind: 'Pasword', apiVersion: 'generators.external-secrets.io/v1alpha1' },
    'references unknown kind Pasword',
  ],
  [{ kind: 'Secret', apiVersion: 'v1' }, 'may only reference the generators group, but got v1'],
  [{ kind: 'UUID', apiVersion: 'generators.external-secrets.io/v1alpha1' }, 'references unknown kind UUID'],
])('%j names no generator of this operator', async (ref, reason) => {
  const { world } = start();
  world.kube.put(generator('UUID', 'x'));
  world.kube.put(
    externalSecret('app', 'team', { dataFrom: [{ sourceRef: { generatorRef: { ...ref, name: 'x' } } }] }),
  );
  const told = await eventually('it fails', () =>
    ready(world)?.status === 'False' ? ready(world) : undefined,
  );
  expect(told.message).toContain(reason);
});

test('a ClusterGenerator is a generator of the namespace that names it', async () => {
  const { world, counter } = start();
  const cluster = (name: string, spec: object): KubeObject => ({
    apiVersion: 'generators.external-secrets.io/v1alpha1',
    kind: 'ClusterGenerator',
    metadata: { name },
    spec,
  });
  world.kube.put(cluster('pw', { kind: 'Password', generator: { passwordSpec: { length: 8 } } }));
  world.kube.put(cluster('wrong', { kind: 'Password', generator: { uuidSpec: {} } }));
  world.kube.put(externalSecret('app', 'team', from('ClusterGenerator', 'pw')));
  world.kube.put(externalSecret('wrong', 'team', from('ClusterGenerator', 'wrong')));
  await eventually('it is synced', () => ready(world)?.status === 'True');
  expect(counter.namespaces).toEqual(['team']);
  const told = await eventually('the other fails', () =>
    ready(world, 'wrong')?.status === 'False' ? ready(world, 'wrong') : undefined,
  );
  expect(told.message).toContain(
    'ClusterGenerator wrong is wrong: when kind is Password, passwordSpec must be set',
  );
});

test('what leaves something behind is reserved first; replaced, it is taken away after a grace', async () => {
  const { world, accounts } = start();
  world.kube.put(generator('Fake', 'accounts'));
  world.kube.put(externalSecret('app', 'team', from('Fake', 'accounts')));
  await eventually('it is synced', () => ready(world)?.status === 'True');
  expect(accounts.reserved).toEqual([true]);
  const [first] = states(world.kube);
  expect(first?.metadata.finalizers).toEqual([STATE_FINALIZER]);
  expect(first?.metadata.ownerReferences).toMatchObject([{ kind: 'ExternalSecret', name: 'app' }]);
  expect(first?.spec).toMatchObject({ resource: { kind: 'Fake', metadata: { name: 'accounts' } } });
  force(world, '1');
  await eventually('the new one is in use', () => data(world)?.['account'] === 'account 2');
  await eventually('the old one is gone', () => !accounts.standing.has('account 1'));
  expect([...accounts.standing]).toEqual(['account 2']);
  await eventually('its state is gone', () => states(world.kube).length === 1);
  expect(data(world)).toEqual({ account: 'account 2' });
});

test('while the Secret cannot be written, nothing that was made for it stays', async () => {
  const { world, accounts } = start();
  let refusing = true;
  world.kube.fault = ({ op, kind, name }) => {
    if (refusing && op === 'create' && kind === 'Secret' && name === 'app')
      throw failure('kube.denied', { request: 'POST secrets', reason: 'quota' });
  };
  world.kube.put(generator('Fake', 'accounts'));
  world.kube.put(externalSecret('app', 'team', from('Fake', 'accounts')));
  await eventually('it fails', () => ready(world)?.status === 'False');
  await eventually('the account is gone', () => accounts.made > 0 && !accounts.standing.has('account 1'));
  refusing = false;
  await eventually('it is synced', () => ready(world)?.status === 'True');
  await eventually('one is left', () => accounts.standing.size === 1);
  expect([...accounts.standing]).toEqual([data(world)?.['account']]);
});

test('what a process left that died before the Secret was written is taken away by the next generation', async () => {
  const kube = new FakeKube();
  const { world, accounts } = start(kube);
  world.kube.put(generator('Fake', 'accounts'));
  // It made an account and died: the state is there, and nothing else.
  kube.put(externalSecret('app', 'team', from('Fake', 'absent')));
  const uid = kube.read('ExternalSecret', 'team', 'app')?.metadata.uid ?? '';
  accounts.standing.add('lost');
  const name = 'gen-externalsecret-app-lost';
  kube.put({
    apiVersion: 'generators.external-secrets.io/v1alpha1',
    kind: 'GeneratorState',
    metadata: {
      name,
      namespace: 'team',
      finalizers: [STATE_FINALIZER],
      ownerReferences: [{ apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', name: 'app', uid }],
    },
    spec: { resource: generator('Fake', 'accounts'), state: { account: 'lost' } },
  });
  kube.put({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: 'team',
      ownerReferences: [
        {
          apiVersion: 'generators.external-secrets.io/v1alpha1',
          kind: 'GeneratorState',
          name,
          uid: kube.read('GeneratorState', 'team', name)?.metadata.uid ?? '',
        },
      ],
    },
    data: { value: Buffer.from('key of lost').toString('base64') },
  });
  kube.put(externalSecret('app', 'team', from('Fake', 'accounts')));
  await eventually('it is synced', () => data(world)?.['account'] === 'account 1');
  await eventually('the lost one is gone', () => !accounts.standing.has('lost'));
  expect([...accounts.standing]).toEqual(['account 1']);
});

test('with its owner goes what was made for it, as soon as that can be taken away', async () => {
  const { world, accounts } = start();
  world.kube.put(generator('Fake', 'accounts'));
  world.kube.put(externalSecret('app', 'team', from('Fake', 'accounts')));
  await eventually('it is synced', () => ready(world)?.status === 'True');
  accounts.down = true;
  world.kube.remove('ExternalSecret', 'team', 'app');
  const state = await eventually('its state says why it is still there', () =>
    states(world.kube).find(({ status }) =>
      JSON.stringify(status ?? '').includes('could not cleanup generator state'),
    ),
  );
  expect(state.metadata.finalizers).toEqual([STATE_FINALIZER]);
  expect(accounts.standing.size).toBe(1);
  accounts.down = false;
  await eventually('it is gone', () => accounts.standing.size === 0);
  await eventually('its state is gone', () => states(world.kube).length === 0);
});

test('a Secret that somebody made under the name of a state is never taken for what was kept', async () => {
  const { world, accounts } = start();
  world.kube.fault = ({ op, kind, name }) => {
    // Made before ours could be.
    if (op !== 'get' || kind !== 'Secret' || !name.startsWith('gen-')) return;
    if (world.kube.read('Secret', 'team', name) === undefined && accounts.made === 1)
      world.kube.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'team' }, data: {} });
  };
  world.kube.put(generator('Fake', 'accounts'));
  world.kube.put(externalSecret('app', 'team', from('Fake', 'accounts')));
  await eventually('it fails', () => ready(world)?.status === 'False');
  expect(accounts.standing.size).toBe(0);
});
