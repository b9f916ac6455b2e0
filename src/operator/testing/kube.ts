/**
 * A Kubernetes API in memory, for tests of controllers: versions, generations, conflicts, finalizers, owner references,
 * field managers of Secrets, status subresource, watches. It can be told to fail, and counts what it was asked.
 */

import { randomUUID } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import type {
  Kube,
  KubeObject,
  List,
  ListOptions,
  ManagedFields,
  Meta,
  Name,
  WatchEvent,
} from '../../kube/kube.ts';

type Op = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface Call {
  readonly op: Op;
  readonly kind: string;
  readonly name: string;
  readonly subresource?: string;
}

interface Watching {
  readonly options: ListOptions;
  push(event: WatchEvent): void;
}

export class FakeKube implements Kube {
  /** How often an object was read by its name. */
  gets = 0;
  readonly calls: Call[] = [];
  /** Throws to make the call fail. */
  fault: (call: Call) => void = () => {};
  readonly #objects = new Map<string, KubeObject>();
  readonly #watching = new Set<Watching>();
  #revision = 1;
  readonly #now: () => number;

  constructor(now: () => number = () => Date.now()) {
    this.#now = now;
  }

  // ---- what a person at kubectl does

  /** Creates or replaces an object, spec and all, as `kubectl apply` would; status stays. */
  put(object: KubeObject): KubeObject {
    const key = keyOf(object.kind, object.metadata.namespace, object.metadata.name);
    const before = this.#objects.get(key);
    const { resourceVersion: _, ...metadata } = object.metadata;
    const status = object['status'] ?? before?.['status'];
    return this.#store(
      key,
      {
        ...object,
        ...(status === undefined ? {} : { status }),
        metadata: { ...before?.metadata, ...metadata },
      },
      'kubectl',
    );
  }

  read(kind: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(keyOf(kind, namespace, name));
  }

  all(kind: string): KubeObject[] {
    return [...this.#objects.values()].filter((object) => object.kind === kind);
  }

  remove(kind: string, namespace: string | undefined, name: string): void {
    const key = keyOf(kind, namespace, name);
    const object = this.#objects.get(key);
    if (object !== undefined) this.#delete(key, object);
  }

  /** Ends every watch, as a server that restarts does. */
  dropWatches(): void {
    for (const watching of this.#watching) watching.push({ type: 'GONE' });
  }

  count(op: Op, kind?: string): number {
    return this.calls.filter((call) => call.op === op && (kind === undefined || call.kind === kind)).length;
  }

  // ---- the API

  async get(name: Name): Promise<KubeObject | undefined> {
    this.gets++;
    this.#called('get', name);
    return this.#objects.get(keyOfName(name));
  }

  async list(options: ListOptions): Promise<List> {
    this.#called('list', { resource: options.resource, name: '' });
    return {
      items: [...this.#objects.values()]
        .filter((object) => matches(object, options))
        .map((o) => shown(o, options)),
      resourceVersion: String(this.#revision),
    };
  }

  async *watch(
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent> {
    this.#called('watch', { resource: options.resource, name: '' });
    const queue: WatchEvent[] = [];
    let wake = (): void => {};
    const watching: Watching = {
      options,
      push: (event) => {
        queue.push(event);
        wake();
      },
    };
    this.#watching.add(watching);
    const stop = (): void => wake();
    signal.addEventListener('abort', stop);
    try {
      // What changed between the list and the watch.
      for (const object of this.#objects.values()) {
        if (
          matches(object, options) &&
          Number(object.metadata.resourceVersion) > Number(options.resourceVersion)
        ) {
          queue.push({ type: 'MODIFIED', object: shown(object, options) });
        }
      }
      for (;;) {
        const event = queue.shift();
        if (signal.aborted) return;
        if (event === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        yield event;
        if (event.type === 'GONE') return;
      }
    } finally {
      this.#watching.delete(watching);
      signal.removeEventListener('abort', stop);
    }
  }

  async create(
    name: Name,
    object: object,
    options: { readonly manager?: string; readonly subresource?: string } = {},
  ): Promise<KubeObject> {
    this.#called('create', name, options.subresource);
    if (options.subresource === 'token') {
      return { ...(object as KubeObject), status: { token: `token-of-${name.namespace}/${name.name}` } };
    }
    const given = object as KubeObject;
    const named = {
      ...given.metadata,
      name: name.name || `${given.metadata.generateName ?? ''}${this.#revision}`,
    };
    const key = keyOf(name.resource.kind, name.namespace, named.name);
    if (this.#objects.has(key)) throw refusal('exists', key);
    return this.#store(key, { ...given, metadata: named }, options.manager ?? 'test');
  }

  async update(
    name: Name,
    object: KubeObject,
    options: { readonly manager?: string; readonly subresource?: string } = {},
  ): Promise<KubeObject> {
    this.#called('update', name, options.subresource);
    const key = keyOfName(name);
    const before = this.#objects.get(key);
    const version = object.metadata.resourceVersion;
    if (before === undefined) throw refusal('missing', key);
    if (version !== undefined && version !== before.metadata.resourceVersion) {
      throw refusal('conflict', key);
    }
    if (before['immutable'] === true && JSON.stringify(before['data']) !== JSON.stringify(object['data'])) {
      throw failure('kube.invalid', {
        request: key,
        reason: 'data: Forbidden: field is immutable when `immutable` is set',
      });
    }
    return this.#store(key, object, options.manager ?? 'test');
  }

  async patch(
    name: Name,
    patch: object,
    options: { readonly manager?: string; readonly subresource?: string } = {},
  ): Promise<KubeObject> {
    this.#called('patch', name, options.subresource);
    const key = keyOfName(name);
    const before = this.#objects.get(key);
    if (before === undefined) throw refusal('missing', key);
    const given = patch as { metadata?: Partial<Meta>; status?: object };
    const version = given.metadata?.resourceVersion;
    if (version !== undefined && version !== before.metadata.resourceVersion) {
      throw refusal('conflict', key);
    }
    if (options.subresource === 'status') {
      return this.#store(key, { ...before, status: merged(before['status'], given.status) }, 'test');
    }
    return this.#store(key, merged(before, patch) as KubeObject, options.manager ?? 'test');
  }

  async apply(): Promise<KubeObject> {
    throw failure('base.internal');
  }

  async delete(
    name: Name,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string } = {},
  ): Promise<boolean> {
    this.#called('delete', name);
    const object = this.#objects.get(keyOfName(name));
    if (object === undefined) return false;
    if (preconditions.uid !== undefined && preconditions.uid !== object.metadata.uid) return false;
    this.#delete(keyOfName(name), object);
    return true;
  }

  // ---- inside

  #called(op: Op, name: { resource: { kind: string }; name: string }, subresource?: string): void {
    const call = {
      op,
      kind: name.resource.kind,
      name: name.name,
      ...(subresource === undefined ? {} : { subresource }),
    };
    this.calls.push(call);
    this.fault(call);
  }

  #store(key: string, object: KubeObject, manager: string): KubeObject {
    const before = this.#objects.get(key);
    const changed = JSON.stringify(before?.['spec']) !== JSON.stringify(object['spec']);
    const face = (o: KubeObject | undefined): string => {
      if (o === undefined) return '';
      const { resourceVersion: _r, managedFields: _m, ...metadata } = o.metadata;
      return JSON.stringify({ ...o, metadata });
    };
    if (
      before !== undefined &&
      face(before) === face({ ...object, metadata: { ...before.metadata, ...object.metadata } })
    ) {
      return before;
    }
    const metadata: Meta = {
      ...object.metadata,
      uid: before?.metadata.uid ?? object.metadata.uid ?? randomUUID(),
      resourceVersion: String(++this.#revision),
      generation: (before?.metadata.generation ?? 0) + (changed || before === undefined ? 1 : 0),
      creationTimestamp: before?.metadata.creationTimestamp ?? new Date(this.#now()).toISOString(),
      ...(object.kind === 'Secret' ? { managedFields: managed(before, object, manager) } : {}),
    };
    const stored = { ...object, metadata };
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
      this.#gone(key, stored);
      return stored;
    }
    this.#objects.set(key, stored);
    this.#tell(before === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  #delete(key: string, object: KubeObject): void {
    if ((object.metadata.finalizers ?? []).length > 0) {
      if (object.metadata.deletionTimestamp !== undefined) return;
      const deletionTimestamp = new Date(this.#now()).toISOString();
      this.#store(key, { ...object, metadata: { ...object.metadata, deletionTimestamp } }, 'test');
      return;
    }
    this.#gone(key, object);
  }

  #gone(key: string, object: KubeObject): void {
    this.#objects.delete(key);
    this.#revision++;
    this.#tell('DELETED', object);
    for (const [other, child] of [...this.#objects]) {
      if (child.metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid))
        this.#delete(other, child);
    }
  }

  #tell(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    for (const watching of this.#watching) {
      if (matches(object, watching.options)) watching.push({ type, object: shown(object, watching.options) });
    }
  }
}

const keyOf = (kind: string, namespace: string | undefined, name: string): string =>
  `${kind}/${namespace ?? ''}/${name}`;
const refusal = (what: 'exists' | 'missing' | 'conflict', key: string) =>
  failure(`kube.${what}`, { request: key, reason: what });
const keyOfName = (name: Name): string => keyOf(name.resource.kind, name.namespace, name.name);

const matches = (object: KubeObject, { resource, namespace, labelSelector }: ListOptions): boolean =>
  object.kind === resource.kind &&
  (namespace === undefined || object.metadata.namespace === namespace) &&
  (labelSelector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [key = '', value] = term.split('=');
      return object.metadata.labels?.[key] === value;
    });

const shown = (object: KubeObject, { metadataOnly }: ListOptions): KubeObject =>
  metadataOnly === true
    ? { apiVersion: object.apiVersion, kind: object.kind, metadata: object.metadata }
    : object;

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const out: Record<string, unknown> = {
    ...(typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {}),
  };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else if (value !== undefined) out[key] = merged(out[key], value);
  }
  return out;
}

