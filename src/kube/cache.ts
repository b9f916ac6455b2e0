/**
 * The objects of one kind, kept in memory by a list and a watch that go on until they are stopped. It never blocks on the
 * server and never empties itself because the server is away: what was last known stays until something newer is heard.
 */

import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Backoff, backoff } from '../base/retry.ts';
import type { Kube, KubeObject, ListOptions, Resource } from './kube.ts';
import { type Packed, Packer, unpack } from './packed.ts';

export interface CacheOptions {
  readonly kube: Pick<Kube, 'list' | 'watch'>;
  readonly resource: Resource;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly metadataOnly?: boolean;
  readonly pageSize?: number;
  /** What is kept of an object; absent: all of it. */
  readonly trim?: (object: KubeObject) => KubeObject;
  /** Named ways to find objects: each gives the values that an object is found under. */
  readonly indexes?: Readonly<Record<string, (object: KubeObject) => readonly string[]>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  readonly backoff?: Backoff;
}

/** `old` is absent for what is new, `new` for what is gone. An object made again under its name comes as both, in two calls. */
export interface CacheChange {
  readonly old?: KubeObject;
  readonly new?: KubeObject;
}

export interface Cache {
  readonly resource: Resource;
  /** Lists and watches until the signal is aborted; then resolves. Called once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the first list is in. Rejects with the signal's reason. */
  synced(signal?: AbortSignal): Promise<void>;
  readonly isSynced: boolean;
  /** Why the server is not being heard at the moment; undefined while all is well. */
  readonly trouble: Error | undefined;
  /** A copy: objects are kept packed. */
  get(namespace: string | undefined, name: string): KubeObject | undefined;
  list(namespace?: string): readonly KubeObject[];
  readonly size: number;
  /** As `list`, one at a time: for who looks at all of them, and keeps none. */
  each(): Iterable<KubeObject>;
  byIndex(index: string, value: string): readonly KubeObject[];
  /** Called after the cache has changed, in order. Gives what takes the listener away. */
  onChange(listener: (change: CacheChange) => void): () => void;
}

const RELIST: Backoff = { baseMs: 200, maxMs: 30_000 };
/** A watch that lived this long was no failure, however it ended. */
const HEALTHY_MS = 5000;

/** Joined, as a text made of a template is kept as its pieces beside the whole. */
const cacheKey = (namespace: string | undefined, name: string): string => [namespace ?? '', name].join('/');
const keyOf = (object: KubeObject): string => cacheKey(object.metadata.namespace, object.metadata.name);

