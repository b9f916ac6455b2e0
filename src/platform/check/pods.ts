/** Where the pods of a workload are described. */

import { type Bag, bagOf } from '../../base/shape.ts';
import type { Item, Path } from './world.ts';

const TEMPLATED = new Set([
  'apps/Deployment',
  'apps/StatefulSet',
  'apps/DaemonSet',
  'apps/ReplicaSet',
  'batch/Job',
  'argoproj.io/Rollout',
]);

/** The pod that an object describes, and where in it; none for other kinds. */
export function podsOf({
  group,
  kind,
  object,
}: Item): readonly { readonly path: Path; readonly spec: Bag }[] {
  const at = pathOf(`${group}/${kind}`);
  if (at === undefined) return [];
  const spec = at.reduce<unknown>((value, step) => bagOf(value)[step], object);
  return [{ path: at, spec: bagOf(spec) }];
}

function pathOf(kind: string): readonly string[] | undefined {
  if (kind === '/Pod') return ['spec'];
  if (kind === 'batch/CronJob') return ['spec', 'jobTemplate', 'spec', 'template', 'spec'];
  return TEMPLATED.has(kind) ? ['spec', 'template', 'spec'] : undefined;
}
