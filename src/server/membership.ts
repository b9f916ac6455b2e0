/** A server as one node of a cluster: what it opens when it leads and when it follows, and where each request goes. */

import type { Tracer } from '../base/trace/tracer.ts';
import { dispatcher } from './cluster/dispatch.ts';
import { ClusterNode } from './cluster/node.ts';
import { type Belonging, belongingOf, followingTypes } from './cluster/part.ts';
import type { Pace } from './cluster/tenure.ts';
import type { Core, Services } from './core/core.ts';
import { Lead } from './core/mounts.ts';
import { answer } from './core/pipeline.ts';
import type { Request } from './core/request.ts';
import type { Following } from './follow/follower.ts';
import { readOnly, whileLeading } from './follow/storage.ts';
import { takeEventSocket } from './http/eventsocket.ts';
import { refuseUpgrade } from './http/listener.ts';
import type { ClusterOptions } from './options.ts';
import { coreOf, type Opened, openServices } from './services.ts';
import type { Surroundings } from './surroundings.ts';
import { mountFacts, tracedChanges } from './tracing.ts';

/** The services of a node of a cluster. */
export type Part = Opened & Following;

export interface Member {
  readonly node: ClusterNode<Part>;
  readonly dispatch: ReturnType<typeof dispatcher<Part>>;
}

/** What a node asks of the server that it is part of. */
interface MemberOptions {
  readonly id: string;
  readonly pace: Pace;
  /** It leads: the root key may want a newer key of the seal. */
  rewrap(): void;
  /** The root key of the store is another one now. */
  reopen(): void;
}

/** A node that is not started yet. */
export function takePart(
  around: Surroundings,
  { leadership, hostname, bind, clusterAddress }: ClusterOptions,
  { id, pace, rewrap, reopen }: MemberOptions,
): Member {
  const { options, barrier, ceremonies, events, core, version, leaving, types, backups } = around;
  const { backend, clock, log, tracer } = options;
  const belonging = belongingIn(around);

  const partOf = (part: Opened): Part => ({
    ...part,
    placeOf: (request) => belonging(request, part.services).place,
    answer: async (request) => answer(coreOf(core, part), request),
    forget({ policies, identity }) {
      if (policies) part.services.policies.forget();
      if (identity) part.services.identity.forget();
    },
  });
  const node = new ClusterNode<Part>({
    leadership,
    barrier: {
      view: (prefix) => barrier.view(prefix),
      head: () => backend.head(),
      changes: (after, signal) => backend.changes(after, signal),
      forget: (keys) => (keys === undefined ? barrier.forget() : barrier.invalidate(keys)),
      idle: () => barrier.idle(),
      refresh: (rootKey) => barrier.refresh(rootKey),
      handOver: () => barrier.handOver(),
    },
    clock,
    log,
    pace,
    id,
    self: () => ({ hostname, apiAddress: options.apiAddress?.() ?? '', clusterAddress: '', version }),
    ...(bind === undefined ? {} : { bind }),
    clusterAddress,
    async openLeading(over) {
      const storage = whileLeading(barrier.view(''), over);
      const part = await openServices(options, storage, barrier, events, types());
      events.reset(await backend.head());
      return {
        ...partOf(part),
        begin() {
          part.begin();
          backups().begin();
        },
        async close() {
          ceremonies.drop();
          await backups().end();
          await part.close();
        },
      };
    },
    openFollowing: async (relay) => {
      const storage = readOnly(barrier.view(''), relay);
      return partOf(await openServices({ ...options, following: true }, storage, barrier, events, types()));
    },
    led() {
      if (options.seals?.active !== undefined) rewrap();
    },
    keysLost() {
      log.error('the root key of the store was replaced: this node seals itself until it has the new one');
      reopen();
    },
    events: (message, socket, head, request) =>
      void takeEventSocket({ core, remote: request.remote }, message, socket, head, leaving, refuseUpgrade),
  });
  const dispatch = dispatcher(node, {
    clock,
    patienceMs: pace.patienceMs,
    answerSelf: async (request) => answer(core, request),
    placeWithout: (request) => belonging(request, undefined).place,
    repeatable: (request) => belonging(request, node.services?.services).repeatable,
  });
  const lead = tracedLead(tracer, core, dispatch.lead);
  node.onForwarded = async (request) => lead(request);
  return { node, dispatch };
}

const tracedLead = (tracer: Tracer | undefined, core: Core, lead: Member['dispatch']['lead']) =>
  tracer === undefined ? lead : tracedChanges(tracer, mountFacts(core), lead);

const belongingIn = ({ types, sealedSystem }: Surroundings) => {
  const following = followingTypes(types());
  return (request: Request, services: Services | undefined): Belonging => {
    const { path } = request;
    const sealed = (): Lead | undefined =>
      path.segments[0] === 'sys' ? new Lead(sealedSystem(), path) : undefined;
    return belongingOf(request, services?.mounts.lead(path) ?? sealed(), following);
  };
};
