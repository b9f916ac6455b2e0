/** `roles/<name>`: in which namespaces tokens are made, and of which accounts. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { commaList, duration, integer, keyValues } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import { checkedName, checkRole, NO_ROLE, type Role } from '../role.ts';

const text = (limit: number) => z.string().max(limit).nullish();
const named = z.object({ name: z.string() });
const nothing = z.object({});

const input = named.extend({
  allowed_kubernetes_namespaces: commaList().nullish(),
  allowed_kubernetes_namespace_selector: text(64 * 1024),
  token_max_ttl: duration().nullish(),
  token_default_ttl: duration().nullish(),
  token_default_audiences: commaList().nullish(),
  service_account_name: text(253),
  kubernetes_role_name: text(253),
  kubernetes_role_type: text(64),
  generated_role_rules: text(64 * 1024),
  name_template: text(4096),
  extra_labels: keyValues().nullish(),
  extra_annotations: keyValues().nullish(),
});
type Given = z.output<typeof input>;

const output = z.object({
  allowed_kubernetes_namespace_selector: z.string(),
  allowed_kubernetes_namespaces: z.array(z.string()).nullable(),
  extra_annotations: z.record(z.string(), z.string()).nullable(),
  extra_labels: z.record(z.string(), z.string()).nullable(),
  generated_role_rules: z.string(),
  kubernetes_role_name: z.string(),
  kubernetes_role_type: z.string(),
  name: z.string(),
  name_template: z.string(),
  service_account_name: z.string(),
  token_default_audiences: z.array(z.string()).nullable(),
  token_default_ttl: z.number(),
  token_max_ttl: z.number(),
});

export function roleRoutes(roles: Shelf<Role>): Route[] {
  const one: Route = {
    path: 'roles/:name',
    lowercase: ['name'],
    exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
    operations: {
      read: operation({
        summary: 'Read a role.',
        input: named,
        output,
        effect: 'none',
        async run({ name }) {
          const role = await roles.get(name);
          return role === undefined ? {} : { data: shown(name, role) };
        },
      }),
      write: operation({
        summary: 'Make or change a role; fields left out stay as they are.',
        input,
        output: nothing,
        effect: 'write',
        async run({ name, ...given }) {
          const found = await roles.find(checkedName(name));
          const role = merged(found?.value ?? NO_ROLE, given);
          checkRole(role);
          await roles.put(name, role, found?.revision ?? 0);
          return {};
        },
      }),
      delete: operation({
        summary: 'Delete a role; tokens that it gave live on until their leases end.',
        input: named,
        output: nothing,
        effect: 'write',
        async run({ name }) {
          await roles.delete(name);
          return {};
        },
      }),
    },
  };

  const all: Route = {
    path: 'roles',
    operations: {
      list: operation({
        summary: 'List the roles.',
        input: z.object({ after: z.string().optional(), limit: integer().optional() }),
        output: z.object({ keys: z.array(z.string()) }),
        effect: 'none',
        async run({ after = '', limit = 0 }) {
          const names = (await roles.names()).filter((name) => name > after);
          const keys = limit > 0 ? names.slice(0, limit) : names;
          return keys.length === 0 ? {} : { data: { keys } };
        },
      }),
    },
  };
  return [all, one];
}

function merged(before: Role, given: Omit<Given, 'name'>): Role {
  const namespaces = given.allowed_kubernetes_namespaces;
  const audiences = given.token_default_audiences;
  return {
    namespaces: namespaces == null ? before.namespaces : tidy(namespaces.map((name) => name.toLowerCase())),
    namespaceSelector: given.allowed_kubernetes_namespace_selector ?? before.namespaceSelector,
    maxTtlMs: given.token_max_ttl ?? before.maxTtlMs,
    defaultTtlMs: given.token_default_ttl ?? before.defaultTtlMs,
    audiences: audiences == null ? before.audiences : tidy(audiences),
    serviceAccount: given.service_account_name ?? before.serviceAccount,
    roleName: given.kubernetes_role_name ?? before.roleName,
    roleType: given.kubernetes_role_type == null ? before.roleType : roleType(given.kubernetes_role_type),
    rules: given.generated_role_rules ?? before.rules,
    nameTemplate: given.name_template ?? before.nameTemplate,
    labels: given.extra_labels ?? before.labels,
    annotations: given.extra_annotations ?? before.annotations,
  };
}

/** Without repetitions, in order. */
const tidy = (texts: readonly string[]): string[] => [...new Set(texts.map((one) => one.trim()))].sort();

/** @throws Failure serviceaccounts.role */
function roleType(given: string): Role['roleType'] {
  const found = (['Role', 'ClusterRole'] as const).find((type) => type.toLowerCase() === given.toLowerCase());
  if (given === '') return NO_ROLE.roleType;
  if (found === undefined)
    throw failure('serviceaccounts.role', {
      reason: "kubernetes_role_type must be either 'Role' or 'ClusterRole'",
    });
  return found;
}

const orNull = <T extends object>(value: T): T | null => (Object.keys(value).length === 0 ? null : value);

const shown = (name: string, role: Role): z.input<typeof output> => ({
  allowed_kubernetes_namespace_selector: role.namespaceSelector,
  allowed_kubernetes_namespaces: orNull([...role.namespaces]),
  extra_annotations: orNull({ ...role.annotations }),
  extra_labels: orNull({ ...role.labels }),
  generated_role_rules: role.rules,
  kubernetes_role_name: role.roleName,
  kubernetes_role_type: role.roleType,
  name,
  name_template: role.nameTemplate,
  service_account_name: role.serviceAccount,
  token_default_audiences: orNull([...role.audiences]),
  token_default_ttl: seconds(role.defaultTtlMs),
  token_max_ttl: seconds(role.maxTtlMs),
});
