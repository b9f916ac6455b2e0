import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { approle } from '../../methods/approle/index.ts';
import type { WayOut } from '../../provider/egress.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { testEnv } from '../../provider/testing.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { clientUnder, openOwnLogin, vaultLessor } from './ownlogin.ts';
import { vaultSpec } from './spec.ts';
import { createVaultProvider } from './vault.ts';

const CANARY = 'canary-CorrectHorse';
const open = { mayReach: () => true } as unknown as WayOut;

let server: TestServer;
/** What the Secrets of the namespace hold, by "name/key". */
const secrets = new Map<string, string>();

const write = async (path: string, body: object): Promise<{ readonly [key: string]: string }> => {
  const { status, json } = await server.ask('POST', path, body);
  expect([200, 204]).toContain(status);
  return json?.data ?? {};
};

beforeAll(async () => {
  server = await startServer([approle]);
  await write('sys/auth/approle', { type: 'approle' });
  await write('sys/auth/team/roles', { type: 'approle' });
}, 60_000);
afterAll(() => server.close());

const envOf = (more: Partial<ProviderEnv> = {}): ProviderEnv =>
  testEnv({
    store: 'SecretStore team/vault',
    wayOut: open,
    retry: { maxRetries: 0 },
    secretKey: async ({ name, key }) => utf8(secrets.get(`${name}/${key}`) ?? ''),
    ...more,
  });
const specOf = (auth: object, more: object = {}) => vaultSpec.parse({ server: server.url, auth, ...more });

/** Who the store is to the server: its own token, looked at by itself. */
async function loggedIn(auth: object, more: Partial<ProviderEnv> = {}, settings: object = {}) {
  const spec = specOf(auth, settings);
  const env = envOf(more);
  const provider = await createVaultProvider().connect(spec, env);
  try {
    expect(await provider.validate()).toBe('ready');
    expect(provider.endsAt?.()).toBeGreaterThan(Date.now());
  } finally {
    await provider.close();
  }
  const own = await openOwnLogin(spec, env);
  const client = clientUnder(own.handle, env);
  const lessorEnv = { resolve: env.resolve, log: env.log, wayOut: env.wayOut };
  try {
    const { envelope } = await client.request('GET', 'auth/token/lookup-self');
    // Ours to keep and to take back: a login for one credential is renewed and revoked by its handle alone.
    expect((await vaultLessor.renew(own.handle, undefined, lessorEnv)).login?.ms).toBeGreaterThan(0);
    await vaultLessor.revoke(own.handle, undefined, lessorEnv);
    const dead = await client.request('GET', 'auth/token/lookup-self').catch((error: unknown) => error);
    expect(isFailure(dead, 'api.denied')).toBe(true);
    return envelope?.data as { readonly policies: readonly string[]; readonly path: string };
  } finally {
    client.close();
  }
}

/** The failure that a login ends with, which holds nothing that was shown. */
async function refused(auth: object, more: Partial<ProviderEnv> = {}, settings: object = {}) {
  const error = await loggedIn(auth, more, settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  const { code, message, hint } = error;
  expect(`${message}${hint}${error.stack}${JSON.stringify(error)}`).not.toContain(CANARY);
  return { code, message, hint };
}

/** What a manifest is told before anybody asks the server. */
const wrong = (auth: object): readonly string[] => {
  const { error } = vaultSpec.safeParse({ server: 'http://v', auth });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
};

describe('appRole', () => {
  const secretRef = { name: 'approle', key: 'secret-id' };
  let roleId = '';
  const prepared = async (mount = 'approle'): Promise<void> => {
    await write(`auth/${mount}/role/app`, { token_policies: 'eso', token_ttl: '1h' });
    roleId = (await server.ask('GET', `auth/${mount}/role/app/role-id`)).json.data.role_id;
    secrets.set('approle/role-id', `${roleId}\n`);
    const made = await write(`auth/${mount}/role/app/secret-id`, {});
    secrets.set('approle/secret-id', `${made['secret_id']}\n`);
  };

  test('logs in by a role id in the store, with white space around it, and a secret id of a Secret', async () => {
    await prepared();
    const who = await loggedIn({ appRole: { roleId: ` ${roleId}\n`, secretRef } });
    expect(who).toMatchObject({ policies: ['default', 'eso'], path: 'auth/approle/login' });
  });

  test('takes the role id of a Secret where the store names none, at any mount', async () => {
    await prepared('team/roles');
    const appRole = { path: '/team/roles/', roleRef: { name: 'approle', key: 'role-id' }, secretRef };
    expect(await loggedIn({ appRole })).toMatchObject({ path: 'auth/team/roles/login' });
    // The one in the store goes first.
    expect((await refused({ appRole: { ...appRole, roleId: 'another' } })).code).toBe('provider.login');
  });

  test('that is refused says where, why and what to check', async () => {
    await prepared();
    secrets.set('approle/secret-id', CANARY);
    expect(await refused({ appRole: { roleId, secretRef } })).toEqual({
      code: 'provider.login',
      message: 'SecretStore team/vault: cannot log in: PUT auth/approle/login: invalid role or secret ID',
      hint: 'Check that auth/approle is enabled, that the secret id in Secret approle is one of this role, and that it is neither used up nor expired nor bound to other addresses.',
    });
    const { code, hint } = await refused({ appRole: { path: 'none', roleId, secretRef } });
    expect([code, hint?.slice(0, 33)]).toEqual(['provider.login', 'Check that auth/none is enabled, ']);
  });

  test('with an empty key of a Secret is refused before anything is sent', async () => {
    secrets.set('approle/secret-id', ' \n');
    expect(await refused({ appRole: { roleId: 'r', secretRef } })).toMatchObject({
      code: 'provider.spec',
      message: 'SecretStore team/vault: the key secret-id of Secret approle holds no secret id',
    });
  });

  test('is told what it lacks as upstream tells it', () => {
    expect(wrong({ appRole: { secretRef } })).toEqual([
      'auth.appRole: invalid Auth.AppRole: neither `roleId` nor `roleRef` was supplied',
    ]);
    expect(wrong({ appRole: { roleId: 'r', path: '/', secretRef } })).toEqual([
      'auth.appRole.path: it names no mount',
    ]);
    expect(wrong({ appRole: { roleId: 'r' } })).toHaveLength(1);
    expect(wrong({ appRole: { roleId: 'r', secretRef: { name: 's' } } })).toHaveLength(1);
  });
});
