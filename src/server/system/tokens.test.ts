import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ManualClock } from '../../base/clock.ts';
import { operation, type PluginType } from '../../plugin/plugin.ts';
import { choosesPolicies, NO_TOKEN_ROLE, policiesUnder } from '../auth/tokens-roles.ts';
import { startServer, type TestServer } from '../testing.ts';

const HOUR = 3_600_000;
let server: TestServer;
let clock: ManualClock;
let credentials: Set<string>;

/** Gives out credentials under leases. */
const issuing: PluginType = {
  name: 'issuing',
  kind: 'secret',
  create: () => ({
    routes: [
      {
        path: 'creds/:name',
        operations: {
          read: operation({
            summary: 'Makes a credential.',
            input: z.object({ name: z.string() }),
            output: z.object({ name: z.string() }),
            effect: 'write',
            async run({ name }, call) {
              const lease = await call.reserve('credential', name);
              credentials.add(name);
              return { data: { name }, lease };
            },
          }),
        },
      },
    ],
    leases: {
      credential: {
        renew: async (_state, ttlMs) => ttlMs,
        async revoke(state) {
          credentials.delete(String(state));
        },
      },
    },
  }),
};

const as = (token: string, method: string, path: string, body?: unknown) =>
  server.ask(method, path, body, { 'x-vault-token': token });
const root = (method: string, path: string, body?: unknown) => server.ask(method, path, body);
const make = async (body: object, by = server.root, path = 'auth/token/create') => as(by, 'POST', path, body);
const token = async (body: object, by?: string, path?: string): Promise<string> => {
  const made = await make(body, by, path);
  expect([made.status, made.json?.errors]).toEqual([200, undefined]);
  return made.json.auth.client_token;
};
const alive = async (client: string): Promise<boolean> =>
  (await as(client, 'GET', 'auth/token/lookup-self')).status === 200;

beforeEach(async () => {
  clock = new ManualClock();
  credentials = new Set();
  server = await startServer([issuing], { clock });
  await root('POST', 'sys/mounts/issuing', { type: 'issuing' });
  for (const name of ['a', 'b', 'team-x'])
    await root('POST', `sys/policies/acl/${name}`, {
      policy:
        'path "issuing/*" { capabilities = ["read"] } path "auth/token/create*" { capabilities = ["update"] }',
    });
});
afterEach(() => server.close());

