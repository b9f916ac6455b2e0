import { createHmac, createSign, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import type { Dial, DialRequest } from '../../plugin/plugin.ts';
import { type CallOptions, mountForTest, type TestMount } from '../../plugin/testing.ts';
import { failureOf, makeCa } from '../testing.ts';
import { kubernetes, type Local } from './index.ts';

const HOST = 'https://kubernetes.example:6443';
const REVIEWER = 'reviewer-canary-jwt';
let ca: string;
let keys: { publicKey: KeyObject; privateKey: KeyObject };
let otherKeys: typeof keys;

beforeAll(async () => {
  ca = await makeCa();
  keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  otherKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
});

/** An API server that knows some tokens. */
class FakeServer {
  readonly requests: DialRequest[] = [];
  readonly known = new Map<string, { username: string; uid: string; audiences: string[] }>();
  /** Answers instead of the server. */
  answer: (() => { status: number; body: string }) | undefined;
  knowsAudiences = true;

  readonly dial: Dial = async (request) => {
    this.requests.push(request);
    const bytes = (text: string) => new TextEncoder().encode(text);
    if (this.answer !== undefined) {
      const { status, body } = this.answer();
      return { status, body: bytes(body) };
    }
    const { spec } = JSON.parse(request.body ?? '');
    const found = this.known.get(spec.token);
    const audiences = found?.audiences.filter((name) => spec.audiences?.includes(name) ?? name === 'api');
    const authenticated = found !== undefined && audiences !== undefined && audiences.length > 0;
    const status = authenticated
      ? {
          authenticated,
          user: { username: found.username, uid: found.uid, groups: ['system:serviceaccounts'] },
          ...(this.knowsAudiences ? { audiences } : {}),
        }
      : { error: `invalid bearer token ${spec.token}` };
    return { status: 201, body: bytes(JSON.stringify({ kind: 'TokenReview', status })) };
  };
}

let server: FakeServer;
let clock: ManualClock;
let auth: TestMount;
let local: Local | undefined;

beforeEach(async () => {
  server = new FakeServer();
  clock = new ManualClock();
  local = undefined;
  auth = mountForTest(kubernetes({ readLocal: async () => local }), { dial: server.dial, clock });
  await auth.call('write', 'config', {
    kubernetes_host: HOST,
    kubernetes_ca_cert: ca,
    token_reviewer_jwt: REVIEWER,
  });
  await auth.call('write', 'role/app', {
    bound_service_account_names: ['external-secrets'],
    bound_service_account_namespaces: ['grafana'],
    audience: 'vault',
    token_policies: ['Grafana', 'default', 'grafana'],
    token_ttl: '24h',
  });
});

interface Account {
  namespace?: string;
  name?: string;
  uid?: string;
  audiences?: string[];
  claims?: Record<string, unknown>;
}
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = (): number => Math.floor(clock.now() / 1000);

function jwt(account: Account = {}, { privateKey = keys.privateKey, header = {} } = {}): string {
  const { namespace = 'grafana', name = 'external-secrets', uid = 'uid-1', audiences = ['vault'] } = account;
  const claims = {
    aud: audiences,
    exp: now() + 600,
    iat: now(),
    nbf: now(),
    iss: 'https://kubernetes.default.svc',
    sub: `system:serviceaccount:${namespace}:${name}`,
    'kubernetes.io': { namespace, serviceaccount: { name, uid } },
    jti: randomUUID(),
    ...account.claims,
  };
  const signed = `${part({ alg: 'RS256', kid: 'k', ...header })}.${part(claims)}`;
  return `${signed}.${createSign('sha256').update(signed).sign(privateKey).toString('base64url')}`;
}

/** A token that the API server knows as it knows itself. */
function issued(account: Account = {}): string {
  const token = jwt(account);
  const { namespace = 'grafana', name = 'external-secrets', uid = 'uid-1', audiences = ['vault'] } = account;
  server.known.set(token, { username: `system:serviceaccount:${namespace}:${name}`, uid, audiences });
  return token;
}

const login = (token: string, role = 'app', options?: CallOptions) =>
  auth.call('write', 'login', { role, jwt: token }, options);
const reasons = (): unknown[] => auth.logged.map(({ facts }) => facts.reason);

/** The one answer that tells a stranger nothing; the log has the reason. */
async function denied(token: string, reason: string): Promise<void> {
  expect(await failureOf(login(token))).toEqual({ code: 'request.denied', message: 'permission denied' });
  expect(reasons().at(-1)).toBe(reason);
}

describe('a login', () => {
  test('that the API server confirms grants what the role says', async () => {
    const token = issued();
    const { auth: grant } = await login(token);
    expect(grant).toEqual({
      displayName: 'kubernetes-grafana-external-secrets',
      policies: ['default', 'grafana'],
      metadata: {
        role: 'app',
        service_account_name: 'external-secrets',
        service_account_namespace: 'grafana',
        service_account_secret_name: '',
        service_account_uid: 'uid-1',
      },
      alias: {
        name: 'uid-1',
        metadata: {
          service_account_name: 'external-secrets',
          service_account_namespace: 'grafana',
          service_account_secret_name: '',
          service_account_uid: 'uid-1',
        },
      },
      token: {
        ttlMs: 86_400_000,
        maxTtlMs: 0,
        explicitMaxTtlMs: 0,
        periodMs: 0,
        uses: 0,
        type: 'default',
        noDefaultPolicy: false,
        boundCidrs: [],
        renewable: true,
      },
    });
    const [request] = server.requests;
    expect(request).toMatchObject({
      url: `${HOST}/apis/authentication.k8s.io/v1/tokenreviews`,
      method: 'POST',
      ca: ca.trim(),
      headers: { authorization: `Bearer ${REVIEWER}` },
    });
    expect(JSON.parse(request?.body ?? '').spec).toEqual({ token, audiences: ['vault'] });
  });

  test('names the entity by namespace and name where the role says so', async () => {
    await auth.call('write', 'role/app', { alias_name_source: 'serviceaccount_name' });
    expect((await login(issued())).auth?.alias?.name).toBe('grafana/external-secrets');
  });

  test('finds its role in whatever case it is written', async () => {
    expect((await login(issued(), 'APP')).auth?.metadata.role).toBe('app');
  });

  test('with a token kept in a Secret, which never expires, is known by its flat claims', async () => {
    await auth.call('write', 'role/old', {
      bound_service_account_names: '*',
      bound_service_account_namespaces: '*',
    });
    const claims = {
      aud: undefined,
      exp: undefined,
      iat: undefined,
      nbf: undefined,
      'kubernetes.io': undefined,
      'kubernetes.io/serviceaccount/namespace': 'grafana',
      'kubernetes.io/serviceaccount/service-account.name': 'external-secrets',
      'kubernetes.io/serviceaccount/service-account.uid': 'uid-1',
      'kubernetes.io/serviceaccount/secret.name': 'token-abc',
    };
    const { auth: grant } = await login(issued({ claims, audiences: ['api'] }), 'old');
    expect(grant?.metadata.service_account_secret_name).toBe('token-abc');
    expect(JSON.parse(server.requests[0]?.body ?? '').spec.audiences).toBeUndefined();
  });

  test.each([
    [{}, 'kubernetes.missing_role', 'missing role'],
    [{ jwt: 'x' }, 'kubernetes.missing_role', 'missing role'],
    [{ role: 'app' }, 'kubernetes.missing_jwt', 'missing jwt'],
    [{ role: 'none', jwt: 'x' }, 'kubernetes.invalid_role', 'invalid role name "none"'],
    [{ role: '../config', jwt: 'x' }, 'kubernetes.invalid_role', 'invalid role name "../config"'],
    [{ role: 'a\nb', jwt: 'x' }, 'kubernetes.invalid_role', 'invalid role name "a?b"'],
  ])('with %j is refused', async (body, code, message) => {
    expect(await failureOf(auth.call('write', 'login', body))).toEqual({ code, message });
    expect(server.requests).toEqual([]);
  });

  test('before the method is configured says so', async () => {
    const bare = mountForTest(kubernetes());
    await bare.call('write', 'role/app', {
      bound_service_account_names: 'a',
      bound_service_account_namespaces: 'b',
    });
    expect(await failureOf(bare.call('write', 'login', { role: 'app', jwt: 'x' }))).toMatchObject({
      code: 'kubernetes.not_configured',
    });
  });

  test('from an address that the role is not bound to is refused before anything is asked', async () => {
    await auth.call('write', 'role/app', { token_bound_cidrs: '10.0.0.0/8,2001:db8::/32' });
    const token = issued();
    for (const remote of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::1']) {
      expect((await login(token, 'app', { remote })).auth).toBeDefined();
    }
    const asked = server.requests.length;
    for (const remote of ['11.1.2.3', '::ffff:11.1.2.3', '2001:db9::1', 'nonsense']) {
      expect(await failureOf(login(token, 'app', { remote }))).toMatchObject({ code: 'request.denied' });
    }
    expect(server.requests).toHaveLength(asked);
  });
});

describe('a token is refused without a review', () => {
  const unreviewed = async (token: string, reason: string) => {
    await denied(token, reason);
    expect(server.requests).toEqual([]);
  };

  test.each([
    ['no token', 'nonsense', 'the token has not three parts'],
    ['two parts', 'a.b', 'the token has not three parts'],
    ['four parts', 'a.b.c.d', 'the token has not three parts'],
    ['no base64url', `${part({})}=.${part({})}.AAAA`, 'the header is not a JSON object in base64url'],
    ['standard base64', `+/+/.${part({})}.AAAA`, 'the header is not a JSON object in base64url'],
    [
      'a list for claims',
      `${part({ alg: 'RS256' })}.${part([])}.AAAA`,
      'the claims are not a JSON object in base64url',
    ],
    ['no signature', `${part({ alg: 'RS256' })}.${part({})}.`, 'the token is not signed'],
    [
      'the algorithm none',
      `${part({ alg: 'none' })}.${part({})}.AAAA`,
      'the signature algorithm is none that is taken',
    ],
    [
      'the algorithm None',
      `${part({ alg: 'None' })}.${part({})}.AAAA`,
      'the signature algorithm is none that is taken',
    ],
    [
      'a symmetric algorithm',
      `${part({ alg: 'HS256' })}.${part({})}.AAAA`,
      'the signature algorithm is none that is taken',
    ],
    [
      'an inherited algorithm',
      `${part({ alg: 'constructor' })}.${part({})}.AAAA`,
      'the signature algorithm is none that is taken',
    ],
    [
      'critical extensions',
      `${part({ alg: 'RS256', crit: ['b64'] })}.${part({})}.AAAA`,
      'the header names critical extensions',
    ],
    [
      'deep claims',
      `${part({ alg: 'RS256' })}.${part(JSON.parse('[['.repeat(20) + ']]'.repeat(20)))}.AAAA`,
      'the claims are not a JSON object in base64url',
    ],
    [
      '17 KiB',
      `${part({ alg: 'RS256' })}.${part({ pad: 'x'.repeat(17 * 1024) })}.AAAA`,
      'the token is too long',
    ],
  ])('that has or is %s', (_, token, reason) => unreviewed(token, reason));

  test.each([
    ['expired an hour ago', () => ({ exp: now() - 3600 }), 'the token has expired'],
    ['expires in this second', () => ({ exp: now() }), 'the token has expired'],
    ['is bound but never expires', () => ({ exp: undefined }), 'the token has no time of expiry'],
    ['has a text for exp', () => ({ exp: '9999999999' }), 'the token has no time of expiry'],
    ['begins in two minutes', () => ({ nbf: now() + 120 }), 'the token is not valid yet'],
    ['was issued in the future', () => ({ iat: now() + 120 }), 'the token is not valid yet'],
    ['has a text for nbf', () => ({ nbf: 'x' }), 'the claim nbf is no time'],
    ['is for another audience', () => ({ aud: ['api'] }), 'the token is for another audience'],
    ['has a prefix of the audience', () => ({ aud: 'vaul' }), 'the token is for another audience'],
    ['has no audience', () => ({ aud: undefined }), 'the token is for another audience'],
    [
      'names another subject',
      () => ({ sub: 'system:serviceaccount:kube-system:admin' }),
      'the claims name no service account',
    ],
    [
      'has no UID',
      () => ({ 'kubernetes.io': { namespace: 'grafana', serviceaccount: { name: 'external-secrets' } } }),
      'the claims name no service account',
    ],
    [
      'has a colon in its name',
      () => ({
        sub: undefined,
        'kubernetes.io': { namespace: 'grafana', serviceaccount: { name: 'a:b', uid: 'u' } },
      }),
      'the claims name no service account',
    ],
  ])('that %s', async (_, claims, reason) => {
    await unreviewed(issued({ claims: claims() }), reason);
  });

  test('whose account is bound to no role, with the text that clients know', async () => {
    expect(await failureOf(login(issued({ namespace: 'other' })))).toEqual({
      code: 'kubernetes.namespace_denied',
      message: 'namespace not authorized',
    });
    expect(await failureOf(login(issued({ name: 'default' })))).toEqual({
      code: 'kubernetes.name_denied',
      message: 'service account name not authorized',
    });
    expect(server.requests).toEqual([]);
  });

  test('of another issuer, where the issuer is checked', async () => {
    const config = { kubernetes_host: HOST, kubernetes_ca_cert: ca, disable_iss_validation: false };
    await auth.call('write', 'config', { ...config, issuer: 'https://elsewhere' });
    await unreviewed(issued(), 'the token is of another issuer');
    await auth.call('write', 'config', { ...config, issuer: 'https://kubernetes.default.svc' });
    expect((await login(issued())).auth).toBeDefined();
  });

  test('that none of the configured keys signed', async () => {
    const pem = keys.publicKey.export({ type: 'spki', format: 'pem' });
    await auth.call('write', 'config', { kubernetes_host: HOST, kubernetes_ca_cert: ca, pem_keys: [pem] });
    await unreviewed(
      jwt({}, { privateKey: otherKeys.privateKey }),
      'none of the configured keys signed the token',
    );
    const [head = '', , tail = ''] = issued().split('.');
    const forged = part({
      aud: 'vault',
      exp: now() + 600,
      'kubernetes.io': { namespace: 'grafana', serviceaccount: { name: 'external-secrets', uid: 'uid-1' } },
    });
    await unreviewed(`${head}.${forged}.${tail}`, 'none of the configured keys signed the token');
    // The oldest trick: the public key, which everybody has, as the secret of an HMAC.
    const signed = `${part({ alg: 'HS256' })}.${forged}`;
    const mac = createHmac('sha256', pem).update(signed).digest('base64url');
    await unreviewed(`${signed}.${mac}`, 'the signature algorithm is none that is taken');
    expect((await login(issued())).auth).toBeDefined();
  });
});

describe('signatures', () => {
  test.each(['ES256', 'ES384', 'ES512', 'PS256', 'RS512'])(
    '%s is verified with the right key only',
    async (alg) => {
      const curve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg];
      const pair = curve ? generateKeyPairSync('ec', { namedCurve: curve }) : keys;
      const pem = pair.publicKey.export({ type: 'spki', format: 'pem' });
      await auth.call('write', 'config', { kubernetes_host: HOST, kubernetes_ca_cert: ca, pem_keys: [pem] });
      const body = issued().split('.')[1] ?? '';
      const signed = `${part({ alg })}.${body}`;
      const hash = `sha${alg.slice(2)}`;
      const options = {
        key: pair.privateKey,
        ...(curve ? { dsaEncoding: 'ieee-p1363' as const } : {}),
        ...(alg.startsWith('PS') ? { padding: 6, saltLength: 32 } : {}),
      };
      const token = `${signed}.${sign(hash, Buffer.from(signed), options).toString('base64url')}`;
      server.known.set(token, {
        username: 'system:serviceaccount:grafana:external-secrets',
        uid: 'uid-1',
        audiences: ['vault'],
      });
      expect((await login(token)).auth).toBeDefined();
      // The same signature under a header that names another algorithm.
      const renamed = `${part({ alg: alg === 'ES256' ? 'ES384' : 'ES256' })}.${body}.${token.split('.')[2]}`;
      await denied(renamed, 'none of the configured keys signed the token');
    },
  );
});

