import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { VaultClient } from '../../client/client.ts';
import { createAuthority, type Issued, issueCertificate } from '../../crypto/certificate.ts';
import { approle } from '../../methods/approle/index.ts';
import { cert } from '../../methods/cert/index.ts';
import { jwt } from '../../methods/jwt/index.ts';
import { pemOf, rsa, signed } from '../../methods/jwt/testing.ts';
import { userpass } from '../../methods/userpass/index.ts';
import type { WayOut } from '../../provider/egress.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { testEnv } from '../../provider/testing.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import type { Clouds } from './auth/clouds.ts';
import { clientUnder, openOwnLogin, vaultLessor } from './ownlogin.ts';
import { vaultSpec } from './spec.ts';
import { type LoginDouble, startLogins } from './testing.ts';
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
  server = await startServer([approle, userpass, jwt]);
  for (const type of ['approle', 'userpass', 'jwt']) await write(`sys/auth/${type}`, { type });
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
  const own = await openOwnLogin(spec, env, {});
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

describe('userPass', () => {
  const secretRef = { name: 'user', key: 'password' };
  const userPass = { username: ' ada ', secretRef };
  beforeAll(async () => {
    await write('auth/userpass/users/ada', {
      password: ` ${CANARY}\n`,
      token_policies: 'eso',
      token_ttl: '1h',
    });
  });

  test('logs in by a name with white space around it, and a password as it stands', async () => {
    secrets.set('user/password', ` ${CANARY}\n`);
    const who = await loggedIn({ userPass });
    expect(who).toMatchObject({ policies: ['default', 'eso'], path: 'auth/userpass/login/ada' });
  });

  test('that is refused says where, why and what to check, and nothing of the password', async () => {
    secrets.set('user/password', CANARY);
    expect(await refused({ userPass })).toEqual({
      code: 'provider.login',
      message:
        'SecretStore team/vault: cannot log in: PUT auth/userpass/login/ada: invalid username or password',
      hint: 'Check that auth/userpass is enabled, and that it knows the user "ada" by the password in Secret user, to the last character: a line break at its end is sent too.',
    });
  });

  test('cannot name another path of the server than a login', async () => {
    secrets.set('user/password', CANARY);
    const { code } = await refused({ userPass: { username: '../../../sys/policies/acl/x', secretRef } });
    expect(code).toBe('path.not_canonical');
  });

  test('without a name or a password is told so', async () => {
    secrets.set('user/password', '');
    expect((await refused({ userPass })).message).toBe(
      'SecretStore team/vault: the key password of Secret user holds no password',
    );
    expect(wrong({ userPass: { username: ' ', secretRef } })).toEqual([
      'auth.userPass.username: it names no user',
    ]);
    expect(wrong({ userPass: { username: 'ada' } })).toHaveLength(1);
  });
});

describe('ldap', () => {
  const ldap = { path: 'corp', username: 'CORP\\ada', secretRef: { name: 'user', key: 'password' } };
  let directory: LoginDouble;
  beforeAll(async () => {
    directory = await startLogins(({ path, body }) =>
      path === 'auth/corp/login/CORP\\ada' && body['password'] === CANARY
        ? undefined
        : 'ldap operation failed: failed to bind as user',
    );
  });
  afterAll(() => directory.close());

  test('logs in by a name of a domain', async () => {
    secrets.set('user/password', CANARY);
    expect(await loggedIn({ ldap }, {}, { server: directory.url })).toMatchObject({ policies: ['eso'] });
  });

  test('that is refused says what the directory said and what to check', async () => {
    secrets.set('user/password', `${CANARY}x`);
    const { code, message, hint } = await refused({ ldap }, {}, { server: directory.url });
    expect([code, message]).toEqual([
      'provider.login',
      'SecretStore team/vault: cannot log in: PUT auth/corp/login/CORP\\ada: ldap operation failed: failed to bind as user',
    ]);
    expect(hint).toContain('Check that auth/corp is enabled, and that its directory knows the user');
  });
});

