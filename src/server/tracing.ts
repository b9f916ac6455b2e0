/**
 * Requests that change something, as spans. A span tells the mount and never the path below it: names of secrets are not for
 * the eyes of everybody who may look at traces. What only reads is not traced, and costs nothing more than before.
 */

import { after, type Soon } from '../base/soon.ts';
import { parseTraceparent } from '../base/trace/context.ts';
import type { Tracer } from '../base/trace/tracer.ts';
import type { Verb } from '../plugin/plugin.ts';
import type { Core } from './core/core.ts';
import type { Answer, Request } from './core/request.ts';

const CHANGES: ReadonlySet<Verb> = new Set(['write', 'patch', 'delete']);

/** What is known of the mount that a request goes to; empty where there is none. */
export interface MountFacts {
  readonly path: string;
  readonly type: string;
}

export const mountFacts =
  (core: Core) =>
  ({ path }: Request): MountFacts => {
    const mount = path.segments[0] === 'sys' ? core.system : core.services()?.mounts.find(path);
    return { path: mount?.entry.path ?? '', type: mount?.entry.type ?? '' };
  };

/**
 * Wraps what answers requests. A parent is whoever sent `traceparent`; what is malformed there is ignored. Nothing is told of
 * a request that is not answered here but "elsewhere".
 */
export const tracedChanges =
  <Given extends Answer | 'elsewhere'>(
    tracer: Tracer,
    mountOf: (request: Request) => MountFacts,
    respond: (request: Request) => Soon<Given>,
  ): ((request: Request) => Soon<Given>) =>
  (request) => {
    if (!CHANGES.has(request.verb)) return respond(request);
    const { path, type } = mountOf(request);
    const span = tracer.start({
      name: `${request.verb} ${type === '' ? 'unknown' : type}`,
      kind: 'server',
      parent: parseTraceparent(request.headers['traceparent']),
      attributes: { 'holdfast.mount': path },
    });
    return tracer.within(span, () =>
      after(respond(request), (given) => {
        if (given === 'elsewhere') return given;
        if (given.kind === 'envelope') span.set('holdfast.request_id', given.envelope.requestId);
        span.set('holdfast.outcome', given.kind === 'failed' ? given.failure.kind : 'ok');
        if (given.kind === 'failed') span.set('error.type', given.failure.code);
        span.end(given.kind === 'failed' && isOurs(given.failure.kind));
        return given;
      }),
    );
  };

/** A client that is refused is no error of the server (OpenTelemetry's conventions for HTTP servers). */
const isOurs = (kind: string): boolean => kind === 'internal' || kind === 'unavailable' || kind === 'sealed';
