/**
 * Logins that are not what they say, with tokens of the real embedded Kubernetes API, and server tokens that end while they
 * are used. Whatever is wrong, the caller learns no more than that it may not; the log says why, and holds no part of the token.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountToken } from '../../src/bin/dev/kubernetes.ts';
import type { KubeObject } from '../../src/kube/kube.ts';
import { NAMESPACES, SERVICE_ACCOUNTS } from '../../src/operator/api/resources.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;

let platform: TestPlatform;
/** For shop/web, audience "vault", signed by the embedded API. */
let good: string;

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly says: string;
  readonly auth: { readonly client_token: string; readonly policies: readonly string[] } | undefined;
}

async function ask(method: string, path: string, body?: unknown, token?: string): Promise<Reply> {
  const response = await fetch(`${platform.address}/v1/${path}`, {
    method,
    headers: token === undefined ? {} : { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = (text === '' ? {} : JSON.parse(text)) as { errors?: string[]; auth?: Reply['auth'] };
  return {
    status: response.status,
    text,
    says: (json.errors ?? []).join('; '),
    auth: json.auth ?? undefined,
  };
}
const asRoot = (method: string, path: string, body?: unknown) =>
  ask(method, path, body, platform.keys.rootToken);
const login = (jwt: unknown, role: unknown = 'web', mount = 'kubernetes') =>
  ask('POST', `auth/${mount}/login`, { role, jwt });

const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const partsOf = (jwt: string): [Json, Json, string] => {
  const [head = '', body = '', tail = ''] = jwt.split('.');
  const read = (part: string): Json => JSON.parse(Buffer.from(part, 'base64url').toString()) as Json;
  return [read(head), read(body), tail];
};
/** The good token with other claims under its own signature. */
const forged = (change: Json, header: Json = {}): string => {
  const [head, claims, tail] = partsOf(good);
  return `${b64({ ...head, ...header })}.${b64({ ...claims, ...change })}.${tail}`;
};

async function account(namespace: string, name: string): Promise<void> {
  const put = (object: KubeObject, resource: typeof NAMESPACES): Promise<unknown> =>
    platform.kube.apply(
      {
        resource,
        name: object.metadata.name,
        ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
      },
      object,
      { manager: 'test', force: true },
    );
  await put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, NAMESPACES);
  await put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } }, SERVICE_ACCOUNTS);
}
const tokenOf = (namespace: string, name: string, audience = 'vault') =>
  accountToken(platform.kube, { namespace, name }, audience, 600);

beforeAll(async () => {
  platform = await startTestPlatform();
  for (const [namespace, name] of [
    ['shop', 'web'],
    ['shop', 'other'],
    ['elsewhere', 'web'],
    ['shop', 'remade'],
  ] as const)
    await account(namespace, name);
  await asRoot('PUT', 'sys/policies/acl/web', {
    policy:
      'path "secret/data/web" { capabilities = ["read"] }\npath "sys/events/subscribe/*" { capabilities = ["read"] }',
  });
  await asRoot('POST', 'secret/data/web', { data: { v: 1 } });
  await asRoot('POST', 'auth/kubernetes/role/web', {
    bound_service_account_names: ['web', 'remade'],
    bound_service_account_namespaces: ['shop'],
    token_policies: ['web', 'root'],
    audience: 'vault',
  });
  good = await tokenOf('shop', 'web');
});
afterAll(() => platform.stop());

it('a good token gets in, and never as root', async () => {
  const { status, auth } = await login(good);
  expect(status).toBe(200);
  expect(auth?.policies).toEqual(['default', 'web']);
  expect((await ask('GET', 'secret/data/web', undefined, auth?.client_token)).status).toBe(200);
});

