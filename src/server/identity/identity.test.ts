import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parsePath } from '../../base/path.ts';
import { kv } from '../../engines/kv/index.ts';
import { userpass } from '../../methods/userpass/index.ts';
import { type Grant, operation, type PluginType } from '../../plugin/plugin.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { subscribe } from '../core/subscribe.ts';
import { startServer, type TestReply, type TestServer } from '../testing.ts';

const params = {
  ttlMs: 0,
  maxTtlMs: 0,
  explicitMaxTtlMs: 0,
  periodMs: 0,
  uses: 0,
  type: 'default',
  noDefaultPolicy: false,
  boundCidrs: [],
  renewable: true,
} as const;

/** What the directory says when a token of it is renewed. */
let renewedGroups: readonly string[] | undefined;

/** A method that believes whoever asks: name, metadata and groups are what the request says. */
const directory: PluginType = {
  name: 'directory',
  kind: 'auth',
  create: () => ({
    routes: [
      {
        path: 'login',
        access: 'public',
        operations: {
          write: operation({
            summary: 'Log in.',
            input: z.object({
              name: z.string(),
              groups: z.array(z.string()).optional(),
              metadata: z.record(z.string(), z.string()).optional(),
              policies: z.array(z.string()).default([]),
              type: z.enum(['default', 'batch']).default('default'),
            }),
            output: z.object({}),
            effect: 'write',
            run: async ({ name, groups, metadata, policies, type }): Promise<{ auth: Grant }> => ({
              auth: {
                displayName: name,
                policies,
                metadata: {},
                alias: { name, ...(metadata === undefined ? {} : { metadata }) },
                ...(groups === undefined ? {} : { groups }),
                token: { ...params, type },
              },
            }),
          }),
        },
      },
    ],
    renewLogin: async () => ({
      ...params,
      ...(renewedGroups === undefined ? {} : { groups: renewedGroups }),
    }),
  }),
};

let server: TestServer;
let backend: MemoryBackend;
let accessor: string;

const root = (method: string, path: string, body?: unknown): Promise<TestReply> =>
  server.ask(method, path, body);
const as = (token: string, method: string, path: string, body?: unknown): Promise<TestReply> =>
  server.ask(method, path, body, { 'x-vault-token': token });
const identity = (path: string, body: unknown): Promise<TestReply> => root('POST', `identity/${path}`, body);
const accessorOf = async (path: string): Promise<string> =>
  (await root('GET', `sys/auth/${path}`)).json.data.accessor;

interface Session {
  readonly token: string;
  readonly entity: string;
  readonly auth: Record<string, unknown>;
}

async function login(name: string, more: object = {}, mount = 'dir'): Promise<Session> {
  const reply = await root('POST', `auth/${mount}/login`, { name, ...more });
  expect([reply.status, reply.json.errors]).toEqual([200, undefined]);
  const { auth } = reply.json;
  return { token: auth.client_token, entity: auth.entity_id, auth };
}

const policy = async (name: string, text: string): Promise<void> => {
  expect((await root('PUT', `sys/policies/acl/${name}`, { policy: text })).status).toBe(204);
};
const reads = async (token: string, path: string): Promise<boolean> => {
  const { status } = await as(token, 'GET', path);
  expect([200, 404, 403]).toContain(status);
  return status !== 403;
};
const made = async (path: string, body: object): Promise<string> => {
  const reply = await identity(path, body);
  expect([reply.status, reply.json?.errors]).toEqual([200, undefined]);
  return reply.json.data.id;
};

beforeEach(async () => {
  renewedGroups = undefined;
  backend = new MemoryBackend();
  server = await startServer([kv, userpass, directory], { backend });
  await root('POST', 'sys/mounts/kv', { type: 'kv' });
  await root('POST', 'sys/auth/dir', { type: 'directory' });
  accessor = await accessorOf('dir');
  await policy('team', 'path "kv/team/*" { capabilities = ["read", "list"] }');
  await policy('top', 'path "kv/top/*" { capabilities = ["read"] }');
});
afterEach(() => server.close());

