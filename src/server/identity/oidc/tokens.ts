/** Identity tokens: who a caller is, signed, for others to read; and whether such a token still holds. */

import type { Clock } from '../../../base/clock.ts';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { stringify } from '../../../base/json.ts';
import type { IdentityStore } from '../store.ts';
import { claimsOf, RESERVED } from './claims.ts';
import { isSigned, parseToken, signed } from './signing.ts';
import type { OidcStore } from './store.ts';

export interface OidcWorld {
  readonly oidc: OidcStore;
  readonly identity: () => IdentityStore;
  readonly clock: Clock;
  /** Scheme, host and port that clients reach this server by; "" where nobody said. */
  readonly address: () => string;
}

const ISSUER_PATH = '/v1/identity/oidc';
/** Clocks of verifiers are never quite alike. Seconds, as upstream allows them. */
const LEEWAY = 60;

const refuse = (reason: string) => failure('request.invalid', { reason });

export const issuerOf = async ({ oidc, address }: OidcWorld): Promise<string> =>
  ((await oidc.issuer()) || address()) + ISSUER_PATH;

export interface IssuedIdentity {
  readonly token: string;
  readonly clientId: string;
  readonly ttlMs: number;
}

/**
 * A token about the caller.
 * @param entityId of the caller; "" has none
 * @throws Failure request.invalid
 */
export async function issueIdentity(
  world: OidcWorld,
  roleName: string,
  entityId: string,
): Promise<IssuedIdentity> {
  const role = await world.oidc.role(roleName);
  if (role === undefined) throw refuse(`role ${JSON.stringify(roleName)} not found`);
  const key = await world.oidc.key(role.key);
  if (key === undefined) throw refuse(`key ${JSON.stringify(role.key)} not found`);
  if (!key.allowedClients.includes('*') && !key.allowedClients.includes(role.clientId))
    throw refuse(
      `the key ${JSON.stringify(role.key)} does not list the client ID of the role ${JSON.stringify(roleName)} as an allowed client ID`,
    );
  const caller = entityId === '' ? undefined : await world.identity().resolve(entityId);
  if (caller === undefined) throw refuse("no entity associated with the request's token");
  const now = world.clock.now();
  // A key may have been given a shorter time since the role was written: nobody could verify the rest of a longer life.
  const ttlMs = Math.min(role.ttlMs, key.verificationMs);
  const told = Object.entries(claimsOf(role.template, { identity: caller.identity, now }));
  const claims = {
    ...Object.fromEntries(told.filter(([name]) => !RESERVED.includes(name))),
    iss: await issuerOf(world),
    sub: caller.entity.id,
    aud: role.clientId,
    iat: seconds(now),
    exp: seconds(now) + seconds(ttlMs),
    namespace: 'root',
  };
  return { token: signed(key.current, stringify(claims)), clientId: role.clientId, ttlMs };
}

/** Why an identity token does not hold (for this client, where one is named), or undefined where it does. */
export async function whyInactive(
  world: OidcWorld,
  token: string,
  clientId: string,
): Promise<string | undefined> {
  const parsed = parseToken(token);
  if (typeof parsed === 'string') return `error parsing token: ${parsed}`;
  const { keys } = await world.oidc.published();
  if (!keys.some((key) => key.kid === parsed.kid && isSigned(parsed, key)))
    return 'unable to validate the token signature';
  const { iss, exp, aud, iat, sub } = parsed.claims;
  const now = seconds(world.clock.now());
  const invalid = (what: string): string => `error validating claims: ${what}`;
  if (iss !== (await issuerOf(world))) return invalid('invalid issuer claim (iss)');
  if (clientId !== '' && aud !== clientId) return invalid('invalid audience claim (aud)');
  if (typeof exp !== 'number' || exp + LEEWAY < now) return invalid('token is expired (exp)');
  if (typeof iat !== 'number' || iat - LEEWAY > now) return invalid('token issued in the future (iat)');
  const entity = typeof sub === 'string' ? await world.identity().entities.current(sub) : undefined;
  if (entity === undefined) return 'entity was not found';
  return entity.disabled ? 'entity is disabled' : undefined;
}
