/**
 * A login through the browser: the authorization code flow with PKCE, or, where the configuration asks for it, an ID token
 * posted at once (OpenID Connect Core 1.0, sections 3.1 and 3.2).
 */

import { base64url, sha256 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Grant, Mount } from '../../plugin/plugin.ts';
import type { Claims, Jws } from '../jws.ts';
import { checkBound, identityOf, refused } from './claims.ts';
import { type Config, isImplicit } from './config.ts';
import { checkHash, checkIdToken } from './idtoken.ts';
import type { Pending } from './pending.ts';
import { grantOf, type NamedRole, type Role } from './role.ts';
import type { Trusted } from './trusted.ts';

/** What an ID token may be signed with where the configuration names nothing (OpenID Connect Core 1.0, section 3.1.3.7). */
const BY_DEFAULT = ['RS256'];

/** Where the browser is sent. `endpoint` may have a query of its own. Pure. */
export function authorizationUrl(
  endpoint: string,
  config: Config,
  role: Pick<Role, 'scopes' | 'maxAgeMs'>,
  login: Pick<Pending, 'redirectUri' | 'nonce' | 'verifier'> & { readonly state: string },
): string {
  const url = new URL(endpoint);
  const implicit = isImplicit(config);
  const asked: Readonly<Record<string, string>> = {
    client_id: config.clientId,
    response_type: implicit ? 'id_token' : 'code',
    redirect_uri: login.redirectUri,
    scope: [...new Set(['openid', ...role.scopes])].join(' '),
    state: login.state,
    nonce: login.nonce,
    ...(implicit || config.responseMode === 'form_post' ? { response_mode: 'form_post' } : {}),
    ...(implicit ? {} : { code_challenge: base64url(sha256(login.verifier)), code_challenge_method: 'S256' }),
    ...(role.maxAgeMs > 0 ? { max_age: String(Math.floor(role.maxAgeMs / 1000)) } : {}),
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  return url.href;
}

/** An ID token that a provider gave for this very login. @throws Failure jwt.refused, jwt.provider */
export async function checkedIdToken(
  mount: Mount,
  trusted: Trusted,
  role: Role,
  login: Pending,
  token: string,
): Promise<Jws> {
  const jws = await trusted.verify(token, BY_DEFAULT);
  const expected = {
    issuer: trusted.config.discoveryUrl,
    clientId: trusted.config.clientId,
    nonce: login.nonce,
    audiences: role.audiences,
    begunAt: login.begunAt,
    maxAgeMs: role.maxAgeMs,
  };
  checkIdToken(jws.claims, expected, mount.clock.now());
  return jws;
}

/**
 * Changes the code for tokens, and gives what the provider says of the user: the claims of the ID token, with those of its
 * userinfo laid over them.
 * @throws Failure jwt.refused, jwt.provider
 */
export async function claimsOfCode(
  mount: Mount,
  trusted: Trusted,
  role: Role,
  login: Pending,
  code: string,
): Promise<Claims> {
  const { provider, config } = trusted;
  if (provider === undefined) throw refused('no provider');
  const { idToken, accessToken } = await provider.exchange({
    code,
    verifier: login.verifier,
    redirectUri: login.redirectUri,
    clientId: config.clientId,
    clientSecret: config.clientSecret,
  });
  const jws = await checkedIdToken(mount, trusted, role, login, idToken).catch((error: unknown) => {
    throw isFailure(error, 'jwt.refused') ? refused(`id_token failed verification: ${error.message}`) : error;
  });
  checkHash(jws, 'c_hash', code);
  if (accessToken === '') return jws.claims;
  checkHash(jws, 'at_hash', accessToken);
  return { ...jws.claims, ...(await toldOfUser(mount, trusted, jws.claims, accessToken)) };
}

/** What cannot be had, or speaks of somebody else, is left out: the ID token alone is proof enough of who logs in. */
async function toldOfUser(
  { log }: Mount,
  { provider, config }: Trusted,
  claims: Claims,
  accessToken: string,
): Promise<Claims> {
  const unread = (reason: string): Claims => {
    log.warn('the userinfo of the identity provider is left out', { reason });
    return {};
  };
  try {
    const told = (await provider?.userinfo(accessToken)) ?? {};
    if (Object.keys(told).length === 0) return {};
    // OpenID Connect Core 1.0, section 5.3.2: MUST match exactly; else the claims may not be used.
    if (told['sub'] !== claims['sub']) return unread('it speaks of another subject');
    if (told['iss'] !== undefined && told['iss'] !== config.discoveryUrl)
      return unread('it speaks for another issuer');
    return told;
  } catch (error) {
    if (!isFailure(error, 'jwt.provider')) throw error;
    return unread(error.message);
  }
}

/** What a login with these claims grants. @throws Failure jwt.refused */
export function granted(mount: Mount, found: NamedRole, all: Claims): Grant {
  const { role } = found;
  const claims = { ...all, nonce: undefined } as unknown as Claims;
  if (role.verbose) {
    mount.log.debug('the claims of the identity provider', { role: found.name, claims: stringify(claims) });
  }
  if (role.subject !== '' && claims['sub'] !== role.subject)
    throw refused('sub claim does not match bound subject');
  const identity = identityOf(claims, role);
  try {
    checkBound(claims, role.boundClaims, role.boundClaimsType);
  } catch (error) {
    throw isFailure(error, 'jwt.refused') ? refused(`error validating claims: ${error.message}`) : error;
  }
  return grantOf(mount, found, identity);
}