describe('a login', () => {
  it('makes an entity the first time and finds it ever after, whatever the case of the name', async () => {
    const first = await login('alice', { metadata: { mail: 'a@example.org' } });
    expect(first.entity).toMatch(/^[0-9a-f-]{36}$/);
    expect((await login('ALICE', { metadata: { mail: 'a@example.org' } })).entity).toBe(first.entity);
    expect((await login('bob')).entity).not.toBe(first.entity);

    const { data } = (await root('GET', `identity/entity/id/${first.entity}`)).json;
    expect(data).toMatchObject({
      id: first.entity,
      name: expect.stringMatching(/^entity_[0-9a-f]{8}$/),
      metadata: null,
      merged_entity_ids: null,
      policies: [],
      disabled: false,
      namespace_id: 'root',
      direct_group_ids: [],
      inherited_group_ids: [],
      group_ids: [],
    });
    expect(data.aliases).toEqual([
      {
        id: expect.any(String),
        canonical_id: first.entity,
        mount_accessor: accessor,
        mount_path: 'auth/dir/',
        mount_type: 'directory',
        name: 'alice',
        metadata: { mail: 'a@example.org' },
        custom_metadata: null,
        merged_from_canonical_ids: null,
        local: false,
        creation_time: expect.any(String),
        last_update_time: expect.any(String),
      },
    ]);
  });

  it('writes nothing of the identity where nothing changed, and takes over what the method says anew', async () => {
    const { entity } = await login('alice', { metadata: { team: 'a' } });
    const before = (await root('GET', `identity/entity/id/${entity}`)).json.data.aliases;
    const commits: (readonly { key: string }[])[] = [];
    const { commit } = backend;
    backend.commit = (writes, checks) => {
      commits.push(writes);
      return commit.call(backend, writes, checks);
    };
    await login('alice', { metadata: { team: 'a' } });
    const names = commits.flat().map(({ key }) => key);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => name.includes('identity'))).toEqual([]);
    backend.commit = commit;

    await login('alice', { metadata: { team: 'b' } });
    const after = (await root('GET', `identity/entity/id/${entity}`)).json.data.aliases;
    expect([before[0].metadata, after[0].metadata]).toEqual([{ team: 'a' }, { team: 'b' }]);
    expect(after[0].id).toBe(before[0].id);
  });

  it('makes one entity when many first logins of one name come at once', async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => login('crowd')));
    expect(new Set(sessions.map(({ entity }) => entity)).size).toBe(1);
    expect((await root('LIST', 'identity/entity/id')).json.data.keys).toHaveLength(1);
    expect((await root('LIST', 'identity/entity-alias/id')).json.data.keys).toHaveLength(1);
  });

  it('is somebody else at another mount, until the aliases are of one entity', async () => {
    await root('POST', 'sys/auth/other', { type: 'directory' });
    const here = await login('alice');
    const there = await login('alice', {}, 'other');
    expect(there.entity).not.toBe(here.entity);
    await identity(`entity/id/${here.entity}`, { policies: 'team' });
    expect([await reads(here.token, 'kv/team/x'), await reads(there.token, 'kv/team/x')]).toEqual([
      true,
      false,
    ]);

    expect(
      (await identity('entity/merge', { to_entity_id: here.entity, from_entity_ids: there.entity })).status,
    ).toBe(204);
    expect(await reads(there.token, 'kv/team/x')).toBe(true);
    expect((await login('alice', {}, 'other')).entity).toBe(here.entity);
  });

  it('is refused in one way while the entity is disabled, and so is every token of it', async () => {
    const { token, entity } = await login('alice', { policies: ['team'] });
    const child = (await as(token, 'POST', 'auth/token/create', {})).status;
    expect(child).toBe(403);
    await identity(`entity/id/${entity}`, { disabled: true });
    for (const reply of [
      await root('POST', 'auth/dir/login', { name: 'alice' }),
      await as(token, 'GET', 'kv/team/x'),
      await as(token, 'GET', 'auth/token/lookup-self'),
    ]) {
      expect([reply.status, reply.json.errors]).toEqual([403, ['permission denied']]);
      expect(reply.headers.get('x-holdfast-code')).toBe('identity.disabled');
    }
    await identity(`entity/id/${entity}`, { disabled: false });
    expect(await reads(token, 'kv/team/x')).toBe(true);
  });

  it('tells token policies and identity policies apart, in the login, the lookup, the renewal and the trail', async () => {
    const { entity } = await login('alice');
    await identity(`entity/id/${entity}`, { policies: ['Team', 'default'] });
    const { token, auth } = await login('alice', { policies: ['top'] });
    const told = {
      policies: ['default', 'team', 'top'],
      token_policies: ['default', 'top'],
      identity_policies: ['default', 'team'],
      entity_id: entity,
    };
    expect(auth).toMatchObject(told);
    expect((await as(token, 'POST', 'auth/token/renew-self', {})).json.auth).toMatchObject(told);
    expect((await as(token, 'GET', 'auth/token/lookup-self')).json.data).toMatchObject({
      policies: ['default', 'top'],
      identity_policies: ['default', 'team'],
      external_namespace_policies: {},
      entity_id: entity,
    });
    expect(server.seen.lines.at(-1)?.auth).toMatchObject({
      policies: ['default', 'team', 'top'],
      tokenPolicies: ['default', 'top'],
      identityPolicies: ['default', 'team'],
      entityId: entity,
    });
    const plain = await login('bob');
    expect(plain.auth).not.toHaveProperty('identity_policies');
    expect((await as(plain.token, 'GET', 'auth/token/lookup-self')).json.data).not.toHaveProperty(
      'identity_policies',
    );
  });

  it('is told in the trail where it was the first of its entity', async () => {
    await login('alice');
    await login('alice');
    const logins = server.seen.lines.filter(({ request }) => request.path === 'auth/dir/login');
    expect(logins.map(({ type, response }) => [type, response?.auth?.entityCreated])).toEqual([
      ['request', undefined],
      ['response', true],
      ['request', undefined],
      ['response', undefined],
    ]);
  });
});

