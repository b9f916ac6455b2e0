/**
 * Events as `kubectl describe` shows them: core/v1, written beside the work and never in its way. One that repeats is
 * counted up instead of written again, so a failure that is retried for a day is one line.
 */

import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Kube, KubeObject, Name } from '../kube/kube.ts';
import { EVENTS } from './api/resources.ts';
import { cut, rfc3339 } from './conditions.ts';
import type { Note } from './plan.ts';

const COMPONENT = 'external-secrets';
/** An API server drops Events after an hour; one of ours is counted up for less than that. */
const COUNTED_FOR = 30 * 60_000;
const REMEMBERED = 4096;
/** What Kubernetes allows in an Event's message. */
const LONGEST = 1024;

interface Told {
  readonly name: Name;
  readonly since: number;
  count: number;
}

/** What an Event says of its object. Many may wait to be written at once, and none keeps the object itself. */
interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

const referenceTo = ({ apiVersion, kind, metadata }: KubeObject): Reference => ({
  apiVersion,
  kind,
  name: metadata.name,
  ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
  uid: metadata.uid,
  resourceVersion: metadata.resourceVersion,
});

export class EventRecorder {
  readonly #kube: Kube;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #told = new Map<string, Told>();
  #pending: Promise<void> = Promise.resolve();

  constructor(kube: Kube, clock: Clock, log: Log) {
    this.#kube = kube;
    this.#clock = clock;
    this.#log = log;
  }

  /** Records a note about an object; returns at once. */
  record(object: KubeObject, note: Note): void {
    const regarding = referenceTo(object);
    this.#pending = this.#pending
      .then(() => this.#write(regarding, note))
      .catch((error: unknown) => {
        this.#log.warn('an event was not written', { reason: note.reason, code: asFailure(error).code });
      });
  }

  /** Resolves when everything recorded so far is written or given up. */
  flushed(): Promise<void> {
    return this.#pending;
  }

  async #write(regarding: Reference, note: Note): Promise<void> {
    const now = this.#clock.now();
    const at = rfc3339(new Date(now));
    const message = cut(note.message, LONGEST);
    const component = note.component ?? COMPONENT;
    const key = JSON.stringify([regarding.uid, note.type, note.reason, message]);
    const told = this.#told.get(key);
    if (told !== undefined && now - told.since < COUNTED_FOR) {
      told.count++;
      await this.#kube.patch(told.name, { count: told.count, lastTimestamp: at });
      return;
    }
    const namespace = regarding.namespace ?? 'default';
    const name: Name = {
      resource: EVENTS,
      namespace,
      name: `${regarding.name.slice(0, 200)}.${now.toString(16)}${(this.#told.size % 4096).toString(16).padStart(3, '0')}`,
    };
    this.#remember(key, { name, since: now, count: 1 });
    await this.#kube.create(name, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: name.name, namespace },
      involvedObject: regarding,
      type: note.type,
      reason: note.reason,
      message,
      source: { component },
      reportingComponent: component,
      reportingInstance: component,
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    });
  }

  #remember(key: string, told: Told): void {
    if (this.#told.size >= REMEMBERED) {
      const oldest = this.#told.keys().next().value;
      if (oldest !== undefined) this.#told.delete(oldest);
    }
    this.#told.set(key, told);
  }
}
