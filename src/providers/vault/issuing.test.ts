import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Json } from '../../base/json.ts';
import { silentLog } from '../../base/log.ts';
import type { WayOut } from '../../provider/egress.ts';
import { type Issuance, type LessorEnv, parametersOf } from '../../provider/issuer.ts';
import { testEnv } from '../../provider/testing.ts';
import { vaultLessor } from './ownlogin.ts';
import { vaultSpec } from './spec.ts';
import { createVaultProvider } from './vault.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Asked {
  readonly verb: string;
  readonly path: string;
  readonly query: string;
  readonly token: string;
  readonly body: Readonly<Record<string, unknown>>;
}
type Answer = readonly [status: number, body?: unknown];

const MOUNTS: Readonly<Record<string, string>> = { database: 'database', pki: 'pki', secret: 'kv' };
const denied: Answer = [403, { errors: ['permission denied'] }];

/** A server with a token per login; the test answers what is not about tokens and mounts. */
async function start(answer: (asked: Asked) => Answer | undefined, spec: Record<string, unknown> = {}) {
  const asked: Asked[] = [];
  let logins = 0;
  const dead = new Set<string>();
  const answerTo = (request: Asked): Answer => {
    const { path, token } = request;
    const given = answer(request);
    if (given !== undefined) return given;
    const granted = { client_token: '', lease_duration: 3600, renewable: true, policies: ['p'] };
    if (path === 'auth/kubernetes/login')
      return [200, { auth: { ...granted, client_token: `t${++logins}` } }];
    if (dead.has(token)) return denied;
    if (path === 'auth/token/create')
      return [200, { auth: { ...granted, client_token: `child${++logins}` } }];
    if (path === 'auth/token/renew-self') return [200, { auth: { ...granted, client_token: token } }];
    if (path === 'auth/token/lookup-self') return [200, { data: { ttl: 1 } }];
    if (path === 'auth/token/revoke-self') {
      dead.add(token);
      return [204];
    }
    const mount = path.startsWith('sys/internal/ui/mounts/') ? (path.split('/')[4] ?? '') : '';
    if (MOUNTS[mount] !== undefined) return [200, { data: { path: `${mount}/`, type: MOUNTS[mount] } }];
    if (path.startsWith('sys/internal')) return denied;
    return [404, { errors: [] }];
  };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://x');
      const text = Buffer.concat(chunks).toString();
      const one: Asked = {
        verb: request.method ?? '',
        path: decodeURIComponent(url.pathname.slice(4)),
        query: url.search,
        token: String(request.headers['x-vault-token'] ?? ''),
        body: text === '' ? {} : JSON.parse(text),
      };
      asked.push(one);
      const [status, body] = answerTo(one);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? '' : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const env = testEnv({
    wayOut: open,
    retry: { maxRetries: 2, retryIntervalMs: 1 },
    serviceAccountToken: async () => 'jwt',
    secretKey: async () => Buffer.from('given'),
  });
  const provider = await createVaultProvider().connect(
    vaultSpec.parse({
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      path: 'secret',
      auth: { kubernetes: { role: 'r', serviceAccountRef: { name: 'sa', audiences: ['vault'] } } },
      ...spec,
    }),
    env,
  );
  closing.push(() => void provider.close());
  const find = async (key: string, more: { parameters?: string; chosen?: boolean } = {}) =>
    provider.issuance?.(
      { key },
      {
        ...(more.chosen === undefined ? {} : { chosen: more.chosen }),
        ...(more.parameters === undefined
          ? {}
          : { parameters: parametersOf(`x?${more.parameters}`).parameters }),
      },
    );
  const lessorEnv: LessorEnv = { resolve: (host, port) => ({ host, port }), log: silentLog, wayOut: open };
  return {
    asked,
    provider,
    find,
    dead,
    lessorEnv,
    paths: () => asked.map(({ verb, path }) => `${verb} ${path}`),
  };
}

const open = { mayReach: () => true } as unknown as WayOut;
const creds = {
  lease_id: 'database/creds/app/1',
  lease_duration: 3600,
  renewable: true,
  data: { username: 'u', password: 'p' },
};
const GIVEN = { auth: { tokenSecretRef: { name: 't', key: 'token' } } };
const issue = async (found: Issuance | undefined) => {
  if (found === undefined) throw new Error('nothing issues there');
  const login = await found.open();
  return { login, issued: await found.issue(login) };
};

