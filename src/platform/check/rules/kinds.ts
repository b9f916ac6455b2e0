/** Objects of our kinds against their schemas, as kubectl and an API server judge them. */

import { failure } from '../../../base/errors.ts';
import { nearestName } from '../../../base/nearest.ts';
import { type Bag, bagOf } from '../../../base/shape.ts';
import type { KnownKind } from '../../../operator/api/crds.ts';
import { wrongs } from '../../../operator/controllers/externalsecret/rules/validation.ts';
import { dotted, misfitsOf, type UnknownField, unknownFields, withoutNulls } from '../fields.ts';
import type { Finding } from '../finding.ts';
import { found, type Item, isTemplate, type Path, type View, type World } from '../world.ts';

/** Kinds that only we have in a group of external-secrets. */
const OURS_ALONE = new Set(['external-secrets.io/DatabaseSecret']);
/** Versions that external-secrets still writes in its CRDs and serves no more. */
const UNSERVED_UPSTREAM = new Set(['external-secrets.io/v1beta1']);

export function* kindsAndVersions({ items, kinds }: World): Iterable<Finding> {
  for (const item of items) {
    const { group, kind, apiVersion, version } = item;
    const ofGroup = kinds.filter(({ resource }) => resource.group === group);
    if (ofGroup.length === 0) continue;
    const known = ofGroup.find(({ resource }) => resource.kind === kind);
    const at = (path: Path, cls: Finding['class'], wrong: Finding['failure']): Finding =>
      found(cls, item, path, wrong);
    if (known === undefined) {
      const near = near1(
        kind,
        ofGroup.map(({ resource }) => resource.kind),
      );
      yield at(['kind'], 'error', failure('check.unknown_kind', { kind, apiVersion, near }));
    } else if (!known.versions.includes(version)) {
      const served = known.versions.map((one) => `${group}/${one}`).join(', ');
      yield at(['apiVersion'], 'error', failure('check.unknown_version', { kind, apiVersion, served }));
    } else if (UNSERVED_UPSTREAM.has(apiVersion)) {
      const stored = `${group}/${known.resource.version}`;
      yield at(['apiVersion'], 'upstream-only', failure('check.not_served_upstream', { apiVersion, stored }));
    } else if (OURS_ALONE.has(`${group}/${kind}`)) {
      yield at(['kind'], 'upstream-only', failure('check.not_upstream', { kind }));
    }
  }
}

export function* fields({ items, kinds }: World): Iterable<Finding> {
  for (const item of items) {
    const known = kinds.find(({ resource }) => resource.group === item.group && resource.kind === item.kind);
    if (known !== undefined) yield* fieldsOf(item, known);
  }
}

const TOP = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

function* fieldsOf(item: Item, { spec }: KnownKind): Iterable<Finding> {
  for (const field of Object.keys(item.object)) {
    if (!TOP.includes(field)) yield unknown(item, { path: [], field, known: TOP });
  }
  const given = withoutNulls(bagOf(item.object['spec']));
  for (const stray of unknownFields(spec, given, ['spec'])) yield unknown(item, stray);
  for (const { path, reason } of misfitsOf(spec, given)) {
    if (waits(given, path)) continue;
    const where = dotted(['spec', ...path]);
    yield found('error', item, ['spec', ...path], failure('check.invalid_field', { where, reason }));
  }
}

/** Whether what stands at a path is filled in later. */
export function waits(value: unknown, path: Path): boolean {
  const at = path.reduce<unknown>((inside, step) => (inside as Bag | undefined)?.[String(step)], value);
  return typeof at === 'string' && isTemplate(at);
}

/** A field that a schema does not have, told with the one that was meant. */
export function unknown(
  item: Item,
  { path, field, known }: UnknownField,
  cls: Finding['class'] = 'error',
): Finding {
  const where = dotted(path) || item.kind;
  return found(
    cls,
    item,
    [...path, field],
    failure('check.unknown_field', { where, field, near: nearOrAll(field, known) }),
  );
}

export const near1 = (wanted: string, names: Iterable<string>): string => {
  const near = nearestName(wanted, names);
  return near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
};

const nearOrAll = (field: string, known: readonly string[]): string =>
  near1(field, known) || (known.length > 8 ? '' : `; it has: ${known.join(', ')}`);

/** What external-secrets' webhook refuses, and our operator tells in the condition. */
export function* webhook({ views }: World): Iterable<Finding> {
  for (const view of views) {
    for (const reason of wrongs(view.spec)) {
      const path = [...view.path, ...placeOf(reason, view)];
      yield found('error', view.item, path, failure('operator.spec_invalid', { reason }));
    }
  }
}

/** Where in a spec a text of the webhook looks. */
function placeOf(reason: string, { spec }: View): Path {
  const named = /^spec\.([\w.[\]]+)/.exec(reason)?.[1];
  if (named !== undefined)
    return named
      .split(/[.[\]]+/)
      .filter((step) => step !== '')
      .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  const twice = /^duplicate secretKey found: (.*)$/.exec(reason)?.[1];
  if (twice !== undefined) {
    const at = spec.data.findLastIndex(({ secretKey }) => secretKey === twice);
    return ['data', at, 'secretKey'];
  }
  if (/^deletionPolicy=/.test(reason)) return ['target', 'deletionPolicy'];
  if (/^template type/.test(reason)) return ['target', 'template', 'type'];
  if (/dataFrom/.test(reason)) return ['dataFrom'];
  return [];
}
