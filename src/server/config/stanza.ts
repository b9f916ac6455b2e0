/**
 * One stanza of the configuration file, read key by key. Whoever writes the file is the administrator and is trusted with what
 * it says, but not with spelling it right: a key that is not known is refused by its line, because a setting that is
 * silently left out (`tls_min_verison`) leaves a door open that somebody believes to be shut.
 */

import { parseDuration } from '../../base/duration.ts';
import { type Failure, failure } from '../../base/errors.ts';
import { type HclItem, type HclValue, kindOf, type Position } from '../../base/hcl.ts';
import { nearestName } from '../../base/nearest.ts';

/** An item, and the file that it stands in. */
export interface Placed {
  readonly file: string;
  readonly item: HclItem;
}

/** The refusal of what stands at a line: one sentence of what is wrong, one of what to write. */
export const refusal = (
  { file, line }: Pick<Position, 'line'> & { readonly file: string },
  reason: string,
  mend: string,
): Failure => failure('config.invalid', { file, line, reason, mend });

export class Stanza {
  readonly #name: string;
  readonly #items: ReadonlyMap<string, readonly Placed[]>;

  /**
   * @param name what messages call it: `listener "tcp"`, or empty for the top of the file
   * @param repeated keys that may be given more than once
   * @throws Failure config.invalid for a key that is not `known`, or is given twice
   */
  constructor(
    name: string,
    items: readonly Placed[],
    known: readonly string[],
    repeated: readonly string[] = [],
  ) {
    this.#name = name;
    const found = new Map<string, Placed[]>();
    for (const placed of items) {
      const [key = ''] = placed.item.keys;
      const at = { file: placed.file, line: placed.item.line };
      if (!known.includes(key)) {
        const meant = nearestName(key, known);
        throw refusal(
          at,
          `${JSON.stringify(key.slice(0, 80))} is not known${this.#here()}`,
          meant === undefined ? 'Remove it: docs/server.md lists every key.' : `Did you mean "${meant}"?`,
        );
      }
      const before = found.get(key);
      if (before !== undefined && !repeated.includes(key))
        throw refusal(at, `"${key}" is given a second time${this.#here()}`, 'Keep one of them.');
      found.set(key, [...(before ?? []), placed]);
    }
    this.#items = found;
  }

  has(key: string): boolean {
    return this.#items.has(key);
  }

  all(key: string): readonly Placed[] {
    return this.#items.get(key) ?? [];
  }

  one(key: string): Placed | undefined {
    return this.#items.get(key)?.[0];
  }

  /** Text; a number is taken by its digits, as `port = 8200` and `port = "8200"` mean the same. */
  text(key: string): string | undefined {
    const placed = this.one(key);
    if (placed === undefined) return undefined;
    const { value } = placed.item;
    if (value.kind === 'string') return value.value;
    if (value.kind === 'number') return value.text;
    throw this.#wrong(placed, `text, not a ${kindOf(value)}`, `Write ${key} = "...".`);
  }

  /** Yes or no; people write booleans as text, and Vault reads them. */
  truth(key: string): boolean | undefined {
    const placed = this.one(key);
    if (placed === undefined) return undefined;
    const { value } = placed.item;
    if (value.kind === 'boolean') return value.value;
    const text = value.kind === 'string' ? value.value : value.kind === 'number' ? value.text : '';
    if (/^(1|t|true)$/i.test(text)) return true;
    if (/^(0|f|false)$/i.test(text)) return false;
    throw this.#wrong(placed, 'true or false', `Write ${key} = true or ${key} = false.`);
  }

  /** Milliseconds, at least 0. */
  duration(key: string): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    try {
      const ms = parseDuration(text);
      if (ms >= 0) return ms;
    } catch {
      // Told below, with the line.
    }
    throw this.#wrong(this.one(key), 'a duration', `Write ${key} = "768h", or a number of seconds.`);
  }

  /** A list of texts; a single text is a list of one. */
  texts(key: string): readonly { readonly text: string; readonly line: number; readonly file: string }[] {
    const placed = this.one(key);
    if (placed === undefined) return [];
    const { value } = placed.item;
    const items: readonly HclValue[] = value.kind === 'list' ? value.items : [value];
    return items.map((item) => {
      if (item.kind === 'string') return { text: item.value, line: item.line, file: placed.file };
      throw this.#wrong(placed, 'a list of texts', `Write ${key} = ["...", "..."].`);
    });
  }

  /** A block without a label, such as `telemetry { ... }`. */
  block(key: string, known: readonly string[]): Stanza | undefined {
    const placed = this.one(key);
    if (placed === undefined) return undefined;
    return new Stanza(key, itemsOf(placed, key), known);
  }

  #wrong(placed: Placed | undefined, wanted: string, mend: string): Failure {
    const at = { file: placed?.file ?? '', line: placed?.item.line ?? 0 };
    return refusal(at, `"${placed?.item.keys[0] ?? ''}"${this.#here()} takes ${wanted}`, mend);
  }

  #here(): string {
    return this.#name === '' ? '' : ` in ${this.#name}`;
  }
}

/** What stands in a block without a label; in JSON it may be a list of one. */
function itemsOf({ file, item }: Placed, key: string): Placed[] {
  const { value } = item;
  const objects = value.kind === 'list' ? value.items : [value];
  return objects.flatMap((object) => {
    if (object.kind === 'object' && item.keys.length === 1)
      return object.items.map((inner) => ({ file, item: inner }));
    throw refusal({ file, line: item.line }, `"${key}" is a block without a name`, `Write ${key} { ... }.`);
  });
}