describe('what a key names', () => {
  test('is an engine where there is no stored secret and the server says so', async () => {
    const { find } = await start(() => undefined);
    expect(await find('database/creds/app')).toMatchObject({ path: 'database/creds/app', sole: false });
    expect(await find('/database/creds/app?ttl=1h')).toMatchObject({ path: 'database/creds/app' });
    expect(await find('nowhere/creds/app')).toBeUndefined();
    expect(await find('secret/creds/app')).toBeUndefined();
  });

  test('is a stored secret where there is one, or was', async () => {
    for (const stored of [
      [200, { data: { data: { a: 1 }, metadata: { version: 1 } } }],
      [404, { data: { data: null, metadata: { version: 3, deletion_time: '2026-01-01T00:00:00Z' } } }],
    ] as const) {
      const { find } = await start(({ path }) =>
        path === 'secret/data/database/creds/app' ? stored : undefined,
      );
      expect(await find('database/creds/app')).toBeUndefined();
      expect(await find('database/creds/app', { chosen: true })).toBeDefined();
    }
  });

  test('is an engine where the path of a stored secret is denied and that of the engine granted, and not else', async () => {
    for (const [granted, there] of [
      [['read'], true],
      [['deny'], false],
      [['list'], false],
    ] as const) {
      const { find } = await start(({ path, body }) => {
        if (path === 'secret/data/database/creds/app') return denied;
        if (path !== 'sys/capabilities-self') return undefined;
        const paths = body['paths'] as readonly string[];
        return [200, { data: Object.fromEntries(paths.map((one) => [one, granted])) }];
      });
      expect((await find('database/creds/app')) !== undefined).toBe(there);
    }
  });

  test('is decided by the mount alone in version 1, and never read under the login that all share', async () => {
    const { find, provider, asked } = await start(
      ({ path }) => (path === 'database/creds/app' ? [200, creds] : undefined),
      { version: 'v1', path: undefined },
    );
    expect(await provider.get({ key: 'database/creds/app' })).toBeUndefined();
    expect(await find('database/creds/app')).toMatchObject({ sole: true });
    expect(asked.filter(({ path }) => path === 'database/creds/app')).toEqual([]);
  });

  test('is asked for once a minute for each mount', async () => {
    const { find, paths } = await start(() => undefined);
    for (const role of ['a', 'b', 'c']) await find(`database/creds/${role}`);
    expect(paths().filter((path) => path.includes('internal/ui/mounts'))).toHaveLength(1);
  });
});

describe('a credential', () => {
  test('is issued under a login of its own, and says what its envelope says', async () => {
    const { find, asked } = await start(({ path }) =>
      path === 'database/creds/app' ? [200, creds] : undefined,
    );
    const { login, issued } = await issue(await find('database/creds/app'));
    expect(issued.envelope).toEqual({ leaseId: 'database/creds/app/1', leaseSeconds: 3600, renewable: true });
    expect(JSON.parse(issued.value.json)).toEqual(creds.data);
    expect(login.life).toEqual({ ms: 3_600_000, renewable: true });
    const tokens = asked.filter(({ path }) => path === 'database/creds/app').map(({ token }) => token);
    expect(tokens).toEqual(['t2']);
    expect(JSON.stringify(login.handle)).toContain('t2');
  });

  test('is asked for once, however the answer gets lost', async () => {
    const { find, paths } = await start(({ path }) =>
      path === 'database/creds/app' ? [500, { errors: ['the database is away'] }] : undefined,
    );
    await expect(issue(await find('database/creds/app'))).rejects.toThrow(/the database is away/);
    expect(paths().filter((path) => path.endsWith('creds/app') && !path.includes('sys/'))).toEqual([
      'GET secret/data/database/creds/app',
      'GET database/creds/app',
    ]);
  });

  test('is issued under a child of the token that a store is given', async () => {
    const { find, asked } = await start(
      ({ path }) => (path === 'database/creds/app' ? [200, creds] : undefined),
      GIVEN,
    );
    await issue(await find('database/creds/app'));
    expect(asked.find(({ path }) => path === 'auth/token/create')?.token).toBe('given');
    expect(asked.at(-1)).toMatchObject({ path: 'database/creds/app', token: 'child1' });
  });

  test('is issued by that token itself, where it may have no child: by its policies or as a batch token', async () => {
    for (const refusal of [denied, [400, { errors: ['batch tokens cannot create more tokens'] }]] as const) {
      const { find, asked } = await start(({ path }) => {
        if (path === 'auth/token/create') return refusal;
        return path === 'database/creds/app' ? [200, creds] : undefined;
      }, GIVEN);
      const { login } = await issue(await find('database/creds/app'));
      expect(login.life).toEqual({ ms: undefined, renewable: false });
      expect(login.handle).toMatchObject({ token: 'given', ours: false, knowsItself: true });
      expect(asked.at(-1)).toMatchObject({ path: 'database/creds/app', token: 'given' });
    }
  });

  test('is not issued while the server cannot say whether there may be a child', async () => {
    const { find, paths } = await start(
      ({ path }) => (path === 'auth/token/create' ? [503, { errors: ['Vault is sealed'] }] : undefined),
      GIVEN,
    );
    await expect(issue(await find('database/creds/app'))).rejects.toMatchObject({ kind: 'sealed' });
    expect(paths()).not.toContain('GET database/creds/app');
  });

  test('with parameters is written with them: those of the key go before those of the annotation', async () => {
    const { find, asked } = await start(({ verb, path }) =>
      verb === 'PUT' && path === 'pki/issue/web'
        ? [200, { data: { certificate: 'c', private_key: 'k', expiration: 1_900_000_000 } }]
        : undefined,
    );
    const key = 'pki/issue/web?common_name=a.example.com&ip_sans=10.0.0.1&ip_sans=10.0.0.2';
    const { issued } = await issue(await find(key, { parameters: 'common_name=b.example.com&ttl=1h' }));
    expect(asked.at(-1)?.body).toEqual({
      common_name: 'a.example.com',
      ttl: '1h',
      ip_sans: ['10.0.0.1', '10.0.0.2'],
    });
    expect(issued.notAfter).toBe(1_900_000_000_000);
    expect(issued.envelope.leaseId).toBe('');
  });

  test('that is only read gets its parameters in the query', async () => {
    const { find, asked } = await start(({ verb, path }) => {
      if (path !== 'database/creds/app') return undefined;
      return verb === 'GET' ? [200, creds] : [405, { errors: ['unsupported operation'] }];
    });
    await issue(await find('database/creds/app?ttl=1h'));
    expect(asked.at(-1)).toMatchObject({ verb: 'GET', query: '?ttl=1h' });
  });

  test('that has to be written and is given nothing says all ways to name its parameters, also where reading is denied', async () => {
    for (const refusal of [[405, { errors: ['unsupported operation'] }], denied] as const) {
      const { find } = await start(({ verb, path, body }) => {
        if (path === 'pki/issue/web') return verb === 'GET' ? refusal : [200, { data: {} }];
        if (path !== 'sys/capabilities-self') return undefined;
        return [
          200,
          { data: Object.fromEntries((body['paths'] as string[]).map((one) => [one, ['update']])) },
        ];
      });
      await expect(issue(await find('pki/issue/web'))).rejects.toMatchObject({
        code: 'provider.parameters',
        message: expect.stringMatching(
          /pki\/issue\/web\?common_name=.*holdfast\.dev\/parameters.*VaultDynamicSecret/,
        ),
      });
    }
  });

  test('that the policy does not grant says which line would', async () => {
    const { find } = await start(({ path }) => (path === 'database/creds/app' ? denied : undefined));
    await expect(issue(await find('database/creds/app'))).rejects.toMatchObject({
      code: 'provider.denied',
      hint: expect.stringMatching(/path "database\/creds\/app" \{ capabilities = \["read"\] \}/),
    });
  });
});

