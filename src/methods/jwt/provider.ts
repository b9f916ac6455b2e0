/**
 * An identity provider: what it says of itself (OpenID Connect Discovery 1.0), its keys, and the two places where a login is
 * completed, the token endpoint and the one that tells more of the user.
 */

import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Dial } from '../../plugin/plugin.ts';
import type { Claims } from '../jws.ts';
import { readKeySet, type SigningKey } from './keys.ts';
import { Remote } from './remote.ts';
import { askJson, isTrustworthy } from './web.ts';

/** What discovery tells; each address has been found trustworthy. An empty one is not offered. */
export interface Discovered {
  readonly issuer: string;
  readonly authorization: string;
  readonly token: string;
  readonly userinfo: string;
  readonly keys: string;
  /** Whether the client secret goes into the body, because the provider takes it nowhere else. */
  readonly secretInBody: boolean;
}

export interface Place {
  readonly url: string;
  /** PEM; empty: the system's trust. */
  readonly ca: string;
}

/** Asks for the discovery document of `issuer.url`. @throws Failure jwt.provider */
export async function discover(dial: Dial, issuer: Place): Promise<Discovered> {
  const url = `${issuer.url.replace(/\/$/, '')}/.well-known/openid-configuration`;
  return readDiscovery(await askJson(dial, { url, method: 'GET', ...trust(issuer.ca) }), issuer.url);
}

/** @throws Failure jwt.provider where it speaks of another issuer, or names addresses that are not to be trusted */
export function readDiscovery(document: Claims, issuer: string): Discovered {
  const wrong = (reason: string) => failure('jwt.provider', { reason });
  // Section 4.3: MUST be exactly equal, or one tenant of a provider could speak for another.
  if (document['issuer'] !== issuer) {
    const told = typeof document['issuer'] === 'string' ? document['issuer'].slice(0, 256) : '';
    throw wrong(
      `issuer did not match the returned issuer, expected ${JSON.stringify(issuer)} got ${JSON.stringify(told)}`,
    );
  }
  const address = (name: string): string => {
    const value = document[name];
    if (value === undefined || value === null || value === '') return '';
    if (typeof value !== 'string' || !isTrustworthy(value))
      throw wrong(`${name} of its discovery document is neither an https URL nor on this machine`);
    return value;
  };
  const keys = address('jwks_uri');
  if (keys === '') throw wrong('its discovery document names no jwks_uri');
  const methods = document['token_endpoint_auth_methods_supported'];
  return {
    issuer,
    authorization: address('authorization_endpoint'),
    token: address('token_endpoint'),
    userinfo: address('userinfo_endpoint'),
    keys,
    // RFC 8414 section 2: client_secret_basic where nothing is said.
    secretInBody:
      Array.isArray(methods) &&
      !methods.includes('client_secret_basic') &&
      methods.includes('client_secret_post'),
  };
}

/** Asks for a key set. @throws Failure jwt.provider */
export async function askKeys(dial: Dial, place: Place): Promise<readonly SigningKey[]> {
  const set = await askJson(dial, { url: place.url, method: 'GET', ...trust(place.ca) });
  const keys = readKeySet(set);
  if (keys === undefined) {
    throw failure('jwt.provider', { reason: `${new URL(place.url).host} answered what is no key set` });
  }
  return keys;
}

/** A provider whose document and keys are kept while they are good. */
export class Provider {
  readonly #dial: Dial;
  readonly #ca: string;
  readonly #document: Remote<Discovered>;
  readonly keys: Remote<readonly SigningKey[]>;

  constructor(dial: Dial, clock: Clock, issuer: Place) {
    this.#dial = dial;
    this.#ca = issuer.ca;
    this.#document = new Remote(() => discover(dial, issuer), clock);
    this.keys = new Remote(async () => {
      const { keys } = await this.#document.get();
      return askKeys(dial, { url: keys, ca: issuer.ca });
    }, clock);
  }

  /** @throws Failure jwt.provider */
  describe(): Promise<Discovered> {
    return this.#document.get();
  }

  /**
   * Changes a code for tokens (RFC 6749 section 4.1.3, with the verifier of RFC 7636).
   * @throws Failure jwt.provider, without a part of code, verifier, secret or answer
   */
  async exchange(given: {
    readonly code: string;
    readonly verifier: string;
    readonly redirectUri: string;
    readonly clientId: string;
    readonly clientSecret: string;
  }): Promise<{ readonly idToken: string; readonly accessToken: string }> {
    const { token, secretInBody } = await this.describe();
    if (token === '')
      throw failure('jwt.provider', { reason: 'its discovery document names no token_endpoint' });
    const { clientId, clientSecret } = given;
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code: given.code,
      redirect_uri: given.redirectUri,
      code_verifier: given.verifier,
      ...(secretInBody ? { client_id: clientId, client_secret: clientSecret } : {}),
    });
    const answer = await askJson(this.#dial, {
      url: token,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(secretInBody ? {} : { authorization: basic(clientId, clientSecret) }),
      },
      body: form.toString(),
      ...trust(this.#ca),
    });
    const { id_token: idToken, access_token: accessToken } = answer;
    if (typeof idToken !== 'string') {
      throw failure('jwt.provider', { reason: 'id_token is missing from auth code exchange' });
    }
    return { idToken, accessToken: typeof accessToken === 'string' ? accessToken : '' };
  }

  /** What the provider tells of the user, or undefined where it has no such place. @throws Failure jwt.provider */
  async userinfo(accessToken: string): Promise<Claims | undefined> {
    const { userinfo } = await this.describe();
    if (userinfo === '' || !/^[\x21-\x7e]+$/.test(accessToken)) return undefined;
    return askJson(this.#dial, {
      url: userinfo,
      method: 'GET',
      headers: { authorization: `Bearer ${accessToken}` },
      ...trust(this.#ca),
    });
  }
}

const trust = (ca: string): { ca?: string } => (ca === '' ? {} : { ca });

/** RFC 6749 section 2.3.1: both are encoded as a form encodes them before they are joined. */
function basic(id: string, secret: string): string {
  const encoded = [id, secret].map((part) => new URLSearchParams({ '': part }).toString().slice(1));
  return `Basic ${Buffer.from(encoded.join(':')).toString('base64')}`;
}
