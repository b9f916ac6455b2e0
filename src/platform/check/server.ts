/**
 * What is known of the server beside its policies: roles and mounts from one file, and what is stored from another. Both are
 * given to a check by name, so a mistake in them ends it: half a list would make findings that are not true.
 */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { commaList } from '../../base/schema.ts';
import { readYaml } from '../files.ts';
import { dotted } from './fields.ts';

/** A role of the Kubernetes auth method; `vault read -format=json auth/kubernetes/role/NAME` prints the same under data. */
export interface KnownRole {
  readonly mount: string;
  readonly name: string;
  readonly accounts: readonly string[];
  readonly namespaces: readonly string[];
  /** Namespaces may be chosen by their labels, too, which no file tells. */
  readonly bySelector: boolean;
  readonly audience: string | undefined;
  readonly policies: readonly string[];
  readonly file: string;
  readonly line: number;
}

export interface KnownServer {
  readonly roles: readonly KnownRole[];
  /** Mount without slashes -> its type ("kv-v2", "kv-v1", "database"); undefined where none were given. */
  readonly mounts: ReadonlyMap<string, string> | undefined;
}

/** Path as people write it ("secret/grafana/admin") -> its keys; undefined where they are not known. */
export type KnownPaths = ReadonlyMap<string, ReadonlySet<string> | undefined>;

const roleSchema = z.looseObject({
  bound_service_account_names: commaList().default([]),
  bound_service_account_namespaces: commaList().default([]),
  bound_service_account_namespace_selector: z.string().default(''),
  audience: z.string().default(''),
  policies: commaList().default([]),
  token_policies: commaList().default([]),
});

const serverSchema = z.strictObject({
  mounts: z.record(z.string(), z.string()).optional(),
  auth: z.record(z.string(), z.record(z.string(), roleSchema)).default({}),
});

const trim = (path: string): string => path.replace(/^\/+|\/+$/g, '');

/** Reads roles and mounts. @throws Failure platform.bad_file */
export function readServer(file: string, text: string): KnownServer {
  const [document] = readYaml(file, text, { strict: true });
  const read = serverSchema.safeParse(document?.value ?? {});
  if (!read.success) {
    const [issue] = read.error.issues;
    const path = issue?.path ?? [];
    const stray = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
    throw failure('platform.bad_file', {
      file,
      line: document?.lineAt?.([...path, ...stray]) ?? 1,
      reason: `${dotted(path) || 'the file'}: ${issue?.message ?? 'these are no roles'}`,
      mend: 'write mounts: { PATH: TYPE } and auth: { MOUNT: { ROLE: { bound_service_account_names: [...], policies: [...] } } }',
    });
  }
  const { mounts, auth } = read.data;
  return {
    mounts:
      mounts === undefined
        ? undefined
        : new Map(Object.entries(mounts).map(([path, type]) => [trim(path), type])),
    roles: Object.entries(auth).flatMap(([mount, roles]) =>
      Object.entries(roles).map(([name, role]) => ({
        mount: trim(mount).replace(/^auth\//, ''),
        name,
        accounts: role.bound_service_account_names,
        namespaces: role.bound_service_account_namespaces,
        bySelector: role.bound_service_account_namespace_selector !== '',
        audience: role.audience || undefined,
        policies: [...new Set([...role.token_policies, ...role.policies])],
        file,
        line: document?.lineAt?.(['auth', mount, name]) ?? 1,
      })),
    ),
  };
}

const matrixSchema = z.object({
  SECRETS: z.array(z.object({ path: z.string(), key: z.string() })),
});

/**
 * Reads a list of what is stored: in each line a path and its keys, separated by blanks or commas (a path alone: its keys
 * are not known; `#` begins a comment); or a seeding matrix, which is such a list, too.
 * @throws Failure platform.bad_file
 */
export function readPaths(file: string, text: string): KnownPaths {
  if (/^SECRETS:/m.test(text)) return ofMatrix(file, text);
  const paths = new Map<string, ReadonlySet<string> | undefined>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [path, ...keys] = line
      .replace(/(^|\s)#.*$/, '')
      .split(/[\s,]+/)
      .filter((word) => word !== '');
    if (path === undefined) continue;
    if (!path.includes('/'))
      throw failure('platform.bad_file', {
        file,
        line: index + 1,
        reason: 'this is no path below a mount',
        mend: 'write lines such as: secret/grafana/admin admin-password',
      });
    add(paths, path, keys);
  }
  return paths;
}

function ofMatrix(file: string, text: string): KnownPaths {
  const [document] = readYaml(file, text);
  const read = matrixSchema.safeParse(document?.value);
  if (!read.success)
    throw failure('platform.bad_file', {
      file,
      line: document?.lineAt?.(read.error.issues[0]?.path ?? []) ?? 1,
      reason: 'this is no list of SECRETS with a path and a key each',
      mend: 'write them as in secrets.yaml',
    });
  const paths = new Map<string, ReadonlySet<string> | undefined>();
  for (const { path, key } of read.data.SECRETS) add(paths, path, [key]);
  return paths;
}

function add(
  paths: Map<string, ReadonlySet<string> | undefined>,
  path: string,
  keys: readonly string[],
): void {
  const at = trim(path);
  if (keys.length > 0) paths.set(at, new Set([...(paths.get(at) ?? []), ...keys]));
  else if (!paths.has(at)) paths.set(at, undefined);
}