describe('the lessor', () => {
  const LEASE = 'database/creds/app/1';
  const held = async (answer: (asked: Asked) => Answer | undefined = () => undefined) => {
    const world = await start((one) => (one.path === 'database/creds/app' ? [200, creds] : answer(one)));
    const { login } = await issue(await world.find('database/creds/app'));
    return { ...world, handle: login.handle };
  };

  test('renews the login first and then the lease, both for what they were issued for', async () => {
    const { handle, lessorEnv, asked } = await held(({ path }) =>
      path === 'sys/leases/renew'
        ? [200, { lease_id: LEASE, lease_duration: 1800, renewable: true }]
        : undefined,
    );
    const given = await vaultLessor.renew(handle, { id: LEASE, seconds: 3600 }, lessorEnv);
    expect(given).toEqual({
      login: { ms: 3_600_000, renewable: true },
      lease: { ms: 1_800_000, renewable: true },
    });
    expect(asked.slice(-2)).toMatchObject([
      { path: 'auth/token/renew-self', body: { increment: 3600 } },
      { path: 'sys/leases/renew', body: { lease_id: LEASE, increment: 3600 } },
    ]);
  });

  test('knows a lease that is gone from one that it may not look up', async () => {
    let said: Answer = [200, { data: {} }];
    const { handle, lessorEnv, dead } = await held(({ path }) =>
      path === 'sys/leases/lookup' ? said : undefined,
    );
    const stands = () => vaultLessor.stands(handle, LEASE, lessorEnv);
    expect(await stands()).toBe(true);
    said = [400, { errors: ['invalid lease'] }];
    expect(await stands()).toBe(false);
    said = denied;
    expect(await stands()).toBe(true);
    said = [500, { errors: ['oops'] }];
    expect(await stands()).toBe(true);
    said = denied;
    dead.add('t2');
    expect(await stands()).toBe(false);
  });

  test('takes a login back, twice as well as once', async () => {
    const { handle, lessorEnv, dead } = await held();
    await vaultLessor.revoke(handle, LEASE, lessorEnv);
    await vaultLessor.revoke(handle, LEASE, lessorEnv);
    expect([...dead]).toEqual(['t2']);
  });

  test('revokes the lease alone, where the login cannot be taken back or may not end itself', async () => {
    for (const refusal of [[400, { errors: ['batch tokens cannot be revoked'] }], denied] as const) {
      const { handle, lessorEnv, asked } = await held(({ path }) => {
        if (path === 'auth/token/revoke-self') return refusal;
        return path === 'sys/leases/revoke' ? [204] : undefined;
      });
      await vaultLessor.revoke(handle, LEASE, lessorEnv);
      expect(asked.at(-1)).toMatchObject({ path: 'sys/leases/revoke', body: { lease_id: LEASE } });
    }
  });

  test('fails where the server is away, so that it is tried again', async () => {
    const { handle, lessorEnv } = await held(({ path }) =>
      path === 'auth/token/revoke-self' ? [503, { errors: ['Vault is sealed'] }] : undefined,
    );
    await expect(vaultLessor.revoke(handle, LEASE, lessorEnv)).rejects.toMatchObject({ kind: 'sealed' });
  });

  test('connects nowhere that the operator may not connect to', async () => {
    const { handle, lessorEnv } = await held();
    const closed = { ...lessorEnv, wayOut: { mayReach: () => false } as unknown as WayOut };
    await expect(vaultLessor.revoke(handle, LEASE, closed)).rejects.toThrow();
  });
});

