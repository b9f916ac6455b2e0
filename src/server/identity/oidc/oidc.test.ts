import fc from 'fast-check';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../base/clock.ts';
import { userpass } from '../../../methods/userpass/index.ts';
import { startServer, type TestReply, type TestServer } from '../../testing.ts';
import { checkTemplate, claimsOf } from './claims.ts';

const ISSUER = 'https://vault.example.com:8200';
const NAME = `${ISSUER}/v1/identity/oidc`;
const START = Date.UTC(2026, 0, 1);

let clock: ManualClock;
let server: TestServer;
let caller: string;
let entity: string;
let accessor: string;

const root = (method: string, path: string, body?: unknown): Promise<TestReply> =>
  server.ask(method, path, body);
const oidc = (path: string, body: unknown): Promise<TestReply> => root('POST', `identity/oidc/${path}`, body);
const refused = async (path: string, body: object): Promise<string> => {
  const { status, json } = await oidc(path, body);
  expect(status).toBe(400);
  return json.errors[0];
};
/** A stranger, without a token. */
const open = async (path: string): Promise<Response> =>
  fetch(`${server.url}/v1/identity/oidc/.well-known/${path}`);
// biome-ignore lint/suspicious/noExplicitAny: what a stranger reads is checked by what it is used for
const told = async (path: string): Promise<any> => (await open(path)).json();
const jwks = () => told('keys');
const issue = (role: string, token = caller): Promise<TestReply> =>
  server.ask('GET', `identity/oidc/token/${role}`, undefined, { 'x-vault-token': token });
const introspect = async (token: string, client?: string): Promise<{ active: boolean; error?: string }> =>
  (await oidc('introspect', { token, ...(client === undefined ? {} : { client_id: client }) })).json;
const verified = async (token: string, audience: string) =>
  (
    await jwtVerify(token, createLocalJWKSet(await jwks()), {
      issuer: NAME,
      audience,
      currentDate: new Date(clock.now()),
    })
  ).payload;

beforeEach(async () => {
  clock = new ManualClock(START);
  server = await startServer([userpass], { clock });
  await root('POST', 'sys/auth/userpass', { type: 'userpass' });
  accessor = (await root('GET', 'sys/auth/userpass')).json.data.accessor;
  await root('PUT', 'sys/policies/acl/tokens', {
    policy: 'path "identity/oidc/token/*" { capabilities = ["read"] }',
  });
  await root('POST', 'auth/userpass/users/alice', { password: 'a-password', policies: 'tokens' });
  const { auth } = (await root('POST', 'auth/userpass/login/alice', { password: 'a-password' })).json;
  caller = auth.client_token;
  entity = auth.entity_id;
  await oidc('config', { issuer: ISSUER });
});
afterEach(() => server.close());

