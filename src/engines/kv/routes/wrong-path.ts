/** Everything else under a version 2 mount: told apart from "no such secret", with what to do. */

import { z } from 'zod';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { path } from '../../keyspace.ts';
import { nothing, WRONG_PATH } from '../answers.ts';

const wrong = operation({
  summary: 'No endpoint of a versioned mount.',
  input: z.object({ path }),
  output: nothing,
  effect: 'none',
  run: async () => WRONG_PATH,
});

export const wrongPathRoute: Route = {
  path: '*path',
  operations: { read: wrong, list: wrong, write: wrong, patch: wrong, delete: wrong },
};
