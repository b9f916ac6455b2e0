/**
 * Redis and Valkey: an account is a user with ACL rules. Whatever is changed is saved at once where the server keeps its users
 * in a file: with a restart, an account that was taken away would be there again otherwise, and a new password would not.
 */

import { failure } from '../../../base/errors.ts';
import type { Query } from '../driver.ts';
import { parseRedisAddress } from '../target-redis.ts';
import { listOf, unpacked } from '../texts.ts';
import type { DatabaseKind } from './kind.ts';

/** May read every key. */
const USUAL_RULES = ['~*', '+@read'];

/** Upstream cuts at 64, 64 and then 100 characters, which may leave nothing of what makes a name the only one. */
const TEMPLATE =
  '{{ printf "V_%s_%s_%s_%s" (.DisplayName | truncate 32) (.RoleName | truncate 32) (random 20) (unix_time) | truncate 100 | uppercase }}';

const rulesOf = (written: readonly string[]): string[] =>
  unpacked(written).flatMap((text) => listOf(text) ?? [text.trim()]);

const exists = async (query: Query, username: string): Promise<boolean> =>
  (await query('ACL GETUSER', [username])).length > 0;

/** Where users are kept in no file, or saving is not for us, there is nothing to save. */
async function save(query: Query): Promise<void> {
  await query('ACL SAVE').catch((error: unknown) => {
    const text = error instanceof Error ? error.message : '';
    if (!/not configured to use an ACL file|^NOPERM|unknown (?:sub)?command/i.test(text)) throw error;
  });
}

async function drop(query: Query, username: string): Promise<void> {
  // Ends the connections of the user as well.
  await query('ACL DELUSER', [username]);
  await save(query);
}

export const REDIS: DatabaseKind = {
  usernameTemplate: TEMPLATE,
  address: ({ url, host, port, username, password, useTls, insecureTls }) =>
    parseRedisAddress({ url, host, port, username, password, tls: useTls, insecureTls }),

  check(purpose, written) {
    const rules = rulesOf(written);
    if (purpose !== 'creation' && rules.length > 0)
      throw failure('database.statements', {
        reason: 'Redis takes creation_statements alone, a list of ACL rules',
      });
    if (rules.some((rule) => rule === '' || rule.includes('\0') || rule.includes('{{')))
      throw failure('database.statements', {
        reason: 'each ACL rule is a text such as "~app:*" or "+@read", without placeholders',
      });
  },

  async probe(query) {
    await query('PING');
  },
  exists,

  async perform(query, purpose, written, { username, password = '' }) {
    if (purpose === 'revocation' || purpose === 'rollback') await drop(query, username);
    if (purpose === 'creation') {
      const rules = rulesOf(written);
      // Rules come before the password, so that none of them leaves an account with another, or without any.
      await query('ACL SETUSER', [
        username,
        'reset',
        ...(rules.length > 0 ? rules : USUAL_RULES),
        'resetpass',
        'on',
        `>${password}`,
      ]);
      await save(query);
    }
    if (purpose === 'rotation') {
      // SETUSER would make an account that is not there.
      if (!(await exists(query, username)))
        throw failure('database.failed', { reason: 'there is no such user' });
      await query('ACL SETUSER', [username, 'resetpass', `>${password}`]);
      await save(query);
    }
  },

  async shut(query, username) {
    if (await exists(query, username)) await query('ACL SETUSER', [username, 'off']);
  },
  drop,
};
