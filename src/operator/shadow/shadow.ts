/** What an operator in shadow found: the last difference of each ExternalSecret, told in the log when it changes. */

import type { Log } from '../../base/log.ts';
import type { KubeObject } from '../../kube/kube.ts';
import { nextOf, type Outcome } from '../executor.ts';
import type { Steps } from '../plan.ts';
import { type Difference, differenceOf } from './difference.ts';

export class Shadow {
  readonly #log: Log;
  readonly #found = new Map<string, Difference>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Takes the place of writing. */
  compare(object: KubeObject, target: KubeObject | undefined, steps: Steps): Outcome {
    this.#note(object, differenceOf(object, target, steps));
    const { retry, retryAfterMs } = steps;
    if (retry === true) return { end: 'failed', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    return { end: 'done', ...nextOf(steps) };
  }

  forget(namespace: string, name: string): void {
    this.#found.delete(`${namespace}/${name}`);
  }

  /** By namespace and name. */
  differences(): readonly Difference[] {
    return [...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, found]) => found);
  }

  #note({ metadata }: KubeObject, found: Difference | undefined): void {
    const key = `${metadata.namespace ?? ''}/${metadata.name}`;
    const before = this.#found.get(key);
    if (found === undefined) return void this.#found.delete(key);
    this.#found.set(key, found);
    if (JSON.stringify(before) === JSON.stringify(found)) return;
    if (found.verdict !== 'same') this.#log.info('in shadow: this would be otherwise', { ...found });
    else if (before !== undefined) this.#log.info('in shadow: this is as we would write it', { ...found });
  }
}
