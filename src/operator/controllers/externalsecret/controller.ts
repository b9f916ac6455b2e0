/** Reconciles one ExternalSecret: gather, plan, read, plan again, apply. Keeps what outlives a reconcile. */

import type { Clock } from '../../../base/clock.ts';
import { failure } from '../../../base/errors.ts';
import { Recent } from '../../../base/recent.ts';
import type { Work } from '../../../kube/queue.ts';
import { type Caches, findStore, needKey, placeOfStore } from '../../caches.ts';
import { tellRetry } from '../../conditions.ts';
import type { Connections } from '../../connections.ts';
import type { Demand, Demands, Place, ReadIndex } from '../../demand.ts';
import type { DynamicAnswers } from '../../dynamic/answers.ts';
import type { EventRecorder } from '../../events.ts';
import { apply, type Outcome, settle } from '../../executor.ts';
import type { Fate, Generation } from '../../generators/generators.ts';
import { generatorId } from '../../generators/sight.ts';
import type { Answer, Need, Steps } from '../../plan.ts';
import { isRefusal } from '../../schedule/refusals.ts';
import type { Shadow } from '../../shadow/shadow.ts';
import { type Gathering, observe } from './observe.ts';
import { type Env, namespaceOf, type Observed, type StoreSight, storeId, storesOf } from './observed.ts';
import { plan, refused } from './plan.ts';
import { companionOf } from './rules/companion.ts';
import { needsOf } from './rules/data.ts';
import { follows } from './rules/refresh.ts';
import { wrongs } from './rules/validation.ts';

export interface ControllerOptions extends Gathering {
  readonly caches: Caches;
  readonly clock: Clock;
  readonly connections: Connections;
  readonly dynamic: Pick<DynamicAnswers, 'answer' | 'applied'>;
  readonly demands: Demands;
  readonly index: ReadIndex;
  readonly events: EventRecorder;
  /** What renders the templates of one ExternalSecret. */
  envOf(observed: Pick<Observed, 'object'>, now: Date): Env;
  /** What changed in these places may have been told before the key was known to read there. */
  unheard(key: string, places: readonly Place[]): void;
  /** A store did not answer; named as the queue names it. */
  suspect(store: string): void;
  /** A store, named as the queue names it, refused what was read for a key; it was asked at `since`, monotonic, or later. */
  refused(store: string, key: string, since: number): void;
  /** In shadow: takes the place of writing. */
  readonly shadow?: Pick<Shadow, 'compare' | 'forget'>;
  /** Another ExternalSecret reads the same and is nearly due: now is cheapest. `since`: its answer need be no newer. */
  companion(key: string, since: number): void;
  /** Others read the same and wait for their first turn. */
  hurry(keys: readonly string[]): void;
  /** How long the wait before the next try can be at most if this one fails, in milliseconds. */
  retryWithin(key: string): number;
  /** A Secret holds what a store told of at `since`, monotonic. */
  rotated?(since: number): void;
}

/** A store's state is its own operator's to tell; whether it answers is found out by asking. */
const unchecked = (stores: Observed['stores']): Observed['stores'] =>
  new Map(
    [...stores].map(([id, sight]) => [
      id,
      'refused' in sight && sight.refused.code === 'operator.store_not_ready' ? { usable: true } : sight,
    ]),
  );

/** What makes something new each time cannot be compared, and must not be made for nothing. */
const notInShadow = async (): Promise<Answer> => ({ failed: failure('operator.shadow') });

type Places = ReadonlyMap<string, readonly Place[]>;

/** An operator that begins has looked at every store by then, or cannot. */
const FIRST_LOOK_MS = 30_000;
/** Who is due within this time was found when others were last looked for. */
const LOOKED_MS = 1000;
const LOOKED_MOST = 1024;
/** Deletions that a store's losses may cause in a minute, before somebody should look. */
const DELETIONS = { limit: 10, windowMs: 60_000 };

