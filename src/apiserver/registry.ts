/**
 * What the API does with objects: optimistic concurrency, ownership of fields, finalizers. It takes parsed objects and a view, and knows nothing of HTTP or of who may do what.
 */

import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { Admission, type AdmissionOptions } from './admission.ts';
import { applyTo } from './apply.ts';
import { apiVersionOf, idOf, type Kind } from './kinds.ts';
import type { KindSet, View } from './kindset.ts';
import { type Owner, readOwners, recordUpdate, sameOwner, sameSet, writeOwners } from './managedfields.ts';
import { cleanMetadata } from './metadata.ts';
import {
  asFields,
  asList,
  asText,
  at,
  clone,
  equal,
  type Fields,
  fields,
  finalizersOf,
  isDeleting,
  isFields,
  meta,
  nameOf,
  namespaceOf,
  type Obj,
  timestamp,
  uidOf,
  type Value,
  versionOf,
} from './objects.ts';
import { both, everything, fieldSelector, labelSelector, type Selector } from './selectors.ts';
import { shapeOf } from './shape.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound, Refusal } from './status.ts';
import type { ObjectStore, Outcome, Place } from './store.ts';

export interface WriteOptions extends AdmissionOptions {
  readonly manager: string;
  readonly dryRun: boolean;
  readonly subresource?: 'status' | 'scale';
}

export interface DeleteOptions {
  readonly propagation: 'Background' | 'Foreground' | 'Orphan';
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun: boolean;
}

export interface Written {
  readonly object: Obj;
  readonly created: boolean;
}

export class Registry {
  readonly store: ObjectStore;
  readonly kinds: KindSet;
  readonly #admission: Admission;
  readonly #clock: Clock;

  constructor(store: ObjectStore, kinds: KindSet, clock: Clock) {
    this.store = store;
    this.kinds = kinds;
    this.#admission = new Admission(kinds, clock);
    this.#clock = clock;
  }

  place(view: View, namespace: string, name: string): Place {
    return { resource: view.kind.alias?.id ?? idOf(view.kind), namespace, name };
  }

  /** A stored object as a view shows it. */
  seen(view: View, object: Obj): Obj {
    if (view.kind.alias !== undefined) return view.kind.alias.seen(object);
    const apiVersion = apiVersionOf(view.kind.group, view.version.name);
    return object['apiVersion'] === apiVersion
      ? object
      : Object.assign(Object.create(null) as Obj, object, { apiVersion });
  }

  /** @throws Refusal NotFound */
  get(view: View, namespace: string, name: string): Obj {
    const object = this.store.get(this.place(view, namespace, name));
    if (object === undefined) throw notFound(view.kind, name);
    return this.seen(view, object);
  }

  /** All objects, of one namespace where it is given, that the selectors hold of. */
  list(view: View, namespace: string | undefined, selector: Selector): Obj[] {
    const found = this.store.list(view.kind.alias?.id ?? idOf(view.kind), namespace);
    const seen = found.map((object) => this.seen(view, object));
    return selector === everything ? seen : seen.filter(selector);
  }

  /** @throws Refusal BadRequest */
  selector(view: View, labels: string, fieldsText: string): Selector {
    const byLabel = labelSelector(labels);
    const byField = fieldSelector(fieldsText, view.version.selectable, view.kind.kind);
    if (byLabel === everything) return byField;
    return byField === everything ? byLabel : both(byLabel, byField);
  }

