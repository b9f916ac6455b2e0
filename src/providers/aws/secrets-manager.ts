/** AWS Secrets Manager: reads and searches, as upstream's stores describe them. */

import type { Filter, SecretListEntry, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Finder, MetadataReader, ProviderEnv, Read, Reader, Value } from '../../provider/provider.ts';
import { type Attempt, failed, refusalOf } from './client.ts';
import * as sdk from './sdk.ts';

/** What a search may look at in all, so that one manifest cannot read a whole account. */
const SEARCH_LIMIT = 10_000;
const LIST_PAGE = 50;
/** A value has up to 64 KiB: so many fit into one answer. */
const BATCH = 10;

export interface SecretsContext {
  readonly client: SecretsManagerClient;
  readonly env: ProviderEnv;
  readonly prefix: string;
}

export function createSecrets({
  client,
  env,
  prefix,
}: SecretsContext): Pick<Reader, 'get'> & Finder & MetadataReader {
  const attempt = (path: string, action: string): Attempt => ({
    store: env.store,
    path,
    action: `secretsmanager:${action}`,
  });
  const bounded = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  const read = async (
    name: string,
    version: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Read | undefined> => {
    try {
      const { SecretString, SecretBinary, VersionId } = await client.send(
        new sdk.GetSecretValueCommand({ SecretId: name, ...versionOf(version) }),
        bounded(signal),
      );
      const value = storedValue(SecretString, SecretBinary);
      if (value === undefined)
        throw failure('provider.read', {
          store: env.store,
          path: name,
          reason: 'no secret string nor binary',
        });
      return { value, ...(VersionId === undefined ? {} : { version: VersionId }) };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw failed(error, attempt(name, 'GetSecretValue'));
    }
  };

  async function* named(filters: Filter[], signal: AbortSignal | undefined): AsyncIterable<SecretListEntry> {
    let seen = 0;
    for (let after: string | undefined; ; ) {
      const page = await client
        .send(
          new sdk.ListSecretsCommand({
            MaxResults: LIST_PAGE,
            ...(filters.length === 0 ? {} : { Filters: filters }),
            ...(after === undefined ? {} : { NextToken: after }),
          }),
          bounded(signal),
        )
        .catch((error: unknown) => {
          throw failed(error, attempt('the list of secrets', 'ListSecrets'));
        });
      seen += page.SecretList?.length ?? 0;
      if (seen > SEARCH_LIMIT)
        throw failure('provider.spec', {
          store: env.store,
          reason: `find looks at more than ${SEARCH_LIMIT} secrets; narrow its path`,
        });
      yield* page.SecretList ?? [];
      after = page.NextToken;
      if (after === undefined) return;
    }
  }

  let mayBatch = true;
  /** The values of some secrets at once, or one by one for who may not do that. */
  async function* valuesOf(
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): AsyncIterable<readonly [string, Value]> {
    if (mayBatch) {
      const answer = await client
        .send(new sdk.BatchGetSecretValueCommand({ SecretIdList: [...names] }), bounded(signal))
        .catch((error: unknown) => {
          if (refusalOf(error)?.code !== 'AccessDenied')
            throw failed(error, attempt(names.join(', '), 'BatchGetSecretValue'));
          mayBatch = false;
        });
      if (answer !== undefined) {
        const wrong = answer.Errors?.find(
          ({ ErrorCode }) => !/NotFound|InvalidRequest/.test(ErrorCode ?? ''),
        );
        if (wrong !== undefined) throw await refusedOf(wrong.SecretId ?? '', signal);
        for (const { Name, SecretString, SecretBinary } of answer.SecretValues ?? []) {
          const value = storedValue(SecretString, SecretBinary);
          if (Name !== undefined && value !== undefined) yield [Name, value];
        }
        return;
      }
    }
    for (const name of names) {
      const found = await read(name, undefined, signal);
      // Gone since it was listed.
      if (found !== undefined) yield [name, found.value];
    }
  }

  /** What a batch says of one of its secrets, in the words of a read of that one. */
  const refusedOf = async (name: string, signal: AbortSignal | undefined): Promise<Error> => {
    try {
      await read(name, undefined, signal);
    } catch (error) {
      return error as Error;
    }
    return failure('provider.read', {
      store: env.store,
      path: name,
      reason: 'AWS left it out of its answer',
    });
  };

  return {
    get: ({ key, version }, options = {}) => read(prefix + key, version, options.signal),

    async metadata({ key }, signal) {
      const name = prefix + key;
      try {
        const { Tags = [] } = await client.send(
          new sdk.DescribeSecretCommand({ SecretId: name }),
          bounded(signal),
        );
        return Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value]));
      } catch (error) {
        if (isGone(error)) return undefined;
        throw failed(error, attempt(name, 'DescribeSecret'));
      }
    },

    async *find(query, signal) {
      const tags = Object.entries(query.tags ?? {});
      if (query.name === undefined && tags.length === 0)
        throw failure('provider.spec', { store: env.store, reason: 'unexpected find operator' });
      const matches = namePattern(query.name, env.store);
      const filters: Filter[] = [
        ...(query.path === undefined ? [] : [{ Key: 'name' as const, Values: [query.path] }]),
        ...tags.flatMap(([key, value]) => [
          { Key: 'tag-key' as const, Values: [key] },
          { Key: 'tag-value' as const, Values: [value] },
        ]),
      ];
      let names: string[] = [];
      for await (const { Name: name = '', Tags = [] } of named(filters, signal)) {
        // AWS's filters look for beginnings, and for a tag's name and its value apart from one another.
        const has = new Map(Tags.map(({ Key, Value }) => [Key, Value]));
        if (!matches(name) || !name.startsWith(query.path ?? '')) continue;
        if (!tags.every(([key, value]) => has.get(key) === value)) continue;
        names.push(name);
        if (names.length < BATCH) continue;
        yield* valuesOf(names, signal);
        names = [];
      }
      if (names.length > 0) yield* valuesOf(names, signal);
    },
  };
}

/** No version: the current one. `uuid/<id>`: that very one; else a stage. */
function versionOf(version: string | undefined): { VersionId: string } | { VersionStage: string } {
  if (version === undefined || version === '') return { VersionStage: 'AWSCURRENT' };
  return version.startsWith('uuid/')
    ? { VersionId: version.slice('uuid/'.length) }
    : { VersionStage: version };
}

const storedValue = (text: string | undefined, bytes: Uint8Array | undefined): Value | undefined =>
  bytes !== undefined ? { bytes } : text !== undefined ? { bytes: utf8(text) } : undefined;

/** There is none, or it is marked for deletion, which is the same to who reads. */
export function isGone(error: unknown): boolean {
  const refusal = refusalOf(error);
  if (refusal === undefined) return false;
  if (refusal.code === 'ResourceNotFound') return true;
  // AWS says the one, and in the documents of its API the other.
  return (
    /^Invalid(Request|Parameter)$/.test(refusal.code) && /marked (?:for deletion|deleted)/.test(refusal.said)
  );
}
