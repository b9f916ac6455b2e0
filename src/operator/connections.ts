/**
 * Live clients of stores, one per identity: the store's UID and generation, what it authenticates with (by
 * resourceVersion), and for referent auth the namespace it is used from. Never the store's name: a name is what a tenant
 * can take over. A client lives until its identity changes, not until a reconcile ends.
 */

import type { Clock } from '../base/clock.ts';
import { parseDuration } from '../base/duration.ts';
import { asFailure, Failure, failure, isFailure } from '../base/errors.ts';
import type { KubeObject } from '../kube/kube.ts';
import type { Issuance, Issuer } from '../provider/issuer.ts';
import type {
  PropertyReader,
  Provider,
  ProviderEnv,
  ProviderType,
  ReadOptions,
  Ref,
  Watcher,
  Writer,
} from '../provider/provider.ts';
import { storeSpec } from './api/store.ts';
import type { Place } from './demand.ts';
import { environmentOf, materialId, type World } from './environment.ts';
import type { Expiring } from './observe/expiring.ts';
import type { Answer, Need, StoreName } from './plan.ts';
import type { SharedReads } from './schedule/reads.ts';
import type { Traffic } from './schedule/traffic.ts';

export interface ConnectionsOptions extends World {
  readonly providers: readonly ProviderType[];
  /** The version of a Secret or ConfigMap as it is watched; undefined where there is none. */
  versionOf(kind: 'Secret' | 'ConfigMap', namespace: string, name: string): string | undefined;
  readonly reads: SharedReads;
  readonly traffic: Traffic;
  readonly clock: Clock;
  /** A store leads to this server, which may tell its changes. Absent: nobody listens. */
  watch?(server: string): void;
}

export interface AnswerOptions {
  readonly notBefore?: { readonly version: number };
  /** Monotonic; the answer must not have been begun before. Absent: now. */
  readonly since?: number;
  readonly signal?: AbortSignal;
  /** Called where the store itself is asked: no answer to another was new enough. */
  asks?(): void;
}

interface Connection {
  /** Unlike any other's: what was read over one is not given to another. */
  readonly id: string;
  readonly generation: number;
  /** What was read to log in: id -> resourceVersion. */
  readonly material: Map<string, string | undefined>;
  readonly provider: Promise<Provider>;
  /** The same, once it is there. */
  opened?: Provider;
  /** The place of its store. */
  readonly store: string;
  /** For numbers: its place, and the namespace that it is used from where that matters. */
  readonly label: string;
}

