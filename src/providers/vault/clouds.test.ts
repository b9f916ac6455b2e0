/**
 * Logins by a cloud. The double of the server verifies what it is shown as the real ones do: it sends the signed request to
 * AWS as it came, and looks for the public key of the account at Google.
 */

import { request as httpRequest } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { AssertionOptions } from '../../gcp/assertion.ts';
import { createGoogleCallers } from '../../gcp/assertion.ts';
import { googleMachineIdentity } from '../../gcp/machine.ts';
import { NO_WAY_OUT, type WayOut, webJudge } from '../../provider/egress.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { said, testEnv } from '../../provider/testing.ts';
import { createDial } from '../../server/http/dial.ts';
import type { AwsOptions } from '../aws/aws.ts';
import { createAwsCallers } from '../aws/caller.ts';
import { type FakeAws, startFakeAws } from '../aws/testing.ts';
import { type FakeGoogle, startFakeGoogle, subjectToken } from '../gcp/testing.ts';
import type { Clouds } from './auth/clouds.ts';
import { clientUnder, openOwnLogin } from './ownlogin.ts';
import { vaultSpec } from './spec.ts';
import { type LoginDouble, type Shown, startLogins } from './testing.ts';
import { createVaultProvider } from './vault.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0)) await close();
});
const kept = <T extends { close(): Promise<unknown> }>(one: T): T => {
  closing.push(() => one.close());
  return one;
};

/** What the operator's own list allows is the cloud, for a dial, and the server. */
const wayOutTo = (cloud: { readonly port: number }): WayOut => ({
  ...NO_WAY_OUT,
  dial: createDial({
    target: (host, port) => ({ host, port }),
    allow: webJudge({ allowed: ({ port }) => port === cloud.port, isCluster: () => false }),
  }),
  mayReach: () => true,
});

interface World {
  readonly vault: LoginDouble;
  readonly cloud: { readonly port: number };
  readonly clouds: Clouds;
  readonly secrets: Readonly<Record<string, string>>;
}

const envOf = ({ cloud, secrets }: World, more: Partial<ProviderEnv>): ProviderEnv =>
  testEnv({
    store: 'SecretStore team/vault',
    wayOut: wayOutTo(cloud),
    retry: { maxRetries: 0 },
    secretKey: async ({ name, key, namespace = '' }) => {
      const found = secrets[`${namespace}${name}/${key}`];
      if (found === undefined)
        throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
      return utf8(found);
    },
    ...more,
  });

/** Logs in as a store, and once more for a credential of its own. */
async function logIn(world: World, auth: object, more: Partial<ProviderEnv> = {}): Promise<void> {
  const spec = vaultSpec.parse({ server: world.vault.url, auth });
  const env = envOf(world, more);
  const provider = await createVaultProvider({ clouds: world.clouds }).connect(spec, env);
  try {
    expect(await provider.validate()).toBe('ready');
  } finally {
    await provider.close();
  }
  const client = clientUnder((await openOwnLogin(spec, env, world.clouds)).handle, env);
  await client.request('GET', 'auth/token/lookup-self');
  client.close();
}

async function refused(world: World, auth: object, more: Partial<ProviderEnv> = {}) {
  const { code, message, hint } = await said(logIn(world, auth, more));
  expect(`${message}${hint}`).not.toMatch(/canary|rootSecret|PRIVATE KEY/i);
  return { code, message, hint };
}

