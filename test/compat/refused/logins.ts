/** What the auth methods refuse: logins first, then what is asked of their configuration. */

import type { Row } from './refused.ts';

const login = (name: string, more: Partial<Row> & Pick<Row, 'path' | 'body' | 'says'>): Row => ({
  name,
  class: 'denied',
  as: 'nobody',
  status: 400,
  ...more,
});
const DENIED = 'permission denied';
const WRONG = 'invalid username or password';

export const userpass: readonly Row[] = [
  login('a wrong password', { path: 'auth/userpass/login/ann', body: { password: 'guess' }, says: WRONG }),
  login('a user that is not there', {
    path: 'auth/userpass/login/nobody',
    body: { password: 'guess' },
    says: WRONG,
  }),
  login('a user that every object has', {
    path: 'auth/userpass/login/__proto__',
    body: { password: 'guess' },
    says: WRONG,
  }),
  login('no password', {
    class: 'malformed',
    path: 'auth/userpass/login/ann',
    body: {},
    says: 'missing password',
  }),
  login('an empty password', {
    class: 'malformed',
    path: 'auth/userpass/login/ann',
    body: { password: '' },
    says: 'missing password',
  }),
  login('a password that is a list', {
    class: 'malformed',
    path: 'auth/userpass/login/bob',
    body: { password: ['userpass-canary-7Vb1Nm4Qw6Er'] },
    says: 'field "password": Invalid input: expected string, received array',
  }),
  login('a password of 2,000 letters', {
    class: 'oversized',
    path: 'auth/userpass/login/bob',
    body: { password: 'a'.repeat(2000) },
    says: 'field "password": Too big: expected string to have <=1024 characters',
  }),
  login('the right password from where it may not come', {
    path: 'auth/userpass/login/far',
    body: { password: 'userpass-canary-7Vb1Nm4Qw6Er' },
    status: 403,
    says: DENIED,
  }),
  {
    name: 'the right password after five wrong ones',
    class: 'denied',
    path: 'auth/userpass/login/eve',
    as: 'nobody',
    body: { password: 'userpass-canary-7Vb1Nm4Qw6Er' },
    status: 403,
    says: DENIED,
    async before(w) {
      for (let at = 0; at < 5; at++)
        await w.send({ method: 'POST', path: 'auth/userpass/login/eve', body: { password: `guess ${at}` } });
      return undefined;
    },
  },
  login('a login by reading', {
    method: 'GET',
    path: 'auth/userpass/login/ann',
    body: undefined,
    status: 405,
    says: 'unsupported operation',
  }),
  {
    name: 'a user without a password',
    class: 'malformed',
    path: 'auth/userpass/users/new',
    body: {},
    status: 400,
    says: 'missing password',
  },
  {
    name: 'a hash of no such kind',
    class: 'malformed',
    path: 'auth/userpass/users/new',
    body: { password_hash: 'userpass-canary-7Vb1Nm4Qw6Er' },
    status: 400,
    says: '"password_hash" must be a bcrypt hash with a cost of at most 14',
  },
  {
    name: 'a password for a user that is not there',
    class: 'malformed',
    path: 'auth/userpass/users/never/password',
    body: { password: 'x' },
    status: 400,
    says: 'username does not exist',
  },
  {
    name: 'a token of a kind that is not there',
    class: 'malformed',
    path: 'auth/userpass/users/new',
    body: { password: 'x', token_type: 'eternal' },
    status: 400,
    says: /token_type/,
  },
  {
    name: 'a network that is none',
    class: 'malformed',
    path: 'auth/userpass/users/new',
    body: { password: 'x', token_bound_cidrs: ['everywhere'] },
    status: 400,
    says: "'token_bound_cidrs' holds what is no address block",
  },
  {
    name: 'a life below zero',
    class: 'malformed',
    path: 'auth/userpass/users/new',
    body: { password: 'x', token_ttl: -5 },
    status: 400,
    says: "'token_ttl' cannot be negative",
  },
];

const UNKNOWN = 'invalid role or secret ID';