/** A store by its place: "SecretStore/team/vault", "ClusterSecretStore//vault". */
export const storeKey = (kind: string, namespace: string | undefined, name: string): string =>
  `${kind}/${namespace ?? ''}/${name}`;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #connections = new Map<string, Connection>();
  #opened = 0;
  /** Material -> the stores that asked for it, whether they got it or not. */
  readonly #readers = new Map<string, Set<string>>();
  /** Stores (by UID and generation) that can only be used from a namespace. */
  readonly #referent = new Set<string>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** The stores that read this object to log in. */
  readersOf(kind: 'Secret' | 'ConfigMap', namespace: string, name: string): readonly string[] {
    return [...(this.#readers.get(materialId(kind, namespace, name)) ?? [])];
  }

  /** Whether the store lets us in; `unknown` where that depends on who uses it. @throws Failure */
  async validate(store: KubeObject, signal?: AbortSignal): Promise<'ready' | 'unknown'> {
    try {
      return await (await this.connect(store)).validate(signal);
    } catch (error) {
      if (isFailure(error, 'operator.ref_referent')) return 'unknown';
      throw error;
    }
  }

  /** What a store answers to a need of an ExternalSecret in `namespace`. Failures are answers. */
  async answer(
    store: KubeObject,
    namespace: string,
    need: Need,
    options: AnswerOptions = {},
  ): Promise<Answer> {
    try {
      return await this.#used(store, namespace, async (connection) => {
        const provider = await connection.provider;
        const id = `${connection.id} ${need.id} ${(need.properties ?? []).join(' ')}`;
        const { reads, clock } = this.#options;
        return reads.get(id, options.since ?? clock.monotonic(), options.notBefore?.version, () => {
          options.asks?.();
          return this.#request(store, need.id, () => ask(provider, need, options));
        });
      });
    } catch (error) {
      const known = asFailure(error);
      if (!(error instanceof Failure)) {
        this.#options.log.error('a provider failed in a way it should not', {
          store: store.metadata.name,
          error,
        });
      }
      return { failed: known };
    }
  }

  /**
   * What a key of a store names that is no stored secret. What it issues is for one alone: nothing of it is shared.
   * @throws Failure operator.store_paused, and what the provider says
   */
  async issuance(
    store: KubeObject,
    namespace: string,
    key: string,
    options: Parameters<Issuer['issuance']>[1],
  ): Promise<Issuance | undefined> {
    return this.#used(store, namespace, async (connection) => {
      const provider = await connection.provider;
      if (provider.issuance === undefined) return undefined;
      const found = await this.#request(store, key, async () => provider.issuance?.({ key }, options));
      return found === undefined
        ? undefined
        : {
            ...found,
            open: (signal) => this.#request(store, key, () => found.open(signal)),
            issue: (login, signal) => this.#request(store, key, () => found.issue(login, signal)),
          };
    });
  }

  /**
   * Writes to a store for an object of `namespace`.
   * @param what is written, for the measure of the store
   * @throws Failure operator.cannot_push, operator.store_paused, and what the provider says
   */
  async write<T>(
    store: KubeObject,
    namespace: string,
    what: string,
    run: (writer: Writer) => Promise<T>,
  ): Promise<T> {
    return this.#used(store, namespace, async (connection) => {
      const provider = await connection.provider;
      if (provider.put === undefined || provider.delete === undefined)
        throw failure('operator.cannot_push', { store: `${store.kind} "${store.metadata.name}"` });
      return this.#request(store, what, () => run(provider as Provider & Writer));
    });
  }

  #request<T>(store: KubeObject, what: string, request: () => Promise<T>): Promise<T> {
    const { kind, metadata } = store;
    const place = storeKey(kind, metadata.namespace, metadata.name);
    return this.#options.traffic.ask(place, `${kind} "${metadata.name}"`, what, request);
  }

  /**
   * Where the store keeps what a need names, in the words of its change events; nothing where it tells of none.
   * Undefined: there is no client that could say.
   */
  async locate(store: KubeObject, namespace: string, need: Need): Promise<readonly Place[] | undefined> {
    try {
      return await this.#used(store, namespace, async (connection) => {
        const provider = await connection.provider;
        return provider.locate === undefined ? [] : placesOf(provider as Provider & Watcher, need);
      });
    } catch {
      // The read that follows says why.
      return undefined;
    }
  }

  /** What stores are logged in with, as far as it ends. */
  expiring(): readonly Expiring[] {
    return [...this.#connections.values()].flatMap(({ label, opened }) => {
      const endsAt = opened?.endsAt?.();
      return endsAt === undefined ? [] : [{ store: label, endsAt }];
    });
  }

  /**
   * What we may do on a server may have changed: the clients that lead there are told.
   * @returns the places of their stores
   */
  rightsChanged(server: string): readonly string[] {
    const there = [...this.#connections.values()].filter(({ opened }) => serverOf(opened) === server);
    for (const { opened } of there) opened?.rightsChanged?.();
    return [...new Set(there.map(({ store }) => store))];
  }

  /** Closes what belongs to a store that changed or went. */
  retire(uid: string): void {
    for (const [key, connection] of this.#connections) {
      if (key.startsWith(`${uid}/`)) this.#close(key, connection);
    }
  }

  async close(): Promise<void> {
    const open = [...this.#connections.values()];
    this.#connections.clear();
    await Promise.allSettled(open.map(async (connection) => (await connection.provider).close()));
  }

  async #used<T>(
    store: KubeObject,
    namespace: string,
    use: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const version = `${store.metadata.uid}/${store.metadata.generation ?? 0}`;
    if (!this.#referent.has(version)) {
      try {
        return await use(this.#connect(store));
      } catch (error) {
        if (!isFailure(error, 'operator.ref_referent')) throw error;
        this.#referent.add(version);
      }
    }
    return use(this.#connect(store, namespace));
  }

  /** The client of a store. @throws Failure why there is none */
  connect(store: KubeObject, referent?: string): Promise<Provider> {
    return this.#connect(store, referent).provider;
  }

  #connect(store: KubeObject, referent?: string): Connection {
    const key = `${store.metadata.uid}/${referent ?? ''}`;
    const known = this.#connections.get(key);
    if (known !== undefined && this.#stands(known, store)) return known;
    if (known !== undefined) this.#close(key, known);
    const material = new Map<string, string | undefined>();
    const provider = this.#open(store, referent, material);
    const id = `${++this.#opened}:`;
    const place = storeKey(store.kind, store.metadata.namespace, store.metadata.name);
    const connection: Connection = {
      id,
      generation: store.metadata.generation ?? 0,
      material,
      provider,
      store: place,
      label: referent === undefined ? place : `${place} from ${referent}`,
    };
    this.#connections.set(key, connection);
    provider.then(
      (opened) => {
        connection.opened = opened;
        const server = serverOf(opened);
        if (server !== undefined) this.#options.watch?.(server);
      },
      () => {
        if (this.#connections.get(key) === connection) this.#connections.delete(key);
      },
    );
    return connection;
  }

  #stands(connection: Connection, store: KubeObject): boolean {
    if (connection.generation !== (store.metadata.generation ?? 0)) return false;
    return [...connection.material].every(([id, version]) => {
      const [kind, namespace = '', name = ''] = id.split('/');
      if (kind !== 'Secret' && kind !== 'ConfigMap') return true;
      const now = this.#options.versionOf(kind, namespace, name);
      return now === undefined || now === version || Number(now) < Number(version);
    });
  }

  #close(key: string, connection: Connection): void {
    this.#connections.delete(key);
    this.#options.reads.drop(connection.id);
    connection.provider
      .then((provider) => provider.close())
      .catch((error: unknown) =>
        this.#options.log.debug('a store was not closed in order', { code: asFailure(error).code }),
      );
  }

  async #open(
    store: KubeObject,
    referent: string | undefined,
    material: Map<string, string | undefined>,
  ): Promise<Provider> {
    const { type, spec } = providerOf(store, this.#options.providers);
    return type.connect(spec, this.#env(store, referent, material));
  }

  #env(
    store: KubeObject,
    referent: string | undefined,
    material: Map<string, string | undefined>,
  ): ProviderEnv {
    const { namespace, name } = store.metadata;
    const named: StoreName = {
      kind: store.kind === 'SecretStore' ? 'SecretStore' : 'ClusterSecretStore',
      name,
    };
    return environmentOf(this.#options, {
      label: `${store.kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`,
      scope: {
        store: named,
        ...(namespace === undefined ? {} : { namespace }),
        ...(referent === undefined ? {} : { referent }),
      },
      ...retryOf(store),
      ...providerNameOf(store),
      asked: (id) => {
        const readers = this.#readers.get(id) ?? new Set();
        this.#readers.set(id, readers.add(storeKey(store.kind, namespace, name)));
      },
      read: (id, version) => material.set(id, version),
    });
  }
}

