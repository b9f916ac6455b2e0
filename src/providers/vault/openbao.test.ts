import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { kv } from '../../engines/kv/index.ts';
import { userpass } from '../../methods/userpass/index.ts';
import { NO_WAY_OUT } from '../../provider/egress.ts';
import { lookup } from '../../provider/property.ts';
import { object, testEnv } from '../../provider/testing.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { asVault, createOpenBaoProvider, openBaoSpec } from './openbao.ts';
import { dataPath, metadataPath } from './path.ts';
import { createVaultProvider } from './vault.ts';

let server: TestServer;
const write = async (path: string, body: object): Promise<void> => {
  expect([200, 204]).toContain((await server.ask('POST', path, body)).status);
};

beforeAll(async () => {
  server = await startServer([kv, userpass]);
  for (const mount of ['kv', 'team'])
    await write(`sys/mounts/${mount}`, { type: 'kv', options: { version: '2' } });
  await write('sys/auth/userpass', { type: 'userpass' });
  await write('sys/policies/acl/eso', {
    policy: ['kv', 'team']
      .map((mount) => `path "${mount}/*" { capabilities = ["create", "read", "update", "list", "delete"] }`)
      .join('\n'),
  });
  await write('auth/userpass/users/eso', { password: 'pass', token_policies: 'eso' });
  await write('kv/data/app', { data: { user: 'bob', deep: { a: 1 } } });
  await write('kv/data/folder/other', { data: { user: 'eve' } });
  await write('team/data/team/app', { data: { user: 'below a folder of the mount’s name' } });
}, 60_000);
afterAll(() => server.close());

const USER = { userPass: { username: 'eso', secretRef: { name: 'bao', key: 'password' } } };
const connected = (more: object = {}) =>
  createOpenBaoProvider(createVaultProvider()).connect(
    openBaoSpec.parse({ server: server.url, auth: USER, ...more }),
    testEnv({
      store: 'SecretStore team/bao',
      wayOut: { ...NO_WAY_OUT, mayReach: () => true },
      retry: { maxRetries: 0 },
      secretKey: async ({ key }) => utf8(key === 'password' ? 'pass' : server.root),
    }),
  );

describe('a store of openBao', () => {
  test('reads below the mount "kv" unless it names another, and pushes there, which upstream does not', async () => {
    const provider = await connected();
    expect(await provider.validate()).toBe('ready');
    const read = await provider.get({ key: 'app' });
    expect(textOf(lookup(read?.value ?? object({}), 'deep.a', 'app'))).toBe('1');
    expect(await provider.get({ key: 'none' })).toBeUndefined();
    const target = { key: 'pushed' };
    await provider.put?.(target, object({ a: 'b' }), { owner: 'me' });
    expect((await provider.get({ key: 'pushed' }))?.value).toMatchObject({ json: '{"a":"b"}' });
    await provider.close();
  });

  test('finds by name', async () => {
    const provider = await connected();
    const found: string[] = [];
    for await (const [key] of provider.find?.({ name: 'app|other' }) ?? []) found.push(key);
    expect(found.sort()).toEqual(['app', 'folder/other']);
    await provider.close();
  });

  test('takes a key as it is, also where it begins with the name of the mount', async () => {
    const provider = await connected({ path: 'team', auth: { tokenSecretRef: { name: 'bao' } } });
    const read = await provider.get({ key: 'team/app' });
    expect(textOf(lookup(read?.value ?? object({}), 'user', 'team/app'))).toMatch(/^below a folder/);
    const rule = asVault(openBaoSpec.parse({ server: 'http://bao', path: 'team' }));
    expect([dataPath(rule, 'team/app'), metadataPath(rule, 'team/app')]).toEqual([
      'team/data/team/app',
      'team/metadata/team/app',
    ]);
    await provider.close();
  });

  test.each([[{ ...USER, tokenSecretRef: { name: 'bao' } }], [{}], [{ kubernetes: { role: 'eso' } }]])(
    'logs in by one of the three methods that upstream has there: not by %j',
    (auth) => {
      const read = openBaoSpec.safeParse({ server: 'http://bao', auth });
      expect(read.error?.issues[0]?.message).toBe(
        'exactly one of tokenSecretRef, userPass, appRole must be set',
      );
    },
  );
});