describe('a batch token', () => {
  const batch = (body: object = {}, by?: string) =>
    token({ type: 'batch', policies: ['a'], ttl: '1h', ...body }, by);

  it('carries all that is known of it, and lies nowhere in the store', async () => {
    const before = await root('LIST', 'auth/token/accessors/?list=true').then(({ text }) => text);
    const made = await make({
      type: 'batch',
      policies: ['a'],
      ttl: '1h',
      meta: { k: 'v' },
      display_name: 'x',
    });
    expect(made.json.auth).toMatchObject({
      accessor: '',
      token_type: 'batch',
      policies: ['a', 'default'],
      metadata: { k: 'v' },
      lease_duration: 3600,
      renewable: false,
      num_uses: 0,
    });
    expect(made.json.auth.client_token).toMatch(/^hvb\.[\w-]+$/);
    const { json } = await as(made.json.auth.client_token, 'GET', 'auth/token/lookup-self');
    expect(json.data).toMatchObject({
      type: 'batch',
      accessor: '',
      meta: { k: 'v' },
      ttl: 3600,
      renewable: false,
    });
    expect(await root('LIST', 'auth/token/accessors/?list=true').then(({ text }) => text.length)).toBe(
      before.length,
    );
  });

  it('is good for what its policies allow, to the millisecond of its end', async () => {
    const client = await batch();
    expect((await as(client, 'GET', 'issuing/creds/x')).status).toBe(200);
    expect((await as(client, 'GET', 'sys/mounts')).status).toBe(403);
    clock.advance(HOUR - 1);
    expect(await alive(client)).toBe(true);
    clock.advance(1);
    expect(await alive(client)).toBe(false);
  });

  it('dies with its parent, and takes the leases it was given along', async () => {
    const parent = await token({ policies: ['a'], ttl: '2h' });
    const client = await batch({}, parent);
    const { json } = await as(client, 'GET', 'issuing/creds/one');
    expect(json.lease_id).toMatch(/^issuing\/creds\/one\//);
    expect([...credentials]).toEqual(['one']);
    await root('POST', 'auth/token/revoke', { token: parent });
    expect(await alive(client)).toBe(false);
    expect([...credentials]).toEqual([]);
  });

  it('without a parent ends its leases with itself, however they are renewed', async () => {
    const client = await batch({ no_parent: true });
    clock.advance(HOUR / 2);
    const { json } = await as(client, 'GET', 'issuing/creds/two');
    expect(json.lease_duration).toBe(1800);
    clock.advance(HOUR / 2);
    for (let turns = 0; turns < 50 && credentials.size > 0; turns++) await new Promise(setImmediate);
    expect([...credentials]).toEqual([]);
  });

  it.each([
    ['POST', 'auth/token/create', {}, 'batch tokens cannot create more tokens'],
    ['POST', 'auth/token/renew-self', {}, 'batch tokens cannot be renewed'],
    ['POST', 'auth/token/revoke-self', {}, 'batch tokens cannot be revoked'],
  ])('is told that it may not: %s %s', async (method, path, body, message) => {
    const client = await batch();
    const refused = await as(client, method, path, body);
    expect([refused.status, refused.json.errors]).toEqual([400, [message]]);
    for (const [verb, what] of [
      ['revoke', 'be revoked'],
      ['renew', 'be renewed'],
    ])
      expect((await root('POST', `auth/token/${verb}`, { token: client })).json.errors).toEqual([
        `batch tokens cannot ${what}`,
      ]);
    expect(await alive(client)).toBe(true);
  });

  it.each([
    [{ num_uses: 1 }, 'batch tokens cannot have "num_uses" set'],
    [{ period: '1h' }, 'batch tokens cannot have "period" set'],
    [{ explicit_max_ttl: '1h' }, 'batch tokens cannot have "explicit_max_ttl" set'],
    [{ id: 'mine' }, 'batch tokens cannot have "id" set'],
    [{ policies: ['root'] }, 'batch tokens cannot be root tokens'],
    [
      { meta: { a: 'x'.repeat(20_000) } },
      'a batch token with these policies and metadata would be longer than 16384 bytes',
    ],
  ])('is not made with %j', async (body, message) => {
    const refused = await make({ type: 'batch', policies: ['a'], ttl: '1h', ...body });
    expect([refused.status, refused.json.errors]).toEqual([400, [message]]);
  });

  it('that was forged, cut, changed in one letter or spelled otherwise opens nothing', async () => {
    const client = await batch();
    const other = await startServer([]);
    const foreign = await other
      .ask('POST', 'auth/token/create', { type: 'batch', policies: ['default'], ttl: '1h' })
      .then(({ json }) => json.auth.client_token as string);
    await other.close();
    const { tokens } = server.server.core.services() ?? {};
    expect(await tokens?.lookup(client)).toBeDefined();
    for (const bad of [
      foreign,
      'hvb.',
      'hvb.AAAA',
      `${client}=`,
      `${client}A`,
      client.slice(0, -4),
      `hvb.${client}`,
    ])
      expect(await tokens?.lookup(bad)).toBeUndefined();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 4, max: client.length - 1 }),
        fc.constantFrom('A', 'b', '-', '_', '/'),
        async (at, letter) => {
          fc.pre(client[at] !== letter);
          expect(await tokens?.lookup(client.slice(0, at) + letter + client.slice(at + 1))).toBeUndefined();
        },
      ),
    );
  });

  it('keeps nothing of its own, and is held to its networks', async () => {
    const client = await batch({ bound_cidrs: ['10.0.0.0/8'] });
    expect(await alive(client)).toBe(false);
    expect(await alive(await batch({ bound_cidrs: ['127.0.0.1'] }))).toBe(true);
  });
});

