import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { isFailure } from '../../base/errors.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { decode } from '../auth/records.ts';
import { checkCustomMetadata, checkMetadata } from './limits.ts';
import { type Entity, type Group, keys } from './records.ts';
import { IdentityStore } from './store.ts';

const mount = (accessor: string) => ({ accessor, path: `auth/${accessor}/`, type: 'x', local: false });
const MOUNTS = ['auth_x_1', 'auth_x_2'];

function opened(backend = new MemoryBackend()) {
  const store = new IdentityStore({
    storage: backend,
    clock: new ManualClock(),
    mountOf: (accessor) => (MOUNTS.includes(accessor) ? mount(accessor) : undefined),
  });
  return { store, backend };
}

async function contents(backend: MemoryBackend): Promise<Map<string, unknown>> {
  const all = new Map<string, unknown>();
  for await (const { key, value } of backend.scan('', new AbortController().signal))
    all.set(key, decode(key, value));
  return all;
}

/** Every index that the records call for, and no other entry: what must hold after each commit. */
function assertWhole(all: ReadonlyMap<string, unknown>): void {
  const values = <T>(prefix: string): T[] =>
    [...all].filter(([key]) => key.startsWith(prefix)).map(([, value]) => value as T);
  const expected = new Map<string, unknown>();
  const entities = values<Entity>(keys.entities);
  const groups = values<Group>(keys.groups);
  for (const entity of entities) {
    expected.set(keys.entity(entity.id), entity);
    expected.set(keys.entityName(entity.name), entity.id);
    for (const alias of entity.aliases) {
      expected.set(keys.alias(alias.mountAccessor, alias.name), entity.id);
      expected.set(keys.aliasId(alias.id), entity.id);
      expected.set(keys.mountAlias(alias.mountAccessor, alias.id), entity.id);
    }
    for (const merged of entity.merged) expected.set(keys.merged(merged), entity.id);
    const memberships = all.get(keys.memberships(entity.id)) as string[] | undefined;
    if (memberships !== undefined) expected.set(keys.memberships(entity.id), memberships);
    for (const group of memberships ?? []) {
      expect(all.has(keys.group(group))).toBe(true);
      expected.set(keys.member(group, entity.id), '');
    }
    expect(new Set(entity.aliases.map((alias) => alias.mountAccessor)).size).toBe(entity.aliases.length);
  }
  for (const group of groups) {
    expected.set(keys.group(group.id), group);
    expected.set(keys.groupName(group.name), group.id);
    for (const parent of group.parents) {
      expect(all.has(keys.group(parent))).toBe(true);
      expected.set(keys.child(parent, group.id), '');
    }
    if (group.alias !== undefined) {
      const { mountAccessor, name, id } = group.alias;
      expected.set(keys.groupAlias(mountAccessor, name), group.id);
      expected.set(keys.groupAliasId(id), group.id);
      expected.set(keys.mountGroupAlias(mountAccessor, id), group.id);
    }
  }
  expect(Object.fromEntries([...all].sort())).toEqual(Object.fromEntries([...expected].sort()));
  // No circle: from every group, the way up ends.
  const byId = new Map(groups.map((group) => [group.id, group]));
  const climb = (id: string, seen: readonly string[]): void => {
    expect(seen).not.toContain(id);
    for (const parent of byId.get(id)?.parents ?? []) climb(parent, [...seen, id]);
  };
  for (const { id } of groups) climb(id, []);
}

const names = fc.constantFrom('a', 'B', 'b', 'ä', 'a/b', '');
const nth = fc.nat(5);
const deed = fc.oneof(
  fc.record({
    kind: fc.constant('login' as const),
    name: fc.constantFrom('u', 'U', 'v', 'w'),
    at: fc.nat(1),
    groups: fc.subarray(['x', 'y']),
  }),
  fc.record({ kind: fc.constant('entity' as const), name: names, policies: fc.subarray(['p', 'q']) }),
  fc.record({ kind: fc.constant('rename' as const), who: nth, name: names }),
  fc.record({ kind: fc.constant('delete' as const), who: nth }),
  fc.record({ kind: fc.constant('merge' as const), who: nth, into: nth }),
  fc.record({
    kind: fc.constant('alias' as const),
    who: nth,
    name: fc.constantFrom('u', 'v', 'z'),
    at: fc.nat(1),
  }),
  fc.record({
    kind: fc.constant('move' as const),
    which: nth,
    who: nth,
    name: fc.constantFrom('', 'u', 'z'),
  }),
  fc.record({ kind: fc.constant('unalias' as const), which: nth }),
  fc.record({
    kind: fc.constant('group' as const),
    name: names,
    members: fc.array(nth, { maxLength: 3 }),
    children: fc.array(nth, { maxLength: 2 }),
  }),
  fc.record({ kind: fc.constant('external' as const), name: fc.constantFrom('x', 'y'), at: fc.nat(1) }),
  fc.record({ kind: fc.constant('ungroup' as const), which: nth }),
  fc.record({ kind: fc.constant('unmount' as const), at: fc.nat(1) }),
);
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

