/**
 * Accounts that are made for whoever asks and taken away with their lease. The lease is durable before the account exists, and
 * what it says is enough to take the account away, whether it was made, half made or never.
 */

import { failure, isFailure } from '../../base/errors.ts';
import { globMatches } from '../../base/glob.ts';
import type { Json } from '../../base/json.ts';
import type { Call, LeaseHandler, LeaseInfo, Mount } from '../../plugin/plugin.ts';
import type { Connection, Connections } from './connections.ts';
import type { Values } from './kinds/kind.ts';
import type { Role, Shelf } from './store.ts';
import { compileTemplate } from './username.ts';

/** The account may not end before its lease does, which is counted from a little earlier. */
const GRACE_MS = 5000;

/** What a lease remembers. `endsAt`: beyond it no renewal goes, in milliseconds since the epoch. */
interface State {
  readonly role: string;
  readonly db: string;
  readonly username: string;
  readonly revocation: readonly string[];
  readonly renewal: readonly string[];
  readonly ttlMs: number;
  readonly endsAt: number;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly lease: LeaseInfo;
}

/** @throws Failure database.not_allowed */
export function checkAllowed(allowed: readonly string[], role: string): void {
  if (!allowed.some((glob) => globMatches(glob, role))) throw failure('database.not_allowed', { name: role });
}

/** Makes an account. @throws Failure database.* */
export async function makeAccount(
  mount: Mount,
  connections: Connections,
  roleName: string,
  role: Role,
  call: Call,
): Promise<Credentials> {
  const connection = await connections.get(role.db);
  checkAllowed(connection.config.allowedRoles, roleName);
  // A role may have been written before its connection, when nobody knew what its statements had to be.
  connection.kind.check('creation', role.creation);
  const now = mount.clock.now();
  const username = compileTemplate(connection.config.usernameTemplate || connection.kind.usernameTemplate)({
    displayName: call.caller?.displayName ?? '',
    roleName,
    now,
  });
  await checkFree(connection, username);
  const password = await mount.password(connection.config.passwordPolicy || undefined);

  const limits = mount.ttl();
  const maxTtlMs = Math.min(role.maxTtlMs || limits.maxMs, limits.maxMs);
  const ttlMs = Math.min(role.defaultTtlMs || limits.defaultMs, maxTtlMs);
  const { revocation, renewal, db } = role;
  const state: State = { role: roleName, db, username, revocation, renewal, ttlMs, endsAt: now + maxTtlMs };
  const lease = await call.reserve('creds', state as unknown as Json, { ttlMs, maxTtlMs });
  const values = { ...accountValues(username, now + lease.durationMs), password };
  try {
    await connection.transaction((query) =>
      connection.kind.perform(query, 'creation', role.creation, values),
    );
    // A database that took longer than the lease lives: nobody would come to take the account away.
    if (mount.clock.now() >= now + lease.durationMs) throw failure('database.too_late');
  } catch (error) {
    await undo(mount, connection, role, state, values);
    throw error;
  }
  return { username, password, lease };
}

/**
 * A username_template with nothing random in it may make a name that is in use. To fail only at its creation would be too late:
 * what is undone then is the account of somebody else. @throws Failure database.taken
 */
async function checkFree(connection: Connection, username: string): Promise<void> {
  const isTaken = await connection
    .transaction((query) => connection.kind.exists(query, username))
    .catch((error: unknown) => {
      // Who may make accounts need not be allowed to look at them.
      if (isFailure(error, 'database.failed')) return false;
      throw error;
    });
  if (isTaken) throw failure('database.taken', { name: username });
}

/** Nobody will have the password: the account, if there is one, goes at once. Where that fails too, the lease sees to it. */
async function undo(
  mount: Mount,
  connection: Connection,
  role: Role,
  state: State,
  values: Values,
): Promise<void> {
  try {
    if (role.rollback.length > 0)
      await connection.transaction((query) =>
        connection.kind.perform(query, 'rollback', role.rollback, values),
      );
    else await takeAway(connection, state);
  } catch (error) {
    mount.log.warn('an account that was not wholly made could not be taken away; its lease will try again', {
      role: state.role,
      ...(isFailure(error) ? { code: error.code } : {}),
    });
  }
}

async function takeAway(connection: Connection, { username, revocation }: State): Promise<void> {
  if (revocation.length > 0) {
    const values = { name: username, username };
    await connection.transaction((query) => connection.kind.perform(query, 'revocation', revocation, values));
    return;
  }
  // Apart, so that nobody logs in any more even where something else keeps the account from being dropped.
  await connection.transaction((query) => connection.kind.shut(query, username));
  await connection.transaction((query) => connection.kind.drop(query, username));
}

export function credentialLeases(mount: Mount, connections: Connections, roles: Shelf<Role>): LeaseHandler {
  return {
    async renew(given, incrementMs) {
      const state = given as unknown as State;
      const now = mount.clock.now();
      const asked = incrementMs > 0 ? incrementMs : state.ttlMs;
      const granted = Math.max(1, Math.min(asked, state.endsAt - now));
      const connection = await connections.get(state.db);
      const renewal = (await roles.get(state.role))?.renewal ?? state.renewal;
      const values = accountValues(state.username, now + granted);
      await connection.transaction((query) => connection.kind.perform(query, 'renewal', renewal, values));
      return granted;
    },
    async revoke(given) {
      const state = given as unknown as State;
      const connection = await connections.get(state.db);
      const role = await roles.get(state.role);
      await takeAway(connection, role === undefined ? state : { ...state, revocation: role.revocation });
    },
  };
}

function accountValues(username: string, endsAt: number) {
  return { name: username, username, expiration: timeText(endsAt + GRACE_MS) };
}

/** A time as statements take it: "2006-01-02 15:04:05-0700", in UTC. */
export const timeText = (at: number): string =>
  `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')}+0000`;
