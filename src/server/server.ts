/**
 * A server, put together from its services: nothing here decides anything about a request. What exists only while the barrier
 * is open is made on unseal and dropped on seal, so that a sealed server has nothing left to give away.
 */

import { randomUUID } from 'node:crypto';
import { textOf, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import type { Log } from '../base/log.ts';
import { asFolder, parsePath } from '../base/path.ts';
import { compileRoutes } from '../plugin/match.ts';
import type { Dial, PluginType, Verb } from '../plugin/plugin.ts';
import { prefixed } from '../storage/prefixed.ts';
import type { Backend, Storage } from '../storage/storage.ts';
import type { AuditBroker } from './audit/audit.ts';
import { createAuditBroker } from './audit/broker.ts';
import { LOCKOUT, Lockout, type LockoutRules } from './auth/lockout.ts';
import { wipe } from './auth/records.ts';
import { TokenStore } from './auth/tokens.ts';
import { TokenRoles } from './auth/tokens-roles.ts';
import { Barrier } from './barrier/barrier.ts';
import { KeyCustody } from './barrier/custody.ts';
import { AuditedHeaders } from './core/auditheaders.ts';
import {
  type AuditDevices,
  type Core,
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
import { identityEngine } from './identity/index.ts';
import { IdentityStore } from './identity/store.ts';
import { ExpiryIndex } from './lease/expiry.ts';
import { LeaseManager } from './lease/leases.ts';
import { LifetimeClock } from './lease/lifetime.ts';
import { createMetrics } from './metrics/registry.ts';
import { openByItself } from './seal/autounseal.ts';
import { Ceremonies } from './seal/ceremonies.ts';
import { SealKeeper } from './seal/keeper.ts';
import type { Seals } from './seal/seal.ts';
import { readSnapshot, saveSnapshot } from './snapshot/snapshot.ts';
import { systemRoutes } from './system/system.ts';
import { tokenMethod } from './system/tokens.ts';

/** What clients take for Vault's version: Terraform and others turn features on and off by it. */
export const REPORTED_VERSION = '1.19.0';
const RING = 16_384;

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
  /** What else of its configuration the server tells; never a secret. */
  readonly node?: Pick<NodeFacts, 'listeners' | 'logLevel'>;
  /** How often somebody may guess at logins of this type of auth method; absent: as upstream has it. */
  readonly lockout?: (type: string) => LockoutRules | undefined;
}

export interface Server {
  readonly core: Core;
  readonly seal: SealControl;
  readonly events: EventBus;
  /** Answers a request; never throws. */
  handle(request: Request): Promise<Answer>;
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
  const { backend, clock, log } = options;
  const barrier = new Barrier(backend);
  const keeper = new SealKeeper(backend, barrier, options.seals);
  await keeper.check();
  const events = createEventBus({ ringSize: RING, clock });
  let open: Opened | undefined;
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
      return open?.services.mounts.get('sys/') ?? sealedSystem;
    },
    services: () => open?.services,
    initialized: () => initialized,
    underWay: () => [...underWay],
  };
  const ceremonies = new Ceremonies(keeper, clock);
  const metrics = createMetrics();
  const underWay = new Set<UnderWay>();

  const shut = async (): Promise<void> => {
    const closing = open;
    open = undefined;
    ceremonies.drop();
    await closing?.close();
    await keeper.seal();
  };
  const opened = async (): Promise<void> => {
    if (open !== undefined || barrier.sealed) return;
    try {
      open = await openServices(options, barrier, events, types);
      events.reset(await backend.head());
      open.begin();
    } catch (error) {
      // Half a server must not answer: closed again, it can be tried again.
      await shut();
      throw error;
    }
  };
  const told = async (): Promise<SealStatus> => {
    const { type, sealed, t, n, progress, nonce, recovery, migration, ...rest } = await keeper.status();
    const problem = sealed ? waiting?.problem() : undefined;
    const warnings = [problem, options.seals?.active?.caution];
    return {
      type,
      initialized: rest.initialized,
      sealed: sealed || open === undefined,
      threshold: t,
      shares: n,
      progress,
      nonce,
      storage: backend.name,
      clusterId: open?.clusterId ?? '',
      recovery,
      migration,
      warnings: warnings.filter((warning) => warning !== undefined),
    };
  };
  const openByService = async (): Promise<'open' | 'uninitialized' | 'people'> => {
    const outcome = await keeper.openByService();
    if (outcome === 'open') {
      await opened();
      await keeper.rewrap().then(
        (done) => done && log.info('the root key was wrapped by the newest key of the seal'),
        (error: unknown) => log.warn('the root key was not wrapped by the newest key of the seal', { error }),
      );
    }
    return outcome;
  };
  const seal: SealControl = {
    status: told,
    initialize: (shares, threshold) =>
      inTurn(async () => {
        const keys = await keeper.initialize({ shares, threshold });
        initialized = true;
        await opened();
        const root = await open?.services.tokens.create({
          policies: ['root'],
          path: 'auth/token/root',
          displayName: 'root',
          ttlMs: 0,
          maxTtlMs: 0,
        });
        // Who holds shares opens it with them; where nobody needs to, it is open.
        if (options.seals?.active === undefined) await shut();
        return { keys, rootToken: root?.token ?? '' };
      }),
    submit: (share, migrate) =>
      inTurn(async () => {
        await keeper.submitShare(share, migrate);
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
        const closing = open;
        open = undefined;
        ceremonies.drop();
        await closing?.close();
        try {
          await barrier.replaceAll(entries, new AbortController().signal);
        } finally {
          await opened();
        }
        // A snapshot that another root key opens has it wrapped by the same seal, perhaps.
        if (barrier.sealed && options.seals?.active !== undefined)
          await openByService().catch((error: unknown) =>
            log.error('the restored store is sealed', { error }),
          );
      }),
  };
  const platform: Platform = {
    core,
    seal,
    ceremonies,
    snapshots,
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
  const sealedSystem = liveSystem(systemRoutes(platform));
  const handle = async (request: Request): Promise<Answer> => {
    const began = clock.monotonic();
    const path = request.path.text;
    const self = {
      id: randomUUID(),
      path,
      operation: request.verb,
      address: request.remote.address,
      startedAt: clock.now(),
    };
    underWay.add(self);
    const mount =
      open?.services.mounts.find(request.path)?.entry.path ?? (path.startsWith('sys/') ? 'sys/' : '');
    const given = await answer(core, request);
    underWay.delete(self);
    const outcome = given.kind === 'failed' ? given.failure.kind : 'ok';
    metrics.requests.observe(
      { operation: request.verb, mount_point: mount, outcome },
      (clock.monotonic() - began) / 1000,
    );
    return given;
  };

  const { active } = options.seals ?? {};
  const waiting =
    active && openByItself({ seal: active.type, open: () => inTurn(openByService), clock, log });

  return {
    core,
    seal,
    events,
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
    close: () => {
      waiting?.stop();
      return inTurn(shut);
    },
  };
}

