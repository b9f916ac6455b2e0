/** Passwords that change: by their schedule, after a time that nobody was there, and after a death at every point in between. */

import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Connect } from './driver.ts';
import { database } from './index.ts';

const HOUR = 3_600_000;

/** The world around the engine: each thing that is asked of it may be the last that the process does. */
class World {
  readonly accounts = new Map([
    ['keeper', 'first'],
    ['legacy', 'old'],
  ]);
  #left = Number.POSITIVE_INFINITY;
  #dead = false;
  up = true;

  /** @param steps how many more things happen */
  dieAfter(steps: number): void {
    this.#left = steps;
  }

  /** @returns whether it had died */
  revive(): boolean {
    const died = this.#dead;
    this.#dead = false;
    this.#left = Number.POSITIVE_INFINITY;
    return died;
  }

  #step(): void {
    if (this.#left-- <= 0) this.#dead = true;
    if (this.#dead) throw new Error('the process died');
  }

  readonly connect: Connect = (_target, login) => ({
    close: async () => {},
    transaction: async (work) => {
      if (!this.up || this.accounts.get(login.username) !== login.password)
        throw failure('database.connection', { reason: 'no' });
      const result = await work(async (statement) => {
        const change = /^ALTER ROLE "(.*)" WITH PASSWORD '(.*)'$/.exec(statement);
        if (change === null) return [];
        this.#step();
        this.accounts.set(change[1] ?? '', change[2] ?? '');
        this.#step();
        return [];
      });
      return result;
    },
  });

  readonly wrap = (storage: Storage): Storage => ({
    get: (key) => this.#alive(() => storage.get(key)),
    list: (prefix, page) => this.#alive(() => storage.list(prefix, page)),
    scan: (prefix, signal) => storage.scan(prefix, signal),
    commit: async (writes, checks) => {
      this.#step();
      const revision = await storage.commit(writes, checks);
      this.#step();
      return revision;
    },
  });

  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Error('the process died');
    return work();
  }
}

