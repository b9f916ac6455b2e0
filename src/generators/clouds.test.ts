/** The generators of clouds against small clouds of ours, which check what is signed and shown. */

import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { textOf, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import type { WebRequest } from '../base/web.ts';
import { NO_WAY_OUT, webJudge } from '../provider/egress.ts';
import type { Fields, GeneratorType } from '../provider/generator.ts';
import type { ProviderEnv } from '../provider/provider.ts';
import { testEnv } from '../provider/testing.ts';
import { type FakeAws, startFakeAws } from '../providers/aws/testing.ts';
import { startFakeAzure } from '../providers/azure/testing.ts';
import { startFakeGoogle } from '../providers/gcp/testing.ts';
import { createDial } from '../server/http/dial.ts';
import { createEcrGenerator } from './aws/ecr.ts';
import { createStsGenerator } from './aws/sts.ts';
import { createAcrGenerator } from './azure/acr.ts';
import { createGcrGenerator } from './gcp/gcr.ts';
import { createGithubGenerator } from './github.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const loopback = createDial({ target: (host, port) => ({ host, port }), allow: () => true });
const secrets =
  (data: Readonly<Record<string, string>>): ProviderEnv['secretKey'] =>
  async ({ name, key }) => {
    const text = name === 'creds' ? data[key] : undefined;
    if (text !== undefined) return utf8(text);
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  };

const texts = (fields: Fields): Record<string, string | undefined> =>
  Object.fromEntries([...fields].map(([key, bytes]) => [key, textOf(bytes)]));
const nothing = async (): Promise<never> => {
  throw new Error('it leaves nothing behind');
};
const made = async <S>(type: GeneratorType<S>, spec: object, env: ProviderEnv) =>
  texts(await type.generate(type.spec.parse(spec), env, nothing));

// ---- AWS

const KEYS = {
  secretRef: {
    accessKeyIDSecretRef: { name: 'creds', key: 'id' },
    secretAccessKeySecretRef: { name: 'creds', key: 'secret' },
  },
};
async function aws(data = { id: 'AKIAROOT', secret: 'rootSecret\n' }) {
  const fake: FakeAws = await startFakeAws();
  closing.push(() => fake.close());
  const env = testEnv({
    store: 'ECRAuthorizationToken team/x',
    wayOut: { ...NO_WAY_OUT, dial: loopback },
    secretKey: secrets(data),
    retry: { maxRetries: 0 },
  });
  const options = { endpoint: () => fake.url, lendOwnKeys: false, now: Date.now };
  return { fake, env, options };
}

test('a token of a private registry comes with where it is good and until when', async () => {
  const { fake, env, options } = await aws();
  const spec = { region: 'eu-west-1', auth: KEYS };
  expect(await made(createEcrGenerator(options), spec, env)).toEqual({
    username: 'AWS',
    password: 'eyJ.pw',
    proxy_endpoint: 'https://1234.dkr.ecr.eu-west-1.amazonaws.com',
    expires_at: '1800000000',
  });
  expect(fake.calls).toMatchObject([{ accessKey: 'AKIAROOT', region: 'eu-west-1' }]);
});

test('public registries are asked under their own name, in the one region that has them', async () => {
  const { fake, env: base, options } = await aws();
  const signed: string[] = [];
  const dial = async (request: WebRequest) => {
    signed.push(request.headers?.['authorization'] ?? '');
    return loopback(request);
  };
  const env = { ...base, wayOut: { ...NO_WAY_OUT, dial } };
  const spec = { region: 'eu-west-1', auth: KEYS, scope: 'public' };
  expect(await made(createEcrGenerator(options), spec, env)).toEqual({
    username: 'AWS',
    password: 'eyJ.pw',
    expires_at: '1800000000',
  });
  expect(fake.calls).toMatchObject([{ service: 'SpencerFrontendService', region: 'us-east-1' }]);
  expect(signed).toEqual([expect.stringContaining('/us-east-1/ecr-public/aws4_request')]);
});

test('a role is assumed before the token is asked for', async () => {
  const { fake, env, options } = await aws();
  const spec = { region: 'eu-west-1', auth: KEYS, role: 'arn:aws:iam::1:role/pull' };
  await made(createEcrGenerator(options), spec, env);
  expect(fake.calls.map(({ action }) => action)).toEqual(['AssumeRole', 'GetAuthorizationToken']);
  expect(fake.calls[1]?.accessKey).toMatch(/^ASIA/);
});

test('temporary keys of a user come with when they end', async () => {
  const { fake, env, options } = await aws();
  const spec = {
    region: 'eu-west-1',
    auth: KEYS,
    requestParameters: { sessionDuration: 900, serialNumber: 'arn:mfa', tokenCode: '123456' },
  };
  const given = await made(createStsGenerator(options), spec, env);
  expect(Object.keys(given)).toEqual(['access_key_id', 'secret_access_key', 'session_token', 'expiration']);
  expect(given['access_key_id']).toMatch(/^ASIA/);
  expect(given['expiration']).toMatch(/^\d{10}$/);
  expect(fake.calls[0]?.body).toMatchObject({
    Action: 'GetSessionToken',
    DurationSeconds: '900',
    SerialNumber: 'arn:mfa',
    TokenCode: '123456',
  });
});

test('what AWS refuses is told by its name, with what would have to be granted, and without the key', async () => {
  const { fake, env, options } = await aws();
  fake.between = () => ({ status: 400, code: 'AccessDeniedException' });
  const asked = made(createEcrGenerator(options), { region: 'eu-west-1', auth: KEYS }, env);
  await expect(asked).rejects.toMatchObject({
    code: 'provider.denied',
    message: expect.stringContaining('AWS answers AccessDenied'),
    hint: expect.stringContaining('ecr:GetAuthorizationToken'),
  });
  const wrong = await aws({ id: 'AKIAROOT', secret: 'otherSecret' });
  const refused = made(createEcrGenerator(wrong.options), { region: 'eu-west-1', auth: KEYS }, wrong.env);
  await expect(refused).rejects.toSatisfy((error: Error) => !error.message.includes('otherSecret'));
});

test('whoever names no keys gets none of the operator, and jwt gives no session', async () => {
  const { env, options } = await aws();
  await expect(made(createEcrGenerator(options), { region: 'eu-west-1' }, env)).rejects.toMatchObject({
    code: 'provider.unsupported',
  });
  const jwt = { jwt: { serviceAccountRef: { name: 'sa' } } };
  await expect(made(createStsGenerator(options), { region: 'eu-west-1', auth: jwt }, env)).rejects.toThrow(
    'jwt auth cannot be used for STS Session Token generation',
  );
  await expect(made(createEcrGenerator(options), { region: 'x/../y', auth: KEYS }, env)).rejects.toThrow(
    'region not found',
  );
});

// ---- Google

test('a token of Google comes under the name that its registries know', async () => {
  const fake = await startFakeGoogle();
  closing.push(() => fake.close());
  const env = testEnv({
    store: 'GCRAccessToken team/x',
    wayOut: { ...NO_WAY_OUT, dial: loopback },
    secretKey: secrets({ key: fake.key() }),
  });
  const type = createGcrGenerator({
    endpoints: (service) => fake.endpoint(service),
    lendOwnKeys: false,
    now: Date.now,
  });
  const auth = { secretRef: { secretAccessKeySecretRef: { name: 'creds', key: 'key' } } };
  const given = await made(type, { projectID: 'p', auth }, env);
  expect(given).toMatchObject({ username: 'oauth2accesstoken', expiry: expect.stringMatching(/^\d{10}$/) });
  expect(given['password']).toMatch(/^\S{10,}$/);
  await expect(made(type, { projectID: 'p', auth: {} }, env)).rejects.toMatchObject({
    code: 'provider.unsupported',
  });
});

// ---- Azure

const REGISTRY = 'acme.azurecr.io';
async function azure(status = 200) {
  const fake = await startFakeAzure();
  closing.push(() => fake.close());
  fake.scope = 'https://management.azure.com/.default';
  const forms: { readonly path: string; readonly form: Record<string, string> }[] = [];
  const resolve: ProviderEnv['resolve'] = (host, port) =>
    host.endsWith('.microsoftonline.com')
      ? { host: '127.0.0.1', port: fake.port, ca: fake.ca }
      : { host, port };
  const entra = createDial({
    target: resolve,
    allow: webJudge({ allowed: ({ host }) => resolve(host, 443).ca !== undefined, isCluster: () => false }),
  });
  const dial = async (request: WebRequest) => {
    const { hostname, pathname } = new URL(request.url);
    if (hostname !== REGISTRY) return entra(request);
    forms.push({ path: pathname, form: Object.fromEntries(new URLSearchParams(request.body)) });
    const token = pathname === '/oauth2/exchange' ? { refresh_token: 'refresh' } : { access_token: 'access' };
    return { status, body: utf8(JSON.stringify(token)) };
  };
  const env = testEnv({
    store: 'ACRAccessToken team/x',
    resolve,
    wayOut: { ...NO_WAY_OUT, dial },
    secretKey: secrets({ id: fake.client, secret: fake.secret }),
  });
  const spec = {
    registry: REGISTRY,
    tenantId: fake.tenant,
    auth: {
      servicePrincipal: {
        secretRef: {
          clientId: { name: 'creds', key: 'id' },
          clientSecret: { name: 'creds', key: 'secret' },
        },
      },
    },
  };
  return { fake, env, spec, forms };
}
const acr = createAcrGenerator({ lendOwnKeys: false, tenant: '' });

test('a token of Entra ID is changed at the registry for one of its own', async () => {
  const { env, spec, forms, fake } = await azure();
  expect(await made(acr, spec, env)).toEqual({
    username: '00000000-0000-0000-0000-000000000000',
    password: 'refresh',
  });
  expect(forms).toEqual([
    {
      path: '/oauth2/exchange',
      form: {
        grant_type: 'access_token',
        service: REGISTRY,
        tenant: fake.tenant,
        access_token: expect.stringMatching(/^\S{10,}$/),
      },
    },
  ]);
});

test('with a scope, that token is changed again for one that may do no more', async () => {
  const { env, spec, forms } = await azure();
  const scope = 'repository:app:pull';
  expect(await made(acr, { ...spec, scope }, env)).toMatchObject({ password: 'access' });
  expect(forms[1]).toEqual({
    path: '/oauth2/token',
    form: { grant_type: 'refresh_token', service: REGISTRY, scope, refresh_token: 'refresh' },
  });
});

test('a registry that refuses says so, and one that is no host is never asked', async () => {
  const { env, spec } = await azure(403);
  await expect(made(acr, spec, env)).rejects.toMatchObject({ code: 'provider.denied' });
  const other = await azure();
  await expect(made(acr, { ...other.spec, registry: 'acme.azurecr.io/x' }, other.env)).rejects.toThrow(
    'registry is not the name of a host',
  );
  expect(other.forms).toEqual([]);
});

test('the identity of the operator is lent to no generator', async () => {
  const { env, spec } = await azure();
  const auth = { managedIdentity: { identityId: '' } };
  await expect(made(acr, { ...spec, auth }, env)).rejects.toMatchObject({ code: 'provider.unsupported' });
});

// ---- GitHub

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const NOW = 1_780_000_000_000;
const github = createGithubGenerator({ now: () => NOW });
const APP = {
  appID: '42',
  installID: '4711',
  auth: { privateKey: { secretRef: { name: 'creds', key: 'pem' } } },
};

function hub(status = 201, body: unknown = { token: 'ghs_x', expires_at: 'later' }) {
  const requests: WebRequest[] = [];
  const env = testEnv({
    store: 'GithubAccessToken team/x',
    secretKey: secrets({ pem: privateKey, none: 'no key' }),
    wayOut: {
      ...NO_WAY_OUT,
      dial: async (request) => {
        requests.push(request);
        return { status, body: utf8(typeof body === 'string' ? body : JSON.stringify(body)) };
      },
    },
  });
  return { env, requests };
}

test('an App proves itself by a short-lived token of its key, and asks for no more than is written', async () => {
  const { env, requests } = hub();
  const spec = { ...APP, repositories: ['app'], permissions: { contents: 'read' } };
  expect(await made(github, spec, env)).toEqual({ token: 'ghs_x' });
  const [request] = requests;
  expect(request).toMatchObject({
    url: 'https://api.github.com/app/installations/4711/access_tokens',
    method: 'POST',
    body: JSON.stringify({ permissions: { contents: 'read' }, repositories: ['app'] }),
  });
  const jwt = (request?.headers?.['Authorization'] ?? '').replace('Bearer ', '');
  expect(decodeProtectedHeader(jwt)).toEqual({ alg: 'RS256', typ: 'JWT' });
  expect(decodeJwt(jwt)).toEqual({ iss: '42', iat: NOW / 1000 - 10, exp: NOW / 1000 + 300 });
  const { createPublicKey } = await import('node:crypto');
  await jwtVerify(jwt, createPublicKey(publicKey), { currentDate: new Date(NOW) });
});

test("without repositories and permissions nothing is sent, and a server of one's own is asked where it is", async () => {
  const { env, requests } = hub();
  await made(github, { ...APP, url: 'https://ghe.example.com/api/v3/' }, env);
  expect(requests[0]?.url).toBe('https://ghe.example.com/api/v3/app/installations/4711/access_tokens');
  expect(requests[0]).not.toHaveProperty('body');
});

test.each([
  [401, { message: 'Bad credentials' }, 'provider.denied', /response code: 401/],
  [404, { message: 'Not Found' }, 'provider.denied', /response code: 404/],
  [502, 'bad gateway', 'provider.read', /GitHub answers 502/],
  [201, '{', 'provider.read', /token isn't a string or token key doesn't exist/],
  [201, { token: 7 }, 'provider.read', /token isn't a string or token key doesn't exist/],
])('%i %j of GitHub is told as what it is', async (status, body, code, message) => {
  const { env } = hub(status, body);
  await expect(made(github, APP, env)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});

test('what cannot be right is refused before anything is asked', async () => {
  const { env, requests } = hub();
  await expect(made(github, { ...APP, installID: '1/../2' }, env)).rejects.toThrow(
    'installID is not a number',
  );
  await expect(made(github, { ...APP, url: 'file:///etc' }, env)).rejects.toThrow('not the address');
  const auth = { privateKey: { secretRef: { name: 'creds', key: 'none' } } };
  await expect(made(github, { ...APP, auth }, env)).rejects.toThrow('holds no RSA private key in PEM');
  expect(requests).toEqual([]);
});