describe('an identity token', () => {
  it.each(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'is verified by what strangers read, signed with %s',
    async (algorithm) => {
      await oidc('key/k', { algorithm, allowed_client_ids: '*' });
      await oidc('role/r', { key: 'k', ttl: '1h', client_id: 'me' });
      const { data } = (await issue('r')).json;
      expect(data).toMatchObject({ client_id: 'me', ttl: 3600 });
      expect(await verified(data.token, 'me')).toEqual({
        iss: NAME,
        sub: entity,
        aud: 'me',
        iat: START / 1000,
        exp: START / 1000 + 3600,
        namespace: 'root',
      });
      expect(await introspect(data.token)).toEqual({ active: true });
      expect(await introspect(data.token, 'me')).toEqual({ active: true });
      const discovery = await told('openid-configuration');
      expect(discovery).toMatchObject({ issuer: NAME, jwks_uri: `${NAME}/.well-known/keys` });
      expect(discovery.id_token_signing_alg_values_supported).toContain(algorithm);
    },
  );

  it('holds until its time is over, for its own client alone, and while the entity may act', async () => {
    await oidc('role/r', { key: 'default', ttl: '1h' });
    const { token, client_id } = (await issue('r')).json.data;
    expect(await introspect(token, 'another')).toEqual({
      active: false,
      error: 'error validating claims: invalid audience claim (aud)',
    });
    await root('POST', `identity/entity/id/${entity}`, { disabled: true });
    expect(await introspect(token, client_id)).toEqual({ active: false, error: 'entity is disabled' });
    await root('POST', `identity/entity/id/${entity}`, { disabled: false });
    clock.advance(3_661_000);
    expect(await introspect(token, client_id)).toEqual({
      active: false,
      error: 'error validating claims: token is expired (exp)',
    });
  });

  it('is not believed when a bit of it changed, when another key signed it, or when it names no signature', async () => {
    await oidc('role/r', { key: 'default', ttl: '1h' });
    const { token } = (await issue('r')).json.data;
    const [header = '', payload = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const none = encoded({ alg: 'none' });
    const { keys } = await jwks();
    const hs = encoded({ alg: 'HS256', kid: keys[0].kid });
    for (const forged of [
      `${header}.${encoded({ ...claims, sub: 'root' })}.${signature}`,
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${hs}.${payload}.${signature}`,
      `${encoded({ alg: 'RS256', kid: 'x' })}.${payload}.${signature}`,
      `${header}.${payload}`,
      `${token}.x`,
      '',
      'a.b.c',
    ]) {
      const { active, error } = await introspect(forged);
      expect([forged, active, typeof error]).toEqual([forged, false, 'string']);
    }
  });

  it('is for callers with an entity, by a role that there is, with a key that allows it', async () => {
    await oidc('key/k', {});
    await oidc('role/r', { key: 'k' });
    expect((await issue('r')).json.errors).toEqual([
      'the key "k" does not list the client ID of the role "r" as an allowed client ID',
    ]);
    const { client_id } = (await root('GET', 'identity/oidc/role/r')).json.data;
    await oidc('key/k', { allowed_client_ids: [client_id] });
    expect((await issue('r')).status).toBe(200);
    expect((await issue('r', server.root)).json.errors).toEqual([
      "no entity associated with the request's token",
    ]);
    expect((await issue('nope')).json.errors).toEqual(['role "nope" not found']);
  });

  it('tells of the caller what its role says, and nothing that a caller is called adds a claim', async () => {
    await root('POST', `identity/entity/id/${entity}`, {
      name: 'a", "admin": "yes',
      metadata: { team: 'blue' },
    });
    await root('POST', 'identity/group', { name: 'g', member_entity_ids: [entity] });
    const template = `{"name": {{identity.entity.name}}, "all": {{identity.entity.metadata}}, "user": { "team": {{identity.entity.metadata.team}}, "none": {{identity.entity.metadata.none}} },
      "groups": {{identity.entity.groups.names}}, "at": {{identity.entity.aliases.${accessor}.name}}, "nbf": {{time.now}}, "later": {{time.now.plus.1h}} }`;
    expect((await oidc('role/r', { key: 'default', template, client_id: 'me' })).status).toBe(204);
    expect(await verified((await issue('r')).json.data.token, 'me')).toMatchObject({
      name: 'a", "admin": "yes',
      all: { team: 'blue' },
      user: { team: 'blue', none: '' },
      groups: ['g'],
      at: 'alice',
      nbf: START / 1000,
      later: START / 1000 + 3600,
      sub: entity,
    });
    const encoded = Buffer.from('{"x": 1 }').toString('base64');
    await oidc('role/r', { template: encoded });
    expect((await root('GET', 'identity/oidc/role/r')).json.data.template).toBe('{"x": 1 }');
  });
});

describe('a key', () => {
  it('is rotated by hand and by time; what the old one signed is verified until its time is over', async () => {
    await oidc('key/k', { rotation_period: '1h', verification_ttl: '2h', allowed_client_ids: '*' });
    await oidc('role/r', { key: 'k', ttl: '2h' });
    const kid = async (): Promise<string> => {
      const { token } = (await issue('r')).json.data;
      return JSON.parse(Buffer.from(token.split('.')[0], 'base64url').toString()).kid;
    };
    const known = async (): Promise<string[]> => (await jwks()).keys.map((key: { kid: string }) => key.kid);
    const first = await kid();
    const [, second] = await known();
    const { token } = (await issue('r')).json.data;
    expect((await oidc('key/k/rotate', {})).status).toBe(204);
    expect(await kid()).toBe(second);
    expect(await known()).toContain(first);
    clock.advance(3_600_001);
    expect(await kid()).not.toBe(second);
    expect(await known()).toEqual(expect.arrayContaining([first, second]));
    expect(await introspect(token)).toEqual({ active: true });
    clock.advance(3_600_001);
    expect(await known()).not.toContain(first);
    expect((await introspect(token)).active).toBe(false);
  });

  it('may be forgotten at once when it is rotated for cause', async () => {
    await oidc('role/r', { key: 'default' });
    const { token } = (await issue('r')).json.data;
    await oidc('key/default/rotate', { verification_ttl: 0 });
    expect(await introspect(token)).toEqual({
      active: false,
      error: 'unable to validate the token signature',
    });
  });

  it('is published while a role names it, may be kept until its rotation, and is never told in private', async () => {
    const cache = async (): Promise<string | null> => (await open('keys')).headers.get('cache-control');
    expect([await jwks(), await cache()]).toEqual([{ keys: [] }, 'no-store']);
    await oidc('key/k', { rotation_period: '1h', verification_ttl: '1h' });
    expect((await jwks()).keys).toEqual([]);
    await oidc('role/r', { key: 'k', ttl: '1h' });
    expect(await cache()).toBe('max-age=3600');
    const { keys } = await jwks();
    expect(keys).toHaveLength(2);
    for (const key of keys) expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    expect((await root('GET', 'identity/oidc/key/k')).json.data).toEqual({
      algorithm: 'RS256',
      allowed_client_ids: [],
      rotation_period: 3600,
      verification_ttl: 3600,
    });
  });

  it('is refused what it cannot be, and so is a role', async () => {
    expect(await refused('key/k', { rotation_period: '10s' })).toBe(
      'rotation_period must be at least one minute',
    );
    expect(await refused('key/k', { verification_ttl: '1000h' })).toBe(
      'verification_ttl cannot be longer than 10x rotation_period',
    );
    expect(await refused('key/k', { algorithm: 'HS256' })).toBe('unknown signing algorithm "HS256"');
    expect(await refused('key/nope/rotate', {})).toBe('no named key found at "nope"');
    expect(await refused('role/r', {})).toBe('the key parameter is required');
    expect(await refused('role/r', { key: 'nope' })).toBe('cannot find key "nope"');
    expect(await refused('role/r', { key: 'default', ttl: '25h' })).toBe(
      "a role's token ttl cannot be longer than the verification_ttl of the key it references",
    );
    expect(await refused('role/r', { key: 'default', template: '{"iss": 1}' })).toContain(
      'top level key "iss" not allowed. Restricted keys: iat, aud',
    );
    await oidc('key/k', {});
    await oidc('role/r', { key: 'k' });
    expect(await refused('key/k', { verification_ttl: '1h' })).toContain(
      'currently referenced by one or more roles',
    );
    const gone = await root('DELETE', 'identity/oidc/key/k');
    expect([gone.status, gone.json.errors]).toEqual([
      400,
      ['unable to delete key "k" because it is currently referenced by these roles: r'],
    ]);
    expect((await root('DELETE', 'identity/oidc/key/default')).json.errors).toEqual([
      'deletion of key "default" not allowed',
    ]);
    await root('DELETE', 'identity/oidc/role/r');
    expect((await root('DELETE', 'identity/oidc/key/k')).status).toBe(204);
    expect((await root('LIST', 'identity/oidc/key')).json.data.keys).toEqual(['default']);
  });

  it('is named by an issuer that is scheme, host and port alone', async () => {
    for (const issuer of [
      'nope',
      'ftp://x',
      'https://x/y',
      'https://x?q=1',
      'https://u:p@x',
      'https://x#f',
      'https://',
    ])
      expect(await refused('config', { issuer })).toContain('invalid issuer');
    expect((await root('GET', 'identity/oidc/config')).json.data).toEqual({ issuer: ISSUER });
  });
});

describe('a template of claims', () => {
  const NOTHING = 'error parsing template: no value could be found for one of the template directives';

  it.each([
    ['{"a": {{identity.foo}} }', NOTHING],
    ['{"a": {{identity.entity.secret}} }', NOTHING],
    ['{"a": {{identity.entity.aliases}} }', NOTHING],
    ['{"a": {{identity.entity.aliases.x}} }', 'error parsing template: invalid alias selector'],
    ['{"a": {{time.then}} }', 'error parsing template: invalid time selector "then"'],
    ['{"a": {{time.now.plus}} }', 'error parsing template: missing time operand'],
    ['{"a": {{time.now.times.3}} }', 'error parsing template: invalid time operator "times"'],
    ['{"a": {{identity.entity.id', 'error parsing template: unbalanced templating characters'],
    ['"}}', 'error parsing template: unbalanced templating characters'],
    ['{"a":', 'error parsing template JSON: it is not one JSON object'],
    ['[1]', 'error parsing template JSON: it is not one JSON object'],
    ['null', 'error parsing template JSON: it is not one JSON object'],
  ])('%s is refused with a reason', (template, reason) => {
    expect(() => checkTemplate(template)).toThrow(reason);
  });

  it('gives back any name as itself, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const entity = { id: 'i', name, metadata: { '': name }, aliases: [] };
        const claims = claimsOf('{"name": {{identity.entity.name}}, "last": 1}', {
          identity: { entity },
          now: 0,
        });
        expect({ ...claims }).toEqual({ name: JSON.parse(JSON.stringify(name)), last: 1 });
      }),
    );
  });
});
