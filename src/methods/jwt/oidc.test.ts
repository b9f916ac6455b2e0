import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { RawReply, Reply, Verb } from '../../plugin/plugin.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { failureOf } from '../testing.ts';
import { authorizationUrl } from './flow.ts';
import { jwt, oidc } from './index.ts';
import { PendingLogins } from './pending.ts';
import { isAllowedRedirect } from './redirect.ts';
import { CLIENT, FakeProvider, ISSUER, rsa, SECRET, signed } from './testing.ts';

const key = rsa('first');
const other = rsa('other');
const HERE = 'http://localhost:8250/oidc/callback';
const NONCE = 'client-nonce-of-twenty';
const EXPIRED = 'Vault login failed. Expired or missing OAuth state.';

let auth: TestMount;
let provider: FakeProvider;

const CONFIG = { oidc_discovery_url: ISSUER, oidc_client_id: CLIENT, oidc_client_secret: SECRET };
const ROLE = {
  user_claim: 'email',
  groups_claim: '/realm_access/roles',
  allowed_redirect_uris: HERE,
  oidc_scopes: 'profile,email',
  token_policies: 'reader',
};

beforeEach(async () => {
  provider = new FakeProvider(key);
  auth = mountForTest(oidc, { dial: provider.dial });
  await auth.call('write', 'config', CONFIG);
  await auth.call('write', 'role/staff', ROLE);
});

const write = (path: string, data: object) => auth.call('write', path, data);
const now = (): number => Math.floor(auth.clock.now() / 1000);

/** Begins a login; the parameters of the address that the browser is sent to. */
async function begin(given: object = {}): Promise<URLSearchParams> {
  const asked = { role: 'staff', redirect_uri: HERE, client_nonce: NONCE, ...given };
  const { data } = await write('oidc/auth_url', asked);
  return data.auth_url === '' ? new URLSearchParams() : new URL(data.auth_url).searchParams;
}

const claimsOf = (nonce: string | null, changes: object = {}): object => ({
  iss: ISSUER,
  sub: 'user-1',
  aud: CLIENT,
  exp: now() + 300,
  iat: now(),
  nonce,
  email: 'ada@example.org',
  realm_access: { roles: ['admins', 'staff'] },
  ...changes,
});

interface Made {
  readonly claims?: object;
  readonly by?: typeof key;
  readonly header?: object;
  readonly accessToken?: string | null;
}

/** What the provider does when the person has logged in: it gives a code that stands for tokens. */
function consent(
  asked: URLSearchParams,
  { claims, by = key, header, accessToken = 'at-1' }: Made = {},
): string {
  const code = `code-${provider.codes.size}-${asked.get('state')?.slice(0, 6)}`;
  const idToken = signed(claimsOf(asked.get('nonce'), claims), by, header);
  provider.codes.set(code, (form) => {
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (challenge !== asked.get('code_challenge')) return { error: 'invalid_grant' };
    if (form.get('redirect_uri') !== asked.get('redirect_uri')) return { error: 'invalid_grant' };
    return {
      id_token: idToken,
      token_type: 'Bearer',
      ...(accessToken === null ? {} : { access_token: accessToken }),
    };
  });
  return code;
}

const callback = (asked: URLSearchParams, code: string, more: object = {}) =>
  auth.call('read', 'oidc/callback', { state: asked.get('state'), code, client_nonce: NONCE, ...more });

const refusal = async (call: Promise<unknown>): Promise<string> => (await failureOf(call)).message;

/** Calls an operation that answers with a page. */
async function page(verb: Verb, path: string, data: object): Promise<RawReply & { html: string }> {
  const route = auth.plugin.routes.find((one) => one.path === path);
  const operation = route?.operations[verb];
  const call = { remote: { address: '127.0.0.1', port: 1 } };
  const reply = (await operation?.run(operation.input.parse(data) as never, call as never)) as Reply;
  if (!('raw' in reply)) throw new Error('no page');
  return { ...reply.raw, html: Buffer.from(reply.raw.body as Uint8Array).toString() };
}

