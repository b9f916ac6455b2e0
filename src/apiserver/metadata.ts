/** Metadata: which fields it has, and what its names, labels and references must look like. */

import {
  asFields,
  asList,
  asText,
  at,
  clone,
  type Fields,
  isFields,
  meta,
  nameOf,
  type Obj,
  type Value,
} from './objects.ts';
import { type Cause, required, wrong } from './status.ts';

const TYPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    name: 'text',
    generateName: 'text',
    namespace: 'text',
    selfLink: 'text',
    uid: 'text',
    resourceVersion: 'text',
    generation: 'number',
    creationTimestamp: 'text',
    deletionTimestamp: 'text',
    deletionGracePeriodSeconds: 'number',
    labels: 'map',
    annotations: 'map',
    ownerReferences: 'list',
    finalizers: 'list',
    managedFields: 'list',
  }),
);

/** The known fields of an object's metadata, copied; nulls are absent, a wrong type stays for `checkMetadata`. */
export function cleanMetadata(object: Obj): Fields {
  const clean: Fields = Object.create(null) as Fields;
  for (const [key, value] of Object.entries(meta(object))) {
    if (value !== null && TYPES.has(key)) clean[key] = clone(value);
  }
  return clean;
}

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const ANNOTATIONS_LIMIT = 256 * 1024;

const typed = (value: Value, type: string): boolean =>
  type === 'text'
    ? typeof value === 'string'
    : type === 'number'
      ? typeof value === 'number'
      : type === 'map'
        ? isFields(value)
        : Array.isArray(value);

/** What is wrong with an object's metadata. */
export function checkMetadata(object: Obj, group: string): Cause[] {
  const causes: Cause[] = [];
  const metadata = meta(object);
  for (const [key, value] of Object.entries(metadata)) {
    if (!typed(value, TYPES.get(key) ?? 'text'))
      causes.push(wrong(`metadata.${key}`, `must be a ${TYPES.get(key) ?? 'text'}`));
  }
  causes.push(...checkName(nameOf(object), asText(object['kind']) ?? '', group));
  for (const [key, value] of Object.entries(asFields(metadata['labels']))) {
    if (!QUALIFIED.test(key))
      causes.push(
        wrong(
          'metadata.labels',
          "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        ),
      );
    if (typeof value !== 'string' || !LABEL_VALUE.test(value)) {
      causes.push(
        wrong(
          'metadata.labels',
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        ),
      );
    }
  }
  let size = 0;
  for (const [key, value] of Object.entries(asFields(metadata['annotations']))) {
    if (!QUALIFIED.test(key.toLowerCase()))
      causes.push(
        wrong('metadata.annotations', "name part must consist of alphanumeric characters, '-', '_' or '.'"),
      );
    if (typeof value !== 'string') causes.push(wrong('metadata.annotations', 'must be a string'));
    else size += key.length + value.length;
  }
  if (size > ANNOTATIONS_LIMIT) {
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${ANNOTATIONS_LIMIT} bytes`,
      field: 'metadata.annotations',
    });
  }
  for (const [i, owner] of asList(metadata['ownerReferences']).entries()) {
    for (const name of ['apiVersion', 'kind', 'name', 'uid']) {
      if ((asText(at(owner, name)) ?? '') === '')
        causes.push(required(`metadata.ownerReferences[${i}].${name}`));
    }
  }
  if (asList(metadata['ownerReferences']).filter((owner) => at(owner, 'controller') === true).length > 1) {
    causes.push(wrong('metadata.ownerReferences', 'Only one reference can have Controller set to true'));
  }
  for (const finalizer of asList(metadata['finalizers'])) {
    if (typeof finalizer !== 'string' || !QUALIFIED.test(finalizer))
      causes.push(wrong('metadata.finalizers', 'name part must consist of alphanumeric characters'));
  }
  return causes;
}

function checkName(name: string, kind: string, group: string): Cause[] {
  // Names of RBAC objects may be any path segment: "system:auth-delegator".
  if (group === 'rbac.authorization.k8s.io') {
    return name === '' || name === '.' || name === '..' || /[/%]/.test(name)
      ? [wrong('metadata.name', "may not be '.', '..' or contain '/' or '%'")]
      : [];
  }
  const isLabel = kind === 'Namespace' || kind === 'Service';
  const limit = isLabel ? 63 : 253;
  if (name.length > limit) return [wrong('metadata.name', `must be no more than ${limit} characters`)];
  if (isLabel ? LABEL.test(name) : SUBDOMAIN.test(name)) return [];
  const rule = isLabel
    ? "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
    : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [wrong('metadata.name', rule)];
}
