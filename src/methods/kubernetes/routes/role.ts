/** `role/<name>`: who may log in, and what for. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { commaList } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import { mergeTokenFields, tokenData, tokenInput, tokenOutput } from '../../token-fields.ts';
import { ALIAS_SOURCES, NO_ROLE, type Role } from '../role.ts';

const NO_AUDIENCE =
  'This role does not have an audience configured. While audiences are not required, consider specifying one if your ' +
  'use case would benefit from additional JWT claim verification.';

export function roleRoutes(roles: Shelf<Role>): Route[] {
  const one: Route = {
    path: 'role/:name',
    lowercase: ['name'],
    exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
    operations: {
      read: operation({
        summary: 'Read a role.',
        input: z.object({ name: z.string() }),
        output: z.object({
          alias_name_source: z.string(),
          audience: z.string().optional(),
          bound_service_account_names: z.array(z.string()),
          bound_service_account_namespace_selector: z.string(),
          bound_service_account_namespaces: z.array(z.string()),
          ...tokenOutput,
        }),
        effect: 'none',
        async run({ name }) {
          const found = await roles.find(name);
          if (found === undefined) return {};
          const { value: role } = found;
          return {
            data: {
              alias_name_source: role.alias,
              ...(role.audience === '' ? {} : { audience: role.audience }),
              bound_service_account_names: [...role.names],
              bound_service_account_namespace_selector: '',
              bound_service_account_namespaces: [...role.namespaces],
              ...tokenData(role.token),
            },
          };
        },
      }),

      write: operation({
        summary: 'Make or change a role; fields left out stay as they are.',
        input: z.object({
          name: z.string(),
          bound_service_account_names: commaList().nullish(),
          bound_service_account_namespaces: commaList().nullish(),
          bound_service_account_namespace_selector: z.string().nullish(),
          audience: z.string().nullish(),
          alias_name_source: z.enum(['', ...ALIAS_SOURCES]).nullish(),
          ...tokenInput,
        }),
        output: z.object({}),
        effect: 'write',
        async run({ name, ...given }): Promise<Reply<Record<string, never>>> {
          if (given.bound_service_account_namespace_selector) {
            throw refused(
              'bound_service_account_namespace_selector is not supported: name the namespaces in bound_service_account_namespaces',
            );
          }
          const found = await roles.find(name);
          const before = found?.value ?? NO_ROLE;
          const role: Role = {
            names: given.bound_service_account_names ?? before.names,
            namespaces: given.bound_service_account_namespaces ?? before.namespaces,
            audience: given.audience ?? before.audience,
            alias: given.alias_name_source == null ? before.alias : given.alias_name_source || NO_ROLE.alias,
            token: mergeTokenFields(before.token, given),
          };
          checkRole(role);
          await roles.put(name, role, found?.revision ?? 0);
          return role.audience === '' ? { warnings: [NO_AUDIENCE] } : {};
        },
      }),

      delete: operation({
        summary: 'Delete a role.',
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

function checkRole({ names, namespaces }: Role): void {
  if (names.length === 0) throw refused('"bound_service_account_names" can not be empty');
  if (namespaces.length === 0) {
    throw refused(
      '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set',
    );
  }
  if (names.length > 1 && names.includes('*')) throw refused('can not mix "*" with values');
  if (namespaces.length > 1 && namespaces.includes('*')) throw refused('can not mix "*" with values');
}

const refused = (reason: string) => failure('kubernetes.role', { reason });