interface Opened {
  readonly services: Services;
  readonly clusterId: string;
  /** Starts what acts by itself. */
  begin(): void;
  close(): Promise<void>;
}

async function openServices(
  {
    clock,
    log,
    dial,
    mayReach,
    ttl,
    audit: openAudit = storedDevices,
    lockout: lockoutOf = () => undefined,
  }: ServerOptions,
  barrier: Barrier,
  events: EventBus,
  types: readonly PluginType[],
): Promise<Opened> {
  const storage = barrier.view('');
  // Tokens, leases and what ends when share one view, because they share commits.
  const own = prefixed(storage, 'sys/');
  const lifetime = await LifetimeClock.open({ storage: own, clock, log });
  const expiry = new ExpiryIndex({ storage: own, clock: lifetime, log });
  const tokenScope = (hash: string): Storage => prefixed(storage, `scope/${hash}/`);
  const leases: LeaseManager = new LeaseManager({
    storage: own,
    clock: lifetime,
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
    password: (policy) => passwords.make(policy),
    clock,
    log,
    dial,
    ...(mayReach === undefined ? {} : { mayReach }),
    storage,
    view: (prefix) => prefixed(storage, prefix),
    emit(entry, event) {
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
      });
    },
  });
  const audit = await openAudit({ storage: prefixed(storage, 'sys/audit/'), clock, log });
  const ended = new AbortController();
  const custody = await KeyCustody.open({ barrier, storage: own, clock, log });
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
      await custody
        .save()
        .catch((error: unknown) => log.warn('the count of the sealing key was not kept', { error }));
      expiry.stop();
      lifetime.stop();
      await lifetime.save().catch((error: unknown) => log.warn('the time of leases was not kept', { error }));
      await mounts.close();
      tokens.close();
      identity.close();
      await audit.close?.();
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
function liveSystem(plugin: ReturnType<PluginType['create']>): LiveMount {
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
