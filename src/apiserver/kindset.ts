/** The kinds that are served now: the table's, and those that stored definitions define. */

import { type Definition, readDefinition } from './customkinds.ts';
import { idOf, type Kind, type KindVersion } from './kinds.ts';
import { asText, at, nameOf, type Obj } from './objects.ts';
import type { ObjectStore, StoreEvent } from './store.ts';

export const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions';

/** A kind, seen in one of its versions. */
export interface View {
  readonly kind: Kind;
  readonly version: KindVersion;
}

export class KindSet {
  readonly #builtIn: readonly Kind[];
  readonly #custom = new Map<string, Definition>();
  #all: readonly Kind[] | undefined;

  constructor(builtIn: readonly Kind[], store: ObjectStore) {
    this.#builtIn = builtIn;
    for (const object of store.list(DEFINITIONS)) this.#learn(nameOf(object), object);
    store.onChange((event: StoreEvent) => {
      if (event.place.resource === DEFINITIONS) this.#learn(event.place.name, event.after);
    });
  }

  #learn(name: string, object: Obj | undefined): void {
    this.#all = undefined;
    if (object === undefined) this.#custom.delete(name);
    else this.#custom.set(name, readDefinition(object));
  }

  get all(): readonly Kind[] {
    this.#all ??= [...this.#builtIn, ...[...this.#custom.values()].map((definition) => definition.kind)];
    return this.#all;
  }

  /** The kind that keeps its objects under a store's resource id. */
  byId(id: string): Kind | undefined {
    return this.all.find((kind) => kind.alias === undefined && idOf(kind) === id);
  }

  find(group: string, version: string, plural: string): View | undefined {
    for (const kind of this.all) {
      if (kind.group !== group || kind.plural !== plural) continue;
      const found = kind.versions.find((one) => one.name === version && one.served);
      if (found !== undefined) return { kind, version: found };
    }
    return undefined;
  }

  stored(kind: Kind): View | undefined {
    const version = kind.versions.find((one) => one.name === kind.stored);
    return version === undefined ? undefined : { kind, version };
  }

  /** The versions that a group serves, the preferred first. */
  versionsOf(group: string): string[] {
    const seen = new Set<string>();
    for (const kind of this.all) {
      if (kind.group !== group) continue;
      for (const version of kind.versions) if (version.served) seen.add(version.name);
    }
    return [...seen];
  }

  groups(): string[] {
    return [...new Set(this.all.map((kind) => kind.group))].filter((group) => group !== '');
  }

  /** Why a definition's names cannot be had: another kind of its group has them. */
  clash(object: Obj): string | undefined {
    const group = asText(at(object, 'spec', 'group'));
    const kind = asText(at(object, 'spec', 'names', 'kind'));
    const taken = this.all.find(
      (one) => one.group === group && one.kind === kind && `${one.plural}.${one.group}` !== nameOf(object),
    );
    return taken === undefined ? undefined : `"${kind ?? ''}" is already in use`;
  }
}
