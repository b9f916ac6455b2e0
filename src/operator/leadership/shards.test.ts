import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { Kube } from '../../kube/kube.ts';
import { LEASES } from '../../kube/lease.ts';
import { FakeKube } from '../testing/kube.ts';
import { createShards, type Shards } from './shards.ts';

const KEYS = Array.from({ length: 24 }, (_, at) => `ExternalSecret/team/app-${at}`);
const TICK_MS = 500;

/** One replica: its line to the API server can be cut, and it works on keys for a while. */
interface Replica {
  readonly name: string;
  readonly shards: Shards;
  /** key -> ticks left. */
  readonly working: Map<string, number>;
  cut: 'no' | 'refused' | 'hanging';
  stopped: boolean;
  readonly stop: () => void;
}

/** A cluster in which time passes only when it is told to. */
class Cluster {
  readonly clock = new ManualClock();
  readonly kube = new FakeKube(() => this.clock.now());
  readonly replicas: Replica[] = [];
  #born = 0;

  join(): Replica {
    const stopping = new AbortController();
    const replica: Replica = {
      name: `pod-${this.#born++}`,
      working: new Map(),
      cut: 'no',
      stopped: false,
      stop: () => stopping.abort(),
      shards: createShards({
        kube: this.#lineOf(() => replica),
        namespace: 'holdfast',
        group: 'operator',
        identity: `pod-${this.#born}`,
        clock: this.clock,
        log: silentLog,
      }),
    };
    this.replicas.push(replica);
    void replica.shards.run(
      (owns) => this.#until(() => [...replica.working.keys()].every((key) => owns(key))),
      stopping.signal,
    );
    return replica;
  }

  /** Ends in order: its work first, then its Lease. */
  async leave(replica: Replica): Promise<void> {
    replica.working.clear();
    replica.stopped = true;
    replica.stop();
    await replica.shards.leave();
  }

  /** Ends as `kill -9` does. */
  kill(replica: Replica): void {
    replica.cut = 'hanging';
    replica.stopped = true;
    replica.working.clear();
    replica.stop();
  }

  /** Half a second: each works on what it owns; then nobody may work on what another works on. */
  async tick(ticksOfWork = 1): Promise<void> {
    for (const { shards, working, stopped } of this.replicas) {
      for (const [key, left] of working)
        if (left <= 1) working.delete(key);
        else working.set(key, left - 1);
      if (stopped) continue;
      for (const key of KEYS) if (!working.has(key) && shards.owns(key)) working.set(key, ticksOfWork);
    }
    this.clock.advance(TICK_MS);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    this.check();
  }

  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < (seconds * 1000) / TICK_MS; i++) await this.tick();
  }

  check(): void {
    for (const key of KEYS) {
      // One that does not hold may still be at it, but it writes no more.
      const writers = this.replicas.filter(({ shards, working }) => shards.holds && working.has(key));
      if (writers.length > 1)
        throw new Error(`${key} has two writers: ${writers.map(({ name }) => name).join(', ')}`);
      const owners = this.replicas.filter(({ shards, stopped }) => !stopped && shards.owns(key));
      if (owners.length > 1)
        throw new Error(`${key} has two owners: ${owners.map(({ name }) => name).join(', ')}`);
    }
  }

  ownersOf(): ReadonlyMap<string, string | undefined> {
    return new Map(
      KEYS.map((key) => [
        key,
        this.replicas.find(({ shards, stopped }) => !stopped && shards.owns(key))?.name,
      ]),
    );
  }

  async #until(look: () => boolean): Promise<void> {
    while (!look()) await new Promise<void>((resolve) => this.clock.after(TICK_MS / 2, resolve));
  }

  #lineOf(replica: () => Replica): Pick<Kube, 'list' | 'create' | 'patch' | 'delete'> {
    const through = async <T>(call: () => Promise<T>): Promise<T> => {
      const { cut } = replica();
      if (cut === 'refused') throw failure('kube.unreachable', { address: 'x', reason: 'cut' });
      if (cut === 'hanging')
        await new Promise<void>((_, reject) => {
          this.clock.after(30_000, () =>
            reject(failure('kube.unreachable', { address: 'x', reason: 'timed out' })),
          );
        });
      return call();
    };
    const { kube } = this;
    return {
      list: (options) => through(() => kube.list(options)),
      create: (name, object) => through(() => kube.create(name, object)),
      patch: (name, patch) => through(() => kube.patch(name, patch)),
      delete: (name, given) => through(() => kube.delete(name, given)),
    };
  }

  end(): void {
    for (const replica of this.replicas) replica.stop();
  }
}

const clusters: Cluster[] = [];
function cluster(): Cluster {
  const made = new Cluster();
  clusters.push(made);
  return made;
}
afterEach(() => {
  for (const one of clusters.splice(0)) one.end();
});

const everyKeyHasAnOwner = (world: Cluster): boolean =>
  [...world.ownersOf().values()].every((owner) => owner !== undefined);

test('one alone works on everything at once', async () => {
  const world = cluster();
  const replica = world.join();
  await world.pass(1);
  expect(KEYS.every((key) => replica.shards.owns(key))).toBe(true);
  expect(replica.shards.members).toBe(1);
});

