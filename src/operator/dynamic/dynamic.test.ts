import { afterEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import type { KubeObject } from '../../kube/kube.ts';
import { externalSecret, one, readyOfObject, secretData, secretStore } from '../testing/cluster.ts';
import { FakeKube } from '../testing/kube.ts';
import { recordOf } from './record.ts';
import { IssuingServer, type Process, startProcess } from './testing.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;

/** A cluster and a server whose time the test moves; and the processes of the operator that it started. */
class World {
  readonly clock = new ManualClock();
  readonly kube = new FakeKube(() => this.clock.now());
  readonly server = new IssuingServer(this.clock);
  readonly #started: Process[] = [];

  start(...given: Parameters<typeof startProcess> extends [unknown, ...infer R] ? R : never): Process {
    const process = startProcess(this, ...given);
    this.#started.push(process);
    return process;
  }

  /** Lets time pass, a little at a time, with all that happens in it. */
  async pass(ms: number, stepMs = 5000): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passed));
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 60; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  apply(...objects: readonly KubeObject[]): void {
    for (const object of objects) this.kube.put(object);
  }

  user(): string | undefined {
    return secretData(this.kube, 'team', 'app')?.['user'];
  }

  ready() {
    return readyOfObject(this.kube, 'ExternalSecret', 'team', 'app');
  }

  records(): KubeObject[] {
    return this.kube.all('Secret').filter(({ metadata }) => metadata.namespace === 'holdfast-system');
  }

  async stop(): Promise<void> {
    for (const process of this.#started) await process.stop();
  }
}

const worlds: World[] = [];
function made(): World {
  const world = new World();
  worlds.push(world);
  return world;
}
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.stop();
});

const app = (spec: object = {}, annotations: Record<string, string> = {}): KubeObject => {
  const object = externalSecret('app', 'team', {
    data: [
      { secretKey: 'user', remoteRef: { key: 'db/creds/app', property: 'username' } },
      { secretKey: 'password', remoteRef: { key: 'db/creds/app', property: 'password' } },
      { secretKey: 'ttl', remoteRef: { key: 'db/creds/app', property: 'lease_duration' } },
    ],
    refreshInterval: '15m',
    ...spec,
  });
  return { ...object, metadata: { ...object.metadata, annotations } };
};

async function synced(): Promise<World> {
  const world = made();
  world.apply(secretStore('store', 'team'), app());
  world.start();
  await world.pass(2000, 1000);
  expect(world.user()).toBe('user-1');
  return world;
}

