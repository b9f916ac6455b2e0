/** `metadata/<path>` and `detailed-metadata/<path>`: what is known of secrets beside their values, and their names. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import type { RawJson } from '../../../base/json.ts';
import { duration, flag, integer, rawJson } from '../../../base/schema.ts';
import { folderReply } from '../../../plugin/listing.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { folderOf, path, writable } from '../../keyspace.ts';
import { announce } from '../announce.ts';
import { listAnswer, metadataAnswer, metadataData, nothing, WRONG_PATH } from '../answers.ts';
import { boundCustom, parseCustom, patchCustom } from '../custom.ts';
import { isThere, readSecret } from '../read.ts';
import type { Config, Secret } from '../secret.ts';
import type { SecretStore } from '../store.ts';

const fields = z.object({
  path,
  max_versions: integer().pipe(z.number().min(0)).nullish(),
  cas_required: flag().nullish(),
  delete_version_after: duration().nullish(),
  custom_metadata: rawJson().optional(),
});
type Fields = z.output<typeof fields>;

const list = z.object({ path, after: z.string().optional(), limit: integer().optional() });

/** A page as it was asked for; a limit of nothing or less is none. */
const pageOf = ({ after, limit }: z.output<typeof list>) => ({
  ...(after === undefined ? {} : { after }),
  ...(limit === undefined || limit <= 0 ? {} : { limit }),
});

export function metadataRoutes(mount: Mount, store: SecretStore): Route[] {
  const now = (): number => mount.clock.now();

  /** Changes what is known of a secret as `rule` says; where it gives nothing, there is nothing to change. */
  const change = async (
    input: Fields,
    act: 'metadata-write' | 'metadata-patch',
    rule: (before: Secret | undefined, custom: ReturnType<typeof parsed>) => Secret | undefined,
  ): Promise<Reply<Record<string, never>>> => {
    if (input.path === '') return WRONG_PATH;
    const key = writable(input.path);
    const config = await store.config();
    const custom = parsed(input.custom_metadata);
    const { result, revision } = await store.change(key, (before) => {
      const changed = rule(before, custom);
      if (changed === undefined) return { result: undefined };
      const secret = { ...changed, updated: now() };
      return { secret, result: secret };
    });
    if (result === undefined) throw failure('kv.nothing_to_patch');
    announce(mount, act, key, result, revision);
    return warned(input, config);
  };

  const metadata: Route = {
    path: 'metadata/*path',
    exists: ({ path: given = '' }) => isThere(store, given),
    operations: {
      read: operation({
        summary: 'Read what is known of a secret: its versions, limits and custom metadata.',
        input: z.object({ path }),
        output: metadataAnswer,
        effect: 'none',
        async run({ path: given }) {
          if (given === '') return WRONG_PATH;
          const secret = await readSecret(store, given);
          return secret === undefined ? {} : { data: metadataData(secret) };
        },
      }),

      list: operation({
        summary: 'List the names in a folder; folders end in "/".',
        input: list,
        output: listAnswer,
        effect: 'none',
        run: ({ path: given, ...asked }) => folderReply((page) => store.list(folderOf(given), page), asked),
      }),

      write: operation({
        summary: 'Set limits and custom metadata of a secret; fields left out stay as they are.',
        input: fields,
        output: nothing,
        effect: 'write',
        raw: ['custom_metadata'],
        async run({ path: given, ...sent }) {
          // Upstream makes nothing of a write that says nothing: no empty secret, no event.
          if (given !== '' && Object.values(sent).every((field) => field === undefined)) return {};
          return change({ path: given, ...sent }, 'metadata-write', (before = store.create(), custom) => ({
            ...withFields(before, sent),
            ...(custom === undefined ? {} : { custom: custom && boundCustom(custom) }),
          }));
        },
      }),

      patch: operation({
        summary:
          'Change limits and custom metadata by a JSON merge patch; null puts a field back to its default.',
        input: fields,
        output: nothing,
        effect: 'write',
        raw: ['custom_metadata'],
        run: (input) =>
          change(
            input,
            'metadata-patch',
            (before, custom) =>
              before && {
                ...withFields(before, input, { maxVersions: 0, casRequired: false, deleteAfter: 0 }),
                ...(custom === undefined ? {} : { custom: patchCustom(before.custom, custom) }),
              },
          ),
      }),

      delete: operation({
        summary: 'Forget a secret: its metadata and every version.',
        input: z.object({ path }),
        output: nothing,
        effect: 'write',
        async run({ path: given }): Promise<Reply<Record<string, never>>> {
          if (given === '') return WRONG_PATH;
          const key = writable(given);
          const { result, revision } = await store.change(key, (before) =>
            before === undefined ? { result: undefined } : { secret: null, result: before },
          );
          announce(mount, 'metadata-delete', key, result, revision);
          return {};
        },
      }),
    },
  };

  const detailed: Route = {
    path: 'detailed-metadata/*path',
    operations: {
      list: operation({
        summary: 'List the names in a folder with what is known of each secret.',
        input: list,
        output: listAnswer,
        effect: 'none',
        async run(input) {
          const folder = folderOf(input.path);
          const keys = await store.list(folder, pageOf(input));
          if (keys.length === 0) return {};
          const known: [string, z.input<typeof metadataAnswer>][] = [];
          for (const key of keys) {
            const secret = key.endsWith('/') ? undefined : await store.secret(folder + key);
            if (secret !== undefined) known.push([key, metadataData(secret)]);
          }
          return { data: { keys, key_info: Object.fromEntries(known) } };
        },
      }),
    },
  };

  return [metadata, detailed];
}

const parsed = (raw: RawJson | undefined) => (raw === undefined ? undefined : parseCustom(raw));

/** The secret with the fields that were sent. A null field takes `reset`, or is passed over where there is none. */
function withFields(secret: Secret, given: Omit<Fields, 'path'>, reset?: Config): Secret {
  const pick = <T>(sent: T | null | undefined, before: T, initial: T | undefined): T =>
    sent === undefined ? before : (sent ?? initial ?? before);
  return {
    ...secret,
    maxVersions: pick(given.max_versions, secret.maxVersions, reset?.maxVersions),
    casRequired: pick(given.cas_required, secret.casRequired, reset?.casRequired),
    deleteAfter: pick(given.delete_version_after, secret.deleteAfter, reset?.deleteAfter),
  };
}

function warned(given: Fields, config: Config): Reply<Record<string, never>> {
  if (given.cas_required !== false || !config.casRequired) return {};
  return { warnings: ['"cas_required" set to false, but is mandated by backend config'] };
}