describe('what identity gives', () => {
  it('takes effect on tokens that exist already, and is gone at once when it is taken away', async () => {
    const { token, entity } = await login('alice');
    expect(await reads(token, 'kv/team/x')).toBe(false);
    await identity(`entity/id/${entity}`, { policies: 'team' });
    expect(await reads(token, 'kv/team/x')).toBe(true);
    await identity(`entity/id/${entity}`, { policies: [] });
    expect(await reads(token, 'kv/team/x')).toBe(false);

    const group = await made('group', { name: 'g', policies: 'team', member_entity_ids: entity });
    expect(await reads(token, 'kv/team/x')).toBe(true);
    await identity(`group/id/${group}`, { member_entity_ids: [] });
    expect(await reads(token, 'kv/team/x')).toBe(false);
    await identity('group/name/G', { member_entity_ids: [entity] });
    expect(await reads(token, 'kv/team/x')).toBe(true);
    await root('DELETE', `identity/group/id/${group}`);
    expect(await reads(token, 'kv/team/x')).toBe(false);
  });

  it('comes down from groups that a group is in, however deep, and a circle is refused', async () => {
    const { token, entity } = await login('alice');
    const child = await made('group', { name: 'child', member_entity_ids: [entity] });
    const parent = await made('group', { name: 'parent', member_group_ids: [child] });
    const top = await made('group', { name: 'top', policies: 'top', member_group_ids: [parent] });
    expect(await reads(token, 'kv/top/x')).toBe(true);
    const { data } = (await root('GET', `identity/entity/id/${entity}`)).json;
    expect(data.direct_group_ids).toEqual([child]);
    expect([...data.inherited_group_ids].sort()).toEqual([parent, top].sort());

    const circle = await identity(`group/id/${child}`, { member_group_ids: [top] });
    expect([circle.status, circle.json.errors]).toEqual([
      400,
      [`cyclic relationship detected for member group ID "${top}"`],
    ]);
    expect((await identity(`group/id/${child}`, { member_group_ids: [child] })).json.errors).toEqual([
      `member group ID "${child}" is same as the ID of the group`,
    ]);
    await root('DELETE', `identity/group/id/${parent}`);
    expect(await reads(token, 'kv/top/x')).toBe(false);
    expect((await root('GET', `identity/group/id/${child}`)).json.data.parent_group_ids).toBeNull();
    expect((await root('GET', `identity/group/id/${top}`)).json.data.member_group_ids).toBeNull();
  });

  it('is the same for capabilities, by token, by accessor and by the caller itself, and for the resultant ACL', async () => {
    const { token, entity, auth } = await login('alice');
    await identity(`entity/id/${entity}`, { policies: 'team' });
    const body = { paths: ['kv/team/x'] };
    for (const reply of [
      await root('POST', 'sys/capabilities', { ...body, token }),
      await root('POST', 'sys/capabilities-accessor', { ...body, accessor: auth['accessor'] }),
      await as(token, 'POST', 'sys/capabilities-self', body),
    ])
      expect(reply.json.data['kv/team/x']).toEqual(['list', 'read']);
    const acl = (await as(token, 'GET', 'sys/internal/ui/resultant-acl')).json.data;
    expect(acl.glob_paths['kv/team/']).toEqual({ capabilities: ['list', 'read'] });
    expect(acl.exact_paths[`identity/entity/id/${entity}`]).toEqual({ capabilities: ['read'] });
    expect(await reads(token, `identity/entity/id/${entity}`)).toBe(true);
  });

  it('never makes root: neither entity nor group may have that policy', async () => {
    for (const path of ['entity', 'group'])
      expect((await identity(path, { name: 'x', policies: ['Root '] })).json.errors).toEqual([
        'policies cannot contain root',
      ]);
  });

  it('ends with the entity: what is left of its tokens is refused, batch tokens too', async () => {
    const { token, entity } = await login('alice', { policies: ['team'] });
    const batch = await login('alice', { policies: ['team'], type: 'batch' });
    expect([await reads(token, 'kv/team/x'), await reads(batch.token, 'kv/team/x')]).toEqual([true, true]);
    await root('DELETE', `identity/entity/id/${entity}`);
    expect([await reads(token, 'kv/team/x'), await reads(batch.token, 'kv/team/x')]).toEqual([false, false]);
    expect((await login('alice')).entity).not.toBe(entity);
  });

  it('passes to child tokens, not to orphans, and root has none', async () => {
    await policy(
      'maker',
      'path "auth/token/*" { capabilities = ["create", "update", "sudo"] }\npath "kv/own" { capabilities = ["read"] }',
    );
    const { token, entity } = await login('alice', { policies: ['maker'] });
    const child = (await as(token, 'POST', 'auth/token/create', {})).json.auth;
    const batch = (await as(token, 'POST', 'auth/token/create', { type: 'batch' })).json.auth;
    const orphan = (await as(token, 'POST', 'auth/token/create-orphan', {})).json.auth;
    const ofRoot = (await root('POST', 'auth/token/create', {})).json.auth;
    expect([child, batch, orphan, ofRoot].map((auth) => auth.entity_id)).toEqual([entity, entity, '', '']);
    await identity(`entity/id/${entity}`, { policies: 'team' });
    expect(await reads(child.client_token, 'kv/team/x')).toBe(true);
    expect(await reads(orphan.client_token, 'kv/team/x')).toBe(false);
  });

  it('goes to tokens made for an alias that their role allows', async () => {
    await root('POST', 'auth/token/roles/r', { allowed_entity_aliases: 'svc-*' });
    const make = (alias: string) => root('POST', 'auth/token/create/r', { entity_alias: alias });
    const first = (await make('SVC-Web')).json.auth;
    expect((await make('svc-web')).json.auth.entity_id).toBe(first.entity_id);
    expect((await make('other')).json.errors).toEqual(["invalid 'entity_alias' value"]);
    const { data } = (await root('GET', `identity/entity/id/${first.entity_id}`)).json;
    expect(data.aliases[0]).toMatchObject({
      name: 'SVC-Web',
      mount_path: 'auth/token/',
      mount_type: 'token',
    });
    await identity(`entity/id/${first.entity_id}`, { disabled: true });
    expect((await make('svc-web')).status).toBe(403);
  });
});

