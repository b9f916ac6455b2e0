/** Google Secret Manager: reads and searches, as upstream's stores describe them. */

import { z } from 'zod';
import { fromBase64 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { crc32c } from '../../crypto/crc32c.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Finder, MetadataReader, ProviderEnv, Read, Reader, Value } from '../../provider/provider.ts';
import { type Attempt, failed, isNotFound, readAs, type SecretManager, stateOf } from './client.ts';

/** What a search may look at in all, so that one manifest cannot read a whole project. */
const SEARCH_LIMIT = 10_000;
const LIST_PAGE = 250;
/** There is no request for several values: so many are asked for at once. */
const AT_ONCE = 8;
const VERSION_PAGES = 40;

export interface SecretsContext {
  readonly call: SecretManager;
  readonly env: Pick<ProviderEnv, 'store'>;
  /** "projects/p", or "projects/p/locations/l" for the secrets of a region. */
  readonly parent: string;
  readonly isRegional: boolean;
  /** Whether the newest version that can be read stands in for a latest one that cannot. */
  readonly fetchesEnabled: boolean;
}

/** What Google lets a secret be called. */
const SECRET = /^[A-Za-z0-9_-]{1,255}$/;
/** A number, "latest", or an alias. */
const VERSION = /^[A-Za-z0-9_-]{1,63}$/;

export const secretPath = ({ parent }: SecretsContext, key: string): string => `${parent}/secrets/${key}`;

/** Why there can be no such secret, or undefined: anything else would be another path. */
export const wrongName = (key: string): string | undefined =>
  SECRET.test(key)
    ? undefined
    : `Secret Manager has no secret called ${JSON.stringify(key.slice(0, 300))}: names have letters, digits, - and _ alone`;

const checksum = z.union([z.string(), z.number()]).transform(String);
export const accessed = z.object({
  name: z.string().default(''),
  payload: z.object({ data: z.string(), dataCrc32c: checksum.optional() }),
});
const listed = z.object({
  secrets: z
    .array(z.object({ name: z.string(), labels: z.record(z.string(), z.string()).optional() }))
    .default([]),
  nextPageToken: z.string().default(''),
});
const versions = z.object({
  versions: z.array(z.object({ name: z.string(), createTime: z.string().default('') })).default([]),
  nextPageToken: z.string().default(''),
});
export const described = z.object({
  name: z.string(),
  etag: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});

/** The bytes of a version. @throws Failure provider.read where they were damaged on the way: they are asked for again */
export function payloadOf(json: unknown, at: Pick<Attempt, 'store' | 'name'>): Uint8Array {
  const { payload } = readAs(accessed, json, at);
  const bytes = fromBase64(payload.data);
  if (bytes !== undefined && (payload.dataCrc32c ?? String(crc32c(bytes))) === String(crc32c(bytes)))
    return bytes;
  throw failure('provider.read', {
    store: at.store,
    path: at.name,
    reason: 'the answer of Google was damaged on the way',
  });
}

const lastOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

export function createSecrets(context: SecretsContext): Pick<Reader, 'get'> & Finder & MetadataReader {
  const { call, env, parent } = context;
  const { store } = env;

  const access = (path: string, signal: AbortSignal | undefined) =>
    call({ method: 'GET', path: `${path}:access`, permission: 'secretmanager.versions.access', signal });

  /** The newest version that can be read: Google's "latest" is the newest of all. */
  const newestEnabled = async (key: string, signal: AbortSignal | undefined): Promise<string | undefined> => {
    const attempt = { store, name: key, permission: 'secretmanager.versions.list' };
    let newest = { name: '', createTime: '' };
    let pageToken = '';
    for (let page = 0; page < VERSION_PAGES; page++) {
      const answer = await call({
        method: 'GET',
        path: `${secretPath(context, key)}/versions`,
        query: { filter: 'state:ENABLED', ...(pageToken === '' ? {} : { pageToken }) },
        permission: attempt.permission,
        signal,
      });
      if ('refusal' in answer) throw failed(answer.refusal, attempt);
      const told = readAs(versions, answer.json, attempt);
      for (const one of told.versions)
        if (Date.parse(one.createTime) > (Date.parse(newest.createTime) || 0)) newest = one;
      pageToken = told.nextPageToken;
      if (pageToken === '') break;
    }
    const version = lastOf(newest.name);
    return VERSION.test(version) ? version : undefined;
  };

  const read = async (
    key: string,
    version: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Read | undefined> => {
    const reason = wrongName(key);
    if (reason !== undefined) throw failure('provider.spec', { store, reason });
    const wanted = version === undefined || version === '' ? 'latest' : version;
    if (!VERSION.test(wanted))
      throw failure('provider.spec', { store, reason: `${key} can have no version of that name` });
    let answer = await access(`${secretPath(context, key)}/versions/${wanted}`, signal);
    if ('refusal' in answer && context.fetchesEnabled && (version ?? '') === '' && stateOf(answer.refusal)) {
      const enabled = await newestEnabled(key, signal);
      if (enabled !== undefined)
        answer = await access(`${secretPath(context, key)}/versions/${enabled}`, signal);
    }
    if ('refusal' in answer) {
      if (isNotFound(answer.refusal)) return undefined;
      throw failed(answer.refusal, { store, name: key, permission: 'secretmanager.versions.access' });
    }
    const at = { store, name: key };
    const value: Value = { bytes: payloadOf(answer.json, at) };
    const number = lastOf(readAs(accessed, answer.json, at).name);
    return { value, ...(number === '' ? {} : { version: number }) };
  };

  async function* listedBy(
    filter: string,
    signal: AbortSignal | undefined,
  ): AsyncIterable<z.output<typeof listed>['secrets']> {
    const attempt = { store, name: 'the list of secrets', permission: 'secretmanager.secrets.list' };
    let seen = 0;
    for (let pageToken = ''; ; ) {
      const answer = await call({
        method: 'GET',
        path: `${parent}/secrets`,
        query: {
          pageSize: String(LIST_PAGE),
          ...(filter === '' ? {} : { filter }),
          ...(pageToken === '' ? {} : { pageToken }),
        },
        permission: attempt.permission,
        signal,
      });
      if ('refusal' in answer) throw failed(answer.refusal, attempt);
      const page = readAs(listed, answer.json, attempt);
      seen += page.secrets.length;
      if (seen > SEARCH_LIMIT)
        throw failure('provider.spec', {
          store,
          reason: `find looks at more than ${SEARCH_LIMIT} secrets; narrow its path`,
        });
      yield page.secrets;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  return {
    get: ({ key, version }, options = {}) => read(key, version, options.signal),

    async metadata({ key }, signal) {
      const reason = wrongName(key);
      if (reason !== undefined) throw failure('provider.spec', { store, reason });
      const attempt = { store, name: key, permission: 'secretmanager.secrets.get' };
      const answer = await call({
        method: 'GET',
        path: secretPath(context, key),
        permission: attempt.permission,
        signal,
      });
      if ('json' in answer) {
        const { annotations, labels } = readAs(described, answer.json, attempt);
        return { annotations, labels };
      }
      if (isNotFound(answer.refusal)) return undefined;
      throw failed(answer.refusal, attempt);
    },

    async *find(query, signal) {
      const tags = Object.entries(query.tags ?? {});
      if (query.name === undefined && tags.length === 0)
        throw failure('provider.spec', { store, reason: 'unexpected find operator' });
      const matches = namePattern(query.name, store);
      const filter = filterOf(query.path, tags);
      for await (const page of listedBy(filter, signal)) {
        // Google's filter looks for parts of a name, and emulators know none at all.
        const names = page
          .filter(({ labels = {} }) => tags.every(([key, value]) => labels[key] === value))
          .map(({ name }) => lastOf(name))
          .filter((name) => matches(name) && name.startsWith(query.path ?? ''));
        for (let from = 0; from < names.length; from += AT_ONCE) {
          const some = names.slice(from, from + AT_ONCE);
          const values = await Promise.all(some.map((name) => read(name, undefined, signal)));
          for (const [at, name] of some.entries()) {
            const found = values[at];
            // Gone since it was listed, or without a version yet.
            if (found !== undefined) yield [name, found.value] as const;
          }
        }
      }
    },
  };
}

/** Narrows what Google lists. Words that are not plain are left to our own look: a filter has a grammar. */
function filterOf(path: string | undefined, tags: readonly (readonly [string, string])[]): string {
  const isPlain = (text: string): boolean => /^[A-Za-z0-9_-]+$/.test(text);
  return [
    ...tags
      .filter(([key, value]) => isPlain(key) && isPlain(value))
      .map(([key, value]) => `labels.${key}=${value}`),
    ...(path !== undefined && isPlain(path) ? [`name:${path}`] : []),
  ].join(' ');
}