describe('an ExternalSecret whose key names what issues accounts', () => {
  test('gets a pair that matches, and envelope fields as plain texts', async () => {
    const world = await synced();
    expect(secretData(world.kube, 'team', 'app')).toEqual({
      user: 'user-1',
      password: 'password of user-1',
      ttl: '3600',
    });
    expect(world.server.accounts).toHaveLength(1);
  });

  test('keeps it over refreshes, and for as long as the lease is renewed', async () => {
    const world = await synced();
    await world.pass(6 * HOUR, MINUTE);
    expect(world.user()).toBe('user-1');
    expect(world.server.working()).toEqual(['user-1']);
    expect(world.server.renewals).toBeGreaterThan(6);
  });

  test('gets a new one before the longest life is over, and the old one works a grace longer', async () => {
    const world = await synced();
    world.server.longestMs = 24 * HOUR;
    await world.pass(22 * HOUR, MINUTE);
    let seen = '';
    for (let minutes = 0; minutes < 180; minutes++) {
      await world.pass(MINUTE, MINUTE);
      const user = world.user() ?? '';
      expect(world.server.working()).toContain(user);
      if (user !== 'user-1' && seen === 'user-1') expect(world.server.working()).toEqual(['user-1', user]);
      seen = user;
    }
    expect(seen).toBe('user-2');
    expect(world.server.working()).toEqual(['user-2']);
  });

  test('gets a new one by force-sync, and by no other change', async () => {
    const world = await synced();
    world.apply(app({}, { team: 'blue' }));
    await world.pass(2000);
    expect(world.user()).toBe('user-1');
    world.apply(app({}, { 'force-sync': '1' }));
    await world.pass(2000);
    expect(world.user()).toBe('user-2');
    expect(world.server.working()).toEqual(['user-1', 'user-2']);
    await world.pass(6 * MINUTE);
    expect(world.server.working()).toEqual(['user-2']);
  });

  test('gets a new one at the next refresh, where somebody revoked the lease', async () => {
    const world = await synced();
    for (const account of world.server.accounts) account.revoked = true;
    await world.pass(17 * MINUTE, MINUTE);
    expect(world.user()).toBe('user-2');
    expect(world.server.working()).toEqual(['user-2']);
  });

  test('keeps the last pair through an outage, and nothing is asked of it but time', async () => {
    const world = await synced();
    world.server.down = true;
    await world.pass(3 * HOUR, MINUTE);
    expect(world.user()).toBe('user-1');
    world.server.down = false;
    await world.pass(2 * MINUTE);
    expect(world.user()).toBe('user-2');
    expect(world.server.working()).toEqual(['user-2']);
    expect(world.ready()).toMatchObject({ status: 'True' });
  });

  test('revokes it when it is deleted, and leaves nothing behind', async () => {
    const world = await synced();
    world.kube.remove('ExternalSecret', 'team', 'app');
    await world.pass(10_000);
    expect(world.server.working()).toEqual([]);
    expect(world.records()).toEqual([]);
    expect(world.kube.all('SyncReport')).toEqual([]);
  });

  test('revokes it although its store went first, and the server was away', async () => {
    const world = await synced();
    world.server.down = true;
    world.kube.remove('SecretStore', 'team', 'store');
    world.kube.remove('ExternalSecret', 'team', 'app');
    await world.pass(2 * MINUTE);
    expect(world.records()).toHaveLength(1);
    world.server.down = false;
    await world.pass(2 * MINUTE);
    expect(world.server.working()).toEqual([]);
    expect(world.records()).toEqual([]);
  });

  test('that names the key no more gives it back after a grace', async () => {
    const world = await synced();
    world.server.stored.set('kv/app', '{"u":"static"}');
    world.apply(app({ data: undefined, ...one('user', 'kv/app', 'u') }));
    await world.pass(5000);
    expect(world.user()).toBe('static');
    expect(world.server.working()).toEqual(['user-1']);
    await world.pass(6 * MINUTE);
    expect(world.server.working()).toEqual([]);
    expect(world.records()).toEqual([]);
  });

  test('keeps its account over a restart, although the Secret is gone too', async () => {
    const world = await synced();
    await world.stop();
    world.kube.remove('Secret', 'team', 'app');
    world.start();
    await world.pass(MINUTE);
    expect(world.user()).toBe('user-1');
    expect(world.server.accounts).toHaveLength(1);
  });

  test('says in its SyncReport why none came, where the one in use comes to its end and no new one can be had', async () => {
    const world = await synced();
    world.server.longestMs = HOUR;
    world.apply(app({}, { 'force-sync': '1' }));
    await world.pass(MINUTE);
    world.server.closed = true;
    await world.pass(56 * MINUTE, MINUTE);
    const trouble = (): string | undefined => {
      const status = world.kube.read('SyncReport', 'team', 'app')?.['status'];
      return (status as { leases: { trouble?: string }[] }).leases[0]?.trouble;
    };
    expect(trouble()).toMatch(/permission denied \[api\.denied\]/);
    expect(world.user()).toBe('user-2');
    expect(world.server.working()).toEqual(['user-2']);
    world.server.closed = false;
    await world.pass(2 * MINUTE);
    expect(world.user()).toBe('user-3');
    expect(trouble()).toBeUndefined();
  });

  test('with a record that this release cannot read says so, and leaves that alone', async () => {
    const world = await synced();
    await world.stop();
    const [record] = world.records();
    const strange = { record: Buffer.from('{"format":9}').toString('base64') };
    world.apply({ ...(record as KubeObject), data: strange });
    world.start();
    world.apply(app({}, { 'force-sync': '1' }));
    await world.pass(MINUTE);
    expect(world.ready()?.message).toMatch(/holds no record of a lease that this release reads/);
    expect(world.records()[0]?.['data']).toEqual(strange);
    expect(world.user()).toBe('user-1');
  });

  test('whose lease is not renewable has its login renewed alone, and a new account at two thirds', async () => {
    const world = made();
    world.server.lease = { ms: 6 * HOUR, renewable: false };
    world.apply(secretStore('store', 'team'), app());
    world.start();
    await world.pass(3.9 * HOUR, MINUTE);
    expect(world.user()).toBe('user-1');
    expect(world.server.working()).toEqual(['user-1']);
    await world.pass(0.3 * HOUR, MINUTE);
    expect(world.user()).toBe('user-2');
    expect(world.server.accounts).toHaveLength(2);
  });

  test('read once has its lease renewed and no new account made', async () => {
    const world = made();
    world.apply(secretStore('store', 'team'), app({ refreshInterval: '0' }));
    world.start();
    await world.pass(30 * HOUR, MINUTE);
    expect(world.user()).toBe('user-1');
    expect(world.server.accounts).toHaveLength(1);
    expect(world.server.renewals).toBeGreaterThan(20);
  });

  test('says in its SyncReport what it holds and until when, and nothing that is secret', async () => {
    const world = await synced();
    const report = world.kube.read('SyncReport', 'team', 'app');
    expect(report?.['status']).toMatchObject({
      sources: [{ store: 'SecretStore/store', key: 'db/creds/app', from: 'Engine' }],
      leases: [
        {
          key: 'db/creds/app',
          path: 'db/creds/app',
          leaseId: 'db/creds/app/1',
          renewable: true,
          issueTime: '2026-01-01T00:00:01Z',
          renewTime: '2026-01-01T00:40:01Z',
          expireTime: '2026-01-01T01:00:01Z',
        },
      ],
      expireTime: '2026-01-01T01:00:01Z',
    });
    const told = JSON.stringify([
      report,
      world.kube.all('Event'),
      world.kube.all('ExternalSecret'),
      world.records().map(({ metadata }) => metadata),
    ]);
    for (const secret of ['password of', 'login-1']) expect(told).not.toContain(secret);
    await world.pass(45 * MINUTE, MINUTE);
    expect(JSON.stringify(world.kube.read('SyncReport', 'team', 'app'))).toContain('2026-01-01T01:4');
  });

  test('has its login kept in the namespace of the operator, never in its own', async () => {
    const world = await synced();
    const [record, ...others] = world.records();
    expect(others).toEqual([]);
    expect(JSON.stringify(recordOf(record as KubeObject))).toContain('login-1');
    const near = world.kube.all('Secret').filter(({ metadata }) => metadata.namespace === 'team');
    const texts = near.map((secret) => Buffer.from(JSON.stringify(secret['data']), 'utf8').toString());
    expect(texts.join(' ')).not.toContain(Buffer.from('login-1').toString('base64'));
  });
});

