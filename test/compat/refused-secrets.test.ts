/**
 * What went into a configuration does not come out of it: every route of every mount that can be read or listed is asked, with
 * all names that there are, and no answer may hold a secret but those that are there to tell it.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as acme from './refused/acme.ts';
import { SECRETS } from './refused/canaries.ts';
import * as credentials from './refused/credentials.ts';
import * as engines from './refused/engines.ts';
import * as envelope from './refused/envelope.ts';
import * as logins from './refused/logins.ts';
import type { Row } from './refused/refused.ts';
import * as system from './refused/system.ts';
import { startWorld, type World } from './refused/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.close());

/** Where a secret is told because that is what the place is for, and which. */
const MEANT: readonly (readonly [place: RegExp, secrets: readonly string[]])[] = [
  [/^secret\/data\/(app|prod|prod\/inner|wrapped)$/, ['kv']],
  [/^kv1\/app$/, ['kv1']],
  [/^cubbyhole\/mine$/, ['cubbyhole']],
  [/^transit\/export\/encryption-key\/open(\/1|\/latest)?$/, ['transitSecret']],
  [/^transit\/backup\/open$/, ['transitSecret']],
];

/** Values for the parameters of a path: all that was made in the world, and what a guesser would try. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  name: [
    'app',
    'open',
    'signer',
    'rsa',
    'mac',
    'pg',
    'inline',
    'my',
    'cache',
    'phone',
    'made',
    'web',
    'tight',
    'people',
    'hosts',
  ],
  username: ['ann', 'far'],
  role_name: ['app', 'once', 'far'],
  role: ['people', 'hosts', 'web'],
  path: ['app', 'prod', 'prod/inner', 'wrapped', 'mine', 'secret', 'db', 'auth/oidc', 'db/tune'],
  type: ['encryption-key', 'signing-key', 'hmac-key', 'public-key', 'crl'],
  version: ['1', 'latest'],
  ref: ['default'],
  serial: ['ca', 'crl'],
  policy: ['limited'],
};
const valuesOf = (name: string, world: World): readonly string[] =>
  NAMES[name] ??
  (name.includes('serial') ? [world.made['serial'] ?? ''] : ['app', 'default', 'web', 'limited']);

function pathsOf(template: string, world: World): readonly string[] {
  const parameter = /\{(\w+)\}/.exec(template);
  if (parameter === null) return [template];
  return valuesOf(parameter[1] ?? '', world).flatMap((value) =>
    pathsOf(template.replace(parameter[0], value), world),
  );
}

const meantAt = (path: string): readonly string[] => MEANT.find(([place]) => place.test(path))?.[1] ?? [];

describe('a secret of a configuration', () => {
  it('comes back from no route of any mount, read or listed, but from those that are there to tell it', async () => {
    const { paths } = await world.ok('GET', 'sys/internal/specs/openapi');
    const asked = new Map<string, number>();
    const told: string[] = [];
    const where = new Set<string>();
    for (const [template, item] of Object.entries(paths as Record<string, { get?: object }>)) {
      if (item.get === undefined) continue;
      for (const path of pathsOf(template.slice(1), world))
        for (const method of ['GET', 'LIST']) {
          const reply = await world.send({ method, path, token: world.root });
          asked.set(String(reply.status), (asked.get(String(reply.status)) ?? 0) + 1);
          for (const secret of world.leaks(`${reply.head}\n${Buffer.from(reply.body, 'latin1').toString()}`))
            if (meantAt(path).includes(secret)) where.add(secret);
            else told.push(`${method} ${path}: ${secret}`);
        }
    }
    expect(told).toEqual([]);
    // It must be able to fail: where secrets are meant to be told, they were found.
    expect([...where].sort()).toEqual(['cubbyhole', 'kv', 'kv1', 'transitSecret']);
    expect(asked.get('200')).toBeGreaterThan(200);
    expect(world.leaks(world.logged())).toEqual([]);
  }, 120_000);

  it('stands in no answer to its own write, and in no help about its path', async () => {
    for (const [path, field, extra] of [
      ['db/config/pg', 'password', { verify_connection: false }],
      ['db/config/my', 'password', { verify_connection: false }],
      ['db/config/cache', 'password', { verify_connection: false }],
      ['custom/config', 'secrets', {}],
      ['totp/keys/other', 'key', {}],
      ['auth/userpass/users/ann', 'password', {}],
    ] as const) {
      const secret = SECRETS.find(([name]) => name === (field === 'key' ? 'totp' : 'custom'))?.[1] ?? '';
      const reply = await world.send({
        method: 'POST',
        path,
        token: world.root,
        body: { [field]: field === 'secrets' ? { admin: secret } : secret, ...extra },
      });
      expect(reply.status, path).toBeLessThan(300);
      expect(world.leaks(reply.head + reply.body)).toEqual([]);
      const help = await world.send({ path: `${path}?help=1`, token: world.root });
      expect(world.leaks(help.body)).toEqual([]);
    }
  });

  it('lies open in no byte of what is stored', async () => {
    const snapshot = await world.send({ path: 'sys/storage/raft/snapshot', token: world.root });
    expect(snapshot.status).toBe(200);
    expect(world.leaks(snapshot.body)).toEqual([]);
    expect(await world.open()).toEqual([]);
  });
});

describe('the table', () => {
  const rows = [acme, credentials, engines, envelope, logins, system].flatMap((file) =>
    (Object.values(file) as (readonly Row[])[]).flat(),
  );

  it('has more than 400 cases, many of each class', () => {
    expect(rows.length).toBeGreaterThan(400);
    for (const kind of ['denied', 'malformed', 'oversized', 'replayed'])
      expect([kind, rows.filter((row) => row.class === kind).length > 30]).toEqual([kind, true]);
  });

  it('names a reason wherever something may be stored all the same', () => {
    expect(rows.filter((row) => row.changes !== undefined).map((row) => row.name)).toEqual([
      'a cluster that refuses',
      'credentials of a source that refuses',
    ]);
  });
});
