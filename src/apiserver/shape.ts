/**
 * How the lists and maps of a kind are merged and owned: whole, by value, or item by item under keys. A custom kind's
 * schema says so; for built-in kinds it stands in a table by field name, after the API's own markers.
 */

import { asFields, empty, equal, type Fields, type Value } from './objects.ts';
import type { Schema } from './schema.ts';

export interface Shape {
  readonly list: 'atomic' | 'set' | 'map';
  readonly keys: readonly string[];
  readonly atomicMap: boolean;
  field(name: string): Shape;
  item(): Shape;
}

/** A field may be called "constructor": tables asked by names from the wire are maps. */
const KEYS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    containers: ['name'],
    initContainers: ['name'],
    ephemeralContainers: ['name'],
    env: ['name'],
    volumes: ['name'],
    volumeMounts: ['mountPath'],
    volumeDevices: ['devicePath'],
    imagePullSecrets: ['name'],
    secrets: ['name'],
    conditions: ['type'],
    hostAliases: ['ip'],
    topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
    ownerReferences: ['uid'],
    webhooks: ['name'],
    resourceClaims: ['name'],
    podIPs: ['ip'],
  }),
);
const CONTAINERS: readonly string[] = ['containers', 'initContainers', 'ephemeralContainers'];
const ATOMIC: readonly string[] = [
  'selector',
  'nodeSelector',
  'roleRef',
  'involvedObject',
  'regarding',
  'secretKeyRef',
  'configMapKeyRef',
  'fieldRef',
];

function named(name: string, parent: string): Shape {
  const keys =
    name !== 'ports'
      ? KEYS.get(name)
      : CONTAINERS.includes(parent)
        ? ['containerPort', 'protocol']
        : parent === 'spec'
          ? ['port', 'protocol']
          : undefined;
  return {
    list: name === 'finalizers' ? 'set' : keys === undefined ? 'atomic' : 'map',
    keys: keys ?? [],
    atomicMap: ATOMIC.includes(name) && !(name === 'selector' && parent === 'Service'),
    field: (below) => named(below, name),
    item: () => ({ ...named('', name), field: (below) => named(below, name) }),
  };
}

const metadataShape = named('metadata', '');

function ofSchema(schema: Schema | undefined): Shape {
  return {
    list: schema?.listType ?? 'atomic',
    keys: schema?.listKeys ?? [],
    atomicMap: schema?.atomicMap ?? false,
    field: (name) =>
      ofSchema(
        schema?.properties.get(name) ??
          (typeof schema?.additional === 'object' ? schema.additional : undefined),
      ),
    item: () => ofSchema(schema?.items),
  };
}

/** The shape of a kind's objects: by its schema where it has one. */
export function shapeOf(schema: Schema | undefined): Shape {
  if (schema === undefined) return named('', '');
  const own = ofSchema(schema);
  return { ...own, field: (name) => (name === 'metadata' ? metadataShape : own.field(name)) };
}

/** What tells an item of a keyed list from its siblings. */
export function keyOfItem(item: Value, shape: Shape): Fields {
  const fields = empty();
  for (const key of shape.keys) {
    const value = asFields(item)[key] ?? (key === 'protocol' ? 'TCP' : undefined);
    if (value !== undefined) fields[key] = value;
  }
  return fields;
}

export const findItem = (items: readonly Value[], key: Fields, shape: Shape): Value | undefined =>
  items.find((item) => equal(keyOfItem(item, shape), key));