describe('a review refuses', () => {
  test('a token that the API server does not know', async () => {
    await denied(jwt(), 'the API server does not know the token');
    expect(server.requests).toHaveLength(1);
  });

  test('a token whose account was deleted and made anew', async () => {
    const token = issued();
    server.known.set(token, {
      username: 'system:serviceaccount:grafana:external-secrets',
      uid: 'uid-2',
      audiences: ['vault'],
    });
    await denied(token, 'the review has another UID: the account was made anew');
  });

  test.each(['system:serviceaccount:grafana:other', 'external-secrets', 'system:node:grafana', ''])(
    'a token that is known as %j',
    async (username) => {
      const token = issued();
      server.known.set(token, { username, uid: 'uid-1', audiences: ['vault'] });
      await denied(token, 'the review names another service account');
    },
  );

  test('where the server says nothing of audiences: then it did not check them', async () => {
    server.knowsAudiences = false;
    await denied(issued(), 'the API server did not confirm the audience');
  });

  test.each([
    [500, '{}', 'the API server answered the review with status 500'],
    [403, '{}', 'the API server answered the review with status 403'],
    [302, '{"status":{"authenticated":true}}', 'the API server answered the review with status 302'],
    [201, 'not JSON', 'the API server does not know the token'],
    [201, '{}', 'the API server does not know the token'],
    [201, '[]', 'the API server does not know the token'],
    [
      201,
      '{"status":{"authenticated":"true","audiences":["vault"]}}',
      'the API server does not know the token',
    ],
    [
      201,
      '{"status":{"authenticated":true,"audiences":"vault"}}',
      'the API server did not confirm the audience',
    ],
    [201, '{"status":{"authenticated":true,"audiences":["vault"]}}', 'the review names no user'],
    [
      201,
      '{"status":{"authenticated":true,"audiences":["vault"],"user":{"username":1,"uid":2}}}',
      'the review names no user',
    ],
  ])('an answer of %i %s', async (status, body, reason) => {
    server.answer = () => ({ status, body });
    await denied(issued(), reason);
  });

  test('when nobody answers, and takes the same token once somebody does', async () => {
    const token = issued();
    server.answer = () => {
      throw Object.assign(new Error(`connect failed while sending ${token}`), { code: 'ECONNREFUSED' });
    };
    await denied(token, 'the API server could not be asked: ECONNREFUSED');
    server.answer = undefined;
    expect((await login(token)).auth).toBeDefined();
  });
});