export const approle: readonly Row[] = [
  login('no role id', {
    class: 'malformed',
    path: 'auth/approle/login',
    body: { secret_id: 'x' },
    says: 'missing role_id',
  }),
  login('no secret id', {
    class: 'malformed',
    path: 'auth/approle/login',
    body: ({ roleId = '' }) => ({ role_id: roleId }),
    says: 'missing secret_id',
  }),
  login('a secret id that was guessed', {
    path: 'auth/approle/login',
    body: ({ roleId = '' }) => ({ role_id: roleId, secret_id: 'guess' }),
    says: UNKNOWN,
  }),
  login('a role id that was guessed', {
    path: 'auth/approle/login',
    body: { role_id: 'guess', secret_id: 'secretid-canary-1Df4Gh7Jk9Lz' },
    says: UNKNOWN,
  }),
  login('a secret id of another role', {
    path: 'auth/approle/login',
    body: ({ onceId = '' }) => ({ role_id: onceId, secret_id: 'secretid-canary-1Df4Gh7Jk9Lz' }),
    says: UNKNOWN,
  }),
  login('a secret id of 5,000 letters', {
    class: 'oversized',
    path: 'auth/approle/login',
    body: ({ roleId = '' }) => ({ role_id: roleId, secret_id: 'a'.repeat(5000) }),
    says: 'field "secret_id": Too big: expected string to have <=4096 characters',
  }),
  {
    name: 'a secret id of one use a second time',
    class: 'replayed',
    path: 'auth/approle/login',
    as: 'nobody',
    body: ({ onceId = '', id = '' }) => ({ role_id: onceId, secret_id: id }),
    status: 400,
    says: UNKNOWN,
    async before(w) {
      const { secret_id } = (await w.ok('POST', 'auth/approle/role/once/secret-id', {})).data;
      await w.ok('POST', 'auth/approle/login', { role_id: w.made['onceId'], secret_id });
      return { id: secret_id };
    },
  },
  {
    name: 'a secret id that was destroyed',
    class: 'replayed',
    path: 'auth/approle/login',
    as: 'nobody',
    body: ({ roleId = '', id = '' }) => ({ role_id: roleId, secret_id: id }),
    status: 400,
    says: UNKNOWN,
    async before(w) {
      const { secret_id } = (await w.ok('POST', 'auth/approle/role/app/secret-id', {})).data;
      await w.ok('POST', 'auth/approle/role/app/secret-id/destroy', { secret_id });
      return { id: secret_id };
    },
  },
  {
    name: 'a secret id from where it may not come',
    class: 'denied',
    path: 'auth/approle/login',
    as: 'nobody',
    body: ({ farId = '', id = '' }) => ({ role_id: farId, secret_id: id }),
    status: 400,
    says: 'source address "127.0.0.1" unauthorized through CIDR restrictions on the role',
    async before(w) {
      return { id: (await w.ok('POST', 'auth/approle/role/far/secret-id', {})).data.secret_id };
    },
  },
  {
    name: "a secret id of one's own that is there already",
    class: 'replayed',
    path: 'auth/approle/role/app/custom-secret-id',
    body: { secret_id: 'secretid-canary-1Df4Gh7Jk9Lz' },
    status: 400,
    says: 'SecretID is already registered',
  },
  {
    name: 'a secret id for a role that is not there',
    class: 'malformed',
    path: 'auth/approle/role/never/secret-id',
    body: {},
    status: 404,
    says: 'role "never" does not exist',
  },
  {
    name: 'an accessor that is not there',
    class: 'malformed',
    path: 'auth/approle/role/app/secret-id-accessor/lookup',
    body: { secret_id_accessor: 'never' },
    status: 404,
    says: 'failed to find accessor entry for secret_id_accessor: "never"',
  },
  {
    name: 'metadata that is no JSON',
    class: 'malformed',
    path: 'auth/approle/role/app/secret-id',
    body: { metadata: 'secretid-canary-1Df4Gh7Jk9Lz' },
    status: 400,
    says: 'metadata must be a JSON object of texts, within bounds',
  },
  {
    name: 'a role that asks for nothing at all',
    class: 'malformed',
    path: 'auth/approle/role/open',
    body: { bind_secret_id: false },
    status: 400,
    says: 'at least one constraint should be enabled on the role',
  },
  {
    name: 'the role id of another role',
    class: 'replayed',
    path: 'auth/approle/role/app/role-id',
    body: ({ onceId = '' }) => ({ role_id: onceId }),
    status: 400,
    says: 'role_id already in use',
  },
  {
    name: 'a wider network than the role has',
    class: 'denied',
    path: 'auth/approle/role/far/secret-id',
    body: { cidr_list: ['0.0.0.0/0'] },
    status: 400,
    says: 'cidr_list must lie within the address blocks of the role',
  },
];

