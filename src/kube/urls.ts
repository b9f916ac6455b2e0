/** Where objects are on the wire: URL paths of collections and items, each segment checked and encoded. Pure. */

import { failure } from '../base/errors.ts';
import type { Name, Resource } from './kube.ts';

/** For messages: "GET secrets team/app". */
export const describe = (verb: string, name: Name): string =>
  `${verb} ${name.resource.plural} ${name.namespace === undefined ? '' : `${name.namespace}/`}${name.name}`;

/** One segment of a path. @throws Failure kube.invalid where it would be more or less than one */
export function segment(text: string): string {
  if (text === '' || text === '.' || text === '..' || text.includes('/'))
    throw failure('kube.invalid', { request: 'request', reason: 'a name is empty or holds a slash' });
  return encodeURIComponent(text);
}

/** @throws Failure kube.invalid */
export function collectionPath(resource: Resource, namespace: string | undefined): string {
  const root = resource.group === '' ? '/api' : `/apis/${segment(resource.group)}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : '';
  return `${root}/${segment(resource.version)}${scope}/${segment(resource.plural)}`;
}

/** @throws Failure kube.invalid */
export function itemPath(name: Name): string {
  if (name.resource.namespaced && name.namespace === undefined)
    throw failure('kube.invalid', { request: describe('request', name), reason: 'no namespace is named' });
  return `${collectionPath(name.resource, name.namespace)}/${segment(name.name)}`;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** With its question mark, or empty; what is absent or empty is left out. */
export function encodeQuery(query: Query | undefined): string {
  const parts = Object.entries(query ?? {}).flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [`${key}=${encodeURIComponent(String(value))}`],
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