describe('a deny of a name', () => {
  it.each(['entity', 'group'])(
    'of an %s holds in every case, because the name is found in every case',
    async (kind) => {
      await server.ask('POST', `identity/${kind}`, { name: 'Prod' });
      await server.ask('POST', `identity/${kind}`, { name: 'other' });
      for (const denied of ['prod', 'PROD', 'Prod']) {
        const policy = `path "identity/*" { capabilities = ["read", "update"] }
        path "identity/${kind}/name/${denied}" { capabilities = ["deny"] }`;
        await server.ask('PUT', 'sys/policies/acl/most', { policy });
        const made = await server.ask('POST', 'auth/token/create', { policies: ['most'] });
        const token = { 'x-vault-token': made.json.auth.client_token };
        for (const asked of ['prod', 'PROD', 'pRoD'])
          expect((await server.ask('GET', `identity/${kind}/name/${asked}`, undefined, token)).status).toBe(
            403,
          );
        expect((await server.ask('GET', `identity/${kind}/name/other`, undefined, token)).status).toBe(200);
      }
    },
  );
});

describe('templates in policies', () => {
  const own = `path "kv/{{identity.entity.name}}/*" { capabilities = ["read"] }`;

  it('open the own folder and no other, also in the same set of policies', async () => {
    await policy('own', own);
    const [alice, bob] = [
      await login('alice', { policies: ['own'] }),
      await login('bob', { policies: ['own'] }),
    ];
    await identity(`entity/id/${alice.entity}`, { name: 'alice' });
    await identity(`entity/id/${bob.entity}`, { name: 'bob' });
    for (const [session, mine, other] of [
      [alice, 'alice', 'bob'],
      [bob, 'bob', 'alice'],
    ] as const) {
      expect(await reads(session.token, `kv/${mine}/x`)).toBe(true);
      expect(await reads(session.token, `kv/${other}/x`)).toBe(false);
    }
    await identity(`entity/id/${alice.entity}`, { name: 'carol' });
    expect([await reads(alice.token, 'kv/alice/x'), await reads(alice.token, 'kv/carol/x')]).toEqual([
      false,
      true,
    ]);
  });

  it('take what the method says of the caller at its own mount, and never the words of another mount', async () => {
    await root('POST', 'sys/auth/other', { type: 'directory' });
    await policy(
      'ns',
      `path "kv/{{identity.entity.aliases.${accessor}.metadata.service_account_namespace}}/*" { capabilities = ["read"] }`,
    );
    const said = { metadata: { service_account_namespace: 'blue' }, policies: ['ns'] };
    const here = await login('alice', said);
    const there = await login('alice', said, 'other');
    expect([await reads(here.token, 'kv/blue/x'), await reads(there.token, 'kv/blue/x')]).toEqual([
      true,
      false,
    ]);
    expect(await reads(here.token, 'kv/green/x')).toBe(false);
    const wide = await login('mallory', {
      metadata: { service_account_namespace: '*' },
      policies: ['ns'],
    });
    expect([await reads(wide.token, 'kv/blue/x'), await reads(wide.token, 'kv/*/x')]).toEqual([false, false]);
  });

  it('of a pattern of accessors are refused, and the refusal tells the form that works', async () => {
    const text =
      'path "secret/data/{{identity.entity.aliases.auth_kubernetes_*.metadata.service_account_namespace}}/*" { capabilities = ["read"] }';
    const { status, json } = await root('PUT', 'sys/policies/acl/tenant', { policy: text });
    expect(status).toBe(400);
    expect(json.errors[0]).toContain('"auth_kubernetes_*", which is a pattern');
    expect(json.errors[0]).toContain('auth_kubernetes_1a2b3c4d (shown by: auth list)');
  });
});

