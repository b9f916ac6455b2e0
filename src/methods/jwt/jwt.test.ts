import { createHmac, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { failureOf, makeCa } from '../testing.ts';
import { jwt, oidc } from './index.ts';
import {
  CLIENT,
  ec,
  FakeProvider,
  ISSUER,
  jwkOf,
  type Pair,
  part,
  pemOf,
  rsa,
  SECRET,
  signed,
} from './testing.ts';

const key = rsa('first');
const other = rsa('other');
const BOUND = 'aud-one';

let auth: TestMount;
let provider: FakeProvider;

const now = (): number => Math.floor(auth.clock.now() / 1000);
const claimsOf = (changes: object = {}): object => ({
  sub: 'ada',
  aud: BOUND,
  iss: ISSUER,
  iat: now(),
  exp: now() + 300,
  ...changes,
});
const token = (changes: object = {}, by: Pair = key, header: object = {}): string =>
  signed(claimsOf(changes), by, header);
const login = (jwtText: unknown, role = 'app', remote = '127.0.0.1') =>
  auth.call('write', 'login', { role, jwt: jwtText }, { remote });
const refusal = async (jwtText: unknown, role?: string): Promise<string> =>
  (await failureOf(login(jwtText, role))).message;
const write = (path: string, data: object) => auth.call('write', path, data);
const bad = async (path: string, data: object): Promise<string> =>
  (await failureOf(write(path, data))).message;

/** Tests are named by what is answered: a configuration holds keys. */
const told = ([given, message]: [object, string]): [string, object] => [message, given];
const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: BOUND, token_policies: 'reader' };
const UNSIGNED =
  'error validating token: error verifying token signature: no known key successfully validated the token signature';

beforeEach(async () => {
  provider = new FakeProvider(key);
  auth = mountForTest(jwt, { dial: provider.dial });
  await write('config', { jwt_validation_pubkeys: [pemOf(key)] });
  await write('role/app', ROLE);
});

describe('a login with a token', () => {
  test('that a configured key signed grants what the role says, to who the claims name', async () => {
    await write('role/app', {
      ...ROLE,
      claim_mappings: { email: 'mail', '/org/unit': 'unit', missing: 'gone' },
      groups_claim: '/realm_access/roles',
      token_ttl: '1h',
      token_type: 'batch',
    });
    const { auth: grant } = await login(
      token({
        email: 'ada@example.org',
        org: { unit: 'engines' },
        realm_access: { roles: ['admins', '', 'readers', 'admins'] },
      }),
    );
    const metadata = { mail: 'ada@example.org', unit: 'engines', role: 'app' };
    expect(grant).toMatchObject({
      displayName: 'jwt-ada',
      policies: ['reader'],
      alias: { name: 'ada', metadata },
      metadata,
      groups: ['admins', 'readers'],
      token: { ttlMs: 3_600_000, type: 'batch' },
    });
  });

  test('leaves groups unsaid where the role asks for none', async () => {
    expect((await login(token())).auth).not.toHaveProperty('groups');
  });

  test('takes the default role, and names without case', async () => {
    await write('config', { jwt_validation_pubkeys: pemOf(key), default_role: 'APP' });
    expect((await auth.call('write', 'login', { jwt: token() })).auth?.metadata).toEqual({ role: 'app' });
    expect((await login(token(), 'App')).auth?.metadata).toEqual({ role: 'app' });
  });

  test('says what is missing', async () => {
    expect(await failureOf(auth.call('write', 'login', { jwt: 'x' }))).toEqual({
      code: 'jwt.missing_role',
      message: 'missing role',
    });
    expect(await refusal('x', 'nobody')).toBe('role "nobody" could not be found');
    expect(await refusal('x', '../config')).toBe('role "../config" could not be found');
    expect(await refusal('')).toBe('missing token');
    expect(await failureOf(mountForTest(jwt).call('write', 'login', { role: 'a', jwt: 'b' }))).toEqual({
      code: 'jwt.not_configured',
      message: 'could not load configuration',
    });
  });

  test('is refused under a role for browsers, and from an address that is not bound', async () => {
    await write('role/web', { ...ROLE, role_type: 'oidc', allowed_redirect_uris: 'https://x.example/cb' });
    expect(await refusal(token(), 'web')).toBe('role with oidc role_type is not allowed');
    await write('role/near', { ...ROLE, token_bound_cidrs: '10.0.0.0/8' });
    expect((await failureOf(login(token(), 'near'))).code).toBe('request.denied');
    expect((await login(token(), 'near', '10.1.2.3')).auth).toBeDefined();
  });
});

