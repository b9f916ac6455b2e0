/** The files that a check reads, from folders and single files. What is hidden, and what package managers put there, is none of them. */

import { readdir, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { failure } from '../../base/errors.ts';
import { bagOf, listOf } from '../../base/shape.ts';
import { readText, readYaml } from '../files.ts';
import { isKustomization } from './kustomize.ts';

export interface NamedText {
  /** As it is shown: relative to where the command was given, where it lies below. */
  readonly name: string;
  readonly text: string;
  /** Whether it is a template of a Helm chart. */
  readonly chart?: boolean;
}

/** A manifest is never this long: an API server takes 3 MiB. */
const LONGEST = 8 * 1024 * 1024;
const READ = /\.(ya?ml|hcl)$/;

/** @throws Failure platform.unreadable where a name leads to nothing */
export async function filesBelow(places: readonly string[], from: string): Promise<readonly NamedText[]> {
  const found = new Set<string>();
  for (const place of places) {
    const what = await stat(place).catch(() => undefined);
    if (what === undefined)
      throw failure('platform.unreadable', {
        file: place,
        reason: 'there is no such file or folder',
        mend: 'name the folder of the manifests',
      });
    if (what.isDirectory()) for (const file of await below(place)) found.add(file);
    else found.add(place);
  }
  const files = await Promise.all(
    [...found].map(async (file) => ({
      name: shown(file, from),
      text: await readText(file),
      chart: await isOfChart(resolve(from, file)),
    })),
  );
  const patches = new Set(files.flatMap(({ name, text }) => patchesOf(name, text)));
  return files.filter(({ name }) => !patches.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function below(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const each = entries
    .filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
    .map(async (entry): Promise<string[]> => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return below(path);
      if (!entry.isFile() || !READ.test(entry.name)) return [];
      return (await stat(path)).size > LONGEST ? [] : [path];
    });
  return (await Promise.all(each)).flat();
}

/** Whether a file lies below the `templates` of a chart. @param file an absolute path */
async function isOfChart(file: string): Promise<boolean> {
  const parts = file.split(/[/\\]/);
  for (let at = parts.length - 2; at > 0; at--) {
    if (parts[at] !== 'templates') continue;
    const chart = [...parts.slice(0, at), 'Chart.yaml'].join('/');
    if ((await stat(chart).catch(() => undefined))?.isFile() === true) return true;
  }
  return false;
}

const shown = (file: string, from: string): string => {
  const short = relative(from, file);
  return short === '' || short.startsWith('..') ? file : short;
};

/** Patches of a kustomization are pieces of objects that stand elsewhere. */
function patchesOf(name: string, text: string): string[] {
  if (!isKustomization(name)) return [];
  const folder = name.replace(/[^/\\]*$/, '');
  try {
    return readYaml(name, text).flatMap(({ value }) => {
      const all = bagOf(value);
      const named = [
        ...listOf(all['patchesStrategicMerge']),
        ...listOf(all['patches']).map((patch) => bagOf(patch)['path']),
      ];
      return named.flatMap((path) => (typeof path === 'string' ? [join(folder, path)] : []));
    });
  } catch {
    return [];
  }
}