describe('a login through the browser', () => {
  test('asks for a code with state, nonce and a challenge, and keeps what the address already asks', async () => {
    const { data } = await write('oidc/auth_url', { role: 'Staff', redirect_uri: HERE, client_nonce: NONCE });
    expect(data.auth_url).toMatch(`${ISSUER}/auth?tenant=one&`);
    const asked = Object.fromEntries(new URL(data.auth_url).searchParams);
    expect(asked).toEqual({
      tenant: 'one',
      client_id: CLIENT,
      response_type: 'code',
      redirect_uri: HERE,
      scope: 'openid profile email',
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    });
    expect(data).not.toHaveProperty('state');
  });

  test('grants what the role says to who the ID token names', async () => {
    const asked = await begin();
    const { auth: grant } = await callback(asked, consent(asked));
    expect(grant).toMatchObject({
      displayName: 'oidc-ada@example.org',
      policies: ['reader'],
      alias: { name: 'ada@example.org', metadata: { role: 'staff' } },
      metadata: { role: 'staff' },
      groups: ['admins', 'staff'],
    });
  });

  test('sends the secret in the header, encoded as forms are, and in the body only where nothing else is taken', async () => {
    await write('config', { ...CONFIG, oidc_client_id: 'a:b', oidc_client_secret: 'p&s%' });
    let asked = await begin();
    await failureOf(callback(asked, consent(asked)));
    const [first] = provider.asked('/token');
    expect(first?.headers?.['authorization']).toBe(
      `Basic ${Buffer.from('a%3Ab:p%26s%25').toString('base64')}`,
    );
    expect(first?.body).not.toContain('client_secret');
    provider.discovery = { token_endpoint_auth_methods_supported: ['client_secret_post'] };
    await write('config', CONFIG);
    asked = await begin();
    expect((await callback(asked, consent(asked))).auth).toBeDefined();
    const second = provider.asked('/token')[1];
    expect(second?.headers).not.toHaveProperty('authorization');
    expect(second?.body).toContain(`client_secret=${SECRET}`);
  });

  test('lays what the userinfo tells over the claims, if it speaks of the same subject', async () => {
    provider.userinfo = (token) => ({
      sub: 'user-1',
      email: `${token}@userinfo`,
      realm_access: { roles: [] },
    });
    let asked = await begin();
    expect((await callback(asked, consent(asked))).auth).toMatchObject({
      alias: { name: 'at-1@userinfo' },
      groups: [],
    });
    for (const told of [
      { sub: 'user-2', email: 'eve' },
      { email: 'eve' },
      { sub: 'user-1', iss: 'x', email: 'eve' },
      'no',
      [],
    ]) {
      provider.userinfo = () => told;
      asked = await begin();
      expect((await callback(asked, consent(asked))).auth?.alias?.name).toBe('ada@example.org');
    }
  });

  test('goes without the userinfo where there is no access token, or nobody answers', async () => {
    provider.userinfo = () => ({ sub: 'user-1', email: 'never' });
    const asked = await begin();
    expect((await callback(asked, consent(asked, { accessToken: null }))).auth?.alias?.name).toBe(
      'ada@example.org',
    );
    expect(provider.asked('/userinfo')).toHaveLength(0);
  });

  test('works under a mount of the type jwt, and with the default role', async () => {
    auth = mountForTest(jwt, { dial: provider.dial, path: 'auth/sso/' });
    await write('config', { ...CONFIG, default_role: 'staff' });
    await write('role/staff', ROLE);
    const asked = await begin({ role: undefined });
    expect((await callback(asked, consent(asked))).auth?.displayName).toBe('sso-ada@example.org');
  });

  test('never tells code, tokens or secret to the log', async () => {
    await write('role/staff', { ...ROLE, verbose_oidc_logging: true });
    const asked = await begin();
    const code = consent(asked);
    await callback(asked, code);
    const again = await begin();
    await failureOf(callback(again, 'wrong-code-canary'));
    const text = JSON.stringify(auth.logged);
    expect(text).toContain('the claims of the identity provider');
    for (const secret of [
      code,
      'at-1',
      SECRET,
      'wrong-code-canary',
      NONCE,
      asked.get('nonce') ?? '',
      asked.get('state') ?? '',
    ])
      expect(text).not.toContain(secret);
  });
});

