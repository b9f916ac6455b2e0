/** The configuration of a mount: where the keys of tokens come from, and who this server is to the identity provider. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { type Failure, failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { isCertificates } from '../../crypto/pem.ts';
import type { Storage } from '../../storage/storage.ts';
import { publicKeyOf, SIGNATURE_ALGORITHMS } from '../jws.ts';
import { isStrong } from './keys.ts';
import type { Place } from './provider.ts';
import { isTrustworthy } from './web.ts';

export interface Config {
  /** The issuer, whose discovery document leads to the rest; empty where keys come from elsewhere. */
  readonly discoveryUrl: string;
  readonly discoveryCa: string;
  readonly clientId: string;
  /** Never told to anybody but the provider. */
  readonly clientSecret: string;
  readonly responseMode: '' | 'query' | 'form_post';
  readonly responseTypes: readonly string[];
  readonly jwksUrl: string;
  readonly jwksCa: string;
  readonly jwksPairs: readonly Place[];
  readonly publicKeys: readonly string[];
  /** Empty: all that are safe for tokens that are brought, RS256 for those of the provider. */
  readonly algorithms: readonly string[];
  readonly boundIssuer: string;
  readonly defaultRole: string;
  readonly namespaceInState: boolean;
}

export interface Stored {
  readonly config: Config;
  /** Changes with each write, so that nothing cached outlives the configuration it was learned under. */
  readonly revision: number;
}

const KEY = 'config';

export async function readConfig(storage: Storage): Promise<Stored | undefined> {
  const entry = await storage.get(KEY);
  const text = entry && textOf(entry.value);
  return entry === undefined || text === undefined
    ? undefined
    : { config: JSON.parse(text) as Config, revision: entry.revision };
}

/** @throws Failure jwt.not_configured */
export async function theConfig(storage: Storage): Promise<Stored> {
  const stored = await readConfig(storage);
  if (stored === undefined) throw failure('jwt.not_configured');
  return stored;
}

export const writeConfig = (storage: Storage, config: Config): Promise<number> =>
  storage.commit([{ key: KEY, value: utf8(stringify(config)) }]);

/** Whether people can log in through their browsers. */
export const isOidc = ({ discoveryUrl, clientId, clientSecret }: Config): boolean =>
  discoveryUrl !== '' && clientId !== '' && clientSecret !== '';

/** Whether the provider answers with an ID token at once, instead of a code. */
export const isImplicit = ({ responseTypes }: Config): boolean => responseTypes.includes('id_token');

/** The places of key sets that the configuration names itself. */
export const keyPlaces = ({ jwksUrl, jwksCa, jwksPairs }: Config): readonly Place[] =>
  jwksUrl === '' ? jwksPairs : [{ url: jwksUrl, ca: jwksCa }];

/** Holds a configuration against the rules that need nobody else to be asked. @throws Failure jwt.invalid */
export function checkConfig(config: Config): void {
  const { discoveryUrl, clientId, clientSecret, jwksUrl, jwksPairs, publicKeys } = config;
  const sources = [discoveryUrl !== '', publicKeys.length > 0, jwksUrl !== '', jwksPairs.length > 0];
  if (sources.filter(Boolean).length !== 1) {
    throw invalid(
      "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs', 'oidc_discovery_url', or 'provider_config' must be set",
    );
  }
  if ((clientId === '') !== (clientSecret === ''))
    throw invalid("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC");
  if (clientId !== '' && discoveryUrl === '') throw invalid("'oidc_discovery_url' must be set for OIDC");
  checkPlaces(config);
  for (const pem of publicKeys) checkKey(pem);
  const unknown = config.algorithms.find((name) => !SIGNATURE_ALGORITHMS.includes(name));
  if (unknown !== undefined)
    throw invalid(`invalid jwt_supported_algs: unsupported signing algorithm ${JSON.stringify(unknown)}`);
  checkResponse(config);
}

function checkPlaces({ discoveryUrl, discoveryCa, jwksUrl, jwksCa, jwksPairs }: Config): void {
  if (discoveryUrl.includes('.well-known/openid-configuration'))
    throw invalid("'oidc_discovery_url' contains '.well-known' component");
  for (const [name, url] of [
    ['oidc_discovery_url', discoveryUrl],
    ['jwks_url', jwksUrl],
    ...jwksPairs.map((pair) => ['jwks_pairs', pair.url] as const),
  ] as const) {
    if (url !== '' && !isTrustworthy(url)) {
      throw invalid(
        `'${name}' must be an https URL; plain http is taken on this machine alone, because anybody on the way could answer it with keys of their own`,
      );
    }
  }
  if (discoveryUrl.includes('?')) throw invalid("'oidc_discovery_url' must not have a query");
  for (const [name, pem] of [
    ['oidc_discovery_ca_pem', discoveryCa],
    ['jwks_ca_pem', jwksCa],
    ...jwksPairs.map((pair) => ['jwks_pairs', pair.ca] as const),
  ] as const) {
    if (pem !== '' && !isCertificates(pem))
      throw invalid(`error checking ${name}: could not parse CA PEM value successfully`);
  }
}

function checkKey(pem: string): void {
  const key = publicKeyOf(pem);
  if (key === undefined)
    throw invalid('error parsing public key: data does not contain any valid public keys');
  if (!isStrong(key)) throw invalid('error parsing public key: an RSA key must have 2048 bits or more');
}

function checkResponse(config: Config): void {
  if (!config.responseTypes.every((type) => type === 'code' || type === 'id_token')) {
    throw invalid(
      `invalid response_types [${config.responseTypes.join(' ')}]. 'code' and 'id_token' are allowed`,
    );
  }
  if (config.responseMode !== 'form_post' && isImplicit(config))
    throw invalid('query response_mode may not be used with an id_token response_type');
}

export const invalid = (reason: string): Failure => failure('jwt.invalid', { reason });
