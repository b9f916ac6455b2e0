/**
 * The objects, all of them in memory and each of them on the medium before its writer hears of it. One process owns the
 * medium, so memory is the truth while it runs. Versions are a count of our own, one for each write: a batch of writes
 * shares one durable commit but no two share a version, or a watch cut inside a batch would skip the rest of it.
 */

import { textOf, utf8 } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import { canKeep } from '../storage/keys.ts';
import type { Backend, Write } from '../storage/storage.ts';
import { type Fields, meta, type Obj, parseValue } from './objects.ts';
import { badRequest, expired } from './status.ts';

const PREFIX = 'kube/';
const OBJECTS = `${PREFIX}objects/`;
const HEAD = `${PREFIX}head`;

/** How much past a watch may resume over. Older than that: list again. */
const HISTORY = 20_000;

/** Where an object lives. `resource` is `group/plural`, with "core" for the core group. */
export interface Place {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

export interface StoreEvent {
  readonly version: number;
  readonly place: Place;
  /** Absent: it was created. */
  readonly before: Obj | undefined;
  /** Absent: it is gone; `before` then carries the version of its deletion. */
  readonly after: Obj | undefined;
}

/** What a mutation wants: the new object, "delete", or "keep" to leave all as it stands. */
export type Outcome = { readonly put: Obj } | 'delete' | 'keep';

interface Pending {
  readonly place: Place;
  readonly outcome: { put: Obj } | 'delete';
  readonly done: (event: StoreEvent) => void;
  readonly failed: (error: unknown) => void;
}

interface Shelf {
  readonly objects: Map<string, Obj>;
  sorted: string[] | undefined;
}

const slot = (place: Place): string => `${place.namespace}/${place.name}`;
const keyOf = (place: Place): string =>
  `${OBJECTS}${place.resource}/${place.namespace === '' ? '_' : place.namespace}/${place.name}`;

export class ObjectStore {
  readonly #backend: Backend;
  readonly #log: Log;
  readonly #shelves = new Map<string, Shelf>();
  readonly #locks = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #pending: Pending[] = [];
  #flushing = false;
  #history: StoreEvent[] = [];
  #oldest = 0;
  #head = 0;

  private constructor(backend: Backend, log: Log) {
    this.#backend = backend;
    this.#log = log;
  }

  static async open(backend: Backend, log: Log): Promise<ObjectStore> {
    const store = new ObjectStore(backend, log);
    await store.#load();
    return store;
  }

  async #load(): Promise<void> {
    const head = await this.#backend.get(HEAD);
    this.#head = head === undefined ? 0 : Number(textOf(head.value) ?? '0');
    for await (const entry of this.#backend.scan(OBJECTS, new AbortController().signal)) {
      const key = entry.key.startsWith(OBJECTS) ? entry.key.slice(OBJECTS.length) : entry.key;
      const parts = key.split('/');
      const [group, plural, namespace, name] = parts;
      const text = textOf(entry.value);
      if (
        group === undefined ||
        plural === undefined ||
        namespace === undefined ||
        name === undefined ||
        text === undefined
      ) {
        this.#log.warn('an entry of the embedded Kubernetes API does not read', { key: entry.key });
        continue;
      }
      const object = parseValue(text) as Fields;
      const place = { resource: `${group}/${plural}`, namespace: namespace === '_' ? '' : namespace, name };
      this.#shelf(place.resource).objects.set(slot(place), object);
      this.#head = Math.max(this.#head, Number(meta(object)['resourceVersion'] ?? 0));
    }
    this.#oldest = this.#head;
  }

  /** The version of the newest write. */
  get head(): number {
    return Math.max(this.#head, 1);
  }

  #shelf(resource: string): Shelf {
    let shelf = this.#shelves.get(resource);
    if (shelf === undefined) {
      shelf = { objects: new Map(), sorted: undefined };
      this.#shelves.set(resource, shelf);
    }
    return shelf;
  }

  get(place: Place): Obj | undefined {
    return this.#shelves.get(place.resource)?.objects.get(slot(place));
  }