const soon = (): number => Math.floor(Date.now() / 1000) + 600;
const now = (): number => Math.floor(Date.now() / 1000);
const claims = (more: object = {}): object => ({
  iss: 'https://issuer.test',
  sub: 'ann',
  aud: 'vault',
  exp: soon(),
  iat: now() - 10,
  nbf: now() - 10,
  ...more,
});
/** A login at auth/jwt with a token that is right but for this. */
const jwtLogin = (
  name: string,
  says: string | RegExp,
  change: object,
  more: { role?: string; header?: object; twist?: (jwt: string) => string } = {},
): Row => ({
  name,
  class: 'denied',
  path: 'auth/jwt/login',
  as: 'nobody',
  body: ({ jwt = '' }) => ({ role: more.role ?? 'app', jwt }),
  status: 400,
  says,
  async before(w) {
    const signed = w.jwt(claims(change), more.header);
    return { jwt: more.twist?.(signed) ?? signed };
  },
});
const cut = (jwt: string, at: number): string => jwt.split('.').slice(0, at).join('.');

export const jwt: readonly Row[] = [
  jwtLogin(
    'a token that has expired',
    'error validating token: invalid expiration time (exp) claim: token is expired',
    { exp: now() - 3600 },
  ),
  jwtLogin(
    'a token of tomorrow',
    'error validating token: invalid not before (nbf) claim: token not yet valid',
    { nbf: now() + 86_400, exp: now() + 90_000 },
  ),
  jwtLogin(
    'a token that was issued tomorrow',
    'error validating token: invalid issued at (iat) claim: token issued in the future',
    { iat: now() + 86_400 },
  ),
  jwtLogin(
    'a token that says nothing of its time',
    'error validating token: no issued at (iat), not before (nbf), or expiration time (exp) claims in token',
    { exp: undefined, iat: undefined, nbf: undefined },
  ),
  jwtLogin('a token of another issuer', 'error validating token: invalid issuer (iss) claim', {
    iss: 'https://evil.test',
  }),
  jwtLogin(
    'a token for somebody else',
    'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
    { aud: 'other' },
  ),
  jwtLogin(
    'a token for nobody',
    'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
    { aud: undefined },
  ),
  jwtLogin('a token without a user', 'claim "sub" not found in token', { sub: undefined }),
  jwtLogin('a token whose user is a number', 'error validating token: invalid subject (sub) claim', {
    sub: 7,
  }),
  jwtLogin('a token with an empty user', 'claim "sub" is empty', { sub: '' }),
  jwtLogin(
    'a claim that is not what the role is bound to',
    'error validating claims: claim "team" does not match any associated bound claim values',
    { team: 'blue', groups: ['a'] },
    { role: 'tight' },
  ),
  jwtLogin(
    'a claim that is missing',
    'error validating claims: claim "team" is missing',
    { groups: ['a'] },
    { role: 'tight' },
  ),
  jwtLogin(
    'a claim that is the bound one in a folder',
    'error validating claims: received claim is not a string, bool, int or list',
    { team: { red: true }, groups: ['a'] },
    { role: 'tight' },
  ),
  jwtLogin(
    'groups that are a number',
    'a value in groups claim could not be parsed as string',
    { team: 'red', groups: 7 },
    { role: 'tight' },
  ),
  jwtLogin(
    'no signature',
    'error validating token: error verifying token signature: the token is not signed',
    {},
    { twist: (token) => `${cut(token, 2)}.` },
  ),
  jwtLogin(
    'two parts',
    'error validating token: error verifying token signature: the token has not three parts',
    {},
    { twist: (token) => cut(token, 2) },
  ),
  jwtLogin(
    'the algorithm "none"',
    'error validating token: error verifying token signature: the signature algorithm is none that is taken',
    {},
    { header: { alg: 'none' } },
  ),
  jwtLogin(
    'a symmetric algorithm',
    'error validating token: error verifying token signature: the signature algorithm is none that is taken',
    {},
    { header: { alg: 'HS256' } },
  ),
  jwtLogin(
    'another algorithm of the same family',
    'error validating token: error verifying token signature: no known key successfully validated the token signature',
    {},
    { header: { alg: 'ES384' } },
  ),
  jwtLogin(
    'a key that it brings along',
    'error validating token: error verifying token signature: no known key successfully validated the token signature',
    {},
    { header: { jwk: { kty: 'oct', k: 'AAAA' } }, twist: (token) => `${cut(token, 2)}.AAAA` },
  ),
  jwtLogin(
    'critical extensions',
    'error validating token: error verifying token signature: the header names critical extensions',
    {},
    { header: { crit: ['b64'], b64: false } },
  ),
  jwtLogin(
    'claims changed under the signature',
    'error validating token: error verifying token signature: no known key successfully validated the token signature',
    {},
    {
      twist: (token) => {
        const [head, , tail] = token.split('.');
        return `${head}.${Buffer.from(JSON.stringify(claims({ sub: 'root' }))).toString('base64url')}.${tail}`;
      },
    },
  ),
  login('no token', {
    class: 'malformed',
    path: 'auth/jwt/login',
    body: { role: 'app' },
    says: 'missing token',
  }),
  login('no role', { class: 'malformed', path: 'auth/jwt/login', body: { jwt: 'x' }, says: 'missing role' }),
  login('a role that is not there', {
    path: 'auth/jwt/login',
    body: { role: 'never', jwt: 'x' },
    says: 'role "never" could not be found',
  }),
  login('a role of the browser', {
    path: 'auth/oidc/login',
    body: { role: 'people', jwt: 'x' },
    says: 'role with oidc role_type is not allowed',
  }),
  login('a token of 100 kB', {
    class: 'oversized',
    path: 'auth/jwt/login',
    body: () => ({ role: 'app', jwt: 'a'.repeat(100_000) }),
    says: /^error validating token: /,
  }),
  {
    name: 'two sources of keys',
    class: 'malformed',
    path: 'auth/jwt/config',
    body: { jwks_url: 'https://a.test', oidc_discovery_url: 'https://b.test' },
    status: 400,
    says: /^exactly one of /,
  },
  {
    name: 'keys over plain HTTP',
    class: 'malformed',
    path: 'auth/jwt/config',
    body: { jwks_url: 'http://a.test/keys' },
    status: 400,
    says: /^'jwks_url' must be an https URL/,
  },
  {
    name: 'a client without its secret',
    class: 'malformed',
    path: 'auth/oidc/config',
    body: { oidc_discovery_url: 'https://idp.test', oidc_client_id: 'a' },
    status: 400,
    says: "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC",
  },
  {
    name: 'a key that is none',
    class: 'malformed',
    path: 'auth/jwt/config',
    body: { jwt_validation_pubkeys: ['oidc-canary-5Ty8Ui2Op3As'] },
    status: 400,
    says: 'error parsing public key: data does not contain any valid public keys',
  },
  {
    name: 'a role that lets everybody in',
    class: 'malformed',
    path: 'auth/jwt/role/open',
    body: { role_type: 'jwt', user_claim: 'sub' },
    status: 400,
    says: 'must have at least one bound constraint when creating/updating a role',
  },
  {
    name: 'a role bound to a claim that JSON drops',
    class: 'malformed',
    path: 'auth/jwt/role/open',
    body: '{"role_type":"jwt","user_claim":"sub","bound_audiences":["a"],"bound_claims":{"__proto__":"x"}}',
    status: 400,
    says: /__proto__/,
  },
];

