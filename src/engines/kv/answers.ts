/** The shapes in which the HTTP API tells of versioned secrets: field names, times and durations as clients know them. */

import { z } from 'zod';
import { goDuration } from '../../base/duration.ts';
import { rawJson } from '../../base/schema.ts';
import type { Reply } from '../../plugin/plugin.ts';
import { type Config, numbersOf, type Secret, type Version, versionOf } from './secret.ts';

/** RFC3339Nano as Go prints it: UTC, no trailing zeros in the fraction. */
const rfc3339 = (ms: number): string => new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z');

const customMetadata = z.record(z.string(), z.string()).nullable();
const versionFields = {
  created_time: z.string(),
  deletion_time: z.string(),
  destroyed: z.boolean(),
};

export const versionAnswer = z.object({
  ...versionFields,
  custom_metadata: customMetadata,
  version: z.number(),
});
export const dataAnswer = z.union([
  z.object({ data: rawJson().nullable(), metadata: versionAnswer }),
  versionAnswer,
]);
export const subkeysAnswer = z.object({ subkeys: z.unknown(), metadata: versionAnswer });
export const configAnswer = z.object({
  cas_required: z.boolean(),
  delete_version_after: z.string(),
  max_versions: z.number(),
});
export const metadataAnswer = z.object({
  ...configAnswer.shape,
  created_time: z.string(),
  current_version: z.number(),
  custom_metadata: customMetadata,
  oldest_version: z.number(),
  updated_time: z.string(),
  versions: z.record(z.string(), z.object(versionFields)),
});
export const listAnswer = z.object({
  keys: z.array(z.string()),
  key_info: z.record(z.string(), metadataAnswer).optional(),
});
export const nothing = z.object({});

const times = (version: Version) => ({
  created_time: rfc3339(version.created),
  deletion_time: version.deletion === undefined ? '' : rfc3339(version.deletion),
  destroyed: version.destroyed === true,
});

export function versionData(secret: Secret, number: number, version: Version): z.input<typeof versionAnswer> {
  const { created_time, deletion_time, destroyed } = times(version);
  return { created_time, custom_metadata: secret.custom, deletion_time, destroyed, version: number };
}

export const configData = (config: Config): z.input<typeof configAnswer> => ({
  cas_required: config.casRequired,
  delete_version_after: goDuration(config.deleteAfter),
  max_versions: config.maxVersions,
});

export function metadataData(secret: Secret): z.input<typeof metadataAnswer> {
  return {
    cas_required: secret.casRequired,
    created_time: rfc3339(secret.created),
    current_version: secret.current,
    custom_metadata: secret.custom,
    delete_version_after: goDuration(secret.deleteAfter),
    max_versions: secret.maxVersions,
    oldest_version: secret.oldest,
    updated_time: rfc3339(secret.updated),
    versions: Object.fromEntries(
      numbersOf(secret).flatMap((number) => {
        const version = versionOf(secret, number);
        return version === undefined ? [] : [[number, times(version)]];
      }),
    ),
  };
}

/** What a path says that names no endpoint: most often a version 1 path sent to a version 2 mount. */
export const WRONG_PATH: Reply<never> = {
  status: 404,
  warnings: [
    'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
      "If using the Vault CLI, use 'vault kv get' for this operation.",
  ],
};
