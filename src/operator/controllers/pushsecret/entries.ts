/**
 * What of a Secret goes where: `spec.data`, and what `spec.dataTo` becomes of the Secret's keys. Pure. An entry of `data`
 * goes before one of `dataTo` that pushes the same key; two that lead to one place are refused, because each would
 * overwrite the other for ever.
 */

import { RE2JS } from 're2js';
import { compareBytes, textOf } from '../../../base/bytes.ts';
import { asFailure, failure } from '../../../base/errors.ts';
import { Ordered, stringify } from '../../../base/json.ts';
import { nearest } from '../../../base/nearest.ts';
import { matchesSelector } from '../../../kube/selectors.ts';
import type { PushTarget, Value } from '../../../provider/provider.ts';
import { type RewriteStep, rewrite } from '../../../provider/rewrite.ts';
import type { PushData, PushDataTo, PushSecretSpec } from '../../api/pushsecret.ts';
import { kindOf, type Source, type StoreSeen } from './observed.ts';

type Data = ReadonlyMap<string, Uint8Array>;

/** One value and its place in a store. */
export interface Entry {
  readonly target: PushTarget;
  /** As `status.syncedPushSecrets` keeps it. */
  readonly record: PushData;
  readonly value: Value;
  /** The key of the Secret, "" for a whole one. */
  readonly secretKey: string;
  readonly source: Source;
  readonly metadata: unknown;
}

type RenderKey = (text: string, key: string) => string;

/**
 * Everything that goes to one store.
 * @throws Failure operator.push_key, operator.push_twice, operator.spec_invalid, provider.collision
 */
export function entriesFor(
  spec: PushSecretSpec,
  store: StoreSeen,
  sources: readonly Source[],
  renderKey: RenderKey,
): readonly Entry[] {
  const entries = sources.flatMap((source) => {
    const explicit = spec.data.map((data) => explicitEntry(data, source));
    const named = new Set(spec.data.map((data) => originalKey(data, source)));
    const bulk = spec.dataTo.flatMap((dataTo, index) =>
      leadsTo(dataTo, store) ? inPlace(index, () => bulkEntries(dataTo, source, renderKey)) : [],
    );
    // A bundle has no one key that an entry of `data` could name.
    return [...bulk.filter(({ secretKey }) => secretKey === '' || !named.has(secretKey)), ...explicit];
  });
  refuseTwice(entries);
  return entries;
}

/** Whether an entry of dataTo is for this store. */
export function leadsTo({ storeRef }: PushDataTo, { store, labels }: StoreSeen): boolean {
  if (storeRef === undefined || kindOf(storeRef) !== store.kind) return false;
  if (storeRef.name !== undefined) return storeRef.name === store.name;
  return matchesSelector(storeRef.labelSelector, labels);
}

function explicitEntry(data: PushData, source: Source): Entry {
  const { match, metadata } = data;
  const converted = reversed(source.data, data.conversionStrategy);
  const { secretKey } = match;
  const bytes = converted.get(secretKey);
  if (secretKey !== '' && bytes === undefined) {
    const near = nearest(secretKey, converted.keys());
    throw failure('operator.push_key', { key: secretKey, secret: source.name, near });
  }
  return {
    target: targetOf(match.remoteRef.remoteKey, match.remoteRef.property),
    record: data,
    value: bytes === undefined ? whole(converted) : { bytes },
    secretKey,
    source,
    metadata,
  };
}

function bulkEntries(dataTo: PushDataTo, source: Source, renderKey: RenderKey): Entry[] {
  const { remoteKey, conversionStrategy, metadata } = dataTo;
  const matched = matching(reversed(source.data, conversionStrategy), dataTo.match?.regexp ?? '');
  if (matched.size === 0) return [];
  const entryOf = (secretKey: string, key: string, value: Value): Entry => ({
    target: targetOf(key, ''),
    record: {
      match: { secretKey, remoteRef: { remoteKey: key, property: '' } },
      conversionStrategy: 'None',
      ...(metadata === undefined ? {} : { metadata }),
    },
    value,
    secretKey,
    source,
    metadata,
  });
  if (remoteKey !== '') return [entryOf('', remoteKey, whole(matched))];
  const original = new Map(
    [...source.data.keys()].map((key) => [reversedKey(key, conversionStrategy), key] as const),
  );
  return [...matched].map(([key, bytes]) => {
    const renamed = renamedKey(key, dataTo, renderKey);
    if (renamed === '') throw wrong(`empty remote key produced for source key ${JSON.stringify(key)}`);
    return entryOf(original.get(key) ?? key, renamed, { bytes });
  });
}

