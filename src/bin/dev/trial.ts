/** One thing to try: a value that was seeded and that one ExternalSecret puts into a Secret, as it is. */

import { bagOf, listOf } from '../../base/shape.ts';
import type { Manifest } from '../../platform/manifests.ts';
import type { SeedRequest } from '../../platform/seed.ts';

export interface Trial {
  readonly path: string;
  readonly key: string;
  readonly namespace: string;
  readonly secret: string;
}

/** The first ExternalSecret that is one seeded value and nothing else; undefined where there is none. */
export function trialOf(manifests: readonly Manifest[], seeds: readonly SeedRequest[]): Trial | undefined {
  for (const { object } of manifests) {
    const spec = bagOf(object['spec']);
    const target = bagOf(spec['target']);
    const [only, ...more] = listOf(spec['data']);
    if (object.kind !== 'ExternalSecret' || more.length > 0 || spec['dataFrom'] !== undefined) continue;
    if (target['template'] !== undefined || target['creationPolicy'] === 'Merge') continue;
    if (target['immutable'] === true || spec['refreshPolicy'] === 'CreatedOnce') continue;
    const { key, property, decodingStrategy } = bagOf(bagOf(only)['remoteRef']);
    if (decodingStrategy !== undefined) continue;
    const seeded = seeds.find(
      ({ entry }) => entry.hash === 'none' && entry.key === property && names(String(key), entry.path),
    );
    if (seeded === undefined) continue;
    const { name, namespace = 'default' } = object.metadata;
    const secret = typeof target['name'] === 'string' ? target['name'] : name;
    return { path: seeded.entry.path, key: seeded.entry.key, namespace, secret };
  }
  return undefined;
}

/** Whether a remote key means a path: "secret/app", "secret/data/app" and "app" all mean "secret/app". */
function names(key: string, path: string): boolean {
  const [mount = '', ...rest] = path.split('/');
  const inside = rest.join('/');
  return key === path || key === `${mount}/data/${inside}` || key === inside;
}