export class ExternalSecretController {
  readonly #options: ControllerOptions;
  readonly #began: number;
  /** Times of deletions, by store. */
  readonly #deletions = new Map<string, number[]>();
  /** When others who read the same (`needKey`) were last looked for, on the monotonic clock. */
  readonly #looked = new Recent<number>(LOOKED_MOST);

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#began = options.clock.monotonic();
  }

  /** @param work what the queue handed out. @throws Failure where the cluster does not answer */
  async reconcile(work: Work, namespace: string, name: string, signal: AbortSignal): Promise<Outcome> {
    const { key } = work;
    const { demands, index, kube, events, shadow } = this.#options;
    const now = new Date(this.#options.clock.now());
    const demand = demands.take(key);
    let generation: Generation | undefined;
    let fate: Fate = 'unused';
    try {
      const gathered = await observe(this.#options, namespace, name, signal);
      if (gathered === undefined) {
        demands.forget(key);
        index.remove(key);
        shadow?.forget(namespace, name);
        return { end: 'done' };
      }
      const observed: Observed = {
        ...gathered,
        ...(shadow === undefined
          ? { stores: this.#pending(gathered.stores) }
          : { compared: true, stores: unchecked(gathered.stores) }),
        answers: new Map(),
        demanded: demand !== undefined,
        deletions: { recent: this.#recentDeletions(gathered), limit: DELETIONS.limit },
      };
      const known = new Set(index.placesOf(key).map(({ path }) => path));
      const places = await this.#locate(key, observed);
      const asked = new Set<string>();
      const readHere: Need[] = [];
      const env = this.#options.envOf(observed, now);
      const making = this.#options.generators.begin(observed.object);
      generation = making;
      const steps = await settle(
        (answers) => plan({ ...observed, answers }, now, env),
        async (need) => {
          if ('generator' in need && shadow !== undefined) return notInShadow();
          if ('generator' in need)
            return making.generate(observed.generators.get(generatorId(need.generator)), need.index, signal);
          asked.add(need.id);
          let isOurs = false;
          const answer = await this.#answer(work, observed, need, places, demand, signal, () => {
            isOurs = true;
          });
          if (isOurs && !('failed' in answer)) readHere.push(need);
          return answer;
        },
      );
      if (shadow !== undefined) return shadow.compare(observed.object, observed.target, steps);
      // Whatever comes of this one: who is given its own answer again looks for nobody.
      this.#companions(work, observed, readHere, now);
      this.#noteDeletion(observed, steps);
      // From here on the Secret may hold what was made, whatever comes of the rest.
      if (writes(steps)) fate = 'perhaps';
      const within = this.#options.retryWithin(key);
      const outcome = await apply(kube, events, tellRetry(steps, within), (action, failure) =>
        tellRetry(refused(observed, now, action.failing, failure), within),
      );
      if (outcome.end === 'done' && wasTold(demand) && writes(steps)) this.#options.rotated?.(work.since);
      if (outcome.end === 'done' && isBound(steps)) fate = 'used';
      if (outcome.end === 'done') await this.#options.dynamic.applied(observed.object, signal);
      if (outcome.end !== 'done') demands.restore(key, demand);
      const unread = [...places].filter(([id]) => !asked.has(id)).flatMap(([, found]) => found);
      const fresh = unread.filter(({ path }) => !known.has(path));
      if (fresh.length > 0) this.#options.unheard(key, fresh);
      return outcome;
    } catch (error) {
      demands.restore(key, demand);
      throw error;
    } finally {
      await generation?.settle(fate);
    }
  }

  /**
   * Notes where its secrets are kept, before they are read, so that a change in between is heard. A place that is new and
   * that nothing was read from has to be read once: what happened there before was told to nobody.
   */
  async #locate(key: string, observed: Observed): Promise<Places> {
    const { caches, connections, index } = this.#options;
    const { spec, object } = observed;
    const places = new Map<string, readonly Place[]>();
    if ('malformed' in spec || object.metadata.deletionTimestamp !== undefined || wrongs(spec).length > 0) {
      index.remove(key);
      return places;
    }
    const namespace = namespaceOf(object);
    let away = false;
    for (const need of follows(spec) ? needsOf(spec) : []) {
      const sight = observed.stores.get(storeId(need.store));
      const store = findStore(caches, need.store, namespace);
      if (store === undefined || sight === undefined) continue;
      const found = 'usable' in sight ? await connections.locate(store, namespace, need) : undefined;
      if (found === undefined) away = true;
      else places.set(need.id, found);
    }
    const now = [...places.values()].flat();
    // What a store that is away tells when it comes back must still find its readers: it is told once, and as soon as the
    // stream is open again, before the store is ready and we can ask where anything lies.
    index.set(key, away ? [...now, ...index.placesOf(key)] : now);
    return places;
  }

  /**
   * Has those read too that read the same and are new, or due within the spread of their interval anyway: a round then reads
   * each secret once, however many use it.
   * @param needs what was read for this one: whoever was given the answer to another looks for nobody, or all who use a
   *   secret would look at all. So would all that are new, each of whom reads: looking once in a while is enough.
   */
  #companions({ key, since }: Work, { object }: Observed, needs: readonly Need[], now: Date): void {
    const { caches, clock, companion, hurry } = this.#options;
    const namespace = namespaceOf(object);
    const others = needs.flatMap((need) => {
      const id = needKey(need, namespace);
      const looked = this.#looked.get(id);
      if (looked !== undefined && clock.monotonic() - looked < LOOKED_MS) return [];
      this.#looked.set(id, clock.monotonic());
      return caches.externalSecrets.byIndex('need', id);
    });
    const fresh: string[] = [];
    for (const other of new Set(others)) {
      const otherKey = `ExternalSecret/${namespaceOf(other)}/${other.metadata.name}`;
      if (otherKey === key) continue;
      const why = companionOf(other, now);
      if (why === 'due') companion(otherKey, since);
      else if (why === 'new') fresh.push(otherKey);
    }
    hurry(fresh);
  }

  async #answer(
    { key, since }: Work,
    observed: Observed,
    need: Need,
    places: Places,
    demand: Demand | undefined,
    signal: AbortSignal,
    asks: () => void,
  ): Promise<Answer> {
    const { caches, dynamic, index, refused, suspect } = this.#options;
    const namespace = namespaceOf(observed.object);
    const store = findStore(caches, need.store, namespace);
    // The plan has just seen it; it went since, and its deletion plans us again.
    if (store === undefined) {
      const { kind, name } = need.store;
      return { failed: failure('operator.store_missing', { kind, name, where: '' }) };
    }
    const [place] = places.get(need.id) ?? [];
    const version = place === undefined ? undefined : demand?.versions.get(place.path);
    const answer = await dynamic.answer(observed, store, namespace, need, {
      signal,
      since,
      asks,
      ...(version === undefined ? {} : { notBefore: { version } }),
    });
    const read = 'read' in answer ? Number(answer.read.version) : Number.NaN;
    if (place !== undefined) index.saw(key, place.path, Number.isSafeInteger(read) ? read : undefined);
    if (wasRefused(answer)) refused(placeOfStore(need.store, namespace), key, since);
    // A store that is away should say so itself: then nobody else tries it, and all go on when it is back.
    if (
      'failed' in answer &&
      answer.failed.kind === 'unavailable' &&
      answer.failed.code !== 'operator.store_paused'
    )
      suspect(placeOfStore(need.store, namespace));
    return answer;
  }

  /** When an operator begins, it is about to look at all stores: until then nobody is told that they are not ready. */
  #pending(stores: Observed['stores']): Observed['stores'] {
    if (this.#options.clock.monotonic() - this.#began > FIRST_LOOK_MS) return stores;
    const checked = (sight: StoreSight): StoreSight => ('unchecked' in sight ? { pending: true } : sight);
    return new Map([...stores].map(([id, sight]) => [id, checked(sight)]));
  }

  #recentDeletions({ spec }: Pick<Observed, 'spec'>): number {
    if ('malformed' in spec) return 0;
    const since = this.#options.clock.monotonic() - DELETIONS.windowMs;
    let most = 0;
    for (const store of storesOf(spec).map(storeId)) {
      const recent = (this.#deletions.get(store) ?? []).filter((at) => at > since);
      this.#deletions.set(store, recent);
      most = Math.max(most, recent.length);
    }
    return most;
  }

  /** Counts the deletions that a loss caused; those that a person asked for are nobody's business. */
  #noteDeletion({ object, spec, target }: Observed, steps: Steps): void {
    if ('malformed' in spec || object.metadata.deletionTimestamp !== undefined) return;
    const lost = steps.actions.some(
      (action) => action.do === 'delete' && action.name.name === target?.metadata.name,
    );
    if (!lost) return;
    const at = this.#options.clock.monotonic();
    for (const store of storesOf(spec).map(storeId)) {
      this.#deletions.set(store, [...(this.#deletions.get(store) ?? []), at]);
    }
  }
}

/** Whether the store does not let us, in one of its properties or in all. */
const wasRefused = (answer: Answer): boolean =>
  'failed' in answer
    ? isRefusal(answer.failed)
    : 'each' in answer && [...answer.each.values()].some(wasRefused);

/** Whether a store told that something of it changed. */
const wasTold = (demand: Demand | undefined): boolean =>
  [...(demand?.versions.keys() ?? [])].some((path) => path !== '');

/** Whether the end is a Secret that holds the values. */
const isBound = ({ actions }: Steps): boolean =>
  actions.some((action) => action.do === 'status' && 'binding' in action.status);

const writes = ({ actions }: Steps): boolean =>
  actions.some((action) => action.do === 'create' || action.do === 'update');
