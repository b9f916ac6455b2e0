/**
 * A server, put together from its services: nothing here decides anything about a request. What exists only while the barrier
 * is open is made on unseal and dropped on seal, so that a sealed server has nothing left to give away.
 */

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { textOf, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { failure, isFailure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Log } from '../base/log.ts';
import { asFolder, parsePath } from '../base/path.ts';
import { sleep } from '../base/retry.ts';
import { after, type Soon } from '../base/soon.ts';
import { formatTraceparent } from '../base/trace/context.ts';
import type { Tracer } from '../base/trace/tracer.ts';
import { compileRoutes } from '../plugin/match.ts';
import type { Dial, PluginType, Verb } from '../plugin/plugin.ts';
import type { Leadership } from '../storage/leadership.ts';
import { prefixed } from '../storage/prefixed.ts';
import type { Backend, Storage } from '../storage/storage.ts';
import type { AuditBroker } from './audit/audit.ts';
import { createAuditBroker } from './audit/broker.ts';
import { LOCKOUT, Lockout, type LockoutRules } from './auth/lockout.ts';
import { wipe } from './auth/records.ts';
import { TokenStore } from './auth/tokens.ts';
import { TokenRoles } from './auth/tokens-roles.ts';
import { Backups, type BackupTarget } from './backup/backups.ts';
import type { Scratch } from './backup/verify.ts';
import { Barrier } from './barrier/barrier.ts';
import { KeyCustody } from './barrier/custody.ts';
import { dispatcher } from './cluster/dispatch.ts';
import { ClusterNode } from './cluster/node.ts';
import { type Belonging, belongingOf, followingTypes } from './cluster/part.ts';
import { PACE, type Pace, Tenure } from './cluster/tenure.ts';
import { AuditedHeaders } from './core/auditheaders.ts';
import {
  type AuditDevices,
  type ClusterMember,
  type Core,
  type HighAvailability,
  type NodeFacts,
  type Platform,
  type SealControl,
  type SealStatus,
  type Services,
  type SnapshotControl,
  services as servicesOf,
  type UnderWay,
} from './core/core.ts';
import { type LiveMount, MountTable, type SystemTtl, UNTUNED } from './core/mounts.ts';
import { PasswordPolicies } from './core/passwords.ts';
import { answer } from './core/pipeline.ts';
import { PolicyStore } from './core/policies.ts';
import { Quotas } from './core/quotas.ts';
import type { Answer, Request } from './core/request.ts';
import { createEventBus } from './events/bus.ts';
import type { EventBus } from './events/events.ts';
import type { Following } from './follow/follower.ts';
import { readOnly, whileLeading } from './follow/storage.ts';
import { takeEventSocket } from './http/eventsocket.ts';
import { refuseUpgrade } from './http/listener.ts';
import { identityEngine } from './identity/index.ts';
import { IdentityStore } from './identity/store.ts';
import { ExpiryIndex } from './lease/expiry.ts';
import { LeaseManager } from './lease/leases.ts';
import { LifetimeClock } from './lease/lifetime.ts';
import { createMetrics, type Metrics } from './metrics/registry.ts';
import { openByItself } from './seal/autounseal.ts';
import { Ceremonies } from './seal/ceremonies.ts';
import { SealKeeper } from './seal/keeper.ts';
import type { Seals } from './seal/seal.ts';
import { readSnapshot, saveSnapshot } from './snapshot/snapshot.ts';
import { systemRoutes } from './system/system.ts';
import { tokenMethod } from './system/tokens.ts';
import { tracedChanges } from './tracing.ts';

/** What clients take for Vault's version: Terraform and others turn features on and off by it. */
export const REPORTED_VERSION = '1.19.0';
const RING = 16_384;
/** How often a node looks whether another one has initialized the store. */
const UNMADE_MS = 1000;
/** How long an open node waits for the store to tell of its seal. */
const STATUS_MS = 300;
type KeeperStatus = Awaited<ReturnType<SealKeeper['status']>>;

export interface AuditWorld {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
}

export type Audit = AuditBroker & AuditDevices & { close?(): Promise<void> };

export interface ServerOptions {
  readonly backend: Backend;
  /** Secret engines and auth methods that can be mounted; `sys/` and `auth/token/` are the server's own. */
  readonly plugins: readonly PluginType[];
  readonly clock: Clock;
  readonly log: Log;
  /** The plugins' one way out. */
  readonly dial: Dial;
  /** Whether that way leads to a URL; absent: it shows when it is dialled. */
  readonly mayReach?: (url: string) => Promise<boolean>;
  /** Opens the audit trail when the barrier opens; absent: the devices that are stored behind it. */
  readonly audit?: (world: AuditWorld) => Promise<Audit>;
  readonly version?: string;
  /** Absent: people open it with shares. Its owner closes them, after the server. */
  readonly seals?: Seals;
  /** How long leases and tokens live where no mount says otherwise; absent: 768h. */
  readonly ttl?: SystemTtl;
  /** Scheme, host and port that clients reach the server by: what identity tokens name as their issuer. */
  readonly apiAddress?: () => string;
  readonly clusterAddress?: string;
  /** Where backups go, and where one is restored to be verified; absent: there are none. */
  readonly backups?: { readonly targets: readonly BackupTarget[]; scratch(): Promise<Scratch> };
  /** Absent: nobody else can open the store. */
  readonly cluster?: ClusterOptions;
  /** What else of its configuration the server tells; never a secret. */
  readonly node?: Pick<NodeFacts, 'listeners' | 'logLevel'>;
  /** How much memory what was read before may take; 0: nothing is kept. Absent: as the barrier has it. */
  readonly cacheBytes?: number;
  /** How often somebody may guess at logins of this type of auth method; absent: as upstream has it. */
  readonly lockout?: (type: string) => LockoutRules | undefined;
  /** Threads beside this one that answer reads; absent: there are none. */
  readonly readers?: Readers;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

/** Threads that read what this one writes. They hold keys of their own, for as long as the store is open. */
export interface Readers {
  /** The store is open. `rootKey` gives a copy of its root key as it is then, the caller's to wipe; undefined once sealed. */
  open(rootKey: () => Buffer | undefined): void;
  /** Resolves when none of them holds a key or anything that it read. */
  seal(): Promise<void>;
}

/** How this server shares its store with others. */
export interface ClusterOptions {
  readonly leadership: Leadership;
  readonly hostname: string;
  /** Where the other nodes reach this one; absent: they send clients to the leader instead of asking it for them. */
  readonly bind?: { readonly host: string; readonly port: number };
  /** What is told as that address, given the port that was bound. */
  readonly clusterAddress: (port: number) => string;
  readonly pace?: Partial<Pace>;
}

export interface Server {
  readonly core: Core;
  readonly seal: SealControl;
  readonly events: EventBus;
  readonly metrics: Metrics;
  /** Answers a request; never throws. */
  handle(request: Request): Soon<Answer>;
  /** Takes over a socket that asks for events, where another node has to answer it; false: this one does. */
  join(message: IncomingMessage, socket: Socket, head: Buffer): boolean;
  /** Asks from within the process, as `holdfast dev` does. */
  call(asked: {
    readonly verb: Verb;
    readonly path: string;
    readonly token?: string;
    readonly data?: Readonly<Record<string, Json>>;
  }): Promise<Answer>;
  /** Seals, and lets go of everything; the backend stays its owner's to close. */
  close(): Promise<void>;
}

/**
 * Makes a server over the backend: sealed, or uninitialized, until somebody opens it; with a seal that needs nobody it
 * begins to open by itself.
 * @throws Failure seal.stranded where no seal of the configuration opens this store
 */
export async function createServer(options: ServerOptions): Promise<Server> {
  const { backend, clock, log, cacheBytes, tracer } = options;
  const barrier = new Barrier(backend, cacheBytes === undefined ? {} : { cacheBytes });
  const keeper = new SealKeeper(backend, barrier, options.seals);
  await keeper.check();
  const events = createEventBus({ ringSize: RING, clock });
  let open: Opened | undefined;
  let node: ClusterNode<Part> | undefined;
  let dispatch: ReturnType<typeof dispatcher<Part>> | undefined;
  const { cluster } = options;
  const pace: Pace = { ...PACE, ...cluster?.pace };
  const current = (): Opened | undefined => (node === undefined ? open : node.services);
  let initialized = (await keeper.status()).initialized;
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };

  const core: Core = {
    clock,
    log,
    get system() {
      return current()?.services.mounts.get('sys/') ?? sealedSystem;
    },
    services: () => current()?.services,
    initialized: () => initialized,
    underWay: () => [...underWay],
  };
  const ceremonies = new Ceremonies(keeper, clock);
  const metrics = createMetrics();
  const underWay = new Set<UnderWay>();

  const shut = async (): Promise<void> => {
    await backups.end();
    // First, while what they hand over is still taken: lines of their answers among it.
    await options.readers?.seal();
    const closing = open;
    open = undefined;
    ceremonies.drop();
    await closing?.close();
    const leaving = node;
    node = undefined;
    await leaving?.stop();
    await keeper.seal();
  };
  const opened = async (): Promise<void> => {
    if (open !== undefined || node !== undefined || barrier.sealed) return;
    if (cluster !== undefined) return takePart(cluster);
    try {
      open = await openServices(options, barrier.view(''), barrier, events, types);
      events.reset(await backend.head());
      open.begin();
      backups.begin();
      options.readers?.open(() => barrier.rootKey());
    } catch (error) {
      // Half a server must not answer: closed again, it can be tried again.
      await shut();
      throw error;
    }
  };
  /** An open node of a cluster tells what it is at once, from what it knew last, though the store does not answer. */
  const known = async (): Promise<KeeperStatus> => {
    const asked = keeper.status().then((status) => {
      lastKnown = status;
      return status;
    });
    const last = lastKnown;
    if (node === undefined || last === undefined) return asked;
    const kept = { ...last, sealed: barrier.sealed };
    return new Promise((resolve) => {
      const cancel = clock.after(STATUS_MS, () => resolve(kept));
      asked.then(resolve, () => resolve(kept)).finally(cancel);
    });
  };
  let lastKnown: KeeperStatus | undefined;
  const told = async (): Promise<SealStatus> => {
    const { type, sealed, t, n, progress, nonce, recovery, migration, ...rest } = await known();
    // Another node may have done it.
    initialized = rest.initialized;
    const problem = sealed ? waiting?.problem() : undefined;
    const warnings = [problem, options.seals?.active?.caution];
    return {
      type,
      initialized: rest.initialized,
      sealed: sealed || (open === undefined && node === undefined),
      threshold: t,
      shares: n,
      progress,
      nonce,
      storage: backend.name,
      clusterId: current()?.clusterId ?? '',
      recovery,
      migration,
      warnings: warnings.filter((warning) => warning !== undefined),
    };
  };
  const openByService = async (): Promise<'open' | 'uninitialized' | 'people'> => {
    const outcome = await keeper.openByService();
    if (outcome === 'open') {
      await opened();
      // In a cluster whoever leads does it, once it does.
      if (cluster === undefined) await rewrap();
    }
    return outcome;
  };
  const rewrap = (): Promise<void> =>
    keeper.rewrap().then(
      (done) => {
        if (done) log.info('the root key was wrapped by the newest key of the seal');
      },
      (error: unknown) => log.warn('the root key was not wrapped by the newest key of the seal', { error }),
    );

  /** Does what has to be written while no node is open, as the leader for so long. */
  const asLeader = async <T>(work: (over: AbortSignal) => Promise<T>): Promise<T> => {
    if (cluster === undefined) return work(new AbortController().signal);
    const { leadership } = cluster;
    const self = { id: nodeId, address: options.apiAddress?.() ?? '' };
    const tenure = await Tenure.win(self, { leadership, clock, log, pace });
    if (tenure === undefined)
      throw failure('storage.led', { leader: (await leadership.leader())?.address ?? 'unknown' });
    try {
      return await work(tenure.ended);
    } finally {
      await barrier.idle();
      await tenure.resign();
    }
  };
  const nodeId = randomUUID();
  const takePart = async ({ leadership, hostname, bind, clusterAddress }: ClusterOptions): Promise<void> => {
    const partOf = (part: Opened): Part => ({
      ...part,
      placeOf: (request) => belonging(request, part.services).place,
      answer: async (request) => answer(coreOf(core, part), request),
      forget({ policies, identity }) {
        if (policies) part.services.policies.forget();
        if (identity) part.services.identity.forget();
      },
    });
    const made = new ClusterNode<Part>({
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
      id: nodeId,
      self: () => ({ hostname, apiAddress: options.apiAddress?.() ?? '', clusterAddress: '', version }),
      ...(bind === undefined ? {} : { bind }),
      clusterAddress,
      async openLeading(over) {
        const storage = whileLeading(barrier.view(''), over);
        const part = await openServices(options, storage, barrier, events, types);
        events.reset(await backend.head());
        return {
          ...partOf(part),
          begin() {
            part.begin();
            backups.begin();
          },
          async close() {
            ceremonies.drop();
            await backups.end();
            await part.close();
          },
        };
      },
      openFollowing: async (relay) => {
        const storage = readOnly(barrier.view(''), relay);
        return partOf(await openServices({ ...options, following: true }, storage, barrier, events, types));
      },
      led: () => {
        if (options.seals?.active !== undefined) void inTurn(rewrap);
      },
      keysLost: () => {
        log.error('the root key of the store was replaced: this node seals itself until it has the new one');
        void inTurn(async () => {
          await shut();
          if (options.seals?.active !== undefined) await openByService();
        }).catch((error: unknown) => log.error('this node stays sealed', { error }));
      },
      events: (message, socket, head, request) =>
        void takeEventSocket(
          { core, remote: request.remote },
          message,
          socket,
          head,
          leaving.signal,
          refuseUpgrade,
        ),
    });
    node = made;
    dispatch = dispatcher(made, {
      clock,
      patienceMs: pace.patienceMs,
      answerSelf: async (request) => answer(core, request),
      placeWithout: (request) => belonging(request, undefined).place,
      repeatable: (request) => belonging(request, made.services?.services).repeatable,
    });
    const { lead } = dispatch;
    const tracedLead = tracer === undefined ? lead : tracedChanges(tracer, mountFacts, lead);
    made.onForwarded = async (request) => tracedLead(request);
    await made.start();
  };
  const leaving = new AbortController();
  const belonging = (request: Request, services: Services | undefined): Belonging =>
    belongingOf(
      request,
      services?.mounts.find(request.path) ?? (request.path.segments[0] === 'sys' ? sealedSystem : undefined),
      following,
    );
  const seal: SealControl = {
    status: told,
    initialize: (shares, threshold) =>
      inTurn(async () => {
        if (cluster !== undefined && (await keeper.status()).initialized)
          throw failure('barrier.initialized');
        const made = await asLeader(async () => {
          const keys = await keeper.initialize({ shares, threshold });
          initialized = true;
          const part = await openServices(options, barrier.view(''), barrier, events, types);
          try {
            const root = await part.services.tokens.create({
              policies: ['root'],
              path: 'auth/token/root',
              displayName: 'root',
              ttlMs: 0,
              maxTtlMs: 0,
            });
            return { keys, rootToken: root.token };
          } finally {
            await part.close();
          }
        });
        // Who holds shares opens it with them; where nobody needs to, it is open.
        if (options.seals?.active === undefined) await shut();
        else await opened();
        return made;
      }),
    submit: (share, migrate) =>
      inTurn(async () => {
        const submit = () => keeper.submitShare(share, migrate);
        // What moves the store to another seal writes it, and what only opens it does not.
        await (migrate === true ? asLeader(submit) : submit());
        await opened();
        return told();
      }),
    reset: () =>
      inTurn(async () => {
        await keeper.reset();
        return told();
      }),
    seal: () => inTurn(shut),
  };

  const version = options.version ?? REPORTED_VERSION;
  const snapshots: SnapshotControl = {
    save: (signal) => saveSnapshot(barrier, { at: clock.now(), version, signal }),
    read: (source) => readSnapshot(barrier, source),
    restore: ({ entries }) =>
      inTurn(async () => {
        // What lives in memory is of the old store: all of it goes before the new one is in place.
        await backups.end();
        await options.readers?.seal();
        const closing = open;
        open = undefined;
        ceremonies.drop();
        const replace = () => barrier.replaceAll(entries, new AbortController().signal);
        if (node !== undefined) {
          await node.underneath(replace);
          if (barrier.sealed) await shut();
        } else {
          await closing?.close();
          try {
            await replace();
          } finally {
            await opened();
          }
        }
        // A snapshot that another root key opens has it wrapped by the same seal, perhaps.
        if (barrier.sealed && options.seals?.active !== undefined)
          await openByService().catch((error: unknown) =>
            log.error('the restored store is sealed', { error }),
          );
      }),
  };
  const backups = new Backups({
    barrier,
    clock,
    log,
    version,
    targets: options.backups?.targets ?? [],
    clusterId: () => current()?.clusterId ?? '',
    scratch: async () => {
      if (options.backups === undefined) throw failure('backup.target', { name: '' });
      return options.backups.scratch();
    },
    seal: options.seals?.active,
  });
  const availability = (): HighAvailability => ({
    leads: () => node?.leads ?? false,
    answers: () => node?.answers ?? false,
    since: () => (node?.role === 'leading' ? node.tenure?.since : undefined),
    leader: () => node?.leader,
    nodes: () => (node === undefined ? [] : membersOf(node, version)),
    stepDown: () => node?.stepDown(),
  });
  const platform: Platform = {
    core,
    seal,
    ceremonies,
    snapshots,
    backups,
    barrier,
    metrics,
    version,
    plugins: options.plugins,
    startedAt: clock.now(),
    node: {
      apiAddress: () => options.apiAddress?.() ?? '',
      clusterAddress: options.clusterAddress ?? '',
      listeners: options.node?.listeners ?? [],
      logLevel: options.node?.logLevel ?? '',
      defaultTtlMs: options.ttl?.defaultMs ?? 0,
      maxTtlMs: options.ttl?.maxMs ?? 0,
    },
    ...(cluster === undefined ? {} : { ha: availability() }),
  };
  const system: PluginType = { name: 'system', kind: 'secret', create: () => systemRoutes(platform) };
  const types = [
    ...options.plugins,
    system,
    tokenMethod(core),
    identityEngine(
      () => servicesOf(core).identity,
      () => options.apiAddress?.() ?? '',
    ),
  ];
  const following = followingTypes(types);
  const sealedSystem = liveSystem(systemRoutes(platform));
  const respond = (request: Request): Soon<Answer> => {
    const began = clock.monotonic();
    const path = request.path.text;
    const id = randomUUID();
    const self = {
      id,
      path,
      operation: request.verb,
      address: request.remote.address,
      startedAt: clock.now(),
    };
    underWay.add(self);
    // In a cluster each node that a request comes to names it anew.
    if (tracer !== undefined && node === undefined) tracer.current()?.set('holdfast.request_id', id);
    const mount =
      current()?.services.mounts.find(request.path)?.entry.path ?? (path.startsWith('sys/') ? 'sys/' : '');
    const asked = node === undefined ? undefined : dispatch?.handle(request);
    return after(asked ?? answer(core, request, id), (given) => {
      underWay.delete(self);
      const outcome = given.kind === 'failed' ? given.failure.kind : 'ok';
      metrics.requests.observe([request.verb, mount, outcome], (clock.monotonic() - began) / 1000);
      return given;
    });
  };
  const mountFacts = (request: Request) => {
    const entry = (
      request.path.segments[0] === 'sys' ? core.system : current()?.services.mounts.find(request.path)
    )?.entry;
    return { path: entry?.path ?? '', type: entry?.type ?? '' };
  };
  const handle = tracer === undefined ? respond : tracedChanges(tracer, mountFacts, respond);

  /** Another node of the cluster may initialize the store at any time, and tells nobody. */
  const openOnceMade = async (): Promise<'open' | 'uninitialized' | 'people'> => {
    for (;;) {
      const outcome = await inTurn(openByService);
      if (outcome !== 'uninitialized' || cluster === undefined) return outcome;
      await sleep(UNMADE_MS, leaving.signal);
    }
  };
  const { active } = options.seals ?? {};
  const waiting = active && openByItself({ seal: active.type, open: openOnceMade, clock, log });

  return {
    core,
    seal,
    events,
    metrics,
    handle,
    async call({ verb, path, token, data }) {
      const parsed = parsePath(path);
      return answer(core, {
        verb,
        path: verb === 'list' ? asFolder(parsed) : parsed,
        headers: {},
        remote: { address: '', port: 0 },
        signal: new AbortController().signal,
        ...(data === undefined ? {} : { data }),
        ...(token === undefined ? {} : { token }),
      });
    },
    join: (message, socket, head) =>
      node === undefined ? false : (dispatch?.join(message, socket, head) ?? false),
    close: () => {
      waiting?.stop();
      leaving.abort();
      return inTurn(shut);
    },
  };
}

export interface Opened {
  readonly services: Services;
  readonly clusterId: string;
  /** Starts what acts by itself. */
  begin(): void;
  close(): Promise<void>;
}

/** The services of a node of a cluster. */
type Part = Opened & Following;

/** The nodes of the cluster, as this one knows them. */
function membersOf(node: ClusterNode<Part>, version: string): ClusterMember[] {
  const { leader, standbys } = node;
  const active = leader && {
    ...leader,
    active: true,
    version: leader.version || version,
    lastEcho: undefined,
  };
  return [
    ...(active === undefined ? [] : [active]),
    ...standbys.map((standby) => ({ ...standby, active: false, lastEcho: standby.at })),
  ];
}

/** The core as one set of services is, however many have followed it. */
export const coreOf = (core: Core, { services }: Opened): Core => ({
  clock: core.clock,
  log: core.log,
  get system() {
    return services.mounts.get('sys/') ?? core.system;
  },
  services: () => services,
  initialized: () => core.initialized(),
  underWay: () => core.underWay(),
});

/** The services over an open barrier, from what the store holds. */
export async function openServices(
  {
    following = false,
    clock,
    log,
    dial,
    mayReach,
    ttl,
    audit: openAudit = storedDevices,
    tracer,
    lockout: lockoutOf = () => undefined,
  }: ServerOptions & {
    /** Another node leads: nothing is written, and nothing acts by itself. */
    readonly following?: boolean;
  },
  storage: Storage,
  barrier: Barrier,
  events: EventBus,
  types: readonly PluginType[],
): Promise<Opened> {
  // Tokens, leases and what ends when share one view, because they share commits.
  const own = prefixed(storage, 'sys/');
  const lifetime = await LifetimeClock.open({ storage: own, clock, log });
  const expiry = new ExpiryIndex({ storage: own, clock: lifetime, log });
  const tokenScope = (hash: string): Storage => prefixed(storage, `scope/${hash}/`);
  const leases: LeaseManager = new LeaseManager({
    storage: own,
    clock: lifetime,
    log,
    expiry,
    handlerOf: (uuid, handler) => mounts.byUuid(uuid)?.plugin.leases?.[handler],
  });
  const tokens = await TokenStore.open({
    storage: own,
    clock: lifetime,
    expiry,
    async release(hash) {
      await leases.revokeByToken(hash);
      await wipe(storage, `scope/${hash}/`);
    },
  });
  const policies = new PolicyStore(own);
  await policies.prepare();
  const passwords = new PasswordPolicies(own);
  const identity = new IdentityStore({
    storage: prefixed(storage, 'identity/'),
    clock,
    mountOf: (accessor) => mounts.byAccessor(accessor),
  });
  const mounts: MountTable = await MountTable.open(types, {
    ...(ttl === undefined ? {} : { ttl }),
    idle: following,
    password: (policy) => passwords.make(policy),
    clock,
    log,
    dial,
    ...(mayReach === undefined ? {} : { mayReach }),
    storage,
    view: (prefix) => prefixed(storage, prefix),
    emit(entry, event) {
      const cause = tracer?.current();
      events.publish({
        revision: event.revision,
        type: event.type,
        path: entry.path + event.path,
        dataPath: entry.path + event.dataPath,
        operation: event.operation,
        modified: event.modified,
        plugin: { mountPath: entry.path, mountAccessor: entry.accessor, plugin: entry.type },
        metadata: event.metadata ?? {},
        at: clock.now(),
        ...(cause === undefined ? {} : { traceparent: formatTraceparent(cause.context) }),
      });
    },
  });
  const audit = await openAudit({ storage: prefixed(storage, 'sys/audit/'), clock, log });
  const ended = new AbortController();
  const letGo = async (): Promise<void> => {
    await mounts.close();
    tokens.close();
    identity.close();
    await audit.close?.();
  };
  const custody = await KeyCustody.open({ barrier, storage: own, clock, log, readOnly: following });
  return {
    services: {
      tokens,
      lockout: new Lockout(
        clock,
        LOCKOUT,
        (accessor) => lockoutOf(mounts.byAccessor(accessor)?.type ?? '') ?? LOCKOUT,
      ),
      tokenRoles: new TokenRoles(own),
      leases,
      lifetime,
      policies,
      identity,
      mounts,
      audit,
      events,
      custody,
      passwords,
      quotas: await Quotas.open(own, clock),
      auditedHeaders: await AuditedHeaders.open(own),
      ended: ended.signal,
      tokenScope,
    },
    clusterId: await clusterId(own),
    begin() {
      lifetime.start();
      custody.start();
      expiry.start().catch((error: unknown) => log.error('the expiry index did not start', { error }));
    },
    async close() {
      ended.abort();
      custody.stop();
      expiry.stop();
      lifetime.stop();
      if (following) return letGo();
      // A leader that another has followed keeps nothing, and need not be told so.
      const unkept = (what: string) => (error: unknown) => {
        if (!isFailure(error, 'storage.fenced')) log.warn(what, { error });
      };
      await custody.save().catch(unkept('the count of the sealing key was not kept'));
      await lifetime.save().catch(unkept('the time of leases was not kept'));
      await letGo();
    },
  };
}

async function storedDevices(world: AuditWorld): Promise<Audit> {
  const broker = createAuditBroker(world);
  await broker.load();
  return broker;
}

async function clusterId(storage: Storage): Promise<string> {
  const found = await storage.get('cluster-id');
  if (found !== undefined) return textOf(found.value) ?? '';
  const id = randomUUID();
  await storage.commit([{ key: 'cluster-id', value: utf8(id) }]);
  return id;
}

/** `sys/` as it answers while there is no mount table. */
export function liveSystem(plugin: ReturnType<PluginType['create']>): LiveMount {
  return {
    plugin,
    match: compileRoutes(plugin.routes),
    clear: { request: [], response: [] },
    stop: () => {},
    entry: {
      uuid: '',
      accessor: '',
      kind: 'secret',
      type: 'system',
      path: 'sys/',
      description: '',
      options: {},
      local: false,
      sealWrap: false,
      config: UNTUNED,
    },
  };
}