describe('a listener to events', () => {
  it('hears what its identity may, and is cut off when its entity is disabled', async () => {
    await policy(
      'listen',
      `path "sys/events/subscribe/*" { capabilities = ["read"] }
       path "kv/{{identity.entity.name}}/*" { capabilities = ["subscribe"] }`,
    );
    const { token, entity } = await login('alice', { policies: ['listen'] });
    await identity(`entity/id/${entity}`, { name: 'alice' });
    const heard = await subscribe(server.server.core, {
      path: parsePath('sys/events/subscribe/*'),
      type: '*',
      token,
      remote: { address: '127.0.0.1', port: 1 },
      requestId: 'r',
      signal: new AbortController().signal,
    });
    const events = heard[Symbol.asyncIterator]();
    for (const path of ['kv/bob/x', 'kv/alice/x']) await root('PUT', path, { a: 'b' });
    expect((await events.next()).value?.dataPath).toBe('kv/alice/x');
    const next = events.next();
    await identity(`entity/id/${entity}`, { disabled: true });
    expect((await next).done).toBe(true);
  });
});

describe('external groups', () => {
  const alias = async (name: string, policies: string, at = accessor): Promise<string> => {
    const group = await made('group', { name: `ext-${name}`, type: 'external', policies });
    await made('group-alias', { name, mount_accessor: at, canonical_id: group });
    return group;
  };

  it('are joined and left as the method says, at the login and at the renewal', async () => {
    const team = await alias('devs', 'team');
    await alias('admins', 'top');
    const { token, entity } = await login('alice', { groups: ['Devs', 'unknown'] });
    expect([await reads(token, 'kv/team/x'), await reads(token, 'kv/top/x')]).toEqual([true, false]);
    expect((await root('GET', `identity/group/id/${team}`)).json.data.member_entity_ids).toEqual([entity]);

    renewedGroups = ['admins'];
    await as(token, 'POST', 'auth/token/renew-self', {});
    expect([await reads(token, 'kv/team/x'), await reads(token, 'kv/top/x')]).toEqual([false, true]);
    renewedGroups = undefined;
    await as(token, 'POST', 'auth/token/renew-self', {});
    expect(await reads(token, 'kv/top/x')).toBe(true);
    await login('alice', { groups: [] });
    expect(await reads(token, 'kv/top/x')).toBe(false);
  });

  it('of one mount are not touched by logins at another', async () => {
    await root('POST', 'sys/auth/other', { type: 'directory' });
    await alias('devs', 'team');
    const here = await login('alice', { groups: ['devs'] });
    const { entity } = await login('alice', { groups: ['devs'] }, 'other');
    await identity('entity/merge', { to_entity_id: here.entity, from_entity_ids: [entity] });
    await login('alice', { groups: [] }, 'other');
    expect(await reads(here.token, 'kv/team/x')).toBe(true);
    const stranger = await login('mallory', { groups: ['devs'] }, 'other');
    expect(await reads(stranger.token, 'kv/team/x')).toBe(false);
  });

  it('have no members that anybody wrote, and an internal group has no alias', async () => {
    const group = await made('group', { name: 'ext', type: 'external' });
    const refused = async (path: string, body: object) => (await identity(path, body)).json.errors;
    expect(await refused(`group/id/${group}`, { member_entity_ids: ['x'] })).toEqual([
      "member entities can't be set manually for external groups",
    ]);
    expect(await refused(`group/id/${group}`, { member_group_ids: ['x'] })).toEqual([
      "member groups can't be set for external groups",
    ]);
    expect(await refused(`group/id/${group}`, { type: 'internal' })).toEqual([
      'group type cannot be changed',
    ]);
    const internal = await made('group', { name: 'int' });
    expect(
      await refused('group-alias', { name: 'a', mount_accessor: accessor, canonical_id: internal }),
    ).toEqual(["alias can't be set on an internal group"]);
    await made('group-alias', { name: 'a', mount_accessor: accessor, canonical_id: group });
    expect(await refused('group-alias', { name: 'A', mount_accessor: accessor })).toEqual([
      'combination of mount and group alias name is already in use',
    ]);
  });

  it('lose members and alias with the mount that told of them; entities lose the alias and stay', async () => {
    const group = await alias('devs', 'team');
    const { entity } = await login('alice', { groups: ['devs'] });
    expect((await root('DELETE', 'sys/auth/dir')).status).toBe(204);
    expect((await root('GET', `identity/entity/id/${entity}`)).json.data).toMatchObject({
      aliases: [],
      direct_group_ids: [],
    });
    expect((await root('GET', `identity/group/id/${group}`)).json.data).toMatchObject({
      alias: {},
      member_entity_ids: null,
    });
    await root('POST', 'sys/auth/dir', { type: 'directory' });
    expect((await login('alice', { groups: ['devs'] })).entity).not.toBe(entity);
  });

  it('and entities stay when the mount moves: its accessor does', async () => {
    await alias('devs', 'team');
    const { token, entity } = await login('alice', { groups: ['devs'] });
    expect((await root('POST', 'sys/remount', { from: 'auth/dir', to: 'auth/moved' })).status).toBe(200);
    expect(await reads(token, 'kv/team/x')).toBe(true);
    expect((await login('alice', { groups: ['devs'] }, 'moved')).entity).toBe(entity);
  });
});

