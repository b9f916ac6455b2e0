/**
 * Finds the route that a path asks for. The core and the test harness share it, so that what a plugin's tests see is what
 * the server does. Pure; trusts that the segments are canonical (base/path.ts) and never joins or splits them again.
 */

import type { Route } from './plugin.ts';

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  /** The segments with the route's `lowercase` parameters folded: what policy is to be asked about. */
  readonly segments: readonly string[];
}

export type Matcher = (segments: readonly string[], folder: boolean) => Match | undefined;

interface Leaf {
  readonly route: Route;
  readonly names: readonly string[];
  /** Worked out once, not for each request: the segments of the pattern, how many of them take just one, what is folded. */
  readonly parts: readonly string[];
  readonly fixed: number;
  readonly fold: ReadonlySet<string>;
}

interface Node {
  readonly literals: Map<string, Node>;
  param: Node | undefined;
  rest: Leaf | undefined;
  end: Leaf | undefined;
}

const node = (): Node => ({ literals: new Map(), param: undefined, rest: undefined, end: undefined });

/**
 * Compiles routes into one matcher. The most specific route wins, read from the left: a literal segment before ":name",
 * ":name" before "*name", an exact end before an empty rest.
 *
 * A folder (trailing slash) matches a route of fixed length only where that route can be listed; a "*name" keeps the slash
 * at the end of its value ("a/b/"), so that no plugin takes the folder "a/" for the thing "a" that policy was not asked about.
 * @throws Error where two routes have the same shape, or "*name" is not last: a mistake of the plugin's author
 */
export function compileRoutes(routes: readonly Route[]): Matcher {
  const root = node();
  for (const route of routes) add(root, route);

  return (segments, folder) => {
    const values: string[] = [];
    const leaf = find(root, segments, 0, folder, values);
    return leaf === undefined ? undefined : matched(leaf, segments, values, folder);
  };
}

function add(root: Node, route: Route): void {
  const parts = route.path === '' ? [] : route.path.split('/');
  const names: string[] = [];
  let at = root;
  for (const [index, part] of parts.entries()) {
    if (part.startsWith('*')) {
      if (index !== parts.length - 1) throw new Error(`route ${route.path}: "${part}" must be last`);
      if (at.rest !== undefined) throw same(at.rest.route, route);
      at.rest = leafOf(route, [...names, part.slice(1)], parts);
      return;
    }
    if (part.startsWith(':')) {
      names.push(part.slice(1));
      at.param ??= node();
      at = at.param;
      continue;
    }
    let next = at.literals.get(part);
    if (next === undefined) {
      next = node();
      at.literals.set(part, next);
    }
    at = next;
  }
  if (at.end !== undefined) throw same(at.end.route, route);
  at.end = leafOf(route, names, parts);
}

function leafOf(route: Route, names: readonly string[], parts: readonly string[]): Leaf {
  const isRest = parts.at(-1)?.startsWith('*') === true;
  return {
    route,
    names,
    parts,
    fixed: isRest ? parts.length - 1 : parts.length,
    fold: new Set(route.lowercase ?? []),
  };
}

/** Pushes the values of ":name" on `values`; the rest is cut out of the segments by `matched`. */
function find(
  at: Node,
  segments: readonly string[],
  index: number,
  folder: boolean,
  values: string[],
): Leaf | undefined {
  const segment = segments[index];
  if (segment === undefined) {
    const listable = at.end?.route.operations.list !== undefined;
    return at.end !== undefined && (!folder || listable) ? at.end : at.rest;
  }
  const literal = at.literals.get(segment);
  const exact = literal && find(literal, segments, index + 1, folder, values);
  if (exact !== undefined) return exact;
  if (at.param !== undefined) {
    values.push(segment);
    const named = find(at.param, segments, index + 1, folder, values);
    if (named !== undefined) return named;
    values.pop();
  }
  return at.rest;
}

function matched(
  { route, names, parts, fixed, fold }: Leaf,
  segments: readonly string[],
  values: readonly string[],
  folder: boolean,
): Match {
  const canonical =
    fold.size === 0
      ? segments
      : segments.map((segment, index) => {
          const part = parts[Math.min(index, parts.length - 1)] ?? '';
          return /^[:*]/.test(part) && fold.has(part.slice(1)) ? segment.toLowerCase() : segment;
        });

  // Named by routes, which have no name that an object has already: one without a prototype is slow to make and to read.
  const params: Record<string, string> = {};
  for (let index = 0; index < values.length; index++) {
    const name = names[index] ?? '';
    const value = values[index] ?? '';
    params[name] = fold.has(name) ? value.toLowerCase() : value;
  }
  if (fixed < parts.length) {
    const rest = canonical.slice(fixed);
    params[names.at(-1) ?? ''] = rest.join('/') + (folder && rest.length > 0 ? '/' : '');
  }
  return { route, params, segments: canonical };
}

const same = (a: Route, b: Route): Error => new Error(`routes ${a.path} and ${b.path} have the same shape`);