export function createCache(options: CacheOptions): Cache {
  const { kube, resource, clock, log } = options;
  const packer = new Packer();
  const objects = new Map<string, Packed>();
  const listeners = new Set<(change: CacheChange) => void>();
  const index = createIndex(options.indexes ?? {});
  let first: (() => void) | undefined;
  let isSynced = false;
  let trouble: Error | undefined;
  const syncedOnce = new Promise<void>((resolve) => {
    first = resolve;
  });

  const asked: ListOptions = {
    resource,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
    ...(options.metadataOnly === undefined ? {} : { metadataOnly: options.metadataOnly }),
  };

  const tell = (change: CacheChange): void => {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        // A listener's fault must not cost the others the change, nor the cache its watch.
        log.error('a listener of the cache failed', { kind: resource.kind, code: asFailure(error).code });
      }
    }
  };

  const trimmed = (object: KubeObject): KubeObject => options.trim?.(object) ?? object;

  const known = (key: string): KubeObject | undefined => {
    const packed = objects.get(key);
    return packed === undefined ? undefined : unpack(packed);
  };

  const keep = (key: string, packed: Packed | undefined): void => {
    const before = objects.get(key);
    if (packed === undefined) objects.delete(key);
    else objects.set(key, packed);
    if (before !== undefined) packer.release(before);
  };

  const put = (object: KubeObject): void => {
    const key = keyOf(object);
    const old = known(key);
    const { uid, resourceVersion } = object.metadata;
    const remade = old !== undefined && old.metadata.uid !== uid;
    if (
      old !== undefined &&
      !remade &&
      resourceVersion !== undefined &&
      old.metadata.resourceVersion === resourceVersion
    )
      return;
    if (remade) remove(key, old);
    keep(key, packer.pack(object));
    index.move(key, remade ? undefined : old, object);
    tell(old === undefined || remade ? { new: object } : { old, new: object });
  };

  const remove = (key: string, last?: KubeObject): void => {
    const old = known(key);
    if (old === undefined) return;
    keep(key, undefined);
    index.move(key, old, undefined);
    tell({ old: last ?? old });
  };

  /** All pages of one list; gives the version to watch from. What is no longer listed is gone. */
  const relist = async (signal: AbortSignal): Promise<string> => {
    const present = new Set<string>();
    const listed: Packed[] = [];
    const pages = new Packer();
    let next: string | undefined;
    let resourceVersion = '';
    do {
      const page = await kube.list(
        { ...asked, limit: options.pageSize ?? 500, ...(next === undefined ? {} : { continue: next }) },
        signal,
      );
      for (const item of page.items) {
        present.add(keyOf(item));
        listed.push(pages.pack(trimmed(item)));
      }
      resourceVersion = page.resourceVersion;
      next = page.continue;
    } while (next !== undefined);
    for (const key of [...objects.keys()]) if (!present.has(key)) remove(key);
    for (const packed of listed) put(unpack(packed));
    isSynced = true;
    first?.();
    return resourceVersion;
  };

  /** Follows a watch to its end. Gives the version to go on from, or undefined where a new list is needed. */
  const follow = async (
    from: string,
    signal: AbortSignal,
    heard: () => void,
    progress: (version: string) => void,
  ): Promise<boolean> => {
    for await (const event of kube.watch({ ...asked, resourceVersion: from }, signal)) {
      if (event.type === 'GONE') return false;
      heard();
      if (event.type === 'BOOKMARK') {
        progress(event.resourceVersion);
        continue;
      }
      const { object } = event;
      if (event.type === 'DELETED') {
        const key = keyOf(object);
        // An old object's farewell must not take the new one of its name away.
        if (known(key)?.metadata.uid === object.metadata.uid) remove(key, object);
      } else {
        put(trimmed(object));
      }
      if (object.metadata.resourceVersion !== undefined) progress(object.metadata.resourceVersion);
    }
    return true;
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    let version: string | undefined;
    let attempt = 0;
    while (!signal.aborted) {
      const began = clock.monotonic();
      let heard = false;
      try {
        version ??= await relist(signal);
        const resumable = await follow(
          version,
          signal,
          () => {
            heard = true;
            trouble = undefined;
          },
          (newer) => {
            version = newer;
          },
        );
        if (!resumable) version = undefined;
        trouble = undefined;
      } catch (error) {
        if (signal.aborted) return;
        const told = asFailure(error);
        if (trouble?.message !== told.message)
          log.warn('the Kubernetes API is not being heard', { kind: resource.kind, reason: told.message });
        trouble = told;
        // A version that the server refuses for another reason than age would be refused for ever.
        if (told.kind === 'invalid' || told.code === 'kube.gone') version = undefined;
      }
      if (signal.aborted) return;
      const healthy =
        trouble === undefined && version !== undefined && (heard || clock.monotonic() - began >= HEALTHY_MS);
      attempt = healthy ? 0 : attempt + 1;
      const wait = healthy ? 0 : backoff(attempt - 1, options.backoff ?? RELIST, options.random);
      if (wait > 0) await pause(clock, wait, signal);
    }
  };

  return {
    resource,
    run,
    synced: (signal) => (signal === undefined ? syncedOnce : orAborted(syncedOnce, signal)),
    get isSynced() {
      return isSynced;
    },
    get trouble() {
      return trouble;
    },
    get: (namespace, name) => known(cacheKey(namespace, name)),
    list: (namespace) => {
      const within = namespace === undefined ? '' : cacheKey(namespace, '');
      return [...objects].flatMap(([key, packed]) => (key.startsWith(within) ? [unpack(packed)] : []));
    },
    get size() {
      return objects.size;
    },
    *each() {
      for (const packed of objects.values()) yield unpack(packed);
    },
    byIndex: (name, value) => index.keys(name, value).flatMap((key) => known(key) ?? []),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function createIndex(by: Readonly<Record<string, (object: KubeObject) => readonly string[]>>) {
  // Most values are those of one object, and a set for each would be most of the index.
  const tables = new Map(Object.keys(by).map((name) => [name, new Map<string, string | Set<string>>()]));
  const add = (table: Map<string, string | Set<string>>, value: string, key: string): void => {
    const keys = table.get(value);
    if (keys === undefined) table.set(value, key);
    else if (typeof keys !== 'string') keys.add(key);
    else if (keys !== key) table.set(value, new Set([keys, key]));
  };
  const remove = (table: Map<string, string | Set<string>>, value: string, key: string): void => {
    const keys = table.get(value);
    if (keys === key) table.delete(value);
    else if (typeof keys === 'object') {
      keys.delete(key);
      if (keys.size === 0) table.delete(value);
    }
  };
  return {
    keys(name: string, value: string): readonly string[] {
      const keys = tables.get(name)?.get(value) ?? [];
      return typeof keys === 'string' ? [keys] : [...keys];
    },
    move(key: string, old: KubeObject | undefined, now: KubeObject | undefined): void {
      for (const [name, table] of tables) {
        for (const value of old === undefined ? [] : (by[name]?.(old) ?? [])) remove(table, value, key);
        for (const value of now === undefined ? [] : (by[name]?.(now) ?? [])) add(table, value, key);
      }
    },
  };
}

/** Waits by the clock that was handed in; ends early, quietly, when the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const cancel = clock.after(ms, done);
    function done(): void {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}

function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    promise.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, reject);
  });
}
