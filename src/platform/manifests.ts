/** Kubernetes manifests from a folder, unedited, in the order in which Argo CD's sync waves apply them. */

import { failure } from '../base/errors.ts';
import { isBag } from '../base/shape.ts';
import type { KubeObject } from '../kube/kube.ts';
import { type Document, readText, readYaml, yamlFiles } from './files.ts';

export interface Manifest {
  readonly file: string;
  readonly line: number;
  readonly object: KubeObject;
}

/** Reads every manifest below `folder`. @throws Failure platform.* naming file and line; nothing is half-read */
export async function readManifests(folder: string): Promise<Manifest[]> {
  const files = await yamlFiles(folder);
  const perFile = await Promise.all(files.map(async (file) => readYaml(file, await readText(file))));
  return perFile.flat().flatMap(manifestsOf);
}

/** The manifests of one YAML document: none where it is empty, several where it is a List. */
export function manifestsOf(document: Document): Manifest[] {
  const { file, line, value } = document;
  if (value === null || value === undefined) return [];
  if (!isBag(value)) throw notAManifest(file, line, 'it is not a map');
  if (value['kind'] === 'List' && Array.isArray(value['items'])) {
    return value['items'].flatMap((item) => manifestsOf({ file, line, value: item }));
  }
  const metadata = value['metadata'];
  if (typeof value['apiVersion'] !== 'string') throw notAManifest(file, line, 'it has no apiVersion');
  if (typeof value['kind'] !== 'string') throw notAManifest(file, line, 'it has no kind');
  if (!isBag(metadata) || typeof metadata['name'] !== 'string')
    throw notAManifest(file, line, 'it has no metadata.name');
  return [{ file, line, object: value as unknown as KubeObject }];
}

const WAVE = 'argocd.argoproj.io/sync-wave';

/** What must stand before others of the same wave can be applied at all. */
const FIRST = [
  'Namespace',
  'CustomResourceDefinition',
  'ServiceAccount',
  'Secret',
  'ConfigMap',
  'ClusterSecretStore',
  'SecretStore',
];

/** Sorts manifests by sync wave, then kind, then name, and gives them wave by wave. @throws Failure platform.bad_file */
export function inWaves(manifests: readonly Manifest[]): { wave: number; manifests: Manifest[] }[] {
  const waves = new Map<number, Manifest[]>();
  for (const manifest of manifests) {
    const wave = waveOf(manifest);
    waves.set(wave, [...(waves.get(wave) ?? []), manifest]);
  }
  return [...waves]
    .sort(([a], [b]) => a - b)
    .map(([wave, members]) => ({ wave, manifests: members.sort((a, b) => rank(a) - rank(b)) }));
}

function waveOf({ file, line, object }: Manifest): number {
  const text = object.metadata.annotations?.[WAVE];
  if (text === undefined) return 0;
  const wave = Number(text);
  if (Number.isInteger(wave)) return wave;
  throw failure('platform.bad_file', {
    file,
    line,
    reason: `the annotation ${WAVE} is not a whole number`,
    mend: 'write a number in quotes, such as "-1"',
  });
}

function rank({ object }: Manifest): number {
  const at = FIRST.indexOf(object.kind);
  return at === -1 ? FIRST.length : at;
}

const notAManifest = (file: string, line: number, reason: string) =>
  failure('platform.bad_file', {
    file,
    line,
    reason: `this is no Kubernetes manifest: ${reason}`,
    mend: 'give it apiVersion, kind and metadata.name, or move the file out of the folder',
  });
