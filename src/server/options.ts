/** What a server is made of, and what it is told when it is made. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Tracer } from '../base/trace/tracer.ts';
import type { Dial, PluginType } from '../plugin/plugin.ts';
import type { Leadership } from '../storage/leadership.ts';
import type { Backend, Storage } from '../storage/storage.ts';
import type { AuditBroker } from './audit/audit.ts';
import type { LockoutRules } from './auth/lockout.ts';
import type { BackupTarget } from './backup/backups.ts';
import type { Scratch } from './backup/verify.ts';
import type { Pace } from './cluster/tenure.ts';
import type { AuditDevices, NodeFacts } from './core/core.ts';
import type { SystemTtl } from './core/mounts.ts';
import type { Seals } from './seal/seal.ts';

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
