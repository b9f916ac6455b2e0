/** What is kept of what is watched. Ten thousand of each kind are held in memory for as long as the operator runs. */

import type { KubeObject, Meta } from '../kube/kube.ts';

/**
 * Without who wrote which field, which is as long as all the rest. Built member by member, because what is copied by `...` has
 * a hidden class of its own, each object of ten thousand.
 */
export function trimmed(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, ...rest } = object;
  const kept: Record<string, unknown> = {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: metaOf(metadata),
  };
  for (const name in rest) kept[name] = rest[name];
  return kept as unknown as KubeObject;
}

function metaOf(given: Meta): Meta {
  const meta: Record<string, unknown> = {
    name: given.name,
    namespace: given.namespace === undefined ? undefined : shared(given.namespace),
    uid: given.uid,
    resourceVersion: given.resourceVersion,
    creationTimestamp: given.creationTimestamp,
  };
  for (const name of SOME) if (given[name] !== undefined) meta[name] = given[name];
  if (given.finalizers !== undefined) meta['finalizers'] = given.finalizers.map(shared);
  return meta as unknown as Meta;
}

const SOME = [
  'generation',
  'deletionTimestamp',
  'labels',
  'annotations',
  'ownerReferences',
  'generateName',
] as const;

/** One text for all who have the same: a namespace, a kind, a finalizer. */
const texts = new Map<string, string>();
const MOST = 10_000;

function shared(text: string): string {
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size < MOST) texts.set(text, text);
  return text;
}