test('all of three work, each on its own part, and are told what they gained', async () => {
  const world = cluster();
  let gained = 0;
  world.join().shards.onGain(() => gained++);
  world.join();
  world.join();
  await world.pass(15);
  expect(everyKeyHasAnOwner(world)).toBe(true);
  expect(new Set(world.ownersOf().values()).size).toBe(3);
  expect(gained).toBeGreaterThan(0);
  expect(world.kube.all('Lease')).toHaveLength(3);
  expect(world.kube.all('Lease')[0]?.['spec']).toMatchObject({ leaseDurationSeconds: 15 });
});

test('one that ends in order is followed within seconds, and one that is killed when its Lease is over', async () => {
  const world = cluster();
  const [first, second] = [world.join(), world.join(), world.join()];
  await world.pass(15);
  await world.leave(first as Replica);
  await world.pass(6);
  expect(everyKeyHasAnOwner(world)).toBe(true);
  world.kill(second as Replica);
  await world.pass(10);
  expect(everyKeyHasAnOwner(world)).toBe(false);
  await world.pass(10);
  expect(everyKeyHasAnOwner(world)).toBe(true);
});

test('one that is cut has stopped before another takes its part, and takes part again when it is back', async () => {
  const world = cluster();
  const [one, two] = [world.join(), world.join()];
  await world.pass(15);
  const lost = KEYS.find((key) => one.shards.owns(key)) ?? '';
  one.cut = 'refused';
  let stoppedAt = 0;
  for (let at = TICK_MS; !two.shards.owns(lost); at += TICK_MS) {
    await world.tick();
    if (stoppedAt === 0 && !one.shards.holds) stoppedAt = at;
    expect(at).toBeLessThan(25_000);
  }
  expect(stoppedAt).toBeGreaterThan(0);
  expect(one.shards.members).toBe(0);
  one.cut = 'no';
  await world.pass(20);
  expect(everyKeyHasAnOwner(world)).toBe(true);
  expect(new Set(world.ownersOf().values()).size).toBe(2);
});

test('one that comes waits until the others have ended what it takes from them', async () => {
  const world = cluster();
  const old = world.join();
  await world.pass(4);
  await world.tick(20);
  const late = world.join();
  await world.pass(5);
  expect(KEYS.some((key) => late.shards.owns(key))).toBe(false);
  expect(old.working.size).toBeGreaterThan(0);
  await world.pass(20);
  expect(everyKeyHasAnOwner(world)).toBe(true);
  expect(KEYS.some((key) => late.shards.owns(key))).toBe(true);
});

test('an API server that was away for a minute makes nobody look dead, and no key has two owners after', async () => {
  const world = cluster();
  const all = [world.join(), world.join(), world.join()];
  await world.pass(15);
  for (const replica of all) replica.cut = 'hanging';
  await world.pass(60);
  expect(all.some(({ shards }) => shards.holds)).toBe(false);
  for (const replica of all) replica.cut = 'no';
  // Requests that hang yet have to end first.
  await world.pass(75);
  expect(everyKeyHasAnOwner(world)).toBe(true);
  expect(new Set(world.ownersOf().values()).size).toBe(3);
});

test('a Lease that somebody deletes is lost at once, and Leases of the dead are cleared away', async () => {
  const world = cluster();
  const replica = world.join();
  await world.pass(4);
  const [lease] = world.kube.all('Lease');
  await world.kube.delete({ resource: LEASES, namespace: 'holdfast', name: lease?.metadata.name ?? '' });
  await world.pass(6);
  expect(KEYS.every((key) => replica.shards.owns(key))).toBe(true);
  const dead = world.join();
  await world.pass(6);
  world.kill(dead);
  await world.pass(90);
  expect(world.kube.all('Lease')).toHaveLength(1);
});

test('whatever is cut, killed, started and ended, no key ever has two owners, and all have one when it is over', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constantFrom('join', 'leave', 'kill', 'heal', 'slow'), at: fc.nat(9) }),
    fc.record({ do: fc.constantFrom('refused', 'hanging'), at: fc.nat(9) }),
    fc.record({ do: fc.constant('pass' as const), at: fc.integer({ min: 1, max: 40 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const world = cluster();
      world.join();
      for (const { do: what, at } of steps) {
        const alive = world.replicas.filter(({ stopped }) => !stopped);
        const one = alive[at % Math.max(1, alive.length)];
        if (what === 'join' && alive.length < 5) world.join();
        else if (what === 'pass') for (let i = 0; i < at; i++) await world.tick(at % 5);
        else if (what === 'slow') await world.tick(12);
        else if (one === undefined) continue;
        else if (what === 'leave' && one.cut === 'no') await world.leave(one);
        else if (what === 'kill') world.kill(one);
        else if (what === 'heal') one.cut = 'no';
        else if (what === 'refused' || what === 'hanging') one.cut = what;
      }
      for (const replica of world.replicas) if (!replica.stopped) replica.cut = 'no';
      if (world.replicas.every(({ stopped }) => stopped)) world.join();
      await world.pass(120);
      expect(everyKeyHasAnOwner(world)).toBe(true);
      world.end();
    }),
    { numRuns: 40 },
  );
}, 120_000);
