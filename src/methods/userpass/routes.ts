/** `users/…`: who there is, and what they get. Neither password nor hash is ever read back. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { commaList } from '../../base/schema.ts';
import { listing } from '../../plugin/listing.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import type { Shelf } from '../../plugin/shelf.ts';
import { mergeTokenFields, NO_TOKEN_FIELDS, tokenData, tokenInput, tokenOutput } from '../token-fields.ts';
import { checkHash, hashPassword } from './password.ts';
import type { User } from './user.ts';

const one = z.object({ username: z.string().max(512) });
const nothing = z.object({});
const secretInput = {
  password: z.string().max(1024).nullish(),
  password_hash: z.string().max(128).nullish(),
};

export function userRoutes(users: Shelf<User>): Route[] {
  const exists: Route['exists'] = async ({ username = '' }) => (await users.get(username)) !== undefined;
  return [
    listing('users', 'List the users.', users),
    {
      path: 'users/:username',
      lowercase: ['username'],
      exists,
      operations: {
        read: operation({
          summary: 'Read what logins of a user get; never the password.',
          input: one,
          output: z.object(tokenOutput),
          effect: 'none',
          async run({ username }) {
            const user = await users.get(username);
            return user === undefined ? {} : { data: tokenData(user.token) };
          },
        }),
        write: operation({
          summary: 'Make or change a user; fields left out stay as they are.',
          input: one.extend({ ...secretInput, ...tokenInput }),
          output: nothing,
          effect: 'write',
          async run({ username, ...given }) {
            const secret = await hashOf(given);
            await users.change(username, (before) => {
              const passwordHash = secret ?? before?.passwordHash;
              if (passwordHash === undefined) throw failure('userpass.missing_password');
              return { passwordHash, token: mergeTokenFields(before?.token ?? NO_TOKEN_FIELDS, given) };
            });
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a user; tokens that are out can no longer be renewed.',
          input: one,
          output: nothing,
          effect: 'write',
          async run({ username }) {
            await users.delete(username);
            return {};
          },
        }),
      },
    },
    {
      path: 'users/:username/password',
      lowercase: ['username'],
      operations: {
        write: operation({
          summary: 'Change the password of a user.',
          input: one.extend(secretInput),
          output: nothing,
          effect: 'write',
          async run({ username, ...given }) {
            const passwordHash = await hashOf(given);
            if (passwordHash === undefined) throw failure('userpass.missing_password');
            await users.change(username, (before) => ({ ...known(before), passwordHash }));
            return {};
          },
        }),
      },
    },
    {
      path: 'users/:username/policies',
      lowercase: ['username'],
      operations: {
        write: operation({
          summary: 'Change the policies of a user.',
          input: one.extend({ policies: commaList().nullish(), token_policies: commaList().nullish() }),
          output: nothing,
          effect: 'write',
          async run({ username, ...given }) {
            await users.change(username, (before) => {
              const user = known(before);
              return { ...user, token: mergeTokenFields(user.token, given) };
            });
            return {};
          },
        }),
      },
    },
  ];
}

function known(user: User | undefined): User {
  if (user === undefined) throw failure('userpass.unknown_user');
  return user;
}

/** The hash of what was sent, or undefined where nothing was. */
async function hashOf(given: {
  password?: string | null | undefined;
  password_hash?: string | null | undefined;
}): Promise<string | undefined> {
  if (given.password && given.password_hash)
    throw failure('userpass.invalid', { reason: '"password" and "password_hash" cannot be given together' });
  if (given.password_hash) return checkHash(given.password_hash);
  return given.password ? hashPassword(given.password) : undefined;
}