describe('what was reviewed is kept', () => {
  test('for less than ten seconds, so that many logins ask once', async () => {
    const token = issued();
    await Promise.all(Array.from({ length: 20 }, () => login(token)));
    expect(server.requests).toHaveLength(1);
    clock.advance(9_999);
    await login(token);
    expect(server.requests).toHaveLength(1);
    clock.advance(1);
    server.known.delete(token);
    await denied(token, 'the API server does not know the token');
    expect(server.requests).toHaveLength(2);
  });

  test('but never for a token that has expired meanwhile, another audience, or another configuration', async () => {
    const token = issued({ claims: { exp: now() + 5 }, audiences: ['vault', 'other'] });
    await login(token);
    await auth.call('write', 'role/other', {
      bound_service_account_names: '*',
      bound_service_account_namespaces: '*',
      audience: 'other',
    });
    await login(token, 'other');
    expect(server.requests).toHaveLength(2);
    await auth.call('write', 'config', { kubernetes_host: HOST, kubernetes_ca_cert: ca });
    await login(token);
    expect(server.requests).toHaveLength(3);
    clock.advance(5000);
    await denied(token, 'the token has expired');
  });

  test('with wall time set back, still no longer than ten seconds', async () => {
    const token = issued({ claims: { exp: now() + 3600 } });
    await login(token);
    clock.advance(10_000);
    clock.jump(-30_000);
    await login(token);
    expect(server.requests).toHaveLength(2);
  });
});

