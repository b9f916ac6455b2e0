/** `delete/`, `undelete/` and `destroy/<path>`: what can be done to chosen versions. */

import { z } from 'zod';
import type { Code } from '../../../base/codes.ts';
import { Failure } from '../../../base/errors.ts';
import { Exact } from '../../../base/json.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { path, writable } from '../../keyspace.ts';
import { announce } from '../announce.ts';
import { nothing, WRONG_PATH } from '../answers.ts';
import { destroy, softDelete, undelete } from '../secret.ts';
import type { SecretStore } from '../store.ts';

/** More than any secret keeps; bounds the work of one call. */
const MOST_VERSIONS = 10_000;

const one = z.union([z.number(), z.string(), z.instanceof(Exact).transform((exact) => exact.text)]);
const versions = z
  .union([z.array(one).max(MOST_VERSIONS), one])
  .transform((given, context) => {
    const list = (Array.isArray(given) ? given : String(given).split(','))
      .filter((item) => String(item).trim() !== '')
      .map(Number);
    if (list.every(Number.isSafeInteger)) return list;
    context.addIssue({ code: 'custom', message: 'expected numbers of versions' });
    return z.NEVER;
  })
  .meta({ wire: 'integerList' });

interface Kind {
  readonly act: 'delete' | 'undelete' | 'destroy';
  readonly summary: string;
  readonly rule: typeof softDelete;
  readonly none: Code;
}

const KINDS: readonly Kind[] = [
  { act: 'delete', summary: 'Soft-delete versions.', rule: softDelete, none: 'kv.no_versions' },
  { act: 'undelete', summary: 'Bring soft-deleted versions back.', rule: undelete, none: 'kv.no_versions' },
  {
    act: 'destroy',
    summary: 'Remove the values of versions for good.',
    rule: destroy,
    none: 'kv.no_versions_to_destroy',
  },
];

export const versionsRoutes = (mount: Mount, store: SecretStore): Route[] =>
  KINDS.map(({ act, summary, rule, none }) => ({
    path: `${act}/*path`,
    operations: {
      write: operation({
        summary,
        input: z.object({ path, versions: versions.nullish() }),
        output: nothing,
        effect: 'write',
        async run({ path: given, versions: which }): Promise<Reply<Record<string, never>>> {
          if (given === '') return WRONG_PATH;
          const key = writable(given);
          if (which === undefined || which === null || which.length === 0) throw new Failure(none);
          const { result, revision } = await store.change(key, (before) => {
            if (before === undefined) return { result: undefined };
            const { secret, touched } = rule(before, which, mount.clock.now());
            if (touched.length === 0) return { result: undefined };
            return { secret, drop: act === 'destroy' ? touched : [], result: { secret, touched } };
          });
          announce(mount, act, key, result?.secret, revision, result?.touched);
          return {};
        },
      }),
    },
  }));
