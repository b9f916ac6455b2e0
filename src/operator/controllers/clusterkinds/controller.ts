/** Reconciles one ClusterExternalSecret or ClusterPushSecret: gather, plan, do what each namespace needs, tell how it went. */

import type { Clock } from '../../../base/clock.ts';
import { asFailure } from '../../../base/errors.ts';
import type { Cache } from '../../../kube/cache.ts';
import type { Kube, KubeObject } from '../../../kube/kube.ts';
import { told } from '../../conditions.ts';
import type { EventRecorder } from '../../events.ts';
import { apply, type Outcome } from '../../executor.ts';
import { type ClusterKind, childNameOf } from './kinds.ts';
import { concluded, type Observed, type Place, plan } from './plan.ts';

export interface ClusterKindOptions {
  readonly kind: ClusterKind;
  readonly kube: Kube;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly namespaces: Cache;
  /** The children's kind, with the index "owner": UIDs of controllers. */
  readonly children: Cache;
}

/** Namespaces that are worked on at the same time. */
const AT_ONCE = 8;

type Done = 'done' | 'stale' | { readonly failed: string };

export class ClusterKindController {
  readonly #options: ClusterKindOptions;

  constructor(options: ClusterKindOptions) {
    this.#options = options;
  }

  /** @throws Failure where the cluster does not answer */
  async reconcile(name: string, signal: AbortSignal): Promise<Outcome> {
    const { kind, kube, clock, events } = this.#options;
    const object = await kube.get({ resource: kind.resource, name }, signal);
    if (object === undefined) return { end: 'done' };
    const observed = this.#observe(object);
    const planned = plan(observed);
    const { first, places, last, isEnding, requeueAfterMs } = planned;
    const begun = await apply(kube, events, { actions: first }, nothing);
    if (begun.end !== 'done') return begun;
    const outcomes = await this.#all(places);
    const failures = new Map<string, string>();
    for (const [at, outcome] of outcomes)
      if (typeof outcome === 'object') failures.set(at.namespace, outcome.failed);
    const isStale = outcomes.some(([, outcome]) => outcome === 'stale');
    const actions = isEnding ? [] : concluded(observed, planned, failures);
    const ended = await apply(kube, events, { actions }, nothing);
    if (ended.end !== 'done') return ended;
    if (isStale) return { end: 'stale' };
    if (failures.size > 0) return { end: 'failed' };
    const gone = await apply(kube, events, { actions: last }, nothing);
    if (gone.end !== 'done' || requeueAfterMs === undefined) return gone;
    return { end: 'done', requeueAt: new Date(clock.now() + requeueAfterMs) };
  }

  #observe(object: KubeObject): Observed {
    const { kind, namespaces, children } = this.#options;
    const all = namespaces.list();
    const name = childNameOf(kind, object);
    return {
      kind,
      object,
      namespaces: [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
      named: new Map(
        all.flatMap(({ metadata }) => {
          const child = children.get(metadata.name, name);
          return child === undefined ? [] : [[metadata.name, child] as const];
        }),
      ),
      owned: children.byIndex('owner', object.metadata.uid ?? ''),
    };
  }

  async #all(places: readonly Place[]): Promise<readonly (readonly [Place, Done])[]> {
    const outcomes: (readonly [Place, Done])[] = [];
    for (let at = 0; at < places.length; at += AT_ONCE) {
      const some = places.slice(at, at + AT_ONCE);
      outcomes.push(
        ...(await Promise.all(some.map(async (place) => [place, await this.#one(place)] as const))),
      );
    }
    return outcomes;
  }

  /** One namespace's failure is its own. */
  async #one({ actions }: Place): Promise<Done> {
    const { kube, events } = this.#options;
    let failed: string | undefined;
    try {
      const outcome = await apply(kube, events, { actions }, ({ failing }, failure) => {
        failed = `${failing}: ${told(failure)}`;
        return nothing();
      });
      if (failed !== undefined) return { failed };
      return outcome.end === 'stale' ? 'stale' : 'done';
    } catch (error) {
      return { failed: told(asFailure(error)) };
    }
  }
}

const nothing = (): { actions: [] } => ({ actions: [] });