describe('the state of a login', () => {
  test('is good once', async () => {
    const asked = await begin();
    await callback(asked, consent(asked));
    expect(await refusal(callback(asked, consent(asked)))).toBe(EXPIRED);
  });

  test('is good for one of many who bring it at once', async () => {
    const asked = await begin();
    const code = consent(asked);
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => callback(asked, code)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('is used up by a failure too', async () => {
    const asked = await begin();
    await failureOf(callback(asked, 'no such code'));
    expect(await refusal(callback(asked, consent(asked)))).toBe(EXPIRED);
  });

  test('ends after ten minutes, with the configuration it was made under, and with the process', async () => {
    const late = await begin();
    auth.clock.advance(10 * 60_000);
    expect(await refusal(callback(late, consent(late)))).toBe(EXPIRED);
    const old = await begin();
    await write('config', CONFIG);
    expect(await refusal(callback(old, consent(old)))).toBe(EXPIRED);
    const before = await begin();
    auth.restart();
    expect(await refusal(callback(before, consent(before)))).toBe(EXPIRED);
  });

  test('that nobody made is refused', async () => {
    for (const state of ['', 'x', '__proto__', undefined])
      expect(await refusal(auth.call('read', 'oidc/callback', { state, code: 'x' }))).toBe(EXPIRED);
  });

  test('brings the role that it was begun with, and not one that a later login names', async () => {
    await write('role/boss', { ...ROLE, token_policies: 'boss' });
    const staff = await begin();
    const boss = await begin({ role: 'boss' });
    // The code that the provider gave for one login is of no use with the state of the other: nonce and verifier differ.
    expect(await refusal(callback(boss, consent(staff)))).toContain('Error exchanging oidc code');
    expect((await callback(staff, consent(staff))).auth?.policies).toEqual(['reader']);
  });

  test('ends with its role', async () => {
    const asked = await begin();
    await auth.call('delete', 'role/staff');
    expect(await refusal(callback(asked, consent(asked)))).toBe(
      'Vault login failed. Role could not be found',
    );
  });

  test('is completed by who began it: the client nonce must come back', async () => {
    for (const nonce of ['wrong', '', undefined]) {
      const asked = await begin();
      expect(await refusal(callback(asked, consent(asked), { client_nonce: nonce }))).toBe(
        'Vault login failed. invalid client_nonce',
      );
    }
    // Somebody else's login, begun without a nonce, must not be finished in the client of who has one.
    const bare = await begin({ client_nonce: undefined });
    expect(await refusal(callback(bare, consent(bare)))).toBe('Vault login failed. invalid client_nonce');
    const fine = await begin({ client_nonce: undefined });
    expect((await callback(fine, consent(fine), { client_nonce: undefined })).auth).toBeDefined();
  });

  test('is one of ten thousand at most: the oldest goes', () => {
    const logins = new PendingLogins(auth.mount);
    const login = {
      roleName: 'r',
      redirectUri: HERE,
      nonce: '',
      verifier: '',
      clientNonce: '',
      revision: 1,
      requester: '',
    };
    const states = Array.from({ length: 10_002 }, () => logins.begin(login));
    expect(logins.size).toBe(10_000);
    expect(states.filter((state) => logins.find(state) === undefined)).toEqual(states.slice(0, 2));
    auth.clock.advance(10 * 60_000);
    logins.begin(login);
    expect(logins.size).toBe(1);
  });

  test('is never written down: what strangers begin changes nothing that is stored', async () => {
    const keys = async () => {
      const all: string[] = [];
      for await (const { key: name, revision } of auth.storage.scan('', new AbortController().signal))
        all.push(`${name}@${revision}`);
      return all;
    };
    const before = await keys();
    const asked = await begin();
    await begin({ redirect_uri: 'https://evil.example/' });
    await failureOf(callback(asked, 'x'));
    await callback(await begin().then((a) => a), 'y').catch(() => {});
    expect(await keys()).toEqual(before);
  });
});

describe('an ID token', () => {
  const fails = async (made: Made): Promise<string> => {
    const asked = await begin();
    return refusal(callback(asked, consent(asked, made)));
  };
  const about = (reason: string): string =>
    `Vault login failed. Error exchanging oidc code: ${JSON.stringify(reason)}.`;
  const verifying = (reason: string): string => about(`id_token failed verification: ${reason}`);
  const NO_PARTY = verifying('invalid id_token: authorized party is not equal to client_id');

  test.each<[string, () => Made, string]>([
    [
      'of another key',
      () => ({ by: other, header: { kid: key.id } }),
      verifying('error verifying token signature: no known key successfully validated the token signature'),
    ],
    [
      'of another algorithm than RS256',
      () => ({ header: { alg: 'PS256' } }),
      verifying('invalid algorithm (alg) header parameter: token signed with unexpected algorithm'),
    ],
    [
      'of another issuer',
      () => ({ claims: { iss: 'https://id.example/realms/other' } }),
      verifying('id token issued by a different provider'),
    ],
    ['that has expired', () => ({ claims: { exp: now() - 1 } }), verifying('token is expired')],
    ['without an end', () => ({ claims: { exp: undefined } }), verifying('token is expired')],
    [
      'that is not yet good',
      () => ({ claims: { nbf: now() + 120 } }),
      verifying('current time before the nbf (not before) time'),
    ],
    [
      'that was issued in the future',
      () => ({ claims: { iat: now() + 120 } }),
      verifying('current time before the iat (issued at) time'),
    ],
    [
      'with the nonce of another login',
      () => ({ claims: { nonce: 'replayed' } }),
      verifying('invalid id_token nonce'),
    ],
    ['without a nonce', () => ({ claims: { nonce: undefined } }), verifying('invalid id_token nonce')],
    [
      'without a subject',
      () => ({ claims: { sub: '' } }),
      verifying('invalid id_token: sub: missing required claim'),
    ],
    [
      'without an audience',
      () => ({ claims: { aud: [] } }),
      verifying('invalid id_token: aud: missing required claim'),
    ],
    ['for another client', () => ({ claims: { aud: 'other' } }), NO_PARTY],
    ['for another client that says so', () => ({ claims: { azp: 'other' } }), NO_PARTY],
    ['for several, without the party', () => ({ claims: { aud: [CLIENT, 'x'] } }), NO_PARTY],
    [
      'for several others',
      () => ({ claims: { aud: ['y', 'x'], azp: CLIENT } }),
      verifying('invalid id_token: multiple audiences and none of them is equal to client_id'),
    ],
    [
      'with the hash of another access token',
      () => ({ claims: { at_hash: 'AAAA' } }),
      about('access_token hash does not match value in id_token'),
    ],
    [
      'with the hash of another code',
      () => ({ claims: { c_hash: 'AAAA' } }),
      about('authorization code hash does not match value in id_token'),
    ],
  ])('%s is refused', async (_, made, message) => {
    expect(await fails(made())).toBe(message);
  });

  test('for several that was made at the wish of this client is taken, with the hash of its access token', async () => {
    const hash = createHash('sha256').update('at-1').digest().subarray(0, 16).toString('base64url');
    const asked = await begin();
    const code = consent(asked, { claims: { aud: [CLIENT, 'x'], azp: CLIENT, at_hash: hash } });
    expect((await callback(asked, code)).auth).toBeDefined();
  });

  test('must be for one of the audiences of the role', async () => {
    await write('role/staff', { ...ROLE, bound_audiences: 'api' });
    expect(await fails({})).toBe(verifying('invalid id_token audiences: invalid audience'));
    const asked = await begin();
    expect(
      (await callback(asked, consent(asked, { claims: { aud: ['api', CLIENT], azp: CLIENT } }))).auth,
    ).toBeDefined();
  });

  test('must tell of a login that is young enough where the role says how old', async () => {
    await write('role/staff', { ...ROLE, max_age: '10m' });
    expect((await begin()).get('max_age')).toBe('600');
    expect(await fails({})).toBe(verifying('missing auth_time claim when max age was requested'));
    expect(await fails({ claims: { auth_time: now() - 661 } })).toBe(
      verifying('auth_time is beyond max age'),
    );
    const asked = await begin();
    expect(
      (await callback(asked, consent(asked, { claims: { auth_time: now() - 600 } }))).auth,
    ).toBeDefined();
  });

  test('must fit what the role binds', async () => {
    await write('role/staff', { ...ROLE, bound_subject: 'user-2' });
    expect(await fails({})).toBe('Vault login failed. sub claim does not match bound subject');
    await write('role/staff', {
      ...ROLE,
      bound_subject: '',
      bound_claims: { '/realm_access/roles': ['boss'] },
    });
    expect(await fails({})).toBe(
      'Vault login failed. error validating claims: claim "/realm_access/roles" does not match any associated bound claim values',
    );
    expect(await fails({ claims: { email: undefined } })).toBe(
      'Vault login failed. claim "email" not found in token',
    );
    await write('role/staff', { ...ROLE, bound_claims: {}, token_bound_cidrs: '10.0.0.0/8' });
    const asked = await begin();
    expect((await failureOf(callback(asked, consent(asked)))).code).toBe('request.denied');
  });

  test('has no claims but its own: none that every object inherits', async () => {
    await write('role/staff', { ...ROLE, bound_claims: { toString: 'x' } });
    expect(await fails({})).toBe('Vault login failed. error validating claims: claim "toString" is missing');
  });

  test('that does not come is told by the status and the code of the error alone', async () => {
    expect(await refusal(callback(await begin(), 'code-canary'))).toBe(
      about('the identity provider cannot be used: id.example answered with status 400 (invalid_grant)'),
    );
    const asked = await begin();
    provider.codes.set('c', () => ({ access_token: 'at-canary' }));
    expect(await refusal(callback(asked, 'c'))).toBe(
      about('the identity provider cannot be used: id_token is missing from auth code exchange'),
    );
    const down = await begin();
    const code = consent(down);
    provider.down = true;
    expect(await refusal(callback(down, code))).toContain('cannot reach id.example:443');
  });
});

describe('an answer without a code', () => {
  test.each([
    ['access_denied', 'Vault login failed. access_denied'],
    [' Invalid_Scope ', 'Vault login failed. invalid_scope'],
    [
      '<script>',
      'Vault login failed. An unknown error occurred during OIDC authentication. Check server logs for details',
    ],
  ])('that says %s ends the login', async (error, message) => {
    const asked = await begin();
    expect(await refusal(callback(asked, '', { error, error_description: 'a\nb' }))).toBe(message);
    expect(JSON.stringify(auth.logged)).not.toContain('\\n');
    expect(await refusal(callback(asked, consent(asked)))).toBe(EXPIRED);
  });

  test('that says nothing is refused', async () => {
    expect(await refusal(callback(await begin(), ''))).toBe(
      'Vault login failed. No code or id_token received.',
    );
  });

  test('that names another issuer is refused before its code goes anywhere', async () => {
    const asked = await begin();
    const code = consent(asked);
    expect(await refusal(callback(asked, code, { iss: 'https://evil.example' }))).toBe(
      'Vault login failed. the answer is of another issuer',
    );
    expect(provider.codes.has(code)).toBe(true);
    const fine = await begin();
    expect((await callback(fine, consent(fine), { iss: ISSUER })).auth).toBeDefined();
  });

  test('and everything strange is a refusal and nothing worse', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('no_code', '__proto__', 'x'.repeat(5000)),
      fc.constant(undefined),
    );
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (code, nonce, error, iss) => {
        const asked = await begin();
        const { code: kind } = await failureOf(
          callback(asked, code as string, { client_nonce: nonce, error, iss }),
        );
        expect(['jwt.refused', 'request.invalid']).toContain(kind);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the address to come back to', () => {
  const ALLOWED = [HERE, 'https://vault.example:8200/ui/vault/auth/oidc/oidc/callback', 'http://[::1]/cb'];

  test.each([
    HERE,
    'http://localhost:9999/oidc/callback',
    'http://localhost/oidc/callback',
    'http://localhost:80/oidc/callback',
    'https://vault.example:8200/ui/vault/auth/oidc/oidc/callback',
    'http://[::1]:1234/cb',
  ])('may be %s', (uri) => {
    expect(isAllowedRedirect(uri, ALLOWED)).toBe(true);
  });

  test.each([
    '',
    'http://localhost:8250/oidc/callback/',
    'http://localhost:8250/oidc/callback?x=1',
    'http://localhost:8250/oidc/callback#x',
    'http://localhost:8250/oidc/../oidc/callback',
    'http://localhost:8250/oidc/%63allback',
    'http://LOCALHOST:8250/oidc/callback',
    'https://localhost:8250/oidc/callback',
    'http://127.0.0.1:8250/oidc/callback',
    'http://user@localhost:8250/oidc/callback',
    'http://localhost:8250@evil.example/oidc/callback',
    'http://localhost:8250\\@evil.example/oidc/callback',
    'http://localhost.evil.example:8250/oidc/callback',
    'http://localhost:8250/oidc/callback\n',
    ' http://localhost:8250/oidc/callback',
    'http://127.1:8250/oidc/callback',
    'https://vault.example:8201/ui/vault/auth/oidc/oidc/callback',
    'https://vault.example:8200/ui/vault/auth/oidc/oidc/callback?next=//evil.example',
    'https://vault.example:8200.evil.example/ui/vault/auth/oidc/oidc/callback',
    'javascript:alert(1)',
  ])('may not be %j', async (uri) => {
    expect(isAllowedRedirect(uri, ALLOWED)).toBe(false);
    if (uri !== '') expect((await begin({ redirect_uri: uri })).toString()).toBe('');
  });

  test('is another than was allowed for no address of this machine, whatever is written around it', () => {
    fc.assert(
      fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), (uri) => {
        expect(isAllowedRedirect(uri, ALLOWED)).toBe(ALLOWED.includes(uri));
      }),
    );
  });

  test('that is not allowed gets no address, and the log says why', async () => {
    expect(
      (await write('oidc/auth_url', { role: 'staff', redirect_uri: 'https://evil.example/' })).data,
    ).toEqual({
      auth_url: '',
    });
    expect(auth.logged.at(-1)?.facts).toMatchObject({ reason: 'unauthorized redirect_uri' });
  });
});

describe('a login is not begun', () => {
  test('without what it needs', async () => {
    const asked = (given: object) => refusal(write('oidc/auth_url', given));
    expect(await asked({})).toBe('missing role');
    expect(await asked({ role: 'nobody' })).toBe('role "nobody" could not be found');
    expect(await asked({ role: 'staff' })).toBe('missing redirect_uri');
    await write('config', { oidc_discovery_url: ISSUER });
    expect(await asked({ role: 'staff' })).toBe('OIDC login is not configured for this mount');
    expect(await refusal(mountForTest(oidc).call('write', 'oidc/auth_url', {}))).toBe(
      'could not load configuration',
    );
  });

  test('while the provider cannot be asked, and strangers do not make it be asked again and again', async () => {
    auth.restart();
    provider.down = true;
    provider.requests.length = 0;
    for (let i = 0; i < 20; i++) expect((await begin()).toString()).toBe('');
    expect(provider.requests).toHaveLength(1);
    provider.down = false;
    auth.clock.advance(5000);
    expect((await begin()).get('client_id')).toBe(CLIENT);
  });

  test('where the provider offers no page for it', async () => {
    provider.discovery = { authorization_endpoint: undefined };
    auth.restart();
    expect((await begin()).toString()).toBe('');
  });

  test('with an address that could put words into its query', () => {
    const login = { redirectUri: 'https://a.example/?x=1&state=evil', nonce: 'n', verifier: 'v', state: 's' };
    const config = { clientId: 'c&d', responseTypes: [], responseMode: '' } as never;
    const url = new URL(
      authorizationUrl('https://id.example/auth', config, { scopes: ['a&b=c'], maxAgeMs: 0 }, login),
    );
    expect(url.searchParams.getAll('state')).toEqual(['s']);
    expect(url.searchParams.get('scope')).toBe('openid a&b=c');
  });
});

describe('a provider that posts its answer', () => {
  const post = (data: object) => page('write', 'oidc/callback', data);

  test('may do so only where the configuration says so', async () => {
    expect((await failureOf(write('oidc/callback', { state: 'x' }))).code).toBe('request.unsupported');
  });

  test('gives a code that is fetched with the state alone', async () => {
    await write('config', { ...CONFIG, oidc_response_mode: 'form_post' });
    const asked = await begin();
    expect(asked.get('response_mode')).toBe('form_post');
    const state = asked.get('state');
    const { status, html, headers } = await post({ state, code: consent(asked) });
    expect([status, html.includes('has arrived')]).toEqual([200, true]);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    // Whoever posts a second time is too late.
    expect((await post({ state, code: 'evil' })).status).toBe(400);
    expect((await callback(asked, 'no_code')).auth).toBeDefined();
    expect(await refusal(callback(asked, 'no_code'))).toBe(EXPIRED);
  });

  test('may give the ID token itself, which is judged before it is kept', async () => {
    await write('config', { ...CONFIG, oidc_response_mode: 'form_post', oidc_response_types: 'id_token' });
    const asked = await begin();
    expect(Object.fromEntries(asked)).toMatchObject({
      response_type: 'id_token',
      response_mode: 'form_post',
    });
    expect(asked.has('code_challenge')).toBe(false);
    const idToken = signed(claimsOf(asked.get('nonce')), key);
    expect((await post({ state: asked.get('state'), id_token: idToken })).status).toBe(200);
    expect((await callback(asked, '')).auth?.alias?.name).toBe('ada@example.org');
    const again = await begin();
    const replayed = await post({ state: again.get('state'), id_token: idToken });
    expect([replayed.status, replayed.html.includes('invalid id_token nonce')]).toEqual([400, true]);
    expect(await refusal(callback(again, ''))).toBe(EXPIRED);
  });

  test('gets a page that holds nothing of what it sent', async () => {
    await write('config', { ...CONFIG, oidc_response_mode: 'form_post' });
    const evil = '<script>alert(1)</script>';
    const asked = await begin();
    for (const data of [
      { state: evil, code: evil },
      { state: asked.get('state'), error: evil, error_description: evil },
    ])
      expect((await post(data)).html).not.toContain('alert');
  });
});

describe('a login that comes back to the server', () => {
  const THERE = 'https://vault.example/v1/auth/oidc/oidc/callback';
  const DIRECT = { ...ROLE, allowed_redirect_uris: THERE, callback_mode: 'direct', poll_interval: 2 };
  const poll = (state: string | null, nonce = NONCE) => write('oidc/poll', { state, client_nonce: nonce });
  const visit = (asked: URLSearchParams, code: string, more: object = {}) =>
    page('read', 'oidc/callback', { state: asked.get('state'), code, ...more });

  beforeEach(() => write('role/staff', DIRECT));

  test('asks the person first, and is then fetched by who began it, once', async () => {
    const { data } = await write('oidc/auth_url', {
      role: 'staff',
      redirect_uri: THERE,
      client_nonce: NONCE,
    });
    expect(data).toMatchObject({ state: expect.any(String), poll_interval: '2' });
    const asked = new URL(data.auth_url).searchParams;
    const code = consent(asked);
    expect(await refusal(poll(data.state))).toBe('authorization_pending');
    const first = await visit(asked, code);
    expect(first.html).toContain('Is this your login?');
    expect(first.html).toContain('begun from 127.0.0.1');
    expect(provider.asked('/token')).toHaveLength(0);
    expect(await refusal(poll(data.state))).toBe('authorization_pending');
    expect((await visit(asked, code, { confirmation: 'yes' })).html).toContain('You are logged in');
    expect(await refusal(poll(data.state, 'wrong'))).toBe('invalid client_nonce');
    expect(await refusal(callback(asked, code))).toBe(EXPIRED);
    expect((await poll(data.state)).auth?.alias?.name).toBe('ada@example.org');
    expect(await refusal(poll(data.state))).toBe(EXPIRED);
  });

  test('goes through unasked where the role says so', async () => {
    await write('role/staff', { ...DIRECT, oidc_disable_confirmation: true });
    const asked = await begin({ redirect_uri: THERE });
    expect((await visit(asked, consent(asked))).status).toBe(200);
    expect((await poll(asked.get('state'))).auth).toBeDefined();
  });

  test('is pending for who polls while the provider is asked for its token, and gone for who brings the state again', async () => {
    await write('role/staff', { ...DIRECT, oidc_disable_confirmation: true });
    for (const fails of [false, true]) {
      const asked = await begin({ redirect_uri: THERE });
      const code = fails ? 'none' : consent(asked);
      const heard: string[] = [];
      provider.meanwhile = async () => {
        heard.push(await refusal(poll(asked.get('state'))), await refusal(callback(asked, code)));
      };
      const came = await visit(asked, code);
      provider.meanwhile = undefined;
      expect([came.status, ...heard]).toEqual([fails ? 400 : 200, 'authorization_pending', EXPIRED]);
      if (fails) expect(await refusal(poll(asked.get('state')))).toBe(EXPIRED);
      else expect((await poll(asked.get('state'))).auth).toBeDefined();
    }
  });

  test('that fails tells the browser, and the client that there is nothing to wait for', async () => {
    const asked = await begin({ redirect_uri: THERE });
    const failed = await visit(asked, '', { error: 'access_denied' });
    expect([failed.status, failed.html.includes('access_denied')]).toEqual([400, true]);
    expect(await refusal(poll(asked.get('state')))).toBe(EXPIRED);
  });

  test('needs a client nonce, and escapes what it shows', async () => {
    expect(await refusal(write('oidc/auth_url', { role: 'staff', redirect_uri: THERE }))).toBe(
      'missing client_nonce',
    );
    const asked = await begin({ redirect_uri: THERE });
    const { html } = await visit(asked, '"><script>alert(1)</script>');
    expect(html).not.toContain('<script>');
    expect(html).toContain('&#60;script&#62;');
  });
});
