/** roles and creds: what accounts are made of, and the accounts. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { duration } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import type { Connections } from '../connections.ts';
import { makeAccount } from '../dynamic.ts';
import { checkedSpan, named, nothing, statements } from '../fields.ts';
import type { DatabaseKind } from '../kinds/kind.ts';
import { checkedName, type Role, type Shelf } from '../store.ts';
import { doing, reading } from './common.ts';

const input = named.extend({
  db_name: z.string().max(128).nullish(),
  creation_statements: statements().nullish(),
  revocation_statements: statements().nullish(),
  rollback_statements: statements().nullish(),
  renew_statements: statements().nullish(),
  default_ttl: duration().nullish(),
  max_ttl: duration().nullish(),
  credential_type: z.string().max(64).nullish(),
});
type Given = z.output<typeof input>;

const output = z.object({
  db_name: z.string(),
  creation_statements: z.array(z.string()),
  revocation_statements: z.array(z.string()),
  rollback_statements: z.array(z.string()),
  renew_statements: z.array(z.string()),
  default_ttl: z.number(),
  max_ttl: z.number(),
  credential_type: z.string(),
});

const EMPTY: Role = {
  db: '',
  creation: [],
  revocation: [],
  rollback: [],
  renewal: [],
  defaultTtlMs: 0,
  maxTtlMs: 0,
};

export function roleRoutes(mount: Mount, connections: Connections, roles: Shelf<Role>): Route[] {
  return [
    listing('roles', 'List the roles.', roles),
    {
      path: 'roles/:name',
      exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
      operations: {
        read: reading('Read a role.', roles, output, shown),
        write: operation({
          summary: 'Make or change a role: how its accounts are made and taken away, and how long they live.',
          input,
          output: nothing,
          effect: 'write',
          async run(given) {
            const name = checkedName(given.name);
            const found = await roles.find(name);
            const role = merged(found?.value ?? EMPTY, given);
            checkStatements(role, await connections.kind(role.db));
            await roles.put(name, role, found?.revision ?? 0);
            return {};
          },
        }),
        delete: doing('Delete a role; accounts that it made live on until their leases end.', (name) =>
          roles.delete(name),
        ),
      },
    },
    {
      path: 'creds/:name',
      operations: {
        read: operation({
          summary: 'Make an account; it is taken away when its lease ends.',
          input: named,
          output: z.object({ username: z.string(), password: z.string() }),
          effect: 'write',
          async run({ name }, call) {
            const role = await roles.get(name);
            if (role === undefined) throw failure('database.unknown_role', { name: name.slice(0, 128) });
            const { username, password, lease } = await makeAccount(mount, connections, name, role, call);
            return { data: { username, password }, lease };
          },
        }),
      },
    },
  ];
}

/** @param kind absent where the connection is not there yet: accounts are refused then */
function checkStatements(role: Role, kind: DatabaseKind | undefined): void {
  kind?.check('creation', role.creation);
  kind?.check('revocation', role.revocation);
  kind?.check('rollback', role.rollback);
  kind?.check('renewal', role.renewal);
}

/** @throws Failure database.role */
function merged(before: Role, given: Given): Role {
  if ((given.credential_type || 'password') !== 'password') throw bad('credential_type must be "password"');
  const role: Role = {
    db: given.db_name ?? before.db,
    creation: given.creation_statements ?? before.creation,
    revocation: given.revocation_statements ?? before.revocation,
    rollback: given.rollback_statements ?? before.rollback,
    renewal: given.renew_statements ?? before.renewal,
    defaultTtlMs: checkedSpan(given.default_ttl ?? before.defaultTtlMs, 'default_ttl'),
    maxTtlMs: checkedSpan(given.max_ttl ?? before.maxTtlMs, 'max_ttl'),
  };
  if (role.db === '') throw bad('empty database name attribute');
  if (role.maxTtlMs > 0 && role.defaultTtlMs > role.maxTtlMs)
    throw bad('default_ttl must not be longer than max_ttl');
  return role;
}

const shown = (role: Role): z.input<typeof output> => ({
  db_name: role.db,
  creation_statements: [...role.creation],
  revocation_statements: [...role.revocation],
  rollback_statements: [...role.rollback],
  renew_statements: [...role.renewal],
  default_ttl: seconds(role.defaultTtlMs),
  max_ttl: seconds(role.maxTtlMs),
  credential_type: 'password',
});

const bad = (reason: string) => failure('database.role', { reason });