describe('a password that changes', () => {
  let world: World;
  let clock: ManualClock;
  let engine: TestMount;
  const role = { db_name: 'main', username: 'legacy', rotation_period: '1h' };
  const start = async (): Promise<void> => {
    world = new World();
    clock = new ManualClock(Date.parse('2026-06-01T00:00:00Z'));
    engine = mountForTest(database(world.connect), { wrap: world.wrap, clock });
    await engine.call('write', 'config/main', {
      plugin_name: 'postgresql-database-plugin',
      connection_url: 'postgresql://{{username}}:{{password}}@db/app',
      allowed_roles: '*',
      username: 'keeper',
      password: 'first',
    });
  };
  const creds = async () => (await engine.call('read', 'static-creds/app')).data;
  const tick = () => engine.plugin.tick?.();
  beforeEach(start);

  it('holds, and is told, after a death at any point of a rotation', async () => {
    let points = 0;
    for (let died = true; died; points++) {
      await start();
      await engine.call('write', 'static-roles/app', role);
      const before = world.accounts.get('legacy');
      world.dieAfter(points);
      await engine.call('write', 'rotate-role/app').catch(() => {});
      died = world.revive();
      engine.restart();
      await tick();
      expect((await creds()).password).toBe(world.accounts.get('legacy'));
      if (points > 1) expect(world.accounts.get('legacy')).not.toBe(before);
      await engine.call('write', 'rotate-role/app');
      expect((await creds()).password).toBe(world.accounts.get('legacy'));
    }
    // Before and after it is noted, set and kept, and once without a death.
    expect(points).toBe(7);
  });

  it('is one that is kept, or not taken over at all, after a death at any point of taking over', async () => {
    let points = 0;
    for (let died = true; died; points++) {
      await start();
      world.dieAfter(points);
      await engine.call('write', 'static-roles/app', role).catch(() => {});
      died = world.revive();
      engine.restart();
      await tick();
      const kept = await engine.call('read', 'static-creds/app').catch(() => undefined);
      if (kept === undefined) expect(world.accounts.get('legacy')).toBe('old');
      else expect(kept.data.password).toBe(world.accounts.get('legacy'));
    }
    expect(points).toBe(9);
  });

  it('of the engine itself opens the database after a death at any point', async () => {
    let points = 0;
    for (let died = true; died; points++) {
      await start();
      world.dieAfter(points);
      await engine.call('write', 'rotate-root/main').catch(() => {});
      died = world.revive();
      engine.restart();
      await engine.call('write', 'static-roles/app', role);
      expect((await creds()).password).toBe(world.accounts.get('legacy'));
      expect((await engine.call('write', 'rotate-root/main')).status).toBe(204);
    }
    expect(points).toBe(7);
  });

  it('is not noted a second time over one that may hold, while the database is down', async () => {
    await engine.call('write', 'static-roles/app', role);
    world.dieAfter(4);
    await engine.call('write', 'rotate-role/app').catch(() => {});
    world.revive();
    engine.restart();
    world.up = false;
    const { data, warnings } = await engine.call('read', 'static-creds/app');
    expect(warnings).toEqual([expect.stringContaining('may be another by now')]);
    expect(data.password).not.toBe(world.accounts.get('legacy'));
    await tick();
    world.up = true;
    clock.advance(60_000);
    await tick();
    expect(await creds()).toMatchObject({ password: world.accounts.get('legacy') });
  });

  it('changes by its schedule, and tells when', async () => {
    const scheduled = {
      db_name: 'main',
      username: 'legacy',
      rotation_schedule: '0 3 * * SAT',
      rotation_window: '2h',
    };
    expect((await engine.call('write', 'static-roles/app', scheduled)).status).toBe(204);
    expect((await engine.call('read', 'static-roles/app')).data).toEqual({
      db_name: 'main',
      username: 'legacy',
      rotation_schedule: '0 3 * * SAT',
      rotation_window: 7200,
      rotation_statements: [],
      credential_type: 'password',
      last_vault_rotation: '2026-06-01T00:00:00.000Z',
    });
    const first = await creds();
    expect(first).toEqual({
      username: 'legacy',
      password: world.accounts.get('legacy'),
      ttl: (5 * 24 + 3) * 3600,
      rotation_schedule: '0 3 * * SAT',
      rotation_window: 7200,
      last_vault_rotation: '2026-06-01T00:00:00.000Z',
    });
    await tick();
    clock.advance((5 * 24 + 3) * HOUR - 1000);
    await tick();
    expect(world.accounts.get('legacy')).toBe(first.password);
    clock.advance(61_000);
    await tick();
    expect(world.accounts.get('legacy')).not.toBe(first.password);
    expect(await creds()).toMatchObject({ password: world.accounts.get('legacy') });
  });

  it.each([
    ['that was missed changes at once', { rotation_period: '1h' }, 90 * 24, true],
    ['whose schedule was missed changes at once', { rotation_schedule: '0 3 * * *' }, 90 * 24 + 8, true],
    [
      'whose window has closed waits',
      { rotation_schedule: '0 3 * * *', rotation_window: '1h' },
      90 * 24 + 8,
      false,
    ],
    [
      'whose window is open changes at once',
      { rotation_schedule: '0 3 * * *', rotation_window: '6h' },
      90 * 24 + 8,
      true,
    ],
  ])('after a long time that nobody was there, one %s', async (_, timing, hours, changes) => {
    await engine.call('write', 'static-roles/app', { db_name: 'main', username: 'legacy', ...timing });
    const before = world.accounts.get('legacy');
    clock.advance(hours * HOUR);
    engine.restart();
    await tick();
    expect(world.accounts.get('legacy') !== before).toBe(changes);
  });

  it.each([
    [{}, 'one of rotation_schedule or rotation_period must be provided to create a static account'],
    [{ rotation_period: '1h', rotation_schedule: '0 3 * * *' }, 'mutually exclusive fields'],
    [
      { rotation_period: '1h', rotation_window: '1h' },
      'rotation_window is invalid with use of rotation_period',
    ],
    [
      { rotation_schedule: '0 3 * * *', rotation_window: '59m' },
      'rotation_window must be 3600 seconds or more',
    ],
    [{ rotation_schedule: '0 0 31 2 *' }, 'could not parse rotation_schedule'],
  ])('is refused with %j: %s', async (timing, reason) => {
    const given = { db_name: 'main', username: 'legacy', ...timing };
    await expect(engine.call('write', 'static-roles/app', given)).rejects.toThrow(reason);
    expect(world.accounts.get('legacy')).toBe('old');
  });

  it('may change from a period to a schedule and back', async () => {
    await engine.call('write', 'static-roles/app', role);
    const password = world.accounts.get('legacy');
    await engine.call('write', 'static-roles/app', { rotation_schedule: '0 3 * * *' });
    expect(await creds()).toMatchObject({ ttl: 3 * 3600, rotation_window: 0 });
    await engine.call('write', 'static-roles/app', { rotation_window: '1h' });
    expect(await creds()).toMatchObject({ rotation_schedule: '0 3 * * *', rotation_window: 3600 });
    await engine.call('write', 'static-roles/app', { rotation_period: '2h' });
    const shown = await creds();
    expect(shown).toMatchObject({ ttl: 7200, rotation_period: 7200, password });
    expect(shown).not.toHaveProperty('rotation_schedule');
    await engine.call('write', 'static-roles/app', { rotation_statements: ['x'] });
    expect(await creds()).toMatchObject({ rotation_period: 7200 });
  });
});
