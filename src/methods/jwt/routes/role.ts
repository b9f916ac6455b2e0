/** `role/<name>`: who may log in, who they then are, and what for. */

import { z } from 'zod';
import { goDuration, seconds } from '../../../base/duration.ts';
import { Exact } from '../../../base/json.ts';
import { anyNames, commaList, duration, flag, integer, keyValues } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { mergeTokenFields, tokenData, tokenInput, tokenOutput } from '../../token-fields.ts';
import { type BoundClaims, isScalar } from '../claims.ts';
import { invalid } from '../config.ts';
import { CALLBACK_MODES, NO_ROLE, type Role, rolesOf } from '../role.ts';

const scalar = z.union([z.string(), z.boolean(), z.number(), z.instanceof(Exact)]);
const boundClaims = z.record(z.string(), z.union([scalar, z.array(scalar)], 'claim is not a string or list'));
const texts = z.array(z.string()).nullable();

const fields = {
  role_type: z.string().nullish(),
  bound_audiences: commaList().nullish(),
  bound_subject: z.string().nullish(),
  bound_claims: anyNames(boundClaims).nullish(),
  bound_claims_type: z.string().nullish(),
  claim_mappings: keyValues().nullish(),
  user_claim: z.string().max(512).nullish(),
  user_claim_json_pointer: flag().nullish(),
  groups_claim: z.string().max(512).nullish(),
  oidc_scopes: commaList().nullish(),
  allowed_redirect_uris: commaList().nullish(),
  expiration_leeway: duration().nullish(),
  not_before_leeway: duration().nullish(),
  clock_skew_leeway: duration().nullish(),
  max_age: duration().nullish(),
  verbose_oidc_logging: flag().nullish(),
  callback_mode: z.string().nullish(),
  poll_interval: integer().nullish(),
  oidc_disable_confirmation: flag().nullish(),
  token_policies_template_claims: flag().nullish(),
  oauth2_metadata: commaList().nullish(),
  ...tokenInput,
};
const given = z.object(fields);

const output = z.object({
  allowed_redirect_uris: texts,
  bound_audiences: texts,
  bound_claims: boundClaims.nullable(),
  bound_claims_type: z.string(),
  bound_subject: z.string(),
  callback_mode: z.string(),
  claim_mappings: z.record(z.string(), z.string()).nullable(),
  clock_skew_leeway: z.number(),
  expiration_leeway: z.number(),
  groups_claim: z.string(),
  max_age: z.number(),
  not_before_leeway: z.number(),
  oidc_disable_confirmation: z.boolean(),
  oidc_scopes: texts,
  poll_interval: z.number().optional(),
  role_type: z.string(),
  user_claim: z.string(),
  user_claim_json_pointer: z.boolean(),
  verbose_oidc_logging: z.boolean(),
  ...tokenOutput,
});

export function roleRoutes(mount: Mount): Route[] {
  const roles = rolesOf(mount);
  const one: Route = {
    path: 'role/:name',
    lowercase: ['name'],
    exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
    operations: {
      read: operation({
        summary: 'Read a role.',
        input: z.object({ name: z.string() }),
        output,
        effect: 'none',
        async run({ name }) {
          const found = await roles.find(name);
          return found === undefined ? {} : { data: shown(found.value) };
        },
      }),

      write: operation({
        summary: 'Make or change a role; fields left out stay as they are, but for the types and modes.',
        input: given.extend({ name: z.string() }),
        output: z.object({}),
        effect: 'write',
        async run({ name, ...sent }): Promise<Reply<Record<string, never>>> {
          const found = await roles.find(name);
          const role = merged(found?.value ?? NO_ROLE, sent);
          checkRole(role);
          const { maxMs } = mount.ttl();
          if (role.token.periodMs > maxMs) {
            throw invalid(
              `'period' of '"${goDuration(role.token.periodMs)}"' is greater than the backend's maximum lease TTL of '"${goDuration(maxMs)}"'`,
            );
          }
          await roles.put(name, role, found?.revision ?? 0);
          return { warnings: warningsOf(role, maxMs) };
        },
      }),

      delete: operation({
        summary: 'Delete a role; tokens that are out can no longer be renewed.',
        input: z.object({ name: z.string() }),
        output: z.object({}),
        effect: 'write',
        async run({ name }): Promise<Reply<Record<string, never>>> {
          await roles.delete(name);
          return {};
        },
      }),
    },
  };

  return [listing('role', 'List the roles.', roles), one];
}

