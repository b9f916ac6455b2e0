/** What an API server asks of any object: a name that can be one, labels that can be labels, and no two of one name. */

import { failure } from '../../../base/errors.ts';
import { bagOf } from '../../../base/shape.ts';
import type { Finding } from '../finding.ts';
import { found, type Item, isTemplate, titleOf, type World } from '../world.ts';

/** Groups whose objects are kept by an API server. Settings of programs have apiVersion and kind, too, and need no name. */
const KEPT =
  /^$|^(apps|batch|autoscaling|policy|networking\.k8s\.io|rbac\.authorization\.k8s\.io|argoproj\.io)$/;
/** Kinds whose names may hold more than those of others. */
const FREE_NAMES = /^rbac\.authorization\.k8s\.io$/;

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DOMAIN_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

export function* names({ items, kinds }: World): Iterable<Finding> {
  for (const item of items) {
    const kept = KEPT.test(item.group) || kinds.some(({ resource }) => resource.group === item.group);
    if (!kept) continue;
    if (item.name === '' && typeof item.metadata['generateName'] !== 'string') {
      yield found('error', item, ['metadata'], failure('check.no_name', { kind: item.kind }));
      continue;
    }
    if (item.name !== '' && !FREE_NAMES.test(item.group) && !isName(item.name, SUBDOMAIN, 253))
      yield badName(item, 'name', item.name);
    const namespace = item.metadata['namespace'];
    if (typeof namespace === 'string' && namespace !== '' && !isName(namespace, DOMAIN_LABEL, 63))
      yield badName(item, 'namespace', namespace);
  }
}

const isName = (text: string, pattern: RegExp, limit: number): boolean =>
  isTemplate(text) || (text.length <= limit && pattern.test(text));

const badName = (item: Item, field: 'name' | 'namespace', value: string): Finding =>
  found(
    'error',
    item,
    ['metadata', field],
    failure('check.bad_name', { field: `metadata.${field}`, value: value.slice(0, 80) }),
  );

export function* labels({ items }: World): Iterable<Finding> {
  for (const item of items) {
    for (const field of ['labels', 'annotations'] as const) {
      for (const [name, value] of Object.entries(bagOf(item.metadata[field]))) {
        const path = ['metadata', field, name];
        if (value !== null && typeof value !== 'string') {
          const reason = `expected text, received a ${Array.isArray(value) ? 'list' : typeof value}; put it in quotes`;
          const where = `metadata.${field}[${name}]`;
          yield found('error', item, path, failure('check.invalid_field', { where, reason }));
        } else if (field === 'labels' && value !== null && !isName(value, LABEL_VALUE, 63)) {
          yield found('error', item, path, failure('check.bad_label', { name, value: value.slice(0, 80) }));
        }
      }
    }
  }
}

/** In one folder, or in one file, two objects of a name are one object; overlays for several clusters lie in several. */
export function* duplicates({ items }: World): Iterable<Finding> {
  const first = new Map<string, Item>();
  for (const item of items) {
    if (item.name === '') continue;
    const folder = item.source.file.replace(/[^/\\]*$/, '');
    const id = JSON.stringify([folder, item.group, item.kind, item.namespace, item.name]);
    const known = first.get(id);
    if (known === undefined) {
      first.set(id, item);
      continue;
    }
    const { file, line } = known.source;
    const object = titleOf(item);
    // The same text twice does no harm.
    const same = JSON.stringify(known.object) === JSON.stringify(item.object);
    yield found(
      same ? 'warning' : 'error',
      item,
      [],
      failure('check.duplicate_object', { object, first: `${file}:${line}` }),
    );
  }
}
