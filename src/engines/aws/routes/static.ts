/** `static-roles` and `static-creds`: IAM users that exist already, with access keys that change. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { duration } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { listing, named, nothing, text } from '../fields.ts';
import { checkedName } from '../role.ts';
import type { StaticKeys, StaticRole } from '../static.ts';

/** As IAM has it: it becomes part of messages too. */
const USERNAME = /^[\w+=,.@-]{1,64}$/;
/** What upstream has and this engine has not. */
const UNBUILT = ['assume_role_arn', 'assume_role_session_name', 'external_id'] as const;

const output = z.object({
  id: z.string(),
  name: z.string(),
  rotation_period: z.number(),
  username: z.string(),
});

export const staticRoutes = (keys: StaticKeys): Route[] => [
  listing('static-roles', 'List the users whose access keys are rotated.', () => keys.roles.names()),
  {
    path: 'static-roles/:name',
    exists: async ({ name = '' }) => (await keys.roles.get(name)) !== undefined,
    operations: {
      read: operation({
        summary: 'Read how a user is rotated; its key is at static-creds.',
        input: named,
        output,
        effect: 'none',
        async run({ name }) {
          const role = await keys.roles.get(name);
          return role === undefined ? {} : { data: shown(name, role) };
        },
      }),
      write: operation({
        summary: 'Take over a user, who gets a new access key at once, or change how it is rotated.',
        input: named.extend({
          username: text(256),
          rotation_period: duration().nullish(),
          assume_role_arn: text(2048),
          assume_role_session_name: text(256),
          external_id: text(1224),
        }),
        output,
        effect: 'write',
        async run({ name, ...given }) {
          const stray = UNBUILT.find((field) => given[field]);
          if (stray !== undefined)
            throw failure('aws.request', {
              reason: `${stray} is not known to this server, which rotates users of its own account alone`,
            });
          const username = given.username ?? undefined;
          if (username !== undefined && !USERNAME.test(username))
            throw failure('aws.request', { reason: 'username is no name of an IAM user' });
          const role = await keys.save(checkedName(name), {
            username,
            periodMs: given.rotation_period ?? undefined,
          });
          return { data: shown(name, role) };
        },
      }),
      delete: operation({
        summary: 'Let go of a user: it stays, without the access key that it was given here.',
        input: named,
        output: nothing,
        effect: 'write',
        async run({ name }) {
          await keys.delete(name);
          return {};
        },
      }),
    },
  },
  {
    path: 'static-creds/:name',
    operations: {
      read: operation({
        summary: 'Read the access key of a user.',
        input: named,
        output: z.object({ access_key: z.string(), secret_key: z.string() }),
        effect: 'none',
        async run({ name }) {
          const role = await keys.roles.get(name);
          if (role === undefined) return {};
          return { data: { access_key: role.accessKey, secret_key: role.secretKey } };
        },
      }),
    },
  },
];

const shown = (name: string, { id, username, periodMs }: StaticRole): z.input<typeof output> => ({
  id,
  name,
  rotation_period: seconds(periodMs),
  username,
});
