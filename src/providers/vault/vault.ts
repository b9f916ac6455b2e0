/** The Vault provider: KV version 1 and 2 of any server that speaks the Vault API, as upstream's stores describe it. */

import { Failure, failure, isFailure } from '../../base/errors.ts';
import { Ordered } from '../../base/json.ts';
import { lookupSelf } from '../../client/auth.ts';
import { type Answer, VaultClient } from '../../client/client.ts';
import { isBag, problemOf } from '../../client/envelope.ts';
import { list, orAbsent } from '../../client/kv.ts';
import { capabilities, health } from '../../client/sys.ts';
import { parametersOf } from '../../provider/issuer.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Provider, ProviderEnv, ProviderType, Read, Value } from '../../provider/provider.ts';
import { memberOf, ordered, secretOf } from './answer.ts';
import type { Clouds } from './auth/clouds.ts';
import { logIn } from './auth.ts';
import { connectionOf } from './connection.ts';
import { issueAt } from './issuing.ts';
import { Mounts } from './mounts.ts';
import { clientUnder, openOwnLogin, vaultLessor } from './ownlogin.ts';
import { dataPath, metadataPath, searchRoot } from './path.ts';
import { Reads } from './reads.ts';
import { createSession, type Session } from './session.ts';
import { type VaultSpec, vaultSpec } from './spec.ts';
import { createVaultWriter } from './writer.ts';

/** What a search may look at in all, so that one manifest cannot read a whole server. */
const SEARCH_LIMIT = 10_000;
const SEARCH_DEPTH = 32;

interface Found {
  readonly value: Value | undefined;
  readonly version: number | undefined;
}

export interface VaultOptions {
  /** By which stores log in that are known to a cloud; those that are not given are refused. */
  readonly clouds?: Clouds;
  /** Milliseconds that never go back. */
  readonly monotonic?: () => number;
}

/** The provider `vault`. */
export const createVaultProvider = ({
  clouds = {},
  monotonic = () => performance.now(),
}: VaultOptions = {}): ProviderType<VaultSpec> => ({
  name: 'vault',
  spec: vaultSpec as ProviderType<VaultSpec>['spec'],
  async connect(spec, env) {
    if (spec.checkAndSet?.required === true && spec.version === 'v1')
      throw failure('provider.spec', {
        store: env.store,
        reason: 'checkAndSet is not supported with Vault KV version v1',
      });
    const client = new VaultClient(await connectionOf(spec, env));
    const { auth } = spec;
    const login = auth === undefined ? undefined : () => logIn(auth, { client, env, clouds });
    const session = createSession(client, login, env, monotonic);
    const own = () => openOwnLogin(spec, env, clouds);
    return connected(spec, env, client, session, new Mounts(session, monotonic), own);
  },
  lessor: vaultLessor,
});

/** Without clouds. */
export const vaultProvider: ProviderType<VaultSpec> = createVaultProvider();

