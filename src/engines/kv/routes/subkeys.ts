/** `subkeys/<path>`: the keys of a secret without their values, for whoever may know the one and not the other. */

import { z } from 'zod';
import { integer } from '../../../base/schema.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { path } from '../../keyspace.ts';
import { parseValue, rawValue } from '../../value.ts';
import { subkeysAnswer, versionData, WRONG_PATH } from '../answers.ts';
import { subkeys } from '../merge.ts';
import { readVersion } from '../read.ts';
import type { SecretStore } from '../store.ts';

export const subkeysRoute = (mount: Mount, store: SecretStore): Route => ({
  path: 'subkeys/*path',
  operations: {
    read: operation({
      summary: 'Read the keys of a secret, every value replaced by null.',
      input: z.object({
        path,
        version: integer().optional(),
        depth: integer().pipe(z.number().min(0)).optional(),
      }),
      output: subkeysAnswer,
      effect: 'none',
      async run({ path: given, version, depth }) {
        if (given === '') return WRONG_PATH;
        const found = await readVersion(store, store.named(given), version ?? 0, mount.clock.now());
        if (found === undefined) return {};
        const metadata = versionData(found.secret, found.number, found.version);
        if (found.value === undefined) return { status: 404, data: { subkeys: null, metadata } };
        return { data: { subkeys: subkeys(parseValue(rawValue(found.value.text)), depth ?? 0), metadata } };
      },
    }),
  },
});
