/** The `scale` subresource: an object's replicas as an object of their own, and back. Pure. */

import type { View } from './kindset.ts';
import {
  asFields,
  asText,
  at,
  clone,
  type Fields,
  fields,
  isFields,
  meta,
  nameOf,
  namespaceOf,
  type Obj,
  uidOf,
  versionOf,
} from './objects.ts';
import { invalid } from './status.ts';

/** The Scale of an object that has one. */
export function scaleOf(view: View, object: Obj): Obj {
  const paths = view.version.scale;
  const number = (path: readonly string[] | undefined): number => {
    const value = path === undefined ? undefined : at(object, ...path);
    return typeof value === 'number' ? value : 0;
  };
  const labels = at(object, 'spec', 'selector', 'matchLabels');
  const selector =
    paths?.selector === undefined
      ? Object.entries(asFields(labels))
          .map(([key, value]) => `${key}=${String(value)}`)
          .join(',')
      : asText(at(object, ...paths.selector));
  return fields({
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: fields({
      name: nameOf(object),
      namespace: namespaceOf(object),
      uid: uidOf(object),
      resourceVersion: versionOf(object),
      creationTimestamp: meta(object)['creationTimestamp'],
    }),
    spec: fields({ replicas: number(paths?.spec) }),
    status: fields({ replicas: number(paths?.status), selector: selector === '' ? undefined : selector }),
  });
}

/** An object with the replicas that a Scale asks for. @throws Refusal Invalid */
export function withScale(view: View, object: Obj, scale: Obj): Obj {
  const replicas = at(scale, 'spec', 'replicas') ?? 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
    throw invalid('Scale', { group: 'autoscaling', plural: 'scales' }, nameOf(object), [
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: must be greater than or equal to 0',
        field: 'spec.replicas',
      },
    ]);
  }
  const copy = clone(object);
  let here = copy;
  const path = view.version.scale?.spec ?? [];
  for (const name of path.slice(0, -1)) {
    if (!isFields(here[name])) here[name] = fields({});
    here = here[name] as Fields;
  }
  here[path[path.length - 1] as string] = replicas;
  const version = versionOf(scale);
  if (version !== '') meta(copy)['resourceVersion'] = version;
  return copy;
}
