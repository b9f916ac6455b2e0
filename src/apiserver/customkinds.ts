/** CustomResourceDefinitions: what is wrong with one, the kind it defines, and the conditions it is answered with. */

import { ageColumn, type Column, humanSpan, nameColumn } from './columns.ts';
import { follow, parseJsonPath } from './jsonpath.ts';
import type { Kind, KindVersion, ScalePaths } from './kinds.ts';
import {
  asFields,
  asList,
  asText,
  at,
  clone,
  type Fields,
  fields,
  isFields,
  nameOf,
  type Obj,
  texts,
  timestamp,
  type Value,
} from './objects.ts';
import type { Rule } from './rules.ts';
import { readSchema } from './schema.ts';
import { type Cause, required, wrong } from './status.ts';

/** The finalizer that holds a definition until its objects are gone. */
export const CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

/** What a definition says of a kind, and what of it this server does not do. */
export interface Definition {
  readonly kind: Kind;
  readonly unsupported: readonly string[];
}

export const definitionRules: Rule[] = [
  {
    set(object) {
      const spec = asFields(object['spec']);
      const names = asFields(spec['names']);
      const kind = asText(names['kind']) ?? '';
      names['singular'] ??= kind.toLowerCase();
      names['listKind'] ??= `${kind}List`;
      spec['conversion'] ??= fields({ strategy: 'None' });
    },
    check: (object) => checkDefinition(object),
  },
];

function checkDefinition(object: Obj): Cause[] {
  const causes: Cause[] = [];
  const spec = asFields(object['spec']);
  const names = asFields(spec['names']);
  const group = asText(spec['group']);
  const plural = asText(names['plural']);
  if (group === undefined) causes.push(required('spec.group'));
  if (plural === undefined) causes.push(required('spec.names.plural'));
  if (asText(names['kind']) === undefined) causes.push(required('spec.names.kind'));
  if (group !== undefined && plural !== undefined && nameOf(object) !== `${plural}.${group}`) {
    causes.push(wrong('metadata.name', `must be spec.names.plural+"."+spec.group`));
  }
  if (!['Namespaced', 'Cluster'].includes(asText(spec['scope']) ?? '')) {
    causes.push({
      reason: 'FieldValueNotSupported',
      message: 'Unsupported value: supported values: "Cluster", "Namespaced"',
      field: 'spec.scope',
    });
  }
  const versions = asList(spec['versions']);
  if (versions.length === 0) causes.push(required('spec.versions'));
  if (versions.length > 0 && versions.filter((v) => at(v, 'storage') === true).length !== 1) {
    causes.push(wrong('spec.versions', 'must have exactly one version marked as storage version'));
  }
  for (const [i, version] of versions.entries()) {
    if (!isFields(at(version, 'schema', 'openAPIV3Schema'))) {
      causes.push(required(`spec.versions[${i}].schema.openAPIV3Schema`, 'schemas are required'));
    }
    if (asText(at(version, 'name')) === undefined) causes.push(required(`spec.versions[${i}].name`));
  }
  const strategy = asText(at(spec, 'conversion', 'strategy'));
  if (strategy !== 'None') {
    causes.push(
      wrong('spec.conversion.strategy', 'this server converts between versions only with the strategy None'),
    );
  }
  return causes;
}

/** Reads a stored definition, which `checkDefinition` has passed. */
export function readDefinition(object: Obj): Definition {
  const spec = asFields(object['spec']);
  const names = asFields(spec['names']);
  const kind = asText(names['kind']) ?? '';
  const unsupported: string[] = [];
  const versions = asList(spec['versions']).map((version) => readVersion(asFields(version), unsupported));
  const stored = asList(spec['versions']).find((version) => at(version, 'storage') === true);
  return {
    unsupported,
    kind: {
      group: asText(spec['group']) ?? '',
      plural: asText(names['plural']) ?? '',
      singular: asText(names['singular']) ?? kind.toLowerCase(),
      kind,
      listKind: asText(names['listKind']) ?? `${kind}List`,
      namespaced: asText(spec['scope']) === 'Namespaced',
      shortNames: texts(names['shortNames']),
      categories: texts(names['categories']),
      versions: [...versions].sort((a, b) => compareVersions(a.name, b.name)),
      stored: asText(at(stored, 'name')) ?? '',
      builtIn: false,
      generation: 'any',
      rules: [],
    },
  };
}

