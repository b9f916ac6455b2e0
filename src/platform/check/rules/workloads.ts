/** Workloads: what keeps them from being there at all, and the classes that their volumes name. */

import { failure } from '../../../base/errors.ts';
import { type Bag, bagOf, listOf } from '../../../base/shape.ts';
import type { Finding } from '../finding.ts';
import { podsOf } from '../pods.ts';
import { found, type Item, type Path, placed, type World } from '../world.ts';

const SELECTING = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet']);

export function* workloads({ items }: World): Iterable<Finding> {
  for (const item of items) {
    // What has no name or no spec is a piece of a workload, and told as such.
    if (item.name === '' || item.object['spec'] === undefined) continue;
    if (item.group === 'apps' && SELECTING.has(item.kind)) yield* selector(item);
    for (const { path, spec } of podsOf(item)) yield* images(item, path, spec);
  }
}

function* selector(item: Item): Iterable<Finding> {
  const spec = bagOf(item.object['spec']);
  const at = (path: Path, where: string, reason: string): Finding =>
    found('error', item, path, failure('check.workload_invalid', { where, reason }));
  if (spec['selector'] === undefined) {
    yield at(['spec'], 'spec.selector', 'it has to be given, and to match the labels of the pods');
    return;
  }
  const labels = bagOf(bagOf(bagOf(spec['template'])['metadata'])['labels']);
  for (const [name, value] of Object.entries(bagOf(bagOf(spec['selector'])['matchLabels']))) {
    if (labels[name] === value) continue;
    yield at(
      ['spec', 'selector', 'matchLabels', name],
      `spec.selector.matchLabels[${name}]`,
      'the labels of spec.template do not match it',
    );
  }
}

function* images(item: Item, path: Path, spec: Bag): Iterable<Finding> {
  for (const list of ['initContainers', 'containers']) {
    for (const [index, entry] of listOf(spec[list]).entries()) {
      const image = bagOf(entry)['image'];
      if (typeof image === 'string' && image !== '') continue;
      const where = `${list}[${index}].image`;
      yield found(
        'error',
        item,
        [...path, list, index],
        failure('check.workload_invalid', { where, reason: 'it has to be given' }),
      );
    }
  }
}

/** Classes of the Secrets Store CSI driver, which are looked for in the pod's own namespace. */
export function* classes({ items }: World): Iterable<Finding> {
  const known = new Set(
    items
      .filter(({ kind }) => kind === 'SecretProviderClass')
      .map(({ namespace, name }) => placed(namespace, name)),
  );
  for (const item of items) {
    for (const { path, spec } of podsOf(item)) {
      for (const [index, volume] of listOf(spec['volumes']).entries()) {
        const csi = bagOf(bagOf(volume)['csi']);
        const name = bagOf(csi['volumeAttributes'])['secretProviderClass'];
        if (csi['driver'] !== 'secrets-store.csi.k8s.io' || typeof name !== 'string') continue;
        const full = placed(item.namespace, name);
        if (known.has(full)) continue;
        const at = [...path, 'volumes', index, 'csi', 'volumeAttributes', 'secretProviderClass'];
        const user = `the volume ${String(bagOf(volume)['name'] ?? '')} mounts`;
        yield found('warning', item, at, failure('check.class_missing', { name: full, user }));
      }
    }
  }
}