  async create(view: View, namespace: string, given: Obj, options: WriteOptions): Promise<Written> {
    this.#expectKind(view, given);
    const object = clone(given);
    object['metadata'] = cleanMetadata(object);
    this.#expectNamespace(view, namespace, object);
    const metadata = meta(object);
    if (versionOf(object) !== '')
      throw badRequest('resourceVersion should not be set on objects to be created');
    if (nameOf(object) === '') {
      const prefix = asText(metadata['generateName']);
      if (prefix === undefined || prefix === '') {
        throw invalid(view.kind.kind, view.kind, '', [
          {
            reason: 'FieldValueRequired',
            message: 'Required value: name or generateName is required',
            field: 'metadata.name',
          },
        ]);
      }
      metadata['name'] = prefix.slice(0, 248) + suffix();
    }
    const stored = this.#admission.admit(view, object, undefined, options);
    const after = recordUpdate(undefined, stored, this.#shape(view), this.#writer(view, options));
    writeOwners(stored, after);
    return this.#insert(view, namespace, stored, options);
  }

  async #insert(view: View, namespace: string, object: Obj, options: WriteOptions): Promise<Written> {
    const name = nameOf(object);
    if (view.kind.namespaced) this.#expectAlive(view, namespace, name);
    const place = this.place(view, namespace, name);
    if (options.dryRun) {
      if (this.store.get(place) !== undefined) throw alreadyExists(view.kind, name);
      return { object: this.seen(view, object), created: true };
    }
    const event = await this.store.mutate(place, (current) => {
      if (current !== undefined) throw alreadyExists(view.kind, name);
      return { put: object };
    });
    return { object: this.seen(view, event?.after ?? object), created: true };
  }

  /**
   * Changes one object. `change` is given what is there, as the view shows it, and gives what shall be; it runs alone.
   * @throws Refusal NotFound, Conflict, Invalid
   */
  async update(
    view: View,
    namespace: string,
    name: string,
    change: (current: Obj) => Obj,
    options: WriteOptions,
  ): Promise<Written> {
    return this.#change(view, namespace, name, options, (current) => {
      if (current === undefined) throw notFound(view.kind, name);
      const shown = this.seen(view, current);
      const given = change(shown);
      const next = this.#merge(view, namespace, name, current, given, options);
      const shape = this.#shape(view);
      // A client may drop all records of ownership on purpose, which is how one migrates between ways of applying.
      const reset = equal(meta(given)['managedFields'], meta(shown)['managedFields'])
        ? current
        : withOwners(current, given);
      return { object: next, owners: recordUpdate(reset, next, shape, this.#writer(view, options)) };
    });
  }

  /** Server-side apply. Creates the object where it is not there. */
  async apply(
    view: View,
    namespace: string,
    name: string,
    config: Obj,
    force: boolean,
    options: WriteOptions,
  ): Promise<Written> {
    this.#expectKind(view, config);
    const given = clone(config);
    const metadata = cleanMetadata(given);
    given['metadata'] = metadata;
    if (metadata['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
    if (asText(metadata['name']) !== undefined && metadata['name'] !== name) throw badRequest(nameMismatch);
    metadata['name'] = name;
    this.#expectNamespace(view, namespace, given);
    const shape = this.#shape(view);
    const writer = this.#writer(view, options);
    let created = false;
    const written = await this.#change(view, namespace, name, options, (current) => {
      if (current === undefined) {
        if (options.subresource !== undefined) throw notFound(view.kind, name);
        if (asText(metadata['uid']) !== undefined || versionOf(given) !== '') throw conflict(view.kind, name);
        if (view.kind.namespaced) this.#expectAlive(view, namespace, name);
        created = true;
        const object = this.#admission.admit(view, given, undefined, options);
        return {
          object,
          owners: applyTo(undefined, withoutStatus(view, given, options), shape, writer, force).owners,
        };
      }
      const live = this.seen(view, current);
      const said = options.subresource === 'status' ? onlyStatus(given) : withoutStatus(view, given, options);
      const { object, owners } = applyTo(live, said, shape, writer, force);
      return { object: this.#merge(view, namespace, name, current, object, options), owners };
    });
    return { object: written.object, created };
  }

  async #change(
    view: View,
    namespace: string,
    name: string,
    options: WriteOptions,
    decide: (current: Obj | undefined) => { object: Obj; owners: Owner[] },
  ): Promise<Written> {
    const place = this.place(view, namespace, name);
    let result: Obj | undefined;
    const decideAll = (current: Obj | undefined): Outcome => {
      const { object, owners } = decide(current);
      writeOwners(object, owners);
      if (current !== undefined && unchanged(current, object, owners)) {
        result = current;
        return 'keep';
      }
      result = object;
      if (options.dryRun) return 'keep';
      return isDeleting(object) && !isHeld(view.kind, object) ? 'delete' : { put: object };
    };
    const event = await this.store.mutate(place, decideAll);
    return { object: this.seen(view, event?.after ?? (result as Obj)), created: false };
  }

