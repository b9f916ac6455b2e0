/** Stores: their settings, what they may reach, and whether those who name one will find it. */

import { asFailure, failure } from '../../../base/errors.ts';
import { bagOf, isBag, listOf } from '../../../base/shape.ts';
import { storeSpec } from '../../../operator/api/store.ts';
import { storesOf } from '../../../operator/controllers/externalsecret/observed.ts';
import { admits } from '../../../operator/controllers/secretstore/sight.ts';
import { resolveRef } from '../../../operator/resolve.ts';
import { dotted, misfitsOf, unknownFields, withoutNulls } from '../fields.ts';
import type { Finding } from '../finding.ts';
import { found, type Item, isTemplate, type Path, type Store, type View, type World } from '../world.ts';
import { near1, unknown, waits } from './kinds.ts';

/** The block of each provider, by that provider's own schema. */
export function* providers({ stores, providers }: World): Iterable<Finding> {
  for (const { item } of stores) {
    const block = bagOf(bagOf(item.object['spec'])['provider']);
    const names = Object.keys(block);
    const path = ['spec', 'provider'];
    if (names.length !== 1) {
      yield found('error', item, path, failure('operator.provider_count', { count: names.length }));
      continue;
    }
    const [name = ''] = names;
    const type = providers.find((provider) => provider.name === name);
    if (type === undefined) {
      const known = providers.map((provider) => provider.name).join(', ');
      yield found('error', item, [...path, name], failure('operator.unknown_provider', { name, known }));
      continue;
    }
    const given = withoutNulls(block[name]);
    const strays = [...unknownFields(type.spec, given, [...path, name])];
    for (const stray of strays) yield unknown(item, stray);
    for (const { path: inside, reason } of misfitsOf(type.spec, given)) {
      if (waits(given, inside)) continue;
      // What is missing is missing because it is written otherwise.
      if (strays.some((stray) => dotted(stray.path) === dotted([...path, name, ...inside.slice(0, -1)])))
        continue;
      const where = dotted([...path, name, ...inside]);
      yield found(
        'error',
        item,
        [...path, name, ...inside],
        failure('check.invalid_field', { where, reason }),
      );
    }
  }
}

/** A store of one namespace reaches no other; one of the cluster has to say which it reaches. */
export function* references({ stores }: World): Iterable<Finding> {
  for (const { item, kind, name, namespace } of stores) {
    const provider = bagOf(bagOf(item.object['spec'])['provider']);
    for (const { path, ref } of refsIn(provider, ['spec', 'provider'])) {
      if (kind === 'ClusterSecretStore') {
        if (path.at(-1) === 'caProvider' && ref.namespace === undefined)
          yield found(
            'upstream-only',
            item,
            path,
            failure('check.caprovider_namespace', { kind: ref.kind, name: ref.name }),
          );
        continue;
      }
      try {
        resolveRef({ store: { kind, name }, ...(namespace === undefined ? {} : { namespace }) }, ref, ref);
      } catch (error) {
        yield found('error', item, [...path, 'namespace'], asFailure(error));
      }
    }
    const login = bagOf(bagOf(bagOf(provider['vault'])['auth'])['kubernetes']);
    if (login['audiences'] !== undefined) {
      const path = ['spec', 'provider', 'vault', 'auth', 'kubernetes'];
      const known = ['serviceAccountRef.audiences'];
      yield unknown(item, { path, field: 'audiences', known }, 'upstream-only');
    }
  }
}

interface Reference {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
}

/** Whatever has a name and a namespace, each provider having words of its own for it, and authorities without one. */
function* refsIn(value: unknown, path: Path): Iterable<{ readonly path: Path; readonly ref: Reference }> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* refsIn(item, [...path, index]);
  } else if (isBag(value)) {
    const key = String(path.at(-1));
    const { name, namespace, type } = value;
    const stated = typeof namespace === 'string' && namespace !== '' ? namespace : undefined;
    if (typeof name === 'string' && (stated !== undefined || key === 'caProvider'))
      yield { path, ref: { kind: typeof type === 'string' ? type : key, name, namespace: stated } };
    for (const [member, inside] of Object.entries(value)) yield* refsIn(inside, [...path, member]);
  }
}

