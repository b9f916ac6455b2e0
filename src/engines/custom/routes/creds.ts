/** `creds/<role>`: a credential of the source. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import type { Credentials } from '../credentials.ts';
import type { Role } from '../role.ts';
import { named } from './shapes.ts';

const NAME_LIMIT = 128;

export const credsRoute = (roles: Shelf<Role>, credentials: Credentials): Route => ({
  path: 'creds/:name',
  operations: {
    read: operation({
      summary: 'Have the source make a credential; it is taken away when its lease ends.',
      input: named,
      output: z.record(z.string(), z.string()),
      effect: 'write',
      async run({ name }, call) {
        const role = await roles.get(name);
        if (role === undefined) throw failure('custom.unknown_role', { name: name.slice(0, NAME_LIMIT) });
        const { data, lease } = await credentials.issue(name, role, call);
        return { data: { ...data }, lease };
      },
    }),
  },
});