describe('the choice between a stored secret and what issues', () => {
  test('is for the stored secret where there is one, and stands when that goes', async () => {
    const world = made();
    world.server.stored.set('db/creds/app', '{"username":"by hand","password":"p","lease_duration":"0"}');
    world.apply(secretStore('store', 'team'), app());
    world.start();
    await world.pass(2000);
    expect(world.user()).toBe('by hand');
    world.server.stored.clear();
    await world.pass(40 * MINUTE, MINUTE);
    expect(world.user()).toBe('by hand');
    expect(world.ready()?.message).toMatch(/Secret does not exist/);
    expect(world.server.accounts).toEqual([]);
  });

  test('stands when somebody stores a secret under the name', async () => {
    const world = await synced();
    world.server.stored.set('db/creds/app', '{"username":"planted","password":"p"}');
    await world.pass(40 * MINUTE, MINUTE);
    world.apply(app({}, { 'force-sync': '1' }));
    await world.pass(MINUTE);
    expect(world.user()).toBe('user-2');
    await world.stop();
    world.start();
    await world.pass(40 * MINUTE, MINUTE);
    expect(world.user()).toBe('user-2');
  });

  test('is recorded before anything is issued', async () => {
    const world = made();
    world.apply(secretStore('store', 'team'), app());
    const { effects } = world.start();
    await world.pass(2000);
    const at = (effect: string): number => effects.indexOf(effect);
    expect(at('create SyncReport')).toBeGreaterThan(-1);
    expect(at('create SyncReport')).toBeLessThan(at('login'));
    expect(at('login')).toBeLessThan(at('create Secret'));
    expect(at('create Secret')).toBeLessThan(at('issue'));
  });

  test("is nobody's where no engine is known: the secret is missing, as ever", async () => {
    const world = made();
    world.apply(secretStore('store', 'team'), app({ data: undefined, ...one('a', 'kv/none', 'a') }));
    world.start();
    await world.pass(2000);
    expect(world.ready()?.message).toMatch(/Secret does not exist/);
    expect(world.records()).toEqual([]);
    expect(world.kube.all('SyncReport')).toEqual([]);
  });
});