/** The store that a name means from a namespace; where it is not there, those of the name that are elsewhere. */
export function storeFor(
  { stores }: Pick<World, 'stores'>,
  ref: { readonly kind: string; readonly name: string },
  namespace: string | undefined,
): { readonly store?: Store; readonly elsewhere: readonly Store[] } {
  const named = stores.filter(({ name }) => name === ref.name);
  // What a ClusterExternalSecret makes goes to namespaces that no file tells.
  const store = named.find(
    ({ kind, namespace: own }) =>
      kind === ref.kind && (kind === 'ClusterSecretStore' || namespace === undefined || own === namespace),
  );
  return store === undefined ? { elsewhere: named } : { store, elsewhere: [] };
}

/** The store whose settings count for what is read: the one that is found, or the only one that can be meant. */
export function meant(
  world: Pick<World, 'stores'>,
  ref: { readonly kind: string; readonly name: string } | undefined,
  namespace: string | undefined,
): Store | undefined {
  if (ref === undefined) return undefined;
  const { store, elsewhere } = storeFor(world, ref, namespace);
  return store ?? (elsewhere.length === 1 ? elsewhere[0] : undefined);
}

/** Whether the stores that ExternalSecrets, PushSecrets and DatabaseSecrets name are there. */
export function* stores(world: World): Iterable<Finding> {
  for (const view of world.views) {
    for (const ref of storesOf(view.spec))
      yield* missing(world, view.item, placeOf(view, ref), ref, view.namespace);
  }
  for (const item of world.items) {
    if (item.group !== 'external-secrets.io') continue;
    const spec = bagOf(item.object['spec']);
    if (item.kind === 'PushSecret') {
      for (const [index, entry] of listOf(spec['secretStoreRefs']).entries()) {
        const { name, kind } = bagOf(entry);
        if (typeof name !== 'string') continue;
        const ref = { name, kind: kind === 'ClusterSecretStore' ? kind : 'SecretStore' };
        yield* missing(world, item, ['spec', 'secretStoreRefs', index, 'name'], ref, item.namespace);
      }
    } else if (item.kind === 'DatabaseSecret' && typeof spec['backend'] === 'string') {
      const name = spec['backend'];
      const either = ['SecretStore', 'ClusterSecretStore'].some(
        (kind) => storeFor(world, { kind, name }, item.namespace).store !== undefined,
      );
      if (!either)
        yield* missing(world, item, ['spec', 'backend'], { kind: 'SecretStore', name }, item.namespace);
    }
  }
}

/** Whether the generators that ExternalSecrets and PushSecrets name are there. */
export function* generators(world: World): Iterable<Finding> {
  for (const view of world.views) {
    for (const [index, { sourceRef }] of view.spec.dataFrom.entries()) {
      const path = [...view.path, 'dataFrom', index, 'sourceRef', 'generatorRef'];
      yield* generator(world, view.item, path, sourceRef?.generatorRef, view.namespace);
    }
  }
  for (const item of world.items) {
    if (item.group !== 'external-secrets.io' || item.kind !== 'PushSecret') continue;
    const ref = bagOf(bagOf(item.object['spec'])['selector'])['generatorRef'];
    yield* generator(world, item, ['spec', 'selector', 'generatorRef'], ref, item.namespace);
  }
}

function* generator(
  { items, kinds }: World,
  item: Item,
  path: Path,
  ref: unknown,
  namespace: string | undefined,
): Iterable<Finding> {
  const { kind, name, apiVersion } = bagOf(ref);
  if (typeof kind !== 'string' || typeof name !== 'string') return;
  const ofGroup = kinds.filter(({ resource }) => resource.group === GENERATORS);
  const known = ofGroup.find(({ resource }) => resource.kind === kind);
  if (known === undefined) {
    const near = near1(
      kind,
      ofGroup.map(({ resource }) => resource.kind),
    );
    const said = typeof apiVersion === 'string' ? apiVersion : GENERATORS;
    yield found(
      'error',
      item,
      [...path, 'kind'],
      failure('check.unknown_kind', { kind, apiVersion: said, near }),
    );
    return;
  }
  const ofKind = items.filter(
    (one) =>
      one.group === GENERATORS &&
      one.kind === kind &&
      (one.namespace === undefined || namespace === undefined || one.namespace === namespace),
  );
  if (ofKind.some((one) => one.name === name)) return;
  const where = known.resource.namespaced && namespace !== undefined ? ` in namespace "${namespace}"` : '';
  const near = near1(
    name,
    ofKind.map((one) => one.name),
  );
  yield found(
    'warning',
    item,
    [...path, 'name'],
    failure('check.store_missing', { kind, name, where, near }),
  );
}

