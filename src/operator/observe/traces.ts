/**
 * From the word of a server that something was written to the Secret that holds it, as spans of the trace in which it was
 * written. Only what a traced write caused is traced: a round of refreshes has no cause worth a trace. A sync that answers
 * several writes goes on in the trace of the newest, which is the one whose value the Secret gets, and is linked to the others.
 */

import { asFailure } from '../../base/errors.ts';
import { parseTraceparent, type TraceContext } from '../../base/trace/context.ts';
import type { Attributes, Tracer } from '../../base/trace/tracer.ts';
import type { Kube, KubeObject, Name } from '../../kube/kube.ts';
import type { DynamicAnswers } from '../dynamic/answers.ts';
import type { Outcome } from '../executor.ts';
import type { Answer } from '../plan.ts';

/** Writes that one sync is linked to at most; older ones are forgotten. */
const MOST_CAUSES = 16;
/** Keys whose causes are remembered at most: some are told of and never reconciled here. */
const MOST_KEYS = 10_000;

export class SyncTraces {
  readonly #tracer: Tracer;
  /** What caused the next sync of a key, the newest last. */
  readonly #causes = new Map<string, readonly TraceContext[]>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** A server told of a change that `key` is to read. @param traceparent as it came, if one did */
  told(key: string, traceparent: string | undefined): void {
    const cause = parseTraceparent(traceparent);
    if (cause !== undefined) this.#remember(key, [...(this.#causes.get(key) ?? []), cause]);
  }

  /** The key is gone, or another replica's. */
  forget(key: string): void {
    this.#causes.delete(key);
  }

  /** Reconciles in a span, where a traced write caused it. What did not come to its end is caused again. */
  async sync(key: string, work: () => Promise<Outcome>): Promise<Outcome> {
    const causes = this.#causes.get(key);
    if (causes === undefined) return work();
    this.#causes.delete(key);
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const parent = causes.findLast(({ sampled }) => sampled) ?? causes.at(-1);
    const span = this.#tracer.start({
      name: `reconcile ${kind}`,
      kind: 'consumer',
      parent,
      links: causes.filter((cause) => cause !== parent),
      attributes: { 'k8s.namespace.name': namespace, 'holdfast.object': name },
    });
    let outcome: Outcome | undefined;
    try {
      outcome = await this.#tracer.within(span, work);
      return outcome;
    } finally {
      if (outcome?.end !== 'done') this.#remember(key, [...causes, ...(this.#causes.get(key) ?? [])]);
      span.set('holdfast.outcome', outcome?.end ?? 'broken');
      span.end(outcome === undefined || outcome.end === 'failed');
    }
  }

  /** The same answers; those that are asked for inside a sync are spans of it. */
  answers(from: Pick<DynamicAnswers, 'answer' | 'applied'>): Pick<DynamicAnswers, 'answer' | 'applied'> {
    return {
      applied: (object, signal) => from.applied(object, signal),
      answer: (asking, store, ...rest) =>
        this.#inside(
          'read store',
          () => storeFacts(store),
          () => from.answer(asking, store, ...rest),
          failedAnswer,
        ),
    };
  }

  /** The same cluster; writes of Secrets inside a sync are spans of it. */
  kube(kube: Kube): Kube {
    const inside = <T>(
      verb: string,
      { resource, namespace, name }: Name,
      work: () => Promise<T>,
    ): Promise<T> =>
      resource.kind !== 'Secret'
        ? work()
        : this.#inside(
            `${verb} Secret`,
            () => ({ 'k8s.namespace.name': namespace ?? '', 'holdfast.object': name }),
            work,
          );
    return {
      get: (name, signal) => kube.get(name, signal),
      list: (options, signal) => kube.list(options, signal),
      watch: (options, signal) => kube.watch(options, signal),
      create: (name, object, options) => inside('create', name, () => kube.create(name, object, options)),
      update: (name, object, options) => inside('update', name, () => kube.update(name, object, options)),
      patch: (name, patch, options) => inside('patch', name, () => kube.patch(name, patch, options)),
      apply: (name, object, options) => inside('apply', name, () => kube.apply(name, object, options)),
      delete: (name, given) => inside('delete', name, () => kube.delete(name, given)),
    };
  }

  async #inside<T>(
    name: string,
    facts: () => Attributes,
    work: () => Promise<T>,
    failed: (given: T) => string | undefined = () => undefined,
  ): Promise<T> {
    const parent = this.#tracer.current();
    if (parent === undefined) return work();
    const span = this.#tracer.start({ name, kind: 'client', parent, attributes: facts() });
    let code: string | undefined;
    try {
      const given = await this.#tracer.within(span, work);
      code = failed(given);
      return given;
    } catch (error) {
      ({ code } = asFailure(error));
      throw error;
    } finally {
      if (code !== undefined) span.set('error.type', code);
      span.end(code !== undefined);
    }
  }

  #remember(key: string, causes: readonly TraceContext[]): void {
    this.#causes.delete(key);
    this.#causes.set(key, causes.slice(-MOST_CAUSES));
    if (this.#causes.size <= MOST_KEYS) return;
    for (const oldest of this.#causes.keys()) return void this.#causes.delete(oldest);
  }
}

/** Which store, and of what kind; where it leads is its tenant's own business. */
function storeFacts({ kind, metadata, ...rest }: KubeObject): Attributes {
  const spec = rest['spec'] as { readonly provider?: object } | undefined;
  return {
    'holdfast.store': `${kind}/${metadata.name}`,
    'holdfast.provider': Object.keys(spec?.provider ?? {})[0] ?? '',
  };
}

const failedAnswer = (answer: Answer): string | undefined =>
  'failed' in answer ? answer.failed.code : undefined;
