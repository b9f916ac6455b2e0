/** Secrets: who makes them, who uses them, and whether the two meet. */

import { failure } from '../../../base/errors.ts';
import { type Bag, bagOf, listOf } from '../../../base/shape.ts';
import type { Finding } from '../finding.ts';
import { type Keys, madeBy } from '../keys.ts';
import { podsOf } from '../pods.ts';
import { found, type Item, isTemplate, type Path, placed, titleOf, type World } from '../world.ts';
import { near1 } from './kinds.ts';

interface Maker {
  readonly by: string;
  readonly name: string;
  /** Undefined: in namespaces that no file tells. */
  readonly namespace: string | undefined;
  readonly keys: Keys;
}

interface Use {
  readonly item: Item;
  readonly path: Path;
  readonly name: string;
  /** How it is used, for messages: "container app reads into TOKEN". */
  readonly how: string;
  readonly key?: { readonly name: string; readonly path: Path };
}

const OPEN: Keys = { names: new Set(), open: true };

export function* secrets(world: World): Iterable<Finding> {
  const makers = makersOf(world);
  const byName = new Map<string, Maker[]>();
  for (const maker of makers) byName.set(maker.name, [...(byName.get(maker.name) ?? []), maker]);
  for (const use of [...world.items.flatMap(usesOf), ...world.items.flatMap(pushed), ...templated(world)]) {
    const { namespace } = use.item;
    if (isTemplate(use.name) || isTemplate(namespace ?? '')) continue;
    const making = (byName.get(use.name) ?? []).filter(
      (maker) => maker.namespace === undefined || maker.namespace === namespace,
    );
    if (making.length === 0) yield missing(use, makers);
    else yield* absentKey(use, making);
  }
}

function missing(use: Use, makers: readonly Maker[]): Finding {
  const { namespace } = use.item;
  const secret = placed(namespace, use.name);
  const elsewhere = makers.find(({ name }) => name === use.name);
  const named = makers.find(({ by }) => by.endsWith(`/${use.name}`) && by.startsWith('ExternalSecret'));
  const here = makers.filter((maker) => maker.namespace === namespace).map(({ name }) => name);
  const near =
    elsewhere !== undefined
      ? `; ${elsewhere.by} makes one of that name in namespace ${elsewhere.namespace ?? ''}`
      : named !== undefined
        ? `; ${named.by} makes ${placed(named.namespace, named.name)}`
        : near1(use.name, here);
  return found(
    'warning',
    use.item,
    use.path,
    failure('check.secret_missing', { secret, user: use.how, near }),
  );
}

function* absentKey({ item, name, key }: Use, making: readonly Maker[]): Iterable<Finding> {
  if (key === undefined || making.some(({ keys }) => keys.open || keys.names.has(key.name))) return;
  const names = new Set(making.flatMap(({ keys }) => [...keys.names]));
  const wrong = failure('check.secret_key_missing', {
    secret: placed(item.namespace, name),
    maker: making[0]?.by ?? '',
    key: key.name,
    near: near1(key.name, names) || `; it has: ${[...names].slice(0, 8).join(', ')}`,
  });
  yield found('error', item, key.path, wrong);
}

/** Everything that makes Secrets, as far as its manifest says which. */
function makersOf(world: World): readonly Maker[] {
  const views = world.views
    // Merge adds to what another makes; None makes nothing.
    .filter(({ spec }) => !['Merge', 'None'].includes(spec.target?.creationPolicy ?? ''))
    .filter(({ spec }) => spec.target?.manifest === undefined)
    .map((view) => ({
      by: titleOf(view.item),
      name: view.target,
      namespace: view.namespace,
      keys: madeBy(world, view),
    }));
  const generated = world.kustomized.generated
    .filter(({ kind }) => kind === 'Secret')
    .map(({ name, file }) => ({ by: file, name, namespace: undefined, keys: OPEN }));
  return [...views, ...generated, ...world.items.flatMap(otherMakers)];
}

function otherMakers(item: Item): Maker[] {
  const spec = bagOf(item.object['spec']);
  const maker = (name: unknown, keys = OPEN, namespace: unknown = item.namespace): Maker[] =>
    typeof name === 'string' && name !== ''
      ? [
          {
            by: titleOf(item),
            name,
            keys,
            namespace: typeof namespace === 'string' ? namespace : item.namespace,
          },
        ]
      : [];
  switch (`${item.group}/${item.kind}`) {
    case '/Secret': {
      const names = ['data', 'stringData'].flatMap((field) => Object.keys(bagOf(item.object[field])));
      return maker(item.name, {
        names: new Set(names),
        open: item.object['type'] === 'kubernetes.io/service-account-token',
      });
    }
    case 'bitnami.com/SealedSecret':
      return maker(bagOf(bagOf(spec['template'])['metadata'])['name'] ?? item.name);
    case 'cert-manager.io/Certificate':
      return maker(spec['secretName']);
    case 'external-secrets.io/DatabaseSecret':
      return maker(bagOf(spec['target'])['name'] ?? item.name);
    case 'secrets.hashicorp.com/VaultStaticSecret':
    case 'secrets.hashicorp.com/VaultDynamicSecret':
    case 'secrets.hashicorp.com/VaultPKISecret':
      return maker(bagOf(spec['destination'])['name']);
    case 'secrets-store.csi.x-k8s.io/SecretProviderClass':
      return listOf(spec['secretObjects']).flatMap((entry) =>
        maker(bagOf(entry)['secretName'], keysOf(entry)),
      );
    default: {
      // Crossplane writes what it makes where any of its resources says.
      const written = bagOf(spec['writeConnectionSecretToRef']);
      return maker(written['name'], OPEN, written['namespace']);
    }
  }
}

