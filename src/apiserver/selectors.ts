/** Label and field selectors, read once from the query and then only asked. */

import { asText, at, meta, nameOf, namespaceOf, type Obj } from './objects.ts';
import { badRequest } from './status.ts';

export type Selector = (object: Obj) => boolean;

export const everything: Selector = () => true;

const KEY = '[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?';
const VALUE = '([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?';
const EQUALS = new RegExp(`^(${KEY})\\s*(=|==|!=)\\s*(${VALUE})$`);
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`);

/**
 * Reads `a=b,c!=d,e in (f,g),h,!i`.
 * @throws Refusal BadRequest
 */
export function labelSelector(text: string): Selector {
  if (text.trim() === '') return everything;
  const terms = split(text).map((part) => term(part.trim()));
  return (object) => {
    const labels = meta(object)['labels'];
    return terms.every((matches) => matches((key) => asText(at(labels, key))));
  };
}

function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)];
}

function term(text: string): (label: (key: string) => string | undefined) => boolean {
  const equals = EQUALS.exec(text);
  if (equals !== null) {
    const [, key = '', , operator, value = ''] = equals;
    return operator === '!=' ? (label) => label(key) !== value : (label) => label(key) === value;
  }
  const set = SET.exec(text);
  if (set !== null) {
    const [, key = '', , operator, inside = ''] = set;
    const values = new Set(inside.split(',').map((value) => value.trim()));
    return operator === 'in'
      ? (label) => {
          const given = label(key);
          return given !== undefined && values.has(given);
        }
      : (label) => {
          const given = label(key);
          return given === undefined || !values.has(given);
        };
  }
  const exists = EXISTS.exec(text);
  if (exists !== null) {
    const [, not, key = ''] = exists;
    return (label) => (label(key) === undefined) === (not === '!');
  }
  throw badRequest(`unable to parse requirement: found '${text.slice(0, 60)}', expected: a label selector`);
}

/**
 * Reads `metadata.name=x,type!=y`. Only names, namespaces and the fields a kind declares can be asked for.
 * @throws Refusal BadRequest
 */
export function fieldSelector(text: string, selectable: readonly string[], apiKind: string): Selector {
  if (text.trim() === '') return everything;
  const terms = splitFields(text).map((part) => {
    const match = /^([^=!]+)(=|==|!=)((?:[^=!]|\\.)*)$/.exec(part);
    if (match === null) throw badRequest(`invalid selector: '${part.slice(0, 60)}'; can't understand it`);
    const [, key = '', operator, raw = ''] = match;
    if (key !== 'metadata.name' && key !== 'metadata.namespace' && !selectable.includes(key)) {
      throw badRequest(`field label not supported: ${key} (of ${apiKind})`);
    }
    return { path: key.split('.'), not: operator === '!=', value: raw.replace(/\\([\\,=])/g, '$1') };
  });
  return (object) => terms.every(({ path, not, value }) => (read(object, path) === value) !== not);
}

function splitFields(text: string): string[] {
  return text.split(/(?<!\\),/).filter((part) => part !== '');
}

function read(object: Obj, path: readonly string[]): string {
  if (path.length === 2 && path[0] === 'metadata')
    return path[1] === 'name' ? nameOf(object) : namespaceOf(object);
  const value = at(object, ...path);
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value);
}

/** Both of two selectors. */
export const both =
  (a: Selector, b: Selector): Selector =>
  (object) =>
    a(object) && b(object);