  /** All objects of a resource, of one namespace where it is given, ordered by namespace and name. */
  list(resource: string, namespace?: string): Obj[] {
    const shelf = this.#shelves.get(resource);
    if (shelf === undefined) return [];
    shelf.sorted ??= [...shelf.objects.keys()].sort();
    const wanted = namespace === undefined ? undefined : `${namespace}/`;
    const found: Obj[] = [];
    for (const key of shelf.sorted) {
      if (wanted !== undefined && !key.startsWith(wanted)) continue;
      const object = shelf.objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  resources(): string[] {
    return [...this.#shelves.keys()];
  }

  /**
   * Decides what becomes of one object, alone with it: no other mutation of the same place runs meanwhile. Resolves when
   * the outcome is durable; what `decide` throws leaves everything as it was.
   */
  async mutate(
    place: Place,
    decide: (current: Obj | undefined) => Outcome | Promise<Outcome>,
  ): Promise<StoreEvent | undefined> {
    const key = keyOf(place);
    // A name that the medium refuses would fail the commit of every other writer in its batch.
    if (!canKeep(key)) throw badRequest('the names of the object are too long to be kept');
    const before = this.#locks.get(key);
    let release: () => void = () => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#locks.set(key, mine);
    try {
      await before;
      const outcome = await decide(this.get(place));
      if (outcome === 'keep') return undefined;
      if (outcome === 'delete' && this.get(place) === undefined) return undefined;
      return await this.#write(place, outcome === 'delete' ? 'delete' : { put: outcome.put });
    } finally {
      if (this.#locks.get(key) === mine) this.#locks.delete(key);
      release();
    }
  }

  #write(place: Place, outcome: Pending['outcome']): Promise<StoreEvent> {
    return new Promise((done, failed) => {
      this.#pending.push({ place, outcome, done, failed });
      if (!this.#flushing) void this.#flush();
    });
  }

  /** Writes what waits in one commit, again until nothing waits: many writers share one fsync. */
  async #flush(): Promise<void> {
    this.#flushing = true;
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      let version = this.#head;
      const events: StoreEvent[] = [];
      const writes: Write[] = [];
      for (const { place, outcome } of batch) {
        version++;
        const before = this.get(place);
        const stamped = stamp(outcome === 'delete' ? (before as Obj) : outcome.put, version);
        const key = keyOf(place);
        if (outcome === 'delete') {
          writes.push({ key, delete: true });
          events.push({ version, place, before: stamped, after: undefined });
        } else {
          writes.push({ key, value: utf8(JSON.stringify(stamped)) });
          events.push({ version, place, before, after: stamped });
        }
      }
      writes.push({ key: HEAD, value: utf8(String(version)) });
      try {
        await this.#backend.commit(writes);
      } catch (error) {
        for (const pending of batch) pending.failed(error);
        continue;
      }
      this.#head = version;
      for (const [i, event] of events.entries()) {
        this.#remember(event);
        batch[i]?.done(event);
      }
      for (const event of events) for (const listener of [...this.#listeners]) listener(event);
    }
    this.#flushing = false;
  }

  #remember(event: StoreEvent): void {
    const shelf = this.#shelf(event.place.resource);
    const key = slot(event.place);
    if (event.after === undefined) {
      shelf.objects.delete(key);
      shelf.sorted = undefined;
    } else {
      if (!shelf.objects.has(key)) shelf.sorted = undefined;
      shelf.objects.set(key, event.after);
    }
    this.#history.push(event);
    if (this.#history.length > HISTORY * 2) {
      const dropped = this.#history.splice(0, HISTORY);
      this.#oldest = dropped[dropped.length - 1]?.version ?? this.#oldest;
    }
  }

  /** What happened after a version, in order. @throws Refusal Expired when that is no longer known */
  since(version: number, resource: string): StoreEvent[] {
    this.assertKnown(version);
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#history[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    return this.#history.slice(low).filter((event) => event.place.resource === resource);
  }

  /** @throws Refusal Expired */
  assertKnown(version: number): void {
    if (version < this.#oldest) throw expired(`too old resource version: ${version} (${this.#oldest})`);
  }

  /** Hears of every write, in order, after it is durable. Gives what ends it. */
  onChange(listener: (event: StoreEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A value that the server keeps for itself, beside the objects. */
  async keep(name: string, make: () => Promise<string>): Promise<string> {
    const key = `${PREFIX}own/${name}`;
    const kept = await this.#backend.get(key);
    const text = kept === undefined ? undefined : textOf(kept.value);
    if (text !== undefined) return text;
    const made = await make();
    await this.#backend.commit([{ key, value: utf8(made) }], [{ key, revision: 0 }]);
    return made;
  }
}

function stamp(object: Obj, version: number): Obj {
  const stamped: Obj = Object.assign(Object.create(null) as Obj, object);
  stamped['metadata'] = Object.assign(Object.create(null) as Fields, meta(object), {
    resourceVersion: String(version),
  });
  return stamped;
}
