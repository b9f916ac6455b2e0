/**
 * Who reads what, and who is to read again before the interval is over. A change that a store tells of, or a changed
 * source, is a demand; it is taken when a reconcile begins and given back when that fails, so none is lost.
 */

/** Versions that must not be undercut, by path; the path "" is none: there is another reason. */
export interface Demand {
  readonly versions: ReadonlyMap<string, number>;
  /** How often it was given back. */
  readonly failures: number;
}

/**
 * A version that a store still does not have after so many tries is not insisted on any more: the secret was deleted with
 * all its versions and made anew, and that was not heard.
 */
const INSIST = 5;

export class Demands {
  readonly #demands = new Map<string, { readonly versions: Map<string, number>; failures: number }>();

  /**
   * The latest word on a path counts, not the highest version: one that was deleted and made anew begins at 1.
   * @param path where the change was, if it was in a store; @param version the version it left, else 0
   */
  add(key: string, path = '', version = 0): void {
    const demand = this.#demands.get(key) ?? { versions: new Map<string, number>(), failures: 0 };
    demand.versions.set(path, version);
    this.#demands.set(key, demand);
  }

  take(key: string): Demand | undefined {
    const demand = this.#demands.get(key);
    this.#demands.delete(key);
    return demand;
  }

  /** Gives back what could not be done; what came in meanwhile stands. */
  restore(key: string, demand: Demand | undefined): void {
    if (demand === undefined) return;
    const failures = demand.failures + 1;
    const newer = this.#demands.get(key)?.versions ?? [];
    const older = [...demand.versions].map(
      ([path, version]) => [path, failures < INSIST ? version : 0] as const,
    );
    this.#demands.set(key, { versions: new Map([...older, ...newer]), failures });
  }

  forget(key: string): void {
    this.#demands.delete(key);
  }
}

export interface Place {
  readonly server: string;
  readonly path: string;
  /** Everything under the path. */
  readonly prefix: boolean;
}

interface Reader {
  readonly places: readonly Place[];
  /** The newest version that was read, by place. */
  readonly seen: (number | undefined)[];
}

/** The places in stores that each key reads. */
export class ReadIndex {
  readonly #readers = new Map<string, Reader>();
  readonly #exact = new Map<string, Set<string>>();
  readonly #prefixes = new Map<string, Map<string, Set<string>>>();

  /** Replaces what `key` reads; a place given twice counts once. */
  set(key: string, given: readonly Place[]): void {
    const places = [...new Map(given.map((place) => [JSON.stringify(place), place])).values()];
    const before = this.#readers.get(key);
    if (before !== undefined && JSON.stringify(before.places) === JSON.stringify(places)) return;
    this.remove(key);
    if (places.length === 0) return;
    this.#readers.set(key, { places, seen: places.map(({ path }) => seenBy(before, path)) });
    for (const place of places) this.#slot(place).add(key);
  }

  /** How many keys read anything. */
  get size(): number {
    return this.#readers.size;
  }

  placesOf(key: string): readonly Place[] {
    return this.#readers.get(key)?.places ?? [];
  }

  /** @param path one of the key's places; @param version undefined where nothing is known of it any more */
  saw(key: string, path: string, version: number | undefined): void {
    const reader = this.#readers.get(key);
    const at = indexOf(reader, path);
    if (reader !== undefined && at !== -1) reader.seen[at] = version;
  }

  seen(key: string, path: string): number | undefined {
    return seenBy(this.#readers.get(key), path);
  }

  remove(key: string): void {
    const reader = this.#readers.get(key);
    this.#readers.delete(key);
    for (const place of reader?.places ?? []) {
      const slot = this.#slot(place);
      slot.delete(key);
      if (slot.size > 0) continue;
      if (place.prefix) this.#prefixes.get(place.server)?.delete(place.path);
      else this.#exact.delete(exactId(place.server, place.path));
    }
  }

  /** The keys that read a path of a server. */
  at(server: string, path: string): readonly string[] {
    const keys = new Set(this.#exact.get(exactId(server, path)));
    for (const [prefix, readers] of this.#prefixes.get(server) ?? []) {
      if (path.startsWith(prefix)) for (const key of readers) keys.add(key);
    }
    return [...keys];
  }

  /** The keys that read anything of a server. */
  of(server: string): readonly string[] {
    return [...this.#readers]
      .filter(([, reader]) => reader.places.some((place) => place.server === server))
      .map(([key]) => key);
  }

  #slot(place: Place): Set<string> {
    if (!place.prefix) return slot(this.#exact, exactId(place.server, place.path));
    const prefixes = this.#prefixes.get(place.server) ?? new Map<string, Set<string>>();
    this.#prefixes.set(place.server, prefixes);
    return slot(prefixes, place.path);
  }
}

const exactId = (server: string, path: string): string => [server, path].join('\n');

const indexOf = (reader: Reader | undefined, path: string): number =>
  reader?.places.findIndex((place) => place.path === path) ?? -1;

const seenBy = (reader: Reader | undefined, path: string): number | undefined =>
  reader?.seen[indexOf(reader, path)];

function slot(map: Map<string, Set<string>>, id: string): Set<string> {
  const known = map.get(id) ?? new Set<string>();
  map.set(id, known);
  return known;
}
