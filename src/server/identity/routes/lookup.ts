/** lookup/entity, lookup/group: by whichever one thing is known. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { IdentityStore } from '../store.ts';
import { entityOutput, groupOutput } from '../texts.ts';
import { entityReply } from './entities.ts';
import { text } from './fields.ts';
import { groupReply } from './groups.ts';

const query = z.object({
  id: text,
  name: text,
  alias_id: text,
  alias_name: text,
  alias_mount_accessor: text,
});

/** What both kinds can be found by. */
interface Finder<T> {
  byId(id: string): Promise<T | undefined>;
  byName(name: string): Promise<T | undefined>;
  byAlias(accessor: string, name: string): Promise<T | undefined>;
  aliasById(id: string): Promise<{ readonly canonicalId: string } | undefined>;
}

/** @throws Failure request.invalid where nothing, too much or half of it is said */
async function found<T>(finder: Finder<T>, asked: z.output<typeof query>): Promise<T | undefined> {
  const refuse = (reason: string) => failure('request.invalid', { reason });
  const { alias_name: aliasName, alias_mount_accessor: accessor } = asked;
  const said = Object.values(asked).filter((value) => value != null).length;
  if (said === 0) throw refuse('query parameter not supplied');
  if (said === 2 && aliasName && accessor) return finder.byAlias(accessor, aliasName);
  if (said > 1) throw refuse('query parameter conflict; please supply distinct set of query parameters');
  if (aliasName || accessor) throw refuse("both 'alias_name' and 'alias_mount_accessor' needs to be set");
  if (asked.id) return finder.byId(asked.id);
  if (asked.name) return finder.byName(asked.name);
  const owned = asked.alias_id ? await finder.aliasById(asked.alias_id) : undefined;
  return owned === undefined ? undefined : finder.byId(owned.canonicalId);
}

export function lookupRoutes(identity: () => IdentityStore): Route[] {
  return [
    {
      path: 'lookup/entity',
      operations: {
        write: operation({
          summary: 'Find an entity by its id, its name or an alias.',
          input: query,
          output: entityOutput,
          effect: 'none',
          run: async (asked) => entityReply(identity(), await found(identity().entities, asked)),
        }),
      },
    },
    {
      path: 'lookup/group',
      operations: {
        write: operation({
          summary: 'Find a group by its id, its name or its alias.',
          input: query,
          output: groupOutput,
          effect: 'none',
          run: async (asked) => groupReply(identity(), await found(identity().groups, asked)),
        }),
      },
    },
  ];
}
