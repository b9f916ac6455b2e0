/**
 * What kustomizations make of the files that they list, as far as it decides where an object is: the namespace that each sets,
 * and what it generates. The rest (prefixes, patches, charts) is not rendered, and told as such. Pure.
 */

import { join } from 'node:path';
import { bagOf, listOf } from '../../base/shape.ts';

export interface Kustomized {
  /** Files whose objects a kustomization moves, and where to. */
  readonly namespaces: ReadonlyMap<string, string>;
  readonly generated: readonly Generated[];
  /** Files whose objects are changed in ways that nobody rendered here: what they lack, a patch may give. */
  readonly changed: ReadonlySet<string>;
  /** Files whose objects go where whoever applies their kustomization says, unless they say it themselves. */
  readonly adrift: ReadonlySet<string>;
  /** Kustomizations that change what they list in ways that nobody rendered here. */
  readonly unrendered: readonly Unrendered[];
}

export interface Generated {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  /** The kustomization. */
  readonly file: string;
}

export interface Unrendered {
  readonly file: string;
  /** The fields that change something: "namePrefix", "patches". */
  readonly sets: readonly string[];
}

interface Kustomization {
  readonly file: string;
  readonly folder: string;
  readonly all: Readonly<Record<string, unknown>>;
  readonly namespace: string | undefined;
  /** Files and folders, as paths from where the check was begun. */
  readonly lists: readonly string[];
}

const CHANGES = [
  'namePrefix',
  'nameSuffix',
  'patches',
  'patchesStrategicMerge',
  'patchesJson6902',
  'replacements',
  'vars',
  'transformers',
  'generators',
  'helmCharts',
  'helmChartInflationGenerator',
];

/** Fields by which objects become others than are written, components being kustomizations that may have any of them. */
const MAKES_OTHERS = [
  ...CHANGES.filter((field) => !field.startsWith('name')),
  'components',
  'commonLabels',
  'labels',
];

const isSet = (value: unknown): boolean =>
  listOf(value).length > 0 || isText(value) || Object.keys(bagOf(value)).length > 0;

export const isKustomization = (file: string): boolean =>
  /(^|[/\\])(kustomization\.ya?ml|Kustomization)$/.test(file);

/**
 * Where two kustomizations, such as the overlays of two clusters, move a file into two namespaces, the first by name is taken
 * for all that they share: what lies in one base stays together.
 * @param documents values of YAML documents by file
 */
export function kustomized(
  documents: readonly { readonly file: string; readonly value: unknown }[],
): Kustomized {
  const all = documents.flatMap(({ file, value }) =>
    isKustomization(file) ? [kustomizationOf(file, bagOf(value))] : [],
  );
  const byFolder = new Map(all.map((one) => [one.folder, one]));
  const listed = new Set(all.flatMap(({ lists }) => lists));
  const fluxed = documents.flatMap(({ value }) => fluxOf(bagOf(value), byFolder));
  const targets = new Set(fluxed.map(({ at }) => at));
  const roots = all.filter((one) => !listed.has(one.folder) && !targets.has(one));
  const places = new Map<string, Set<string | undefined>>();
  const changed = new Set<string>();
  for (const { at, namespace } of [...roots.map((at) => ({ at, namespace: undefined })), ...fluxed])
    move(at, { namespace, changes: false }, byFolder, places, changed, new Set());
  return {
    namespaces: new Map(
      [...places].flatMap(([file, set]) => firstOf(set).map((namespace) => [file, namespace])),
    ),
    changed,
    adrift: new Set([...places].flatMap(([file, set]) => (firstOf(set).length === 0 ? [file] : []))),
    generated: all.flatMap(generatedBy),
    unrendered: all.flatMap(({ file, all: fields }) => {
      const sets = CHANGES.filter((field) => listOf(fields[field]).length > 0 || isText(fields[field]));
      return sets.length === 0 ? [] : [{ file, sets }];
    }),
  };
}

const firstOf = (set: ReadonlySet<string | undefined>): readonly string[] =>
  [...set]
    .filter((namespace) => namespace !== undefined)
    .sort()
    .slice(0, 1);

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function kustomizationOf(file: string, all: Readonly<Record<string, unknown>>): Kustomization {
  const folder = join(file, '..');
  const lists = ['resources', 'bases', 'components']
    .flatMap((field) => listOf(all[field]))
    .filter(isText)
    .map((name) => join(folder, name).replace(/[/\\]$/, ''));
  return { file, folder, all, lists, namespace: isText(all['namespace']) ? all['namespace'] : undefined };
}

interface Outer {
  readonly namespace: string | undefined;
  readonly changes: boolean;
}

/** What an outer kustomization sets holds over what an inner one does. */
function move(
  at: Kustomization,
  outer: Outer,
  byFolder: ReadonlyMap<string, Kustomization>,
  places: Map<string, Set<string | undefined>>,
  changed: Set<string>,
  seen: ReadonlySet<Kustomization>,
): void {
  if (seen.has(at)) return;
  const namespace = outer.namespace ?? at.namespace;
  const changes = outer.changes || MAKES_OTHERS.some((field) => isSet(at.all[field]));
  for (const name of at.lists) {
    const inner = byFolder.get(name);
    if (inner !== undefined) {
      move(inner, { namespace, changes }, byFolder, places, changed, new Set([...seen, at]));
      continue;
    }
    places.set(name, (places.get(name) ?? new Set()).add(namespace));
    if (changes) changed.add(name);
  }
}

/** A Kustomization of Flux names a folder of its repository, of which a check may see a part or more. */
function fluxOf(
  object: Readonly<Record<string, unknown>>,
  byFolder: ReadonlyMap<string, Kustomization>,
): { readonly at: Kustomization; readonly namespace: string }[] {
  const { path, targetNamespace } = bagOf(object['spec']);
  const isFlux = String(object['apiVersion']).startsWith('kustomize.toolkit.fluxcd.io/');
  if (!isFlux || !isText(path) || !isText(targetNamespace)) return [];
  const folder = join(path).replace(/^[/\\]+|[/\\]+$/g, '');
  const at = [...byFolder.values()].find((one) => one.folder === folder || one.folder.endsWith(`/${folder}`));
  return at === undefined ? [] : [{ at, namespace: targetNamespace }];
}

function generatedBy({ file, all }: Kustomization): Generated[] {
  const kinds = { secretGenerator: 'Secret', configMapGenerator: 'ConfigMap' } as const;
  return Object.entries(kinds).flatMap(([field, kind]) =>
    listOf(all[field]).flatMap((entry) => {
      const { name } = bagOf(entry);
      return isText(name) ? [{ kind, name, file }] : [];
    }),
  );
}