describe('jwt', () => {
  const key = rsa('cluster');
  const claims = (aud: readonly string[]) => {
    const now = Math.floor(Date.now() / 1000);
    return { sub: 'system:serviceaccount:team:eso', aud, iss: 'https://cluster', iat: now, exp: now + 600 };
  };
  const secretRef = { name: 'jwt', key: 'token' };
  beforeAll(async () => {
    await write('auth/jwt/config', { jwt_validation_pubkeys: [pemOf(key)], default_role: 'app' });
    await write('auth/jwt/role/app', {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_audiences: ['vault'],
      token_policies: 'eso',
      token_ttl: '1h',
    });
  });

  test('logs in by a token of a Secret, in a role or in the default one', async () => {
    secrets.set('jwt/token', `${signed(claims(['vault']), key)}\n`);
    for (const role of [' app ', undefined])
      expect(await loggedIn({ jwt: { role, secretRef } })).toMatchObject({
        policies: ['default', 'eso'],
        path: 'auth/jwt/login',
      });
  });

  test.each([
    [{}, { audiences: ['vault'], expirationSeconds: 600 }],
    [
      { audiences: ['vault', 'b'], expirationSeconds: 900 },
      { audiences: ['vault', 'b'], expirationSeconds: 900 },
    ],
    [
      { serviceAccountRef: { name: 'eso', namespace: 'ns', audiences: ['a', 'vault'] } },
      { namespace: 'ns', audiences: ['a', 'vault'], expirationSeconds: 600 },
    ],
  ])('asks for a token of a service account: %j', async (more, expected) => {
    const asked: unknown[] = [];
    const serviceAccountToken: ProviderEnv['serviceAccountToken'] = async (ref) => {
      asked.push(ref);
      return signed(claims(ref.audiences), key);
    };
    const kubernetesServiceAccountToken = { serviceAccountRef: { name: 'eso' }, ...more };
    await loggedIn({ jwt: { role: 'app', kubernetesServiceAccountToken } }, { serviceAccountToken });
    expect(asked[0]).toEqual({ name: 'eso', ...expected });
  });

  test('that is refused says which role and what to check, and shows no token', async () => {
    secrets.set('jwt/token', signed({ ...claims(['another']), note: CANARY }, key));
    const { code, message, hint } = await refused({ jwt: { role: 'app', secretRef } });
    expect(code).toBe('provider.login');
    expect(message).toMatch(/^SecretStore team\/vault: cannot log in: PUT auth\/jwt\/login: .*audience/);
    expect(message).not.toContain(secrets.get('jwt/token'));
    expect(hint).toBe(
      'Check that auth/jwt is enabled, and that its role "app" takes tokens of this issuer, audience and subject, and that the token has not expired.',
    );
  });

  test('keeps the failure of an account that is not there', async () => {
    const kubernetesServiceAccountToken = { serviceAccountRef: { name: 'gone' } };
    expect((await refused({ jwt: { kubernetesServiceAccountToken } })).code).toBe('operator.ref_missing');
  });

  test('is told what it lacks as upstream tells it', () => {
    expect(wrong({ jwt: { role: 'app' } })).toEqual([
      'auth.jwt: neither `secretRef` nor `kubernetesServiceAccountToken` was supplied as token source for jwt authentication',
    ]);
    const kubernetesServiceAccountToken = { serviceAccountRef: { name: 'a' }, expirationSeconds: 60 };
    expect(wrong({ jwt: { kubernetesServiceAccountToken } })).toHaveLength(1);
  });
});

