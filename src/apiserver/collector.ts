/**
 * What Kubernetes' own controllers do behind an API server and clients count on: garbage collection by owner references,
 * emptying of namespaces and of deleted definitions, default service accounts, tokens in Secrets. Everything is driven by
 * the store's events; nothing polls. Work left by a crash is found again at the start.
 */

import { base64, utf8 } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import { CLEANUP } from './customkinds.ts';
import { idOf, type Kind } from './kinds.ts';
import { DEFINITIONS } from './kindset.ts';
import {
  asList,
  asText,
  at,
  clone,
  fields,
  finalizersOf,
  isDeleting,
  isFields,
  meta,
  nameOf,
  namespaceOf,
  type Obj,
  uidOf,
  type Value,
} from './objects.ts';
import type { DeleteOptions, Registry, WriteOptions } from './registry.ts';
import { Refusal } from './status.ts';
import type { Place, StoreEvent } from './store.ts';
import type { Tokens } from './tokens.ts';

const BACKGROUND: DeleteOptions = { propagation: 'Background', dryRun: false };
const OWN: WriteOptions = {
  manager: 'kube-controller-manager',
  dryRun: false,
  validation: 'Ignore',
  warn: () => {},
};

interface Dependent {
  readonly place: Place;
  readonly owners: readonly string[];
}

