/** Reconciles one PushSecret: gather, plan, write to stores, plan again, apply. */

import type { Clock } from '../../../base/clock.ts';
import { asFailure, Failure, failure } from '../../../base/errors.ts';
import type { Log } from '../../../base/log.ts';
import type { Work } from '../../../kube/queue.ts';
import type { Writer } from '../../../provider/provider.ts';
import { findStore, placeOfStore } from '../../caches.ts';
import { tellRetry } from '../../conditions.ts';
import type { Connections } from '../../connections.ts';
import type { Demands } from '../../demand.ts';
import type { EventRecorder } from '../../events.ts';
import { apply, type Outcome as End } from '../../executor.ts';
import type { Generation, Generators } from '../../generators/generators.ts';
import { isRefusal } from '../../schedule/refusals.ts';
import { type Env, namespaceOf, storeId } from '../externalsecret/observed.ts';
import { type Gathering, observe } from './observe.ts';
import type { Observed, Outcome, Sources, Write } from './observed.ts';
import { ADOPT, mayAdopt, ownerId } from './owner.ts';
import { plan } from './plan.ts';

export interface PushControllerOptions extends Gathering {
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  readonly demands: Demands;
  readonly events: EventRecorder;
  envOf(observed: Pick<Observed, 'object'>, now: Date): Env;
  readonly generators: Generators;
  /** A store did not answer; named as the queue names it. */
  suspect(store: string): void;
  /** A store, named as the queue names it, refused what was written for a key; it was asked at `since`, monotonic, or later. */
  refused(store: string, key: string, since: number): void;
  /** The longest that a next try may wait, in milliseconds, if this one fails. */
  retryWithin(key: string): number;
}

/** As upstream tells what PushSecrets generated from what ExternalSecrets did. */
const STATE_KEY = '__pushsecret';

/** A plan that still asks after this many rounds never ends. */
const MOST_ROUNDS = 6;

export class PushSecretController {
  readonly #options: PushControllerOptions;

  constructor(options: PushControllerOptions) {
    this.#options = options;
  }

  /** @param work what the queue handed out. @throws Failure where the cluster does not answer */
  async reconcile(
    work: Pick<Work, 'key' | 'since'>,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<End> {
    const { key } = work;
    const { demands } = this.#options;
    const demand = demands.take(key);
    try {
      const end = await this.#reconcile(work, namespace, name, demand !== undefined, signal);
      if (end.end !== 'done') demands.restore(key, demand);
      return end;
    } catch (error) {
      demands.restore(key, demand);
      throw error;
    }
  }

  async #reconcile(
    work: Pick<Work, 'key' | 'since'>,
    namespace: string,
    name: string,
    demanded: boolean,
    signal: AbortSignal,
  ): Promise<End> {
    const { clock, envOf, generators } = this.#options;
    const now = new Date(clock.now());
    const gathered = await observe(this.#options, namespace, name, signal);
    if (gathered === undefined) return { end: 'done' };
    const env = envOf(gathered, now);
    const generation = generators.begin(gathered.object);
    const observed: Observed = { ...gathered, demanded, prepared: false, outcomes: new Map() };
    let isDone = false;
    try {
      const end = await this.#rounds(work, observed, generation, now, env, signal);
      isDone = end.end === 'done';
      return end;
    } finally {
      // A store may hold what was made even where another one failed.
      await generation.settle(isDone ? 'used' : 'perhaps');
    }
  }

  async #rounds(
    work: Pick<Work, 'key' | 'since'>,
    given: Observed,
    generation: Generation,
    now: Date,
    env: Env,
    signal: AbortSignal,
  ): Promise<End> {
    const { kube, events, retryWithin } = this.#options;
    const retryMs = retryWithin(work.key);
    let observed = given;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const next = plan(observed, now, env);
      if ('generate' in next) {
        observed = { ...observed, sources: await this.#generated(observed, generation, signal) };
        continue;
      }
      if (!('writes' in next))
        return await apply(kube, events, tellRetry(next, retryMs), () => ({ actions: [] }));
      if (next.before.length > 0) {
        const end = await apply(kube, events, { actions: next.before }, () => ({ actions: [] }));
        if (end.end !== 'done') return end;
      }
      const outcomes = new Map([
        ...observed.outcomes,
        ...(await this.#writeAll(work, observed, next.writes, signal)),
      ]);
      const record = next.record === undefined ? {} : { record: next.record };
      observed = { ...observed, ...record, prepared: true, outcomes };
    }
    throw failure('base.internal');
  }

  /** The values of the generator that the spec names, as a Secret would have them. */
  async #generated(
    { object, spec }: Observed,
    generation: Generation,
    signal: AbortSignal,
  ): Promise<Sources> {
    const ref = 'malformed' in spec ? undefined : spec.selector.generatorRef;
    if (ref === undefined) return { failed: failure('base.internal') };
    const sight = await this.#options.generators.sight(namespaceOf(object), ref, signal);
    const made = await generation.generate(sight, STATE_KEY, signal);
    if ('failed' in made) return made;
    return {
      secrets: [{ name: `${ref.kind} ${ref.name}`, labels: {}, annotations: {}, data: made.generated }],
    };
  }

