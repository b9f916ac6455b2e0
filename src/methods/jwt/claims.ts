/**
 * What the claims of a verified token say: found by name or by JSON pointer, held against what a role is bound to, and read
 * as a user with groups and metadata. Pure. Reasons name claims, never their values.
 */

import { type Failure, failure } from '../../base/errors.ts';
import { globMatches } from '../../base/glob.ts';
import { Exact, type Json } from '../../base/json.ts';
import { own } from '../../base/own.ts';
import type { Claims } from '../jws.ts';

/** A value that a claim may be bound to. Numbers are compared as numbers, to the digit. */
export type Scalar = string | boolean | number | Exact;
export type BoundClaims = Readonly<Record<string, Scalar | readonly Scalar[]>>;

/** What a login that does not fit ends with. Reasons name claims and never hold a part of the token. */
export const refused = (reason: string): Failure => failure('jwt.refused', { reason });

/**
 * The value of a claim: by its name, or, where the name begins with "/", by JSON pointer (RFC 6901), as Keycloak's
 * "/realm_access/roles" asks for. Undefined where there is none; JSON's null is none too.
 */
export function claimAt(claims: Claims, name: string): Json | undefined {
  const found = name.startsWith('/') ? follow(claims, name) : own(claims, name);
  return found === null ? undefined : found;
}

function follow(claims: Claims, pointer: string): Json | undefined {
  let at: Json | undefined = claims;
  for (const part of pointer.slice(1).split('/')) {
    at = step(at, part.replaceAll('~1', '/').replaceAll('~0', '~'));
    if (at === undefined) return undefined;
  }
  return at;
}

function step(value: Json | undefined, part: string): Json | undefined {
  // "-1", "01" and "1e0" name no element (RFC 6901 section 4).
  if (Array.isArray(value)) return /^(0|[1-9]\d{0,8})$/.test(part) ? value[Number(part)] : undefined;
  if (typeof value !== 'object' || value === null || value instanceof Exact) return undefined;
  return own(value as Claims, part);
}

/** The audiences of a token: one may stand alone (RFC 7519 section 4.1.3). Undefined where the claim is neither. */
export function audiencesOf(claims: Claims): readonly string[] | undefined {
  const { aud } = claims;
  if (aud === undefined || aud === null) return [];
  if (typeof aud === 'string') return [aud];
  return Array.isArray(aud) && aud.every((one) => typeof one === 'string') ? (aud as string[]) : undefined;
}

/** Holds the claims against all that the role binds. @throws Failure jwt.refused for the first that does not fit */
export function checkBound(claims: Claims, bound: BoundClaims, type: 'string' | 'glob'): void {
  for (const [name, expected] of Object.entries(bound)) {
    const actual = claimAt(claims, name);
    if (actual === undefined) throw refused(`claim "${name}" is missing`);
    const values = listOf(actual);
    if (values === undefined) throw refused('received claim is not a string, bool, int or list');
    const wanted = Array.isArray(expected) ? (expected as readonly Scalar[]) : [expected as Scalar];
    const fits = type === 'glob' ? globbed : same;
    if (!wanted.some((one) => values.some((value) => fits(one, value))))
      throw refused(`claim "${name}" does not match any associated bound claim values`);
  }
}

/** A list, or a value alone as a list of one; undefined for an object. */
function listOf(value: Json): readonly Json[] | undefined {
  if (Array.isArray(value)) return value;
  return isScalar(value) ? [value] : undefined;
}

export const isScalar = (value: unknown): value is Scalar =>
  ['string', 'boolean', 'number'].includes(typeof value) || value instanceof Exact;

function same(wanted: Scalar, value: Json): boolean {
  const a = numberText(wanted);
  const b = isScalar(value) ? numberText(value) : undefined;
  return a === undefined || b === undefined ? wanted === value : a === b;
}

/** One spelling for one number: 1.0 is 1, and integers beyond a double keep their digits. */
function numberText(value: Scalar): string | undefined {
  if (typeof value !== 'number' && !(value instanceof Exact)) return undefined;
  const text = value instanceof Exact ? value.text : String(value);
  return /^-?\d+$/.test(text) ? String(BigInt(text)) : String(Number(text));
}

const globbed = (wanted: Scalar, value: Json): boolean =>
  typeof wanted === 'string' && typeof value === 'string' && globMatches(wanted, value);

/** Who logs in, by the claims that the role names. */
export interface Identity {
  readonly user: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Undefined where the role asks for no groups. */
  readonly groups: readonly string[] | undefined;
}

export interface IdentityClaims {
  readonly userClaim: string;
  /** Whether a user claim that begins with "/" is a pointer. */
  readonly userClaimPointer: boolean;
  readonly groupsClaim: string;
  /** Claim -> name in the metadata. */
  readonly mappings: Readonly<Record<string, string>>;
}

/** @throws Failure jwt.refused where a claim that the role needs is missing, or is of another shape */
export function identityOf(claims: Claims, role: IdentityClaims): Identity {
  const { userClaim } = role;
  const user = role.userClaimPointer ? claimAt(claims, userClaim) : own(claims, userClaim);
  if (user === undefined || user === null) throw refused(`claim "${userClaim}" not found in token`);
  if (typeof user !== 'string') throw refused(`claim "${userClaim}" could not be converted to string`);
  // An alias without a name would be everybody's.
  if (user === '') throw refused(`claim "${userClaim}" is empty`);
  return { user, metadata: metadataOf(claims, role.mappings), groups: groupsOf(claims, role.groupsClaim) };
}

function metadataOf(claims: Claims, mappings: IdentityClaims['mappings']): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  for (const [claim, name] of Object.entries(mappings)) {
    const value = claimAt(claims, claim);
    if (value === undefined) continue;
    if (typeof value !== 'string') throw refused(`error converting claim '${claim}' to string`);
    metadata[name] = value;
  }
  return metadata;
}

function groupsOf(claims: Claims, claim: string): readonly string[] | undefined {
  if (claim === '') return undefined;
  const found = claimAt(claims, claim);
  if (found === undefined) throw refused(`failed to fetch groups: "${claim}" claim not found in token`);
  const groups = listOf(found);
  if (groups === undefined) throw refused(`"${claim}" claim could not be converted to string list`);
  if (!groups.every((group) => typeof group === 'string'))
    throw refused('a value in groups claim could not be parsed as string');
  return [...new Set(groups as string[])].filter((group) => group !== '');
}
