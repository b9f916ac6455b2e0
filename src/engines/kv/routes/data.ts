/** `data/<path>`: the versions of a secret, read and written. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { integer, rawJson } from '../../../base/schema.ts';
import { after } from '../../../base/soon.ts';
import { Lasting, type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { path, writable } from '../../keyspace.ts';
import { parseValue, rawValue, sentText, valueText } from '../../value.ts';
import { announce } from '../announce.ts';
import { dataAnswer, nothing, versionAnswer, versionData, WRONG_PATH } from '../answers.ts';
import { mergePatch } from '../merge.ts';
import { isThere, readVersion } from '../read.ts';
import { addVersion, checkAndSet, isReadable, type Secret, softDelete, versionOf } from '../secret.ts';
import type { Found, SecretStore } from '../store.ts';

const write = z.object({
  path,
  data: rawJson().optional(),
  options: z.object({ cas: integer().nullish() }).nullish(),
});

export function dataRoute(mount: Mount, store: SecretStore): Route {
  const now = (): number => mount.clock.now();
  const read = path.transform((given) => store.named(given));

  return {
    path: 'data/*path',
    exists: ({ path: given = '' }) => isThere(store, given),
    operations: {
      read: operation({
        summary: 'Read a version of a secret, the current one unless told.',
        input: z.object({ path: read, version: integer().optional() }),
        output: dataAnswer,
        effect: 'none',
        run({ path: named, version }) {
          if (named.given === '') return WRONG_PATH;
          return after(readVersion(store, named, version ?? 0, now()), (found) =>
            found === undefined ? {} : answerOf(found),
          );
        },
      }),

      write: operation({
        summary: 'Write a new version of a secret.',
        input: write,
        output: versionAnswer,
        effect: 'write',
        raw: ['data'],
        async run({ path: given, data, options }): Promise<Reply<z.input<typeof versionAnswer>>> {
          if (given === '') return WRONG_PATH;
          const key = writable(given);
          const text = sentText(data);
          const config = await store.config();
          const { result, revision } = await store.change(key, (before) => {
            checkAndSet(before, config, options?.cas ?? undefined);
            const { secret, trimmed } = addVersion(before ?? store.create(), config, now());
            return { secret, value: text, drop: trimmed, result: secret };
          });
          announce(mount, 'data-write', key, result, revision);
          return { data: current(result) };
        },
      }),

      patch: operation({
        summary: 'Write a new version that differs from the current one by a JSON merge patch (RFC 7396).',
        input: write,
        output: versionAnswer,
        effect: 'write',
        raw: ['data'],
        async run({ path: given, data, options }): Promise<Reply<z.input<typeof versionAnswer>>> {
          if (given === '') return WRONG_PATH;
          const key = writable(given);
          const patch = parseValue(data);
          const config = await store.config();
          type Patched = { readonly secret: Secret; readonly written: boolean } | undefined;
          const { result, revision } = await store.change<Patched>(key, async (before, known) => {
            if (before === undefined || known === undefined) return { result: undefined };
            checkAndSet(before, config, options?.cas ?? undefined);
            const version = versionOf(before, before.current);
            if (!isReadable(version, now())) return { result: { secret: before, written: false } };
            const value = await store.value(known, before.current);
            const merged = mergePatch(parseValue(value && rawValue(value.text)), patch);
            const { secret, trimmed } = addVersion(before, config, now());
            return { secret, value: valueText(merged), drop: trimmed, result: { secret, written: true } };
          });
          if (result === undefined || result.secret.current === 0) throw failure('kv.nothing_to_patch');
          if (!result.written) return { status: 404, data: current(result.secret) };
          announce(mount, 'data-patch', key, result.secret, revision);
          return { data: current(result.secret) };
        },
      }),

      delete: operation({
        summary: 'Soft-delete the current version.',
        input: z.object({ path }),
        output: nothing,
        effect: 'write',
        async run({ path: given }): Promise<Reply<Record<string, never>>> {
          if (given === '') return WRONG_PATH;
          const key = writable(given);
          const { result, revision } = await store.change(key, (before) => {
            if (before === undefined) return { result: undefined };
            const { secret, touched } = softDelete(before, [before.current], now());
            return touched.length === 0 ? { result: undefined } : { secret, result: { secret, touched } };
          });
          announce(mount, 'data-delete', key, result?.secret, revision, result?.touched);
          return {};
        },
      }),
    },
  };
}

type Answer = z.input<typeof dataAnswer>;

/** The answer of a version that can be read is made once where the value is kept, which stands as long as its secret does. */
function answerOf({ secret, number, version, value }: Found): Reply<Answer> {
  if (value === undefined)
    return { status: 404, data: { data: null, metadata: versionData(secret, number, version) } };
  if (value.told !== undefined) return value.told as Reply<Answer>;
  const data = { data: rawValue(value.text), metadata: versionData(secret, number, version) };
  if (!value.kept) return { data };
  value.told = { data, lasting: new Lasting() };
  return value.told as Reply<Answer>;
}

function current(secret: Secret): z.input<typeof versionAnswer> {
  const version = versionOf(secret, secret.current) ?? { created: secret.updated };
  return versionData(secret, secret.current, version);
}
