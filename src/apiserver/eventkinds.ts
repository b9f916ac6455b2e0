/** Events are one set of objects under two APIs: core/v1 keeps them, events.k8s.io/v1 renames their fields. */

import type { Kind } from './kinds.ts';
import { fields, type Obj } from './objects.ts';

/** events.k8s.io -> core */
const NAMES: Readonly<Record<string, string>> = {
  regarding: 'involvedObject',
  note: 'message',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
  reportingController: 'reportingComponent',
};
const KEPT: ReadonlyMap<string, string> = new Map(Object.entries(NAMES));
const SEEN: ReadonlyMap<string, string> = new Map(Object.entries(NAMES).map(([a, b]) => [b, a]));

function renamed(object: Obj, names: ReadonlyMap<string, string>, apiVersion: string): Obj {
  const result = fields({});
  for (const [key, value] of Object.entries(object)) result[names.get(key) ?? key] = value;
  result['apiVersion'] = apiVersion;
  return result;
}

export const eventAlias: NonNullable<Kind['alias']> = {
  id: 'core/events',
  seen: (object) => renamed(object, SEEN, 'events.k8s.io/v1'),
  kept(object) {
    const kept = renamed(object, KEPT, 'v1');
    kept['involvedObject'] ??= fields({});
    return kept;
  },
};
