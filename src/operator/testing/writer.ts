/** Stores in memory that can be pushed to, for tests of the operator: each keeps who pushed what, refuses, or is away. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import type { ProviderType, PushOptions, PushTarget, Value } from '../../provider/provider.ts';

interface Held {
  readonly text: string;
  readonly owner: string | undefined;
}

const placeOf = ({ key, property = '' }: PushTarget): string =>
  property === '' ? key : `${key}[${property}]`;

/** What the stores of one provider hold, by the store's name. */
export class Shelves {
  readonly #held = new Map<string, Map<string, Held>>();
  /** Every write that changed something, in order: "SecretStore team/a put k". */
  readonly log: string[] = [];
  /** Throws to refuse or to be away; called before each write. */
  fault: (store: string, what: 'put' | 'delete', place: string) => void | Promise<void> = () => {};

  /** As a person would write it there. */
  plant(store: string, place: string, text: string): void {
    this.shelf(store).set(place, { text, owner: undefined });
  }

  shelf(store: string): Map<string, Held> {
    const shelf = this.#held.get(store) ?? new Map<string, Held>();
    this.#held.set(store, shelf);
    return shelf;
  }

  /** The values of a store, by place. */
  texts(store: string): Record<string, string> {
    return Object.fromEntries([...this.shelf(store)].map(([place, { text }]) => [place, text]));
  }

  async put(store: string, target: PushTarget, value: Value, options: PushOptions) {
    const place = placeOf(target);
    await this.fault(store, 'put', place);
    const { owner, onlyNew = false, adopt = () => false } = options;
    const before = this.shelf(store).get(place);
    if (onlyNew && before !== undefined) return 'kept' as const;
    if (before !== undefined && before.owner !== owner && !adopt(before.owner))
      throw failure('provider.foreign', { store, path: place, reason: 'somebody else wrote it' });
    const text = 'bytes' in value ? Buffer.from(value.bytes).toString() : value.json;
    if (before?.text === text && before.owner === owner) return 'unchanged' as const;
    this.shelf(store).set(place, { text, owner });
    this.log.push(`${store} put ${place}`);
    return 'written' as const;
  }

  async delete(store: string, target: PushTarget, owner: string) {
    const place = placeOf(target);
    await this.fault(store, 'delete', place);
    const before = this.shelf(store).get(place);
    if (before === undefined) return 'absent' as const;
    if (before.owner !== owner) return 'foreign' as const;
    this.shelf(store).delete(place);
    this.log.push(`${store} delete ${place}`);
    return 'deleted' as const;
  }
}

const spec = z.object({ readOnly: z.boolean().default(false) });

/** The provider "webhook", which every build knows the name of, over shelves of ours. */
export const shelfProvider = (shelves: Shelves): ProviderType<z.output<typeof spec>> => ({
  name: 'webhook',
  spec: spec as ProviderType<z.output<typeof spec>>['spec'],
  async connect({ readOnly }, { store }) {
    const reader = {
      get: async () => undefined,
      validate: async () => 'ready' as const,
      close: async () => {},
    };
    if (readOnly) return reader;
    return {
      ...reader,
      locate: ({ key }) => ({ server: 'fake', path: key }),
      put: (target, value, options) => shelves.put(store, target, value, options),
      delete: (target, { owner }) => shelves.delete(store, target, owner),
    };
  },
});