const GENERATORS = 'generators.external-secrets.io';

/** The first place of a spec that names a store. */
function placeOf({ spec, path }: View, ref: { readonly kind: string; readonly name: string }): Path {
  const is = (other: { readonly kind: string; readonly name?: string | undefined } | undefined): boolean =>
    other?.name === ref.name && other.kind === ref.kind;
  if (is(spec.secretStoreRef)) return [...path, 'secretStoreRef', 'name'];
  for (const list of ['data', 'dataFrom'] as const) {
    const at = spec[list].findIndex(({ sourceRef }) => is(sourceRef?.storeRef));
    if (at >= 0) return [...path, list, at, 'sourceRef', 'storeRef', 'name'];
  }
  return path;
}

function* missing(
  world: World,
  item: Item,
  path: Path,
  ref: { readonly kind: string; readonly name: string },
  namespace: string | undefined,
): Iterable<Finding> {
  if (isTemplate(ref.name) || isTemplate(namespace ?? '')) return;
  const { store, elsewhere } = storeFor(world, ref, namespace);
  const where = ref.kind === 'SecretStore' && namespace !== undefined ? ` in namespace "${namespace}"` : '';
  if (store !== undefined) {
    // Overlays for several clusters each have one of the name.
    const same = world.stores.filter(({ kind, name }) => kind === store.kind && name === store.name);
    if (namespace !== undefined && !same.some((one) => letsIn(world, one, namespace)))
      yield found('error', item, path, failure('operator.store_denied', { name: ref.name, namespace }));
    return;
  }
  if (elsewhere.length === 0) {
    const usable = world.stores.filter(
      (one) => one.kind === 'ClusterSecretStore' || one.namespace === namespace,
    );
    const near = near1(
      ref.name,
      usable.map(({ name }) => name),
    );
    yield found('warning', item, path, failure('check.store_missing', { ...ref, where, near }));
    return;
  }
  yield found(
    'error',
    item,
    path,
    failure('check.store_elsewhere', { ...ref, where, ...elsewhereText(ref.kind, elsewhere) }),
  );
}

function elsewhereText(kind: string, stores: readonly Store[]): { found: string; mend: string } {
  const other = stores.find((store) => store.kind !== kind);
  if (other !== undefined)
    return { found: `a ${other.kind}`, mend: `Set kind: ${other.kind} where the store is named.` };
  const namespaces = [...new Set(stores.map(({ namespace }) => `"${namespace ?? ''}"`))].join(', ');
  return {
    found: `in namespace ${namespaces}`,
    mend: 'A SecretStore serves its own namespace alone: give this namespace one, or make it a ClusterSecretStore.',
  };
}

/** False only where the files are enough to know. */
function letsIn({ items, kustomized }: World, { item, kind }: Store, namespace: string): boolean {
  // A patch may add a namespace.
  if (kind !== 'ClusterSecretStore' || kustomized.changed.has(item.source.file)) return true;
  const read = storeSpec.safeParse(withoutNulls(item.object['spec']));
  if (!read.success) return true;
  const { conditions } = read.data;
  const known = items.find((one) => one.kind === 'Namespace' && one.group === '' && one.name === namespace);
  if (known === undefined && conditions.some(({ namespaceSelector }) => namespaceSelector !== undefined))
    return true;
  const labels = bagOf(known?.metadata['labels']) as Readonly<Record<string, string>>;
  return admits(conditions, { name: namespace, labels });
}
