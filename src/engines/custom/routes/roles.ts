/** `roles/<name>`: the requests that make, prolong and take away a credential. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { stringify } from '../../../base/json.ts';
import { duration, integer } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import { checkedName, checkRole, type Role } from '../role.ts';
import { METHODS, type Step } from '../step.ts';
import { named, nothing, orJsonText, texts } from './shapes.ts';

const LIMIT = 64 * 1024;
const stepFields = {
  method: z.enum(METHODS),
  path: z.string().max(2048),
  headers: z.record(z.string(), z.string()).optional(),
  /** JSON as it is, or a text of JSON. */
  body: z.union([z.string().max(LIMIT), z.record(z.string(), z.unknown())]).optional(),
  expect: z.array(integer()).max(16).optional(),
};
// Strict: a misspelt member would silently make another request than was meant.
const step = z.strictObject(stepFields);
const creation = z.strictObject({ ...stepFields, response: z.record(z.string(), z.string()).optional() });

const input = named.extend({
  create: orJsonText(creation).nullish(),
  renew: orJsonText(step).nullish(),
  revoke: orJsonText(step).nullish(),
  fields: texts().nullish(),
  username_template: z.string().max(4096).nullish(),
  password_policy: z.string().max(128).nullish(),
  default_ttl: duration().nullish(),
  max_ttl: duration().nullish(),
});
type Given = z.output<typeof input>;

const shownStep = {
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  expect: z.array(z.number()),
};
const output = z.object({
  create: z.object({ ...shownStep, response: z.record(z.string(), z.string()) }),
  renew: z.object(shownStep).nullable(),
  revoke: z.object(shownStep),
  fields: z.record(z.string(), z.string()),
  username_template: z.string(),
  password_policy: z.string(),
  default_ttl: z.number(),
  max_ttl: z.number(),
});

export function roleRoutes(roles: Shelf<Role>): Route[] {
  return [
    listing('roles', 'List the roles.', roles),
    {
      path: 'roles/:name',
      exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read a role.',
          input: named,
          output,
          effect: 'none',
          async run({ name }) {
            const role = await roles.get(name);
            return role === undefined ? {} : { data: shown(role) };
          },
        }),
        write: operation({
          summary:
            'Make or change a role; what is left out stays as it is, a request is replaced as a whole.',
          input,
          output: nothing,
          effect: 'write',
          async run({ name, ...given }) {
            const found = await roles.find(checkedName(name));
            const role = merged(found?.value, given);
            checkRole(role);
            await roles.put(name, role, found?.revision ?? 0);
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a role; credentials that it gave live on until their leases end.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await roles.delete(name);
            return {};
          },
        }),
      },
    },
  ];
}

/** @throws Failure custom.role */
function merged(before: Role | undefined, given: Omit<Given, 'name'>): Role {
  const create = given.create == null ? before?.create : stepOf(given.create);
  const renew = given.renew == null ? before?.renew : stepOf(given.renew);
  const revoke = given.revoke == null ? before?.revoke : stepOf(given.revoke);
  if (create === undefined) throw bad('create is required: the request that makes a credential');
  if (revoke === undefined)
    throw bad('revoke is required: the request that takes a credential away by its {{key}}');
  return {
    create,
    response: given.create == null ? (before?.response ?? {}) : (given.create.response ?? {}),
    ...(renew === undefined ? {} : { renew }),
    revoke,
    fields: given.fields ?? before?.fields ?? {},
    usernameTemplate: given.username_template ?? before?.usernameTemplate ?? '',
    passwordPolicy: given.password_policy ?? before?.passwordPolicy ?? '',
    defaultTtlMs: given.default_ttl ?? before?.defaultTtlMs ?? 0,
    maxTtlMs: given.max_ttl ?? before?.maxTtlMs ?? 0,
  };
}

const stepOf = ({ method, path, headers, body, expect }: z.output<typeof step>): Step => ({
  method,
  path,
  headers: headers ?? {},
  body: typeof body === 'object' ? stringify(body) : (body ?? ''),
  expect: expect ?? [],
});

const shownOf = ({ method, path, headers, body, expect }: Step) => ({
  method,
  path,
  headers: { ...headers },
  body,
  expect: [...expect],
});

const shown = (role: Role): z.input<typeof output> => ({
  create: { ...shownOf(role.create), response: { ...role.response } },
  renew: role.renew === undefined ? null : shownOf(role.renew),
  revoke: shownOf(role.revoke),
  fields: { ...role.fields },
  username_template: role.usernameTemplate,
  password_policy: role.passwordPolicy,
  default_ttl: seconds(role.defaultTtlMs),
  max_ttl: seconds(role.maxTtlMs),
});

const bad = (reason: string) => failure('custom.role', { reason });
