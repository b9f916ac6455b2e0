/** What the API answers, read: objects, lists, discovery and the events of a watch. Trusts no shape that it did not look at. */

import { failure } from '../base/errors.ts';
import { type Bag, isBag, listOf } from '../base/shape.ts';
import type { KubeObject, List, ListOptions, Meta, Resource, WatchEvent } from './kube.ts';
import { type Asked, statusFailure } from './status.ts';

/**
 * One line of a watch.
 * @throws Failure kube.garbage, and what an event of type ERROR stands for; kube.gone is an event of ours
 */
export function readEvent(line: string, asked: ListOptions, address: string, request: Asked): WatchEvent {
  const event = parseObject(line, address);
  const object = event['object'];
  if (!isBag(object)) throw failure('kube.garbage', { address, reason: 'an event has no object' });
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event['type'], object: shaped(object, asked, address) };
    case 'BOOKMARK': {
      const resourceVersion = metaOf(object, address).resourceVersion;
      if (resourceVersion === undefined)
        throw failure('kube.garbage', { address, reason: 'a bookmark has no version' });
      return { type: 'BOOKMARK', resourceVersion };
    }
    case 'ERROR': {
      const status = Number(object['code']) || 500;
      if (status === 410 || object['reason'] === 'Expired' || object['reason'] === 'Gone')
        return { type: 'GONE' };
      throw statusFailure({ status, headers: {}, body: Buffer.from(JSON.stringify(object)) }, request);
    }
    default:
      throw failure('kube.garbage', { address, reason: 'an event is of no known type' });
  }
}

/** A page of a list. @throws Failure kube.garbage */
export function readList(body: Buffer, asked: ListOptions, address: string): List {
  const list = asObject(body, address);
  const meta = list['metadata'];
  const items = list['items'] ?? [];
  if (!Array.isArray(items) || !isBag(meta))
    throw failure('kube.garbage', { address, reason: 'a list has no items' });
  const next = meta['continue'];
  return {
    items: items.map((item) => {
      if (!isBag(item)) throw failure('kube.garbage', { address, reason: 'an item of a list is no object' });
      return shaped(item, asked, address);
    }),
    resourceVersion: String(meta['resourceVersion'] ?? ''),
    ...(typeof next === 'string' && next !== '' ? { continue: next } : {}),
  };
}

/** The kinds in an APIResourceList, subresources left out. @throws Failure kube.garbage */
export function readDiscovery(groupVersion: string, body: Buffer, address: string): readonly Resource[] {
  const list = asObject(body, address);
  const [group, version] = groupVersion.includes('/') ? groupVersion.split('/') : ['', groupVersion];
  const resources = listOf(list['resources']);
  return resources.flatMap((entry) =>
    isBag(entry) &&
    typeof entry['name'] === 'string' &&
    !entry['name'].includes('/') &&
    typeof entry['kind'] === 'string'
      ? [
          {
            group: group ?? '',
            version: version ?? '',
            plural: entry['name'],
            kind: entry['kind'],
            namespaced: entry['namespaced'] === true,
          },
        ]
      : [],
  );
}

function parseObject(text: string, address: string): Bag {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw failure('kube.garbage', { address, reason: `${text.length} characters that are not JSON` });
  }
  if (!isBag(value)) throw failure('kube.garbage', { address, reason: 'the body is not a JSON object' });
  return value;
}

const asObject = (body: Buffer, address: string): Bag => parseObject(body.toString('utf8'), address);

function metaOf(object: Bag, address: string): Meta {
  const meta = object['metadata'];
  if (!isBag(meta)) throw failure('kube.garbage', { address, reason: 'an object has no metadata' });
  return meta as unknown as Meta;
}

const apiVersionOf = (resource: Resource): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;

/** One object. @throws Failure kube.garbage */
export const readObject = (body: Buffer, resource: Resource, address: string): KubeObject =>
  typed(asObject(body, address), resource);

/** Items of a list come without their kind; ours always have it. A TokenRequest keeps its own kind. */
function typed(object: Bag, resource: Resource): KubeObject {
  const { apiVersion, kind } = object;
  return {
    ...object,
    apiVersion: typeof apiVersion === 'string' ? apiVersion : apiVersionOf(resource),
    kind: typeof kind === 'string' ? kind : resource.kind,
    metadata: (isBag(object['metadata']) ? object['metadata'] : { name: '' }) as unknown as Meta,
  };
}

/** An item as it was asked for: a server that ignores `as=PartialObjectMetadata` must not fill our memory with secrets. */
function shaped(object: Bag, asked: ListOptions, address: string): KubeObject {
  const metadata = metaOf(object, address);
  if (typeof metadata.name !== 'string')
    throw failure('kube.garbage', { address, reason: 'an object has no name' });
  if (asked.metadataOnly === true)
    return { apiVersion: apiVersionOf(asked.resource), kind: asked.resource.kind, metadata };
  return typed(object, asked.resource);
}