describe('a token that was tampered with', () => {
  const hs256 = (secret: string): string => {
    const text = `${part({ alg: 'HS256', typ: 'JWT', kid: key.id })}.${part(claimsOf())}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };
  const cut = (text: string, at: number): string => text.split('.').slice(0, at).join('.');

  test.each<[string, () => string]>([
    ['is of another key', () => token({}, other)],
    ['is of another key under the name of ours', () => token({}, { ...other, id: key.id })],
    ['has no signature and says so', () => `${part({ alg: 'none' })}.${part(claimsOf())}.`],
    ['says "none" over a signature', () => token({}, key, { alg: 'none' })],
    ['says "None"', () => token({}, key, { alg: 'None' })],
    ['is signed by HMAC with the public key for a secret', () => hs256(pemOf(key))],
    ['is signed by HMAC with the public key, trimmed, for a secret', () => hs256(pemOf(key).trim())],
    ['says another algorithm of the same key', () => token({}, key, { alg: 'PS256' })],
    ['says an algorithm of another type of key', () => token({}, key, { alg: 'ES256' })],
    ['names critical extensions', () => token({}, key, { crit: ['b64'], b64: false })],
    ['carries its own key', () => token({}, other, { jwk: jwkOf(other) })],
    ['names a place for its own key', () => token({}, other, { jku: 'https://evil.example/keys' })],
    [
      'has other claims than were signed',
      () => `${cut(token(), 1)}.${part(claimsOf({ sub: 'root' }))}.${token().split('.')[2]}`,
    ],
    ['has two parts', () => cut(token(), 2)],
    ['has four parts', () => `${token()}.x`],
    ['is no base64url', () => `${token().slice(0, -4)}+/==`],
    ['has a second spelling of its last character', () => respelled(token())],
    ['is too long', () => token({ filler: 'x'.repeat(20_000) })],
    ['is nested too deep', () => token({ deep: JSON.parse('['.repeat(40) + ']'.repeat(40)) })],
    ['has a list for its claims', () => signed([1], key)],
    ['is not text', () => 'äöü.äöü.äöü'],
  ])('and %s is refused as unsigned', async (_, make) => {
    expect(await refusal(make())).toMatch(/^error validating token: error verifying token signature: /);
  });

  /** Base64url of 256 bytes ends in a character of which four bits count. */
  function respelled(text: string): string {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return text.slice(0, -1) + alphabet[alphabet.indexOf(text.slice(-1)) ^ 1];
  }

  test('never grants, whatever is changed about it, and no answer or log holds a part of it', async () => {
    const good = token();
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...'Aa0-_.'), async (at, character) => {
        fc.pre(good[at] !== character);
        const { message } = await failureOf(login(good.slice(0, at) + character + good.slice(at + 1)));
        expect(message).not.toContain(good.slice(-40));
      }),
      { numRuns: 60 },
    );
    expect(JSON.stringify(auth.logged)).not.toContain(good.slice(-40));
  });

  test('keeps the last of two members of one name, and nothing of the first', async () => {
    const text = `{"sub":"eve","sub":"ada","aud":"${BOUND}","exp":${now() + 60}}`;
    expect((await login(signed(text, key))).auth?.alias?.name).toBe('ada');
  });

  test('is refused when its algorithm is not on the list of the mount', async () => {
    await write('config', { jwt_validation_pubkeys: pemOf(key), jwt_supported_algs: ['ES256'] });
    expect(await refusal(token())).toBe(
      'error validating token: invalid algorithm (alg) header parameter: token signed with unexpected algorithm',
    );
  });

  test('is taken by elliptic keys and by EdDSA', async () => {
    const curve = ec();
    const edwards: Pair = { id: 'ed', ...generateKeyPairSync('ed25519') };
    await write('config', { jwt_validation_pubkeys: [pemOf(curve), pemOf(edwards)] });
    expect((await login(token({}, curve))).auth).toBeDefined();
    expect((await login(token({}, edwards))).auth).toBeDefined();
    expect(await refusal(token())).toBe(UNSIGNED);
  });
});

describe('the registered claims', () => {
  const about = (reason: string) => `error validating token: ${reason}`;
  const AUD = about('invalid audience (aud) claim: audience claim does not match any expected audience');
  const EARLY = about('invalid not before (nbf) claim: token not yet valid');
  const LATE = about('invalid expiration time (exp) claim: token is expired');

  test.each<[string, () => object, string]>([
    ['another audience', () => ({ aud: 'aud-two' }), AUD],
    ['other audiences in a list', () => ({ aud: ['aud-two', 'aud-three'] }), AUD],
    ['an audience that only begins alike', () => ({ aud: `${BOUND}x` }), AUD],
    ['no audience', () => ({ aud: undefined }), AUD],
    [
      'a number for an audience',
      () => ({ aud: 5 }),
      about('invalid audience (aud) claim: it is neither a string nor a list of strings'),
    ],
    [
      'an audience among things',
      () => ({ aud: [BOUND, {}] }),
      about('invalid audience (aud) claim: it is neither a string nor a list of strings'),
    ],
    ['an end 61 s ago', () => ({ exp: now() - 61 }), LATE],
    ['a begin in 61 s', () => ({ nbf: now() + 61 }), EARLY],
    ['a time of issue in the future', () => ({ iat: now() + 61 }), EARLY],
    [
      'a time of issue in the future and a begin',
      () => ({ iat: now() + 61, nbf: now() }),
      about('invalid issued at (iat) claim: token issued in the future'),
    ],
    [
      'no times',
      () => ({ iat: undefined, exp: undefined }),
      about('no issued at (iat), not before (nbf), or expiration time (exp) claims in token'),
    ],
    ['no end and an issue long ago', () => ({ exp: undefined, iat: now() - 211 }), LATE],
    ['text for an end', () => ({ exp: '9999999999' }), about('the claim exp is no time')],
    ['a list for an end', () => ({ exp: [9_999_999_999] }), about('the claim exp is no time')],
    ['a number for a subject', () => ({ sub: 5 }), about('invalid subject (sub) claim')],
  ])('with %s are refused', async (_, changes, message) => {
    expect(await refusal(token(changes()))).toBe(message);
  });

  test.each<[string, () => object]>([
    ['one of several audiences', () => ({ aud: ['x', BOUND] })],
    ['an end 59 s ago', () => ({ exp: now() - 59 })],
    ['a begin in 59 s', () => ({ nbf: now() + 59 })],
    ['no end and an issue just within the leeways', () => ({ exp: undefined, iat: now() - 209 })],
    ['a fraction of a second', () => ({ exp: now() + 0.5 })],
    ['an end far away', () => ({ exp: 99_999_999_999 })],
    ['an end in exponents', () => ({ exp: 9e18 })],
  ])('with %s are taken', async (_, changes) => {
    expect((await login(token(changes()))).auth).toBeDefined();
  });

  test('are judged with the leeways of the role, and below 0 with none', async () => {
    await write('role/app', { ...ROLE, clock_skew_leeway: '-1s', expiration_leeway: -1 });
    expect(await refusal(token({ exp: now() - 1 }))).toBe(LATE);
    expect(await refusal(token({ exp: undefined, iat: now() - 1 }))).toBe(LATE);
    await write('role/app', { ...ROLE, clock_skew_leeway: '1h' });
    expect((await login(token({ exp: now() - 3599 }))).auth).toBeDefined();
    expect((await auth.call('read', 'role/app')).data).toMatchObject({
      clock_skew_leeway: 3600,
      expiration_leeway: -1,
      not_before_leeway: 0,
    });
  });

  test('must name the issuer and the subject that are bound', async () => {
    await write('config', { jwt_validation_pubkeys: pemOf(key), bound_issuer: ISSUER });
    expect(await refusal(token({ iss: `${ISSUER}/` }))).toBe(about('invalid issuer (iss) claim'));
    expect((await login(token())).auth).toBeDefined();
    await write('role/one', { role_type: 'jwt', user_claim: 'sub', bound_subject: 'ada' });
    expect(await refusal(token({ sub: 'eve', aud: undefined }), 'one')).toBe(
      about('invalid subject (sub) claim'),
    );
    expect((await login(token({ aud: undefined }), 'one')).auth).toBeDefined();
    for (const aud of [BOUND, [BOUND]])
      expect(await refusal(token({ aud }), 'one')).toBe(
        'audience claim found in JWT but no audiences bound to the role',
      );
  });
});

describe('bound claims', () => {
  const bind = (bound: object, more: object = {}) =>
    write('role/app', { ...ROLE, bound_claims: bound, ...more });
  const CLAIM = 'error validating claims: claim "c" does not match any associated bound claim values';

  test.each<[string, unknown, unknown]>([
    ['text by the same text', 'x', 'x'],
    ['one of a list by a text', ['x', 'y'], 'y'],
    ['a text by a list that has it', 'x', ['z', 'x']],
    ['a number by the same number', 3, 3],
    ['a truth by the same', true, [true]],
  ])('%s are satisfied', async (_, bound, claim) => {
    await bind({ c: bound });
    expect((await login(token({ c: claim }))).auth).toBeDefined();
  });

  test('compare numbers to the digit, whichever way they are written', async () => {
    await bind({ c: 3 });
    const with_ = (number: string) =>
      signed(`{"sub":"ada","aud":"${BOUND}","exp":${now() + 60},"c":${number}}`, key);
    expect((await login(with_('3.0'))).auth).toBeDefined();
    for (const wrong of ['3.5', '"3"', '4', '30', 'null', '[[3]]'])
      await expect(login(with_(wrong))).rejects.toThrow();
    await auth.call(
      'write',
      'role/app',
      JSON.stringify(ROLE).replace('}', ',"bound_claims":{"c":9007199254740993}}'),
    );
    expect((await login(with_('9007199254740993'))).auth).toBeDefined();
    expect(await refusal(with_('9007199254740992'))).toBe(CLAIM);
    expect((await auth.call('read', 'role/app')).text).toContain('"bound_claims":{"c":9007199254740993}');
  });

  test('are refused in words that name the claim and no value', async () => {
    await bind({ c: ['secret-value'] });
    expect(await refusal(token({ c: 'mine' }))).toBe(CLAIM);
    expect(await refusal(token())).toBe('error validating claims: claim "c" is missing');
    expect(await refusal(token({ c: null }))).toBe('error validating claims: claim "c" is missing');
    expect(await refusal(token({ c: { a: 1 } }))).toBe(
      'error validating claims: received claim is not a string, bool, int or list',
    );
  });

  test('take "*" for any run of characters only where the role says glob', async () => {
    await bind({ c: 'team-*' });
    expect(await refusal(token({ c: 'team-a' }))).toBe(CLAIM);
    await bind({ c: ['team-*', 'boss'] }, { bound_claims_type: 'glob' });
    expect((await login(token({ c: ['x', 'team-a'] }))).auth).toBeDefined();
    expect(await refusal(token({ c: 'ateam-a' }))).toBe(CLAIM);
    expect(await refusal(token({ c: [5, true, null] }))).toBe(CLAIM);
  });

  test('reach nested claims by pointer, through objects and lists, and never what objects inherit', async () => {
    await bind({ '/a/b~1c/1': 'x' });
    expect((await login(token({ a: { 'b/c': ['y', 'x'] } }))).auth).toBeDefined();
    for (const c of [{ 'b/c': ['x'] }, { 'b/c': 'yx' }, { b: { c: ['y', 'x'] } }, ['x'], 5])
      await expect(login(token({ a: c }))).rejects.toThrow('is missing');
    for (const name of ['/constructor/name', '/a/length', '/a/01', '/a/-1', '/__proto__', 'toString']) {
      await bind({ [name]: 'Object' });
      expect(await refusal(token({ a: ['Object'] }))).toBe(
        `error validating claims: claim "${name}" is missing`,
      );
    }
  });
});

describe('who logs in', () => {
  const named = (more: object) => write('role/app', { ...ROLE, ...more });

  test.each<[string, object, object, string]>([
    ['no user claim', {}, { sub: undefined }, 'claim "sub" not found in token'],
    ['an empty user claim', {}, { sub: '' }, 'claim "sub" is empty'],
    [
      'a user claim that is a list',
      { user_claim: 'who' },
      { who: ['ada'] },
      'claim "who" could not be converted to string',
    ],
    [
      'a pointer that the role takes for a name',
      { user_claim: '/a/b' },
      { a: { b: 'ada' } },
      'claim "/a/b" not found in token',
    ],
    [
      'a mapped claim that is no text',
      { claim_mappings: { n: 'n' } },
      { n: 1 },
      "error converting claim 'n' to string",
    ],
    ['no groups', { groups_claim: 'g' }, {}, 'failed to fetch groups: "g" claim not found in token'],
    [
      'groups in an object',
      { groups_claim: 'g' },
      { g: { a: 1 } },
      '"g" claim could not be converted to string list',
    ],
    [
      'a group that is no text',
      { groups_claim: 'g' },
      { g: ['a', 1] },
      'a value in groups claim could not be parsed as string',
    ],
  ])('is refused with %s', async (_, role, claims, message) => {
    await named(role);
    expect(await refusal(token(claims))).toBe(message);
  });

  test('is found by a pointer where the role says so, and may be in one group alone', async () => {
    await named({ user_claim: '/who/name', user_claim_json_pointer: true, groups_claim: 'g' });
    const { auth: grant } = await login(token({ who: { name: 'ada' }, g: 'admins' }));
    expect(grant).toMatchObject({ alias: { name: 'ada' }, groups: ['admins'] });
  });
});

describe('keys that somebody else publishes', () => {
  const URL_ = `${ISSUER}/keys`;
  beforeEach(async () => {
    await write('config', { jwks_url: URL_ });
    provider.requests.length = 0;
  });
  const fetches = (): number => provider.asked('/keys').length;
  const minutes = (count: number): void => auth.clock.advance(count * 60_000);

  test('are asked for once, however many log in at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => login(token())));
    await login(token());
    expect(fetches()).toBe(1);
  });

  test('are found anew when they were rotated, and the old one ends', async () => {
    await login(token());
    const next = rsa('second');
    provider.keys = [next];
    minutes(1);
    expect((await login(token({}, next))).auth).toBeDefined();
    expect(await refusal(token())).toBe(UNSIGNED);
  });

  test('end within ten minutes when they were taken away and nobody brings a new one', async () => {
    await login(token());
    provider.keys = [other];
    minutes(10);
    expect(await refusal(token())).toBe(UNSIGNED);
  });

  test('are not asked for again and again because a stranger names random ones', async () => {
    await login(token());
    for (let i = 0; i < 50; i++) await refusal(token({}, other, { kid: `random-${i}` }));
    expect(fetches()).toBe(1);
    minutes(1);
    for (let i = 0; i < 50; i++) await refusal(token({}, other, { kid: `random-${i}` }));
    expect(fetches()).toBe(2);
  });

  test('serve on for an hour while nobody answers, then nothing does, and all is well when somebody does', async () => {
    await login(token());
    provider.down = true;
    minutes(50);
    expect((await login(token())).auth).toBeDefined();
    minutes(10);
    expect(await refusal(token())).toBe(
      'error validating token: error verifying token signature: the keys of the identity provider cannot be read now',
    );
    const before = fetches();
    for (let i = 0; i < 20; i++) await refusal(token());
    expect(fetches()).toBe(before);
    provider.down = false;
    auth.clock.advance(5000);
    expect((await login(token())).auth).toBeDefined();
  });

  test('that were never read let nobody in', async () => {
    provider.down = true;
    auth.restart();
    expect(await refusal(token())).toContain('cannot be read now');
    expect(JSON.stringify(auth.logged)).toContain('ECONNREFUSED');
  });

  test.each<[string, () => unknown]>([
    ['of a symmetric kind', () => ({ keys: [{ kty: 'oct', k: part(pemOf(key)), kid: key.id }] })],
    ['for encryption', () => ({ keys: [{ ...jwkOf(key), use: 'enc' }] })],
    ['for another algorithm', () => ({ keys: [{ ...jwkOf(key), alg: 'PS256' }] })],
    [
      'that are too short',
      () => ({ keys: [jwkOf({ id: key.id, ...generateKeyPairSync('rsa', { modulusLength: 1024 }) })] }),
    ],
    [
      'that are broken',
      () => ({
        keys: [
          { kty: 'RSA', n: '!', e: 'AQAB' },
          null,
          5,
          { kty: '__proto__' },
          { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
        ],
      }),
    ],
    ['under another name', () => ({ keys: [{ ...jwkOf(key), kid: 'elsewhere' }] })],
  ])('%s sign nothing', async (_, set) => {
    provider.keySet = set();
    auth.restart();
    expect(await refusal(token())).toBe(UNSIGNED);
  });

  test('may share a name, and may have none', async () => {
    provider.keySet = { keys: [{ ...jwkOf(other), kid: key.id }, jwkOf(key)] };
    auth.restart();
    expect((await login(token())).auth).toBeDefined();
    provider.keySet = { keys: [{ ...jwkOf(key), kid: undefined }] };
    auth.restart();
    expect((await login(token({}, key, { kid: undefined }))).auth).toBeDefined();
    expect((await login(token())).auth).toBeDefined();
  });

  test('of several places are all believed, and one that is down does not hinder the others', async () => {
    await write('config', {
      jwks_pairs: [
        { jwks_url: 'https://gone.example/none', jwks_ca_pem: await makeCa() },
        { jwks_url: URL_ },
      ],
      skip_jwks_validation: true,
    });
    expect((await login(token())).auth).toBeDefined();
    expect(provider.requests.find(({ url }) => url.includes('gone'))?.ca).toContain('BEGIN CERTIFICATE');
  });

  test('are believed by what the discovery document says, if it is the right one', async () => {
    await write('config', { oidc_discovery_url: ISSUER });
    expect((await login(token())).auth).toBeDefined();
    provider.discovery = { issuer: 'https://id.example/realms/other' };
    expect(await bad('config', { oidc_discovery_url: ISSUER })).toBe(
      `error checking oidc discovery URL: the identity provider cannot be used: issuer did not match the returned issuer, expected "${ISSUER}" got "https://id.example/realms/other"`,
    );
    provider.discovery = { jwks_uri: 'http://id.example/keys' };
    expect(await bad('config', { oidc_discovery_url: ISSUER })).toContain(
      'jwks_uri of its discovery document is neither an https URL nor on this machine',
    );
    expect((await auth.call('read', 'config')).data.oidc_discovery_url).toBe(ISSUER);
  });
});

describe('the configuration', () => {
  const ONE =
    "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs', 'oidc_discovery_url', or 'provider_config' must be set";
  const pem = pemOf(key);

  test.each<[string, object]>(
    (
      [
        [{}, ONE],
        [{ jwt_validation_pubkeys: pem, jwks_url: 'https://x.example' }, ONE],
        [{ jwks_url: 'https://x.example', jwks_pairs: [{ jwks_url: 'https://y.example' }] }, ONE],
        [
          { jwt_validation_pubkeys: 'abc' },
          'error parsing public key: data does not contain any valid public keys',
        ],
        [
          {
            jwt_validation_pubkeys: pemOf({ id: '', ...generateKeyPairSync('rsa', { modulusLength: 1024 }) }),
          },
          'error parsing public key: an RSA key must have 2048 bits or more',
        ],
        [
          { jwt_validation_pubkeys: key.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
          'error parsing public key: data does not contain any valid public keys',
        ],
        [
          { jwt_validation_pubkeys: pem, jwt_supported_algs: 'HS256' },
          'invalid jwt_supported_algs: unsupported signing algorithm "HS256"',
        ],
        [
          { jwt_validation_pubkeys: pem, jwt_supported_algs: 'none' },
          'invalid jwt_supported_algs: unsupported signing algorithm "none"',
        ],
        [
          { jwt_validation_pubkeys: pem, oidc_client_id: 'x' },
          "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC",
        ],
        [
          { jwt_validation_pubkeys: pem, oidc_client_id: 'x', oidc_client_secret: 'y' },
          "'oidc_discovery_url' must be set for OIDC",
        ],
        [{ jwt_validation_pubkeys: pem, oidc_response_mode: 'zz' }, 'invalid response_mode: "zz"'],
        [
          { jwt_validation_pubkeys: pem, oidc_response_types: 'zz,code' },
          "invalid response_types [zz code]. 'code' and 'id_token' are allowed",
        ],
        [
          { jwt_validation_pubkeys: pem, oidc_response_types: 'id_token' },
          'query response_mode may not be used with an id_token response_type',
        ],
        [
          { jwt_validation_pubkeys: pem, provider_config: { provider: 'zz' } },
          'invalid provider_config: provider "zz" not found in custom providers',
        ],
        [
          { jwt_validation_pubkeys: pem, provider_config: { a: 1 } },
          "invalid provider_config: 'provider' field not found in provider_config",
        ],
        [
          { oidc_discovery_url: `${ISSUER}/.well-known/openid-configuration` },
          "'oidc_discovery_url' contains '.well-known' component",
        ],
        [
          { jwks_url: 'https://x.example', jwks_ca_pem: 'abc' },
          'error checking jwks_ca_pem: could not parse CA PEM value successfully',
        ],
      ] as [object, string][]
    ).map(told),
  )('is refused: %s', async (message, config) => {
    expect(await failureOf(write('config', config))).toEqual({ code: 'jwt.invalid', message });
  });

  test.each([
    'http://id.example/keys',
    'ftp://x/y',
    'https://u:p@id.example/',
    '//x',
    'http://127.0.0.1.evil.example/',
  ])('does not read keys from %s, where anybody on the way could put their own', async (url) => {
    expect(await bad('config', { jwks_url: url })).toContain("'jwks_url' must be an https URL");
    expect(await bad('config', { oidc_discovery_url: url })).toContain('must be an https URL');
  });

  test('is not kept when the keys cannot be had, unless that is wished for', async () => {
    provider.down = true;
    const message =
      'error checking jwks URL: the identity provider cannot be used: cannot reach id.example:443: ECONNREFUSED';
    expect(await bad('config', { jwks_url: `${ISSUER}/keys` })).toBe(message);
    expect((await auth.call('read', 'config')).data.jwks_url).toBe('');
    const kept = await write('config', { jwks_url: `${ISSUER}/keys`, skip_jwks_validation: true });
    expect(kept.warnings).toEqual([message]);
    const read = await auth.call('read', 'config');
    expect(read.data).toMatchObject({ status: 'invalid', jwks_url: `${ISSUER}/keys` });
    expect(read.warnings).toHaveLength(1);
  });

  test('reads back as it was written, but for the client secret', async () => {
    await write('config', {
      oidc_discovery_url: ISSUER,
      oidc_client_id: CLIENT,
      oidc_client_secret: SECRET,
      oidc_response_mode: 'form_post',
      oidc_response_types: 'id_token',
      jwt_supported_algs: 'RS256,ES256',
      default_role: 'App',
      bound_issuer: ISSUER,
    });
    const { data, text } = await auth.call('read', 'config');
    expect(data).toEqual({
      bound_issuer: ISSUER,
      default_role: 'app',
      jwks_ca_pem: '',
      jwks_pairs: [],
      jwks_url: '',
      jwt_supported_algs: ['RS256', 'ES256'],
      jwt_validation_pubkeys: [],
      namespace_in_state: true,
      oidc_client_id: CLIENT,
      oidc_discovery_ca_pem: '',
      oidc_discovery_url: ISSUER,
      oidc_response_mode: 'form_post',
      oidc_response_types: ['id_token'],
      override_allowed_server_names: [],
      provider_config: {},
      status: 'valid',
    });
    expect(text).not.toContain(SECRET);
  });

  test('is nothing before it is written', async () => {
    expect((await mountForTest(oidc).call('read', 'config')).status).toBe(404);
  });

  test('written anew forgets the keys of the one before', async () => {
    await write('config', { jwks_url: `${ISSUER}/keys` });
    await login(token());
    await write('config', { jwt_validation_pubkeys: pemOf(other) });
    expect(await refusal(token())).toBe(UNSIGNED);
  });
});

describe('a role', () => {
  test.each<[string, object]>(
    (
      [
        [{}, 'a user claim must be defined on the role'],
        [
          { role_type: 'jwt', user_claim: 'sub' },
          'must have at least one bound constraint when creating/updating a role',
        ],
        [
          { user_claim: 'sub' },
          "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.",
        ],
        [{ role_type: 'zz' }, "invalid 'role_type': zz"],
        [{ ...ROLE, bound_claims_type: 'z' }, "invalid 'bound_claims_type': z"],
        [{ ...ROLE, bound_claims_type: 'glob', bound_claims: { a: ['b', 3] } }, 'claim is not a string'],
        [
          { ...ROLE, claim_mappings: { a: 'role' } },
          'metadata key "role" is reserved and may not be a mapping destination',
        ],
        [{ ...ROLE, claim_mappings: { a: 'b', c: 'b' } }, 'multiple keys are mapped to metadata key "b"'],
        [{ ...ROLE, callback_mode: 'b' }, "invalid 'callback_mode': b"],
        [
          { ...ROLE, callback_mode: 'device' },
          "callback_mode 'device' is not supported: use 'client' or 'direct'",
        ],
        [{ ...ROLE, max_age: -3 }, 'max_age: cannot provide a negative value'],
        [
          { ...ROLE, token_period: '9999h' },
          `'period' of '"9999h0m0s"' is greater than the backend's maximum lease TTL of '"768h0m0s"'`,
        ],
        [
          { ...ROLE, oauth2_metadata: 'id_token' },
          'oauth2_metadata is not supported: tokens of the provider would lie open in the metadata of ours',
        ],
        [
          { ...ROLE, token_policies_template_claims: true },
          'token_policies_template_claims is not supported',
        ],
      ] as [object, string][]
    ).map(told),
  )('is refused: %s', async (message, role) => {
    expect(await failureOf(write('role/new', role))).toEqual({ code: 'jwt.invalid', message });
  });

  test.each([{ a: { b: 'c' } }, { a: [['b']] }, { a: null }, 'x', ['x'], JSON.parse('{"__proto__":"x"}')])(
    'that binds claims to %j is refused',
    async (bound) => {
      expect((await failureOf(write('role/new', { ...ROLE, bound_claims: bound }))).code).toBe(
        'request.invalid',
      );
    },
  );

  test('keeps what a later write leaves out, and reads back with the names that clients know', async () => {
    await write('role/App', { role_type: 'jwt', groups_claim: 'g', bound_claims: { n: 1, l: [true, 'x'] } });
    expect((await auth.call('read', 'role/app')).data).toEqual({
      allowed_redirect_uris: null,
      bound_audiences: [BOUND],
      bound_claims: { n: 1, l: [true, 'x'] },
      bound_claims_type: 'string',
      bound_subject: '',
      callback_mode: 'client',
      claim_mappings: null,
      clock_skew_leeway: 0,
      expiration_leeway: 0,
      groups_claim: 'g',
      max_age: 0,
      not_before_leeway: 0,
      oidc_disable_confirmation: false,
      oidc_scopes: null,
      role_type: 'jwt',
      token_bound_cidrs: [],
      token_explicit_max_ttl: 0,
      token_max_ttl: 0,
      token_no_default_policy: false,
      token_num_uses: 0,
      token_period: 0,
      token_policies: ['reader'],
      token_ttl: 0,
      token_type: 'default',
      user_claim: 'sub',
      user_claim_json_pointer: false,
      verbose_oidc_logging: false,
    });
  });

  test('warns of what it will cut short or tell the log', async () => {
    const { warnings } = await write('role/app', {
      ...ROLE,
      token_max_ttl: '99999h',
      verbose_oidc_logging: true,
    });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('token max ttl is greater');
  });

  test('is listed, is there for policy, is deleted, and then renews nothing', async () => {
    expect((await auth.call('list', 'role')).data).toEqual({ keys: ['app'] });
    expect([await auth.exists('role/app'), await auth.exists('role/none')]).toEqual([true, false]);
    const asLogin = { displayName: 'jwt-ada', policies: ['reader'], metadata: { role: 'app' } };
    await write('role/app', { ...ROLE, token_period: '2h' });
    expect(await auth.plugin.renewLogin?.(asLogin, undefined as never)).toMatchObject({
      periodMs: 7_200_000,
    });
    expect((await auth.call('delete', 'role/app')).status).toBe(204);
    expect((await auth.call('delete', 'role/app')).status).toBe(204);
    expect((await auth.call('read', 'role/app')).status).toBe(404);
    expect((await failureOf(auth.plugin.renewLogin!(asLogin, undefined as never))).message).toBe(
      'role app does not exist during renewal',
    );
  });
});
