/**
 * `spec.target.template`. What comes later wins: provider data (only where it is kept), then templateFrom in the order of
 * the list (in one item: ConfigMap, Secret, literal), then `data`. Errors name the entry, never a value.
 */

import { textOf, utf8 } from '../../../../base/bytes.ts';
import { failure } from '../../../../base/errors.ts';
import { nearest } from '../../../../base/nearest.ts';
import { own } from '../../../../base/own.ts';
import { parseYaml } from '../../../../base/yaml.ts';
import type { KubeObject } from '../../../../kube/kube.ts';
import type { Template, TemplateFrom } from '../../../api/externalsecret.ts';
import { type Env, sourceId } from '../observed.ts';
import { decode } from './shape.ts';

type Data = ReadonlyMap<string, Uint8Array>;
type Sources = ReadonlyMap<string, KubeObject | undefined>;

export interface Rendered {
  readonly data: Data;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

type Face = 'data' | 'labels' | 'annotations';

/** @throws Failure template.*, operator.source_* */
export function renderTemplate(template: Template, provided: Data, sources: Sources, env: Env): Rendered {
  const templated = template.data !== undefined || template.templateFrom !== undefined;
  const faces: Record<Face, Map<string, Uint8Array>> = {
    data: new Map(template.mergePolicy === 'Merge' || !templated ? provided : []),
    labels: new Map(),
    annotations: new Map(),
  };
  for (const [index, from] of (template.templateFrom ?? []).entries()) {
    const at = `templateFrom[${index}]`;
    const face = faces[faceOf(from)];
    for (const [key, value] of rendered(from, at, provided, sources, env)) {
      // Named by its place: the key may have been made out of a secret.
      face.set(key, decode(value, from.valuesDecodingStrategy, undefined, at));
    }
  }
  const inline = (name: string, texts: Readonly<Record<string, string>> | undefined, face: Face): void => {
    for (const [key, text] of Object.entries(texts ?? {})) {
      faces[face].set(key, env.render(text, `${name}[${key}]`, provided));
    }
  };
  inline('data', template.data, 'data');
  inline('metadata.labels', template.metadata?.labels, 'labels');
  inline('metadata.annotations', template.metadata?.annotations, 'annotations');
  return { data: faces.data, labels: texts(faces.labels), annotations: texts(faces.annotations) };
}

const faceOf = (from: TemplateFrom): Face =>
  from.target === '' ? 'data' : (from.target.toLowerCase() as Face);

const texts = (values: Data): Record<string, string> =>
  Object.fromEntries([...values].map(([key, bytes]) => [key, textOf(bytes) ?? '']));

function* rendered(
  from: TemplateFrom,
  at: string,
  data: Data,
  sources: Sources,
  env: Env,
): Iterable<readonly [string, Uint8Array]> {
  for (const [kind, source] of [
    ['ConfigMap', from.configMap],
    ['Secret', from.secret],
  ] as const) {
    if (source === undefined) continue;
    const known = kind.toLowerCase();
    const object = sources.get(sourceId(kind, source.name));
    if (object === undefined) throw failure('operator.source_missing', { kind: known, name: source.name });
    const held = (object['data'] ?? {}) as Readonly<Record<string, string>>;
    for (const { key, templateAs } of source.items) {
      const raw = own(held, key);
      if (raw === undefined) {
        throw failure('operator.source_key', {
          kind: known,
          name: source.name,
          key,
          near: nearest(key, Object.keys(held)),
        });
      }
      const text = kind === 'Secret' ? Buffer.from(raw, 'base64').toString() : raw;
      const name = `${at} ${known} ${source.name}[${key}]`;
      const value = env.render(text, name, data);
      if (templateAs === 'KeysAndValues') yield* pairs(value, name);
      else yield [key, value];
    }
  }
  if (from.literal !== undefined) {
    const name = `${at}.literal`;
    yield* pairs(env.render(from.literal, name, data), name);
  }
}

/** A map of texts is not deep; a Secret of one MiB has fewer tokens. */
const PAIRS = { depth: 8, tokens: 250_000, aliases: 0 };

/**
 * Rendered text as a YAML map of texts: a number or a boolean stays the text that it was written as, as Go's decoder has
 * it for a map of strings. The parser's own error would quote the values.
 */
function pairs(value: Uint8Array, where: string): readonly (readonly [string, Uint8Array])[] {
  let map: unknown;
  try {
    map = parseYaml(textOf(value) ?? '', PAIRS, { schema: 'failsafe' }) ?? new Map();
  } catch {
    throw failure('operator.source_malformed', { where });
  }
  if (!(map instanceof Map)) throw failure('operator.source_malformed', { where });
  return [...map].map(([key, text]) => {
    if (typeof text === 'object' && text !== null) throw failure('operator.source_malformed', { where });
    if (typeof key !== 'string') throw failure('operator.source_malformed', { where });
    return [key, utf8(typeof text === 'string' ? text : '')] as const;
  });
}
