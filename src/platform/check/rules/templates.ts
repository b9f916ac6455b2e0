/** Templates: whether they can be read, and whether what they read is given. Mistakes are told where they are written. */

import { asFailure, failure } from '../../../base/errors.ts';
import { nearest } from '../../../base/nearest.ts';
import { bagOf } from '../../../base/shape.ts';
import type { Finding, Spot } from '../finding.ts';
import { type Keys, madeBy, providedBy } from '../keys.ts';
import { type Reference, referencesOf } from '../references.ts';
import { found, type Item, type Path, spotOf, type View, type World } from '../world.ts';
import { near1 } from './kinds.ts';

interface Written {
  /** The object that the text stands in, and where. */
  readonly item: Item;
  readonly path: Path;
  readonly text: string;
  /** Whether it is rendered over the keys of the ExternalSecret. */
  readonly overKeys: boolean;
}

export function* templates(world: World): Iterable<Finding> {
  for (const view of world.views) {
    const keys = providedBy(world, view);
    for (const written of textsOf(world, view)) yield* judge(written, keys);
    yield* sources(world, view);
    yield* types(view, madeBy(world, view));
  }
}

function* judge({ item, path, text, overKeys }: Written, keys: Keys): Iterable<Finding> {
  let references: readonly Reference[];
  try {
    references = referencesOf('template', text);
  } catch (error) {
    const broken = asFailure(error);
    yield found('error', item, path, broken, mistakeAt(item, path, text, broken.message));
    return;
  }
  if (!overKeys || keys.open) return;
  for (const { key, line, column, by } of references) {
    if (keys.names.has(key)) continue;
    const near = nearest(key, keys.names);
    const meant = /did you mean "(.*)"\?$/.exec(near)?.[1];
    const mend =
      meant === undefined ? 'Read the key into the data, or correct its name.' : `Write ${accessTo(meant)}.`;
    const spot = item.source.within([...item.prefix, ...path], line, column);
    // An index of what is not there is an empty text, and no error.
    const cls = by === 'field' ? 'error' : 'warning';
    yield found(cls, item, path, failure('check.template_key', { key, near, mend }), spot);
  }
}

const accessTo = (key: string): string =>
  /^[A-Za-z_]\w*$/.test(key) ? `{{ .${key} }}` : `{{ index . ${JSON.stringify(key)} }}`;

/** The place that the template language's own message names: its columns count bytes. */
function mistakeAt(item: Item, path: Path, text: string, message: string): Spot {
  const [, line = '1', bytes = '0'] = /^template: template:(\d+):(\d+):/.exec(message) ?? [];
  const inLine = text.split('\n')[Number(line) - 1] ?? '';
  const column = Buffer.from(inLine).subarray(0, Number(bytes)).toString().length;
  return item.source.within([...item.prefix, ...path], Number(line), column);
}

/** Every text of an ExternalSecret that is a template, those in ConfigMaps of the same files among them. */
function textsOf(world: World, view: View): readonly Written[] {
  const { item, spec } = view;
  const at = [...view.path, 'target', 'template'];
  const template = spec.target?.template;
  const over = (path: Path, texts: Readonly<Record<string, string>> | undefined): Written[] =>
    Object.entries(texts ?? {}).map(([key, text]) => ({ item, path: [...path, key], text, overKeys: true }));
  const keys = spec.dataFrom.flatMap((entry, index) =>
    entry.rewrite.flatMap(({ transform }, step): Written[] =>
      transform === undefined
        ? []
        : [
            {
              item,
              path: [...view.path, 'dataFrom', index, 'rewrite', step, 'transform', 'template'],
              text: transform.template,
              overKeys: false,
            },
          ],
    ),
  );
  const from = (template?.templateFrom ?? []).flatMap((source, index): Written[] => {
    const literal =
      source.literal === undefined
        ? []
        : [{ item, path: [...at, 'templateFrom', index, 'literal'], text: source.literal, overKeys: true }];
    const map = source.configMap === undefined ? undefined : configMap(world, view, source.configMap.name);
    const held = (source.configMap?.items ?? []).flatMap(({ key }): Written[] => {
      const text = bagOf(map?.object['data'])[key];
      return map === undefined || typeof text !== 'string'
        ? []
        : [{ item: map, path: ['data', key], text, overKeys: true }];
    });
    return [...literal, ...held];
  });
  return [
    ...keys,
    ...from,
    ...over([...at, 'data'], template?.data),
    ...over([...at, 'metadata', 'labels'], template?.metadata?.labels),
    ...over([...at, 'metadata', 'annotations'], template?.metadata?.annotations),
  ];
}

const configMap = ({ items }: World, { namespace }: View, name: string): Item | undefined =>
  items.find(
    (item) =>
      item.group === '' && item.kind === 'ConfigMap' && item.name === name && item.namespace === namespace,
  );

/** ConfigMaps that templates come from. Secrets are told with those that pods use. */
function* sources(world: World, view: View): Iterable<Finding> {
  for (const [index, { configMap: source }] of (view.spec.target?.template?.templateFrom ?? []).entries()) {
    if (source === undefined || view.namespace === undefined) continue;
    const at = [...view.path, 'target', 'template', 'templateFrom', index, 'configMap'];
    const map = configMap(world, view, source.name);
    const { generated } = world.kustomized;
    if (generated.some(({ kind, name }) => kind === 'ConfigMap' && name === source.name)) continue;
    if (map === undefined) {
      const name = `${view.namespace}/${source.name}`;
      yield found(
        'warning',
        view.item,
        [...at, 'name'],
        failure('check.source_missing', { kind: 'ConfigMap', name }),
      );
      continue;
    }
    const held = Object.keys(bagOf(map.object['data']));
    for (const [place, { key }] of source.items.entries()) {
      if (held.includes(key)) continue;
      const wrong = failure('operator.source_key', {
        kind: 'configmap',
        name: source.name,
        key,
        near: near1(key, held),
      });
      yield found('error', view.item, [...at, 'items', place, 'key'], wrong);
    }
  }
}

/** Keys that Secrets of a type have to have, as the API server asks. */
const OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

function* types(view: View, made: Keys): Iterable<Finding> {
  const type = view.spec.target?.template?.type;
  if (type === undefined || made.open) return;
  for (const key of OF_TYPE[type] ?? []) {
    if (made.names.has(key)) continue;
    const keys = [...made.names].join(', ') || 'none';
    const at = [...view.path, 'target', 'template', 'type'];
    yield found(
      'error',
      view.item,
      at,
      failure('check.type_keys', { type, key, keys }),
      spotOf(view.item, at),
    );
  }
}
