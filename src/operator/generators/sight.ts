/**
 * From a reference to the generator's manifest. A ClusterGenerator is taken for a generator of the namespace that names it:
 * whatever it refers to is looked for there, so it lends nobody what is not theirs.
 */

import { type Failure, failure } from '../../base/errors.ts';
import { nearest } from '../../base/nearest.ts';
import type { Kube, KubeObject } from '../../kube/kube.ts';
import {
  CLUSTER_GENERATORS,
  clusterGeneratorSpec,
  GENERATOR_KINDS,
  GENERATORS_GROUP,
} from '../api/generators/kinds.ts';
import { issueOf } from '../connections.ts';
import type { GeneratorRef } from '../plan.ts';

/** What may be seen of a generator from a namespace. */
export type GeneratorSight =
  /** Its manifest, or what a ClusterGenerator stands for in the namespace. */
  | { readonly usable: KubeObject }
  /** Another operator's. */
  | { readonly foreign: true; readonly kind: string; readonly name: string }
  | { readonly refused: Failure };

export const generatorId = ({ kind, name }: GeneratorRef): string => `${kind}/${name}`;

/** @throws Failure kube.* where the cluster does not answer */
export async function generatorSight(
  kube: Kube,
  namespace: string,
  ref: GeneratorRef,
  controllerClass: string,
  signal?: AbortSignal,
): Promise<GeneratorSight> {
  const [group = '', version] = ref.apiVersion.split('/');
  if (group !== GENERATORS_GROUP) return { refused: failure('operator.generator_group', { group }) };
  const isCluster = ref.kind === CLUSTER_GENERATORS.kind;
  const known = [CLUSTER_GENERATORS, ...GENERATOR_KINDS.map(({ resource }) => resource)];
  const resource = known.find(({ kind, version: served }) => kind === ref.kind && served === version);
  if (resource === undefined) return { refused: unknown(ref.kind) };
  const object = await kube.get({ resource, name: ref.name, ...(isCluster ? {} : { namespace }) }, signal);
  if (object === undefined) {
    const where = isCluster ? '' : ` in namespace "${namespace}"`;
    return { refused: failure('operator.generator_missing', { kind: ref.kind, name: ref.name, where }) };
  }
  const sight = isCluster ? virtual(object) : { usable: object };
  if (!('usable' in sight)) return sight;
  const { controller } = (sight.usable['spec'] ?? {}) as { readonly controller?: unknown };
  const ours = controller === undefined || controller === '' || controller === controllerClass;
  return ours ? sight : { foreign: true, kind: ref.kind, name: ref.name };
}

function unknown(kind: string): Failure {
  const kinds = GENERATOR_KINDS.map(({ resource }) => resource.kind);
  return failure('operator.generator_unknown', {
    kind,
    near: nearest(kind, kinds),
    known: kinds.join(', '),
  });
}

function virtual(object: KubeObject): GeneratorSight {
  const { name } = object.metadata;
  const parsed = clusterGeneratorSpec.safeParse(object['spec']);
  const wrong = (reason: string): GeneratorSight => ({
    refused: failure('operator.generator_invalid', { generator: `ClusterGenerator ${name}`, reason }),
  });
  if (!parsed.success) return wrong(issueOf(parsed.error, 'spec'));
  const { kind } = parsed.data;
  const row = GENERATOR_KINDS.find(({ resource }) => resource.kind === kind);
  if (row === undefined) return { refused: unknown(kind) };
  // As it was written: defaults are the generator's to apply, as to a manifest of its own.
  const given = (object['spec'] as { readonly generator: Readonly<Record<string, unknown>> }).generator;
  const spec = given[row.member];
  if (spec === undefined) return wrong(`when kind is ${kind}, ${row.member} must be set`);
  const { group, version } = row.resource;
  return { usable: { apiVersion: `${group}/${version}`, kind, metadata: { name }, spec } };
}
