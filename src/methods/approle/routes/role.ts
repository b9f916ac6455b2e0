/** `role/<name>` and the paths of its single fields: what logins of a role need, and what they get. */

import { z } from 'zod';
import { isCidr } from '../../../base/cidr.ts';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { commaList, duration, flag, integer } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { type Operation, operation, type Route } from '../../../plugin/plugin.ts';
import { mergeTokenFields, NO_TOKEN_FIELDS, tokenData, tokenInput, tokenOutput } from '../../token-fields.ts';
import { newRole, type Role, type Roles } from '../role.ts';
import type { SecretIds } from '../secret.ts';

const one = z.object({ role_name: z.string().max(512) });
const nothing = z.object({});
const fields = {
  bind_secret_id: flag().nullish(),
  secret_id_bound_cidrs: commaList().nullish(),
  bound_cidr_list: commaList().nullish(),
  secret_id_num_uses: integer().nullish(),
  secret_id_ttl: duration().nullish(),
  ...tokenInput,
};
const changes = z.object(fields);
type Changes = z.output<typeof changes>;
const roleInput = one.extend({
  ...fields,
  role_id: z.string().max(4096).nullish(),
  local_secret_ids: flag().nullish(),
});
const roleOutput = z.object({
  bind_secret_id: z.boolean(),
  local_secret_ids: z.boolean(),
  secret_id_bound_cidrs: z.array(z.string()).nullable(),
  secret_id_num_uses: z.number(),
  secret_id_ttl: z.number(),
  ...tokenOutput,
});

/** Paths of one field each: its member, and the names that it is sent under. */
const SINGLE: Readonly<Record<string, readonly (keyof Changes & string)[]>> = {
  policies: ['token_policies', 'policies'],
  'bind-secret-id': ['bind_secret_id'],
  'bound-cidr-list': ['secret_id_bound_cidrs', 'bound_cidr_list'],
  'secret-id-bound-cidrs': ['secret_id_bound_cidrs'],
  'secret-id-num-uses': ['secret_id_num_uses'],
  'secret-id-ttl': ['secret_id_ttl'],
  'token-bound-cidrs': ['token_bound_cidrs'],
  'token-num-uses': ['token_num_uses'],
  'token-ttl': ['token_ttl'],
  'token-max-ttl': ['token_max_ttl'],
  period: ['token_period', 'period'],
};

/** @param newId makes a random id for a role that was not given one */
export function roleRoutes(roles: Roles, secrets: SecretIds, newId: () => string): Route[] {
  return [
    listing('role', 'List the roles.', roles),
    {
      path: 'role/:role_name',
      lowercase: ['role_name'],
      exists: async ({ role_name: name = '' }) => (await roles.get(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read a role.',
          input: one,
          output: roleOutput,
          effect: 'none',
          async run({ role_name: name }) {
            const found = await roles.get(name);
            return found === undefined ? {} : { data: roleText(found.role) };
          },
        }),
        write: operation({
          summary: 'Make or change a role; fields left out stay as they are.',
          input: roleInput,
          output: nothing,
          effect: 'write',
          async run({ role_name: name, role_id: roleId, local_secret_ids: local, ...given }) {
            const uuid = newId();
            const id = newId();
            await roles.change(name, (before) => {
              if (before !== undefined && local != null && local !== before.localSecretIds)
                throw refuse('local_secret_ids can only be modified during role creation');
              const role = before ?? { ...newRole(uuid, id), localSecretIds: local ?? false };
              return changed(roleId ? { ...role, roleId } : role, given);
            });
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a role and its secret ids.',
          input: one,
          output: nothing,
          effect: 'write',
          async run({ role_name: name }) {
            const role = await roles.delete(name);
            if (role !== undefined) await secrets.wipe(role.uuid);
            return {};
          },
        }),
      },
    },
    {
      path: 'role/:role_name/role-id',
      lowercase: ['role_name'],
      operations: {
        read: operation({
          summary: 'Read the role id.',
          input: one,
          output: z.object({ role_id: z.string() }),
          effect: 'none',
          async run({ role_name: name }) {
            const found = await roles.get(name);
            return found === undefined ? {} : { data: { role_id: found.role.roleId } };
          },
        }),
        write: operation({
          summary: 'Set the role id.',
          input: one.extend({ role_id: z.string().max(4096).default('') }),
          output: nothing,
          effect: 'write',
          async run({ role_name: name, role_id: roleId }) {
            if (roleId === '') throw refuse('missing role_id');
            await roles.known(name);
            await roles.change(name, (before) => ({ ...there(before, name), roleId }));
            return {};
          },
        }),
      },
    },
    {
      path: 'role/:role_name/local-secret-ids',
      lowercase: ['role_name'],
      operations: {
        read: operation({
          summary: 'Read whether the secret ids are of this cluster alone.',
          input: one,
          output: z.object({ local_secret_ids: z.boolean() }),
          effect: 'none',
          async run({ role_name: name }) {
            const found = await roles.get(name);
            return found === undefined ? {} : { data: { local_secret_ids: found.role.localSecretIds } };
          },
        }),
      },
    },
    ...Object.entries(SINGLE).map(([path, names]) => fieldRoute(roles, path, names)),
  ];
}