export class Collector {
  readonly #registry: Registry;
  readonly #tokens: Tokens;
  readonly #caPem: string;
  readonly #log: Log;
  readonly #uids = new Set<string>();
  /** Owner's uid -> keys of those it owns. */
  readonly #owned = new Map<string, Map<string, Dependent>>();
  readonly #owners = new Map<string, Dependent>();
  #queue: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(registry: Registry, tokens: Tokens, caPem: string, log: Log) {
    this.#registry = registry;
    this.#tokens = tokens;
    this.#caPem = caPem;
    this.#log = log;
  }

  /** Takes stock, finishes what was left undone, and follows the store from here on. Gives what ends it. */
  start(): () => Promise<void> {
    const { store } = this.#registry;
    const all: [Place, Obj][] = [];
    for (const resource of store.resources()) {
      for (const object of store.list(resource))
        all.push([{ resource, namespace: namespaceOf(object), name: nameOf(object) }, object]);
    }
    for (const [place, object] of all) this.#index(place, object);
    for (const [place, object] of all)
      this.#consider({ version: 0, place, before: undefined, after: object });
    const stop = store.onChange((event) => this.#consider(event));
    return async () => {
      this.#closed = true;
      stop();
      await this.#running;
    };
  }

  /** Resolves when nothing is left to do. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #index(place: Place, object: Obj | undefined): void {
    const key = `${place.resource}/${place.namespace}/${place.name}`;
    const old = this.#owners.get(key);
    if (old !== undefined) {
      for (const uid of old.owners) {
        const group = this.#owned.get(uid);
        group?.delete(key);
        if (group?.size === 0) this.#owned.delete(uid);
      }
      this.#owners.delete(key);
    }
    if (object === undefined) return;
    this.#uids.add(uidOf(object));
    const owners = asList(meta(object)['ownerReferences']).map((owner) => asText(at(owner, 'uid')) ?? '');
    if (owners.length === 0) return;
    const dependent = { place, owners };
    this.#owners.set(key, dependent);
    for (const uid of owners) {
      const group = this.#owned.get(uid) ?? new Map<string, Dependent>();
      group.set(key, dependent);
      this.#owned.set(uid, group);
    }
  }

  #consider(event: StoreEvent): void {
    const { place, before, after } = event;
    if (after === undefined) {
      this.#index(place, undefined);
      const uid = before === undefined ? '' : uidOf(before);
      this.#uids.delete(uid);
      for (const dependent of this.#owned.get(uid)?.values() ?? [])
        this.#add(() => this.#judge(dependent.place));
      this.#release(before);
      return;
    }
    this.#index(place, after);
    if (asList(meta(after)['ownerReferences']).length > 0 && !isDeleting(after))
      this.#add(() => this.#judge(place));
    if (isDeleting(after)) this.#dismiss(place, after);
    else if (before === undefined) this.#welcome(place, after);
  }

  /** What holds an object back from going, and is ours to finish. */
  #dismiss(place: Place, object: Obj): void {
    const finalizers = finalizersOf(object);
    if (place.resource === 'core/namespaces') this.#add(() => this.#emptyNamespace(nameOf(object)));
    if (finalizers.includes('orphan')) this.#add(() => this.#orphan(place, object));
    if (finalizers.includes('foregroundDeletion')) this.#add(() => this.#foreground(place, object));
    if (place.resource === DEFINITIONS && finalizers.includes(CLEANUP))
      this.#add(() => this.#emptyDefinition(place, object));
  }

  /** Something went: who waited for it to go? */
  #release(gone: Obj | undefined): void {
    if (gone === undefined) return;
    const { store } = this.#registry;
    const namespace = namespaceOf(gone);
    const holder = store.get({ resource: 'core/namespaces', namespace: '', name: namespace });
    if (namespace !== '' && holder !== undefined && isDeleting(holder))
      this.#add(() => this.#emptyNamespace(namespace));
    for (const owner of asList(meta(gone)['ownerReferences'])) {
      const place = this.#placeOf(owner, namespace);
      const found = place === undefined ? undefined : store.get(place);
      if (place !== undefined && found !== undefined && isDeleting(found)) this.#dismiss(place, found);
    }
    const kind = this.#kindOf(gone);
    if (kind !== undefined && !kind.builtIn) {
      const place = { resource: DEFINITIONS, namespace: '', name: `${kind.plural}.${kind.group}` };
      const definition = store.get(place);
      if (definition !== undefined && isDeleting(definition)) this.#dismiss(place, definition);
    }
  }

  #kindOf(object: Obj): Kind | undefined {
    const apiVersion = asText(object['apiVersion']) ?? '';
    const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
    return this.#registry.kinds.all.find(
      (kind) => kind.group === group && kind.kind === object['kind'] && kind.alias === undefined,
    );
  }

  #placeOf(owner: Value, namespace: string): Place | undefined {
    if (!isFields(owner)) return undefined;
    const kind = this.#kindOf(owner);
    return kind === undefined
      ? undefined
      : {
          resource: idOf(kind),
          namespace: kind.namespaced ? namespace : '',
          name: asText(owner['name']) ?? '',
        };
  }

  #add(job: () => Promise<void>): void {
    if (this.#closed) return;
    this.#queue.push(job);
    this.#running ??= this.#work();
  }

  async #work(): Promise<void> {
    await Promise.resolve();
    while (this.#queue.length > 0 && !this.#closed) {
      const jobs = this.#queue.splice(0, 32);
      await Promise.all(
        jobs.map((job) =>
          job().catch((error: unknown) => {
            // Somebody else was faster: the event of their write brings us back here.
            if (error instanceof Refusal) return;
            this.#log.error('a controller of the embedded Kubernetes API failed', { error });
          }),
        ),
      );
    }
    this.#running = undefined;
  }

  async #delete(place: Place, options: DeleteOptions): Promise<void> {
    const kind = this.#registry.kinds.byId(place.resource);
    const view = kind === undefined ? undefined : this.#registry.kinds.stored(kind);
    if (view !== undefined) await this.#registry.delete(view, place.namespace, place.name, options);
    else await this.#registry.store.mutate(place, () => 'delete');
  }

  /** Deletes an object whose owners are all gone; forgets those owners that are gone where one is left. */
  async #judge(place: Place): Promise<void> {
    const object = this.#registry.store.get(place);
    if (object === undefined || isDeleting(object)) return;
    const owners = asList(meta(object)['ownerReferences']);
    if (owners.length === 0) return;
    const alive = owners.filter((owner) => this.#lives(owner, place.namespace));
    if (alive.length === owners.length) return;
    if (alive.length === 0) {
      await this.#delete(place, { ...BACKGROUND, uid: uidOf(object) });
      return;
    }
    await this.#change(place, (next) => {
      meta(next)['ownerReferences'] = asList(meta(next)['ownerReferences']).filter((owner) =>
        alive.some((one) => at(one, 'uid') === at(owner, 'uid')),
      );
    });
  }

  /** An owner of another namespace is none; one of a kind that is not known here might be served elsewhere. */
  #lives(owner: Value, namespace: string): boolean {
    const place = this.#placeOf(owner, namespace);
    if (place === undefined) return this.#uids.has(asText(at(owner, 'uid')) ?? '');
    const found = this.#registry.store.get(place);
    return found !== undefined && uidOf(found) === at(owner, 'uid');
  }

  async #orphan(place: Place, owner: Obj): Promise<void> {
    for (const dependent of [...(this.#owned.get(uidOf(owner))?.values() ?? [])]) {
      await this.#change(dependent.place, (next) => {
        const rest = asList(meta(next)['ownerReferences']).filter((one) => at(one, 'uid') !== uidOf(owner));
        if (rest.length === 0) delete meta(next)['ownerReferences'];
        else meta(next)['ownerReferences'] = rest;
      });
    }
    await this.#unfinalize(place, 'orphan');
  }

  async #foreground(place: Place, owner: Obj): Promise<void> {
    const blocking: Place[] = [];
    for (const dependent of [...(this.#owned.get(uidOf(owner))?.values() ?? [])]) {
      const object = this.#registry.store.get(dependent.place);
      if (object === undefined) continue;
      const references = asList(meta(object)['ownerReferences']);
      const others = references.filter((one) => at(one, 'uid') !== uidOf(owner));
      if (others.some((one) => this.#lives(one, dependent.place.namespace))) continue;
      const blocks = references.some(
        (one) => at(one, 'uid') === uidOf(owner) && at(one, 'blockOwnerDeletion') === true,
      );
      if (!isDeleting(object))
        await this.#delete(dependent.place, { propagation: 'Foreground', dryRun: false });
      if (blocks && this.#registry.store.get(dependent.place) !== undefined) blocking.push(dependent.place);
    }
    if (blocking.length === 0) await this.#unfinalize(place, 'foregroundDeletion');
  }

  async #emptyNamespace(name: string): Promise<void> {
    const { store } = this.#registry;
    let left = 0;
    for (const resource of store.resources()) {
      for (const object of store.list(resource, name)) {
        if (name === '' || namespaceOf(object) !== name) continue;
        const place = { resource, namespace: name, name: nameOf(object) };
        if (!isDeleting(object)) await this.#delete(place, BACKGROUND);
        if (store.get(place) !== undefined) left++;
      }
    }
    if (left > 0) return;
    await store.mutate({ resource: 'core/namespaces', namespace: '', name }, (current) => {
      if (current === undefined || !isDeleting(current)) return 'keep';
      if (finalizersOf(current).length === 0) return 'delete';
      const next = clone(current);
      next['spec'] = fields({});
      return asList(at(current, 'spec', 'finalizers')).length === 0 ? 'keep' : { put: next };
    });
  }

  async #emptyDefinition(place: Place, definition: Obj): Promise<void> {
    const { store } = this.#registry;
    const resource = `${asText(at(definition, 'spec', 'group')) ?? ''}/${asText(at(definition, 'spec', 'names', 'plural')) ?? ''}`;
    for (const object of store.list(resource)) {
      const one = { resource, namespace: namespaceOf(object), name: nameOf(object) };
      if (!isDeleting(object)) await this.#delete(one, BACKGROUND);
    }
    if (store.list(resource).length === 0) await this.#unfinalize(place, CLEANUP);
  }

  async #unfinalize(place: Place, finalizer: string): Promise<void> {
    await this.#registry.store.mutate(place, (current) => {
      if (current === undefined || !finalizersOf(current).includes(finalizer)) return 'keep';
      const next = clone(current);
      const rest = finalizersOf(current).filter((one) => one !== finalizer);
      if (rest.length === 0) delete meta(next)['finalizers'];
      else meta(next)['finalizers'] = rest;
      return rest.length === 0 && isDeleting(current) && place.resource !== 'core/namespaces'
        ? 'delete'
        : { put: next };
    });
  }

  async #change(place: Place, change: (next: Obj) => void): Promise<void> {
    await this.#registry.store.mutate(place, (current) => {
      if (current === undefined) return 'keep';
      const next = clone(current);
      change(next);
      return { put: next };
    });
  }

  #welcome(place: Place, object: Obj): void {
    if (place.resource === 'core/namespaces') this.#add(() => this.#furnish(nameOf(object)));
    if (place.resource === 'core/secrets' && object['type'] === 'kubernetes.io/service-account-token')
      this.#add(() => this.#fillToken(place));
    if (place.resource === 'core/serviceaccounts') {
      for (const secret of this.#registry.store.list('core/secrets', place.namespace)) {
        if (secret['type'] !== 'kubernetes.io/service-account-token') continue;
        this.#add(() =>
          this.#fillToken({ resource: 'core/secrets', namespace: place.namespace, name: nameOf(secret) }),
        );
      }
    }
  }

  /** Every namespace has a service account "default" and the authority's certificate. */
  async #furnish(namespace: string): Promise<void> {
    const make = async (plural: string, object: Obj): Promise<void> => {
      const view = this.#registry.kinds.find('', 'v1', plural);
      const place = { resource: `core/${plural}`, namespace, name: nameOf(object) };
      if (view !== undefined && this.#registry.store.get(place) === undefined)
        await this.#registry.create(view, namespace, object, OWN);
    };
    await make(
      'serviceaccounts',
      fields({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: fields({ name: 'default' }) }),
    );
    await make(
      'configmaps',
      fields({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: fields({ name: 'kube-root-ca.crt' }),
        data: fields({ 'ca.crt': this.#caPem }),
      }),
    );
  }

  async #fillToken(place: Place): Promise<void> {
    await this.#registry.store.mutate(place, async (current) => {
      if (current === undefined || isDeleting(current) || at(current, 'data', 'token') !== undefined)
        return 'keep';
      const name = asText(at(meta(current)['annotations'], 'kubernetes.io/service-account.name')) ?? '';
      const account = this.#registry.store.get({
        resource: 'core/serviceaccounts',
        namespace: place.namespace,
        name,
      });
      if (account === undefined) return 'keep';
      const next = clone(current);
      const token = await this.#tokens.issueLegacy(account, place.name);
      const data = { token, namespace: place.namespace, 'ca.crt': this.#caPem };
      next['data'] = fields(
        Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(utf8(value))])),
      );
      const annotations = meta(next)['annotations'];
      if (isFields(annotations)) annotations['kubernetes.io/service-account.uid'] = uidOf(account);
      return { put: next };
    });
  }
}
