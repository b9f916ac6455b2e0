/**
 * Reconciles one GeneratorState. What a generator left is taken away after its deadline or with its owner, by the generator
 * itself, as often as it takes: the finalizer goes when nothing is left.
 */

import type { Clock } from '../../../base/clock.ts';
import { asFailure, failure, isFailure } from '../../../base/errors.ts';
import type { Kube, KubeObject } from '../../../kube/kube.ts';
import { GENERATOR_STATES, generatorStateStatus } from '../../api/generators/kinds.ts';
import { told, withCondition } from '../../conditions.ts';
import type { Outcome } from '../../executor.ts';
import type { Generators } from '../../generators/generators.ts';
import { nameOfState, STATE_FINALIZER, stateSpecOf } from '../../generators/states.ts';
import { planState } from './plan.ts';

export interface GeneratorStateOptions {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly generators: Generators;
  /** The values of an owner have to be made anew: what they stand for ends. */
  replace(owner: { readonly kind: string; readonly namespace: string; readonly name: string }): void;
}

export class GeneratorStateController {
  readonly #options: GeneratorStateOptions;

  constructor(options: GeneratorStateOptions) {
    this.#options = options;
  }

  /** @throws Failure where the cluster does not answer */
  async reconcile(namespace: string, name: string, signal: AbortSignal): Promise<Outcome> {
    const { kube } = this.#options;
    // From the server: the cache is behind right after our own writes.
    const object = await kube.get({ resource: GENERATOR_STATES, namespace, name }, signal);
    if (object === undefined) return { end: 'done' };
    try {
      return await this.#decided(object, signal);
    } catch (error) {
      const isStale = isFailure(error, 'kube.conflict') || isFailure(error, 'kube.missing');
      if (isStale) return { end: 'stale' };
      throw error;
    }
  }

  async #decided(object: KubeObject, signal: AbortSignal): Promise<Outcome> {
    const { kube, clock } = this.#options;
    const now = new Date(clock.now());
    const name = nameOfState(object);
    const plan = planState(object, stateSpecOf(object), now);
    switch (plan.do) {
      case 'hold':
        await this.#finalizers(object, [...(object.metadata.finalizers ?? []), STATE_FINALIZER]);
        return { end: 'done' };
      case 'delete':
        await kube.delete(name, { uid: object.metadata.uid ?? '' });
        return { end: 'done' };
      case 'clean':
        return this.#clean(object, now, signal);
      case 'keep':
        return this.#keep(object, now);
      case 'wait':
        return { end: 'done', requeueAt: plan.until };
      case 'nothing':
        return { end: 'done' };
    }
  }

  async #clean(object: KubeObject, now: Date, signal: AbortSignal): Promise<Outcome> {
    try {
      const { type, spec, env, reserved } = this.#options.generators.ofState(object);
      await type.cleaner?.cleanup(spec, reserved, env, signal);
    } catch (error) {
      const cause = asFailure(error);
      await this.#tell(object, 'False', 'Error', `could not cleanup generator state: ${told(cause)}`, now);
      return { end: 'failed' };
    }
    await this.#finalizers(
      object,
      (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== STATE_FINALIZER),
    );
    return { end: 'done' };
  }

  async #keep(object: KubeObject, now: Date): Promise<Outcome> {
    let again: Date | undefined;
    try {
      const { type, spec, env, reserved } = this.#options.generators.ofState(object);
      const kept = await type.keeper?.keep(spec, reserved, env, now);
      if (kept?.replaceAt !== undefined && kept.replaceAt <= now) {
        this.#replace(object);
      } else {
        const times = [kept?.again, kept?.replaceAt].filter((at) => at !== undefined);
        again = times.length === 0 ? undefined : new Date(Math.min(...times.map(Number)));
      }
    } catch (error) {
      const cause = asFailure(error);
      await this.#tell(object, 'False', 'Error', `could not keep what was generated: ${told(cause)}`, now);
      return { end: 'failed' };
    }
    await this.#tell(object, 'True', 'Created', 'GeneratorState created', now);
    return { end: 'done', ...(again === undefined ? {} : { requeueAt: again }) };
  }

  #replace({ metadata }: KubeObject): void {
    for (const { kind, name } of metadata.ownerReferences ?? [])
      this.#options.replace({ kind, namespace: metadata.namespace ?? '', name });
  }

  async #finalizers(object: KubeObject, finalizers: readonly string[]): Promise<void> {
    const { resourceVersion } = object.metadata;
    if (resourceVersion === undefined) throw failure('base.internal');
    await this.#options.kube.patch(nameOfState(object), { metadata: { finalizers, resourceVersion } });
  }

  /** Upstream's definition has no subresource for the status, so it is a part of the object. */
  async #tell(
    object: KubeObject,
    status: 'True' | 'False',
    reason: string,
    message: string,
    now: Date,
  ): Promise<void> {
    const parsed = generatorStateStatus.safeParse(object['status'] ?? {});
    const before = parsed.success ? (parsed.data.conditions ?? []) : [];
    const ready = before.find(({ type }) => type === 'Ready');
    if (ready?.status === status && ready.message === message) return;
    const conditions = withCondition(before, { type: 'Ready', status, reason, message }, now);
    await this.#options.kube.patch(nameOfState(object), { status: { conditions } });
  }
}
