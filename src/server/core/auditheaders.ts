/** Which request headers the audit trail keeps, and whether in the clear. All others are never written down. */

import { own } from '../../base/own.ts';
import type { Storage } from '../../storage/storage.ts';
import type { KeptHeaders } from '../audit/audit.ts';
import { decode, encode } from '../auth/records.ts';

const KEY = 'audited-headers';
/** They say nothing secret and join lines to other logs. */
const ALWAYS: Readonly<Record<string, boolean>> = {
  'correlation-id': false,
  'x-correlation-id': false,
  'user-agent': false,
};

/** What is kept of the headers of a sender, on that, and by which names it was found. */
const FOUND = Symbol('the headers that the trail keeps');
type Told = { [FOUND]?: { readonly by: object; readonly headers: KeptHeaders | undefined } };

export class AuditedHeaders {
  readonly #storage: Storage;
  /** Name in lower case -> whether it is hashed. */
  #kept: Readonly<Record<string, boolean>>;

  private constructor(storage: Storage, kept: Readonly<Record<string, boolean>>) {
    this.#storage = storage;
    this.#kept = kept;
  }

  static async open(storage: Storage): Promise<AuditedHeaders> {
    const found = await storage.get(KEY);
    return new AuditedHeaders(storage, found === undefined ? ALWAYS : decode(KEY, found.value));
  }

  get all(): Readonly<Record<string, boolean>> {
    return this.#kept;
  }

  async set(name: string, hashed: boolean): Promise<void> {
    await this.#store({ ...this.#kept, [name.toLowerCase()]: hashed });
  }

  async delete(name: string): Promise<void> {
    const { [name.toLowerCase()]: _, ...rest } = this.#kept;
    await this.#store(rest);
  }

  /**
   * The headers of a request that are kept; undefined where it has none of them.
   * @param sender stands for these headers: for one that came before, the answer is the very same
   */
  of(headers: Readonly<Record<string, string | undefined>>, sender?: Told): KeptHeaders | undefined {
    const known = sender?.[FOUND];
    if (known?.by === this.#kept) return known.headers;
    const found = this.#in(headers);
    if (sender !== undefined) sender[FOUND] = { by: this.#kept, headers: found };
    return found;
  }

  #in(headers: Readonly<Record<string, string | undefined>>): KeptHeaders | undefined {
    let found: { readonly values: Record<string, readonly string[]>; readonly clear: string[] } | undefined;
    for (const name in this.#kept) {
      const value = own(headers, name);
      if (value === undefined) continue;
      // Many requests have none of them.
      found ??= { values: {}, clear: [] };
      found.values[name] = [value];
      if (this.#kept[name] === false) found.clear.push(name);
    }
    return found;
  }

  async #store(kept: Readonly<Record<string, boolean>>): Promise<void> {
    await this.#storage.commit([{ key: KEY, value: encode(kept) }]);
    this.#kept = kept;
  }
}