describe('who asks', () => {
  const bearer = () => server.requests.at(-1)?.headers?.authorization;

  test('the token that logs in, where no other is configured', async () => {
    await auth.call('write', 'config', { kubernetes_host: HOST, kubernetes_ca_cert: ca });
    const token = issued();
    await login(token);
    expect(bearer()).toBe(`Bearer ${token}`);
  });

  test('the token of the pod, read anew each time, unless that is switched off', async () => {
    local = { ca, jwt: 'pod-one' };
    await auth.call('write', 'config', { kubernetes_host: HOST });
    await login(issued());
    expect(bearer()).toBe('Bearer pod-one');
    expect(server.requests.at(-1)?.ca).toBe(ca);
    local = { ca, jwt: 'pod-two' };
    await login(issued());
    expect(bearer()).toBe('Bearer pod-two');
    await auth.call('write', 'config', {
      kubernetes_host: HOST,
      kubernetes_ca_cert: ca,
      disable_local_ca_jwt: true,
    });
    const token = issued();
    await login(token);
    expect(bearer()).toBe(`Bearer ${token}`);
  });
});

describe('config', () => {
  test('is told without the token, and replaced as a whole', async () => {
    const { data, text } = await auth.call('read', 'config');
    expect(data).toEqual({
      disable_iss_validation: true,
      disable_local_ca_jwt: false,
      issuer: '',
      kubernetes_ca_cert: ca.trim(),
      kubernetes_host: HOST,
      pem_keys: [],
      token_reviewer_jwt_set: true,
    });
    expect(text).not.toContain(REVIEWER);
    await auth.call('write', 'config', { kubernetes_host: `${HOST}/`, kubernetes_ca_cert: ca });
    expect((await auth.call('read', 'config')).data).toMatchObject({
      kubernetes_host: HOST,
      token_reviewer_jwt_set: false,
    });
    expect((await mountForTest(kubernetes()).call('read', 'config')).status).toBe(404);
  });

  test.each([
    ['no host', () => ({ kubernetes_ca_cert: ca }), 'kubernetes.no_host', 'no host provided'],
    [
      'plain http',
      () => ({ kubernetes_host: 'http://127.0.0.1:8080', kubernetes_ca_cert: ca }),
      'kubernetes.host',
      undefined,
    ],
    [
      'no scheme',
      () => ({ kubernetes_host: 'kubernetes.default', kubernetes_ca_cert: ca }),
      'kubernetes.host',
      undefined,
    ],
    [
      'a user in the URL',
      () => ({ kubernetes_host: 'https://a:b@host', kubernetes_ca_cert: ca }),
      'kubernetes.host',
      undefined,
    ],
    [
      'a query',
      () => ({ kubernetes_host: 'https://host/?x=', kubernetes_ca_cert: ca }),
      'kubernetes.host',
      undefined,
    ],
    ['no CA anywhere', () => ({ kubernetes_host: HOST }), 'kubernetes.no_ca', undefined],
    [
      'no CA and the pod switched off',
      () => ({ kubernetes_host: HOST, disable_local_ca_jwt: true }),
      'kubernetes.no_ca',
      undefined,
    ],
    [
      'a CA that is none',
      () => ({ kubernetes_host: HOST, kubernetes_ca_cert: 'hello' }),
      'kubernetes.ca',
      undefined,
    ],
    [
      'a CA with broken insides',
      () => ({ kubernetes_host: HOST, kubernetes_ca_cert: ca.replace(/MII/, 'AAA') }),
      'kubernetes.ca',
      undefined,
    ],
    [
      'a key behind the CA',
      () => ({
        kubernetes_host: HOST,
        kubernetes_ca_cert: `${ca}\n-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----`,
      }),
      'kubernetes.ca',
      undefined,
    ],
    [
      'a private key for verifying',
      () => ({
        kubernetes_host: HOST,
        kubernetes_ca_cert: ca,
        pem_keys: [keys.privateKey.export({ type: 'pkcs8', format: 'pem' })],
      }),
      'kubernetes.pem_keys',
      undefined,
    ],
    [
      'nonsense for a key',
      () => ({ kubernetes_host: HOST, kubernetes_ca_cert: ca, pem_keys: 'x' }),
      'kubernetes.pem_keys',
      undefined,
    ],
  ])('with %s is refused, and what was there stays', async (_, body, code, message) => {
    const before = (await auth.call('read', 'config')).data;
    const refused = await failureOf(auth.call('write', 'config', body()));
    expect(refused.code).toBe(code);
    if (message !== undefined) expect(refused.message).toBe(message);
    expect((await auth.call('read', 'config')).data).toEqual(before);
  });
});

