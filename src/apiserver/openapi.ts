/** OpenAPI v3, as much as `kubectl apply` and `kubectl explain` read: paths with their kinds, and the schemas of custom kinds. */

import { sha256 } from '../base/bytes.ts';
import { apiVersionOf, type Kind } from './kinds.ts';
import { DEFINITIONS, type KindSet } from './kindset.ts';
import { asFields, asList, asText, at, clone, type Fields, fields, type Obj, type Value } from './objects.ts';
import type { ObjectStore } from './store.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

const folder = (group: string, version: string): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`;

/** The index: one document for each group and version. */
export function openApiIndex(kinds: KindSet, store: ObjectStore): Obj {
  const paths = fields({});
  for (const group of ['', ...kinds.groups()]) {
    for (const version of kinds.versionsOf(group)) {
      const where = folder(group, version);
      const hash = sha256(JSON.stringify(openApiDocument(kinds, store, group, version))).toString('hex');
      paths[where] = fields({ serverRelativeURL: `/openapi/v3/${where}?hash=${hash.toUpperCase()}` });
    }
  }
  return fields({ paths });
}

export function openApiDocument(
  kinds: KindSet,
  store: ObjectStore,
  group: string,
  version: string,
): Obj | undefined {
  if (!kinds.versionsOf(group).includes(version)) return undefined;
  const paths = fields({});
  const schemas = fields({ [META]: metadataSchema() });
  for (const kind of kinds.all) {
    if (kind.group !== group || !kind.versions.some((one) => one.name === version && one.served)) continue;
    const name = `${[...kind.group.split('.').reverse(), version, kind.kind].filter((part) => part !== '').join('.')}`;
    schemas[name] = schemaOf(kind, version, store);
    const base = `/${folder(group, version)}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}`;
    paths[base] = operations(kind, version, name, ['get', 'post']);
    paths[`${base}/{name}`] = operations(kind, version, name, ['get', 'put', 'patch', 'delete']);
  }
  return fields({
    openapi: '3.0.0',
    info: fields({ title: 'Kubernetes', version: 'v1.32.4' }),
    paths,
    components: fields({ schemas }),
  });
}

function operations(kind: Kind, version: string, schema: string, methods: readonly string[]): Fields {
  const query = (name: string): Value =>
    fields({ name, in: 'query', schema: fields({ type: 'string', uniqueItems: true }) });
  const result = fields({});
  for (const method of methods) {
    const writes = method === 'post' || method === 'put' || method === 'patch';
    result[method] = fields({
      operationId: `${method}${kind.kind}`,
      parameters: writes
        ? [
            query('dryRun'),
            query('fieldManager'),
            query('fieldValidation'),
            ...(method === 'patch' ? [query('force')] : []),
          ]
        : [],
      responses: fields({
        '200': fields({
          description: 'OK',
          content: fields({
            'application/json': fields({ schema: fields({ $ref: `#/components/schemas/${schema}` }) }),
          }),
        }),
      }),
      'x-kubernetes-action': method,
      'x-kubernetes-group-version-kind': fields({ group: kind.group, version, kind: kind.kind }),
    });
  }
  return result;
}

function schemaOf(kind: Kind, version: string, store: ObjectStore): Fields {
  const definition = kind.builtIn
    ? undefined
    : store.get({ resource: DEFINITIONS, namespace: '', name: `${kind.plural}.${kind.group}` });
  const found = asList(at(definition, 'spec', 'versions')).find((one) => at(one, 'name') === version);
  const schema = clone(asFields(at(found, 'schema', 'openAPIV3Schema')));
  const properties = clone(asFields(schema['properties']));
  properties['apiVersion'] = fields({
    type: 'string',
    description: `The version of this representation of the object: ${apiVersionOf(kind.group, version)}.`,
  });
  properties['kind'] = fields({ type: 'string', description: `The kind of the object: ${kind.kind}.` });
  properties['metadata'] = fields({
    allOf: [fields({ $ref: `#/components/schemas/${META}` })],
    default: fields({}),
    description: 'Name, namespace, labels and the like.',
  });
  for (const member of kind.members ?? [])
    properties[member] ??= fields({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
  return fields({
    ...schema,
    type: 'object',
    description: asText(schema['description']) ?? `${kind.kind}, as Kubernetes defines it.`,
    properties,
    'x-kubernetes-group-version-kind': [fields({ group: kind.group, version, kind: kind.kind })],
  });
}

function metadataSchema(): Fields {
  const text = fields({ type: 'string' });
  const map = fields({ type: 'object', additionalProperties: text });
  return fields({
    type: 'object',
    description: 'What every object has beside its own fields.',
    properties: fields({
      name: text,
      generateName: text,
      namespace: text,
      uid: text,
      resourceVersion: text,
      generation: fields({ type: 'integer', format: 'int64' }),
      creationTimestamp: fields({ type: 'string', format: 'date-time' }),
      deletionTimestamp: fields({ type: 'string', format: 'date-time' }),
      labels: map,
      annotations: map,
      finalizers: fields({ type: 'array', items: text }),
      ownerReferences: fields({ type: 'array', items: fields({ type: 'object' }) }),
      managedFields: fields({ type: 'array', items: fields({ type: 'object' }) }),
    }),
  });
}
