/**
 * The fake provider: secrets that stand in the store's own manifest, for trying things out. What is pushed to it is kept
 * in memory, per store and not per store's name alone: upstream shares it across namespaces.
 */

import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { namePattern } from '../../provider/pattern.ts';
import type { Provider, ProviderType, Value } from '../../provider/provider.ts';
import { type FakeSpec, fakeSpec } from './spec.ts';

interface Pushed {
  readonly bytes: Uint8Array;
  readonly owner: string;
}

/** What was pushed to a store: by key. */
type Memory = Map<string, Pushed>;

/** One per operator: its memory lives as long as it does. */
export function createFakeProvider(): ProviderType<FakeSpec> {
  const memories = new Map<string, Memory>();
  return {
    name: 'fake',
    spec: fakeSpec as ProviderType<FakeSpec>['spec'],
    async connect(spec, env) {
      const memory = memories.get(env.store) ?? new Map<string, Pushed>();
      memories.set(env.store, memory);
      return connected(spec, env.store, memory);
    },
  };
}

function connected(spec: FakeSpec, store: string, memory: Memory): Provider {
  const entries = new Map(spec.data.map((entry) => [JSON.stringify([entry.key, entry.version]), entry]));
  const given = (key: string, version: string): Value | undefined => {
    const entry = entries.get(JSON.stringify([key, version]));
    return entry === undefined ? undefined : contentOf(entry);
  };
  const isGiven = (key: string): boolean => spec.data.some((entry) => entry.key === key);

  return {
    async get({ key, version = '' }) {
      const pushed = version === '' ? memory.get(key) : undefined;
      const value = given(key, version) ?? (pushed === undefined ? undefined : { bytes: pushed.bytes });
      return value === undefined ? undefined : { value, ...(version === '' ? {} : { version }) };
    },

    async validate() {
      if (spec.validationResult === 2)
        throw failure('provider.spec', { store, reason: 'unable to validate' });
      return spec.validationResult === 1 ? 'unknown' : 'ready';
    },

    async close() {},

    async *find(query) {
      if (query.name === undefined || query.tags !== undefined || query.path !== undefined)
        throw failure('provider.spec', { store, reason: 'the fake provider finds by name alone' });
      const matches = namePattern(query.name, store);
      for (const [key, value] of newest(spec, memory)) if (matches(key)) yield [key, value] as const;
    },

    async put({ key, property }, value, { owner, onlyNew = false, adopt = () => false }) {
      if (property !== undefined && property !== '')
        throw failure('provider.push', { store, path: key, reason: 'the fake provider has no properties' });
      const before = memory.get(key);
      if (onlyNew && (before !== undefined || isGiven(key))) return 'kept';
      if (isGiven(key))
        throw failure('provider.foreign', { store, path: key, reason: 'key already exists in the manifest' });
      if (before !== undefined && before.owner !== owner && !adopt(before.owner))
        throw failure('provider.foreign', { store, path: key, reason: 'somebody else pushed it' });
      const bytes = 'bytes' in value ? value.bytes : utf8(value.json);
      if (before?.owner === owner && Buffer.compare(before.bytes, bytes) === 0) return 'unchanged';
      memory.set(key, { bytes, owner });
      return 'written';
    },

    async delete({ key }, { owner }) {
      const before = memory.get(key);
      if (before === undefined) return isGiven(key) ? 'foreign' : 'absent';
      if (before.owner !== owner) return 'foreign';
      memory.delete(key);
      return 'deleted';
    },
  };
}

function contentOf(entry: FakeSpec['data'][number]): Value {
  const { value = '', valueMap } = entry;
  if (valueMap === undefined || value !== '') return { bytes: utf8(value) };
  const fields = new Map(Object.entries(valueMap).map(([key, text]) => [key, utf8(text)]));
  return { fields, json: stringify(valueMap) };
}

/** Each key once, by the highest version in the order of text, which is upstream's; the manifest goes before what was pushed. */
function newest(spec: FakeSpec, memory: Memory): ReadonlyMap<string, Value> {
  const best = new Map<string, FakeSpec['data'][number]>();
  for (const entry of spec.data) {
    const known = best.get(entry.key);
    if (known === undefined || known.version < entry.version) best.set(entry.key, entry);
  }
  const pushed = [...memory].map(([key, { bytes }]) => [key, { bytes }] as const);
  return new Map<string, Value>([
    ...pushed,
    ...[...best].map(([key, entry]) => [key, contentOf(entry)] as const),
  ]);
}
