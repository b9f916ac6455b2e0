/**
 * Admission: what becomes of an object before it is stored. Unknown fields are pruned, defaults filled in, rules and
 * schemas asked, and the fields set that only the server says.
 */

import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { CLEANUP, definitionStatus, readDefinition } from './customkinds.ts';
import { apiVersionOf, idOf } from './kinds.ts';
import { DEFINITIONS, type KindSet, type View } from './kindset.ts';
import { checkMetadata } from './metadata.ts';
import {
  clone,
  equal,
  type Fields,
  fields,
  finalizersOf,
  isDeleting,
  meta,
  nameOf,
  type Obj,
  timestamp,
  versionOf,
} from './objects.ts';
import { fillDefaults, prune, validate } from './schema.ts';
import { badRequest, type Cause, invalid } from './status.ts';

export type Validation = 'Strict' | 'Warn' | 'Ignore';

export interface AdmissionOptions {
  readonly validation: Validation;
  /** Told to the caller beside the answer. */
  readonly warn: (text: string) => void;
}

export class Admission {
  readonly #kinds: KindSet;
  readonly #clock: Clock;

  constructor(kinds: KindSet, clock: Clock) {
    this.#kinds = kinds;
    this.#clock = clock;
  }

  /** What is stored for an object. `old` is the stored one. @throws Refusal Invalid, BadRequest */
  admit(view: View, given: Obj, old: Obj | undefined, options: AdmissionOptions): Obj {
    const { kind, version } = view;
    let object = clone(given);
    if (old === undefined && version.status && kind.kind !== 'Namespace' && kind.kind !== 'Pod')
      delete object['status'];
    dropUnknown(view, object, options);
    if (version.schema !== undefined) fillDefaults(object, version.schema);
    if (kind.alias !== undefined) object = kind.alias.kept(object);
    else object['apiVersion'] = apiVersionOf(kind.group, kind.stored);
    for (const rule of kind.rules) rule.set?.(object, old);
    if (version.deprecation !== undefined) options.warn(version.deprecation);

    const causes: Cause[] = [...checkMetadata(object, kind.group)];
    for (const rule of kind.rules) causes.push(...(rule.check?.(object, old) ?? []));
    if (version.schema !== undefined) causes.push(...validate(object, version.schema, old));
    const added =
      old !== undefined && isDeleting(old)
        ? finalizersOf(object).filter((one) => !finalizersOf(old).includes(one))
        : [];
    if (added.length > 0) {
      causes.push({
        reason: 'FieldValueForbidden',
        message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((one) => JSON.stringify(one)).join(', ')}}`,
        field: 'metadata.finalizers',
      });
    }
    if (causes.length > 0) throw invalid(kind.kind, kind, nameOf(object), causes);
    this.#serverFields(view, object, old);
    if (idOf(kind) === DEFINITIONS) {
      object['status'] = definitionStatus(
        object,
        readDefinition(object),
        this.#kinds.clash(object),
        this.#clock.now(),
      );
      if (old === undefined) meta(object)['finalizers'] = [...new Set([...finalizersOf(object), CLEANUP])];
    }
    return object;
  }

  #serverFields(view: View, object: Obj, old: Obj | undefined): void {
    const metadata = meta(object);
    object['metadata'] = metadata;
    object['kind'] = view.kind.kind;
    if (old === undefined) {
      metadata['uid'] = randomUUID();
      metadata['creationTimestamp'] = timestamp(this.#clock.now());
      delete metadata['deletionTimestamp'];
      delete metadata['resourceVersion'];
      if (view.kind.generation !== 'none') metadata['generation'] = 1;
      else delete metadata['generation'];
      return;
    }
    metadata['resourceVersion'] = versionOf(old);
    if (view.kind.generation === 'none') return;
    const generation = meta(old)['generation'];
    const count = typeof generation === 'number' ? generation : 1;
    metadata['generation'] = sameDesire(view, old, object) ? count : count + 1;
  }
}

/** Removes what the kind does not know, and tells of it as the caller asked. */
function dropUnknown(view: View, object: Obj, options: AdmissionOptions): void {
  const { kind, version } = view;
  const dropped: string[] = [];
  if (version.schema !== undefined) dropped.push(...prune(object, version.schema));
  else if (kind.members !== undefined) {
    for (const key of Object.keys(object)) {
      if (['apiVersion', 'kind', 'metadata', ...kind.members].includes(key)) continue;
      delete object[key];
      dropped.push(key);
    }
  }
  if (dropped.length === 0 || options.validation === 'Ignore') return;
  const told = dropped.map((path) => `unknown field "${path}"`);
  if (options.validation === 'Strict') {
    throw badRequest(
      `${kind.kind} in version "${version.name}" cannot be handled as a ${kind.kind}: strict decoding error: ${told.join(', ')}`,
    );
  }
  for (const text of told) options.warn(text);
}

/** Whether two states of an object want the same: what `generation` counts. */
function sameDesire(view: View, old: Obj, object: Obj): boolean {
  if (view.kind.generation === 'spec') return equal(old['spec'], object['spec']);
  const ignored = ['apiVersion', 'kind', 'metadata', ...(view.version.status ? ['status'] : [])];
  const wanted = (source: Obj): Fields =>
    fields(Object.fromEntries(Object.entries(source).filter(([key]) => !ignored.includes(key))));
  return equal(wanted(old), wanted(object));
}
