/**
 * From a key in a manifest to a path of the API, by upstream's rules to the letter: manifests rely on their oddities.
 * Slashes are one where several stand, and none at the ends, as HashiCorp's client sends every path: "/team/app" below "secret"
 * is "secret/data/team/app". One departure: slashes around `path` are dropped before its mention in the key is looked for.
 */

export interface PathRule {
  readonly path?: string | undefined;
  readonly version: 'v1' | 'v2';
  /** Whether a key that begins with the mount means a folder of that name below it. */
  readonly verbatim?: boolean;
}

/** Where the data of a key is read. */
export const dataPath = (rule: PathRule, key: string): string => clean(builtPath(rule, key));

function builtPath(rule: PathRule, key: string): string {
  const mount = mountOf(rule);
  if (mount === undefined) {
    if (rule.version === 'v1' || key.includes('/data/')) return key;
    const [first, ...rest] = key.split('/');
    return [first, 'data', ...rest].join('/');
  }
  const rest = below(rule, mount, key);
  return rule.version === 'v2' ? `${mount}/data/${rest}` : `${mount}/${rest}`;
}

/**
 * Where a version 2 engine keeps what it knows of a key. The same stripping as for data: upstream strips nothing here,
 * and so doubles a mount that the key names.
 */
export function metadataPath(rule: PathRule, key: string): string {
  const mount = mountOf(rule);
  if (mount !== undefined) return clean(`${mount}/metadata/${below(rule, mount, key)}`);
  return dataPath(rule, key).replace(/\/data(?=\/|$)/, '/metadata');
}

/** The folder that a search begins in, without slashes at its ends, and how the keys found there are named. */
export function searchRoot(
  rule: PathRule,
  folder: string | undefined,
): { readonly list: string; readonly prefix: string; readonly keyPrefix: string } | undefined {
  const inside = clean(folder ?? '');
  const mount = mountOf(rule);
  if (mount !== undefined)
    return { list: rule.version === 'v2' ? `${mount}/metadata` : mount, prefix: inside, keyPrefix: '' };
  const [first, ...rest] = inside.split('/');
  if (first === undefined || first === '') return undefined;
  const list = rule.version === 'v2' ? `${first}/metadata` : first;
  return { list, prefix: rest.join('/'), keyPrefix: `${first}/` };
}

function mountOf(rule: PathRule): string | undefined {
  const mount = trim(rule.path ?? '');
  return mount === '' ? undefined : mount;
}

const trim = (text: string): string => text.replace(/^\/+|\/+$/g, '');

const clean = (text: string): string => trim(text.replace(/\/{2,}/g, '/'));

/** The key below the mount: its own mention of the mount is dropped once, and then (version 2) one of "data/". */
function below(rule: PathRule, mount: string, key: string): string {
  if (rule.verbatim === true || !key.startsWith(`${mount}/`)) return key;
  const rest = key.slice(mount.length + 1);
  return rule.version === 'v2' && rest.startsWith('data/') ? rest.slice('data/'.length) : rest;
}