describe('roles', () => {
  test('are told, changed field by field, listed and deleted', async () => {
    expect((await auth.call('read', 'role/App')).data).toEqual({
      alias_name_source: 'serviceaccount_uid',
      audience: 'vault',
      bound_service_account_names: ['external-secrets'],
      bound_service_account_namespace_selector: '',
      bound_service_account_namespaces: ['grafana'],
      token_bound_cidrs: [],
      token_explicit_max_ttl: 0,
      token_max_ttl: 0,
      token_no_default_policy: false,
      token_num_uses: 0,
      token_period: 0,
      token_policies: ['default', 'grafana'],
      token_ttl: 86_400,
      token_type: 'default',
    });
    await auth.call('write', 'role/APP', {
      bound_service_account_namespaces: 'a,b',
      ttl: '1h',
      policies: 'x',
    });
    expect((await auth.call('read', 'role/app')).data).toMatchObject({
      bound_service_account_names: ['external-secrets'],
      bound_service_account_namespaces: ['a', 'b'],
      token_ttl: 3600,
      token_policies: ['x'],
    });
    expect((await auth.call('list', 'role')).data).toEqual({ keys: ['app'] });
    expect(await auth.exists('role/App')).toBe(true);
    expect((await auth.call('delete', 'role/app')).status).toBe(204);
    expect((await auth.call('list', 'role')).status).toBe(404);
    expect((await auth.call('read', 'role/app')).status).toBe(404);
    expect((await auth.call('delete', 'role/app')).status).toBe(204);
  });

  const bound = { bound_service_account_names: 'a', bound_service_account_namespaces: 'b' };
  test.each([
    [{ bound_service_account_namespaces: 'b' }, '"bound_service_account_names" can not be empty'],
    [
      { bound_service_account_names: 'a' },
      '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set',
    ],
    [{ ...bound, bound_service_account_names: 'a,*' }, 'can not mix "*" with values'],
    [{ ...bound, bound_service_account_namespaces: ['*', 'b'] }, 'can not mix "*" with values'],
    [
      { ...bound, token_ttl: '2h', token_max_ttl: '1h' },
      "'token_ttl' cannot be greater than 'token_max_ttl'",
    ],
    [{ ...bound, token_ttl: -1 }, "'token_ttl' cannot be negative"],
    [
      { ...bound, token_type: 'batch', token_num_uses: 1 },
      "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
    ],
    [{ ...bound, token_bound_cidrs: '10.0.0.0/33' }, "'token_bound_cidrs' holds what is no address block"],
    [{ ...bound, alias_name_source: 'email' }, 'alias_name_source'],
  ])('with %j are refused', async (body, message) => {
    expect((await failureOf(auth.call('write', 'role/new', body))).message).toContain(message);
    expect((await auth.call('read', 'role/new')).status).toBe(404);
  });

  test('without an audience are made with a warning', async () => {
    const answer = await auth.call('write', 'role/new', bound);
    expect(answer.status).toBe(200);
    expect(answer.warnings[0]).toContain('does not have an audience configured');
    expect((await auth.call('write', 'role/new', { audience: 'vault' })).status).toBe(204);
  });
});

test('no token ever reaches the log or an error', async () => {
  const token = issued();
  await login(token);
  for (const bad of [jwt({ uid: 'x' }), `${token}x`, token.slice(0, -5), `${token}.${token}`]) {
    const error = await login(bad).catch((thrown: unknown) => thrown);
    for (const piece of token.split('.')) expect(String(error)).not.toContain(piece);
  }
  expect(auth.logged.length).toBeGreaterThan(0);
  const logged = JSON.stringify(auth.logged);
  expect(logged).not.toContain(REVIEWER);
  for (const piece of token.split('.')) expect(logged).not.toContain(piece);
});
