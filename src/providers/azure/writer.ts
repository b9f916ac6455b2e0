/** Pushing to a key vault. What is written is decided by pure functions; here it is read, compared and sent. */

import { isDeepStrictEqual } from 'node:util';
import { failure } from '../../base/errors.ts';
import { bytesOf, hasProperty, NotWritable, withoutProperty, withProperty } from '../../provider/document.ts';
import { MANAGED_BY, MANAGER } from '../../provider/ownership.ts';
import type { PushOptions, PushTarget, Value, Writer } from '../../provider/provider.ts';
import { Turns } from '../../provider/turns.ts';
import { change, refusalOf, seen } from './client.ts';
import { type ObjectName, objectNamed } from './objects.ts';
import { type Metadata, metadataOf, ownership } from './push-metadata.ts';
import type { VaultContext } from './reader.ts';
import { type Held, type Shelf, shelvesOf } from './shelves.ts';

/** How long a vault takes to get back what was deleted, about. */
const RECOVERY_MS = 15_000;
const NO_METADATA: Metadata = {};
/** Conflicts with something deleted under that name. Not every vault says more than the second. */
const WAITING: ReadonlySet<string> = new Set(['ObjectIsDeletedButRecoverable', 'Conflict']);

export function createWriter({ vault, env }: VaultContext): Writer {
  const { store } = env;
  const shelves = shelvesOf(vault);
  const turns = new Turns();

  const held = (
    { kind, read }: Shelf,
    { name }: ObjectName,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<Held | undefined> =>
    seen(read(name, signal === undefined ? {} : { abortSignal: signal }), {
      store,
      name: key,
      permission: `${kind}/get`,
    });

  const refused = (key: string, error: unknown): Error => {
    if (!(error instanceof NotWritable)) return error as Error;
    return failure('provider.push', { store, path: key, reason: error.message });
  };

  const wantedOf = (target: PushTarget, value: Value, had: Held | undefined, type: ObjectName['type']) => {
    const { property = '' } = target;
    if (property === '') return bytesOf(value);
    if (type !== 'secret')
      throw new NotWritable('only secrets have properties; keys and certificates are one value');
    return withProperty(had?.bytes, property, value);
  };

  /** What its own push deleted waits for its end, and has to be got back before it can be written. */
  const recovered = async (
    shelf: Shelf,
    { name }: ObjectName,
    target: PushTarget,
    { owner, adopt }: PushOptions,
    conflict: unknown,
  ): Promise<never> => {
    const { key, property = '' } = target;
    const at = { store, name: key };
    const later = (reason: string) =>
      failure('provider.write', { store, path: key, reason }, { retryAfterMs: RECOVERY_MS });
    const tags = await seen(shelf.deletedTags(name), {
      ...at,
      permission: `${shelf.kind}/get`,
      writes: true,
    });
    // It is just being deleted, or just being recovered.
    if (tags === undefined) throw later(`Key Vault answers ${refusalOf(conflict)?.code}`);
    const reason = ownership.mayPush(new Map(Object.entries(tags)), property, owner, adopt);
    if (reason !== undefined)
      throw failure('provider.foreign', { store, path: key, reason: `it is deleted, but waits: ${reason}` });
    await change(shelf.recover(name), { ...at, permission: `${shelf.kind}/recover` });
    throw later('it was deleted, and is being recovered; then it is written');
  };

  const put = async (
    object: ObjectName,
    target: PushTarget,
    value: Value,
    options: PushOptions,
  ): Promise<'written' | 'unchanged' | 'kept'> => {
    const { key, property = '' } = target;
    const { owner, adopt, onlyNew } = options;
    const metadata = metadataOf(options, store, key);
    const shelf = shelves[object.type];
    const had = await held(shelf, object, key, options.signal);
    if (had !== undefined) {
      if (onlyNew === true && (property === '' || hasProperty(had.bytes ?? new Uint8Array(0), property)))
        return 'kept';
      const reason = ownership.mayPush(new Map(Object.entries(had.tags)), property, owner, adopt);
      if (reason !== undefined) throw failure('provider.foreign', { store, path: placeOf(target), reason });
    }
    const tags = tagsOf(had, metadata, property, owner);
    const wanted = wantedOf(target, value, had, object.type);
    const at = { store, name: key };
    if (had?.isSame(wanted, metadata) === true) {
      if (isDeepStrictEqual({ ...had.tags }, tags)) return 'unchanged';
      await change(shelf.retag(object.name, had.version, tags), { ...at, permission: shelf.retagging });
      return 'written';
    }
    try {
      await shelf.write(object.name, wanted, tags, metadata, had);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal?.status === 409 && WAITING.has(refusal.code))
        return recovered(shelf, object, target, options, error);
      throw error instanceof NotWritable
        ? error
        : await change(Promise.reject(error), { ...at, permission: shelf.writing });
    }
    return 'written';
  };

  return {
    put(target, value, options) {
      const { key } = target;
      return turns.take(key, async () => {
        try {
          return await put(pushable(key, store), target, value, options);
        } catch (error) {
          throw refused(key, error);
        }
      });
    },

    delete(target, { owner, signal }) {
      const { key, property = '' } = target;
      return turns.take(key, async () => {
        const object = objectNamed(key, store);
        const shelf = shelves[object.type];
        const had = await held(shelf, object, key, signal);
        if (had === undefined) return 'absent';
        if (property !== '' && (had.bytes === undefined || !hasProperty(had.bytes, property)))
          return 'absent';
        if (!ownership.mayDelete(new Map(Object.entries(had.tags)), property, owner)) return 'foreign';
        const left =
          property === '' || had.bytes === undefined ? undefined : withoutProperty(had.bytes, property);
        if (left === undefined || left === 'absent') {
          await change(shelf.remove(object.name), { store, name: key, permission: `${shelf.kind}/delete` });
          return 'deleted';
        }
        const { [ownership.ownerTag(property)]: _, ...tags } = had.tags;
        const at = { store, name: key, permission: shelf.writing };
        await change(shelf.write(object.name, left, tags, NO_METADATA, had), at);
        return 'deleted';
      });
    },
  };
}

/** @throws Failure provider.push for a name that nothing in a vault can have */
function pushable(key: string, store: string): ObjectName {
  try {
    return objectNamed(key, store);
  } catch (error) {
    const { message } = error as Error;
    throw failure('provider.push', {
      store,
      path: key.slice(0, 300),
      reason: message.slice(message.indexOf(': ') + 2),
    });
  }
}

const placeOf = ({ key, property = '' }: PushTarget): string =>
  property === '' ? key : `${key}[${property}]`;

/** The tags that a push leaves. Without tags of its own, those of others stay. */
function tagsOf(
  had: Held | undefined,
  { tags }: Metadata,
  property: string,
  owner: string,
): Record<string, string> {
  // Who pushes the whole owns all of it.
  const others = Object.entries(had?.tags ?? {}).filter(([name]) =>
    ownership.isOurs(name) ? property !== '' : tags === undefined,
  );
  return {
    ...Object.fromEntries(others),
    ...tags,
    [MANAGED_BY]: MANAGER,
    [ownership.ownerTag(property)]: owner,
  };
}
