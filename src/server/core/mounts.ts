/**
 * What is mounted where. The table is one record behind the barrier; each mount's own storage is a view named by its uuid,
 * so that a path that is used again never meets what lay there before.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { KeptPath, type Path, parsePath } from '../../base/path.ts';
import { fillRandom } from '../../crypto/random.ts';
import { compileRoutes, type Match, type Matcher } from '../../plugin/match.ts';
import type { Dial, Mount, Operation, Plugin, PluginEvent, PluginType } from '../../plugin/plugin.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AuditedMount, Clear } from '../audit/audit.ts';
import type { AclRequest, Decision } from '../auth/acl.ts';
import { encode, load, wipe } from '../auth/records.ts';

export type MountKind = PluginType['kind'];

/** Milliseconds; 0: the system's. */
export interface MountConfig {
  readonly defaultTtlMs: Milliseconds;
  readonly maxTtlMs: Milliseconds;
  readonly forceNoCache: boolean;
  readonly listingVisibility: '' | 'hidden' | 'unauth';
  readonly clearRequestKeys: readonly string[];
  readonly clearResponseKeys: readonly string[];
  readonly passthroughHeaders: readonly string[];
  readonly tokenType: 'default-service' | 'default-batch' | 'service' | 'batch';
}

/** A mount that nobody has tuned. */
export const UNTUNED: MountConfig = {
  defaultTtlMs: 0,
  maxTtlMs: 0,
  forceNoCache: false,
  listingVisibility: '',
  clearRequestKeys: [],
  clearResponseKeys: [],
  passthroughHeaders: [],
  tokenType: 'default-service',
};

export interface MountEntry {
  readonly uuid: string;
  readonly accessor: string;
  readonly kind: MountKind;
  readonly type: string;
  /** "secret/", "auth/kubernetes/" */
  readonly path: string;
  readonly description: string;
  readonly options: Readonly<Record<string, string>>;
  readonly config: MountConfig;
  readonly local: boolean;
  readonly sealWrap: boolean;
}

export interface LiveMount {
  readonly entry: MountEntry;
  readonly plugin: Plugin;
  readonly match: Matcher;
  readonly clear: Clear;
  readonly stop: () => void;
  /** How the audit trail tells of it, once it did. */
  audited?: AuditedMount;
}

export interface NewMount {
  readonly kind: MountKind;
  readonly type: string;
  /** Below "auth/" for an auth method. */
  readonly path: string;
  readonly description?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly config?: Partial<MountConfig>;
  readonly local?: boolean;
  readonly sealWrap?: boolean;
}

/** How long leases and tokens live, and how long at most. */
export interface SystemTtl {
  readonly defaultMs: Milliseconds;
  readonly maxMs: Milliseconds;
}

/** What a mount is born into. */
export interface MountWorld {
  /** What a mount lives by that is tuned to nothing else; absent: 768h. */
  readonly ttl?: SystemTtl;
  readonly clock: Clock;
  readonly log: Log;
  readonly dial: Dial;
  readonly mayReach?: (url: string) => Promise<boolean>;
  /** Storage of everything behind the barrier. */
  readonly storage: Storage;
  view(prefix: string): Storage;
  /** What a mount tells its events to. */
  emitter(entry: MountEntry): (event: PluginEvent) => void;
  /** A password by a policy of the server. */
  password(policy?: string): Promise<string>;
  /** Another node does what is due. */
  readonly idle?: boolean;
}

const SYSTEM_TTL: Milliseconds = 768 * 3_600_000;
const TABLE = 'core/mounts';
const RETRY_TICK = 60_000;

/** Mounted from the start, and never moved or unmounted. */
const FIXED: readonly (Pick<MountEntry, 'path' | 'type' | 'kind' | 'description'> & { local?: boolean })[] = [
  {
    path: 'sys/',
    type: 'system',
    kind: 'secret',
    description: 'system endpoints used for control, policy and debugging',
  },
  { path: 'auth/token/', type: 'token', kind: 'auth', description: 'token based credentials' },
  { path: 'identity/', type: 'identity', kind: 'secret', description: 'identity store' },
  {
    path: 'cubbyhole/',
    type: 'cubbyhole',
    kind: 'secret',
    description: 'per-token private secret storage',
    local: true,
  },
];
/** Whether it is a mount that every server has, and that nobody enabled. */
export const isFixed = (path: string): boolean => FIXED.some((fixed) => fixed.path === path);

const RESERVED = ['sys/', 'auth/', 'cubbyhole/', 'identity/', 'audit/'];

