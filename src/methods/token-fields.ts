/** The fields that the roles of every auth method share: what the token made for a login shall be. After upstream's tokenutil. */

import { z } from 'zod';
import { isCidr } from '../base/cidr.ts';
import { seconds } from '../base/duration.ts';
import { failure } from '../base/errors.ts';
import { commaList, duration, flag, integer } from '../base/schema.ts';
import type { Mount, TokenParams } from '../plugin/plugin.ts';

const TOKEN_TYPES = ['default', 'service', 'batch', 'default-service', 'default-batch'] as const;
export type TokenType = (typeof TOKEN_TYPES)[number];

/** By the name of before: the name of now. */
const OLDER_NAMES = {
  policies: 'token_policies',
  ttl: 'token_ttl',
  max_ttl: 'token_max_ttl',
  period: 'token_period',
  num_uses: 'token_num_uses',
  bound_cidrs: 'token_bound_cidrs',
} as const;
type OlderName = keyof typeof OLDER_NAMES;

/** As it is stored with a role. Milliseconds. */
export interface TokenFields {
  readonly policies: readonly string[];
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly explicitMaxTtlMs: number;
  readonly periodMs: number;
  readonly uses: number;
  readonly type: TokenType;
  readonly noDefaultPolicy: boolean;
  readonly boundCidrs: readonly string[];
  /** Which fields were last written by the names they had before they were shared: a read tells those by both. */
  readonly olderNames?: readonly OlderName[];
}

export const NO_TOKEN_FIELDS: TokenFields = {
  policies: [],
  ttlMs: 0,
  maxTtlMs: 0,
  explicitMaxTtlMs: 0,
  periodMs: 0,
  uses: 0,
  type: 'default',
  noDefaultPolicy: false,
  boundCidrs: [],
};

/** What a role's schema spreads in: the fields, and the names they had before they were shared. */
export const tokenInput = {
  token_policies: commaList().nullish(),
  token_ttl: duration().nullish(),
  token_max_ttl: duration().nullish(),
  token_explicit_max_ttl: duration().nullish(),
  token_period: duration().nullish(),
  token_num_uses: integer().nullish(),
  token_type: z.enum(['', ...TOKEN_TYPES]).nullish(),
  token_no_default_policy: flag().nullish(),
  token_bound_cidrs: commaList().nullish(),
  policies: commaList().nullish(),
  ttl: duration().nullish(),
  max_ttl: duration().nullish(),
  period: duration().nullish(),
  num_uses: integer().nullish(),
  bound_cidrs: commaList().nullish(),
};
const schema = z.object(tokenInput);

export const tokenOutput = {
  token_bound_cidrs: z.array(z.string()),
  token_explicit_max_ttl: z.number(),
  token_max_ttl: z.number(),
  token_no_default_policy: z.boolean(),
  token_num_uses: z.number(),
  token_period: z.number(),
  token_policies: z.array(z.string()),
  token_ttl: z.number(),
  token_type: z.string(),
  policies: z.array(z.string()).optional(),
  ttl: z.number().optional(),
  max_ttl: z.number().optional(),
  period: z.number().optional(),
  num_uses: z.number().optional(),
  bound_cidrs: z.array(z.string()).optional(),
};

/**
 * The fields with those laid over them that were sent.
 * @throws Failure method.token_fields
 */
