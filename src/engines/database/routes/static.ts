/** static-roles, static-creds and rotate-role: accounts that exist already, with passwords that change. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { duration } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { named, nothing, statements } from '../fields.ts';
import type { Rotation } from '../rotation.ts';
import { checkedName, type Shelf, type StaticRole } from '../store.ts';
import { nextRotation, readSchedule, type Timing } from '../timing.ts';
import { doing, reading } from './common.ts';

const SHORTEST_PERIOD_MS = 5000;
const SHORTEST_WINDOW_MS = 3_600_000;

const input = named.extend({
  db_name: z.string().max(128).nullish(),
  username: z.string().max(256).nullish(),
  rotation_period: duration().nullish(),
  rotation_schedule: z.string().max(256).nullish(),
  rotation_window: duration().nullish(),
  rotation_statements: statements().nullish(),
  credential_type: z.string().max(64).nullish(),
});
type Given = z.output<typeof input>;

/** A role has a period, or a schedule and its window. */
const timing = {
  rotation_period: z.number().optional(),
  rotation_schedule: z.string().optional(),
  rotation_window: z.number().optional(),
};
const output = z.object({
  db_name: z.string(),
  username: z.string(),
  ...timing,
  rotation_statements: z.array(z.string()),
  credential_type: z.string(),
  last_vault_rotation: z.string(),
});
const credentials = z.object({
  username: z.string(),
  password: z.string(),
  ttl: z.number(),
  ...timing,
  last_vault_rotation: z.string(),
});

const UNSURE =
  'A rotation was cut short and the database does not answer: the password may be another by now.';

export function staticRoutes(mount: Mount, roles: Shelf<StaticRole>, rotation: Rotation): Route[] {
  return [
    listing('static-roles', 'List the accounts whose passwords are rotated.', roles),
    {
      path: 'static-roles/:name',
      exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
      operations: {
        read: reading(
          'Read how an account is rotated; its password is at static-creds.',
          roles,
          output,
          shown,
        ),
        write: operation({
          summary: 'Take over an account, which gets a new password at once, or change how it is rotated.',
          input,
          output: nothing,
          effect: 'write',
          async run(given) {
            const now = mount.clock.now();
            await rotation.save(checkedName(given.name), (before) => merged(before, given, now));
            return {};
          },
        }),
        delete: doing('Let go of an account: it stays, with the password that it has.', (name) =>
          rotation.delete(name),
        ),
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
            const now = mount.clock.now();
            const left = nextRotation(role.timing, role.rotatedAt, now) - now;
            const data = {
              username: role.username,
              password: role.password,
              ttl: Math.max(0, seconds(left)),
              ...shownTiming(role.timing),
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
        write: doing('Give an account a new password now.', async (name) => {
          await rotation.rotate(name);
        }),
      },
    },
  ];
}

/** @throws Failure database.role */
function merged(before: StaticRole | undefined, given: Given, now: number): StaticRole {
  if ((given.credential_type || 'password') !== 'password') throw bad('credential_type must be "password"');
  const username = given.username ?? before?.username ?? '';
  const db = given.db_name ?? before?.db ?? '';
  if (db === '') throw bad('empty database name attribute');
  if (username === '') throw bad('username is a required field to create a static account');
  if (before !== undefined && (before.username !== username || before.db !== db))
    throw bad('cannot update static account username or db_name');
  return {
    password: '',
    rotatedAt: NEVER,
    ...before,
    db,
    username,
    timing: timingOf(before?.timing, given, now),
    statements: given.rotation_statements ?? before?.statements ?? [],
  };
}

/** A role that was never rotated. */
const NEVER = 0;

/** A period takes the place of a schedule, and a schedule that of a period. @throws Failure database.role */
function timingOf(before: Timing | undefined, given: Given, now: number): Timing {
  const period = given.rotation_period ?? undefined;
  const schedule = given.rotation_schedule || undefined;
  const window = given.rotation_window ?? undefined;
  if (period !== undefined && schedule !== undefined)
    throw bad(
      'mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided',
    );
  const old = before !== undefined && 'schedule' in before ? before : undefined;
  if (period !== undefined || (before !== undefined && old === undefined && schedule === undefined)) {
    if (window !== undefined) throw bad('rotation_window is invalid with use of rotation_period');
    const periodMs = period ?? (before !== undefined && 'periodMs' in before ? before.periodMs : 0);
    if (periodMs < SHORTEST_PERIOD_MS) throw bad('rotation_period must be 5 seconds or more');
    return { periodMs };
  }
  const text = schedule ?? old?.schedule;
  if (text === undefined)
    throw bad('one of rotation_schedule or rotation_period must be provided to create a static account');
  if (readSchedule(text) === undefined)
    throw bad('could not parse rotation_schedule: write five fields of cron, in UTC, such as "0 3 * * SAT"');
  if (window !== undefined && window < SHORTEST_WINDOW_MS)
    throw bad('rotation_window must be 3600 seconds or more');
  return {
    schedule: text,
    windowMs: window ?? old?.windowMs ?? 0,
    since: text === old?.schedule ? old.since : now,
  };
}

const shownTiming = (timing: Timing) =>
  'periodMs' in timing
    ? { rotation_period: seconds(timing.periodMs) }
    : { rotation_schedule: timing.schedule, rotation_window: seconds(timing.windowMs) };

const shown = (role: StaticRole): z.input<typeof output> => ({
  db_name: role.db,
  username: role.username,
  ...shownTiming(role.timing),
  rotation_statements: [...role.statements],
  credential_type: 'password',
  last_vault_rotation: new Date(role.rotatedAt).toISOString(),
});

const bad = (reason: string) => failure('database.role', { reason });
