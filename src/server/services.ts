/** The services that exist only while the barrier is open: made from what the store holds, and let go of when it closes. */

import { randomUUID } from 'node:crypto';
import { textOf, utf8 } from '../base/bytes.ts';
import { isFailure } from '../base/errors.ts';
import { formatTraceparent } from '../base/trace/context.ts';
import type { PluginType } from '../plugin/plugin.ts';
import { prefixed } from '../storage/prefixed.ts';
import type { Storage } from '../storage/storage.ts';
import { createAuditBroker } from './audit/broker.ts';
import { LOCKOUT, Lockout } from './auth/lockout.ts';
import { wipe } from './auth/records.ts';
import { TokenStore } from './auth/tokens.ts';
import { TokenRoles } from './auth/tokens-roles.ts';
import type { Barrier } from './barrier/barrier.ts';
import { KeyCustody } from './barrier/custody.ts';
import { AuditedHeaders } from './core/auditheaders.ts';
import type { Core, Services } from './core/core.ts';
import { MountTable } from './core/mounts.ts';
import { PasswordPolicies } from './core/passwords.ts';
import { PolicyStore } from './core/policies.ts';
import { Quotas } from './core/quotas.ts';
import type { EventBus } from './events/events.ts';
import { Rights } from './events/rights.ts';
import { IdentityStore } from './identity/store.ts';
import { ExpiryIndex } from './lease/expiry.ts';
import { LeaseManager } from './lease/leases.ts';
import { LifetimeClock } from './lease/lifetime.ts';
import type { Audit, AuditWorld, ServerOptions } from './options.ts';

const NO_METADATA: Readonly<Record<string, string>> = {};

export interface Opened {
  readonly services: Services;
  readonly clusterId: string;
  /** Starts what acts by itself. */
  begin(): void;
  close(): Promise<void>;
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
    emitter(entry) {
      // One for all of them: many thousand are kept.
      const plugin = { mountPath: entry.path, mountAccessor: entry.accessor, plugin: entry.type };
      return (event) => {
        const cause = tracer?.current();
        const path = entry.path + event.path;
        events.publish({
          revision: event.revision,
          type: event.type,
          path,
          dataPath: event.dataPath === event.path ? path : entry.path + event.dataPath,
          operation: event.operation,
          modified: event.modified,
          plugin,
          metadata: event.metadata ?? NO_METADATA,
          at: clock.now(),
          traceparent: cause && formatTraceparent(cause.context),
        });
      };
    },
  });
  const audit = await openAudit({ storage: prefixed(storage, 'sys/audit/'), clock, log });
  const rights = new Rights({
    clock,
    log,
    events,
    head: () => own.commit([]),
    accessor: () => mounts.get('sys/')?.entry.accessor ?? '',
  });
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
      rights,
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
      rights.close();
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