test.each([
  ['a login for each', false],
  ['one token that was given', true],
])(
  'two operators that fight over everything leave one account, and the Secret holds it: %s',
  async (_, given) => {
    const world = made();
    world.server.given = given;
    world.apply(secretStore('store', 'team'), app());
    world.start();
    world.start();
    const settled = async (): Promise<void> => {
      await world.pass(15 * MINUTE, 10_000);
      expect(world.server.working()).toEqual([world.user()]);
      expect(world.records()).toHaveLength(1);
    };
    await settled();
    for (const force of ['1', '2']) {
      world.apply(app({}, { 'force-sync': force }));
      await settled();
    }
    await world.pass(30 * HOUR, MINUTE);
    await settled();
    world.kube.remove('ExternalSecret', 'team', 'app');
    await world.pass(5 * MINUTE, 10_000);
    expect(world.server.working()).toEqual([]);
    expect(world.records()).toEqual([]);
  },
);

test('replicas that share the work keep a lease where its ExternalSecret is, so that a new account comes in time', async () => {
  for (const mine of ['Lease', 'ExternalSecret']) {
    const world = made();
    world.server.lease = { ms: HOUR, renewable: false };
    world.apply(secretStore('store', 'team'), app({ refreshInterval: '24h' }));
    // As bad as a division can be: whoever has the ExternalSecrets has none of the leases' own names.
    for (const half of [true, false])
      world.start(undefined, {
        share: { owns: (key) => key.startsWith(mine) === half, onGain: () => {} },
      });
    await world.pass(20 * HOUR, MINUTE);
    expect(world.server.working()).toContain(world.user());
    expect(world.server.accounts.length).toBeGreaterThan(20);
    world.kube.remove('ExternalSecret', 'team', 'app');
    await world.pass(5 * MINUTE, 10_000);
    expect(world.server.working()).toEqual([]);
    await world.stop();
  }
});

describe('a process that dies', () => {
  type Phase = 'the first sync' | 'a new account by force' | 'deletion';

  /** A world in which the phase is about to happen; gives what begins it. */
  async function poised(phase: Phase): Promise<{ world: World; begin(): void }> {
    if (phase === 'the first sync') {
      const world = made();
      return { world, begin: () => world.apply(secretStore('store', 'team'), app()) };
    }
    const world = await synced();
    await world.pass(MINUTE);
    await world.stop();
    return {
      world,
      begin: () => {
        if (phase === 'deletion') world.kube.remove('ExternalSecret', 'team', 'app');
        else world.apply(app({}, { 'force-sync': '1' }));
      },
    };
  }

  /** What must be true some minutes after a new process has taken over. */
  function expectOrder(world: World, phase: Phase, where: string): void {
    const works = world.server.working();
    if (phase === 'deletion') {
      expect({ where, works, records: world.records().length }).toEqual({ where, works: [], records: 0 });
      return;
    }
    expect({ where, works }).toEqual({ where, works: [world.user()] });
    expect({ where, records: world.records().length }).toEqual({ where, records: 1 });
    if (phase !== 'the first sync')
      expect({ where, user: world.user() }).not.toEqual({ where, user: 'user-1' });
  }

  for (const phase of ['the first sync', 'a new account by force', 'deletion'] as const)
    for (const when of ['before', 'after'] as const)
      test(`${when} any effect of ${phase} leaves no account that nobody owns`, async () => {
        const rehearsal = await poised(phase);
        rehearsal.begin();
        const { effects } = rehearsal.world.start();
        await rehearsal.world.pass(10_000, 1000);
        expect(effects.length).toBeGreaterThan(2);
        expect(effects).toContain(phase === 'deletion' ? 'revoke' : 'issue');
        for (let at = 1; at <= effects.length; at++) {
          const { world, begin } = await poised(phase);
          begin();
          const first = world.start({ at, when });
          await world.pass(10_000, 1000);
          expect({ at, dead: first.dead }).toEqual({ at, dead: true });
          await first.stop();
          world.start();
          await world.pass(10 * MINUTE, 10_000);
          expectOrder(world, phase, `${when} ${at} ${effects[at - 1]} of ${effects.join(', ')}`);
          await world.stop();
        }
      }, 120_000);
});

