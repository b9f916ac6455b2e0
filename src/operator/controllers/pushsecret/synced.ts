/** `status.syncedPushSecrets`: which place of which store holds what, so that it can be taken away again. */

import { sameJson } from '../../../base/equal.ts';
import { own } from '../../../base/own.ts';
import type { PushData, Synced } from '../../api/pushsecret.ts';
import { storeId } from '../externalsecret/observed.ts';
import type { Entry } from './entries.ts';
import type { StoreSeen } from './observed.ts';

/**
 * The name of a place in the status, upstream's: "remoteKey", or "remoteKey/property". A key that ends like a property of
 * another gets a second slash, where upstream would forget one of the two.
 */
export function placeName({ match }: PushData, taken: Readonly<Record<string, PushData>> = {}): string {
  const { remoteKey, property } = match.remoteRef;
  const name = property === '' ? remoteKey : `${remoteKey}/${property}`;
  const other = own(taken, name);
  return other === undefined || samePlace(other, match.remoteRef) ? name : `${remoteKey}//${property}`;
}

const samePlace = ({ match }: PushData, ref: PushData['match']['remoteRef']): boolean =>
  match.remoteRef.remoteKey === ref.remoteKey && match.remoteRef.property === ref.property;

/** What is kept of an entry: without what is empty, as Go writes it. */
function recordOf({ match, metadata, conversionStrategy }: PushData): PushData {
  const { secretKey, remoteRef } = match;
  const { remoteKey, property } = remoteRef;
  return {
    match: {
      ...(secretKey === '' ? {} : { secretKey }),
      remoteRef: { remoteKey, ...(property === '' ? {} : { property }) },
    },
    ...(metadata === undefined ? {} : { metadata }),
    conversionStrategy: conversionStrategy === '' ? 'None' : conversionStrategy,
  } as PushData;
}

/** The record of entries that went to their stores. */
export function recorded(
  pushed: readonly { readonly store: StoreSeen['store']; readonly entry: Entry }[],
): Synced {
  const synced: Record<string, Record<string, PushData>> = {};
  for (const { store, entry } of pushed) {
    const places = synced[storeId(store)] ?? {};
    places[placeName(entry.record, places)] = entry.record;
    synced[storeId(store)] = places;
  }
  return synced;
}

/** Both records together; where they differ on a place, the first. */
export function merged(first: Synced, second: Synced): Synced {
  const all: Record<string, Record<string, PushData>> = {};
  for (const id of new Set([...Object.keys(first), ...Object.keys(second)]))
    all[id] = { ...second[id], ...first[id] };
  return all;
}

/** What `before` holds that `after` does not: to be taken away. */
export function dropped(
  before: Synced,
  after: Synced,
): readonly { readonly id: string; readonly place: string; readonly data: PushData }[] {
  return Object.entries(before).flatMap(([id, places]) => {
    const kept = Object.values(after[id] ?? {});
    return Object.entries(places)
      .filter(([, data]) => !kept.some((one) => samePlace(one, data.match.remoteRef)))
      .map(([place, data]) => ({ id, place, data }));
  });
}

/** The merge patch (RFC 7396) that makes one record of the other; undefined where they are equal. */
export const syncedPatch = (before: Synced, after: Synced): object | undefined =>
  patchOf(plain(before), plain(after));

type Bag = Readonly<Record<string, unknown>>;

const plain = (synced: Synced): Bag =>
  Object.fromEntries(
    Object.entries(synced).map(([id, places]) => [
      id,
      Object.fromEntries(Object.entries(places).map(([place, data]) => [place, recordOf(data)])),
    ]),
  );

/** A merge patch leaves what it does not name, at every depth: what went has to be taken away by its name. */
function patchOf(before: Bag, after: Bag): object | undefined {
  const patch: Record<string, unknown> = {};
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) patch[name] = null;
  for (const [name, now] of Object.entries(after)) {
    const was = own(before, name);
    if (sameJson(was, now)) continue;
    patch[name] = isBag(was) && isBag(now) ? patchOf(was, now) : now;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

const isBag = (value: unknown): value is Bag =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
