/** Where the keys of an ExternalSecret lead: the paths of the API, what lies there, and which of them issue something. */

import { bagOf } from '../../base/shape.ts';
import type { ExternalSecretSpec } from '../../operator/api/externalsecret.ts';
import { storeOf } from '../../operator/controllers/externalsecret/observed.ts';
import { ANNOTATION_PARAMETERS } from '../../operator/dynamic/answers.ts';
import { convertKeys } from '../../provider/convert.ts';
import { parametersOf } from '../../provider/issuer.ts';
import { meant } from './rules/stores.ts';
import { isTemplate, type Path, type Store, type View, type World } from './world.ts';

type RemoteRef = ExternalSecretSpec['data'][number]['remoteRef'];

/** One thing that an ExternalSecret reads through a Vault store. */
export interface Lookup {
  readonly view: View;
  readonly store: Store;
  readonly ref: RemoteRef;
  /** Where the key stands in the object. */
  readonly at: Path;
  /** Where it is read: "secret/data/app". */
  readonly path: string;
  /** The same as people type it: "secret/app". */
  readonly typed: string;
  /** The engine that issues it, where the key is that of one and no secret's. */
  readonly engine:
    | { readonly path: string; readonly certificate: boolean; readonly parameters: boolean }
    | undefined;
}

/** What the keys of an ExternalSecret lead to, where their store reads from a Vault server. */
export function lookupsOf(world: World, view: View): readonly Lookup[] {
  const entries: (readonly [
    list: 'data' | 'dataFrom',
    index: number,
    ref: RemoteRef,
    store: Store | undefined,
  ])[] = [
    ...view.spec.data.map(
      (entry, index) =>
        ['data', index, entry.remoteRef, meant(world, storeOf(view.spec, entry), view.namespace)] as const,
    ),
    ...view.spec.dataFrom.flatMap((entry, index) =>
      entry.extract === undefined
        ? []
        : [
            [
              'dataFrom',
              index,
              entry.extract,
              meant(world, storeOf(view.spec, entry), view.namespace),
            ] as const,
          ],
    ),
  ];
  return entries.flatMap(([list, index, ref, store]) => {
    if (store?.vault === undefined || isTemplate(ref.key)) return [];
    const at = [...view.path, list, index, list === 'data' ? 'remoteRef' : 'extract', 'key'];
    return [lookupOf(world, view, store, ref, at)];
  });
}

function lookupOf(world: World, view: View, store: Store, ref: RemoteRef, at: Path): Lookup {
  const vault = store.vault?.vault ?? { version: 'v2' };
  const path = world.locate.read(ref.key, vault);
  const typed = vault.version === 'v2' ? withoutData(path, vault.path) : path;
  return { view, store, ref, at, path, typed, engine: engineOf(world, view, vault, ref.key, typed) };
}

/** "secret/data/app" as "secret/app". */
function withoutData(path: string, mount: string | undefined): string {
  const trimmed = mount?.replace(/^\/+|\/+$/g, '') ?? '';
  const head = trimmed === '' ? path.slice(0, path.indexOf('/data/')) : trimmed;
  return path.startsWith(`${head}/data/`) ? `${head}/${path.slice(head.length + '/data/'.length)}` : path;
}

/** Paths of engines that issue, under the names that they usually have: "database/creds/app", "pki/issue/web". */
const ISSUING =
  /^(database|db|ldap|openldap|ad|aws|azure|gcp|alicloud|rabbitmq|consul|nomad|kubernetes|mongodbatlas|terraform|vsphere)\/(creds|static-creds|sts|token|roleset)\/[^/]|^pki[\w-]*\/(issue|sign|sign-verbatim)\/[^/]/;
const CERTIFICATE = /^[^/]+\/(issue|sign|sign-verbatim)\//;

/** A stored secret of that name goes before an engine, as in the operator. */
function engineOf(
  { server, paths }: World,
  { item }: View,
  vault: { readonly path?: string; readonly version: 'v1' | 'v2' },
  key: string,
  typed: string,
): Lookup['engine'] {
  const { path, parameters } = parametersOf(key.replace(/^\/+/, ''));
  const own = vault.path?.replace(/^\/+|\/+$/g, '');
  if (vault.version === 'v1' || paths?.has(typed) === true) return undefined;
  if (own !== undefined && path.startsWith(`${own}/`)) return undefined;
  const mounts = [...(server?.mounts ?? [])].filter(([mount]) => path.startsWith(`${mount}/`));
  const [, type] = mounts.sort(([a], [b]) => b.length - a.length)[0] ?? [];
  const issues = type === undefined ? ISSUING.test(path) : !/^(kv|generic|cubbyhole)/.test(type);
  if (!issues) return undefined;
  const annotated = bagOf(item.metadata['annotations'])[ANNOTATION_PARAMETERS];
  const lines = typeof annotated === 'string' ? annotated.split(/\s+/) : [];
  return {
    path,
    certificate: CERTIFICATE.test(path),
    parameters: parameters.size > 0 || lines.some((line) => line.startsWith(`${path}?`)),
  };
}

/** Names, and whether there may be more of them. */
export interface Keys {
  readonly names: ReadonlySet<string>;
  readonly open: boolean;
}

/** The keys that an ExternalSecret reads, before its template. */
export function providedBy(world: World, view: View): Keys {
  const names = new Set(view.spec.data.map(({ secretKey }) => secretKey));
  let open = false;
  const lookups = lookupsOf(world, view);
  for (const [index, entry] of view.spec.dataFrom.entries()) {
    const lookup = lookups.find(({ at }) => at.at(-3) === index && at.at(-4) === 'dataFrom');
    const known = lookup === undefined ? undefined : keysAt(world, lookup);
    if (known === undefined || entry.rewrite.length > 0 || lookup?.ref.property !== '') {
      open = true;
      continue;
    }
    for (const name of converted(known, entry.extract?.conversionStrategy)) names.add(name);
  }
  return { names, open };
}

/** What is known to lie where a key leads; undefined where it is not known. */
export function keysAt({ paths }: World, { typed, engine, ref }: Lookup): ReadonlySet<string> | undefined {
  if (engine !== undefined || ref.metadataPolicy === 'Fetch' || ref.version !== '') return undefined;
  return paths?.get(typed);
}

function converted(
  names: ReadonlySet<string>,
  strategy: '' | 'Default' | 'Unicode' | undefined,
): Iterable<string> {
  try {
    return convertKeys(new Map([...names].map((name) => [name, new Uint8Array()])), strategy).keys();
  } catch {
    return names;
  }
}

/** The keys of the Secret that an ExternalSecret makes. */
export function madeBy(world: World, view: View): Keys {
  const { target } = view.spec;
  const creation = target?.creationPolicy || 'Owner';
  const kept = creation === 'Merge' || creation === 'CreateOrMerge';
  const template = target?.template;
  const templated = template?.data !== undefined || template?.templateFrom !== undefined;
  const provided = providedBy(world, view);
  if (!templated) return { ...provided, open: provided.open || kept };
  const names = new Set(Object.keys(template.data ?? {}));
  let open = kept;
  for (const from of template.templateFrom ?? []) {
    if (!/^(data)?$/i.test(from.target)) continue;
    if (from.literal !== undefined) open = true;
    for (const { key, templateAs } of [...(from.configMap?.items ?? []), ...(from.secret?.items ?? [])]) {
      if (templateAs === 'KeysAndValues') open = true;
      else names.add(key);
    }
  }
  if (template.mergePolicy !== 'Merge') return { names, open };
  return { names: new Set([...names, ...provided.names]), open: open || provided.open };
}
