/**
 * Has generators make values for an object, and follows what they leave behind: what a reconcile made is in use when its
 * values were written, and what was made before is then given up; when they were not, what it made is. In that order, so
 * that at no time the values in use are those that are being taken away.
 */

import type { Clock } from '../../base/clock.ts';
import { asFailure, Failure, failure } from '../../base/errors.ts';
import type { KubeObject } from '../../kube/kube.ts';
import type { Fields, GeneratorType, Reserved } from '../../provider/generator.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { issueOf } from '../connections.ts';
import { environmentOf, type World } from '../environment.ts';
import type { GeneratorRef } from '../plan.ts';
import { type GeneratorSight, generatorSight } from './sight.ts';
import { createState, giveUp, nameOfState, reservedBy, stateSpecOf, statesInUse } from './states.ts';

export interface GeneratorsOptions extends World {
  readonly types: readonly GeneratorType[];
  readonly clock: Clock;
  readonly controllerClass: string;
  /** How long what was in use stays after it was replaced. Default 2 minutes, as upstream has it. */
  readonly graceMs?: number;
  /** Whether an object may have states from earlier; where nobody can say, it is looked. */
  hasStates?(owner: KubeObject): boolean;
}

/** A generator with the settings of a manifest, ready to be asked. */
export interface Bound {
  readonly type: GeneratorType;
  readonly spec: unknown;
  readonly env: ProviderEnv;
}

/** What became of values that were made: in use, not, or nobody knows, because a write broke off. */
export type Fate = 'used' | 'unused' | 'perhaps';

export const GRACE_MS = 2 * 60_000;

export class Generators {
  readonly #options: GeneratorsOptions;

  constructor(options: GeneratorsOptions) {
    this.#options = options;
  }

  /** What a namespace may see of a generator. @throws Failure kube.* where the cluster does not answer */
  sight(namespace: string, ref: GeneratorRef, signal?: AbortSignal): Promise<GeneratorSight> {
    const { kube, controllerClass } = this.#options;
    return generatorSight(kube, namespace, ref, controllerClass, signal);
  }

  /** What one reconcile of an object makes. */
  begin(owner: KubeObject): Generation {
    return new Generation(this.#options, this, owner);
  }

  /** @throws Failure operator.generator_unknown, operator.generator_invalid */
  bind(manifest: KubeObject, namespace: string): Bound {
    const { kind, metadata } = manifest;
    const type = this.#options.types.find((known) => known.kind === kind);
    if (type === undefined) {
      const known = this.#options.types.map((one) => one.kind).join(', ');
      throw failure('operator.generator_unknown', { kind, near: '', known });
    }
    const label = `${kind} ${namespace}/${metadata.name}`;
    const spec = type.spec.safeParse(manifest['spec'] ?? {});
    if (!spec.success)
      throw failure('operator.generator_invalid', {
        generator: label,
        reason: issueOf(spec.error, 'spec'),
      });
    // It may name what is in the namespace and nothing else, as a SecretStore may.
    const scope = { store: { kind: 'SecretStore' as const, name: metadata.name }, namespace };
    return { type, spec: spec.data, env: environmentOf(this.#options, { label, scope }) };
  }

  /** The generator that left a state, and the state. @throws Failure as `bind` */
  ofState(state: KubeObject): Bound & { readonly reserved: Reserved } {
    const spec = stateSpecOf(state);
    if (spec === undefined)
      throw failure('operator.generator_invalid', {
        generator: `GeneratorState ${state.metadata.name}`,
        reason: 'it holds no resource and state',
      });
    const manifest = spec.resource as unknown as KubeObject;
    const named = { ...manifest, metadata: manifest.metadata ?? { name: state.metadata.name } };
    return {
      ...this.bind(named, state.metadata.namespace ?? ''),
      reserved: reservedBy(this.#options.kube, state),
    };
  }
}

export class Generation {
  readonly #options: GeneratorsOptions;
  readonly #generators: Generators;
  readonly #owner: KubeObject;
  readonly #made: KubeObject[] = [];
  #asked = false;

  constructor(options: GeneratorsOptions, generators: Generators, owner: KubeObject) {
    this.#options = options;
    this.#generators = generators;
    this.#owner = owner;
  }

  /**
   * New values. @param index of the entry that they are for, as states are told apart by
   * @returns values, or why there are none; never throws
   */
  async generate(
    sight: GeneratorSight | undefined,
    index: string,
    signal?: AbortSignal,
  ): Promise<{ readonly generated: Fields } | { readonly failed: Failure }> {
    const { kube, log } = this.#options;
    if (sight === undefined) return { failed: failure('base.internal') };
    if ('refused' in sight) return { failed: sight.refused };
    if ('foreign' in sight)
      return { failed: failure('operator.generator_unmanaged', { kind: sight.kind, name: sight.name }) };
    const manifest = sight.usable;
    this.#asked = true;
    try {
      const { type, spec, env } = this.#generators.bind(manifest, this.#owner.metadata.namespace ?? '');
      const reserve = async (state: Reserved['state']): Promise<Reserved> => {
        const made = await createState(kube, this.#owner, index, manifest, state);
        this.#made.push(made);
        return reservedBy(kube, made);
      };
      return { generated: await type.generate(spec, env, reserve, signal) };
    } catch (error) {
      if (!(error instanceof Failure))
        log.error('a generator failed in a way it should not', { generator: manifest.metadata.name, error });
      return { failed: asFailure(error) };
    }
  }

  /**
   * To be called when the reconcile has ended. What cannot be said to the cluster now is found by the next generation, which
   * gives up all but its own.
   */
  async settle(fate: Fate): Promise<void> {
    const { kube, log, clock, graceMs = GRACE_MS, hasStates } = this.#options;
    if (!this.#asked) return;
    const now = clock.now();
    const mine = new Set(this.#made.map(({ metadata }) => metadata.name));
    try {
      if (fate !== 'used') {
        const at = new Date(fate === 'perhaps' ? now + graceMs : now);
        for (const state of this.#made) await giveUp(kube, nameOfState(state), at);
        return;
      }
      if (mine.size === 0 && hasStates?.(this.#owner) === false) return;
      for (const state of await statesInUse(kube, this.#owner)) {
        if (mine.has(state.metadata.name)) continue;
        await giveUp(kube, nameOfState(state), new Date(now + graceMs));
      }
    } catch (error) {
      log.warn('what a generator made before was not given up; the next refresh will', {
        owner: `${this.#owner.metadata.namespace}/${this.#owner.metadata.name}`,
        code: asFailure(error).code,
      });
    }
  }
}
