/**
 * Templates in the paths of policies: `secret/data/{{identity.entity.name}}/*`. They are read with the policy and filled in
 * for one identity. What comes out of an identity was written by others, so it may name one segment or a part of one and
 * nothing more: a value with a wildcard or a slash fills in nothing.
 */

import type { Failure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';
import { parsePath } from '../../base/path.ts';

export type TemplatePart = string | { readonly reference: readonly string[] };

export interface EntityAlias {
  readonly mountAccessor: string;
  readonly id: string;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly customMetadata: Readonly<Record<string, string>>;
}

/** Who asks, as far as templates may name it. */
export interface Identity {
  readonly entity?: {
    readonly id: string;
    readonly name: string;
    readonly metadata: Readonly<Record<string, string>>;
    readonly aliases: readonly EntityAlias[];
  };
  readonly groups?: readonly {
    readonly id: string;
    readonly name: string;
    readonly metadata: Readonly<Record<string, string>>;
  }[];
}

type Fail = (reason: string, mend: string) => Failure;

/**
 * The parts of a path, in order; one text where it holds no template.
 * @throws what `fail` makes, for a template that is broken or names nothing that exists
 */
export function parseTemplate(path: string, fail: Fail): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  let at = 0;
  for (;;) {
    const open = path.indexOf('{{', at);
    const text = path.slice(at, open === -1 ? path.length : open);
    if (text.includes('}}')) throw fail('a template is closed that was not opened', 'write {{ before it');
    if (text !== '') parts.push(text);
    if (open === -1) return parts.length === 0 ? [''] : parts;
    const close = path.indexOf('}}', open);
    if (close === -1) throw fail('a template is not closed', 'close it with }}');
    parts.push({ reference: reference(path.slice(open + 2, close).trim(), fail) });
    at = close + 2;
  }
}

function reference(text: string, fail: Fail): readonly string[] {
  const names = text.split('.');
  const [root, kind, first, second, ...more] = names;
  const unknown = () =>
    fail(
      `the template {{${text}}} names nothing`,
      'use identity.entity.id, .name, .metadata.KEY, .aliases.ACCESSOR.name or identity.groups.names.NAME.id',
    );
  if (root !== 'identity' || names.some((name) => name === '')) throw unknown();
  if (kind === 'entity') {
    if ((first === 'id' || first === 'name') && second === undefined) return names;
    if (first === 'metadata' && second !== undefined) return names;
    if (first !== 'aliases' || second === undefined) throw unknown();
    if (/[*+]/.test(second))
      throw fail(
        `the template {{${text}}} names the accessor "${second}", which is a pattern`,
        'a template takes one accessor, such as auth_kubernetes_1a2b3c4d (shown by: auth list)',
      );
    if ((more[0] === 'id' || more[0] === 'name') && more.length === 1) return names;
    if ((more[0] === 'metadata' || more[0] === 'custom_metadata') && more.length > 1) return names;
    throw unknown();
  }
  if (kind !== 'groups' || second === undefined) throw unknown();
  if (first === 'ids' && more[0] === 'name' && more.length === 1) return names;
  if (first === 'names' && more[0] === 'id' && more.length === 1) return names;
  if ((first === 'ids' || first === 'names') && more[0] === 'metadata' && more.length > 1) return names;
  throw unknown();
}

/**
 * The text for one identity, or undefined where a part of it cannot be filled in.
 * @param without characters that no value may hold, because they mean something where the text is used
 */
export function fillText(
  parts: readonly TemplatePart[],
  identity: Identity | undefined,
  without: string,
): string | undefined {
  let text = '';
  for (const part of parts) {
    const value = typeof part === 'string' ? part : lookUp(part.reference, identity);
    if (value === undefined) return undefined;
    if (typeof part !== 'string' && (value === '' || [...without].some((one) => value.includes(one))))
      return undefined;
    text += value;
  }
  return text;
}

/** The path for one identity, or undefined where a part of it cannot be filled in: the stanza is then skipped. */
export function fillTemplate(
  parts: readonly TemplatePart[],
  identity: Identity | undefined,
): string | undefined {
  const path = fillText(parts, identity, '*+/{}');
  if (path === undefined) return undefined;
  try {
    parsePath(path.endsWith('*') ? `${path.slice(0, -1)}x` : path);
  } catch {
    return undefined;
  }
  return path;
}

/** What templates ask of an identity, each question once. */
export function referencesOf(
  templates: readonly (readonly TemplatePart[] | undefined)[],
): readonly Extract<TemplatePart, object>[] {
  const asked = new Map<string, Extract<TemplatePart, object>>();
  for (const part of templates.flatMap((parts) => parts ?? []))
    if (typeof part !== 'string') asked.set(part.reference.join('.'), part);
  return [...asked.values()];
}

/**
 * The answers of one identity to what templates ask, as one text: two identities with the same text fill in the same paths.
 * So it may stand for the identity wherever something that was filled in is kept.
 */
export const factsOf = (
  references: readonly Extract<TemplatePart, object>[],
  identity: Identity | undefined,
): string => JSON.stringify(references.map(({ reference }) => lookUp(reference, identity) ?? null));

function lookUp(reference: readonly string[], identity: Identity | undefined): string | undefined {
  const [, kind, first = '', second = '', third = '', ...more] = reference;
  if (kind === 'entity') {
    const entity = identity?.entity;
    if (entity === undefined) return undefined;
    if (first === 'id') return entity.id;
    if (first === 'name') return entity.name;
    if (first === 'metadata') return own(entity.metadata, reference.slice(3).join('.'));
    const alias = entity.aliases.find((a) => a.mountAccessor === second);
    if (alias === undefined) return undefined;
    if (third === 'id') return alias.id;
    if (third === 'name') return alias.name;
    return own(third === 'metadata' ? alias.metadata : alias.customMetadata, more.join('.'));
  }
  const group = identity?.groups?.find((g) => (first === 'ids' ? g.id : g.name) === second);
  if (group === undefined) return undefined;
  if (third === 'id') return group.id;
  if (third === 'name') return group.name;
  return own(group.metadata, more.join('.'));
}
