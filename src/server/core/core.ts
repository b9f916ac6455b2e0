/**
 * The core, as the pipeline and the server's own routes see it: the services that exist while the barrier is open.
 * What is done with a request, and in which order, is in pipeline.ts.
 */

import type { Anchor } from '../../base/chain.ts';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { PluginType } from '../../plugin/plugin.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AuditBroker } from '../audit/audit.ts';
import type { Lockout } from '../auth/lockout.ts';
import type { TokenStore } from '../auth/tokens.ts';
import type { TokenRoles } from '../auth/tokens-roles.ts';
import type { Backups } from '../backup/backups.ts';
import type { Barrier } from '../barrier/barrier.ts';
import type { KeyCustody } from '../barrier/custody.ts';
import type { EventBus } from '../events/events.ts';
import type { Rights } from '../events/rights.ts';
import type { IdentityStore } from '../identity/store.ts';
import type { LeaseManager } from '../lease/leases.ts';
import type { LifetimeClock } from '../lease/lifetime.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { Ceremonies } from '../seal/ceremonies.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { AuditedHeaders } from './auditheaders.ts';
import type { LiveMount, MountTable } from './mounts.ts';
import type { PasswordPolicies } from './passwords.ts';
import type { PolicyStore } from './policies.ts';
import type { Quotas } from './quotas.ts';

/** What exists only while the barrier is open. */
export interface Services {
  readonly tokens: TokenStore;
  readonly tokenRoles: TokenRoles;
  readonly lockout: Lockout;
  readonly leases: LeaseManager;
  /** By which leases and tokens end. */
  readonly lifetime: Pick<LifetimeClock, 'now' | 'wallOf' | 'ahead'>;
  readonly policies: PolicyStore;
  readonly identity: IdentityStore;
  readonly mounts: MountTable;
  readonly audit: AuditBroker & AuditDevices;
  readonly events: EventBus;
  /** To be told of what changes what somebody may do. */
  readonly rights: Pick<Rights, 'changed'>;
  readonly quotas: Quotas;
  readonly passwords: PasswordPolicies;
  readonly auditedHeaders: AuditedHeaders;
  readonly custody: KeyCustody;
  /** Aborted when the barrier closes. */
  readonly ended: AbortSignal;
  /** Storage that lives and dies with a token. */
  tokenScope(hash: string): Storage;
}

export interface Core {
  readonly clock: Clock;
  readonly log: Log;
  /** The routes that answer while sealed. */
  readonly system: LiveMount;
  /** Undefined while sealed. */
  services(): Services | undefined;
  /** Whether there is anything to unseal. */
  initialized(): boolean;
  /** The requests that are being answered. */
  underWay(): readonly UnderWay[];
}

export interface UnderWay {
  readonly id: string;
  readonly path: string;
  readonly operation: string;
  readonly address: string;
  /** Monotonic. */
  readonly began: number;
  /** Among those that are under way. */
  place: number;
}

/** The services of an open barrier. @throws Failure server.sealed */
export function services(core: Core): Services {
  const open = core.services();
  if (open === undefined) throw failure(core.initialized() ? 'server.sealed' : 'server.uninitialized');
  return open;
}

/** Naming and unnaming the places that the audit trail goes to. */
export interface AuditDevices {
  /** @throws Failure where the device cannot be opened or the path is taken */
  enable(path: string, device: AuditDevice): Promise<void>;
  disable(path: string): Promise<void>;
  list(): readonly (AuditDevice & { readonly path: string })[];
  /** How `input` looks in the lines of the device. */
  hash(path: string, input: string): Promise<string>;
  /** The newest known line of each writer of the device; absent where the trail is no chain. */
  anchors?(path: string): Promise<readonly Anchor[]>;
}

export interface AuditDevice {
  readonly type: string;
  readonly description: string;
  readonly options: Readonly<Record<string, string>>;
  readonly local: boolean;
}

/** Opening and closing the barrier, as the sys routes and `holdfast dev` ask for it. */
export interface SealControl {
  status(): Promise<SealStatus>;
  /**
   * The keys are those of the recovery key where a service opens the server, which is open then.
   * @throws Failure where it is initialized already or the numbers do not fit
   */
  initialize(shares: number, threshold: number): Promise<{ keys: readonly Uint8Array[]; rootToken: string }>;
  /**
   * @param migrate whether the holder agrees that the store goes to the seal of the configuration
   * @throws Failure where the shares, now enough, do not open it
   */
  submit(share: Uint8Array, migrate?: boolean): Promise<SealStatus>;
  reset(): Promise<SealStatus>;
  seal(): Promise<void>;
}

export interface SealStatus {
  readonly type: string;
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly threshold: number;
  readonly shares: number;
  readonly progress: number;
  readonly nonce: string;
  readonly storage: string;
  readonly clusterId: string;
  /** Whether a service opens the server, and the shares are of a recovery key. */
  readonly recovery: boolean;
  /** Whether the store waits to be moved to the seal of the configuration. */
  readonly migration: boolean;
  /** Why a server that opens by itself did not yet, in words that anybody may read. */
  readonly warnings: readonly string[];
}

/** The whole store as one file, and back. */
export interface SnapshotControl {
  save(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Reads and checks; changes nothing. @throws Failure snapshot.* */
  read(source: AsyncIterable<Uint8Array>): Promise<Snapshot>;
  /** Puts it in place of everything there is; the server is sealed afterwards where other keys open the snapshot. */
  restore(snapshot: Snapshot): Promise<void>;
}

/** What the server's own routes are made of. */
export interface Platform {
  readonly core: Core;
  readonly seal: SealControl;
  readonly ceremonies: Ceremonies;
  readonly snapshots: SnapshotControl;
  readonly backups: Backups;
  readonly barrier: Pick<Barrier, 'verify'>;
  readonly metrics: Metrics;
  readonly version: string;
  /** What can be mounted. */
  readonly plugins: readonly Pick<PluginType, 'name' | 'kind'>[];
  readonly startedAt: number;
  /** How this server was started, for `sys/leader`, `sys/ha-status` and `sys/config/state/sanitized`. */
  readonly node: NodeFacts;
  /** Absent: the store can have one node only. */
  readonly ha?: HighAvailability;
}

/** A node among others. */
export interface HighAvailability {
  /** Whether this node leads, as surely as its lease stands. */
  leads(): boolean;
  /** Whether a client that comes now is answered, by this node or through it, as far as it knows. */
  answers(): boolean;
  /** When this node took the lead, in milliseconds since the epoch; undefined where it does not lead. */
  since(): number | undefined;
  /** Who leads, as it told of itself. */
  leader(): { readonly apiAddress: string; readonly clusterAddress: string } | undefined;
  /** All nodes that are known: on the leader, those that told of themselves lately. */
  nodes(): readonly ClusterMember[];
  /** Hands the lead to another node. */
  stepDown(): void;
}

export interface ClusterMember {
  readonly hostname: string;
  readonly apiAddress: string;
  readonly clusterAddress: string;
  readonly active: boolean;
  readonly version: string;
  /** When it last told of itself, in milliseconds since the epoch; undefined for the node that is asked. */
  readonly lastEcho: number | undefined;
}

/** What the configuration says of this node that is no secret. */
export interface NodeFacts {
  /** The URLs that clients and other nodes reach it by; empty where nobody said. */
  apiAddress(): string;
  readonly clusterAddress: string;
  readonly listeners: readonly { readonly address: string; readonly tlsDisabled: boolean }[];
  readonly logLevel: string;
  /** Milliseconds; 0 where nothing is written. */
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}