  /** What an update leaves: the given object with all that only the server says. */
  #merge(view: View, namespace: string, name: string, current: Obj, given: Obj, options: WriteOptions): Obj {
    this.#expectKind(view, given);
    const object = clone(given);
    object['metadata'] = cleanMetadata(object);
    const metadata = meta(object);
    if (metadata['name'] !== undefined && metadata['name'] !== name) throw badRequest(nameMismatch);
    this.#expectNamespace(view, namespace, object);
    if (uidOf(object) !== '' && uidOf(object) !== uidOf(current)) {
      throw conflict(
        view.kind,
        name,
        `Precondition failed: UID in precondition: ${uidOf(object)}, UID in object meta: ${uidOf(current)}`,
      );
    }
    if (versionOf(object) !== '' && versionOf(object) !== versionOf(current)) throw conflict(view.kind, name);
    const shown = this.seen(view, current);
    if (options.subresource === 'status') {
      const next = clone(shown);
      if (object['status'] === undefined) delete next['status'];
      else next['status'] = object['status'];
      return this.#admission.admit(view, next, current, options);
    }
    for (const key of KEPT) {
      const value = meta(current)[key];
      if (value === undefined) delete metadata[key];
      else metadata[key] = clone(value);
    }
    if (view.version.status) {
      if (shown['status'] === undefined) delete object['status'];
      else object['status'] = clone(shown['status']);
    }
    return this.#admission.admit(view, object, current, options);
  }

  /** Marks or removes an object. Gives it as it stood last, and whether it is gone. */
  async delete(
    view: View,
    namespace: string,
    name: string,
    options: DeleteOptions,
  ): Promise<{ object: Obj; gone: boolean }> {
    const place = this.place(view, namespace, name);
    let result: Obj | undefined;
    let gone = false;
    const event = await this.store.mutate(place, (current) => {
      if (current === undefined) throw notFound(view.kind, name);
      if (options.uid !== undefined && options.uid !== uidOf(current)) {
        throw conflict(
          view.kind,
          name,
          `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uidOf(current)}`,
        );
      }
      if (options.resourceVersion !== undefined && options.resourceVersion !== versionOf(current)) {
        throw conflict(
          view.kind,
          name,
          `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${versionOf(current)}`,
        );
      }
      const next = this.#doomed(view.kind, current, options);
      result = next ?? current;
      gone = next === undefined;
      if (options.dryRun || next === current) return 'keep';
      return next === undefined ? 'delete' : { put: next };
    });
    return { object: this.seen(view, event?.after ?? event?.before ?? (result as Obj)), gone };
  }

  /** The object as its deletion leaves it; undefined when nothing holds it back. */
  #doomed(kind: Kind, current: Obj, options: DeleteOptions): Obj | undefined {
    const finalizers = new Set(finalizersOf(current));
    finalizers.delete('orphan');
    finalizers.delete('foregroundDeletion');
    if (options.propagation === 'Orphan') finalizers.add('orphan');
    if (options.propagation === 'Foreground') finalizers.add('foregroundDeletion');
    const isNamespace = kind.group === '' && kind.kind === 'Namespace';
    if (finalizers.size === 0 && !isNamespace) return undefined;
    if (isDeleting(current) && equal([...finalizers], finalizersOf(current))) return current;
    const next = clone(current);
    const metadata = meta(next);
    metadata['deletionTimestamp'] ??= timestamp(this.#clock.now());
    metadata['deletionGracePeriodSeconds'] ??= 0;
    if (finalizers.size > 0) metadata['finalizers'] = [...finalizers];
    else delete metadata['finalizers'];
    if (kind.generation !== 'none' && !isDeleting(current))
      metadata['generation'] = Number(metadata['generation'] ?? 1) + 1;
    if (isNamespace) asFields(next['status'])['phase'] = 'Terminating';
    return next;
  }

  #expectKind(view: View, object: Obj): void {
    const apiVersion = apiVersionOf(view.kind.group, view.version.name);
    if (object['kind'] !== view.kind.kind || object['apiVersion'] !== apiVersion) {
      throw badRequest(
        `the API version in the data (${String(object['apiVersion'] ?? '')}, ${String(object['kind'] ?? '')}) does not match the expected API version (${apiVersion}, ${view.kind.kind})`,
      );
    }
  }

  #expectNamespace(view: View, namespace: string, object: Obj): void {
    const metadata = meta(object);
    const given = namespaceOf(object);
    if (!view.kind.namespaced) {
      delete metadata['namespace'];
      return;
    }
    if (given !== '' && given !== namespace) {
      throw badRequest(
        'the namespace of the provided object does not match the namespace sent on the request',
      );
    }
    metadata['namespace'] = namespace;
  }

  #expectAlive(view: View, namespace: string, name: string): void {
    const found = this.store.get({ resource: 'core/namespaces', namespace: '', name: namespace });
    if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
    if (!isDeleting(found)) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const refusal = forbidden(view.kind, name, why);
    throw new Refusal('Forbidden', refusal.message, {
      ...asFields(refusal.details),
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    });
  }

  #shape(view: View) {
    return shapeOf(view.version.schema);
  }

  #writer(view: View, options: WriteOptions) {
    return {
      manager: options.manager,
      subresource: options.subresource ?? '',
      apiVersion: apiVersionOf(view.kind.group, view.version.name),
      now: this.#clock.now(),
    };
  }
}