describe('the lessor of a token that was given', () => {
  const LEASE = 'database/creds/app/1';
  const held = async (answer: (asked: Asked) => Answer | undefined = () => undefined) => {
    const world = await start((one) => {
      if (one.path === 'auth/token/create') return denied;
      return one.path === 'database/creds/app' ? [200, creds] : answer(one);
    }, GIVEN);
    const { login } = await issue(await world.find('database/creds/app'));
    world.asked.length = 0;
    return { ...world, handle: login.handle };
  };

  test('renews and takes back the lease alone, whatever the server would grant for the token', async () => {
    const { handle, lessorEnv, asked, dead } = await held(({ path }) => {
      if (path === 'sys/leases/renew')
        return [200, { lease_id: LEASE, lease_duration: 3600, renewable: true }];
      return path === 'sys/leases/revoke' ? [204] : undefined;
    });
    expect(await vaultLessor.renew(handle, { id: LEASE, seconds: 3600 }, lessorEnv)).toEqual({
      lease: { ms: 3_600_000, renewable: true },
    });
    await vaultLessor.revoke(handle, LEASE, lessorEnv);
    expect(asked.map(({ path, token }) => `${path} by ${token}`)).toEqual([
      'sys/leases/renew by given',
      'sys/leases/revoke by given',
    ]);
    expect(dead.size).toBe(0);
  });

  test('asks nothing where no lease is known, as after a crash, and lets one that it may not revoke run out', async () => {
    const { handle, lessorEnv, asked } = await held(({ path }) =>
      path === 'sys/leases/revoke' ? denied : undefined,
    );
    await vaultLessor.revoke(handle, undefined, lessorEnv);
    expect(asked).toEqual([]);
    await vaultLessor.revoke(handle, LEASE, lessorEnv);
    expect(asked.map(({ path }) => path)).toEqual(['sys/leases/revoke']);
  });

  test('fails where the server is away, so that the lease is taken back later', async () => {
    const { handle, lessorEnv } = await held(({ path }) =>
      path === 'sys/leases/revoke' ? [503, { errors: ['Vault is sealed'] }] : undefined,
    );
    await expect(vaultLessor.revoke(handle, LEASE, lessorEnv)).rejects.toMatchObject({ kind: 'sealed' });
  });

  test('believes in a lease that it may not look up, unless the token knew itself and does no more', async () => {
    const lookup = ({ path }: Asked) => (path === 'sys/leases/lookup' ? denied : undefined);
    const { handle, lessorEnv, dead } = await held(lookup);
    expect(await vaultLessor.stands(handle, LEASE, lessorEnv)).toBe(true);
    dead.add('given');
    expect(await vaultLessor.stands(handle, LEASE, lessorEnv)).toBe(false);
    // A policy without the rights of "default": it never knew itself, so that says nothing.
    const narrow = await held((one) => (one.path === 'auth/token/lookup-self' ? denied : lookup(one)));
    expect(await vaultLessor.stands(narrow.handle, LEASE, narrow.lessorEnv)).toBe(true);
  });

  test('takes a handle that an earlier release stored for one of our own', async () => {
    const { handle, lessorEnv, paths } = await held();
    const { ours: _, knowsItself: __, ...old } = handle as { [key: string]: Json };
    await vaultLessor.revoke(old, LEASE, lessorEnv);
    expect(paths()).toEqual(['PUT auth/token/revoke-self']);
  });
});
