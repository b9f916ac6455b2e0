/** Pushing to AWS Secrets Manager. What is written is decided by pure functions; here it is read, compared and sent. */

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { DescribeSecretResponse } from '@aws-sdk/client-secrets-manager';
import { sameSecret, textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { bytesOf, hasProperty, NotWritable, withoutProperty, withProperty } from '../../provider/document.ts';
import type { PushOptions, PushTarget, Value, Writer } from '../../provider/provider.ts';
import { Turns } from '../../provider/turns.ts';
import { failed } from './client.ts';
import { MANAGED_BY, MANAGER, mayDelete, mayPush, ownerTag, type Tags, tagChange } from './ownership.ts';
import { type SecretMetadata, secretMetadata } from './push-metadata.ts';
import * as sdk from './sdk.ts';
import { isGone, type SecretsContext } from './secrets-manager.ts';
import type { AwsSpec } from './spec.ts';

/** Upstream's token of a secret's first version: two that create the same at once make one version. */
const FIRST_VERSION = '00000000-0000-0000-0000-000000000001';

/** A value as it is stored: as text or as bytes. */
interface Stored {
  readonly bytes: Uint8Array;
  readonly isText: boolean;
}

export function createSecretsWriter(
  { client, env, prefix }: SecretsContext,
  deletion: AwsSpec['secretsManager'],
): Writer {
  const { store } = env;
  const turns = new Turns();

  /** One request that changes something, and the failure that its refusal is. */
  const change = async <T>(name: string, action: string, request: Promise<T>): Promise<T> => {
    try {
      return await request;
    } catch (error) {
      throw failed(error, { store, path: name, action: `secretsmanager:${action}`, writes: true });
    }
  };
  const seen = async <T>(name: string, action: string, request: Promise<T>): Promise<T | undefined> => {
    try {
      return await request;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw failed(error, { store, path: name, action: `secretsmanager:${action}` });
    }
  };
  const bounded = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  const describe = (name: string, signal: AbortSignal | undefined) =>
    seen(
      name,
      'DescribeSecret',
      client.send(new sdk.DescribeSecretCommand({ SecretId: name }), bounded(signal)),
    );

  const current = async (name: string, signal: AbortSignal | undefined): Promise<Stored | undefined> => {
    const request = client.send(new sdk.GetSecretValueCommand({ SecretId: name }), bounded(signal));
    const found = await seen(name, 'GetSecretValue', request);
    if (found?.SecretBinary !== undefined) return { bytes: found.SecretBinary, isText: false };
    return found?.SecretString === undefined ? undefined : { bytes: utf8(found.SecretString), isText: true };
  };

  const wantedOf = (name: string, target: PushTarget, value: Value, before: Uint8Array | undefined) => {
    try {
      return target.property === undefined || target.property === ''
        ? bytesOf(value)
        : withProperty(before, target.property, value);
    } catch (error) {
      if (!(error instanceof NotWritable)) throw error;
      throw failure('provider.push', { store, path: name, reason: error.message });
    }
  };

  const create = async (
    name: string,
    target: PushTarget,
    value: Value,
    options: PushOptions,
    metadata: SecretMetadata,
  ): Promise<void> => {
    const tags = { ...metadata.tags, ...ownedBy(target, options.owner) };
    const input = {
      Name: name,
      Description: metadata.description,
      KmsKeyId: metadata.kmsKeyId,
      ClientRequestToken: FIRST_VERSION,
      Tags: tagList(Object.entries(tags)),
      ...payload(wantedOf(name, target, value, undefined), metadata.secretPushFormat === 'string', name),
      ...(metadata.replicationLocations === undefined
        ? {}
        : { AddReplicaRegions: replicas(metadata.replicationLocations, metadata.kmsKeyId) }),
    };
    await change(
      name,
      'CreateSecret',
      client.send(new sdk.CreateSecretCommand(input), bounded(options.signal)),
    );
    await keepPolicy(name, metadata);
  };

  /** Text or bytes. @throws Failure provider.push for text that is none */
  const payload = (bytes: Uint8Array, isText: boolean, name: string) => {
    if (!isText) return { SecretBinary: bytes };
    const text = textOf(bytes);
    if (text !== undefined) return { SecretString: text };
    throw failure('provider.push', {
      store,
      path: name,
      reason: 'the value is no text, which secretPushFormat "string" needs',
    });
  };

  /** @returns whether something was changed */
  const keepTags = async (
    name: string,
    tags: Tags,
    wanted: SecretMetadata['tags'],
    owned: Readonly<Record<string, string>>,
  ): Promise<boolean> => {
    const { set, remove } = tagChange(tags, wanted, owned);
    if (remove.length > 0)
      await change(
        name,
        'UntagResource',
        client.send(new sdk.UntagResourceCommand({ SecretId: name, TagKeys: [...remove] })),
      );
    if (set.size > 0)
      await change(
        name,
        'TagResource',
        client.send(new sdk.TagResourceCommand({ SecretId: name, Tags: tagList(set) })),
      );
    return set.size > 0 || remove.length > 0;
  };

  /** The policy that the push names; without one, what others set there stays (upstream deletes it). */
  const keepPolicy = async (name: string, { resourcePolicy }: SecretMetadata): Promise<boolean> => {
    if (resourcePolicy === undefined) return false;
    const { kind, ...ref } = resourcePolicy.policySourceRef;
    const text = textOf(await (kind === 'Secret' ? env.secretKey(ref) : env.configMapKey(ref))) ?? '';
    const wanted = parsed(text);
    if (wanted === undefined)
      throw failure('provider.push', {
        store,
        path: name,
        reason: `the resource policy in the key ${ref.key} of ${kind} "${ref.name}" is not JSON`,
      });
    const request = client.send(new sdk.GetResourcePolicyCommand({ SecretId: name }));
    const had = await seen(name, 'GetResourcePolicy', request);
    if (isDeepStrictEqual(parsed(had?.ResourcePolicy ?? ''), wanted)) return false;
    const { blockPublicPolicy: block } = resourcePolicy;
    const input = { SecretId: name, ResourcePolicy: text };
    await change(
      name,
      'PutResourcePolicy',
      client.send(
        new sdk.PutResourcePolicyCommand(
          block === undefined ? input : { ...input, BlockPublicPolicy: block },
        ),
      ),
    );
    return true;
  };

  const keepReplicas = async (
    name: string,
    { replicationLocations: wanted }: SecretMetadata,
    { ReplicationStatus = [], KmsKeyId }: DescribeSecretResponse,
  ): Promise<boolean> => {
    if (wanted === undefined) return false;
    const had = ReplicationStatus.flatMap(({ Region }) => Region ?? []);
    const gone = had.filter((region) => !wanted.includes(region));
    const fresh = wanted.filter((region) => !had.includes(region));
    if (gone.length > 0) await withdraw(name, gone);
    if (fresh.length > 0)
      await change(
        name,
        'ReplicateSecretToRegions',
        client.send(
          new sdk.ReplicateSecretToRegionsCommand({
            SecretId: name,
            AddReplicaRegions: replicas(fresh, KmsKeyId),
          }),
        ),
      );
    return gone.length + fresh.length > 0;
  };

  const withdraw = (name: string, regions: readonly string[]): Promise<unknown> =>
    change(
      name,
      'RemoveRegionsFromReplication',
      client.send(
        new sdk.RemoveRegionsFromReplicationCommand({ SecretId: name, RemoveReplicaRegions: [...regions] }),
      ),
    );

  const update = async (
    name: string,
    target: PushTarget,
    value: Value,
    options: PushOptions,
    metadata: SecretMetadata,
    described: DescribeSecretResponse,
  ): Promise<'written' | 'unchanged' | 'kept'> => {
    const isDeleted = described.DeletedDate !== undefined;
    const { property = '' } = target;
    const tags = tagsOf(described);
    // What is marked for deletion cannot be read, and is absent to who writes only what is new.
    const before = isDeleted ? undefined : await current(name, options.signal);
    if (options.onlyNew === true && before !== undefined) {
      if (property === '' || hasProperty(before.bytes, property)) return 'kept';
    }
    const reason = mayPush(tags, property, options.owner, options.adopt);
    if (reason !== undefined)
      throw failure('provider.foreign', { store, path: placeOf(name, property), reason });
    if (isDeleted)
      await change(name, 'RestoreSecret', client.send(new sdk.RestoreSecretCommand({ SecretId: name })));
    const last = isDeleted ? await current(name, options.signal) : before;
    const wanted = wantedOf(name, target, value, last?.bytes);
    const body = payload(wanted, metadata.secretPushFormat === 'string', name);
    // Who owns it first: a value that nobody owns could not be taken back.
    const changes = [
      await keepTags(name, tags, metadata.tags, ownedBy(target, options.owner)),
      await keepPolicy(name, metadata),
      await keepReplicas(name, metadata, described),
    ];
    if (last !== undefined && sameSecret(last.bytes, wanted))
      return isDeleted || changes.includes(true) ? 'written' : 'unchanged';
    const token = last === undefined ? FIRST_VERSION : randomUUID();
    await change(
      name,
      'PutSecretValue',
      client.send(
        new sdk.PutSecretValueCommand({ SecretId: name, ClientRequestToken: token, ...body }),
        bounded(options.signal),
      ),
    );
    return 'written';
  };

  const remove = async (name: string, { ReplicationStatus = [] }: DescribeSecretResponse): Promise<void> => {
    const regions = ReplicationStatus.flatMap(({ Region }) => Region ?? []);
    // A secret that is replicated cannot be deleted.
    if (regions.length > 0) await withdraw(name, regions);
    const { forceDeleteWithoutRecovery: force, recoveryWindowInDays: days } = deletion;
    await change(
      name,
      'DeleteSecret',
      client.send(
        new sdk.DeleteSecretCommand({
          SecretId: name,
          ...(force ? { ForceDeleteWithoutRecovery: true } : {}),
          ...(days > 0 ? { RecoveryWindowInDays: days } : {}),
        }),
      ),
    );
  };

  return {
    async put(target, value, options) {
      const name = prefix + target.key;
      const metadata = secretMetadata(options, store, name);
      return turns.take(name, async () => {
        const described = await describe(name, options.signal);
        if (described !== undefined) return update(name, target, value, options, metadata, described);
        await create(name, target, value, options, metadata);
        return 'written';
      });
    },

    async delete(target, { owner, signal }) {
      const name = prefix + target.key;
      const { property = '' } = target;
      return turns.take(name, async () => {
        const described = await describe(name, signal);
        if (described === undefined || described.DeletedDate !== undefined) return 'absent';
        const before = property === '' ? undefined : await current(name, signal);
        if (property !== '' && (before === undefined || !hasProperty(before.bytes, property)))
          return 'absent';
        if (!mayDelete(tagsOf(described), property, owner)) return 'foreign';
        const left = before === undefined ? undefined : withoutProperty(before.bytes, property);
        if (before === undefined || left === undefined || left === 'absent') {
          await remove(name, described);
          return 'deleted';
        }
        const body = payload(left, before.isText, name);
        const input = { SecretId: name, ClientRequestToken: randomUUID(), ...body };
        await change(name, 'PutSecretValue', client.send(new sdk.PutSecretValueCommand(input)));
        const untag = new sdk.UntagResourceCommand({ SecretId: name, TagKeys: [ownerTag(property)] });
        await change(name, 'UntagResource', client.send(untag));
        return 'deleted';
      });
    },
  };
}

const placeOf = (name: string, property: string): string => (property === '' ? name : `${name}[${property}]`);

const ownedBy = ({ property = '' }: PushTarget, owner: string): Record<string, string> => ({
  [MANAGED_BY]: MANAGER,
  [ownerTag(property)]: owner,
});

const tagsOf = ({ Tags = [] }: DescribeSecretResponse): Tags =>
  new Map(Tags.map(({ Key = '', Value = '' }) => [Key, Value]));

const tagList = (tags: Iterable<readonly [string, string]>) =>
  [...tags].map(([Key, Value]) => ({ Key, Value }));

const replicas = (regions: readonly string[], kmsKeyId: string | undefined) =>
  regions.map((Region) => ({ Region, ...(kmsKeyId === undefined ? {} : { KmsKeyId: kmsKeyId }) }));

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
