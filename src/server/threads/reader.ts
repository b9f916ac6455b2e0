/**
 * A thread that reads: it answers what has no effect from a store that the thread beside it writes, and hands it all else. It
 * follows for ever; whatever it cannot answer for certain, the other one can.
 */

import type { Clock } from '../../base/clock.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { after, type Soon } from '../../base/soon.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Dial, PluginType } from '../../plugin/plugin.ts';
import type { Backend, Storage } from '../../storage/storage.ts';
import type { AuditedLines } from '../audit/broker.ts';
import { Barrier } from '../barrier/barrier.ts';
import { belongingOf, followingTypes } from '../cluster/part.ts';
import type { Core } from '../core/core.ts';
import type { SystemTtl } from '../core/mounts.ts';
import { answer } from '../core/pipeline.ts';
import type { Answer, Request } from '../core/request.ts';
import { createEventBus } from '../events/bus.ts';
import { createFollower, type Follower, type Following } from '../follow/follower.ts';
import { readOnly } from '../follow/storage.ts';
import { identityEngine } from '../identity/index.ts';
import type { Audit } from '../options.ts';
import { coreOf, type Opened, openServices } from '../services.ts';
import { liveSystem } from '../system/live.ts';
import { tokenMethod } from '../system/tokens.ts';
import { relayedAudit } from './audit.ts';
import type { ReadIndex } from './index.ts';
import type { LentKey, Observed } from './messages.ts';
import { takeLent } from './messages.ts';

export interface ReaderOptions {
  /** The store, which this thread never writes. */
  readonly store: Backend;
  readonly index: ReadIndex;
  readonly plugins: readonly PluginType[];
  readonly clock: Clock;
  readonly log: Log;
  readonly dial: Dial;
  readonly ttl?: SystemTtl;
  readonly apiAddress: () => string;
  /** Asks the thread that writes. */
  readonly elsewhere: (request: Request) => Promise<Answer>;
  readonly append: (lines: AuditedLines) => Promise<boolean>;
  /** The root key of the store as it is now; undefined where it is sealed. */
  readonly rootKey: () => Promise<LentKey | undefined>;
  readonly observed: (one: Observed) => void;
}

export interface Reader {
  handle(request: Request): Soon<Answer>;
  /** Begins to answer; until it has caught up, the other thread is asked. */
  open(rootKey: LentKey): Promise<void>;
  /** Forgets keys and whatever was read; resolves when nothing of it is left. */
  seal(): Promise<void>;
}

/** A read waits no longer than this for what it has to see, and is then asked elsewhere. */
const PATIENCE_MS = 2000;

/** `sys/` is the other thread's: its routes tell of the whole process. */
const SYSTEM: PluginType = { name: 'system', kind: 'secret', create: () => ({ routes: [] }) };

/** What another thread may yet answer: a trail that is being changed, or keys that went. */
const isForOther = (given: Answer): boolean => given.kind === 'failed' && FOR_OTHER.has(given.failure.code);
const FOR_OTHER: ReadonlySet<string> = new Set(['audit.failed', 'server.sealed', 'base.internal']);

type Part = Opened & Following;

export function createReader(options: ReaderOptions): Reader {
  const { store, index, clock, log, elsewhere, observed } = options;
  const barrier = new Barrier(store);
  const events = createEventBus({ ringSize: 1, clock });
  let follower: Follower<Part> | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
  const system = liveSystem(SYSTEM.create(undefined as never));
  const core: Core = {
    clock,
    log,
    get system() {
      return follower?.services?.services.mounts.get('sys/') ?? system;
    },
    services: () => follower?.services?.services,
    initialized: () => true,
    underWay: () => [],
  };
  const types = [
    ...options.plugins,
    SYSTEM,
    tokenMethod(core),
    identityEngine(() => {
      const open = core.services();
      if (open === undefined) throw failure('server.sealed');
      return open.identity;
    }, options.apiAddress),
  ];
  const following = followingTypes(types);

  const openPart = async (): Promise<Part> => {
    const part = await openServices(
      {
        ...options,
        backend: store,
        following: true,
        audit: async (world): Promise<Audit> => relayedAudit(world, options.append),
      },
      readOnly(barrier.view('')) as Storage,
      barrier,
      events,
      types,
    );
    const own = coreOf(core, part);
    const { mounts, quotas, policies, identity } = part.services;
    return {
      ...part,
      placeOf(request) {
        // Who counts how often somebody asks is one for all threads.
        if (request.path.segments[0] === 'sys' || quotas.any) return 'leader';
        return belongingOf(request, mounts.lead(request.path), following).place;
      },
      answer: (request) => answer(own, request),
      forget(what) {
        if (what.policies) policies.forget();
        if (what.identity) identity.forget();
      },
    };
  };
  const rekey = async (): Promise<void> => {
    try {
      await barrier.refresh();
    } catch (error) {
      if (!isFailure(error, 'barrier.wrong_key')) throw error;
      const lent = await options.rootKey();
      if (lent === undefined) throw error;
      const next = takeLent(lent);
      try {
        await barrier.refresh(next);
      } finally {
        wipe(next);
      }
    }
  };

  return {
    handle(request) {
      if (follower === undefined || request.stream !== undefined) return elsewhere(request);
      const began = clock.monotonic();
      const mount = follower.services?.services.mounts.find(request.path)?.entry.path ?? '';
      return after(follower.handle(request), (given): Soon<Answer> => {
        if (given === 'elsewhere' || isForOther(given)) return elsewhere(request);
        const outcome = given.kind === 'failed' ? given.failure.kind : 'ok';
        observed([[request.verb, mount, outcome], (clock.monotonic() - began) / 1000]);
        return given;
      });
    },
    open: (lent) =>
      inTurn(async () => {
        const rootKey = takeLent(lent);
        try {
          if (follower !== undefined) return;
          await barrier.unseal(rootKey);
        } finally {
          wipe(rootKey);
        }
        follower = createFollower<Part>({
          feed: index,
          readIndex: () => index.soon(),
          open: openPart,
          forget: (keys) => (keys === undefined ? barrier.forget() : barrier.invalidate(keys)),
          rekey,
          leaderChanged: () => {},
          patienceMs: PATIENCE_MS,
          clock,
          log,
        });
      }),
    seal: () =>
      inTurn(async () => {
        const leaving = follower;
        follower = undefined;
        await barrier.seal();
        await leaving?.close();
      }),
  };
}