/** The role with what was sent laid over it. Types and modes go back to their defaults when left out, as upstream has it. */
function merged(before: Role, sent: z.output<typeof given>): Role {
  if (sent.token_policies_template_claims) throw invalid('token_policies_template_claims is not supported');
  if (sent.oauth2_metadata?.length) {
    throw invalid(
      'oauth2_metadata is not supported: tokens of the provider would lie open in the metadata of ours',
    );
  }
  if ((sent.max_age ?? 0) < 0) throw invalid('max_age: cannot provide a negative value');
  if ((sent.poll_interval ?? 0) < 0) throw invalid('poll_interval: cannot provide a negative value');
  const { leeways } = before;
  return {
    type: choice('role_type', sent.role_type, ['oidc', 'jwt']),
    audiences: sent.bound_audiences ?? before.audiences,
    subject: sent.bound_subject ?? before.subject,
    boundClaims: sent.bound_claims ?? before.boundClaims,
    boundClaimsType: choice('bound_claims_type', sent.bound_claims_type, ['string', 'glob']),
    leeways: {
      expirationMs: sent.expiration_leeway ?? leeways.expirationMs,
      notBeforeMs: sent.not_before_leeway ?? leeways.notBeforeMs,
      clockSkewMs: sent.clock_skew_leeway ?? leeways.clockSkewMs,
    },
    userClaim: sent.user_claim ?? before.userClaim,
    userClaimPointer: sent.user_claim_json_pointer ?? before.userClaimPointer,
    groupsClaim: sent.groups_claim ?? before.groupsClaim,
    mappings: sent.claim_mappings ?? before.mappings,
    scopes: sent.oidc_scopes ?? before.scopes,
    redirectUris: sent.allowed_redirect_uris ?? before.redirectUris,
    maxAgeMs: sent.max_age ?? before.maxAgeMs,
    verbose: sent.verbose_oidc_logging ?? before.verbose,
    callbackMode: choice('callback_mode', sent.callback_mode, CALLBACK_MODES),
    pollInterval: sent.poll_interval ?? before.pollInterval,
    unconfirmed: sent.oidc_disable_confirmation ?? false,
    token: mergeTokenFields(before.token, sent),
  };
}

/** One of a few words; the first where none was sent. @throws Failure jwt.invalid */
function choice<T extends string>(field: string, sent: string | null | undefined, of: readonly T[]): T {
  const [byDefault] = of as readonly [T, ...T[]];
  const found = sent ? of.find((one) => one === sent) : byDefault;
  if (found !== undefined) return found;
  throw invalid(
    field === 'callback_mode' && sent === 'device'
      ? "callback_mode 'device' is not supported: use 'client' or 'direct'"
      : `invalid '${field}': ${String(sent).slice(0, 64)}`,
  );
}

/** @throws Failure jwt.invalid */
function checkRole(role: Role): void {
  checkBoundClaims(role.boundClaims, role.boundClaimsType);
  const targets = Object.values(role.mappings);
  if (targets.includes('role'))
    throw invalid('metadata key "role" is reserved and may not be a mapping destination');
  const twice = targets.find((target, at) => targets.indexOf(target) !== at);
  if (twice !== undefined) throw invalid(`multiple keys are mapped to metadata key ${JSON.stringify(twice)}`);
  if (role.userClaim === '') throw invalid('a user claim must be defined on the role');
  if (role.type === 'oidc' && role.redirectUris.length === 0)
    throw invalid("'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.");
  const bound =
    role.audiences.length > 0 ||
    role.token.boundCidrs.length > 0 ||
    role.subject !== '' ||
    Object.keys(role.boundClaims).length > 0;
  if (role.type === 'jwt' && !bound)
    throw invalid('must have at least one bound constraint when creating/updating a role');
}

function checkBoundClaims(bound: BoundClaims, type: Role['boundClaimsType']): void {
  if (type !== 'glob') return;
  for (const value of Object.values(bound)) {
    const values = isScalar(value) ? [value] : value;
    if (!values.every((one) => typeof one === 'string')) throw invalid('claim is not a string');
  }
}

function warningsOf({ token, verbose }: Role, maxMs: number): string[] {
  return [
    ...(token.maxTtlMs > maxMs
      ? [
          "token max ttl is greater than the system or backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
        ]
      : []),
    ...(verbose
      ? [
          'verbose_oidc_logging has been enabled for this role. This is not recommended in production since sensitive information may be present in OIDC responses.',
        ]
      : []),
  ];
}

/** What was never set is null, as upstream tells it. */
const list = (items: readonly string[]): string[] | null => (items.length === 0 ? null : [...items]);
const map = <T>(items: Readonly<Record<string, T>>): Record<string, T> | null =>
  Object.keys(items).length === 0 ? null : { ...items };

const shown = (role: Role): z.input<typeof output> => ({
  allowed_redirect_uris: list(role.redirectUris),
  bound_audiences: list(role.audiences),
  bound_claims: map(role.boundClaims) as z.input<typeof boundClaims> | null,
  bound_claims_type: role.boundClaimsType,
  bound_subject: role.subject,
  callback_mode: role.callbackMode,
  claim_mappings: map(role.mappings),
  clock_skew_leeway: seconds(role.leeways.clockSkewMs),
  expiration_leeway: seconds(role.leeways.expirationMs),
  groups_claim: role.groupsClaim,
  max_age: seconds(role.maxAgeMs),
  not_before_leeway: seconds(role.leeways.notBeforeMs),
  oidc_disable_confirmation: role.unconfirmed,
  oidc_scopes: list(role.scopes),
  ...(role.pollInterval > 0 ? { poll_interval: role.pollInterval } : {}),
  role_type: role.type,
  user_claim: role.userClaim,
  user_claim_json_pointer: role.userClaimPointer,
  verbose_oidc_logging: role.verbose,
  ...tokenData(role.token),
});