function readVersion(version: Fields, unsupported: string[]): KindVersion {
  const name = asText(version['name']) ?? '';
  const schema = readSchema(asFields(at(version, 'schema', 'openAPIV3Schema')), (path, rule) => {
    unsupported.push(`${name} at ${path}: ${rule}`);
  });
  const scale = readScale(at(version, 'subresources', 'scale'));
  return {
    name,
    served: version['served'] === true,
    schema,
    columns: readColumns(asList(version['additionalPrinterColumns'])),
    status: isFields(at(version, 'subresources', 'status')),
    selectable: asList(version['selectableFields']).map((field) =>
      (asText(at(field, 'jsonPath')) ?? '').replace(/^\./, ''),
    ),
    ...(scale === undefined ? {} : { scale }),
    ...(version['deprecated'] === true
      ? { deprecation: asText(version['deprecationWarning']) ?? `the version ${name} is deprecated` }
      : {}),
  };
}

function readScale(source: Value | undefined): ScalePaths | undefined {
  if (!isFields(source)) return undefined;
  const path = (name: string): string[] | undefined => asText(source[name])?.replace(/^\./, '').split('.');
  const spec = path('specReplicasPath');
  const status = path('statusReplicasPath');
  return spec === undefined || status === undefined
    ? undefined
    : { spec, status, selector: path('labelSelectorPath') };
}

function readColumns(sources: readonly Value[]): Column[] {
  if (sources.length === 0) return [nameColumn, ageColumn];
  const columns = sources.map((source): Column => {
    const path = parseJsonPath(asText(at(source, 'jsonPath')) ?? '');
    const type = asText(at(source, 'type')) ?? 'string';
    const priority = at(source, 'priority');
    return {
      name: asText(at(source, 'name')) ?? '',
      type,
      format: asText(at(source, 'format')) ?? '',
      description: asText(at(source, 'description')) ?? '',
      priority: typeof priority === 'number' ? priority : 0,
      cell: (object, now) => cell(path === undefined ? undefined : follow(object, path)[0], type, now),
    };
  });
  return [nameColumn, ...columns];
}

function cell(value: Value | undefined, type: string, now: number): Value {
  if (value === undefined || value === null) return null;
  if (type === 'date') {
    const then = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    return Number.isNaN(then) ? '<invalid>' : humanSpan(now - then);
  }
  if (type === 'string') return typeof value === 'object' ? JSON.stringify(value) : String(value);
  if (type === 'integer' || type === 'number') return typeof value === 'number' ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  return null;
}

/** v2 before v1 before v1beta1 before v1alpha1 before anything else: the order of `version.CompareKubeAwareVersionStrings`. */
function compareVersions(a: string, b: string): number {
  const rank = (name: string): [number, number, number] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name);
    if (match === null) return [0, 0, 0];
    const stage = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1;
    return [stage, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [x, y] = [rank(a), rank(b)];
  for (const i of [0, 1, 2] as const) if (x[i] !== y[i]) return y[i] - x[i];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The status of a definition that was accepted, or was not because its names are taken. */
export function definitionStatus(
  object: Obj,
  definition: Definition,
  clash: string | undefined,
  now: number,
): Fields {
  const before = asFields(object['status']);
  const time = timestamp(now);
  const condition = (type: string, holds: boolean, reason: string, message: string): Fields => {
    const old = asList(before['conditions']).find((c) => at(c, 'type') === type);
    const status = holds ? 'True' : 'False';
    const since = at(old, 'status') === status ? (asText(at(old, 'lastTransitionTime')) ?? time) : time;
    return fields({ type, status, lastTransitionTime: since, reason, message });
  };
  const free = clash === undefined;
  return fields({
    conditions: [
      condition(
        'NamesAccepted',
        free,
        free ? 'NoConflicts' : 'ListKindConflict',
        clash ?? 'no conflicts found',
      ),
      condition(
        'Established',
        free,
        free ? 'InitialNamesAccepted' : 'NotAccepted',
        free ? 'the initial names have been accepted' : 'not all names are accepted',
      ),
      ...(definition.unsupported.length === 0
        ? []
        : [
            condition(
              'RulesNotEvaluated',
              true,
              'UnsupportedCEL',
              `this server stores these rules but does not evaluate them: ${definition.unsupported.slice(0, 10).join('; ')}`,
            ),
          ]),
    ],
    acceptedNames: free ? clone(asFields(at(object, 'spec', 'names'))) : fields({ kind: '', plural: '' }),
    storedVersions: [...new Set([...texts(before['storedVersions']), definition.kind.stored])],
  });
}
