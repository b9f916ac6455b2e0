/**
 * `holdfast check`: manifests, policies and roles judged together, without a server and without a cluster, by the code that
 * the operator and the server themselves judge by. Pure: files come in as text, findings go out.
 */

import { type Finding, inOrder } from './finding.ts';
import type { Unrendered } from './kustomize.ts';
import { excess, granted, listing, logins, policies } from './rules/access.ts';
import { fields, kindsAndVersions, webhook } from './rules/kinds.ts';
import { duplicates, labels, names } from './rules/objects.ts';
import { keys, mounts } from './rules/reads.ts';
import { secrets, targets } from './rules/secrets.ts';
import { generators, providers, references, stores } from './rules/stores.ts';
import { templates } from './rules/templates.ts';
import { classes, workloads } from './rules/workloads.ts';
import { type Given, type Rule, titleOf, type World, worldOf } from './world.ts';

/** What is looked at, from the object alone to all of them together. */
export const RULES: readonly Rule[] = [
  names,
  labels,
  duplicates,
  kindsAndVersions,
  fields,
  webhook,
  providers,
  references,
  stores,
  generators,
  mounts,
  logins,
  policies,
  listing,
  excess,
  granted,
  keys,
  templates,
  secrets,
  targets,
  classes,
  workloads,
];

export interface Checked {
  readonly findings: readonly Finding[];
  /** Objects that were looked at, by file and title; policies count, too. */
  readonly objects: readonly { readonly file: string; readonly line: number; readonly title: string }[];
  readonly files: number;
  /** Kustomizations that nobody rendered: their objects were judged as they are written. */
  readonly unrendered: readonly Unrendered[];
}

/** Everything that is wrong with the files, in the order of files and lines. */
export function check(given: Given): Checked {
  const world = worldOf(given);
  const found = RULES.flatMap((rule) => [...rule(world)]);
  const objects = world.items.map(({ source, kind, namespace, name }) => ({
    file: source.file,
    line: source.line,
    title: `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`,
  }));
  const policies = world.policies.map(({ policy, file }) => ({
    file,
    line: 1,
    title: `policy ${policy.name}`,
  }));
  return {
    findings: inOrder([...world.misread, ...found.map((finding) => asSure(world, finding))]),
    objects: [...objects, ...policies],
    files: given.files.length,
    unrendered: world.kustomized.unrendered,
  };
}

const OF_PLACES = /^(operator\.store_denied|check\.store_elsewhere)$/;

/** An error where a kustomization may yet mend it is a warning: wrong where the files are all that there is. */
function asSure({ kustomized: { changed, adrift }, items }: World, finding: Finding): Finding {
  if (finding.class !== 'error') return finding;
  const { file, object, failure } = finding;
  const isAdrift = (): boolean =>
    items.some(
      (item) =>
        item.source.file === file && titleOf(item) === object && item.metadata['namespace'] === undefined,
    );
  const open = changed.has(file) || (adrift.has(file) && OF_PLACES.test(failure.code) && isAdrift());
  return open ? { ...finding, class: 'warning' } : finding;
}