async function run(store: IdentityStore, done: Deed): Promise<void> {
  const ids = async <T extends { id: string }>(from: AsyncIterable<T>): Promise<string[]> => {
    const found: string[] = [];
    for await (const { id } of from) found.push(id);
    return found;
  };
  const entity = async (at: number): Promise<string> => (await ids(store.entities.all()))[at] ?? 'none';
  const group = async (at: number): Promise<string> => (await ids(store.groups.all()))[at] ?? 'none';
  const alias = async (at: number): Promise<string> => {
    const all: string[] = [];
    for await (const { aliases } of store.entities.all()) all.push(...aliases.map(({ id }) => id));
    return all[at] ?? 'none';
  };
  const accessor = MOUNTS['at' in done ? done.at : 0] ?? '';
  switch (done.kind) {
    case 'login':
      await store.login({ name: done.name, metadata: {}, groups: done.groups, mount: mount(accessor) });
      return;
    case 'entity':
      await store.entities.write({ name: done.name, policies: done.policies });
      return;
    case 'rename':
      await store.entities.write({ id: await entity(done.who), name: done.name });
      return;
    case 'delete':
      await store.entities.delete({ id: await entity(done.who) });
      return;
    case 'merge':
      await store.merge({
        to: await entity(done.into),
        from: [await entity(done.who)],
        keep: [await alias(0)],
      });
      return;
    case 'alias':
      await store.writeAlias({
        name: done.name,
        mountAccessor: accessor,
        canonicalId: await entity(done.who),
      });
      return;
    case 'move':
      await store.writeAlias({
        id: await alias(done.which),
        name: done.name,
        canonicalId: await entity(done.who),
      });
      return;
    case 'unalias':
      await store.entities.deleteAlias(await alias(done.which));
      return;
    case 'group':
      await store.groups.write({
        ...(done.name === '' ? {} : { name: done.name }),
        memberEntityIds: await Promise.all(done.members.map(entity)),
        memberGroupIds: await Promise.all(done.children.map(group)),
      });
      return;
    case 'external':
      await store.writeGroupAlias({ name: done.name, mountAccessor: accessor });
      return;
    case 'ungroup':
      await store.groups.delete({ id: await group(done.which) });
      return;
    case 'unmount':
      await store.forgetMount(accessor);
  }
}

const ofCaller = (error: unknown): void => {
  if (!isFailure(error) || error.kind !== 'invalid') throw error;
};

