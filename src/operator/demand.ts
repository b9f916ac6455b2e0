/**
 * Who reads what, and who is to read again before the interval is over. A change that a store tells of, or a changed
 * source, is a demand; it is taken when a reconcile begins and given back when that fails, so none is lost.
 */

/** Versions that must not be undercut, by path; the key "" is no path and means "for another reason". */
export interface Demand {
  readonly versions: ReadonlyMap<string, number>;
}

export class Demands {
  readonly #demands = new Map<string, Map<string, number>>();

  /** @param path where the change was, if it was in a store; @param version the version it made, else 0 */
  add(key: string, path = '', version = 0): void {
    const versions = this.#demands.get(key) ?? new Map<string, number>();
    versions.set(path, Math.max(version, versions.get(path) ?? 0));
    this.#demands.set(key, versions);
  }

  take(key: string): Demand | undefined {
    const versions = this.#demands.get(key);
    this.#demands.delete(key);
    return versions === undefined ? undefined : { versions };
  }

  restore(key: string, demand: Demand | undefined): void {
    for (const [path, version] of demand?.versions ?? []) this.add(key, path, version);
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
  /** The newest version that was read, by path. */
  readonly seen: Map<string, number>;
}

/** The places in stores that each key reads. */
export class ReadIndex {
  readonly #readers = new Map<string, Reader>();
  readonly #exact = new Map<string, Set<string>>();
  readonly #prefixes = new Map<string, Map<string, Set<string>>>();

  /** Replaces what `key` reads. */
  set(key: string, places: readonly Place[]): void {
    const before = this.#readers.get(key);
    if (before !== undefined && JSON.stringify(before.places) === JSON.stringify(places)) return;
    this.remove(key);
    if (places.length === 0) return;
    this.#readers.set(key, { places, seen: before?.seen ?? new Map() });
    for (const place of places) this.#slot(place).add(key);
  }

  saw(key: string, place: Place, version: number): void {
    this.#readers.get(key)?.seen.set(place.path, version);
  }

  seen(key: string, path: string): number | undefined {
    return this.#readers.get(key)?.seen.get(path);
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

const exactId = (server: string, path: string): string => `${server}\n${path}`;

function slot(map: Map<string, Set<string>>, id: string): Set<string> {
  const known = map.get(id) ?? new Set<string>();
  map.set(id, known);
  return known;
}
