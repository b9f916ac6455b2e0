/**
 * Listening to events. Who listens is judged for every event at the moment it is sent, by the policies as they then are;
 * the subscription ends with the token, with the right to listen, and with the barrier.
 */

import { inCidrs } from '../../base/cidr.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Path } from '../../base/path.ts';
import { parsePath } from '../../base/path.ts';
import type { ServerEvent } from '../events/events.ts';
import { type Authority, authorityOf } from './authority.ts';
import { type Core, services } from './core.ts';

export interface Listening {
  /** The path of the subscription: sys/events/subscribe/<type>. */
  readonly path: Path;
  readonly type: string;
  readonly token: string | undefined;
  readonly after?: number;
  readonly remote: { readonly address: string; readonly port: number };
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/**
 * @returns the events that the caller may hear of, until `signal` or the right to listen ends
 * @throws Failure request.denied, server.sealed; the iteration throws `Gone` when `after` is too long ago
 */
export async function subscribe(core: Core, asked: Listening): Promise<AsyncIterable<ServerEvent>> {
  const open = services(core);
  const entry = asked.token === undefined ? undefined : await open.tokens.lookup(asked.token);
  const known = entry !== undefined && inCidrs(asked.remote.address, entry.boundCidrs) && entry.uses === 0;
  let judged: Authority | undefined;
  const mayListen = async (): Promise<boolean> => {
    const current = known ? await open.tokens.current(entry) : undefined;
    if (current === undefined) return false;
    judged = await authorityOf(open, current);
    return judged.acl.decide({ path: asked.path, capability: 'read', sudo: false }).allowed;
  };
  const allowed = await mayListen().catch(refusedToListen);
  if (open.audit.enabled) {
    await open.audit.record('request', {
      request: {
        id: asked.requestId,
        operation: 'read',
        path: asked.path.text,
        remote: asked.remote,
        ...(asked.token === undefined ? {} : { clientToken: asked.token }),
      },
      auth:
        entry === undefined
          ? undefined
          : {
              accessor: entry.accessor,
              displayName: entry.displayName,
              policies: judged?.policies ?? entry.policies,
              entityId: entry.entityId,
            },
      error: allowed ? undefined : 'permission denied',
    });
  }
  if (!allowed || entry === undefined) throw failure('request.denied');

  const { hash } = entry;
  const over = new AbortController();
  const signal = AbortSignal.any([asked.signal, open.ended, over.signal]);
  const recheck = (): void => {
    mayListen().then(
      (still) => still || over.abort(),
      () => over.abort(),
    );
  };
  const unwatch = [
    open.tokens.onRevoke((revoked) => {
      if (revoked === hash) over.abort();
    }),
    open.policies.onChange(recheck),
    open.identity.onChange(recheck),
  ];
  signal.addEventListener(
    'abort',
    () =>
      unwatch.forEach((end) => {
        end();
      }),
    { once: true },
  );

  const mayHear = async (event: ServerEvent): Promise<boolean | 'over'> => {
    const current = await open.tokens.current(entry);
    if (current === undefined) return 'over';
    const { acl } = await authorityOf(open, current);
    if (acl.root) return true;
    return acl.decide({
      path: parsePath(event.dataPath),
      capability: 'subscribe',
      sudo: false,
      eventType: event.type,
    }).allowed;
  };
  const { type, after } = asked;
  const judge = () => (signal.aborted ? 'close' : 'send') as 'close' | 'send';
  // The place among the events is taken here and now: what is published while the socket opens must not be missed.
  const all = open.events.subscribe({ type, judge, signal, ...(after === undefined ? {} : { after }) });
  async function* heard(): AsyncGenerator<ServerEvent> {
    try {
      for await (const event of all) {
        const verdict = await mayHear(event).catch(refusedToListen);
        if (verdict === 'over' || signal.aborted) return;
        if (verdict) yield event;
      }
    } finally {
      over.abort();
    }
  }
  return heard();
}

/** Whose entity is disabled or gone hears nothing. @throws everything else that went wrong */
function refusedToListen(error: unknown): false {
  if (isFailure(error) && error.kind === 'denied') return false;
  throw error;
}