const REDIRECT = 'http://localhost:8250/oidc/callback';

export const oidc: readonly Row[] = [
  login('a way back to nobody knows where', {
    class: 'malformed',
    path: 'auth/oidc/oidc/auth_url',
    body: { role: 'people' },
    says: 'missing redirect_uri',
  }),
  login('a state that was never given', {
    method: 'GET',
    path: 'auth/oidc/oidc/callback?state=guess&code=x',
    body: undefined,
    says: 'Vault login failed. Expired or missing OAuth state.',
  }),
  login('no state', {
    class: 'malformed',
    method: 'GET',
    path: 'auth/oidc/oidc/callback?code=x',
    body: undefined,
    says: 'Vault login failed. Expired or missing OAuth state.',
  }),
  {
    name: 'a state a second time',
    class: 'replayed',
    method: 'GET',
    path: ({ state = '' }) => `auth/oidc/oidc/callback?state=${state}&code=x&client_nonce=mine`,
    as: 'nobody',
    status: 400,
    says: 'Vault login failed. Expired or missing OAuth state.',
    async before(w) {
      const { data } = await w.ok('POST', 'auth/oidc/oidc/auth_url', {
        role: 'people',
        redirect_uri: REDIRECT,
        client_nonce: 'mine',
      });
      const state = new URL(data.auth_url).searchParams.get('state') ?? '';
      await w.send({ path: `auth/oidc/oidc/callback?state=${state}&code=x&client_nonce=mine` });
      return { state };
    },
  },
  {
    name: "somebody else's login",
    class: 'denied',
    method: 'GET',
    path: ({ state = '' }) => `auth/oidc/oidc/callback?state=${state}&code=x&client_nonce=theirs`,
    as: 'nobody',
    status: 400,
    says: 'Vault login failed. invalid client_nonce',
    async before(w) {
      const { data } = await w.ok('POST', 'auth/oidc/oidc/auth_url', {
        role: 'people',
        redirect_uri: REDIRECT,
        client_nonce: 'mine',
      });
      return { state: new URL(data.auth_url).searchParams.get('state') ?? '' };
    },
  },
  {
    name: 'a code that the provider does not know',
    class: 'denied',
    method: 'GET',
    path: ({ state = '' }) => `auth/oidc/oidc/callback?state=${state}&code=oidc-code&client_nonce=mine`,
    as: 'nobody',
    status: 400,
    says: /^Vault login failed\. Error exchanging oidc code: /,
    async before(w) {
      const { data } = await w.ok('POST', 'auth/oidc/oidc/auth_url', {
        role: 'people',
        redirect_uri: REDIRECT,
        client_nonce: 'mine',
      });
      return { state: new URL(data.auth_url).searchParams.get('state') ?? '' };
    },
  },
  login('a poll for nothing', {
    path: 'auth/oidc/oidc/poll',
    body: { state: 'guess', client_nonce: 'x' },
    says: 'Vault login failed. Expired or missing OAuth state.',
  }),
  login('a login of the browser where there is none', {
    path: 'auth/jwt/oidc/auth_url',
    body: { role: 'app', redirect_uri: REDIRECT },
    says: 'OIDC login is not configured for this mount',
  }),
  login('a form where none is taken', {
    path: 'auth/oidc/oidc/callback',
    body: { state: 'x' },
    status: 405,
    says: 'unsupported operation',
  }),
];

