/** static-roles, static-creds and rotate-role: accounts that exist already, with passwords that change. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { duration } from '../../../base/schema.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { checkedStatements, keys, named, nothing, statements } from '../fields.ts';
import type { Rotation } from '../rotation.ts';
import { checkedName, type Shelf, type StaticRole } from '../store.ts';

const SHORTEST_PERIOD_MS = 5000;

const input = named.extend({
  db_name: z.string().max(128).nullish(),
  username: z.string().max(256).nullish(),
  rotation_period: duration().nullish(),
  rotation_schedule: z.string().max(256).nullish(),
  rotation_statements: statements().nullish(),
  credential_type: z.string().max(64).nullish(),
});
type Given = z.output<typeof input>;

const output = z.object({
  db_name: z.string(),
  username: z.string(),
  rotation_period: z.number(),
  rotation_statements: z.array(z.string()),
  credential_type: z.string(),
  last_vault_rotation: z.string(),
});
const credentials = z.object({
  username: z.string(),
  password: z.string(),
  ttl: z.number(),
  rotation_period: z.number(),
  last_vault_rotation: z.string(),
});

const UNSURE =
  'A rotation was cut short and the database does not answer: the password may be another by now.';

export function staticRoutes(mount: Mount, roles: Shelf<StaticRole>, rotation: Rotation): Route[] {
  return [
    {
      path: 'static-roles',
      operations: {
        list: operation({
          summary: 'List the accounts whose passwords are rotated.',
          input: nothing,
          output: keys,
          effect: 'none',
          async run() {
            const names = await roles.names();
            return names.length === 0 ? {} : { data: { keys: names } };
          },
        }),
      },
    },
    {
      path: 'static-roles/:name',
      exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read how an account is rotated; its password is at static-creds.',
          input: named,
          output,
          effect: 'none',
          async run({ name }) {
            const role = await roles.get(name);
            return role === undefined ? {} : { data: shown(role) };
          },
        }),
        write: operation({
          summary: 'Take over an account, which gets a new password at once, or change how it is rotated.',
          input,
          output: nothing,
          effect: 'write',
          async run(given) {
            await rotation.save(checkedName(given.name), (before) => merged(before, given));
            return {};
          },
        }),
        delete: operation({
          summary: 'Let go of an account: it stays, with the password that it has.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await rotation.delete(name);
            return {};
          },
        }),
      },
    },
    {
      path: 'static-creds/:name',
      operations: {
        read: operation({
          summary: 'Read the password of an account, and how long it will hold.',
          input: named,
          output: credentials,
          effect: 'none',
          async run({ name }) {
            const { role, unsure } = await rotation.current(name);
            const left = role.rotatedAt + role.periodMs - mount.clock.now();
            const data = {
              username: role.username,
              password: role.password,
              ttl: Math.max(0, seconds(left)),
              rotation_period: seconds(role.periodMs),
              last_vault_rotation: new Date(role.rotatedAt).toISOString(),
            };
            return { data, ...(unsure ? { warnings: [UNSURE] } : {}) };
          },
        }),
      },
    },
    {
      path: 'rotate-role/:name',
      operations: {
        write: operation({
          summary: 'Give an account a new password now.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await rotation.rotate(name);
            return {};
          },
        }),
      },
    },
  ];
}

/** @throws Failure database.role, database.statements */
function merged(before: StaticRole | undefined, given: Given): StaticRole {
  if ((given.credential_type || 'password') !== 'password') throw bad('credential_type must be "password"');
  if (given.rotation_schedule) throw bad('rotation_schedule is not taken here; set rotation_period');
  const username = given.username ?? before?.username ?? '';
  const db = given.db_name ?? before?.db ?? '';
  const periodMs = given.rotation_period ?? before?.periodMs ?? 0;
  if (db === '') throw bad('empty database name attribute');
  if (username === '') throw bad('username is a required field to create a static account');
  if (before !== undefined && (before.username !== username || before.db !== db))
    throw bad('cannot update static account username or db_name');
  if (periodMs < SHORTEST_PERIOD_MS) throw bad('rotation_period must be 5 seconds or more');
  return {
    password: '',
    rotatedAt: NEVER,
    ...before,
    db,
    username,
    periodMs,
    statements: checkedStatements(given.rotation_statements ?? before?.statements ?? []),
  };
}

/** A role that was never rotated. */
const NEVER = 0;

const shown = (role: StaticRole): z.input<typeof output> => ({
  db_name: role.db,
  username: role.username,
  rotation_period: seconds(role.periodMs),
  rotation_statements: [...role.statements],
  credential_type: 'password',
  last_vault_rotation: new Date(role.rotatedAt).toISOString(),
});

const bad = (reason: string) => failure('database.role', { reason });
