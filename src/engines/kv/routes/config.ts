/** `config`: what holds for every secret of the mount. */

import { z } from 'zod';
import { duration, flag, integer } from '../../../base/schema.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { announcePlain } from '../announce.ts';
import { configAnswer, configData, nothing } from '../answers.ts';
import type { SecretStore } from '../store.ts';

export const configRoute = (mount: Mount, store: SecretStore): Route => ({
  path: 'config',
  operations: {
    read: operation({
      summary: 'Read the settings of this mount.',
      input: z.object({}),
      output: configAnswer,
      effect: 'none',
      run: async () => ({ data: configData(await store.config()) }),
    }),
    write: operation({
      summary:
        'Set how many versions are kept, whether writes need check-and-set, and when versions delete themselves.',
      input: z.object({
        max_versions: integer().pipe(z.number().min(0)).nullish(),
        cas_required: flag().nullish(),
        delete_version_after: duration().nullish(),
      }),
      output: nothing,
      effect: 'write',
      async run({ max_versions, cas_required, delete_version_after }) {
        const revision = await store.changeConfig((before) => ({
          maxVersions: max_versions ?? before.maxVersions,
          casRequired: cas_required ?? before.casRequired,
          deleteAfter: delete_version_after ?? before.deleteAfter,
        }));
        announcePlain(mount, 'kv-v2/config-write', 'config', revision);
        return {};
      },
    }),
  },
});