export class MountTable {
  readonly #types: ReadonlyMap<string, PluginType>;
  readonly #world: MountWorld;
  readonly #live = new Map<string, LiveMount>();
  /** Another one whenever a mount comes or goes. */
  #state = {};
  #deepest = 1;
  #revision = 0;
  #writing: Promise<void> = Promise.resolve();
  /**
   * Paths that mounts move from and to, or are being taken away from, until that is stored. Nobody may mount over them,
   * and no second change may begin: a mount that moves while it is taken away would live on with its storage wiped.
   */
  readonly #busy = new Set<string>();

  private constructor(types: readonly PluginType[], world: MountWorld) {
    this.#types = new Map(types.map((type) => [typeKey(type.kind, type.name), type]));
    this.#world = world;
  }

  /** Reads the table and brings every mount to life; a new table gets the fixed mounts. */
  static async open(types: readonly PluginType[], world: MountWorld): Promise<MountTable> {
    const table = new MountTable(types, world);
    const found = await load<MountEntry[]>(world.storage, TABLE);
    table.#revision = found?.revision ?? 0;
    const entries = [...(found?.value ?? [])];
    for (const fixed of FIXED) {
      if (entries.some((entry) => entry.path === fixed.path)) continue;
      if (table.#types.has(typeKey(fixed.kind, fixed.type))) entries.push(born(fixed));
    }
    if (entries.length !== found?.value.length) await table.#store(() => entries);
    for (const entry of entries) table.#start(entry);
    return table;
  }

  /** The mount with the longest path that `path` lies below. */
  find(path: Path): LiveMount | undefined {
    const { text } = path;
    let found: LiveMount | undefined;
    let slash = text.indexOf('/');
    for (let depth = 1; slash !== -1 && depth <= this.#deepest; depth++) {
      found = this.#live.get(text.slice(0, slash + 1)) ?? found;
      slash = text.indexOf('/', slash + 1);
    }
    return found;
  }

  /** What `path` leads to, undefined where nothing is mounted; worked out once for a path that is kept. */
  lead(path: Path): Lead | undefined {
    const kept = path instanceof KeptPath ? path : undefined;
    if (kept?.made instanceof Lead && kept.made.state === this.#state) return kept.made;
    const mount = this.find(path);
    if (mount === undefined) return undefined;
    if (kept === undefined) return new Lead(mount, path);
    const lead = new Lead(mount, path, this.#state);
    kept.made = lead;
    return lead;
  }

  get(path: string): LiveMount | undefined {
    return this.#live.get(path);
  }

  byAccessor(accessor: string): MountEntry | undefined {
    for (const { entry } of this.#live.values()) if (entry.accessor === accessor) return entry;
    return undefined;
  }

  byUuid(uuid: string): LiveMount | undefined {
    for (const mount of this.#live.values()) if (mount.entry.uuid === uuid) return mount;
    return undefined;
  }

  /** In the order of their paths. */
  list(kind: MountKind): MountEntry[] {
    return [...this.#live.values()]
      .map((mount) => mount.entry)
      .filter((entry) => entry.kind === kind)
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** @throws Failure mount.unknown_type, mount.in_use, mount.fixed, path.* */
  async enable(asked: NewMount): Promise<MountEntry> {
    const alias = asked.type === 'kv-v2' ? { type: 'kv', options: { version: '2' } } : undefined;
    const wanted = alias
      ? { ...asked, type: alias.type, options: { ...asked.options, ...alias.options } }
      : asked;
    const path = mountPath(asked.kind, asked.path);
    if (!this.#types.has(typeKey(asked.kind, wanted.type)) || isFixedType(wanted.type)) {
      const known = [...this.#types.values()]
        .filter((type) => type.kind === asked.kind && !isFixedType(type.name))
        .map((type) => type.name);
      throw failure('mount.unknown_type', { type: asked.type, known: known.join(', ') });
    }
    if (asked.kind === 'secret' && RESERVED.some((reserved) => path.startsWith(reserved)))
      throw failure('mount.fixed', { path });
    this.#assertFree(path);
    const entry = born({ ...wanted, path });
    // Claimed before the write: two that ask for one path at the same time must not both get it.
    this.#start(entry);
    try {
      await this.#store(() => this.#entries());
    } catch (error) {
      this.#stop(path);
      throw error;
    }
    return entry;
  }

  /** Takes a mount away with all it stores. @param before is run while the mount still answers (its leases) */
  async disable(path: string, before: (entry: MountEntry) => Promise<void>): Promise<void> {
    const live = this.#live.get(path);
    if (live === undefined) return;
    if (isFixed(path)) throw failure('mount.fixed', { path });
    if (this.#busy.has(path)) throw failure('mount.in_use', { path });
    this.#busy.add(path);
    try {
      await before(live.entry);
      this.#stop(path);
      await this.#store(() => this.#entries());
      await live.plugin.close?.();
      await wipe(this.#world.storage, storageOf(live.entry));
    } finally {
      this.#busy.delete(path);
    }
  }

  /** Changes description, options or configuration. */
  async tune(
    path: string,
    change: {
      description?: string;
      options?: Readonly<Record<string, string>>;
      config?: Partial<MountConfig>;
    },
  ): Promise<void> {
    const live = this.#live.get(path);
    if (live === undefined) throw failure('mount.missing_secret', { path });
    if (this.#busy.has(path)) throw failure('mount.in_use', { path });
    const entry: MountEntry = {
      ...live.entry,
      ...(change.description === undefined ? {} : { description: change.description }),
      options: { ...live.entry.options, ...change.options },
      config: { ...live.entry.config, ...change.config },
    };
    await this.#store(() => [...this.#entries().filter((other) => other.path !== path), entry]);
    this.#stop(path);
    await live.plugin.close?.();
    this.#start(entry);
  }

  /**
   * Moves a mount, with all it stores and gave out: both hang on its uuid, so one commit of the table moves everything.
   * @throws Failure mount.no_match, mount.in_use, mount.fixed
   */
  async move(from: string, to: string): Promise<void> {
    const live = this.#live.get(from);
    if (live === undefined) throw failure('mount.no_match', { path: from });
    if (isFixed(from)) throw failure('mount.fixed', { path: from });
    if (live.entry.kind === 'secret' && RESERVED.some((reserved) => to.startsWith(reserved)))
      throw failure('mount.fixed', { path: to });
    if (this.#busy.has(from)) throw failure('mount.in_use', { path: from });
    this.#assertFree(to, from);
    const entry: MountEntry = { ...live.entry, path: to };
    this.#busy.add(from).add(to);
    try {
      await this.#store(() => [...this.#entries().filter((other) => other.path !== from), entry]);
      this.#stop(from);
      this.#start(entry);
    } finally {
      this.#busy.delete(from);
      this.#busy.delete(to);
    }
    await live.plugin.close?.();
  }

  /** @throws Failure mount.in_use where a mount, but for `except`, lies above or below the path */
  #assertFree(path: string, except?: string): void {
    for (const other of [...this.#live.keys(), ...this.#busy])
      if (other !== except && (other.startsWith(path) || path.startsWith(other)))
        throw failure('mount.in_use', { path: other });
  }

  ttlOf(entry: MountEntry): { defaultMs: Milliseconds; maxMs: Milliseconds } {
    const system = this.#world.ttl ?? { defaultMs: SYSTEM_TTL, maxMs: SYSTEM_TTL };
    const maxMs = entry.config.maxTtlMs || system.maxMs;
    return { defaultMs: Math.min(entry.config.defaultTtlMs || system.defaultMs, maxMs), maxMs };
  }

  async close(): Promise<void> {
    for (const [path, live] of [...this.#live]) {
      this.#stop(path);
      await live.plugin.close?.();
    }
  }

  #entries(): MountEntry[] {
    return [...this.#live.values()].map((mount) => mount.entry);
  }

  /** One write at a time, each of the table as it then is. */
  #store(entries: () => readonly MountEntry[]): Promise<void> {
    const write = async (): Promise<void> => {
      const checks = [{ key: TABLE, revision: this.#revision }];
      const value = encode(entries());
      this.#revision = await this.#world.storage.commit([{ key: TABLE, value }], checks);
    };
    const done = this.#writing.then(write);
    this.#writing = done.catch(() => {});
    return done;
  }

  #start(entry: MountEntry): void {
    const type = this.#types.get(typeKey(entry.kind, entry.type));
    if (type === undefined) {
      this.#world.log.error('a mount is of a type that this server does not have', { path: entry.path });
      return;
    }
    const plugin = type.create(this.#mountOf(entry));
    const stop =
      plugin.tick === undefined || this.#world.idle === true ? () => {} : this.#ticking(entry, plugin);
    this.#state = {};
    this.#live.set(entry.path, {
      entry,
      plugin,
      match: compileRoutes(plugin.routes),
      clear: { request: entry.config.clearRequestKeys, response: entry.config.clearResponseKeys },
      stop,
    });
    this.#deepest = Math.max(this.#deepest, entry.path.split('/').length - 1);
  }

  #stop(path: string): void {
    this.#live.get(path)?.stop();
    this.#live.delete(path);
    this.#state = {};
  }

  #mountOf(entry: MountEntry): Mount {
    const { clock, log, dial, mayReach, emitter, view, password } = this.#world;
    return {
      uuid: entry.uuid,
      accessor: entry.accessor,
      path: entry.path,
      options: entry.options,
      storage: view(storageOf(entry)),
      clock,
      log: log.with({ mount: entry.path }),
      ttl: () => this.ttlOf(entry),
      random: (bytes) => fillRandom(Buffer.alloc(bytes)),
      password,
      dial,
      ...(mayReach === undefined ? {} : { mayReach }),
      emit: emitter(entry),
    };
  }

  #ticking(entry: MountEntry, plugin: Plugin): () => void {
    let stopped = false;
    let cancel = (): void => {};
    const run = async (): Promise<void> => {
      let next: number | undefined;
      try {
        next = (await plugin.tick?.())?.getTime();
      } catch (error) {
        this.#world.log.error('the periodic work of a mount failed; trying again', {
          path: entry.path,
          error,
        });
        next = this.#world.clock.now() + RETRY_TICK;
      }
      if (stopped || next === undefined) return;
      cancel = this.#world.clock.after(Math.max(0, next - this.#world.clock.now()), () => void run());
    };
    void run();
    return () => {
      stopped = true;
      cancel();
    };
  }
}

/** What a path leads to, as long as no mount comes or goes. */
export class Lead {
  /** The state of the mounts that it was found in; undefined where it is of one request. */
  readonly state: object | undefined;
  readonly mount: LiveMount;
  /** Undefined where the mount has nothing at that path. */
  readonly match: Match | undefined;
  /** The path as policy is asked about it. */
  readonly path: Path;
  /** An operation that was asked for with nothing but the path. */
  operation: Operation | undefined;
  /** What that operation was given: the same each time, so nobody may change it. */
  input: unknown;
  /** The mark of the rules that decided about it last, what for, and how. */
  judge: object | undefined;
  capability: AclRequest['capability'] | undefined;
  decision: Decision | undefined;

  constructor(mount: LiveMount, asked: Path, state?: object) {
    this.state = state;
    this.mount = mount;
    this.match = routeOf(mount, asked);
    this.path = this.match === undefined ? asked : judgedPath(this.match, asked);
    this.operation = undefined;
    this.input = undefined;
    this.judge = undefined;
    this.capability = undefined;
    this.decision = undefined;
  }
}

/** The route that a path asks for, below its mount. */
function routeOf(mount: LiveMount, path: Path): Match | undefined {
  const depth = depthOf(mount.entry.path);
  return mount.match(path.segments.slice(depth), path.folder && path.segments.length > depth);
}

/** How many segments the path of a mount has: each ends in a slash. */
function depthOf(path: string): number {
  let depth = 0;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) depth++;
  return depth;
}

/** The path that policy is asked about: what was asked, with the names folded that its route knows without case. */
function judgedPath(match: Match, asked: Path): Path {
  if (match.route.lowercase === undefined) return asked;
  if (match.segments.every((segment, at) => segment === asked.segments.at(at - match.segments.length)))
    return asked;
  const depth = asked.segments.length - match.segments.length;
  const segments = [...asked.segments.slice(0, depth), ...match.segments];
  return { text: segments.join('/') + (asked.folder ? '/' : ''), segments, folder: asked.folder };
}

/** A mount's path in full, from what was asked: "kv" -> "kv/", "kubernetes" -> "auth/kubernetes/". @throws Failure path.* */
export function mountPath(kind: MountKind, given: string): string {
  const { segments } = parsePath(given);
  return `${kind === 'auth' ? 'auth/' : ''}${segments.join('/')}/`;
}

const typeKey = (kind: MountKind, name: string): string => `${kind}:${name}`;
const isFixedType = (type: string): boolean => FIXED.some((fixed) => fixed.type === type);
const storageOf = (entry: MountEntry): string =>
  `${entry.kind === 'auth' ? 'auth' : 'logical'}/${entry.uuid}/`;

function born(asked: Omit<NewMount, 'path'> & { path: string }): MountEntry {
  const prefix = asked.kind === 'auth' ? `auth_${asked.type}` : asked.type;
  return {
    uuid: randomUUID(),
    accessor: `${prefix}_${randomBytes(4).toString('hex')}`,
    kind: asked.kind,
    type: asked.type,
    path: asked.path,
    description: asked.description ?? '',
    options: asked.options ?? {},
    config: { ...UNTUNED, ...asked.config },
    local: asked.local ?? false,
    sealWrap: asked.sealWrap ?? false,
  };
}
