/**
 * A request, on its way through a node of a cluster: answered here where that is certain to be right, handed to the leader where
 * it is not, and told at once where nobody can. A leader's answer leaves only while its lease stands, looked at after the answer
 * was made: one that slept in between must not tell what another has changed since.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { type Failure, failure } from '../../base/errors.ts';
import { parsePath } from '../../base/path.ts';
import type { Answer, Request } from '../core/request.ts';
import type { Following } from '../follow/follower.ts';
import type { Place } from '../follow/reach.ts';
import { remoteOf } from '../http/intake.ts';
import { refuseUpgrade } from '../http/listener.ts';
import { courseOf, fateOf } from './decide.ts';
import type { ClusterNode } from './node.ts';

export interface DispatchOptions {
  readonly clock: Clock;
  /** How long a request waits for somebody to lead, in milliseconds. */
  readonly patienceMs: number;
  /** Answers what a node tells of itself, with whatever it has open. */
  readonly answerSelf: (request: Request) => Promise<Answer>;
  /** Where a request is answered, for who has no services open. */
  readonly placeWithout: (request: Request) => Place | undefined;
  /** Whether asking again changes nothing, as far as is known. */
  readonly repeatable: (request: Request) => boolean;
}

/** How soon a client is asked to try again. */
const RETRY_AFTER_MS = 1000;
/** Somebody may lead without this node having been told yet: it looks again this often. */
const LOOK_MS = 100;

const failed = (why: Failure): Answer => ({ kind: 'failed', failure: why });
const noLeader = (): Answer => failed(failure('cluster.no_leader', {}, { retryAfterMs: RETRY_AFTER_MS }));

/** What a node does with requests of clients, and with those that other nodes hand on. Neither ever throws. */
export function dispatcher<S extends Following>(node: ClusterNode<S>, options: DispatchOptions) {
  const { clock, patienceMs, answerSelf, placeWithout, repeatable } = options;

  /** As the leader; "again" where nothing is known to have been done and it may be asked anew. */
  const asLeader = async (request: Request): Promise<Answer | 'again'> => {
    const { tenure, leading } = node;
    if (tenure === undefined || leading === undefined || !tenure.holds()) return 'again';
    const given = await tenure.whileHeld(leading.use((services) => services.answer(request)));
    const held = given !== undefined && (await tenure.standsWithin(patienceMs));
    switch (fateOf({ held, repeatable: repeatable(request) })) {
      case 'told':
        return given as Answer;
      case 'again':
        return 'again';
      case 'unknown':
        return failed(failure('cluster.unknown'));
    }
  };

  const asFollower = async (request: Request): Promise<Answer | 'elsewhere' | 'again'> =>
    (await node.follower?.handle(request)) ?? 'again';

  const forwarded = async (request: Request): Promise<Answer | 'again'> => {
    if ((request.headers['x-vault-no-request-forwarding'] ?? '') !== '') return redirect(node, request);
    const { forwarder, leader } = node;
    if (forwarder === undefined)
      return leader !== undefined && leader.id !== node.id && leader.clusterAddress === ''
        ? redirect(node, request)
        : 'again';
    const outcome = await forwarder.forward(request);
    if (outcome === 'unknown') return repeatable(request) ? 'again' : failed(failure('cluster.unknown'));
    if (outcome !== 'elsewhere') return outcome;
    // A body that was read from its socket cannot be read again.
    return request.stream === undefined ? 'again' : noLeader();
  };

  const once = async (request: Request): Promise<Answer | 'again'> => {
    const place = node.services?.placeOf(request) ?? placeWithout(request);
    switch (courseOf({ role: node.role, holds: node.leads, place })) {
      case 'answer':
        return place === 'node' ? answerSelf(request) : asLeader(request);
      case 'follow': {
        const given = await asFollower(request);
        return given === 'elsewhere' ? forwarded(request) : given;
      }
      case 'forward':
        return forwarded(request);
      case 'wait':
        return 'again';
    }
  };

  return {
    async handle(request: Request): Promise<Answer> {
      let until: number | undefined;
      for (;;) {
        const given = await once(request);
        if (given !== 'again') return given;
        until ??= clock.monotonic() + patienceMs;
        const left = until - clock.monotonic();
        if (left <= 0 || request.signal.aborted) return noLeader();
        await node.changed(Math.min(left, LOOK_MS));
      }
    },
    /** Hands a socket that asks for events to the leader. @returns false where this node leads itself */
    join(message: IncomingMessage, socket: Socket, head: Buffer): boolean {
      if (node.role === 'leading') return false;
      const { forwarder } = node;
      const gone = failure('cluster.no_leader', {}, { retryAfterMs: RETRY_AFTER_MS });
      if (forwarder === undefined) refuseUpgrade(socket, gone);
      else
        forwarder
          .join(headOf(message), wordsOf(message), socket, head)
          .catch(() => refuseUpgrade(socket, gone));
      return true;
    },
    async lead(request: Request): Promise<Answer | 'elsewhere'> {
      const given = node.leads ? await asLeader(request) : 'again';
      return given === 'again' ? 'elsewhere' : given;
    },
  };
}

/** What the leader has to know of whose socket it is: it reads the rest from the words of the upgrade. */
const headOf = (message: IncomingMessage): Request => ({
  verb: 'read',
  path: parsePath('sys/events/subscribe'),
  headers: {},
  remote: remoteOf(message.socket),
  signal: new AbortController().signal,
});

/** The upgrade as the client sent it. */
function wordsOf({ method, url, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Where the leader is, for a client that wants to ask it itself: 307 keeps the verb and the body. */
function redirect<S extends Following>({ leader }: ClusterNode<S>, { path, verb, data }: Request): Answer {
  if (leader === undefined || leader.apiAddress === '') return noLeader();
  const query = new URLSearchParams(
    Object.entries(data ?? {}).map(([name, value]): [string, string] => [name, String(value)]),
  );
  if (verb === 'list') query.set('list', 'true');
  const way = path.text.split('/').map(encodeURIComponent).join('/');
  const asked = query.size === 0 ? '' : `?${query}`;
  const location = `${leader.apiAddress.replace(/\/+$/, '')}/v1/${way}${asked}`;
  return { kind: 'raw', reply: { status: 307, headers: { location }, body: new Uint8Array(0) } };
}
