/** AWS Systems Manager Parameter Store: reads and searches, as upstream's stores describe them. */

import type { ParameterStringFilter, SSMClient } from '@aws-sdk/client-ssm';
import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Finder, MetadataReader, ProviderEnv, Read, Reader, Value } from '../../provider/provider.ts';
import { type Attempt, failed, refusalOf } from './client.ts';
import * as sdk from './sdk.ts';

/** What a search may look at in all, so that one manifest cannot read a whole account. */
const SEARCH_LIMIT = 10_000;

export interface ParametersContext {
  readonly client: SSMClient;
  readonly env: ProviderEnv;
  readonly prefix: string;
}

export function createParameters({
  client,
  env,
  prefix,
}: ParametersContext): Pick<Reader, 'get'> & Finder & MetadataReader {
  const attempt = (path: string, action: string): Attempt => ({
    store: env.store,
    path,
    action: `ssm:${action}`,
  });
  const bounded = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });
  const count = () => {
    let seen = 0;
    return (more: number): void => {
      seen += more;
      if (seen > SEARCH_LIMIT)
        throw failure('provider.spec', {
          store: env.store,
          reason: `find looks at more than ${SEARCH_LIMIT} parameters; narrow its path`,
        });
    };
  };

  const read = async (name: string, signal: AbortSignal | undefined): Promise<Read | undefined> => {
    try {
      const { Parameter } = await client.send(
        new sdk.GetParameterCommand({ Name: name, WithDecryption: true }),
        bounded(signal),
      );
      if (Parameter?.Value === undefined)
        throw failure('provider.read', {
          store: env.store,
          path: name,
          reason: 'invalid secret received: parameter value is nil',
        });
      const { Value: text, Version: version } = Parameter;
      return {
        value: { bytes: utf8(text) },
        ...(version === undefined ? {} : { version: String(version) }),
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw failed(error, attempt(name, 'GetParameter'));
    }
  };

  /** All below a folder with their values, in few requests. False: we may not, and nothing was given. */
  async function* below(
    path: string,
    matches: (name: string) => boolean,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly [string, Value], boolean> {
    const look = count();
    for (let after: string | undefined; ; ) {
      const page = await client
        .send(
          new sdk.GetParametersByPathCommand({
            Path: path,
            Recursive: true,
            WithDecryption: true,
            ...(after === undefined ? {} : { NextToken: after }),
          }),
          bounded(signal),
        )
        .catch((error: unknown) => {
          if (after !== undefined || refusalOf(error)?.code !== 'AccessDenied')
            throw failed(error, attempt(path, 'GetParametersByPath'));
        });
      if (page === undefined) return false;
      look(page.Parameters?.length ?? 0);
      for (const { Name, Value: text } of page.Parameters ?? []) {
        if (Name !== undefined && text !== undefined && matches(Name)) yield [Name, { bytes: utf8(text) }];
      }
      after = page.NextToken;
      if (after === undefined) return true;
    }
  }

  /** Those that AWS's filters find, each read by itself. */
  async function* described(
    filters: ParameterStringFilter[],
    matches: (name: string) => boolean,
    signal: AbortSignal | undefined,
  ): AsyncIterable<readonly [string, Value]> {
    const look = count();
    for (let after: string | undefined; ; ) {
      const page = await client
        .send(
          new sdk.DescribeParametersCommand({
            MaxResults: 50,
            ...(filters.length === 0 ? {} : { ParameterFilters: filters }),
            ...(after === undefined ? {} : { NextToken: after }),
          }),
          bounded(signal),
        )
        .catch((error: unknown) => {
          throw failed(error, attempt('the list of parameters', 'DescribeParameters'));
        });
      look(page.Parameters?.length ?? 0);
      for (const { Name: name = '' } of page.Parameters ?? []) {
        if (!matches(name)) continue;
        const found = await read(name, signal);
        // Gone since it was listed.
        if (found !== undefined) yield [name, found.value];
      }
      after = page.NextToken;
      if (after === undefined) return;
    }
  }

  return {
    get: ({ key, version = '' }, options = {}) =>
      read(`${prefix}${key}${version === '' ? '' : `:${version}`}`, options.signal),

    async metadata({ key }, signal) {
      const name = prefix + key;
      try {
        const { TagList = [] } = await client.send(
          new sdk.ListTagsForResourceCommand({ ResourceType: 'Parameter', ResourceId: name }),
          bounded(signal),
        );
        return Object.fromEntries(TagList.map(({ Key = '', Value = '' }) => [Key, Value]));
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw failed(error, attempt(name, 'ListTagsForResource'));
      }
    },

    async *find(query, signal) {
      const tags = Object.entries(query.tags ?? {});
      if (query.name === undefined && tags.length === 0)
        throw failure('provider.spec', { store: env.store, reason: 'unexpected find operator' });
      const matches = namePattern(query.name, env.store);
      if (tags.length === 0 && (yield* below(query.path ?? '/', matches, signal))) return;
      // Upstream looks at the name alone where both are given; both narrow the search here.
      const filters: ParameterStringFilter[] = [
        ...tags.map(([key, value]) => ({ Key: `tag:${key}`, Option: 'Equals', Values: [value] })),
        ...(query.path === undefined ? [] : [{ Key: 'Path', Option: 'Recursive', Values: [query.path] }]),
      ];
      yield* described(filters, matches, signal);
    },
  };
}

/** There is no such parameter, or not in that version. */
export const isAbsent = (error: unknown): boolean =>
  /^(ParameterNotFound|ParameterVersionNotFound|ResourceNotFound|InvalidResourceId)$/.test(
    refusalOf(error)?.code ?? '',
  );