describe('a token role', () => {
  const role = async (name: string, body: object) => {
    const written = await root('POST', `auth/token/roles/${name}`, body);
    expect([written.status, written.json]).toEqual([204, undefined]);
  };
  const under = (name: string, body: object = {}, by?: string) => make(body, by, `auth/token/create/${name}`);

  it('is written, read back as it is, changed in part, listed and deleted', async () => {
    await role('R', {
      allowed_policies: 'a,B',
      orphan: true,
      token_period: '1h',
      path_suffix: 'one',
      token_num_uses: 3,
    });
    await role('R', { renewable: false });
    const { json } = await root('GET', 'auth/token/roles/R');
    expect(json.data).toEqual({
      allowed_entity_aliases: [],
      allowed_policies: ['a', 'b'],
      allowed_policies_glob: [],
      disallowed_policies: [],
      disallowed_policies_glob: [],
      explicit_max_ttl: 0,
      name: 'R',
      orphan: true,
      path_suffix: 'one',
      period: 3600,
      renewable: false,
      token_bound_cidrs: [],
      token_explicit_max_ttl: 0,
      token_no_default_policy: false,
      token_num_uses: 3,
      token_period: 3600,
      token_type: 'default-service',
    });
    expect((await root('GET', 'auth/token/roles?list=true')).json.data).toEqual({ keys: ['R'] });
    expect((await root('DELETE', 'auth/token/roles/R')).status).toBe(204);
    expect((await root('GET', 'auth/token/roles/R')).status).toBe(404);
    expect((await under('R')).json.errors).toEqual(['unknown role R']);
  });

  it('gives policies that its caller does not have, within what it allows and never root', async () => {
    await role('r', {
      allowed_policies: 'b',
      allowed_policies_glob: 'team-*',
      disallowed_policies: 'team-root',
    });
    const caller = await token({ policies: ['a'], ttl: '1h' });
    expect((await make({ policies: ['b'] }, caller)).json.errors).toEqual([
      'child policies must be subset of parent',
    ]);
    expect((await under('r', {}, caller)).json.auth.policies).toEqual(['b', 'default']);
    expect((await under('r', { policies: 'team-x' }, caller)).json.auth.policies).toEqual([
      'default',
      'team-x',
    ]);
    expect(
      (await under('r', { policies: ['B'], no_default_policy: true }, caller)).json.auth.policies,
    ).toEqual(['b']);
    for (const [policies, message] of [
      [
        ['a'],
        `token policies (["a" "default"]) must be subset of the role's allowed policies (["b" "default"]) or glob policies (["team-*"])`,
      ],
      [['TEAM-ROOT'], 'token policy "team-root" is disallowed by this role'],
    ])
      expect((await under('r', { policies }, caller)).json.errors).toEqual([message]);
    await role('evil', { allowed_policies_glob: '*' });
    expect((await under('evil', { policies: ['root'] }, caller)).json.errors).toEqual([
      'root tokens may not be created without parent token being root',
    ]);
    expect((await under('evil', { policies: ['response-wrapping'] }, caller)).status).toBe(400);
  });

  it('that bounds no policies gives no more than its caller has', async () => {
    await role('plain', {});
    const caller = await token({ policies: ['a'], ttl: '1h' });
    expect((await under('plain', { policies: ['b'] }, caller)).json.errors).toEqual([
      'child policies must be subset of parent',
    ]);
    expect((await under('plain', {}, caller)).json.auth.policies).toEqual(['a', 'default']);
  });

  it('makes orphans, periodic, limited and bound tokens for callers who could not', async () => {
    await role('r', {
      allowed_policies: 'a',
      orphan: true,
      token_period: '1h',
      path_suffix: 'run',
      token_bound_cidrs: '127.0.0.1',
      token_num_uses: 5,
    });
    const caller = await token({ policies: ['a'], ttl: '1h' });
    const made = await under('r', { num_uses: 9, period: '10m' }, server.root);
    expect(made.json.warnings).toEqual([
      'Period specified both during creation call and in role; using the lesser value of 600 seconds',
    ]);
    const { client_token: client, num_uses: uses, orphan } = (await under('r', {}, caller)).json.auth;
    expect([uses, orphan]).toEqual([5, true]);
    const { json } = await as(client, 'GET', 'auth/token/lookup-self');
    expect(json.data).toMatchObject({
      role: 'r',
      path: 'auth/token/create/r/run',
      period: 3600,
      bound_cidrs: ['127.0.0.1'],
    });
    await root('POST', 'auth/token/revoke', { token: caller });
    expect(await alive(client)).toBe(true);
  });

  it('goes on deciding after the token was made: its period counts at renewal, and without it there is none', async () => {
    await role('r', { allowed_policies: 'a', token_period: '1h' });
    const client = await token({}, server.root, 'auth/token/create/r');
    await role('r', { token_period: '2h' });
    expect((await as(client, 'POST', 'auth/token/renew-self')).json.auth.lease_duration).toBe(7200);
    await root('DELETE', 'auth/token/roles/r');
    expect((await as(client, 'POST', 'auth/token/renew-self')).json.errors).toEqual([
      'original token role "r" could not be found, not renewing',
    ]);
  });

  it('says of which type its tokens are', async () => {
    await role('batch', { allowed_policies: 'a', token_type: 'batch', orphan: true, renewable: false });
    expect((await under('batch', { type: 'service' })).json.auth.token_type).toBe('batch');
    await role('rather', { allowed_policies: 'a', token_type: 'default-batch' });
    expect((await under('rather')).json.auth.token_type).toBe('batch');
    expect((await under('rather', { type: 'service' })).json.auth.token_type).toBe('service');
    await role('service', { allowed_policies: 'a', token_type: 'service' });
    expect((await under('service', { type: 'batch' })).json.auth.token_type).toBe('service');
  });

  it.each([
    [
      { token_type: 'batch' },
      "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens",
    ],
    [
      { token_type: 'batch', orphan: true },
      "'token_type' cannot be 'batch' when role is set to generate renewable tokens",
    ],
    [
      { token_type: 'batch', orphan: true, renewable: false, token_period: 5 },
      "'token_type' cannot be 'batch' when role is set to generate periodic tokens",
    ],
    [
      { path_suffix: 'a/b' },
      'given role path suffix contains invalid characters; must match "\\w[\\w-]+\\w"',
    ],
    [{ token_period: -1 }, "'token_period' cannot be negative"],
    [{ token_bound_cidrs: 'x' }, "'token_bound_cidrs' holds what is no address block"],
  ])('is refused with %j', async (body, message) => {
    expect((await root('POST', 'auth/token/roles/x', body)).json.errors).toEqual([message]);
    expect((await root('GET', 'auth/token/roles/x')).status).toBe(404);
  });

  it('never gives a policy that it disallows, whatever is asked', () => {
    const name = fc.constantFrom('a', 'ab', 'b', 'default', 'root', 'team-x');
    const names = fc.uniqueArray(name, { maxLength: 3 });
    const globs = fc.uniqueArray(fc.constantFrom('*', 'a*', 'team-*'), { maxLength: 2 });
    fc.assert(
      fc.property(
        names,
        globs,
        names,
        names,
        names,
        fc.boolean(),
        (allowed, allowedGlobs, disallowed, asked, parent, noDefault) => {
          const own = { ...NO_TOKEN_ROLE, allowed, allowedGlobs, disallowed };
          fc.pre(choosesPolicies(own));
          let given: string[] = [];
          try {
            given = policiesUnder(own, asked, parent, noDefault);
          } catch {
            return;
          }
          for (const policy of given) {
            expect(disallowed.map(String)).not.toContain(policy);
            if (allowed.length + allowedGlobs.length > 0 && asked.length > 0 && !allowedGlobs.includes('*'))
              expect(
                allowed.map(String).includes(policy) || policy === 'default' || allowedGlobs.length > 0,
              ).toBe(true);
          }
        },
      ),
    );
  });
});