const wrong = (auth: object): readonly string[] =>
  (vaultSpec.safeParse({ server: 'http://v', auth }).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('iam', () => {
  const SERVER_ID = 'vault.example.com';
  const ALLOWED = ['x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token'];
  const secretRef = {
    accessKeyIDSecretRef: { name: 'keys', key: 'id' },
    secretAccessKeySecretRef: { name: 'keys', key: 'secret' },
  };
  const decoded = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString();

  /** Why a server refuses what it was shown; undefined where AWS tells who signed it. */
  async function verdict(aws: FakeAws, { body }: Shown, serverId: string): Promise<string | undefined> {
    const { role, iam_http_request_method: method, iam_request_url, ...rest } = body;
    const { iam_request_headers, iam_request_body, ...unknown } = rest;
    if (role !== 'app' || method !== 'POST' || Object.keys(unknown).length > 0) return 'not as agreed';
    const url = new URL(decoded(iam_request_url));
    if (url.protocol !== 'https:' || !/^sts\.([\w-]+\.)?amazonaws\.com$/.test(url.host))
      return 'no address of AWS';
    if (url.pathname !== '/' || url.search !== '') return 'no path of AWS';
    const headers: Record<string, string> = JSON.parse(decoded(iam_request_headers));
    const stranger = Object.keys(headers).find((name) => /^x-amz-/i.test(name) && !ALLOWED.includes(name));
    if (stranger !== undefined) return `invalid request header: ${stranger}`;
    const signed = /SignedHeaders=([\w;-]+)/.exec(headers['authorization'] ?? '')?.[1]?.split(';') ?? [];
    const shownId = signed.includes('x-vault-aws-iam-server-id') ? headers['x-vault-aws-iam-server-id'] : '';
    if (shownId !== serverId) return `expected "${serverId}" but got "${shownId}"`;
    const sent = decoded(iam_request_body);
    if (new URLSearchParams(sent).get('Action') !== 'GetCallerIdentity') return 'another action';
    return await replayed(aws, { ...headers, host: url.host }, sent);
  }

  const replayed = (aws: FakeAws, headers: Record<string, string>, sent: string) =>
    new Promise<string | undefined>((resolve, reject) => {
      const asked = httpRequest(aws.url, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode === 200 ? undefined : `AWS answers ${response.statusCode}`);
      });
      asked.on('error', reject).end(sent);
    });

  async function world(options: AwsOptions = {}, serverId = ''): Promise<World & { readonly aws: FakeAws }> {
    const aws = kept(await startFakeAws());
    const vault = kept(await startLogins((shown) => verdict(aws, shown, serverId)));
    const clouds = { aws: createAwsCallers({ endpoint: () => aws.url, ...options }) };
    const secrets = { 'keys/id': 'AKIAROOT\n', 'keys/secret': 'rootSecret', 'nsfar/id': 'AKIAROOT' };
    return { vault, aws, cloud: aws, clouds, secrets };
  }
  const callers = ({ aws }: { readonly aws: FakeAws }) =>
    aws.calls
      .filter(({ action }) => action === 'GetCallerIdentity')
      .map(({ accessKey, region }) => [accessKey, region]);

  test('proves by keys of a Secret who it is, to AWS in the first region, at the usual mount', async () => {
    const here = await world();
    await logIn(here, { iam: { vaultRole: ' app ', secretRef } });
    expect(here.vault.shown.map(({ path }) => path)).toEqual(['auth/aws/login', 'auth/aws/login']);
    expect(decoded(here.vault.shown[0]?.body['iam_request_url'])).toBe('https://sts.amazonaws.com/');
    expect(callers(here)).toEqual(Array(2).fill(['AKIAROOT', 'us-east-1']));
    expect(JSON.stringify(here.vault.shown)).not.toContain('rootSecret');
  });

  test('signs for another region, at another mount, and the id of the server with it', async () => {
    const here = await world({}, SERVER_ID);
    const iam = { vaultRole: 'app', secretRef, vaultAwsIamServerID: SERVER_ID };
    await logIn(here, { iam: { ...iam, path: '/clouds/', region: 'eu-west-1' } });
    expect(here.vault.shown[0]?.path).toBe('auth/clouds/login');
    expect(decoded(here.vault.shown[0]?.body['iam_request_url'])).toBe(
      'https://sts.eu-west-1.amazonaws.com/',
    );
    expect(callers(here)[0]).toEqual(['AKIAROOT', 'eu-west-1']);
  });

  test('takes the usual mount and region for empty ones, as upstream does', async () => {
    const here = await world();
    await logIn(here, { iam: { path: '', region: '', vaultRole: 'app', secretRef } });
    expect(callers(here)[0]).toEqual(['AKIAROOT', 'us-east-1']);
  });

  test('takes keys of the namespace that a store of the cluster names', async () => {
    const here = await world();
    const accessKeyIDSecretRef = { name: 'far', key: 'id', namespace: 'ns' };
    await logIn(here, { iam: { vaultRole: 'app', secretRef: { ...secretRef, accessKeyIDSecretRef } } });
    expect(callers(here)[0]).toEqual(['AKIAROOT', 'us-east-1']);
  });

  test('is the role on a service account, and then the role of AWS that the store names', async () => {
    const here = await world();
    const asked: unknown[] = [];
    const more: Partial<ProviderEnv> = {
      serviceAccountAnnotations: async () => ({ 'eks.amazonaws.com/role-arn': 'arn:first' }),
      serviceAccountToken: async (ref) => {
        asked.push(ref);
        return 'canary-token';
      },
    };
    const jwt = { serviceAccountRef: { name: 'eso', namespace: 'ns', audiences: ['mine'] } };
    // The service account goes first, as upstream has it.
    await logIn(
      here,
      { iam: { vaultRole: 'app', jwt, secretRef, role: 'arn:second', externalID: 'x-1' } },
      more,
    );
    expect(asked[0]).toEqual({
      name: 'eso',
      namespace: 'ns',
      audiences: ['sts.amazonaws.com', 'mine'],
      expirationSeconds: 600,
    });
    expect(here.aws.calls.slice(0, 3).map(({ action }) => action)).toEqual([
      'AssumeRoleWithWebIdentity',
      'AssumeRole',
      'GetCallerIdentity',
    ]);
    expect(here.aws.calls[0]?.body).toMatchObject({
      RoleArn: 'arn:first',
      RoleSessionName: 'external-secrets-provider-vault',
    });
    expect(here.aws.calls[1]?.body).toMatchObject({ RoleArn: 'arn:second', ExternalId: 'x-1' });
    expect(callers(here)[0]?.[0]).toMatch(/^ASIA/);
  });

  test('is refused without keys, and has the operator’s own where the operator lends them', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAROOT');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'rootSecret');
    const iam = { vaultRole: 'app' };
    const here = await world();
    expect(await refused(here, { iam })).toEqual({
      code: 'provider.unsupported',
      message: 'SecretStore team/vault: it names no keys of AWS, and this operator lends its own to no store',
      hint: 'Give auth.iam.jwt.serviceAccountRef or auth.iam.secretRef.',
    });
    expect(here.vault.shown).toEqual([]);
    const lending = await world({ lendOwnKeys: true });
    await logIn(lending, { iam });
    expect(callers(lending)[0]).toEqual(['AKIAROOT', 'us-east-1']);
  });

  test('is refused where the operator lends keys and has none', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/nonexistent');
    expect(await refused(await world({ lendOwnKeys: true }), { iam: { vaultRole: 'app' } })).toEqual({
      code: 'provider.login',
      message: 'SecretStore team/vault: cannot log in: the operator has no keys of AWS',
      hint: 'Give the operator keys of AWS, or the store some of its own.',
    });
  });

  test('that is refused says why and what to check, with the settings that have to agree', async () => {
    const here = await world({}, SERVER_ID);
    const iam = { vaultRole: 'app', secretRef, region: 'eu-west-1', vaultAwsIamServerID: 'another' };
    expect(await refused(here, { iam })).toEqual({
      code: 'provider.login',
      message:
        'SecretStore team/vault: cannot log in: PUT auth/aws/login: expected "vault.example.com" but got "another"',
      hint: 'Check that auth/aws is enabled, that its role "app" is bound to this principal of AWS, that its sts_endpoint and sts_region are those of eu-west-1 and that it has iam_server_id_header_value another, and that the clock of the operator is right.',
    });
  });

  test('keeps what stands in the way of keys: a Secret, an annotation, a role, an address', async () => {
    const here = await world();
    const none = { name: 'keys', key: 'none' };
    const missing = { iam: { vaultRole: 'app', secretRef: { ...secretRef, accessKeyIDSecretRef: none } } };
    expect((await refused(here, missing)).code).toBe('operator.ref_missing');
    const jwt = { serviceAccountRef: { name: 'eso' } };
    const bare = { serviceAccountAnnotations: async () => ({}) };
    expect((await refused(here, { iam: { vaultRole: 'app', jwt } }, bare)).message).toContain(
      'an IAM role must be associated with service account eso',
    );
    here.aws.between = ({ action }) =>
      action === 'AssumeRole' ? { status: 403, code: 'AccessDenied', message: 'canary' } : undefined;
    const role = { iam: { vaultRole: 'app', secretRef, role: 'arn:boss' } };
    expect(await refused(here, role)).toMatchObject({
      code: 'provider.login',
      message: expect.stringMatching(/^SecretStore team\/vault: cannot log in: .*AWS answers AccessDenied$/),
      hint: 'Let the trust policy of arn:boss allow sts:AssumeRole for this store; Let the policy of the identity of this store grant sts:AssumeRole on it.',
    });
    expect(
      (await refused(here, { iam: { vaultRole: 'app', secretRef, region: 'eu-west-1/x' } })).message,
    ).toContain('region not found');
    const closed = { wayOut: { ...NO_WAY_OUT, mayReach: () => true } };
    expect((await refused(here, role, closed)).code).toBe('dial.refused');
    expect(here.vault.shown).toEqual([]);
  });

  test('sends nothing to a server that the store may not lead to', async () => {
    const here = await world();
    const closed = { wayOut: { ...wayOutTo(here.aws), mayReach: () => false } };
    expect((await refused(here, { iam: { vaultRole: 'app', secretRef } }, closed)).code).toBe('dial.refused');
    expect(here.vault.shown).toEqual([]);
  });

  test('is told what it lacks', () => {
    expect(wrong({ iam: {} })).toHaveLength(1);
    expect(wrong({ iam: { vaultRole: 'r', jwt: {} } })).toHaveLength(1);
    for (const vaultAwsIamServerID of ['a\r\nx-evil: 1', ' a', 'a ', 'é'])
      expect(wrong({ iam: { vaultRole: 'r', vaultAwsIamServerID } })).toEqual([
        'auth.iam.vaultAwsIamServerID: it is no value of a header',
      ]);
    expect(wrong({ iam: { vaultRole: 'r', path: '/' } })).toHaveLength(1);
  });
});