  /** One write after the other for each store, because several may change one secret; stores beside each other. */
  async #writeAll(
    work: Pick<Work, 'key' | 'since'>,
    observed: Observed,
    writes: readonly Write[],
    signal: AbortSignal,
  ): Promise<readonly (readonly [string, Outcome])[]> {
    const stores = new Map<string, Write[]>();
    for (const write of writes) {
      const id = storeId(write.store);
      stores.set(id, [...(stores.get(id) ?? []), write]);
    }
    const done = await Promise.all(
      [...stores.values()].map(async (ofStore) => {
        const outcomes: (readonly [string, Outcome])[] = [];
        let away: Failure | undefined;
        for (const write of ofStore) {
          const outcome: Outcome =
            away === undefined ? await this.#write(work, observed, write, signal) : { failed: away };
          outcomes.push([write.id, outcome]);
          // A store that does not answer is not asked for the rest.
          if ('failed' in outcome && outcome.failed.kind === 'unavailable') away = outcome.failed;
        }
        return outcomes;
      }),
    );
    return done.flat();
  }

  async #write(
    { key, since }: Pick<Work, 'key' | 'since'>,
    { object }: Observed,
    write: Write,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { caches, connections, log, refused, suspect } = this.#options;
    const namespace = namespaceOf(object);
    const store = findStore(caches, write.store, namespace);
    const { kind, name } = write.store;
    // The plan has just seen it; it went since, and its deletion plans us again.
    if (store === undefined) return { failed: failure('operator.store_missing', { kind, name, where: '' }) };
    const owner = this.#ownerOf(namespace, object.metadata.name);
    const explicit = object.metadata.annotations?.[ADOPT] === 'true';
    const run = async (writer: Writer): Promise<Outcome> => {
      if (write.do === 'delete') return { done: await writer.delete(write.target, { owner, signal }) };
      const { target, value, secretKey, onlyNew, metadata, source } = write;
      const adopt = mayAdopt(owner, explicit, (found) => this.#isAlive(found));
      const more = {
        ...(secretKey === '' ? {} : { secretKey }),
        ...(metadata === undefined ? {} : { metadata }),
      };
      return { done: await writer.put(target, value, { owner, adopt, onlyNew, source, signal, ...more }) };
    };
    try {
      return await connections.write(store, namespace, write.id, run);
    } catch (error) {
      if (signal.aborted) throw error;
      const failed = asFailure(error);
      if (!(error instanceof Failure))
        log.error('a provider failed in a way it should not', { store: name, error });
      const place = placeOfStore(write.store, namespace);
      if (failed.kind === 'unavailable') suspect(place);
      if (isRefusal(failed)) refused(place, key, since);
      return { failed };
    }
  }

  #ownerOf(namespace: string, name: string): string {
    const cluster = this.#options.caches.namespaces.get(undefined, 'kube-system')?.metadata.uid ?? '';
    return ownerId(cluster, namespace, name);
  }

  #isAlive(owner: string): boolean {
    return this.#options.caches.pushSecrets
      .list()
      .some(({ metadata }) => this.#ownerOf(metadata.namespace ?? '', metadata.name) === owner);
  }
}