describe('cert', () => {
  let secure: TestServer;
  let settings = { server: '', caBundle: '' };
  let app: Issued;
  const clientCert = { name: 'client', key: 'tls.crt' };
  const secretRef = { name: 'client', key: 'tls.key' };
  const hold = ({ certificate, key }: Issued): void => {
    secrets.set('client/tls.crt', certificate);
    secrets.set('client/tls.key', key);
  };
  beforeAll(async () => {
    const authority = await createAuthority('test');
    const tls = await issueCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
    app = await issueCertificate(authority, { names: ['app'], ips: [], client: true });
    secure = await startServer([cert], {
      listen: { tls: { cert: tls.certificate, key: tls.key, clientCertificates: true } },
    });
    settings = { server: secure.url.replace('http:', 'https:'), caBundle: authority.certificate };
    const root = new VaultClient({
      address: settings.server,
      token: secure.root,
      ca: authority.certificate,
    });
    await root.request('POST', 'sys/auth/cert', { body: { type: 'cert' } });
    await root.request('POST', 'auth/cert/certs/apps', {
      body: { certificate: authority.certificate, token_policies: 'eso', token_ttl: '1h' },
    });
    root.close();
  }, 60_000);
  afterAll(() => secure.close());

  test('logs in by the certificate that the connection shows, in a role or in any, and is renewed by it', async () => {
    hold(app);
    for (const vaultRole of ['apps', undefined])
      expect(await loggedIn({ cert: { vaultRole, clientCert, secretRef } }, {}, settings)).toMatchObject({
        policies: ['default', 'eso'],
        path: 'auth/cert/login',
      });
  });

  test('may leave the certificate to `tls` of the store, and goes before it where it names one', async () => {
    hold(app);
    const tls = { certSecretRef: { name: 'client' }, keySecretRef: { name: 'client' } };
    await loggedIn({ cert: {} }, {}, { ...settings, tls });
    const other = { certSecretRef: { name: 'none' }, keySecretRef: { name: 'none' } };
    const stranger = await issueCertificate(await createAuthority('other'), {
      names: ['app'],
      ips: [],
      client: true,
    });
    secrets.set('none/tls.crt', stranger.certificate);
    secrets.set('none/tls.key', stranger.key);
    await loggedIn({ cert: { clientCert, secretRef } }, {}, { ...settings, tls: other });
    expect((await refused({ cert: {} }, {}, { ...settings, tls: other })).code).toBe('provider.login');
  });

  test('is shown by no store that logs in by another method', async () => {
    hold({ certificate: CANARY, key: CANARY });
    secrets.set('vault/token', server.root);
    const provider = await createVaultProvider().connect(
      specOf({ tokenSecretRef: { name: 'vault' }, cert: { clientCert, secretRef } }),
      envOf(),
    );
    expect(await provider.validate()).toBe('ready');
    await provider.close();
  });

  test('that is refused says which role and what to check', async () => {
    hold(app);
    expect(await refused({ cert: { vaultRole: 'none', clientCert, secretRef } }, {}, settings)).toMatchObject(
      {
        code: 'provider.login',
        message: expect.stringMatching(/^SecretStore team\/vault: cannot log in: PUT auth\/cert\/login: /),
        hint: 'Check that auth/cert is enabled, that its role "none" trusts this certificate, and that nothing on the way to the server ends TLS.',
      },
    );
  });

  test('that cannot be shown is a wrong store, told without what the Secrets hold', async () => {
    const given = { cert: { clientCert, secretRef } };
    hold({ certificate: app.certificate, key: CANARY });
    const mismatch =
      'SecretStore team/vault: auth.cert: Secret client and Secret client do not hold a certificate and its key in PEM';
    expect(await refused(given, {}, settings)).toMatchObject({ code: 'provider.spec', message: mismatch });
    const stranger = await createAuthority('stranger');
    hold({ certificate: app.certificate, key: stranger.key });
    expect(await refused(given, {}, settings)).toMatchObject({ code: 'provider.spec', message: mismatch });
    hold(app);
    expect((await refused(given)).message).toContain('auth.cert needs an https:// server');
    expect((await refused({ cert: {} }, {}, settings)).message).toContain('auth.cert names no certificate');
    expect(wrong({ cert: { clientCert } })).toEqual([
      'auth.cert: clientCert and secretRef are a certificate and its key: give both',
    ]);
  });
});