describe('gcp', () => {
  const ACCOUNT = 'eso@p.iam.gserviceaccount.com';
  const POOL = 'p.svc.id.goog';
  const BINDING = `identitynamespace:${POOL}:https://container.googleapis.com/v1/projects/p/locations/l/clusters/c`;
  const secretRef = { secretAccessKeySecretRef: { name: 'gcp', key: 'key.json' } };

  function verdict(google: FakeGoogle, { body: { role, jwt = '', ...unknown } }: Shown): string | undefined {
    if (role !== 'app' || Object.keys(unknown).length > 0) return 'not as agreed';
    const claims = google.verified(jwt);
    if (claims === undefined) return 'unable to get public key for signed JWT';
    if (!String(claims['aud']).endsWith('vault/app'))
      return 'at least one of the JWT claim aud must end in vault/app';
    const seconds = Date.now() / 1000;
    const isSigned = claims['sub'] === ACCOUNT;
    if (!isSigned && claims['sub'] !== '117')
      return `service account ${claims['sub']} is not authorized for role`;
    const ends = Number(claims['exp'] ?? seconds + 600);
    return ends > seconds && ends <= seconds + 900 ? undefined : 'JWT is expired or lives too long';
  }

  async function world(
    options: Partial<AssertionOptions> = {},
  ): Promise<World & { readonly google: FakeGoogle }> {
    const google = kept(await startFakeGoogle());
    const vault = kept(await startLogins((shown) => verdict(google, shown)));
    const clouds = {
      google: createGoogleCallers({
        endpoints: google.endpoint,
        lendOwnKeys: false,
        identity: googleMachineIdentity,
        now: Date.now,
        ...options,
      }),
    };
    return { vault, google, cloud: google, clouds, secrets: { 'gcp/key.json': google.key(ACCOUNT) } };
  }
  const claimsOf = ({ vault, google }: { readonly vault: LoginDouble; readonly google: FakeGoogle }) =>
    google.verified(vault.shown.at(-1)?.body['jwt'] ?? '');

  /** A service account of the cluster, which Google believes and which may be the account that is written on it. */
  function cluster(google: FakeGoogle, account: string | undefined = ACCOUNT): Partial<ProviderEnv> {
    const token = subjectToken('app');
    google.subjects.set(token, { who: 'pool:app', audience: BINDING });
    google.impersonations.set('pool:app', ACCOUNT);
    google.impersonations.set(ACCOUNT, ACCOUNT);
    return {
      serviceAccountAnnotations: async (): Promise<Record<string, string>> =>
        account === '' ? {} : { 'iam.gke.io/gcp-service-account': account },
      serviceAccountToken: async ({ audiences }) => {
        expect(audiences).toEqual([POOL]);
        return token;
      },
    };
  }
  const place = { clusterLocation: 'l', clusterName: 'c', clusterProjectID: 'p' };

  test('signs by the key of an account, which needs no word of Google and leaves this process nowhere', async () => {
    const here = await world();
    await logIn(here, { gcp: { role: ' app ', secretRef, projectID: 'p', location: 'l' } });
    expect(here.vault.shown.map(({ path }) => path)).toEqual(['auth/gcp/login', 'auth/gcp/login']);
    expect(claimsOf(here)).toMatchObject({ sub: ACCOUNT, aud: 'vault/app' });
    expect(here.google.calls).toEqual([]);
    expect(JSON.stringify(here.vault.shown)).not.toContain('PRIVATE');
  });

  test('takes the key of the namespace that a store of the cluster names', async () => {
    const here = await world();
    const far = { ...here, secrets: { 'nsgcp/key.json': here.google.key(ACCOUNT) } };
    const namespaced = {
      secretAccessKeySecretRef: { ...secretRef.secretAccessKeySecretRef, namespace: 'ns' },
    };
    await logIn(far, { gcp: { role: 'app', secretRef: namespaced } });
    expect(claimsOf(far)).toMatchObject({ sub: ACCOUNT });
  });

  test('has the account of a service account of the cluster sign, at another mount', async () => {
    const here = await world();
    const workloadIdentity = { serviceAccountRef: { name: 'app' }, ...place };
    await logIn(here, { gcp: { path: 'clouds', role: 'app', workloadIdentity } }, cluster(here.google));
    expect(here.vault.shown[0]?.path).toBe('auth/clouds/login');
    expect(claimsOf(here)).toMatchObject({ sub: ACCOUNT, aud: 'vault/app' });
    expect(here.google.calls.slice(0, 3).map(({ path, who }) => [path, who])).toEqual([
      ['identitybindingtoken', ''],
      [`projects/-/serviceAccounts/${ACCOUNT}:generateAccessToken`, 'pool:app'],
      [`projects/-/serviceAccounts/${ACCOUNT}:signJwt`, ACCOUNT],
    ]);
  });

  test('is the account that serviceAccountRef names, on the cluster of the operator, and never the operator', async () => {
    const facts = { project: 'p', 'cluster-location': 'l', 'cluster-name': 'c' };
    const identity = async () => expect.fail('the machine was asked who it is');
    const here = await world({ machine: async (fact) => facts[fact], lendOwnKeys: true, identity });
    await logIn(here, { gcp: { role: 'app', serviceAccountRef: { name: 'app' } } }, cluster(here.google));
    expect(claimsOf(here)).toMatchObject({ sub: ACCOUNT });
  });

  test('is refused without an identity, and is the operator’s machine where the operator lends that', async () => {
    const gcp = { role: 'app' };
    const here = await world();
    expect(await refused(here, { gcp })).toEqual({
      code: 'provider.unsupported',
      message:
        'SecretStore team/vault: it names no identity of Google, and this operator lends its own to nobody',
      hint: 'Give auth.gcp.secretRef, auth.gcp.workloadIdentity or auth.gcp.serviceAccountRef.',
    });
    const lending = await world({ lendOwnKeys: true });
    vi.stubEnv('GCE_METADATA_HOST', `127.0.0.1:${lending.google.port}`);
    await logIn(lending, { gcp });
    expect(claimsOf(lending)).toMatchObject({ sub: '117', aud: `${lending.vault.url}/vault/app` });
    const homeless = await world({ lendOwnKeys: true, identity: async () => undefined });
    expect(await refused(homeless, { gcp })).toMatchObject({
      code: 'provider.login',
      message: 'SecretStore team/vault: cannot log in: the machine of the operator has no identity of Google',
    });
  });

  test('that is refused says why and what to check', async () => {
    const here = await world();
    const stranger = { ...here, secrets: { 'gcp/key.json': here.google.key('x@p.iam.gserviceaccount.com') } };
    expect(await refused(stranger, { gcp: { role: 'app', secretRef } })).toEqual({
      code: 'provider.login',
      message:
        'SecretStore team/vault: cannot log in: PUT auth/gcp/login: service account x@p.iam.gserviceaccount.com is not authorized for role',
      hint: 'Check that auth/gcp is enabled, and that its role "app" is bound to this service account of Google.',
    });
  });

  test('keeps what stands in the way of a signature: a key, an annotation, a right, an address', async () => {
    const here = await world();
    const gcp = { role: 'app', secretRef };
    const holding = (text: string): World => ({ ...here, secrets: { 'gcp/key.json': text } });
    expect((await refused({ ...here, secrets: {} }, { gcp })).code).toBe('operator.ref_missing');
    expect((await refused(holding('{"canary": 1}'), { gcp })).message).toContain(
      'holds no key of a Google service account',
    );
    const { private_key_id: _, ...nameless } = JSON.parse(here.google.key(ACCOUNT));
    expect((await refused(holding(JSON.stringify(nameless)), { gcp })).message).toBe(
      `SecretStore team/vault: the key of ${ACCOUNT} has no private_key_id, by which its public half is found`,
    );
    const by = { gcp: { role: 'app', workloadIdentity: { serviceAccountRef: { name: 'app' }, ...place } } };
    expect((await refused(here, by, cluster(here.google, ''))).message).toContain(
      'service account app: it has no annotation iam.gke.io/gcp-service-account',
    );
    const env = cluster(here.google);
    here.google.impersonations.delete(ACCOUNT);
    expect(await refused(here, by, env)).toMatchObject({
      code: 'provider.login',
      message: 'SecretStore team/vault: cannot log in: Google answers PERMISSION_DENIED',
      hint: expect.stringContaining('roles/iam.serviceAccountTokenCreator on itself'),
    });
    const closed = { ...env, wayOut: { ...NO_WAY_OUT, mayReach: () => true } };
    expect((await refused(here, by, closed)).code).toBe('dial.refused');
    expect(here.vault.shown).toEqual([]);
  });

  test('is told what it lacks', () => {
    expect(wrong({ gcp: {} })).toHaveLength(1);
    expect(wrong({ gcp: { role: 'r', workloadIdentity: {} } })).toHaveLength(1);
    expect(wrong({ gcp: { role: 'r', secretRef: {} } })).toHaveLength(1);
  });
});