describe('under a token that was given, and that no login is made of', () => {
  const start = async (): Promise<World> => {
    const world = made();
    world.server.given = true;
    world.apply(secretStore('store', 'team'), app());
    world.start();
    await world.pass(2000, 1000);
    return world;
  };
  const isAlive = ({ server }: World): boolean => server.logins.every(({ revoked }) => !revoked);

  test('an account is renewed, and taken back by its lease when it is replaced or not wanted any more', async () => {
    const world = await start();
    await world.pass(6 * HOUR, MINUTE);
    expect(world.server.working()).toEqual(['user-1']);
    world.apply(app({}, { 'force-sync': '1' }));
    await world.pass(6 * MINUTE);
    expect(world.server.working()).toEqual(['user-2']);
    world.kube.remove('ExternalSecret', 'team', 'app');
    await world.pass(MINUTE);
    expect(world.server.working()).toEqual([]);
    expect(world.records()).toEqual([]);
    expect(isAlive(world)).toBe(true);
  });

  test('an account that no record has, because somebody took its login for left behind, is taken back at once', async () => {
    const world = made();
    world.server.given = true;
    const issue = world.server.issue.bind(world.server);
    world.server.issue = (id) => {
      const account = issue(id);
      if (account.name === 'user-1')
        for (const { metadata } of world.records())
          world.kube.remove('Secret', 'holdfast-system', metadata.name);
      return account;
    };
    world.apply(secretStore('store', 'team'), app());
    world.start();
    await world.pass(5 * MINUTE, 10_000);
    expect(world.server.accounts.map(({ revoked }) => revoked)).toEqual([true, false]);
    expect(world.server.working()).toEqual([world.user()]);
  });

  for (const when of ['before', 'after'] as const)
    test(`a process that dies ${when} any effect leaves at most one account that nobody knows, until its lease ends`, async () => {
      const poised = async (): Promise<World> => {
        const world = await start();
        await world.stop();
        world.apply(app({}, { 'force-sync': '1' }));
        return world;
      };
      const rehearsal = await poised();
      const { effects } = rehearsal.start();
      await rehearsal.pass(10_000, 1000);
      expect(effects).toContain('issue');
      let strays = 0;
      for (let at = 1; at <= effects.length; at++) {
        const world = await poised();
        const first = world.start({ at, when });
        await world.pass(10_000, 1000);
        expect({ at, dead: first.dead }).toEqual({ at, dead: true });
        await first.stop();
        world.start();
        await world.pass(10 * MINUTE, 10_000);
        const others = world.server.working().filter((name) => name !== world.user());
        expect(others.length).toBeLessThanOrEqual(1);
        strays += others.length;
        await world.pass(HOUR, MINUTE);
        expect({ at, works: world.server.working() }).toEqual({ at, works: [world.user()] });
        expect(world.records()).toHaveLength(1);
        expect(isAlive(world)).toBe(true);
        await world.stop();
      }
      // The one effect between what is issued and what is written down: that much a child of the token would close.
      expect(strays).toBe(1);
    }, 120_000);
});
