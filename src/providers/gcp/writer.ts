/** Pushing to Google Secret Manager. What is written is decided by pure functions; here it is read, compared and sent. */

import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { base64, sameSecret } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { crc32c } from '../../crypto/crc32c.ts';
import { bytesOf, hasProperty, NotWritable, withoutProperty, withProperty } from '../../provider/document.ts';
import { MANAGED_BY, MANAGER, type Tags } from '../../provider/ownership.ts';
import type { PushOptions, PushTarget, Value, Writer } from '../../provider/provider.ts';
import { Turns } from '../../provider/turns.ts';
import { type Call, failed, isNotFound, readAs } from './client.ts';
import { type Metadata, metadataOf, ownership, replicationOf } from './push-metadata.ts';
import { described, payloadOf, type SecretsContext, secretPath, wrongName } from './secrets.ts';

type Secret = z.output<typeof described>;
type Outcome = 'written' | 'unchanged' | 'kept';

export function createWriter(context: SecretsContext): Writer {
  const { call, env, parent, isRegional } = context;
  const { store } = env;
  const turns = new Turns();

  /** Undefined: it is not there. */
  const seen = async (key: string, given: Pick<Call, 'path' | 'permission' | 'signal'>): Promise<unknown> => {
    const answer = await call({ method: 'GET', ...given });
    if ('json' in answer) return answer.json;
    if (isNotFound(answer.refusal)) return undefined;
    throw failed(answer.refusal, { store, name: key, permission: given.permission });
  };
  /** One request that changes something. @throws Failure provider.push, provider.write, provider.login */
  const change = async (key: string, given: Call): Promise<unknown> => {
    const answer = await call(given);
    if ('json' in answer) return answer.json;
    throw failed(answer.refusal, { store, name: key, permission: given.permission, writes: true });
  };

  const describe = async (key: string, signal: AbortSignal | undefined): Promise<Secret | undefined> => {
    const permission = 'secretmanager.secrets.get';
    const json = await seen(key, { path: secretPath(context, key), permission, signal });
    return json === undefined ? undefined : readAs(described, json, { store, name: key });
  };
  /** Undefined: there is no version yet. */
  const current = async (key: string, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> => {
    const permission = 'secretmanager.versions.access';
    const path = `${secretPath(context, key)}/versions/latest:access`;
    const json = await seen(key, { path, permission, signal });
    return json === undefined ? undefined : payloadOf(json, { store, name: key });
  };

  const addVersion = (key: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<unknown> =>
    change(key, {
      method: 'POST',
      path: `${secretPath(context, key)}:addVersion`,
      body: { payload: { data: base64(bytes), dataCrc32c: String(crc32c(bytes)) } },
      permission: 'secretmanager.versions.add',
      signal,
    });

  const wantedOf = (target: PushTarget, value: Value, before: Uint8Array | undefined): Uint8Array => {
    const { key, property = '' } = target;
    try {
      return property === '' ? bytesOf(value) : withProperty(before, property, value);
    } catch (error) {
      if (!(error instanceof NotWritable)) throw error;
      throw failure('provider.push', { store, path: key, reason: error.message });
    }
  };

  /** Undefined: somebody else created it in between. */
  const create = async (
    { key, property = '' }: PushTarget,
    metadata: Metadata | undefined,
    { owner, signal }: PushOptions,
  ): Promise<Secret | undefined> => {
    const wanted = namesOf(undefined, metadata, property, owner);
    const given: Call = {
      method: 'POST',
      path: `${parent}/secrets`,
      query: { secretId: key },
      body: {
        ...wanted,
        // Secrets of a region are kept in that region.
        ...(isRegional ? {} : { replication: replicationOf(metadata) }),
        ...(metadata === undefined || metadata.topics.length === 0
          ? {}
          : { topics: metadata.topics.map((name) => ({ name })) }),
      },
      permission: 'secretmanager.secrets.create',
      signal,
    };
    const answer = await call(given);
    if ('json' in answer) return readAs(described, answer.json, { store, name: key });
    if (answer.refusal.status === 409) return undefined;
    throw failed(answer.refusal, { store, name: key, permission: given.permission, writes: true });
  };

  /** @returns whether something was changed */
  const keepNames = async (
    key: string,
    secret: Secret,
    wanted: Pick<Secret, 'labels' | 'annotations'>,
  ): Promise<boolean> => {
    const { labels, annotations, etag } = secret;
    if (isDeepStrictEqual({ labels, annotations }, wanted)) return false;
    await change(key, {
      method: 'PATCH',
      path: secretPath(context, key),
      query: { updateMask: 'labels,annotations' },
      body: { ...wanted, ...(etag === undefined ? {} : { etag }) },
      permission: 'secretmanager.secrets.update',
    });
    return true;
  };

  const update = async (
    target: PushTarget,
    value: Value,
    secret: Secret,
    metadata: Metadata | undefined,
    { owner, adopt, onlyNew, signal }: PushOptions,
  ): Promise<Outcome> => {
    const { key, property = '' } = target;
    const before = await current(key, signal);
    if (onlyNew === true && before !== undefined && (property === '' || hasProperty(before, property)))
      return 'kept';
    const reason = ownership.mayPush(tagsOf(secret), property, owner, adopt);
    if (reason !== undefined)
      throw failure('provider.foreign', { store, path: placeOf(key, property), reason });
    const wanted = wantedOf(target, value, before);
    // Who owns it first: a value that nobody owns could not be taken back.
    const isRenamed = await keepNames(key, secret, namesOf(secret, metadata, property, owner));
    if (before !== undefined && sameSecret(before, wanted)) return isRenamed ? 'written' : 'unchanged';
    await addVersion(key, wanted, signal);
    return 'written';
  };

  return {
    put(target, value, options) {
      const { key } = target;
      const reason = wrongName(key);
      if (reason !== undefined)
        return Promise.reject(failure('provider.push', { store, path: key.slice(0, 300), reason }));
      return turns.take(key, async () => {
        const metadata = metadataOf(target, options, store, key);
        const had = await describe(key, options.signal);
        if (had !== undefined) return update(target, value, had, metadata, options);
        const wanted = wantedOf(target, value, undefined);
        if ((await create(target, metadata, options)) !== undefined) {
          await addVersion(key, wanted, options.signal);
          return 'written';
        }
        const other = await describe(key, options.signal);
        if (other !== undefined) return update(target, value, other, metadata, options);
        throw failure('provider.write', {
          store,
          path: key,
          reason: 'somebody else writes it at the same time',
        });
      });
    },

    delete({ key, property = '' }, { owner, signal }) {
      if (wrongName(key) !== undefined) return Promise.resolve('absent');
      return turns.take(key, async () => {
        const secret = await describe(key, signal);
        if (secret === undefined) return 'absent';
        const before = property === '' ? undefined : await current(key, signal);
        if (property !== '' && (before === undefined || !hasProperty(before, property))) return 'absent';
        if (!ownership.mayDelete(tagsOf(secret), property, owner)) return 'foreign';
        const left = before === undefined ? undefined : withoutProperty(before, property);
        if (left === undefined || left === 'absent') {
          await change(key, {
            method: 'DELETE',
            path: secretPath(context, key),
            // Not what somebody else wrote since we looked.
            query: secret.etag === undefined ? {} : { etag: secret.etag },
            permission: 'secretmanager.secrets.delete',
          });
          return 'deleted';
        }
        await addVersion(key, left, signal);
        const { [ownership.ownerTag(property)]: _, ...labels } = secret.labels;
        await keepNames(key, secret, { labels, annotations: secret.annotations });
        return 'deleted';
      });
    },
  };
}

const placeOf = (key: string, property: string): string => (property === '' ? key : `${key}[${property}]`);

const tagsOf = ({ labels }: Secret): Tags => new Map(Object.entries(labels));

/** The labels and annotations that a push leaves. Without metadata, or where it merges, those of others stay. */
function namesOf(
  had: Secret | undefined,
  metadata: Metadata | undefined,
  property: string,
  owner: string,
): Pick<Secret, 'labels' | 'annotations'> {
  const keeps = metadata === undefined || metadata.mergePolicy === 'Merge';
  const labels = Object.entries(had?.labels ?? {});
  return {
    labels: {
      // Who pushes the whole owns all of it.
      ...Object.fromEntries(labels.filter(([name]) => (ownership.isOurs(name) ? property !== '' : keeps))),
      ...metadata?.labels,
      [MANAGED_BY]: MANAGER,
      [ownership.ownerTag(property)]: owner,
    },
    annotations: { ...(keeps ? had?.annotations : {}), ...metadata?.annotations },
  };
}
