/** Counts by label, bounded: a counter that has enough series counts what comes more under the label value "other". */

import type { Gauge, Labels, Sample } from '../../base/exposition.ts';

const MOST_SERIES = 500;

export class Counter {
  readonly name: string;
  readonly help: string;
  readonly #labels: readonly string[];
  readonly #series = new Map<string, { readonly labels: Labels; value: number }>();

  /** @param labels the names of the labels, in the order in which `add` is given their values */
  constructor(name: string, help: string, labels: readonly string[]) {
    this.name = name;
    this.help = help;
    this.#labels = labels;
  }

  add(values: readonly string[], by = 1): void {
    const key = values.join('\0');
    const known = this.#series.get(key);
    if (known !== undefined) {
      known.value += by;
      return;
    }
    if (this.#series.size >= MOST_SERIES && values.some((value) => value !== 'other'))
      return this.add(
        values.map(() => 'other'),
        by,
      );
    const labels = Object.fromEntries(this.#labels.map((name, index) => [name, values[index] ?? '']));
    this.#series.set(key, { labels, value: by });
  }

  gauge(): Gauge {
    const samples: Sample[] = [...this.#series.values()];
    return { name: this.name, help: this.help, kind: 'counter', samples };
  }
}