describe('the mount', () => {
  it('is there from the start, and is neither taken away, moved nor mounted again', async () => {
    expect((await root('GET', 'sys/mounts')).json.data['identity/']).toMatchObject({
      type: 'identity',
      description: 'identity store',
      accessor: expect.stringMatching(/^identity_[0-9a-f]{8}$/),
    });
    expect((await root('DELETE', 'sys/mounts/identity')).status).toBe(400);
    expect((await root('POST', 'sys/mounts/second', { type: 'identity' })).status).toBe(400);
    expect((await root('POST', 'sys/mounts/identity', { type: 'kv' })).status).toBe(400);
    expect((await root('POST', 'sys/remount', { from: 'identity', to: 'x' })).status).toBe(400);
  });

  it('lists keys with what they are', async () => {
    for (const folder of ['entity/id', 'entity-alias/id', 'group/id', 'group-alias/id'])
      expect((await root('LIST', `identity/${folder}`)).status).toBe(404);
    const { entity } = await login('alice');
    const group = await made('group', { name: 'ext', type: 'external' });
    const alias = await made('group-alias', { name: 'devs', mount_accessor: accessor, canonical_id: group });
    const at = { mount_accessor: accessor, mount_path: 'auth/dir/', mount_type: 'directory' };
    const listed = async (folder: string) => (await root('LIST', `identity/${folder}`)).json.data;
    const entities = await listed('entity/id');
    const [own] = entities.key_info[entity].aliases;
    expect(entities).toEqual({
      keys: [entity],
      key_info: {
        [entity]: {
          name: expect.stringMatching(/^entity_/),
          aliases: [{ id: own.id, name: 'alice', ...at }],
        },
      },
    });
    expect((await listed('entity/name')).keys).toEqual([entities.key_info[entity].name]);
    expect(await listed('entity-alias/id')).toEqual({
      keys: [own.id],
      key_info: {
        [own.id]: {
          name: 'alice',
          canonical_id: entity,
          custom_metadata: null,
          metadata: null,
          local: false,
          ...at,
        },
      },
    });
    expect(await listed('group/id')).toEqual({
      keys: [group],
      key_info: {
        [group]: {
          name: 'ext',
          num_member_entities: 0,
          num_parent_groups: 0,
          alias: { id: alias, name: 'devs', ...at },
        },
      },
    });
    expect((await listed('group/name')).keys).toEqual(['ext']);
    expect((await listed('group-alias/id')).key_info[alias]).toMatchObject({ canonical_id: group, ...at });
  });

  it('looks up by one thing that is known, and refuses none, several or half of one', async () => {
    const { entity } = await login('alice');
    const { aliases, name } = (await root('GET', `identity/entity/id/${entity}`)).json.data;
    for (const query of [
      { id: entity },
      { name: name.toUpperCase() },
      { alias_id: aliases[0].id },
      { alias_name: 'Alice', alias_mount_accessor: accessor },
    ])
      expect((await identity('lookup/entity', query)).json.data.id).toBe(entity);
    for (const query of [
      { id: 'nope' },
      { alias_name: 'alice', alias_mount_accessor: 'nope' },
      { id: '../x' },
    ])
      expect((await identity('lookup/entity', query)).status).toBe(204);
    const reason = async (query: object) => (await identity('lookup/group', query)).json.errors[0];
    expect(await reason({})).toBe('query parameter not supplied');
    expect(await reason({ id: 'a', name: 'b' })).toContain('query parameter conflict');
    expect(await reason({ alias_name: 'a' })).toBe(
      "both 'alias_name' and 'alias_mount_accessor' needs to be set",
    );
  });

  it('merges only where it is said which of two aliases of one mount stays', async () => {
    const [alice, bob] = [await login('alice', { policies: ['top'] }), await login('bob')];
    await identity(`entity/id/${bob.entity}`, { policies: 'team' });
    const group = await made('group', { name: 'g', member_entity_ids: [bob.entity] });
    const asked = { to_entity_id: alice.entity, from_entity_ids: [bob.entity] };
    const clash = await identity('entity/merge', asked);
    expect(clash.status).toBe(400);
    expect(clash.json.data).toEqual([
      expect.objectContaining({ alias: 'alice', entity_id: alice.entity, mount_path: 'auth/dir/' }),
      expect.objectContaining({ alias: 'bob', entity_id: bob.entity, mount: 'directory' }),
    ]);
    const { aliases } = (await root('GET', `identity/entity/id/${bob.entity}`)).json.data;
    expect(
      (await identity('entity/merge', { ...asked, conflicting_alias_ids_to_keep: [aliases[0].id] })).status,
    ).toBe(204);
    const { data } = (await root('GET', `identity/entity/id/${alice.entity}`)).json;
    expect(data).toMatchObject({
      policies: ['team'],
      merged_entity_ids: [bob.entity],
      direct_group_ids: [group],
      aliases: [{ name: 'bob', merged_from_canonical_ids: [bob.entity] }],
    });
    expect([await reads(alice.token, 'kv/team/x'), await reads(bob.token, 'kv/team/x')]).toEqual([
      true,
      true,
    ]);
    expect((await login('bob')).entity).toBe(alice.entity);
    await root('DELETE', `identity/entity/id/${alice.entity}`);
    expect([await reads(alice.token, 'kv/top/x'), await reads(bob.token, 'kv/team/x')]).toEqual([
      false,
      false,
    ]);
  });
});
