import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { describeProvider } from '../../provider/conformance.ts';
import { NO_WAY_OUT } from '../../provider/egress.ts';
import { lookup } from '../../provider/property.ts';
import { testEnv } from '../../provider/testing.ts';
import { dataPath, metadataPath } from './path.ts';
import { vaultSpec } from './spec.ts';
import { createVaultProvider } from './vault.ts';

describe('paths, cell by cell', () => {
  test.each([
    [
      'secret/grafana/admin',
      'secret/data/grafana/admin',
      'secret/data/grafana/admin',
      'secret/grafana/admin',
      'secret/grafana/admin',
      'kv/data/secret/grafana/admin',
    ],
    [
      'secret/data/argocd/admin',
      'secret/data/argocd/admin',
      'secret/data/argocd/admin',
      'secret/data/argocd/admin',
      'secret/data/argocd/admin',
      'kv/data/secret/data/argocd/admin',
    ],
    [
      'ci-cd/github',
      'secret/data/ci-cd/github',
      'ci-cd/data/github',
      'secret/ci-cd/github',
      'ci-cd/github',
      'kv/data/ci-cd/github',
    ],
    ['data/foo', 'secret/data/data/foo', 'data/data/foo', 'secret/data/foo', 'data/foo', 'kv/data/data/foo'],
    [
      'database/creds/x',
      'secret/data/database/creds/x',
      'database/data/creds/x',
      'secret/database/creds/x',
      'database/creds/x',
      'kv/data/database/creds/x',
    ],
    [
      'pki/issue/x',
      'secret/data/pki/issue/x',
      'pki/data/issue/x',
      'secret/pki/issue/x',
      'pki/issue/x',
      'kv/data/pki/issue/x',
    ],
    ['admin', 'secret/data/admin', 'admin/data', 'secret/admin', 'admin', 'kv/data/admin'],
    // HashiCorp's client joins paths: manifests in the wild begin their keys with a slash, and end some with one.
    [
      '/kafka/app',
      'secret/data/kafka/app',
      'data/kafka/app',
      'secret/kafka/app',
      'kafka/app',
      'kv/data/kafka/app',
    ],
    ['secret//app/', 'secret/data/app', 'secret/data/app', 'secret/app', 'secret/app', 'kv/data/secret/app'],
  ])('%s', (key, secret2, unset2, secret1, unset1, kv2) => {
    expect([
      dataPath({ path: 'secret', version: 'v2' }, key),
      dataPath({ version: 'v2' }, key),
      dataPath({ path: 'secret', version: 'v1' }, key),
      dataPath({ version: 'v1' }, key),
      dataPath({ path: 'kv', version: 'v2' }, key),
    ]).toEqual([secret2, unset2, secret1, unset1, kv2]);
  });

  test('metadata lies beside the data, in every spelling of the key', () => {
    expect(metadataPath({ path: 'secret', version: 'v2' }, 'secret/a')).toBe('secret/metadata/a');
    expect(metadataPath({ version: 'v2' }, 'secret/data/a')).toBe('secret/metadata/a');
    expect(metadataPath({ version: 'v2' }, 'secret/a/data/b')).toBe('secret/a/metadata/b');
    expect(metadataPath({ path: 'secret', version: 'v2' }, '/a//b')).toBe('secret/metadata/a/b');
  });
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

type Answer = readonly [number, unknown];
interface Fake {
  logins: number;
  log: string[];
  valid: Set<string>;
  lease: number;
  audience: string | undefined;
  read: (path: string, url: URL) => Answer | Promise<Answer>;
}

/** A server that grants tokens, and answers reads as the test says. */
async function start(read: Fake['read'], spec: Record<string, unknown> = {}) {
  const fake: Fake = { logins: 0, log: [], valid: new Set(), lease: 3600, audience: undefined, read };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (c) => chunks.push(c));
    request.on('end', async () => {
      const url = new URL(request.url ?? '', 'http://x');
      const path = url.pathname.slice(4);
      const token = String(request.headers['x-vault-token'] ?? '');
      fake.log.push(`${request.method} ${path}`);
      const answer = async (): Promise<Answer> => {
        if (path.startsWith('auth/') && path.endsWith('/login')) {
          const { jwt } = JSON.parse(Buffer.concat(chunks).toString());
          if (fake.audience !== undefined && jwt !== `jwt:${fake.audience}`)
            return [403, { errors: ['permission denied'] }];
          const made = `hvs.${++fake.logins}`;
          fake.valid.add(made);
          return [
            200,
            { auth: { client_token: made, lease_duration: fake.lease, renewable: true, policies: ['eso'] } },
          ];
        }
        if (!fake.valid.has(token)) return [403, { errors: ['permission denied'] }];
        if (path === 'auth/token/lookup-self') return [200, { data: { ttl: 10, type: 'service' } }];
        if (path === 'auth/token/renew-self')
          return [200, { auth: { client_token: token, lease_duration: fake.lease, renewable: true } }];
        if (path === 'auth/token/revoke-self') {
          fake.valid.delete(token);
          return [204, ''];
        }
        return await fake.read(path, url);
      };
      const [status, body] = await answer();
      response.writeHead(status);
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const time = { now: 0 };
  const env = testEnv({
    store: 'SecretStore team/vault',
    retry: { maxRetries: 0 },
    wayOut: { ...NO_WAY_OUT, mayReach: () => true },
    secretKey: async () => utf8('hvs.static\n'),
    configMapKey: async () => utf8(''),
    serviceAccountToken: async ({ audiences }) => `jwt:${audiences.join(',')}`,
  });
  const provider = await createVaultProvider({ monotonic: () => time.now }).connect(
    vaultSpec.parse({
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      path: 'secret',
      auth: { kubernetes: { role: ' eso ', serviceAccountRef: { name: 'external-secrets' } } },
      ...spec,
    }),
    env,
  );
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { fake, provider, time };
}

const kv = (data: string, version = 1): Answer => [
  200,
  `{"data":{"data":${data},"metadata":{"version":${version}}}}`,
];
const failureOf = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => undefined,
    (e) => e,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return error;
};

describeProvider('vault', {
  async start(planted) {
    const { provider } = await start((path, url) => {
      const [, , area = '', key = ''] = /^(secret)\/(data|metadata)\/(.*)$/.exec(path) ?? [];
      if (area === 'metadata' && key === '')
        return [200, { data: { keys: [...new Set(planted.map((secret) => secret.key))] } }];
      const wanted = url.searchParams.get('version');
      const versions = planted.filter((secret) => secret.key === key);
      const found = versions.findLast(({ version }) => wanted === null || version === wanted);
      if (found === undefined) return [404, { errors: [] }];
      if (area === 'metadata') return [200, { data: { custom_metadata: found.tags ?? null } }];
      return kv(JSON.stringify(found.fields), Number(found.version ?? 1));
    });
    return { provider, stop: () => provider.close() };
  },
  without: {
    binary: 'values of KV are JSON',
    write: 'held to against a server of ours: test/compat/pushsecret-vault.test.ts',
    properties: 'held to there, too',
  },
});

describe('reads', () => {
  test('a secret comes with its order, digits and version', async () => {
    const { provider, fake } = await start(() => kv('{"z":12345678901234567890,"10":"a"}', 4));
    const read = await provider.get({ key: 'secret/app' });
    expect(read?.version).toBe('4');
    expect(textOf(lookup(read?.value ?? { bytes: utf8('') }, '', 'k'))).toBe(
      '{"z":12345678901234567890,"10":"a"}',
    );
    expect(fake.log.at(-1)).toBe('GET secret/data/app');
  });

  test('an unknown key and a deleted version are absent; a denied path is a failure that says what is missing', async () => {
    const { provider } = await start((path) => {
      if (path === 'sys/capabilities-self') return [200, { data: { 'secret/data/no': ['list'] } }];
      if (path.endsWith('/none')) return [404, { errors: [] }];
      if (path.endsWith('/gone')) return [404, { data: { data: null, metadata: { version: 3 } } }];
      return [403, { errors: ['permission denied'] }];
    });
    expect(await provider.get({ key: 'none' })).toBeUndefined();
    expect(await provider.get({ key: 'gone' })).toBeUndefined();
    const failure = await failureOf(provider.get({ key: 'no' }));
    expect(failure.code).toBe('provider.denied');
    expect(failure.message).toBe('SecretStore team/vault: cannot read secret/data/no: permission denied');
    expect(failure.hint).toBe('The token has [list] on secret/data/no (its policies: eso); it needs "read".');
  });

  test.each([
    [503, { errors: ['Vault is sealed'] }, 'api.sealed'],
    [500, { errors: ['boom'] }, 'api.internal'],
    [200, '{"data":{}}', 'provider.read'],
    [200, 'canary {', 'provider.read'],
    [200, '{"data":{"data":[1]}}', 'provider.read'],
  ])('an answer of %i %j is never taken for absence', async (status, body, code) => {
    const { provider } = await start(() => [status, body]);
    const failure = await failureOf(provider.get({ key: 'a' }));
    expect(failure.code).toBe(code);
    expect(`${failure.message}${failure.stack}`).not.toContain('canary');
  });

  test('a hundred who ask at once are one login and one read', async () => {
    const { provider, fake } = await start(() => kv('{"a":"b"}'));
    await Promise.all(Array.from({ length: 100 }, () => provider.get({ key: 'app' })));
    expect(fake.log).toEqual(['PUT auth/kubernetes/login', 'GET secret/data/app']);
  });

  test('whoever heard of a change does not get an answer that was begun before it, and waits for its version', async () => {
    let version = 1;
    let release: (() => void) | undefined;
    const gate = new Promise<void>((done) => {
      release = done;
    });
    let asked = 0;
    const { provider } = await start(async () => {
      const mine = ++asked;
      const now = version;
      if (mine === 1) await gate;
      return kv('{}', mine === 2 ? 1 : now);
    });
    const early = provider.get({ key: 'app' });
    while (asked === 0) await new Promise((done) => setTimeout(done, 1));
    version = 2;
    const late = await provider.get({ key: 'app' }, { notBefore: { version: 2 } });
    expect(late?.version).toBe('2');
    release?.();
    expect((await early)?.version).toBe('1');
    expect(asked).toBe(3);
  });

  test('one who gives up does not take the read of the others along', async () => {
    const { provider } = await start(async () => {
      await new Promise((done) => setTimeout(done, 30));
      return kv('{"a":"b"}');
    });
    const stop = new AbortController();
    const leaves = provider.get({ key: 'app' }, { signal: stop.signal });
    const stays = provider.get({ key: 'app' });
    stop.abort(new Error('left'));
    await expect(leaves).rejects.toThrow('left');
    expect((await stays)?.version).toBe('1');
  });
});

describe('the token', () => {
  test('is renewed at two thirds of its life and got anew once it is dead', async () => {
    const { provider, fake, time } = await start(() => kv('{}'));
    await provider.get({ key: 'a' });
    time.now = 2401_000;
    await provider.get({ key: 'a' });
    expect(fake.log.filter((l) => l.includes('renew'))).toHaveLength(1);
    time.now = 100_000_000;
    await provider.get({ key: 'a' });
    expect(fake.logins).toBe(2);
  });

  test('that the server forgot is got anew, once; a policy that denies causes no logins', async () => {
    const { provider, fake, time } = await start((path) =>
      path.endsWith('/no') ? [403, { errors: ['permission denied'] }] : kv('{}'),
    );
    await provider.get({ key: 'a' });
    time.now = 10_000;
    fake.valid.clear();
    expect((await provider.get({ key: 'a' }))?.version).toBe('1');
    expect(fake.logins).toBe(2);
    time.now = 20_000;
    for (let i = 0; i < 5; i++) await failureOf(provider.get({ key: 'no' }));
    expect(fake.logins).toBe(2);
  });

  test('that its role would give more now is replaced, seldom by itself and at once where rights changed', async () => {
    const allowed = new Set<string>();
    const { provider, fake, time } = await start((path) =>
      path.endsWith('/no') && !allowed.has(`hvs.${fake.logins}`)
        ? [403, { errors: ['permission denied'] }]
        : kv('{}'),
    );
    await failureOf(provider.get({ key: 'no' }));
    expect(fake.logins).toBe(1);
    provider.rightsChanged?.();
    allowed.add('hvs.2');
    expect(await Promise.all(Array.from({ length: 5 }, () => provider.get({ key: 'no' })))).toHaveLength(5);
    expect(fake.logins).toBe(2);
    expect([...fake.valid]).toEqual(['hvs.2']);
    allowed.clear();
    time.now = 15_000;
    await failureOf(provider.get({ key: 'no' }));
    expect(fake.logins).toBe(2);
    time.now = 21_000;
    allowed.add('hvs.3');
    expect((await provider.get({ key: 'no' }))?.version).toBe('1');
    expect([...fake.valid]).toEqual(['hvs.3']);
  });

  test('that still opens much stays where a refusal elsewhere asks for a login and there is none', async () => {
    const { provider, fake, time } = await start((path) =>
      path.endsWith('/no') ? [403, { errors: ['permission denied'] }] : kv('{}'),
    );
    await provider.get({ key: 'a' });
    fake.audience = 'another';
    for (let i = 1; i <= 5; i++) {
      time.now = i * 20_000;
      provider.rightsChanged?.();
      expect((await failureOf(provider.get({ key: 'no' }))).code).toBe('provider.denied');
      expect((await provider.get({ key: 'a' }))?.version).toBe('1');
    }
    expect(fake.log.filter((line) => line.endsWith('/revoke-self'))).toEqual([]);
  });

  test('is revoked when the store is closed', async () => {
    const { provider, fake } = await start(() => kv('{}'));
    await provider.get({ key: 'a' });
    await provider.close();
    expect(fake.valid.size).toBe(0);
  });

  test('for a role bound to the audience "vault" is found where the manifest names none', async () => {
    const { provider, fake } = await start(() => kv('{}'));
    fake.audience = 'vault';
    expect((await provider.get({ key: 'a' }))?.version).toBe('1');
  });

  test('that is refused names the store, the mount and what to check', async () => {
    const { provider, fake } = await start(() => kv('{}'));
    fake.audience = 'another';
    const failure = await failureOf(provider.validate());
    expect(failure.code).toBe('provider.login');
    expect(failure.message).toContain('SecretStore team/vault: cannot log in');
    expect(failure.hint).toContain('role "eso"');
  });

  test('of a Secret is used as it is, and is not ours to revoke', async () => {
    const { provider, fake } = await start(() => kv('{}'), {
      auth: { tokenSecretRef: { name: 't', key: 'token' } },
    });
    fake.valid.add('hvs.static');
    await provider.get({ key: 'a' });
    await provider.close();
    expect(fake.log).toEqual(['GET secret/data/a']);
  });

  test.each([
    [{ iam: { vaultRole: 'r' } }, 'provider.unsupported', 'auth.iam'],
    [{}, 'provider.spec', 'no valid auth method specified'],
    [{ kubernetes: { role: 'r' } }, 'provider.unsupported', 'neither a serviceAccountRef nor a secretRef'],
  ])('by %j is refused with the reason', async (auth, code, reason) => {
    const { provider } = await start(() => kv('{}'), { auth });
    const failure = await failureOf(provider.get({ key: 'a' }));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(reason);
  });
});

describe('search', () => {
  const tree: Record<string, readonly string[]> = {
    'secret/metadata/': ['app/', 'top'],
    'secret/metadata/app/': ['db', 'api'],
  };
  const answer = (path: string): Answer => {
    const keys = tree[path];
    if (keys !== undefined) return [200, { data: { keys } }];
    if (path === 'secret/metadata/app/db') return [200, { data: { custom_metadata: { env: 'prod' } } }];
    if (path.startsWith('secret/metadata/')) return [200, { data: { custom_metadata: null } }];
    return kv(`{"p":"${path}"}`);
  };
  const find = async (query: object) => {
    const { provider } = await start(answer);
    const keys: string[] = [];
    for await (const [key] of provider.find?.(query) ?? []) keys.push(key);
    return keys;
  };

  test('walks the folders and matches the whole relative path', async () => {
    expect(await find({ name: '.*' })).toEqual(['top', 'app/db', 'app/api']);
    expect(await find({ path: 'app', name: '^app/d' })).toEqual(['app/db']);
    expect(await find({ tags: { env: 'prod' } })).toEqual(['app/db']);
    expect(await find({ path: 'nothing' })).toEqual([]);
  });
});