describe('a login is refused', () => {
  const DENIED = 'permission denied';
  const now = Math.floor(Date.now() / 1000);
  const claims = (namespace: string, name: string): Json => {
    const mine = partsOf(good)[1]['kubernetes.io'] as Json;
    return {
      sub: `system:serviceaccount:${namespace}:${name}`,
      'kubernetes.io': { ...mine, namespace, serviceaccount: { ...(mine['serviceaccount'] as Json), name } },
    };
  };

  it.each<readonly [string, () => string | Promise<string>, string, RegExp | undefined]>([
    ['a token that has expired', () => forged({ exp: now - 3600 }), DENIED, /expired/],
    [
      'a token that is not valid yet',
      () => forged({ nbf: now + 3600 }),
      DENIED,
      /not yet valid|not valid yet|nbf/,
    ],
    ['a token of tomorrow', () => forged({ iat: now + 86_400, nbf: now + 86_400 }), DENIED, /.+/],
    [
      'a token that never ends',
      () => forged({ exp: Number.MAX_SAFE_INTEGER }),
      DENIED,
      /does not know the token/,
    ],
    ['a time that is a text', () => forged({ exp: '9999999999' }), DENIED, /.+/],
    ['no signature', () => `${forged({}).split('.').slice(0, 2).join('.')}.`, DENIED, /not signed/],
    ['the algorithm "none"', () => forged({}, { alg: 'none' }), DENIED, /algorithm/],
    [
      'the algorithm "None", unsigned',
      () => `${forged({}, { alg: 'None' }).split('.').slice(0, 2).join('.')}.AA`,
      DENIED,
      /algorithm/,
    ],
    ['a symmetric algorithm', () => forged({}, { alg: 'HS256' }), DENIED, /algorithm/],
    [
      'another algorithm of its family',
      () => forged({}, { alg: 'ES384' }),
      DENIED,
      /does not know the token/,
    ],
    [
      'a key that it brings along',
      () => forged({ x: 1 }, { jwk: { kty: 'oct', k: 'AA' }, jku: 'https://evil.example/keys' }),
      DENIED,
      /does not know the token/,
    ],
    [
      'a key id out of the tree',
      () => forged({ x: 1 }, { kid: '../../../../dev/null' }),
      DENIED,
      /does not know the token/,
    ],
    ['critical extensions', () => forged({}, { crit: ['x'] }), DENIED, /critical/],
    ['another audience', () => tokenOf('shop', 'web', 'elsewhere'), DENIED, /audience/],
    [
      'the audience of the API',
      () => accountToken(platform.kube, { namespace: 'shop', name: 'web' }, undefined, 600),
      DENIED,
      /audience/,
    ],
    [
      'an audience that was added',
      () =>
        tokenOf('shop', 'web', 'x').then((jwt) => {
          const [h, c, s] = partsOf(jwt);
          return `${b64(h)}.${b64({ ...c, aud: ['x', 'vault'] })}.${s}`;
        }),
      DENIED,
      /does not know the token/,
    ],
    [
      'an account of another namespace',
      () => tokenOf('elsewhere', 'web'),
      'namespace not authorized',
      undefined,
    ],
    ['another account', () => tokenOf('shop', 'other'), 'service account name not authorized', undefined],
    [
      'another account that calls itself ours',
      async () => {
        const [h, c, s] = partsOf(await tokenOf('shop', 'other'));
        return `${b64(h)}.${b64({ ...c, ...claims('shop', 'web') })}.${s}`;
      },
      DENIED,
      /does not know the token/,
    ],
    ['a namespace that is a pattern', () => forged(claims('*', 'web')), DENIED, /name no service account/],
    [
      'a signature with one bit changed',
      () =>
        good.replace(
          /\.(.)([^.]*)$/,
          (_all, first: string, rest: string) => `.${first === 'A' ? 'B' : 'A'}${rest}`,
        ),
      DENIED,
      /does not know the token/,
    ],
    ['a signature spelled otherwise', () => `${good}=`, DENIED, /not signed/],
    ['claims in two spellings', () => good.replace('.', '. '), DENIED, /base64url/],
    [
      'claims that are no JSON',
      () => `${good.split('.')[0]}.e30x.${good.split('.')[2]}`,
      DENIED,
      /claims are not/,
    ],
    [
      '10,000 lists in each other',
      () =>
        `${b64({ alg: 'ES256' })}.${Buffer.from(`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`).toString('base64url')}.AAAA`,
      DENIED,
      /claims are not/,
    ],
    ['more text than a token has', () => 'a'.repeat(20_000), DENIED, /too long/],
    ['a token of the server itself', () => platform.keys.rootToken, DENIED, /three parts/],
  ])('that shows %s', async (_what, make, says, reason) => {
    const jwt = await make();
    const from = (await platform.logged()).length;
    const reply = await login(jwt);
    expect([reply.status, reply.says]).toEqual([403, says]);
    expect(reply.auth).toBeUndefined();
    const logged = (await platform.logged()).slice(from);
    if (reason !== undefined) expect(logged).toMatch(/a login was refused/);
    if (reason !== undefined) expect(logged.match(/"reason":"([^"]*)"/)?.[1]).toMatch(reason);
    for (const part of jwt.split('.').filter((text) => text.length > 20)) {
      expect(logged).not.toContain(part);
      expect(reply.text).not.toContain(part);
    }
  });

  it.each<readonly [string, unknown, unknown, string]>([
    ['no role', undefined, 'x', 'missing role'],
    ['no token', 'web', undefined, 'missing jwt'],
    ['a role that is not there', 'nobody', 'x', 'invalid role name "nobody"'],
    ['a role out of its folder', '../config', 'x', 'invalid role name "../config"'],
    ['a role with a line end', 'web\n', 'x', 'invalid role name "web?"'],
    ['a role that every object has', '__proto__', 'x', 'invalid role name "__proto__"'],
    ['a role that is a list', ['web'], 'x', 'field "role": Invalid input: expected string, received array'],
    [
      'a token that is an object',
      'web',
      { a: 1 },
      'field "jwt": Invalid input: expected string, received object',
    ],
  ])('that names %s', async (_what, role, jwt, says) => {
    const reply = await login(jwt, role === undefined ? null : role);
    expect([reply.status, reply.says]).toEqual([400, says]);
  });

  it('at a mount that is not there, as if it were any path', async () => {
    expect((await login(good, 'web', 'other')).status).toBe(403);
  });

  it('once its account was made anew under the same name', async () => {
    const old = await tokenOf('shop', 'remade');
    await platform.kube.delete({ resource: SERVICE_ACCOUNTS, namespace: 'shop', name: 'remade' });
    await account('shop', 'remade');
    const reply = await login(old);
    expect([reply.status, reply.says]).toEqual([403, 'permission denied']);
    expect((await login(await tokenOf('shop', 'remade'))).status).toBe(200);
  });
});

