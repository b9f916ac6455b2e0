/** auth/token/roles: what tokens others may make. */

import { z } from 'zod';
import { isCidr } from '../../base/cidr.ts';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { commaList, duration, flag, integer } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { checkTokenRole, type TokenRole } from '../auth/tokens-roles.ts';
import { type Core, services } from '../core/core.ts';

const one = z.object({ name: z.string() });
const nothing = z.object({});
const names = z.array(z.string());
const roleOutput = z.object({
  allowed_entity_aliases: names,
  allowed_policies: names,
  allowed_policies_glob: names,
  disallowed_policies: names,
  disallowed_policies_glob: names,
  explicit_max_ttl: z.number(),
  name: z.string(),
  orphan: z.boolean(),
  path_suffix: z.string(),
  period: z.number(),
  renewable: z.boolean(),
  token_bound_cidrs: names,
  token_explicit_max_ttl: z.number(),
  token_no_default_policy: z.boolean(),
  token_num_uses: z.number(),
  token_period: z.number(),
  token_type: z.string(),
});
const roleInput = one.extend({
  allowed_policies: commaList().nullish(),
  allowed_policies_glob: commaList().nullish(),
  disallowed_policies: commaList().nullish(),
  disallowed_policies_glob: commaList().nullish(),
  allowed_entity_aliases: commaList().nullish(),
  orphan: flag().nullish(),
  renewable: flag().nullish(),
  path_suffix: z.string().max(256).nullish(),
  token_bound_cidrs: commaList().nullish(),
  token_explicit_max_ttl: duration().nullish(),
  token_no_default_policy: flag().nullish(),
  token_num_uses: integer().nullish(),
  token_period: duration().nullish(),
  token_type: z.enum(['', 'default', 'service', 'batch', 'default-service', 'default-batch']).nullish(),
  bound_cidrs: commaList().nullish(),
  explicit_max_ttl: duration().nullish(),
  period: duration().nullish(),
});

export function tokenRoleRoutes(core: Core): Route[] {
  const roles = () => services(core).tokenRoles;
  return [
    {
      path: 'roles',
      operations: {
        list: operation({
          summary: 'List the token roles.',
          input: nothing,
          output: z.object({ keys: names }),
          effect: 'none',
          run: async () => ({ data: { keys: await roles().list() } }),
        }),
      },
    },
    {
      path: 'roles/:name',
      exists: async ({ name = '' }) => (await roles().get(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read a token role.',
          input: one,
          output: roleOutput,
          effect: 'none',
          async run({ name }) {
            const role = await roles().get(name);
            return role === undefined ? {} : { data: roleText(name, role) };
          },
        }),
        write: operation({
          summary: 'Make or change a token role; fields left out stay as they are.',
          input: roleInput,
          output: nothing,
          effect: 'write',
          async run({ name, ...given }) {
            await roles().change(name, (before) => {
              const role = changed(before, given);
              checkTokenRole(role);
              return role;
            });
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a token role; its tokens cannot be renewed any more.',
          input: one,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await roles().delete(name);
            return {};
          },
        }),
      },
    },
  ];
}

function changed(before: TokenRole, given: Omit<z.output<typeof roleInput>, 'name'>): TokenRole {
  const cidrs = given.token_bound_cidrs ?? given.bound_cidrs;
  if (cidrs?.every(isCidr) === false)
    throw failure('request.invalid', { reason: "'token_bound_cidrs' holds what is no address block" });
  const type = given.token_type;
  return {
    allowed: policyNames(given.allowed_policies) ?? before.allowed,
    allowedGlobs: policyNames(given.allowed_policies_glob) ?? before.allowedGlobs,
    disallowed: policyNames(given.disallowed_policies) ?? before.disallowed,
    disallowedGlobs: policyNames(given.disallowed_policies_glob) ?? before.disallowedGlobs,
    allowedAliases: given.allowed_entity_aliases ?? before.allowedAliases,
    orphan: given.orphan ?? before.orphan,
    renewable: given.renewable ?? before.renewable,
    pathSuffix: given.path_suffix ?? before.pathSuffix,
    boundCidrs: cidrs ?? before.boundCidrs,
    explicitMaxTtlMs: given.token_explicit_max_ttl ?? given.explicit_max_ttl ?? before.explicitMaxTtlMs,
    periodMs: given.token_period ?? given.period ?? before.periodMs,
    uses: given.token_num_uses ?? before.uses,
    noDefaultPolicy: given.token_no_default_policy ?? before.noDefaultPolicy,
    type: type == null ? before.type : type === '' || type === 'default' ? 'default-service' : type,
  };
}

/** Policies have no case; what is disallowed in one spelling must be so in each. */
const policyNames = (given: readonly string[] | null | undefined): string[] | undefined =>
  given == null
    ? undefined
    : [...new Set(given.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))].sort();

const roleText = (name: string, role: TokenRole): z.input<typeof roleOutput> => ({
  allowed_entity_aliases: [...role.allowedAliases],
  allowed_policies: [...role.allowed],
  allowed_policies_glob: [...role.allowedGlobs],
  disallowed_policies: [...role.disallowed],
  disallowed_policies_glob: [...role.disallowedGlobs],
  explicit_max_ttl: seconds(role.explicitMaxTtlMs),
  name,
  orphan: role.orphan,
  path_suffix: role.pathSuffix,
  period: seconds(role.periodMs),
  renewable: role.renewable,
  token_bound_cidrs: [...role.boundCidrs],
  token_explicit_max_ttl: seconds(role.explicitMaxTtlMs),
  token_no_default_policy: role.noDefaultPolicy,
  token_num_uses: role.uses,
  token_period: seconds(role.periodMs),
  token_type: role.type,
});
