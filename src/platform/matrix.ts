/**
 * The seeding matrix (`secrets.yaml`) and the demo values (`config.toml`), read once into one list of what each secret
 * shall be. The two belong to different people: the matrix is the platform's, the values are a laptop's.
 */

import { z } from 'zod';
import { failure } from '../base/errors.ts';
import { readToml, readYaml } from './files.ts';

/** What an application demands of a value, checked before anything is stored. */
export interface Constraints {
  readonly minLength?: number;
  readonly upperCase?: number;
}

export interface SeedEntry {
  /** "secret/argocd/admin" */
  readonly path: string;
  readonly key: string;
  /** The variable's name, or "" for a value that is always random. */
  readonly variable: string;
  readonly encoding: 'base64' | 'hex';
  readonly hash: 'bcrypt' | 'none';
  readonly constraints: Constraints;
}

export interface Matrix {
  readonly entries: readonly SeedEntry[];
  /** Variable -> dotted key in config.toml. */
  readonly variables: Readonly<Record<string, string>>;
}

const entrySchema = z.strictObject({
  path: z.string().regex(/^[^/\s][^\s]*\/[^\s]*[^/\s]$/, 'expected a path such as secret/app/admin'),
  key: z.string().min(1),
  var: z.string().default(''),
  enc: z.enum(['base64', 'hex']).default('base64'),
  hash: z.enum(['bcrypt', 'none']).default('none'),
  minLength: z.int().min(1).max(512).optional(),
  upperCase: z.int().min(1).max(512).optional(),
});

const matrixSchema = z.strictObject({
  vars: z
    .record(
      z.string(),
      z.string().regex(/^[\w-]+(\.[\w-]+)*$/, 'expected a dotted key such as passwords.grafana_admin'),
    )
    .default({}),
  SECRETS: z.array(entrySchema),
});

/** SonarQube refuses an administrator's password that is shorter, or has no upper case letter, wherever it is written down. */
const KNOWN: readonly { readonly path: RegExp; readonly key: string; readonly constraints: Constraints }[] = [
  { path: /(^|\/)sonarqube\/admin$/, key: 'password', constraints: { minLength: 12, upperCase: 1 } },
];

/** The constraints that are known for a path and key, with those that the matrix adds. */
export function constraintsOn(path: string, key: string, own: Constraints = {}): Constraints {
  return KNOWN.filter((rule) => rule.path.test(path) && rule.key === key).reduce<Constraints>(
    (all, rule) => ({
      minLength: Math.max(all.minLength ?? 0, rule.constraints.minLength ?? 0),
      upperCase: Math.max(all.upperCase ?? 0, rule.constraints.upperCase ?? 0),
    }),
    own,
  );
}

/** Says what is wrong with a value, without the value; undefined where nothing is. */
export function violation(value: string, { minLength = 0, upperCase = 0 }: Constraints): string | undefined {
  if ([...value].length < minLength) return `it must have at least ${minLength} characters`;
  if ((value.match(/\p{Lu}/gu) ?? []).length < upperCase)
    return `it must have at least ${upperCase} upper case letter${upperCase === 1 ? '' : 's'}`;
  return undefined;
}

/** Reads `secrets.yaml`. @throws Failure platform.bad_file */
export function readMatrix(file: string, text: string): Matrix {
  const [document, ...more] = readYaml(file, text, { strict: true });
  if (document === undefined || document.value === null)
    throw bad(file, 1, 'the file is empty', 'list the entries under SECRETS:');
  if (more[0] !== undefined)
    throw bad(file, more[0].line, 'a second document begins here', 'keep one list of SECRETS per file');
  const read = matrixSchema.safeParse(document.value);
  if (!read.success) {
    const issue = read.error.issues[0];
    const path = issue?.path ?? [];
    const where = path.join('.');
    // A key that nobody knows is named with the map it stands in; its own line is the one to look at.
    const stray = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
    throw bad(
      file,
      document.lineAt?.([...path, ...stray]) ?? document.line,
      `${where === '' ? 'the file' : where}: ${issue?.message ?? 'is not a seeding matrix'}`,
      'entries have path, key, var, enc (base64, hex) and hash (bcrypt, none)',
    );
  }
  const entries = read.data.SECRETS.map(
    (entry): SeedEntry => ({
      path: entry.path,
      key: entry.key,
      variable: entry.var,
      encoding: entry.enc,
      hash: entry.hash,
      constraints: constraintsOn(entry.path, entry.key, {
        ...(entry.minLength === undefined ? {} : { minLength: entry.minLength }),
        ...(entry.upperCase === undefined ? {} : { upperCase: entry.upperCase }),
      }),
    }),
  );
  const lineOfEntry = (entry: SeedEntry): number =>
    document.lineAt?.(['SECRETS', entries.indexOf(entry)]) ?? document.line;
  const twice = entries.find(
    (entry, at) => entries.findIndex((other) => other.path === entry.path && other.key === entry.key) !== at,
  );
  if (twice)
    throw bad(file, lineOfEntry(twice), `${twice.path} ${twice.key} stands twice`, 'remove one of the two');
  const unmapped = entries.find((entry) => entry.variable !== '' && !(entry.variable in read.data.vars));
  if (unmapped)
    throw bad(
      file,
      lineOfEntry(unmapped),
      `no key of config.toml is given for ${unmapped.variable}`,
      `add "${unmapped.variable}: passwords.NAME" under vars:`,
    );
  return { entries, variables: read.data.vars };
}

/** The demo values, as a lookup by dotted key; undefined where the file does not name it. */
export type Values = (dottedKey: string) => string | undefined;

/** Reads `config.toml`. @throws Failure platform.bad_file */
export function readValues(file: string, text: string): Values {
  const root = readToml(file, text);
  return (dottedKey) => {
    const found = dottedKey
      .split('.')
      .reduce<unknown>(
        (at, name) =>
          typeof at === 'object' && at !== null && Object.hasOwn(at, name)
            ? (at as Record<string, unknown>)[name]
            : undefined,
        root,
      );
    if (found === undefined) return undefined;
    if (typeof found === 'string') return found;
    if (typeof found === 'number' || typeof found === 'bigint' || typeof found === 'boolean')
      return String(found);
    throw bad(
      file,
      lineOf(text, dottedKey),
      `${dottedKey} is not one value`,
      'write it as text in double quotes',
    );
  };
}

function lineOf(text: string, dottedKey: string): number {
  const name = dottedKey.split('.').at(-1) ?? '';
  const at = text.split('\n').findIndex((line) => line.trimStart().startsWith(name));
  return at === -1 ? 1 : at + 1;
}

const bad = (file: string, line: number, reason: string, mend: string) =>
  failure('platform.bad_file', { file, line, reason, mend });