export function mergeTokenFields(before: TokenFields, given: z.output<typeof schema>): TokenFields {
  const policies = given.token_policies ?? given.policies;
  const olderNames = mergeOlderNames(before.olderNames ?? [], given);
  const after: TokenFields = {
    policies: policies == null ? before.policies : tidyPolicies(policies),
    ttlMs: given.token_ttl ?? given.ttl ?? before.ttlMs,
    maxTtlMs: given.token_max_ttl ?? given.max_ttl ?? before.maxTtlMs,
    explicitMaxTtlMs: given.token_explicit_max_ttl ?? before.explicitMaxTtlMs,
    periodMs: given.token_period ?? given.period ?? before.periodMs,
    uses: given.token_num_uses ?? given.num_uses ?? before.uses,
    type: given.token_type == null ? before.type : given.token_type || 'default',
    noDefaultPolicy: given.token_no_default_policy ?? before.noDefaultPolicy,
    boundCidrs: given.token_bound_cidrs ?? given.bound_cidrs ?? before.boundCidrs,
    ...(olderNames.length === 0 ? {} : { olderNames }),
  };
  const refuse = (reason: string) => failure('method.token_fields', { reason });
  if (after.ttlMs < 0) throw refuse("'token_ttl' cannot be negative");
  if (after.maxTtlMs < 0) throw refuse("'token_max_ttl' cannot be negative");
  if (after.explicitMaxTtlMs < 0) throw refuse("'token_explicit_max_ttl' cannot be negative");
  if (after.periodMs < 0) throw refuse("'token_period' cannot be negative");
  if (after.uses < 0) throw refuse("'token_num_uses' cannot be negative");
  if (after.ttlMs > 0 && after.maxTtlMs > 0 && after.ttlMs > after.maxTtlMs) {
    throw refuse("'token_ttl' cannot be greater than 'token_max_ttl'");
  }
  if (after.type.endsWith('batch') && after.uses !== 0) {
    throw refuse(
      "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
    );
  }
  if (after.type.endsWith('batch') && after.periodMs !== 0) {
    throw refuse("'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens");
  }
  if (!after.boundCidrs.every(isCidr)) throw refuse("'token_bound_cidrs' holds what is no address block");
  return after;
}

/** A field goes by its older name as long as nobody writes it by the new one alone. */
const mergeOlderNames = (
  before: readonly OlderName[],
  given: z.output<typeof schema>,
): readonly OlderName[] =>
  (Object.keys(OLDER_NAMES) as OlderName[]).filter(
    (name) => given[name] != null || (before.includes(name) && given[OLDER_NAMES[name]] == null),
  );

/** What a role's answer spreads in; whole seconds. What was written by an older name is told by that as well, unless empty. */
export function tokenData(fields: TokenFields) {
  const data = {
    token_bound_cidrs: [...fields.boundCidrs],
    token_explicit_max_ttl: seconds(fields.explicitMaxTtlMs),
    token_max_ttl: seconds(fields.maxTtlMs),
    token_no_default_policy: fields.noDefaultPolicy,
    token_num_uses: fields.uses,
    token_period: seconds(fields.periodMs),
    token_policies: [...fields.policies],
    token_ttl: seconds(fields.ttlMs),
    token_type: fields.type,
  };
  const older: { [Name in OlderName]?: (typeof data)[(typeof OLDER_NAMES)[Name]] } = Object.fromEntries(
    (fields.olderNames ?? [])
      .map((name) => [name, data[OLDER_NAMES[name]]] as const)
      .filter(([, value]) => (Array.isArray(value) ? value.length > 0 : value !== 0)),
  );
  return { ...data, ...older };
}

/** What a login grants. */
export function tokenParams(fields: TokenFields): TokenParams {
  const bare = fields.type.replace('default-', '');
  return {
    ttlMs: fields.ttlMs,
    maxTtlMs: fields.maxTtlMs,
    explicitMaxTtlMs: fields.explicitMaxTtlMs,
    periodMs: fields.periodMs,
    uses: fields.uses,
    type: bare === 'batch' || bare === 'service' ? bare : 'default',
    noDefaultPolicy: fields.noDefaultPolicy,
    boundCidrs: fields.boundCidrs,
    renewable: bare !== 'batch',
  };
}

/** How a login is called in lists and audit lines: its mount, then who it was there. */
export const loginName = ({ path }: Pick<Mount, 'path'>, name: string): string =>
  [path.replace(/^auth\/|\/$/g, '').replaceAll('/', '-'), name].filter((part) => part !== '').join('-');

/** Whether a token has the policies that a login would get now. "default" comes by itself and does not count. */
export const samePolicies = ({ policies }: TokenFields, held: readonly string[]): boolean => {
  const counted = (names: readonly string[]): string =>
    JSON.stringify(names.filter((name) => name !== 'default' && name !== 'root').sort());
  return counted(policies) === counted(held);
};

const tidyPolicies = (given: readonly string[]): string[] =>
  [...new Set(given.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))].sort();
