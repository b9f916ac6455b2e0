/**
 * Numbers, and the text in which Prometheus reads them (text exposition format 0.0.4). Series are bounded: a metric that has
 * enough of them counts what comes more under the label value "other".
 */

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

export interface Gauge {
  readonly name: string;
  readonly help: string;
  /** A counter only rises, until the program begins anew or is sealed; untyped is what a histogram of another name is made of. */
  readonly kind?: 'gauge' | 'counter' | 'untyped';
  readonly samples: readonly Sample[];
}

/** Upper bounds in seconds: a read from memory and a slow database both find their place. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const MOST_SERIES = 200;

interface Series {
  readonly labels: Labels;
  readonly counts: number[];
  sum: number;
  count: number;
}

/** The series whose first labels have the same values. */
interface Branch {
  readonly further: Map<string, Branch>;
  series: Series | undefined;
}

/** How long things took, by label. */
export class Histogram {
  readonly name: string;
  readonly help: string;
  readonly #labels: readonly string[];
  readonly #series: Series[] = [];
  /** By one label after the other: a key of them all would have to be put together, and hashed, for each observation. */
  readonly #root: Branch = { further: new Map(), series: undefined };

  /** @param labels the names of the labels, in the order in which `observe` is given their values */
  constructor(name: string, help: string, labels: readonly string[]) {
    this.name = name;
    this.help = help;
    this.#labels = labels;
  }

  observe(values: readonly string[], seconds: number): void {
    const series = this.#of(values);
    let at = 0;
    while (at < BOUNDS.length && seconds > (BOUNDS[at] ?? 0)) at++;
    series.counts[at] = (series.counts[at] ?? 0) + 1;
    series.sum += seconds;
    series.count++;
  }

  text(): string {
    const lines = head(this.name, this.help, 'histogram');
    for (const { labels, counts, sum, count } of this.#series) {
      let below = 0;
      for (const [at, bound] of BOUNDS.entries()) {
        below += counts[at] ?? 0;
        lines.push(line(`${this.name}_bucket`, { ...labels, le: String(bound) }, below));
      }
      lines.push(line(`${this.name}_bucket`, { ...labels, le: '+Inf' }, count));
      lines.push(line(`${this.name}_sum`, labels, sum), line(`${this.name}_count`, labels, count));
    }
    return `${lines.join('\n')}\n`;
  }

  #of(values: readonly string[]): Series {
    let branch: Branch | undefined = this.#root;
    for (const value of values) branch = branch?.further.get(value);
    if (branch?.series !== undefined) return branch.series;
    if (this.#series.length >= MOST_SERIES && !values.every((value) => value === 'other'))
      return this.#of(values.map(() => 'other'));
    return this.#begin(values);
  }

  #begin(values: readonly string[]): Series {
    const labels = Object.fromEntries(this.#labels.map((name, index) => [name, values[index] ?? '']));
    const series: Series = { labels, counts: [], sum: 0, count: 0 };
    let branch = this.#root;
    for (const value of values) {
      const next = branch.further.get(value) ?? { further: new Map<string, Branch>(), series: undefined };
      branch.further.set(value, next);
      branch = next;
    }
    branch.series = series;
    this.#series.push(series);
    return series;
  }
}

export function gaugeText({ name, help, samples, kind = 'gauge' }: Gauge): string {
  const lines = head(name, help, kind);
  for (const { labels = {}, value } of samples) lines.push(line(name, labels, value));
  return `${lines.join('\n')}\n`;
}

/** At most as many samples as a metric may have; the rest summed up under "other". */
export function bounded(samples: readonly Sample[], combine: (a: number, b: number) => number): Sample[] {
  if (samples.length <= MOST_SERIES) return [...samples];
  const kept = samples.slice(0, MOST_SERIES - 1);
  const rest = samples.slice(MOST_SERIES - 1);
  const names = Object.keys(rest[0]?.labels ?? {});
  const value = rest.map((sample) => sample.value).reduce(combine);
  return [...kept, { labels: Object.fromEntries(names.map((name) => [name, 'other'])), value }];
}

const head = (name: string, help: string, type: string): string[] => [
  `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`,
  `# TYPE ${name} ${type}`,
];

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}`;
}

const escaped = (text: string): string =>
  text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

const numberText = (value: number): string =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