/** One field of a role: read, set, and set back to what it is without anybody's saying. */
function fieldRoute(roles: Roles, path: string, names: readonly (keyof Changes & string)[]): Route {
  const member = names[0] ?? '';
  const value = roleOutput.shape[member as keyof typeof roleOutput.shape];
  const read: Operation = operation({
    summary: `Read ${member} of a role.`,
    input: one,
    output: z.object({ [member]: value }),
    effect: 'none',
    async run({ role_name: name }) {
      const found = await roles.get(name);
      if (found === undefined) return {};
      const text: Readonly<Record<string, unknown>> = roleText(found.role);
      return { data: { [member]: text[member] } as never };
    },
  });
  const sent = z.object(Object.fromEntries(names.map((name) => [name, fields[name]])));
  const write = operation({
    summary: `Set ${member} of a role.`,
    input: z.intersection(one, sent),
    output: nothing,
    effect: 'write',
    async run(given) {
      const { role_name: name } = given;
      const change: Changes = Object.fromEntries(names.map((field) => [field, (given as Changes)[field]]));
      if (Object.values(change).every((value) => value == null)) throw refuse(`missing ${member}`);
      await roles.change(name, (before) => changed(there(before, name), change));
      return {};
    },
  });
  const reset = operation({
    summary: `Set ${member} of a role back to what it is by itself.`,
    input: one,
    output: nothing,
    effect: 'write',
    async run({ role_name: name }) {
      await roles.change(name, (before) => changed(there(before, name), defaultOf(member)));
      return {};
    },
  });
  return {
    path: `role/:role_name/${path}`,
    lowercase: ['role_name'],
    operations: { read, write, delete: reset },
  };
}

/** What sets one field back. */
function defaultOf(member: string): Changes {
  const own: Readonly<Record<string, unknown>> = roleText({ ...newRole('', ''), token: NO_TOKEN_FIELDS });
  const value = own[member];
  return { [member]: member === 'secret_id_bound_cidrs' ? [] : value } as Changes;
}

function there(role: Role | undefined, name: string): Role {
  if (role === undefined) throw failure('approle.unknown_role', { name: name.replace(/[^\x20-\x7e]/g, '?') });
  return role;
}

/** The role with the fields laid over it that were sent. @throws Failure approle.invalid, method.token_fields */
function changed(before: Role, given: Changes): Role {
  const role: Role = {
    ...before,
    bindSecretId: given.bind_secret_id ?? before.bindSecretId,
    secretIdCidrs: given.secret_id_bound_cidrs ?? given.bound_cidr_list ?? before.secretIdCidrs,
    secretIdUses: given.secret_id_num_uses ?? before.secretIdUses,
    secretIdTtlMs: given.secret_id_ttl ?? before.secretIdTtlMs,
    token: mergeTokenFields(before.token, given),
  };
  if (!role.secretIdCidrs.every(isCidr)) throw refuse('invalid CIDR blocks');
  if (role.secretIdUses < 0) throw refuse('secret_id_num_uses cannot be negative');
  if (role.secretIdTtlMs < 0) throw refuse('secret_id_ttl cannot be negative');
  // Else the role id, which is no secret, would be all that a login needs.
  if (!role.bindSecretId && role.secretIdCidrs.length === 0 && role.token.boundCidrs.length === 0)
    throw refuse('at least one constraint should be enabled on the role');
  return role;
}

const roleText = (role: Role): z.input<typeof roleOutput> => ({
  bind_secret_id: role.bindSecretId,
  local_secret_ids: role.localSecretIds,
  secret_id_bound_cidrs: role.secretIdCidrs.length === 0 ? null : [...role.secretIdCidrs],
  secret_id_num_uses: role.secretIdUses,
  secret_id_ttl: seconds(role.secretIdTtlMs),
  ...tokenData(role.token),
});

const refuse = (reason: string) => failure('approle.invalid', { reason });
