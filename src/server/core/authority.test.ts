import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { parsePath } from '../../base/path.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { prefixed } from '../../storage/prefixed.ts';
import { compileAcl } from '../auth/matcher.ts';
import { parsePolicy } from '../auth/policy.ts';
import type { Identity } from '../auth/template.ts';
import { IdentityStore } from '../identity/store.ts';
import { authorityOf } from './authority.ts';
import { PolicyStore } from './policies.ts';

const MOUNT = { accessor: 'auth_x_00000000', path: 'auth/x/', type: 'x', local: false };
const PLACES = ['a', 'b', 'c', 'blue', 'red', 'x'];
const PATHS = [...PLACES.map((place) => parsePath(`kv/${place}/s`)), parsePath('kv/s')];

function opened() {
  const backend = new MemoryBackend();
  return {
    identity: new IdentityStore({
      storage: prefixed(backend, 'identity/'),
      clock: new ManualClock(),
      mountOf: (accessor) => (accessor === MOUNT.accessor ? MOUNT : undefined),
    }),
    policies: new PolicyStore(prefixed(backend, 'sys/')),
    backend,
  };
}

const PATTERNS = [
  'kv/{{identity.entity.name}}/*',
  'kv/{{identity.entity.metadata.team}}/*',
  `kv/{{identity.entity.aliases.${MOUNT.accessor}.metadata.team}}/*`,
  'kv/{{identity.groups.names.g0.metadata.team}}/*',
  'kv/x/*',
  'kv/+',
];
const policyText = (patterns: readonly number[], deny: boolean): string =>
  patterns.map((at) => `path "${PATTERNS[at]}" { capabilities = ["${deny ? 'deny' : 'read'}"] }`).join('\n');

/** What happens to a server, in an order that nobody foresees. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('policy' as const),
    name: fc.constantFrom('p', 'q'),
    patterns: fc.uniqueArray(fc.nat(PATTERNS.length - 1), { minLength: 1, maxLength: 3 }),
    deny: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('unpolicy' as const), name: fc.constantFrom('p', 'q') }),
  fc.record({
    kind: fc.constant('entity' as const),
    who: fc.nat(2),
    name: fc.constantFrom('a', 'b', 'c'),
    team: fc.constantFrom('blue', 'red', '*', 'blue/x'),
    policies: fc.subarray(['p', 'q', 'none']),
    disabled: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('login' as const),
    who: fc.nat(2),
    team: fc.constantFrom('blue', 'red', '+'),
    groups: fc.subarray(['ext']),
  }),
  fc.record({
    kind: fc.constant('group' as const),
    name: fc.constantFrom('g0', 'g1', 'g2'),
    policies: fc.subarray(['p', 'q']),
    members: fc.subarray([0, 1, 2]),
    children: fc.subarray(['g0', 'g1', 'g2']),
    team: fc.constantFrom('blue', 'red'),
  }),
  fc.record({ kind: fc.constant('ungroup' as const), name: fc.constantFrom('g0', 'g1', 'g2', 'external') }),
  fc.record({ kind: fc.constant('delete' as const), who: fc.nat(2) }),
  fc.record({ kind: fc.constant('merge' as const), who: fc.nat(2), into: fc.nat(2) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

type World = ReturnType<typeof opened>;

/** The token's entity for each of the three callers; it stays when the entity is merged or deleted. */
async function apply({ identity, policies }: World, entities: string[], done: Step): Promise<void> {
  const ignore = (): undefined => undefined;
  switch (done.kind) {
    case 'policy':
      await policies.write(done.name, policyText(done.patterns, done.deny));
      return;
    case 'unpolicy':
      await policies.delete(done.name);
      return;
    case 'entity': {
      const { name, team, policies: given, disabled } = done;
      const id = entities[done.who] ?? '';
      await identity.entities
        .write({ id, name, metadata: { team }, policies: given, disabled })
        .catch(ignore);
      return;
    }
    case 'login': {
      const { team, groups } = done;
      const metadata = { team };
      await identity.login({ name: `n${done.who}`, metadata, groups, mount: MOUNT }).catch(ignore);
      return;
    }
    case 'group': {
      const { name, policies: given, team } = done;
      const ids = await Promise.all(
        done.children.map(async (child) => (await identity.groups.byName(child))?.id),
      );
      const memberEntityIds = done.members.map((who) => entities[who] ?? '');
      const memberGroupIds = ids.filter((id) => id !== undefined);
      await identity.groups
        .write({ name, policies: given, metadata: { team }, memberEntityIds, memberGroupIds })
        .catch(ignore);
      return;
    }
    case 'ungroup':
      await identity.groups.delete({ name: done.name });
      return;
    case 'delete':
      await identity.entities.delete({ id: entities[done.who] ?? '' });
      return;
    case 'merge': {
      const [to = '', from = ''] = [entities[done.into], entities[done.who]];
      await identity.merge({ to, from: [from], keep: [] }).catch(ignore);
    }
  }
}

