/** Pushing to AWS Parameter Store. What is written is decided by pure functions; here it is read, compared and sent. */

import { base64, sameSecret, textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { bytesOf, hasProperty, NotWritable, withoutProperty, withProperty } from '../../provider/document.ts';
import type { PushOptions, PushTarget, Value, Writer } from '../../provider/provider.ts';
import { Turns } from '../../provider/turns.ts';
import { failed } from './client.ts';
import { MANAGED_BY, MANAGER, mayDelete, mayPush, ownerTag, type Tags, tagChange } from './ownership.ts';
import { isAbsent, type ParametersContext } from './parameter-store.ts';
import { type ParameterMetadata, parameterMetadata } from './push-metadata.ts';
import * as sdk from './sdk.ts';

interface Existing {
  readonly text: string;
  readonly type: ParameterMetadata['secretType'];
  readonly tags: Tags;
}

export function createParametersWriter({ client, env, prefix }: ParametersContext): Writer {
  const { store } = env;
  const turns = new Turns();
  const bounded = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  const change = async <T>(name: string, action: string, request: Promise<T>): Promise<T> => {
    try {
      return await request;
    } catch (error) {
      throw failed(error, { store, path: name, action: `ssm:${action}`, writes: true });
    }
  };

  const existing = async (name: string, signal: AbortSignal | undefined): Promise<Existing | undefined> => {
    let action = 'GetParameter';
    try {
      const { Parameter } = await client.send(
        new sdk.GetParameterCommand({ Name: name, WithDecryption: true }),
        bounded(signal),
      );
      action = 'ListTagsForResource';
      const { TagList = [] } = await client.send(
        new sdk.ListTagsForResourceCommand({ ResourceType: 'Parameter', ResourceId: name }),
        bounded(signal),
      );
      return {
        text: Parameter?.Value ?? '',
        type: Parameter?.Type ?? 'String',
        tags: new Map(TagList.map(({ Key = '', Value = '' }) => [Key, Value])),
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw failed(error, { store, path: name, action: `ssm:${action}` });
    }
  };

  /** @throws Failure provider.push */
  const textFor = (
    name: string,
    { property = '' }: PushTarget,
    value: Value,
    before: string | undefined,
    metadata: ParameterMetadata,
  ): string => {
    try {
      const bytes =
        property === ''
          ? wholeOf(value, metadata)
          : withProperty(before === undefined ? undefined : utf8(before), property, value);
      const text = textOf(bytes);
      if (text === undefined) throw new NotWritable('a parameter cannot hold bytes that are no text');
      if (text === '') throw new NotWritable('a parameter cannot be empty');
      return text;
    } catch (error) {
      if (!(error instanceof NotWritable)) throw error;
      throw failure('provider.push', { store, path: name, reason: error.message });
    }
  };

  const write = (
    name: string,
    text: string,
    metadata: ParameterMetadata,
    tags: Readonly<Record<string, string>> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<unknown> => {
    const { secretType, tier } = metadata;
    const input = {
      Name: name,
      Value: text,
      Type: secretType,
      Description: metadata.description,
      // Tags can only be given to what is new.
      Overwrite: tags === undefined,
      ...(tags === undefined ? {} : { Tags: tagList(Object.entries(tags)) }),
      ...(secretType === 'SecureString' ? { KeyId: metadata.kmsKeyID } : {}),
      ...(tier.type === 'Standard' ? {} : { Tier: tier.type }),
      ...(tier.type === 'Advanced' && tier.policies !== undefined
        ? { Policies: JSON.stringify(tier.policies) }
        : {}),
    };
    return change(name, 'PutParameter', client.send(new sdk.PutParameterCommand(input), bounded(signal)));
  };

  const keepTags = async (
    name: string,
    tags: Tags,
    wanted: ParameterMetadata['tags'],
    owned: Readonly<Record<string, string>>,
  ): Promise<boolean> => {
    const { set, remove } = tagChange(tags, wanted, owned);
    const at = { ResourceType: 'Parameter' as const, ResourceId: name };
    if (remove.length > 0) {
      const request = new sdk.RemoveTagsFromResourceCommand({ ...at, TagKeys: [...remove] });
      await change(name, 'RemoveTagsFromResource', client.send(request));
    }
    if (set.size > 0) {
      const request = new sdk.AddTagsToResourceCommand({ ...at, Tags: tagList(set) });
      await change(name, 'AddTagsToResource', client.send(request));
    }
    return set.size > 0 || remove.length > 0;
  };

  const update = async (
    name: string,
    target: PushTarget,
    value: Value,
    options: PushOptions,
    metadata: ParameterMetadata,
    { text: before, tags }: Existing,
  ): Promise<'written' | 'unchanged' | 'kept'> => {
    const { property = '' } = target;
    if (options.onlyNew === true && (property === '' || hasProperty(utf8(before), property))) return 'kept';
    const reason = mayPush(tags, property, options.owner, options.adopt);
    if (reason !== undefined) {
      const path = property === '' ? name : `${name}[${property}]`;
      throw failure('provider.foreign', { store, path, reason });
    }
    const text = textFor(name, target, value, before, metadata);
    // Who owns it first: a value that nobody owns could not be taken back.
    const isTagged = await keepTags(name, tags, metadata.tags, ownedBy(target, options.owner));
    if (sameSecret(text, before)) return isTagged ? 'written' : 'unchanged';
    await write(name, text, metadata, undefined, options.signal);
    return 'written';
  };

  return {
    async put(target, value, options) {
      const name = prefix + target.key;
      const metadata = parameterMetadata(options, store, name);
      return turns.take(name, async () => {
        const found = await existing(name, options.signal);
        if (found !== undefined) return update(name, target, value, options, metadata, found);
        const tags = { ...metadata.tags, ...ownedBy(target, options.owner) };
        const text = textFor(name, target, value, undefined, metadata);
        await write(name, text, metadata, tags, options.signal);
        return 'written';
      });
    },

    async delete(target, { owner, signal }) {
      const name = prefix + target.key;
      const { property = '' } = target;
      return turns.take(name, async () => {
        const found = await existing(name, signal);
        if (found === undefined) return 'absent';
        const before = utf8(found.text);
        if (property !== '' && !hasProperty(before, property)) return 'absent';
        if (!mayDelete(found.tags, property, owner)) return 'foreign';
        const left = property === '' ? undefined : withoutProperty(before, property);
        if (left === undefined || left === 'absent') {
          await change(name, 'DeleteParameter', client.send(new sdk.DeleteParameterCommand({ Name: name })));
          return 'deleted';
        }
        const put = { Name: name, Value: textOf(left) ?? '', Type: found.type, Overwrite: true };
        await change(name, 'PutParameter', client.send(new sdk.PutParameterCommand(put)));
        const untag = { ResourceType: 'Parameter' as const, ResourceId: name, TagKeys: [ownerTag(property)] };
        const request = client.send(new sdk.RemoveTagsFromResourceCommand(untag));
        await change(name, 'RemoveTagsFromResource', request);
        return 'deleted';
      });
    },
  };
}

/** A whole Secret as upstream writes it: a JSON object whose values are in base64, or texts where the push asks for it. */
function wholeOf(value: Value, { encodeAsDecoded }: ParameterMetadata): Uint8Array {
  if (!('fields' in value) || encodeAsDecoded) return bytesOf(value);
  const entries = [...value.fields].sort(([a], [b]) => (a < b ? -1 : 1));
  return utf8(JSON.stringify(Object.fromEntries(entries.map(([key, bytes]) => [key, base64(bytes)]))));
}

const ownedBy = ({ property = '' }: PushTarget, owner: string): Record<string, string> => ({
  [MANAGED_BY]: MANAGER,
  [ownerTag(property)]: owner,
});

const tagList = (tags: Iterable<readonly [string, string]>) =>
  [...tags].map(([Key, Value]) => ({ Key, Value }));
