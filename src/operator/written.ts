/**
 * What we wrote last, so that what is watched may be used in place of a question to the API server: it is as good as an
 * answer, unless we know of something newer. What others wrote a moment ago comes by the watch, and has us look again.
 */

import type { Cache } from '../kube/cache.ts';
import type { Kube, KubeObject, Name } from '../kube/kube.ts';

interface Last {
  readonly resourceVersion?: string | undefined;
  /** The UID of what we deleted. */
  readonly deleted?: string | undefined;
}

/** What is forgotten costs a second read at worst. */
const REMEMBERED = 20_000;

export class Written {
  readonly #last = new Map<string, Last>();

  /** The same API, of which each write is noted. */
  noting(kube: Kube): Kube {
    const noted = async (name: Name, writing: Promise<KubeObject>): Promise<KubeObject> => {
      const object = await writing;
      this.#note(name, { resourceVersion: object.metadata.resourceVersion });
      return object;
    };
    return {
      get: (name, signal) => kube.get(name, signal),
      list: (options, signal) => kube.list(options, signal),
      watch: (options, signal) => kube.watch(options, signal),
      create: (name, object, options) =>
        // What is asked of a subresource says nothing about the object's version.
        options?.subresource === undefined
          ? noted(name, kube.create(name, object, options))
          : kube.create(name, object, options),
      update: (name, object, options) => noted(name, kube.update(name, object, options)),
      patch: (name, patch, options) => noted(name, kube.patch(name, patch, options)),
      apply: (name, object, options) => noted(name, kube.apply(name, object, options)),
      delete: async (name, preconditions) => {
        const was = await kube.delete(name, preconditions);
        this.#note(name, { deleted: preconditions?.uid });
        return was;
      },
    };
  }

  /** The object as it is watched; undefined where the server has to be asked: it knows something newer. */
  watched(cache: Cache, name: Name): { readonly object: KubeObject | undefined } | undefined {
    if (!cache.isSynced || cache.trouble !== undefined) return undefined;
    const object = cache.get(name.resource.namespaced ? name.namespace : undefined, name.name);
    const key = keyOf(name);
    const last = this.#last.get(key);
    if (last === undefined) return { object };
    if (!caughtUp(object, last)) return undefined;
    this.#last.delete(key);
    return { object };
  }

  /** Whether what is heard of an object is our own last write of it, and so no news. */
  isEcho(name: Name, heard: KubeObject): boolean {
    const last = this.#last.get(keyOf(name))?.resourceVersion;
    return last !== undefined && last === heard.metadata.resourceVersion;
  }

  #note(name: Name, last: Last): void {
    const key = keyOf(name);
    this.#last.delete(key);
    this.#last.set(key, last);
    if (this.#last.size <= REMEMBERED) return;
    for (const oldest of this.#last.keys()) return void this.#last.delete(oldest);
  }
}

function caughtUp(object: KubeObject | undefined, { resourceVersion, deleted }: Last): boolean {
  if (resourceVersion === undefined) return object === undefined || object.metadata.uid !== deleted;
  const seen = object?.metadata.resourceVersion;
  // Versions of one kind grow: an API server is free to call them otherwise, and then only the same one will do.
  return seen !== undefined && (seen === resourceVersion || Number(seen) > Number(resourceVersion));
}

const keyOf = ({ resource, namespace, name }: Name): string => `${resource.kind}/${namespace ?? ''}/${name}`;
