/** internal/ui: what clients ask before they do anything, first of all where a path is mounted. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { parsePath } from '../../base/path.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Platform, services } from '../core/core.ts';
import { exchangeOf } from '../core/exchange.ts';
import type { MountEntry } from '../core/mounts.ts';
import { entryOutput, entryText } from './mounts.ts';

/** To who has no token: what a person needs to choose how to log in, and nothing that helps to find a way in. */
const brief = entryOutput.pick({ type: true, description: true, options: true });
const shownMounts = z.record(z.string(), z.union([entryOutput, brief]));

export function internalRoutes({ core, version }: Platform): Route[] {
  return [
    {
      path: 'internal/ui/mounts',
      access: 'public',
      operations: {
        read: operation({
          summary: 'The mounts that the caller can see.',
          input: z.object({}),
          output: z.object({ auth: shownMounts, secret: shownMounts }),
          effect: 'none',
          async run(_input, call) {
            const { acl } = exchangeOf(call);
            const visible = (entry: MountEntry): boolean =>
              acl === undefined
                ? entry.config.listingVisibility === 'unauth'
                : entry.config.listingVisibility === 'unauth' || acl.root || acl.reaches(entry.path);
            const { mounts } = services(core);
            const shown = (kind: 'secret' | 'auth'): z.input<typeof shownMounts> =>
              Object.fromEntries(
                mounts
                  .list(kind)
                  .filter(visible)
                  .map((entry) => [
                    kind === 'auth' ? entry.path.slice('auth/'.length) : entry.path,
                    acl === undefined
                      ? {
                          type: entry.type,
                          description: entry.description,
                          options: Object.keys(entry.options).length === 0 ? null : { ...entry.options },
                        }
                      : entryText(entry, version),
                  ]),
              );
            return { data: { auth: shown('auth'), secret: shown('secret') } };
          },
        }),
      },
    },
    {
      path: 'internal/ui/mounts/*path',
      access: 'public',
      operations: {
        read: operation({
          summary: 'The mount that a path lies in.',
          input: z.object({ path: z.string() }),
          output: entryOutput.extend({ path: z.string() }),
          effect: 'none',
          async run({ path }, call) {
            const { acl } = exchangeOf(call);
            if (acl === undefined) throw failure('request.denied');
            // One answer for "there is none" and "it is not for you": else it would tell which mounts exist.
            const folder = path.endsWith('/') ? path : `${path}/`;
            const denied = failure('preflight.denied', { path: folder });
            if (path === '') throw denied;
            const entry = services(core).mounts.find(parsePath(folder))?.entry;
            if (entry === undefined || !(acl.root || acl.reaches(entry.path))) throw denied;
            return { data: { ...entryText(entry, version), path: entry.path } };
          },
        }),
      },
    },
  ];
}
