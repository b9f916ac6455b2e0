/** Every request of a client, from its name to its answer: counted, timed, and listed while it is under way. */

import { randomUUID } from 'node:crypto';
import type { Present } from '../base/present.ts';
import { after, type Soon } from '../base/soon.ts';
import type { Tracer } from '../base/trace/tracer.ts';
import type { Core, UnderWay } from './core/core.ts';
import { Exchange } from './core/exchange.ts';
import { answerOf } from './core/pipeline.ts';
import type { Answer, Request } from './core/request.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Metrics } from './metrics/registry.ts';
import { mountFacts, tracedChanges } from './tracing.ts';

export interface RespondOptions {
  readonly core: Core;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
  /** Requests are in it for as long as they are under way. */
  readonly underWay: Present<UnderWay>;
  readonly tracer: Tracer | undefined;
}

/** What answers requests of clients; it never throws. */
export function responding(options: RespondOptions): (request: Request) => Soon<Answer> {
  const { core, lifecycle, metrics, underWay, tracer } = options;
  const { clock } = core;
  const respond = (request: Request): Soon<Answer> => {
    const began = clock.monotonic();
    const path = request.path.text;
    const id = randomUUID();
    const self = {
      id,
      path,
      operation: request.verb,
      address: request.remote.address,
      began,
      place: 0,
    };
    underWay.add(self);
    const { dispatch } = lifecycle;
    // In a cluster each node that a request comes to names it anew.
    if (tracer !== undefined && dispatch === undefined) tracer.current()?.set('holdfast.request_id', id);
    const told = (given: Answer, mount: string): void => {
      underWay.remove(self);
      const outcome = given.kind === 'failed' ? given.failure.kind : 'ok';
      metrics.requests.observe([request.verb, mount, outcome], (clock.monotonic() - began) / 1000);
    };
    if (dispatch !== undefined) {
      const mount = mountOf(core, request);
      return after(dispatch.handle(request), (given) => {
        told(given, mount);
        return given;
      });
    }
    const exchange = new Exchange(core, request, id);
    return answerOf(exchange, (given) => told(given, exchange.mount?.entry.path ?? ''));
  };
  return tracer === undefined ? respond : tracedChanges(tracer, mountFacts(core), respond);
}

const mountOf = (core: Core, { path }: Request): string =>
  core.services()?.mounts.find(path)?.entry.path ?? (path.text.startsWith('sys/') ? 'sys/' : '');