describe('a token that ends', () => {
  const child = async (more: Json = {}): Promise<string> =>
    (await asRoot('POST', 'auth/token/create', { policies: ['web'], ttl: '1h', ...more })).auth
      ?.client_token ?? '';

  it('in flight is answered 200 before and 403 after, and never anything else', async () => {
    const token = await child();
    const answers: number[] = [];
    let over = false;
    const readers = Array.from({ length: 8 }, async () => {
      while (!over) answers.push((await ask('GET', 'secret/data/web', undefined, token)).status);
    });
    await eventually('some were read', () => answers.length > 40 || undefined);
    expect((await asRoot('POST', 'auth/token/revoke', { token })).status).toBe(204);
    // Asked after the answer to the revocation: not one of these may get in.
    const late = await Promise.all(
      Array.from({ length: 20 }, () => ask('GET', 'secret/data/web', undefined, token)),
    );
    over = true;
    await Promise.all(readers);
    expect(late.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 403));
    expect(new Set(answers)).toEqual(new Set([200, 403]));
    expect(answers.indexOf(403)).toBeGreaterThan(0);
  });

  it('takes the child along that it makes at the same moment', async () => {
    await asRoot('PUT', 'sys/policies/acl/maker', {
      policy: 'path "auth/token/create" { capabilities = ["update"] }',
    });
    for (let round = 0; round < 10; round++) {
      const parent = await child({ policies: ['maker'] });
      const [made] = await Promise.all([
        Promise.all(Array.from({ length: 5 }, () => ask('POST', 'auth/token/create', {}, parent))),
        asRoot('POST', 'auth/token/revoke', { token: parent }),
      ]);
      for (const { auth } of made)
        if (auth !== undefined)
          expect((await ask('GET', 'auth/token/lookup-self', undefined, auth.client_token)).status).toBe(403);
    }
  });

  it('is wrapped once and opened once, whoever comes at the same time', async () => {
    const wrapped = await fetch(`${platform.address}/v1/secret/data/web`, {
      headers: { 'x-vault-token': platform.keys.rootToken, 'x-vault-wrap-ttl': '60' },
    });
    const { wrap_info } = (await wrapped.json()) as { wrap_info: { token: string } };
    const tries = await Promise.all([
      ...Array.from({ length: 6 }, () => ask('POST', 'sys/wrapping/unwrap', {}, wrap_info.token)),
      ...Array.from({ length: 6 }, () => asRoot('POST', 'sys/wrapping/unwrap', { token: wrap_info.token })),
      ...Array.from({ length: 6 }, () => ask('GET', 'cubbyhole/response', undefined, wrap_info.token)),
      ...Array.from({ length: 6 }, () => asRoot('POST', 'sys/wrapping/rewrap', { token: wrap_info.token })),
    ]);
    expect(tries.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await asRoot('POST', 'sys/wrapping/lookup', { token: wrap_info.token })).status).toBe(400);
  });

  it('leaves nothing in its cubbyhole to the next one, nor to anybody beside it', async () => {
    const [one, two] = [await child({ policies: ['default'] }), await child({ policies: ['default'] })];
    await ask('POST', 'cubbyhole/mine', { v: 1 }, one);
    expect((await ask('GET', 'cubbyhole/mine', undefined, two)).status).toBe(404);
    expect((await asRoot('GET', 'cubbyhole/mine')).status).toBe(404);
    expect((await ask('GET', 'cubbyhole/mine', undefined, one)).status).toBe(200);
  });

  it('with few uses is counted to the last by all routes that ask for one', async () => {
    const token = await child({ policies: ['web'], num_uses: 5 });
    const all = await Promise.all([
      ...Array.from({ length: 10 }, () => ask('GET', 'secret/data/web', undefined, token)),
      ...Array.from({ length: 10 }, () => ask('POST', 'sys/capabilities-self', { paths: ['a'] }, token)),
    ]);
    expect(all.filter(({ status }) => status === 200)).toHaveLength(5);
    expect((await ask('GET', 'secret/data/web', undefined, token)).status).toBe(403);
  });
});