function connected(
  spec: VaultSpec,
  env: ProviderEnv,
  client: VaultClient,
  session: Session,
  mounts: Mounts,
  openOwn: () => ReturnType<typeof openOwnLogin>,
): Provider {
  const reads = new Reads<Found>();

  const read = async (path: string, version: string | undefined): Promise<Found> => {
    try {
      const answer = await session.use((as) => as.request('GET', path, { query: { version } }));
      return spec.version === 'v2' ? readV2(answer, path, env) : readV1(answer, path, env);
    } catch (error) {
      if (isFailure(error, 'api.missing')) return { value: undefined, version: versionOfDeleted(error) };
      throw await told(error, path);
    }
  };

  /** A refusal with what the token may do there, as far as it may ask; everything else as it is. */
  const told = async (error: unknown, path: string): Promise<unknown> => {
    if (!isFailure(error, 'api.denied')) return error;
    const policies = session.policies.length === 0 ? '' : ` (its policies: ${session.policies.join(', ')})`;
    let mend = `Let the policy of this store's role grant: path "${path}" { capabilities = ["read"] }${policies}`;
    try {
      const may = (await session.use((as) => capabilities(as, [path]))).get(path) ?? [];
      if (may.length > 0) mend = `The token has [${may.join(', ')}] on ${path}${policies}; it needs "read".`;
    } catch {
      // The hint is a courtesy: where the token may not even ask, the refusal itself is the answer.
    }
    return new Failure(
      'provider.denied',
      { store: env.store, path, reason: 'permission denied', mend },
      { cause: error },
    );
  };

  const fetch = async (
    key: string,
    version: string | undefined,
    options: { readonly notBefore?: { readonly version: number }; readonly signal?: AbortSignal } = {},
  ): Promise<Found> => {
    const path = dataPath(spec, key);
    const asked = spec.version === 'v2' && version !== undefined && version !== '' ? version : undefined;
    return await reads.get(`${asked ?? ''}\n${path}`, () => read(path, asked), {
      // A version that was asked for by number does not change with an event.
      notBefore: asked === undefined ? options.notBefore : undefined,
      signal: options.signal,
      store: env.store,
      path,
    });
  };

  /** Where a key leads that names no stored secret: as the server knows it, without what is asked of it. */
  const issuingPath = (key: string): string => {
    const { path } = parametersOf(key);
    return (spec.version === 'v1' ? dataPath(spec, path) : path).replace(/^\/+|\/+$/g, '');
  };

  /**
   * Whether there is no stored secret by that key. One that was deleted is one; where we are not let in there is none if
   * the policy names the path of the engine itself.
   */
  const isFree = async (key: string, path: string): Promise<boolean> => {
    if (spec.version === 'v1') return true;
    try {
      const found = await fetch(key, undefined);
      return found.value === undefined && found.version === undefined;
    } catch (error) {
      if (!isFailure(error, 'provider.denied')) throw error;
    }
    const may = (await session.use((as) => capabilities(as, [path]))).get(path) ?? [];
    return may.some((capability) => ['read', 'create', 'update', 'sudo', 'root'].includes(capability));
  };

  const metadataOf = async (path: string, signal: AbortSignal | undefined) => {
    try {
      const answer = await session.use((as) => orAbsent(as.request('GET', path, { signal })));
      const known = answer?.envelope?.data;
      return isBag(known) ? known : undefined;
    } catch (error) {
      throw await told(error, path);
    }
  };

  return {
    ...createVaultWriter(spec, env, session),

    async get(ref, options): Promise<Read | undefined> {
      // In version 1 the path of a key may be that of an engine, whose read issues: that wants a login of its own.
      if (spec.version === 'v1' && (await mounts.issues(issuingPath(ref.key), options?.signal)))
        return undefined;
      const found = await fetch(ref.key, ref.version, options);
      if (found.value === undefined) return undefined;
      return {
        value: found.value,
        ...(found.version === undefined ? {} : { version: String(found.version) }),
      };
    },

    async validate(signal) {
      if (spec.auth === undefined) {
        const { status } = await health(client, { signal });
        if (status === 503 || status === 501)
          throw failure('provider.spec', {
            store: env.store,
            reason: 'the server is sealed or not initialized',
          });
      } else {
        await session.use((as) => lookupSelf(as, { signal }));
      }
      return 'ready';
    },

    async close() {
      await session.close();
      client.close();
    },

    async *find(query, signal) {
      const tags = Object.entries(query.tags ?? {});
      if (spec.version === 'v1' && tags.length > 0)
        throw failure('provider.spec', { store: env.store, reason: 'tags need kv version v2' });
      const root = searchRoot(spec, query.path);
      if (root === undefined)
        throw failure('provider.spec', {
          store: env.store,
          reason: 'find needs `path` in the store or in the query',
        });
      const matches = namePattern(query.name, env.store);
      for await (const name of walk(root.list, root.prefix, signal)) {
        if (!matches(name)) continue;
        const key = root.keyPrefix + name;
        if (tags.length > 0) {
          const known = (await metadataOf(`${root.list}/${name}`, signal))?.['custom_metadata'] ?? null;
          if (!tags.every(([tag, wanted]) => isBag(known) && known[tag] === wanted)) continue;
        }
        const found = await fetch(key, undefined, signal === undefined ? {} : { signal });
        if (found.value !== undefined) yield [key, found.value] as const;
      }
    },

    async metadata(ref, signal) {
      if (spec.version === 'v1')
        throw failure('provider.spec', {
          store: env.store,
          reason: 'cannot perform metadata fetch operations with kv version v1',
        });
      const known = await metadataOf(metadataPath(spec, ref.key), signal);
      if (known === undefined) return undefined;
      const custom = known['custom_metadata'] ?? null;
      return {
        ...(isBag(custom) ? custom : {}),
        created_time: known['created_time'] ?? null,
        current_version: known['current_version'] ?? null,
        delete_version_after: known['delete_version_after'] ?? null,
      };
    },

    async issuance(ref, { parameters = new Map(), chosen = false, signal }) {
      const path = issuingPath(ref.key);
      if (!chosen && !((await mounts.issues(path, signal)) && (await isFree(ref.key, path))))
        return undefined;
      const asked = new Map([...parameters, ...parametersOf(ref.key).parameters]);
      return {
        path,
        sole: spec.version === 'v1',
        open: openOwn,
        async issue({ handle }, stop) {
          const own = clientUnder(handle, env);
          try {
            return await issueAt(own, path, asked, env, stop);
          } finally {
            own.close();
          }
        },
      };
    },

    locate: (ref) => ({ server: client.address, path: dataPath(spec, ref.key) }),
    endsAt: () => session.endsAt(),
    rightsChanged: () => session.rightsChanged(),
  };

  /** The names below a folder, folders walked through in order. */
  async function* walk(
    mount: string,
    folder: string,
    signal: AbortSignal | undefined,
  ): AsyncIterable<string> {
    let seen = 0;
    const pending = [folder];
    while (pending.length > 0) {
      const here = pending.pop() ?? '';
      const path = here === '' ? `${mount}/` : `${mount}/${here}/`;
      let names: readonly string[];
      try {
        names = await session.use((as) => list(as, path, { signal }));
      } catch (error) {
        throw await told(error, path);
      }
      const prefix = here === '' ? '' : `${here}/`;
      const folders: string[] = [];
      for (const name of names) {
        if (++seen > SEARCH_LIMIT || here.split('/').length > SEARCH_DEPTH)
          throw failure('provider.spec', {
            store: env.store,
            reason: `find looks at more than ${SEARCH_LIMIT} names; narrow its path`,
          });
        if (name.endsWith('/')) folders.push(prefix + name.slice(0, -1));
        else yield prefix + name;
      }
      pending.push(...folders.reverse());
    }
  }
}

function readV2(answer: Answer, path: string, env: ProviderEnv): Found {
  const data = memberOf(ordered(answer, path, env), 'data');
  if (!(data instanceof Ordered) || !data.members.has('data'))
    throw failure('provider.read', { store: env.store, path, reason: 'failed to find data field' });
  const metadata = memberOf(data, 'metadata');
  const version = memberOf(metadata, 'version');
  return {
    value: secretOf(data.members.get('data'), path, env),
    version: typeof version === 'number' ? version : undefined,
  };
}

const readV1 = (answer: Answer, path: string, env: ProviderEnv): Found => ({
  value: secretOf(memberOf(ordered(answer, path, env), 'data'), path, env),
  version: undefined,
});

/** A deleted version answers 404 with its metadata: known, and as new as the event that told of it. */
function versionOfDeleted(error: unknown): number | undefined {
  const data = problemOf(error)?.envelope?.data;
  const metadata = isBag(data) ? data['metadata'] : undefined;
  const version = isBag(metadata) ? metadata['version'] : undefined;
  return typeof version === 'number' ? version : undefined;
}
