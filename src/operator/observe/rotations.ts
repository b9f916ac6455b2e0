/**
 * How old the values in our Secrets are, and how often they changed. Read off what is watched: the hash of the data, which
 * stands on each Secret, and the time of the last write by our field manager, which survives a restart. Values are never read.
 */

import type { Gauge, Labels } from '../../base/exposition.ts';
import type { CacheChange } from '../../kube/cache.ts';
import type { KubeObject } from '../../kube/kube.ts';
import {
  ANNOTATION_HASH,
  isOurManager,
  LABEL_MANAGED,
  MANAGED,
} from '../controllers/externalsecret/secret.ts';

interface Rotated {
  /** Milliseconds since the epoch. */
  since: number;
  count: number;
}

export class Rotations {
  readonly #known = new Map<string, Rotated>();
  readonly #now: () => number;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** To be told of each change of a Secret. */
  heard({ old, new: secret }: CacheChange): void {
    const of = secret ?? old;
    if (of === undefined) return;
    const key = keyOf(of);
    if (secret === undefined || secret.metadata.labels?.[LABEL_MANAGED] !== MANAGED) {
      this.#known.delete(key);
      return;
    }
    const known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, { since: this.#writtenAt(secret), count: 0 });
    else if (hashOf(old) !== hashOf(secret))
      Object.assign(known, { since: this.#now(), count: known.count + 1 });
  }

  /** @param providerOf the kind of store that the Secret of a namespace comes from; @param most series of each metric */
  gauges(providerOf: (namespace: string, name: string) => string, most: number): readonly Gauge[] {
    const told: { known: Rotated; labels: Labels }[] = [];
    for (const [key, known] of this.#known) {
      if (told.length >= most) break;
      const [namespace = '', name = ''] = key.split('/');
      const provider = providerOf(namespace, name);
      told.push({ known, labels: { secret_name: name, namespace, provider } });
    }
    const now = this.#now();
    return [
      {
        name: 'holdfast_secret_age_seconds',
        help: 'Seconds since the values of a Secret changed last.',
        samples: told.map(({ labels, known }) => ({
          labels,
          value: Math.max(0, Math.round((now - known.since) / 1000)),
        })),
      },
      {
        name: 'holdfast_secret_rotations_total',
        help: 'How often the values of a Secret changed since the operator began.',
        kind: 'counter',
        samples: told.map(({ labels, known }) => ({ labels, value: known.count })),
      },
    ];
  }

  #writtenAt({ metadata }: KubeObject): number {
    const times = (metadata.managedFields ?? [])
      .filter(({ manager }) => isOurManager(manager))
      .map(({ time }) => Date.parse(time ?? ''))
      .filter((time) => !Number.isNaN(time));
    const made = Date.parse(metadata.creationTimestamp ?? '');
    return times.length > 0 ? Math.max(...times) : Number.isNaN(made) ? this.#now() : made;
  }
}

const hashOf = (secret: KubeObject | undefined): string =>
  secret?.metadata.annotations?.[ANNOTATION_HASH] ?? '';

const keyOf = ({ metadata }: KubeObject): string => [metadata.namespace ?? '', metadata.name].join('/');
