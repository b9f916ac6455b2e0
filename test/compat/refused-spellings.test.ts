/**
 * A name that a policy denies is denied in every spelling, at every engine and method: whatever a caller does to the path of a
 * thing, the answer is a refusal, and holds nothing of it. The caller may do everything else, so that only the denial stands
 * in the way.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWorld, type World } from './refused/world.ts';

/** Each is there, and can be read; its name holds letters, so that there is another case to try. */
const DENIED = [
  'secret/data/app',
  'secret/metadata/app',
  'kv1/app',
  'transit/keys/app',
  'transit/export/encryption-key/open',
  'pki/roles/web',
  'db/config/pg',
  'db/roles/app',
  'ssh/roles/people',
  'sshotp/roles/hosts',
  'totp/keys/phone',
  'totp/code/phone',
  'kube/roles/app',
  'custom/roles/app',
  'auth/userpass/users/ann',
  'auth/approle/role/app',
  'auth/approle/role/app/role-id',
  'auth/cert/certs/web',
  'auth/jwt/role/app',
  'auth/oidc/role/people',
  'auth/kubernetes/role/web',
  'auth/token/roles/narrow',
  'sys/policies/acl/reader',
  'sys/policy/reader',
  'sys/mounts/secret',
  'sys/mounts/secret/tune',
  'sys/auth/userpass',
] as const;

let world: World;
let caller: string;
beforeAll(async () => {
  world = await startWorld();
  const all = '["create", "read", "update", "delete", "list", "patch", "sudo"]';
  const policy = [
    `path "*" { capabilities = ${all} }`,
    ...DENIED.map((path) => `path "${path}" { capabilities = ["deny"] }`),
  ].join('\n');
  await world.ok('PUT', 'sys/policies/acl/mostly', { policy });
  caller = (await world.ok('POST', 'auth/token/create', { policies: ['mostly'] })).auth.client_token;
}, 60_000);
afterAll(() => world?.close());

type Change = (path: string, at: number) => string;
const insert =
  (text: string): Change =>
  (path, at) =>
    path.slice(0, at) + text + path.slice(at);
const CHANGES: readonly Change[] = [
  (path, at) => `${path.slice(0, at)}${path.slice(at, at + 1).toUpperCase()}${path.slice(at + 1)}`,
  (path) => path.replace(/[^/]+$/, (name) => name.toUpperCase()),
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path) => `/${path}`,
  (path) => `${path}/.`,
  (path) => `${path}?list=true`,
  (path) => `${path}/?list=true`,
  (path) => `${path}?help=1`,
  (path) => `${path};a=b`,
  (path) => `${path}#x`,
  (path, at) => path.slice(0, at) + encodeURIComponent(path.slice(at, at + 1)) + path.slice(at + 1),
  (path, at) =>
    `${path.slice(0, at)}%${(path.charCodeAt(at) || 0x20).toString(16).padStart(2, '0')}${path.slice(at + 1)}`,
  (path) => path.replace(/\/([^/]+)$/, '/x/../$1'),
  (path) => path.replace(/\/([^/]+)$/, '/./$1'),
  (path) => path.replace(/\/([^/]+)$/, '//$1'),
  (path) => path.replace(/\/([^/]+)$/, '%2f$1'),
  (path) => path.replace(/\/([^/]+)$/, '\\$1'),
  insert('%00'),
  insert('%20'),
  insert('%e2%80%8b'),
  insert('%cc%81'),
  insert('%c2%ad'),
  insert('\t'),
];

interface Told {
  readonly data?: Readonly<Record<string, unknown>> | null;
}
const toldIn = (body: string): Told => JSON.parse(Buffer.from(body, 'latin1').toString() || '{}') as Told;

/** What is told of each, so that it is known when it is seen. */
const things = new Map<string, string>();

it('could read each of them, were it not denied', async () => {
  for (const path of DENIED) {
    const reply = await world.send({ path, token: world.root });
    expect([path, reply.status]).toEqual([path, 200]);
    const { data } = toldIn(reply.body);
    expect(data, path).toBeTruthy();
    things.set(path, JSON.stringify(data));
  }
});

it('is told nothing of any of them, however it is spelled and by whatever verb that tells', async () => {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...DENIED),
      fc.array(fc.tuple(fc.constantFrom(...CHANGES), fc.nat()), { maxLength: 3 }),
      fc.constantFrom('GET', 'LIST'),
      async (denied, changes, method) => {
        const path = changes.reduce(
          (text, [change, at]) => change(text, at % (text.length + 1)),
          denied as string,
        );
        const reply = await world.send({ method, path, token: caller });
        const { data } = toldIn(reply.body);
        if (path === denied) expect(reply.status).toBe(403);
        if (reply.status >= 400) {
          expect(data ?? null, path).toBeNull();
          refused++;
        }
        // What is told with success is of another name, a folder above it, or help that anybody gets.
        expect(JSON.stringify(data ?? null), path).not.toBe(things.get(denied));
        expect(data?.['code'], path).toBeUndefined();
        expect(world.leaks(reply.body), path).toEqual([]);
      },
    ),
    { numRuns: 1500 },
  );
  expect(refused).toBeGreaterThan(1000);
}, 120_000);