describe('the records of identity', () => {
  it('and their indices agree after any sequence of changes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(deed, { maxLength: 30 }), async (deeds) => {
        const { store, backend } = opened();
        for (const done of deeds) {
          await run(store, done).catch(ofCaller);
          assertWhole(await contents(backend));
        }
      }),
      { numRuns: 80 },
    );
  }, 60_000);

  it('and their indices agree after any changes at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(deed, { maxLength: 8 }), { maxLength: 5 }), async (rounds) => {
        const { store, backend } = opened();
        for (const deeds of rounds) {
          await Promise.all(deeds.map((done) => run(store, done).catch(ofCaller)));
          assertWhole(await contents(backend));
        }
      }),
      { numRuns: 80 },
    );
  }, 60_000);

  it('keep nothing of memberships of an entity that a login took out of its last group, once it is deleted', async () => {
    const { store, backend } = opened();
    const deeds: Parameters<typeof run>[1][] = [
      { kind: 'external', name: 'x', at: 0 },
      { kind: 'login', name: 'u', at: 0, groups: ['x'] },
      { kind: 'login', name: 'u', at: 0, groups: [] },
      { kind: 'delete', who: 0 },
    ];
    for (const done of deeds) {
      await run(store, done);
      assertWhole(await contents(backend));
    }
  });

  it('of a group that goes take those with them who join meanwhile', async () => {
    const { store, backend } = opened();
    await store.writeGroupAlias({ name: 'x', mountAccessor: 'auth_x_1' });
    const [first, second] = ['u', 'v'].map((name) => ({
      name,
      metadata: {},
      groups: ['x'],
      mount: mount('auth_x_1'),
    }));
    if (first === undefined || second === undefined) throw new Error('two names make two logins');
    const { id } = await store.login(first);
    const [group] = (await store.resolve(id))?.direct ?? [];
    const { list } = backend;
    let late: Promise<unknown> | undefined;
    backend.list = async (folder, page) => {
      const found = await list.call(backend, folder, page);
      late ??= store.login(second);
      // All the time that it takes to join, were joining not to wait.
      for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
      return found;
    };
    await store.groups.delete({ id: group?.id ?? '' });
    await late;
    expect((await contents(backend)).size).toBeGreaterThan(0);
    assertWhole(await contents(backend));
  });

  it('are the old ones or the new ones where a commit fails, and what follows reads the store again', async () => {
    const { store, backend } = opened();
    const { id } = await store.login({ name: 'u', metadata: {}, groups: [], mount: mount('auth_x_1') });
    const { commit } = backend;
    backend.commit = async (writes, checks) => {
      await commit.call(backend, writes, checks);
      throw new Error('the answer of the medium was lost');
    };
    await expect(store.entities.write({ id, policies: ['p'] })).rejects.toThrow('lost');
    backend.commit = commit;
    expect((await store.resolve(id))?.policies).toEqual(['p']);
    assertWhole(await contents(backend));
  });

  it('of a group with a thousand members are written one by one when somebody joins', async () => {
    const { store, backend } = opened();
    const ids: string[] = [];
    for (let at = 0; at < 1000; at++)
      ids.push(
        (await store.login({ name: `u${at}`, metadata: {}, groups: [], mount: mount('auth_x_1') })).id,
      );
    await store.writeGroupAlias({ name: 'all', mountAccessor: 'auth_x_1' });
    for (let at = 0; at < 999; at++)
      await store.login({ name: `u${at}`, metadata: {}, groups: ['all'], mount: mount('auth_x_1') });
    const { commit } = backend;
    const sizes: number[] = [];
    backend.commit = (writes, checks) => {
      sizes.push(
        writes.reduce(
          (sum, write) => sum + write.key.length + ('value' in write ? write.value.length : 0),
          0,
        ),
      );
      return commit.call(backend, writes, checks);
    };
    await store.login({ name: 'u999', metadata: {}, groups: ['all'], mount: mount('auth_x_1') });
    expect(sizes).toHaveLength(1);
    expect(sizes[0]).toBeLessThan(512);
    const [group] = (await store.resolve(ids[999] ?? ''))?.direct ?? [];
    expect((await store.groups.members(group?.id ?? '')).entities).toHaveLength(1000);
  });
});

describe('metadata', () => {
  const many = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));

  it.each([
    ['64 pairs', many(64), undefined],
    ['65 pairs', many(65), 'metadata cannot contain more than 64 key/value pairs'],
    ['a key of 128 bytes', { ['k'.repeat(128)]: 'v' }, undefined],
    ['a key of 129 bytes', { ['k'.repeat(129)]: 'v' }, 'key is too long (limit: 128 characters)'],
    ['a value of 512 bytes', { k: 'v'.repeat(512) }, undefined],
    ['a value of 513 bytes', { k: 'v'.repeat(513) }, 'value is too long (limit: 512 characters)'],
    ['a blank key', { '': 'v' }, 'key cannot be blank'],
    ['a key with a space', { 'a b': 'v' }, 'key contains invalid characters'],
    ['a key of the server', { 'vault-x': 'v' }, 'key prefix "vault-" is reserved for internal use'],
    ['an empty value', { k: '' }, undefined],
  ])('with %s is told apart', (_, metadata, reason) => {
    const check = () => checkMetadata('entity', metadata);
    if (reason === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(reason);
  });

  it('that operators write is bounded as well, and its values are never told', () => {
    expect(() => checkCustomMetadata({ k: 'v' })).not.toThrow();
    for (const bad of [
      many(65),
      { k: '' },
      { '': 'v' },
      { k: 'a\nb' },
      { 'a\u0000': 'v' },
      { k: 'v'.repeat(513) },
    ])
      expect(() => checkCustomMetadata(bad)).toThrow('custom_metadata validation failed');
    for (const check of [checkCustomMetadata, (all: Record<string, string>) => checkMetadata('entity', all)])
      expect(() => check({ k: `canary${'v'.repeat(513)}` })).toThrow(/^(?!.*canary)/);
  });
});