function keysOf(entry: unknown): Keys {
  const names = listOf(bagOf(entry)['data']).map((member) => bagOf(member)['key']);
  return { names: new Set(names.filter((name) => typeof name === 'string')), open: false };
}

function usesOf(item: Item): Use[] {
  return podsOf(item).flatMap(({ path, spec }) => [
    ...containers(item, path, spec),
    ...listOf(spec['volumes']).flatMap((volume, index) =>
      ofVolume(item, [...path, 'volumes', index], bagOf(volume)),
    ),
    ...listOf(spec['imagePullSecrets']).flatMap((entry, index): Use[] => {
      const { name } = bagOf(entry);
      return typeof name === 'string'
        ? [{ item, path: [...path, 'imagePullSecrets', index, 'name'], name, how: 'images are pulled with' }]
        : [];
    }),
  ]);
}

function containers(item: Item, path: Path, spec: Bag): Use[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
    listOf(spec[list]).flatMap((entry, index) => {
      const container = bagOf(entry);
      const title = `container ${String(container['name'] ?? index)}`;
      const at = [...path, list, index];
      const env = listOf(container['env']).flatMap((variable, place) => {
        const ref = bagOf(bagOf(variable)['valueFrom'])['secretKeyRef'];
        const into = String(bagOf(variable)['name'] ?? '');
        return use(
          item,
          [...at, 'env', place, 'valueFrom', 'secretKeyRef'],
          ref,
          `${title} reads into ${into}`,
        );
      });
      const whole = listOf(container['envFrom']).flatMap((source, place) =>
        use(item, [...at, 'envFrom', place, 'secretRef'], bagOf(source)['secretRef'], `${title} reads whole`),
      );
      return [...env, ...whole];
    }),
  );
}

function ofVolume(item: Item, path: Path, volume: Bag): Use[] {
  const how = `the volume ${String(volume['name'] ?? '')} mounts`;
  const secret = volume['secret'];
  const own = secret === undefined ? [] : use(item, [...path, 'secret'], secret, how, 'secretName');
  const projected = listOf(bagOf(volume['projected'])['sources']).flatMap((source, index) =>
    use(item, [...path, 'projected', 'sources', index, 'secret'], bagOf(source)['secret'], how),
  );
  return [...own, ...projected];
}

/** A reference to a Secret; none where it may be absent. */
function use(item: Item, path: Path, value: unknown, how: string, field = 'name'): Use[] {
  const ref = bagOf(value);
  const name = ref[field];
  if (typeof name !== 'string' || name === '' || ref['optional'] === true) return [];
  const listed = listOf(ref['items']).flatMap((entry, index): Use[] => {
    const { key } = bagOf(entry);
    return typeof key === 'string'
      ? [
          {
            item,
            path: [...path, field],
            name,
            how,
            key: { name: key, path: [...path, 'items', index, 'key'] },
          },
        ]
      : [];
  });
  if (listed.length > 0) return listed;
  const key = ref['key'];
  const named = typeof key === 'string' ? { key: { name: key, path: [...path, 'key'] } } : {};
  return [{ item, path: [...path, field], name, how, ...named }];
}

/** What PushSecrets push. */
function pushed(item: Item): Use[] {
  if (item.group !== 'external-secrets.io' || item.kind !== 'PushSecret') return [];
  const spec = bagOf(item.object['spec']);
  const { name } = bagOf(bagOf(spec['selector'])['secret']);
  if (typeof name !== 'string') return [];
  const source: Use = { item, path: ['spec', 'selector', 'secret', 'name'], name, how: 'it pushes' };
  // A template may give keys that the Secret does not have.
  const keys = spec['template'] !== undefined ? [] : listOf(spec['data']);
  const each = keys.flatMap((entry, index): Use[] => {
    const { secretKey } = bagOf(bagOf(entry)['match']);
    return typeof secretKey === 'string' && secretKey !== ''
      ? [{ ...source, key: { name: secretKey, path: ['spec', 'data', index, 'match', 'secretKey'] } }]
      : [];
  });
  return each.length === 0 ? [source] : each;
}

/** Secrets that templates come from. */
function templated({ views }: World): readonly Use[] {
  return views.flatMap(({ item, path, spec, namespace }) =>
    (spec.target?.template?.templateFrom ?? []).flatMap(({ secret }, index): Use[] =>
      secret === undefined || namespace === undefined
        ? []
        : use(
            item,
            [...path, 'target', 'template', 'templateFrom', index, 'secret'],
            secret,
            'its template comes from',
          ),
    ),
  );
}

/** Two ExternalSecrets that would own one Secret: the second says so for ever. */
export function* targets({ views }: World): Iterable<Finding> {
  const first = new Map<string, Item>();
  for (const { item, spec, namespace, target, path } of views) {
    const creation = spec.target?.creationPolicy || 'Owner';
    if (creation !== 'Owner' || namespace === undefined || spec.target?.manifest !== undefined) continue;
    const folder = item.source.file.replace(/[^/\\]*$/, '');
    const id = JSON.stringify([folder, namespace, target]);
    const known = first.get(id);
    if (known === undefined) first.set(id, item);
    else if (known.name !== item.name) {
      const secret = placed(namespace, target);
      const wrong = failure('check.shared_target', { secret, other: titleOf(known) });
      yield found('error', item, [...path, 'target', 'name'], wrong);
    }
  }
}
