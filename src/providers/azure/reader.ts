/** Reads and searches of a key vault, as upstream's stores describe them. */

import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Finder, MetadataReader, ProviderEnv, Read, Reader, Ref } from '../../provider/provider.ts';
import { failed, seen, type Vault } from './client.ts';
import { jwkOf, metadataOf, objectNamed, type Properties } from './objects.ts';

/** What a search may look at in all, so that one manifest cannot read a whole vault of another size. */
const SEARCH_LIMIT = 10_000;
/** There is no request for several values: so many are asked for at once. */
const AT_ONCE = 8;

export interface VaultContext {
  readonly vault: Vault;
  readonly env: Pick<ProviderEnv, 'store'>;
}

interface Found extends Read {
  readonly properties: Properties;
}

export function createReader({ vault, env }: VaultContext): Pick<Reader, 'get'> & Finder & MetadataReader {
  const { store } = env;

  const read = async (
    { key, version = '' }: Ref,
    signal: AbortSignal | undefined,
  ): Promise<Found | undefined> => {
    const { type, name } = objectNamed(key, store);
    if (!/^[\w-]{0,64}$/.test(version))
      throw failure('provider.spec', { store, reason: `${key} can have no version of that name` });
    const options = {
      ...(version === '' ? {} : { version }),
      ...(signal === undefined ? {} : { abortSignal: signal }),
    };
    const attempt = { store, name: key };
    if (type === 'secret') {
      const found = await seen(vault.secrets.getSecret(name, options), {
        ...attempt,
        permission: 'secrets/get',
      });
      return (
        found && foundAs(found.value === undefined ? undefined : utf8(found.value), found.properties, key)
      );
    }
    if (type === 'key') {
      const found = await seen(vault.keys.getKey(name, options), { ...attempt, permission: 'keys/get' });
      return found && foundAs(found.key && jwkOf(found.key), found.properties, key);
    }
    const { certificates } = vault;
    const found = await seen(
      version === ''
        ? certificates.getCertificate(name, options)
        : certificates.getCertificateVersion(name, version, options),
      { ...attempt, permission: 'certificates/get' },
    );
    return found && foundAs(found.cer, found.properties, key);
  };

  const foundAs = (
    bytes: Uint8Array | undefined,
    properties: Properties & { readonly version?: string },
    key: string,
  ): Found => {
    if (bytes === undefined)
      throw failure('provider.read', { store, path: key, reason: 'the answer of Key Vault has no value' });
    const { version } = properties;
    return { value: { bytes }, properties, ...(version === undefined ? {} : { version }) };
  };

  async function* names(
    query: {
      readonly path?: string;
      readonly name?: string;
      readonly tags?: Readonly<Record<string, string>>;
    },
    signal: AbortSignal | undefined,
  ): AsyncIterable<string> {
    const matches = namePattern(query.name, store);
    const tags = Object.entries(query.tags ?? {});
    let seenSoFar = 0;
    const listed = vault.secrets.listPropertiesOfSecrets(signal === undefined ? {} : { abortSignal: signal });
    for await (const { name, enabled, tags: has = {} } of listed) {
      if (++seenSoFar > SEARCH_LIMIT)
        throw failure('provider.spec', { store, reason: `find looks at more than ${SEARCH_LIMIT} secrets` });
      // As upstream: what is disabled cannot be read, and would fail the whole search.
      if (enabled === false || !matches(name) || !name.startsWith(query.path ?? '')) continue;
      if (tags.every(([key, value]) => has[key] === value)) yield name;
    }
  }

  return {
    async get(ref, options = {}) {
      const found = await read(ref, options.signal);
      if (found === undefined) return undefined;
      const { value, version } = found;
      return { value, ...(version === undefined ? {} : { version }) };
    },

    async metadata(ref, signal) {
      const found = await read(ref, signal);
      return found && metadataOf(found.properties);
    },

    async *find(query, signal) {
      let some: string[] = [];
      const valuesOf = async function* () {
        const values = await Promise.all(some.map((name) => read({ key: name }, signal)));
        for (const [at, name] of some.entries()) {
          const found = values[at];
          // Gone since it was listed.
          if (found !== undefined) yield [name, found.value] as const;
        }
        some = [];
      };
      try {
        for await (const name of names(query, signal)) {
          some.push(name);
          if (some.length === AT_ONCE) yield* valuesOf();
        }
      } catch (error) {
        throw failed(error, { store, name: 'the list of secrets', permission: 'secrets/list' });
      }
      yield* valuesOf();
    },
  };
}