/** The property under `spec.provider`, whether there is such a provider or not. */
function providerNameOf(store: KubeObject): { readonly provider?: string } {
  const { provider = {} } = (store['spec'] ?? {}) as { provider?: object };
  const [name] = Object.keys(provider);
  return name === undefined ? {} : { provider: name };
}

/** `spec.retrySettings`; an interval that is none is left to the provider's own. */
function retryOf(store: KubeObject): Pick<ProviderEnv, 'retry'> {
  const parsed = storeSpec.safeParse(store['spec']);
  const settings = parsed.success ? parsed.data.retrySettings : undefined;
  if (settings === undefined) return {};
  const { maxRetries, retryInterval } = settings;
  return {
    retry: {
      ...(maxRetries === undefined ? {} : { maxRetries }),
      ...(retryInterval === undefined ? {} : intervalOf(retryInterval)),
    },
  };
}

function intervalOf(text: string): { readonly retryIntervalMs?: number } {
  try {
    return { retryIntervalMs: parseDuration(text) };
  } catch {
    return {};
  }
}

/**
 * The provider of a store and its settings, read.
 * @throws Failure operator.spec_invalid, operator.provider_count, operator.unknown_provider, operator.provider_invalid
 */
export function providerOf(
  store: KubeObject,
  providers: readonly ProviderType[],
): { readonly type: ProviderType; readonly spec: unknown } {
  const parsed = storeSpec.safeParse(store['spec']);
  if (!parsed.success) throw failure('operator.spec_invalid', { reason: issueOf(parsed.error, 'spec') });
  const named = Object.entries(parsed.data.provider).filter(([, block]) => block !== undefined);
  const [first] = named;
  if (first === undefined || named.length !== 1)
    throw failure('operator.provider_count', { count: named.length });
  const [name, block] = first;
  const type = providers.find((provider) => provider.name === name);
  if (type === undefined) {
    const known = providers.map((provider) => provider.name).join(', ');
    throw failure('operator.unknown_provider', { name, known });
  }
  const spec = type.spec.safeParse(block);
  if (!spec.success) throw failure('operator.provider_invalid', { name, reason: issueOf(spec.error, '') });
  return { type, spec: spec.data };
}