/** Whether something has still to happen before a doomed object may go. */
const isHeld = (kind: Kind, object: Obj): boolean =>
  finalizersOf(object).length > 0 ||
  (kind.group === '' && kind.kind === 'Namespace' && asList(at(object, 'spec', 'finalizers')).length > 0);

const nameMismatch = 'the name of the object does not match the name on the URL';

/** What an update cannot change, whatever it says. */
const KEPT: readonly string[] = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'generateName',
  'generation',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
];

const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const suffix = (): string => [...randomBytes(5)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');

function onlyStatus(object: Obj): Obj {
  return fields({
    apiVersion: object['apiVersion'] as Value,
    kind: object['kind'] as Value,
    metadata: fields({}),
    status: object['status'],
  });
}

function withoutStatus(view: View, object: Obj, options: WriteOptions): Obj {
  if (!view.version.status || options.subresource !== undefined) return object;
  const copy = clone(object);
  delete copy['status'];
  return copy;
}

function withOwners(object: Obj, given: Obj): Obj {
  const copy = clone(object);
  const entries = meta(given)['managedFields'];
  if (!Array.isArray(entries)) return copy;
  const empty = entries.length === 1 && isFields(entries[0]) && Object.keys(entries[0]).length === 0;
  meta(copy)['managedFields'] = empty ? [] : clone(entries);
  return copy;
}

/** Whether a write would change nothing but the time in its record. */
function unchanged(before: Obj, after: Obj, owners: readonly Owner[]): boolean {
  const bare = (object: Obj): Obj => {
    const metadata = Object.assign(Object.create(null) as Fields, meta(object));
    delete metadata['managedFields'];
    return Object.assign(Object.create(null) as Obj, object, { metadata });
  };
  if (!equal(bare(before), bare(after))) return false;
  const old = readOwners(before);
  const kept = owners.filter((owner) => owner.set.below.size > 0);
  return (
    old.length === kept.length &&
    kept.every((owner) =>
      old.some(
        (one) => sameOwner(one, owner) && one.apiVersion === owner.apiVersion && sameSet(one.set, owner.set),
      ),
    )
  );
}
