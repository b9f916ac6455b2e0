/** Version 1 of the KV engine. Storage: `plain/<path>`, one JSON object each. */

import { type Milliseconds, parseDuration } from '../../base/duration.ts';
import { Exact, type Ordered } from '../../base/json.ts';
import type { Mount, Route } from '../../plugin/plugin.ts';
import { prefixed } from '../../storage/prefixed.ts';
import { readable } from '../keyspace.ts';
import { plainRoute } from '../plain.ts';
import { announcePlain } from './announce.ts';

export function unversionedRoutes(mount: Mount): Route[] {
  const storage = prefixed(mount.storage, 'plain/');
  return [
    plainRoute({
      storage: () => storage,
      exists: async ({ path = '' }) => {
        const key = readable(path);
        return key !== undefined && (await storage.get(key)) !== undefined;
      },
      lease: (value) => ({
        id: '',
        durationMs: ownDuration(value) ?? mount.ttl().defaultMs,
        renewable: false,
      }),
      changed: (act, path, revision) => announcePlain(mount, `kv-v1/${act}`, path, revision),
    }),
  ];
}

/** How long the secret says of itself that it may be kept: its key `ttl`, or `lease`. What does not parse is data like any. */
function ownDuration(value: Ordered): Milliseconds | undefined {
  const given = value.members.get('ttl') ?? value.members.get('lease');
  if (typeof given !== 'string' && typeof given !== 'number' && !(given instanceof Exact)) return undefined;
  try {
    const ms = parseDuration(given instanceof Exact ? given.text : given);
    return ms >= 0 ? ms : undefined;
  } catch {
    return undefined;
  }
}