/** The same, worked out from the store alone by somebody who remembers nothing. */
async function fresh({ backend }: World, entityId: string): Promise<string> {
  const { identity, policies } = { ...opened(), ...reopened(backend) };
  const resolved = await identity.resolve(entityId);
  if (resolved === undefined) return 'gone';
  if (resolved.entity.disabled) return 'disabled';
  const names = [...new Set(['p', ...resolved.policies])].sort();
  const texts = await Promise.all(names.map(async (name) => ({ name, text: await policies.text(name) })));
  const parsed = texts.flatMap(({ name, text }) => (text === undefined ? [] : [parsePolicy(name, text)]));
  return told(compileAcl(parsed, resolved.identity as Identity));
}

function reopened(backend: MemoryBackend) {
  return {
    identity: new IdentityStore({
      storage: prefixed(backend, 'identity/'),
      clock: new ManualClock(),
      mountOf: () => undefined,
    }),
    policies: new PolicyStore(prefixed(backend, 'sys/')),
  };
}

const told = (acl: ReturnType<typeof compileAcl>): string =>
  PATHS.map((path) => `${path.text}:${acl.capabilities(path).join('+')}`).join(' ');

async function remembered(world: World, token: Parameters<typeof authorityOf>[1]): Promise<string> {
  try {
    return told((await authorityOf(world, token)).acl);
  } catch (error) {
    const { code } = error as { code: string };
    return code === 'identity.disabled' ? 'disabled' : code === 'request.denied' ? 'gone' : code;
  }
}

describe('what a token may do', () => {
  it('is at every moment what the store says, for every caller, whatever was asked and remembered before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
        const world = opened();
        const entities: string[] = [];
        for (const who of [0, 1, 2])
          entities.push(
            (await world.identity.login({ name: `n${who}`, metadata: {}, groups: [], mount: MOUNT })).id,
          );
        const { group } = await world.identity.groups.write({
          name: 'external',
          type: 'external',
          policies: ['q'],
        });
        await world.identity.writeGroupAlias({
          name: 'ext',
          mountAccessor: MOUNT.accessor,
          canonicalId: group.id,
        });
        // Something to lose from the first step on: templates that fit, and a group that gives.
        await world.policies.write('p', policyText([0, 1, 2, 3], false));
        await world.policies.write('q', policyText([4], false));
        for (const [who, name] of ['a', 'b', 'c'].entries())
          await world.identity.entities.write({ id: entities[who] ?? '', name, metadata: { team: 'red' } });
        await world.identity.groups.write({ name: 'g0', policies: ['q'], memberEntityIds: entities });
        const tokens = entities.map((entityId) => ({ policies: ['p'], entityId }));
        for (const token of tokens) await remembered(world, token);
        for (const done of steps) {
          await apply(world, entities, done);
          for (const token of tokens) {
            const expected = await fresh(world, token.entityId);
            expect([done.kind, await remembered(world, token)]).toEqual([done.kind, expected]);
            // Once more, now surely from memory.
            expect(await remembered(world, token)).toBe(expected);
          }
        }
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  it('is of the very record of the token: a copy with other policies has those', async () => {
    const world = opened();
    await world.policies.write('p', policyText([4], false));
    await world.policies.write('q', policyText([4], true));
    const token = { policies: ['p'], entityId: '' };
    const may = async (one: typeof token) => told((await authorityOf(world, one)).acl);
    const before = await may(token);
    expect(await may({ ...token, policies: ['q'] })).not.toBe(before);
    expect(await may({ ...token })).toBe(before);
  });

  it('is what was compiled for another caller only where no template tells the two apart', async () => {
    const world = opened();
    await world.policies.write('own', 'path "kv/{{identity.entity.name}}/*" { capabilities = ["read"] }');
    await world.policies.write('all', 'path "kv/x/*" { capabilities = ["read"] }');
    const of = (name: string): Identity => ({ entity: { id: name, name, metadata: {}, aliases: [] } });
    const acl = (policy: string, name: string) => world.policies.acl([policy], of(name));
    expect(await acl('all', 'a')).toBe(await acl('all', 'b'));
    expect(await acl('own', 'a')).toBe(await acl('own', 'a'));
    expect(await acl('own', 'a')).not.toBe(await acl('own', 'b'));
    expect(await world.policies.acl(['own'])).not.toBe(await acl('own', 'a'));
    const before = await acl('own', 'a');
    await world.policies.write('own', 'path "kv/{{identity.entity.id}}/*" { capabilities = ["list"] }');
    expect(await acl('own', 'a')).not.toBe(before);
  });
});