export const others: readonly Row[] = [
  login('a certificate that nobody showed', {
    path: 'auth/cert/login',
    body: {},
    says: 'invalid certificate or no client certificate supplied',
  }),
  login('a certificate in a header of the client', {
    path: 'auth/cert/login',
    headers: ['X-Forwarded-Client-Cert: MIIB', 'X-SSL-Client-Verify: SUCCESS'],
    body: {},
    says: 'invalid certificate or no client certificate supplied',
  }),
  {
    name: 'a certificate that is none',
    class: 'malformed',
    path: 'auth/cert/certs/odd',
    body: { certificate: 'nonsense' },
    status: 400,
    says: 'failed to parse certificate',
  },
  login('a token of Kubernetes that is none', {
    path: 'auth/kubernetes/login',
    body: { role: 'web', jwt: 'a.b.c' },
    status: 403,
    says: DENIED,
  }),
  login('a role of Kubernetes that is not there', {
    path: 'auth/kubernetes/login',
    body: { role: 'never', jwt: 'x' },
    says: 'invalid role name "never"',
  }),
  login('no token of Kubernetes', {
    class: 'malformed',
    path: 'auth/kubernetes/login',
    body: { role: 'web' },
    says: 'missing jwt',
  }),
  {
    name: 'a review over plain HTTP',
    class: 'malformed',
    path: 'auth/kubernetes/config',
    body: { kubernetes_host: 'http://192.0.2.9' },
    status: 400,
    says: 'kubernetes_host must be an https URL without user, query or fragment',
  },
  {
    name: 'a role of Kubernetes for nobody',
    class: 'malformed',
    path: 'auth/kubernetes/role/open',
    body: { bound_service_account_names: [] },
    status: 400,
    says: '"bound_service_account_names" can not be empty',
  },
];