describe('kubernetes without an account', () => {
  let double: LoginDouble;
  let lent: number;
  beforeEach(async () => {
    lent = 0;
    double = await startLogins(() => undefined);
  });
  afterEach(() => double.close());

  const validated = async (clouds: Clouds, cluster: boolean) => {
    const spec = vaultSpec.parse({ server: double.url, auth: { kubernetes: { role: 'r' } } });
    const provider = await createVaultProvider({ clouds }).connect(spec, envOf({ cluster }));
    try {
      return await provider.validate();
    } finally {
      await provider.close();
    }
  };
  const cluster = async (): Promise<string> => {
    lent++;
    return CANARY;
  };

  test('shows the token of an operator that lends its own, for a ClusterSecretStore', async () => {
    expect(await validated({ cluster }, true)).toBe('ready');
    expect(double.shown).toEqual([{ path: 'auth/kubernetes/login', body: { role: 'r', jwt: CANARY } }]);
  });

  test('shows nothing for a store of a namespace: its author names the server that would get the token', async () => {
    await expect(validated({ cluster }, false)).rejects.toMatchObject({
      code: 'provider.unsupported',
      message: 'SecretStore team/vault: auth.kubernetes names neither a serviceAccountRef nor a secretRef',
    });
    expect([lent, double.shown]).toEqual([0, []]);
  });

  test('shows nothing where the operator lends nothing', async () => {
    await expect(validated({}, true)).rejects.toMatchObject({
      code: 'provider.unsupported',
      hint: expect.stringContaining('-lend-own-keys'),
    });
    expect(double.shown).toEqual([]);
  });
});

describe('every method', () => {
  const at = (key: string) => ({ name: 'shown', key, namespace: 'elsewhere' });
  test.each([
    [{ tokenSecretRef: at('k') }],
    [{ appRole: { roleRef: at('k'), secretRef: at('k') } }],
    [{ kubernetes: { role: 'r', secretRef: at('k') } }],
    [{ ldap: { username: 'u', secretRef: at('k') } }],
    [{ userPass: { username: 'u', secretRef: at('k') } }],
    [{ jwt: { secretRef: at('k') } }],
    [{ cert: { clientCert: at('k'), secretRef: at('k') } }],
  ])(
    'asks for its Secrets with the namespace that the store names, and keeps what refuses it: %j',
    async (auth) => {
      const asked: unknown[] = [];
      const secretKey: ProviderEnv['secretKey'] = async (ref) => {
        asked.push(ref);
        throw failure('operator.ref_missing', { kind: 'Secret', name: ref.name, namespace: 'elsewhere' });
      };
      expect((await refused(auth, { secretKey })).code).toBe('operator.ref_missing');
      expect(asked).toEqual([at('k')]);
    },
  );

  test.each([
    [{ appRole: { roleId: 'r', secretRef: at('k') } }],
    [{ ldap: { username: 'u', secretRef: at('k') } }],
    [{ jwt: { secretRef: at('k') } }],
  ])('sends nothing to where a store may not lead: %j', async (auth) => {
    secrets.set('shown/k', CANARY);
    server.seen.lines.length = 0;
    const wayOut = { mayReach: () => false } as unknown as WayOut;
    expect((await refused(auth, { wayOut })).code).toBe('dial.refused');
    expect(server.seen.lines).toEqual([]);
  });
});

test.each([
  ['iam', { vaultRole: 'r' }],
  ['gcp', { role: 'r' }],
])(
  'a login by auth.%s is refused where the process was given no way to ask that cloud',
  async (name, given) => {
    expect(await refused({ [name]: given })).toEqual({
      code: 'provider.unsupported',
      message: `SecretStore team/vault: this process does not log in by auth.${name}`,
      hint: 'Only an operator asks clouds: holdfast controller, or holdfast dev.',
    });
  },
);
