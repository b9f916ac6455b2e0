/**
 * The hashes that the operator leaves on objects. They are external-secrets' own: SHA3-224 over what Go's `%+v` prints,
 * so that a Secret which that operator wrote is known to be unchanged here, and the other way round.
 */

import { createHash } from 'node:crypto';
import { compareBytes } from '../base/bytes.ts';
import type { KubeObject } from '../kube/kube.ts';

export const sha3 = (text: string): string => createHash('sha3-224').update(text).digest('hex');

const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] =>
  [...map].sort(([a], [b]) => compareBytes(a, b));

/** A Go `map[string]string` as `%+v` prints it. */
const goTexts = (map: Readonly<Record<string, string>> | undefined): string =>
  `map[${sorted(new Map(Object.entries(map ?? {})))
    .map(([key, value]) => `${key}:${value}`)
    .join(' ')}]`;

/** The hash of a Secret's data, which is a Go `map[string][]byte`. */
export const dataHash = (data: ReadonlyMap<string, Uint8Array>): string =>
  sha3(
    `map[${sorted(data)
      .map(([key, bytes]) => `${key}:[${bytes.join(' ')}]`)
      .join(' ')}]`,
  );

/** What `status.syncedResourceVersion` holds: it moves with the spec, the labels and the annotations. */
export const resourceVersion = ({ metadata }: KubeObject): string =>
  `${metadata.generation ?? 0}-${sha3(
    `{annotations:${goTexts(metadata.annotations)} labels:${goTexts(metadata.labels)}}`,
  )}`;

/** The value of the label that ties a Secret to the ExternalSecret that made it. */
export const createdBy = (namespace: string, name: string): string => sha3(`${namespace}/${name}`);