function matching(data: Data, regexp: string): Data {
  const sorted = [...data].sort(([a], [b]) => compareBytes(a, b));
  if (regexp === '') return new Map(sorted);
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(regexp);
  } catch {
    throw wrong(`match failed: failed to compile regexp pattern ${JSON.stringify(regexp.slice(0, 200))}`);
  }
  return new Map(sorted.filter(([key]) => pattern.matcher(key).find()));
}

function renamedKey(key: string, dataTo: PushDataTo, renderKey: RenderKey): string {
  const steps = dataTo.rewrite.flatMap(({ regexp, transform }): RewriteStep[] => {
    if (regexp !== undefined) return [{ regexp }];
    return transform === undefined ? [] : [{ transform }];
  });
  const [renamed = ''] = rewrite(new Map([[key, new Uint8Array(0)]]), steps, (text, { value }) =>
    renderKey(text, value),
  ).keys();
  return renamed;
}

/** `_U0041_` is the letter again: the other way of an ExternalSecret's `conversionStrategy: Unicode`. */
const reversedKey = (key: string, strategy: PushData['conversionStrategy']): string =>
  strategy !== 'ReverseUnicode'
    ? key
    : key.replace(/_U([0-9a-fA-F]{4,5})_/g, (_, hex: string) =>
        String.fromCodePoint(Number.parseInt(hex, 16)),
      );

function reversed(data: Data, strategy: PushData['conversionStrategy']): Data {
  const keys = new Map<string, Uint8Array>();
  for (const [key, bytes] of data) {
    const name = reversedKey(key, strategy);
    if (keys.has(name)) throw failure('provider.collision', { name });
    keys.set(name, bytes);
  }
  return keys;
}

/** The Secret's own name of the key that an entry pushes. */
const originalKey = ({ match, conversionStrategy }: PushData, { data }: Source): string =>
  [...data.keys()].find((key) => reversedKey(key, conversionStrategy) === match.secretKey) ?? match.secretKey;

const targetOf = (key: string, property: string): PushTarget =>
  property === '' ? { key } : { key, property };

/**
 * A whole Secret as one value. Stores that keep JSON cannot hold bytes that are no text: upstream writes something else in
 * their place without a word; here whoever asks for the JSON fails, and a store of bytes never asks.
 */
function whole(data: Data): Value {
  const fields = new Map([...data].sort(([a], [b]) => compareBytes(a, b)));
  return {
    fields,
    get json() {
      const texts = [...fields].map(([key, bytes]) => {
        const text = textOf(bytes);
        if (text === undefined) throw failure('operator.push_bytes', { key });
        return [key, text] as const;
      });
      return stringify(new Ordered(new Map(texts)));
    },
  };
}

function refuseTwice(entries: readonly Entry[]): void {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    const { key, property = '' } = entry.target;
    const place = JSON.stringify([key, property]);
    const other = seen.get(place);
    if (other !== undefined) {
      const sourceOf = ({ secretKey, source }: Entry): string => `${source.name}[${secretKey}]`;
      throw failure('operator.push_twice', {
        key,
        property: property === '' ? '' : ` with property ${JSON.stringify(property)}`,
        one: sourceOf(other),
        other: sourceOf(entry),
      });
    }
    seen.set(place, entry);
  }
}

const wrong = (reason: string): Error => failure('operator.spec_invalid', { reason });

function inPlace<T>(index: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw wrong(`failed to expand dataTo: dataTo[${index}]: ${asFailure(error).message}`);
  }
}