describe('the token method', () => {
  it('refuses an alias that no role allows, and orphans without sudo', async () => {
    const caller = await token({ policies: ['a'], ttl: '1h' });
    expect((await make({ entity_alias: 'x' })).json.errors).toEqual([
      "'entity_alias' is only allowed in combination with token role",
    ]);
    await root('POST', 'auth/token/roles/r', { allowed_entity_aliases: 'x' });
    expect((await make({ entity_alias: 'y' }, server.root, 'auth/token/create/r')).json.errors).toEqual([
      "invalid 'entity_alias' value",
    ]);
    expect((await make({ no_parent: true }, caller)).json.errors).toEqual([
      'root or sudo privileges required to create orphan token',
    ]);
    expect((await as(caller, 'POST', 'auth/token/create-orphan', {})).status).toBe(403);
    expect((await as(caller, 'POST', 'auth/token/revoke-orphan', { token: caller })).status).toBe(403);
    expect(await alive(caller)).toBe(true);
  });

  it('tidies without harming what lives', async () => {
    const parent = await token({ policies: ['a'], ttl: '1h' });
    const child = await token({ policies: ['a'], ttl: '1h' }, parent);
    const tidied = await root('POST', 'auth/token/tidy');
    expect([tidied.status, tidied.json.warnings]).toEqual([202, [expect.stringContaining('Tidy operation')]]);
    expect(await server.server.core.services()?.tokens.tidy()).toBe(0);
    expect([await alive(parent), await alive(child)]).toEqual([true, true]);
  });
});