/** Who set which key of a Secret: a key passes to whoever changes its value. */
function managed(before: KubeObject | undefined, after: KubeObject, manager: string): ManagedFields[] {
  type Texts = Record<string, string>;
  const faces = [
    ['data', (o: KubeObject | undefined) => (o?.['data'] ?? {}) as Texts],
    ['labels', (o: KubeObject | undefined) => (o?.metadata.labels ?? {}) as Texts],
    ['annotations', (o: KubeObject | undefined) => (o?.metadata.annotations ?? {}) as Texts],
  ] as const;
  const owned = new Map<string, Record<string, string[]>>();
  const give = (to: string, face: string, key: string): void => {
    const fields = owned.get(to) ?? {};
    fields[face] = [...(fields[face] ?? []), key];
    owned.set(to, fields);
  };
  for (const [face, of] of faces) {
    const old = of(before);
    for (const [key, value] of Object.entries(of(after))) {
      const holders = (before?.metadata.managedFields ?? []).filter((entry) => {
        const node =
          face === 'data' ? entry.fieldsV1['f:data'] : (entry.fieldsV1['f:metadata'] as Texts)?.[`f:${face}`];
        return Object.hasOwn((node ?? {}) as object, `f:${key}`);
      });
      if (old[key] === value && holders.length > 0)
        for (const holder of holders) give(holder.manager, face, key);
      else give(manager, face, key);
    }
  }
  const node = (keys: readonly string[] | undefined): object =>
    Object.fromEntries((keys ?? []).map((key) => [`f:${key}`, {}]));
  return [...owned].map(([name, fields]) => ({
    manager: name,
    operation: 'Update',
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:data': node(fields['data']),
      'f:metadata': { 'f:labels': node(fields['labels']), 'f:annotations': node(fields['annotations']) },
    },
  }));
}