/** Where a manifest is wrong and how, by zod's words, which name types and never values. */
export function issueOf(
  error: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] },
  root: string,
): string {
  const [issue] = error.issues;
  const path = [root, ...(issue?.path ?? [])]
    .filter((step) => step !== '')
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${String(step)}`))
    .join('');
  return `${path}: ${issue?.message ?? 'invalid'}`;
}

/** The server whose changes concern a client, whatever it reads there. */
const serverOf = (provider: Provider | undefined): string | undefined =>
  provider?.locate?.({ key: '_' }).server;

function placesOf(provider: Watcher, need: Need): readonly Place[] {
  if ('get' in need.ask) return [{ ...provider.locate(need.ask.get), prefix: false }];
  if ('metadata' in need.ask) {
    const { server, path } = provider.locate(need.ask.metadata);
    // A secret's metadata changes by itself, and with each of its versions.
    return [path, path.replace('/data/', '/metadata/')].map((at) => ({ server, path: at, prefix: false }));
  }
  // A folder is where a made-up child of it would be.
  const folder = need.ask.find.path?.replace(/\/+$/, '') ?? '';
  const child = provider.locate({ key: folder === '' ? '_' : `${folder}/_` });
  return [{ server: child.server, path: child.path.replace(/_$/, ''), prefix: true }];
}

/** One read for each property; one that fails says so for itself. */
async function eachOf(
  provider: PropertyReader,
  ref: Ref,
  properties: readonly string[],
  options: ReadOptions,
): Promise<Answer> {
  const each = new Map<string, Answer>();
  for (const property of properties) {
    try {
      const read = await provider.getProperty(ref, property, options);
      each.set(property, read === undefined ? { missing: true } : { read, exact: true });
    } catch (error) {
      // A store that is away is away for all of them.
      if (
        !(error instanceof Failure) ||
        error.kind === 'unavailable' ||
        isFailure(error, 'operator.ref_referent')
      )
        throw error;
      each.set(property, { failed: error });
    }
  }
  return { each };
}

async function ask(
  provider: Provider,
  need: Need,
  options: { readonly notBefore?: { readonly version: number }; readonly signal?: AbortSignal },
): Promise<Answer> {
  if ('get' in need.ask) {
    if (provider.getProperty !== undefined)
      return eachOf(provider as Provider & PropertyReader, need.ask.get, need.properties ?? [''], options);
    const read = await provider.get(need.ask.get, options);
    return read === undefined ? { missing: true } : { read };
  }
  const store = `${need.store.kind} "${need.store.name}"`;
  if ('metadata' in need.ask) {
    if (provider.metadata === undefined) {
      throw failure('operator.cannot_find', { store, ability: 'read metadata' });
    }
    const metadata = await provider.metadata(need.ask.metadata, options.signal);
    return metadata === undefined ? { missing: true } : { metadata };
  }
  if (provider.find === undefined) throw failure('operator.cannot_find', { store, ability: 'find secrets' });
  const found = [];
  for await (const entry of provider.find(need.ask.find, options.signal)) found.push(entry);
  return { found };
}
