/**
 * The subset of CEL that validation rules are written in by generators: `has`, logic, comparisons, arithmetic, lists,
 * `in`, `size`, `matches`, `startsWith`, `endsWith`, `contains` and the macros over lists and maps. Anything else does not
 * compile here, and the definition says so in a condition instead of pretending. Each evaluation has a budget of steps.
 */

import { RE2JS } from 're2js';
import { equal, type Fields, isFields, type Value } from './objects.ts';

export interface CompiledRule {
  readonly message: string;
  readonly usesOld: boolean;
  readonly tree: Node;
}

type Node =
  | { readonly op: 'literal'; readonly value: Value }
  | { readonly op: 'name'; readonly name: string }
  | { readonly op: 'select'; readonly on: Node; readonly field: string }
  | { readonly op: 'has'; readonly on: Node; readonly field: string }
  | { readonly op: 'index'; readonly on: Node; readonly at: Node }
  | { readonly op: 'list'; readonly items: readonly Node[] }
  | { readonly op: 'not' | 'minus'; readonly of: Node }
  | { readonly op: 'binary'; readonly sign: string; readonly left: Node; readonly right: Node }
  | { readonly op: 'if'; readonly test: Node; readonly yes: Node; readonly no: Node }
  | { readonly op: 'call'; readonly method: string; readonly on: Node; readonly with: readonly Node[] }
  | {
      readonly op: 'macro';
      readonly macro: string;
      readonly on: Node;
      readonly variable: string;
      readonly body: Node;
    };

const MACROS: readonly string[] = ['all', 'exists', 'exists_one', 'filter', 'map'];
const METHODS: readonly string[] = [
  'size',
  'matches',
  'startsWith',
  'endsWith',
  'contains',
  'lowerAscii',
  'upperAscii',
];
const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()[\]]))/y;
const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<', '<=', '>', '>=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
];
const DEPTH = 100;
const STEPS = 100_000;

/** Not of the subset. */
class Unsupported extends Error {}
/** CEL's own errors: a missing field, a type that does not fit. They make a rule fail. */
class Fault extends Error {}

/** The compiled rule, or undefined where it is not of the subset. */
export function compileRule(text: string, message: string): CompiledRule | undefined {
  if (text.length > 5000) return undefined;
  try {
    const tree = new Parser(tokens(text)).whole();
    return { message, tree, usesOld: /\boldSelf\b/.test(text) };
  } catch {
    return undefined;
  }
}

/** The message of a rule that does not hold. Rules that speak of `oldSelf` hold where there is none. */
export function evaluateRule(rule: CompiledRule, self: Value, old: Value | undefined): string | undefined {
  if (rule.usesOld && old === undefined) return undefined;
  const variables = new Map<string, Value>([['self', self]]);
  if (old !== undefined) variables.set('oldSelf', old);
  try {
    return evaluate(rule.tree, variables, { steps: STEPS }) === true ? undefined : rule.message;
  } catch (error) {
    if (error instanceof Fault) return `${rule.message} (${error.message})`;
    throw error;
  }
}

interface Token {
  readonly kind: 'text' | 'number' | 'name' | 'sign' | 'end';
  readonly text: string;
}

function tokens(source: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (source.slice(at).trim() !== '') {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (match === null) throw new Unsupported();
    const [, text, number, name, sign] = match;
    if (text !== undefined) found.push({ kind: 'text', text });
    else if (number !== undefined) found.push({ kind: 'number', text: number });
    else if (name !== undefined) found.push({ kind: name === 'in' ? 'sign' : 'name', text: name });
    else found.push({ kind: 'sign', text: sign ?? '' });
    at = TOKEN.lastIndex;
  }
  return [...found, { kind: 'end', text: '' }];
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(list: readonly Token[]) {
    this.#tokens = list;
  }

  whole(): Node {
    const tree = this.#expression();
    if (this.#peek().kind !== 'end') throw new Unsupported();
    return tree;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  #take(sign: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'sign' || token.text !== sign) return false;
    this.#at++;
    return true;
  }

  #must(sign: string): void {
    if (!this.#take(sign)) throw new Unsupported();
  }

  #name(): string {
    const token = this.#peek();
    if (token.kind !== 'name') throw new Unsupported();
    this.#at++;
    return token.text;
  }

  #expression(): Node {
    if (++this.#depth > DEPTH) throw new Unsupported();
    const test = this.#level(0);
    this.#depth--;
    if (!this.#take('?')) return test;
    const yes = this.#expression();
    this.#must(':');
    return { op: 'if', test, yes, no: this.#expression() };
  }

  #level(level: number): Node {
    const signs = LEVELS[level];
    if (signs === undefined) return this.#unary();
    let left = this.#level(level + 1);
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'sign' || !signs.includes(token.text)) return left;
      this.#at++;
      left = { op: 'binary', sign: token.text, left, right: this.#level(level + 1) };
    }
  }

  #unary(): Node {
    if (this.#take('!')) return { op: 'not', of: this.#unary() };
    if (this.#take('-')) return { op: 'minus', of: this.#unary() };
    let node = this.#primary();
    for (;;) {
      if (this.#take('.')) node = this.#member(node);
      else if (this.#take('[')) {
        const index = this.#expression();
        this.#must(']');
        node = { op: 'index', on: node, at: index };
      } else return node;
    }
  }

  #member(on: Node): Node {
    const field = this.#name();
    if (!this.#take('(')) return { op: 'select', on, field: spelled(field) };
    if (MACROS.includes(field)) {
      const variable = this.#name();
      this.#must(',');
      const body = this.#expression();
      this.#must(')');
      return { op: 'macro', macro: field, on, variable, body };
    }
    if (!METHODS.includes(field)) throw new Unsupported();
    return { op: 'call', method: field, on, with: this.#list(')') };
  }

  #list(end: string): Node[] {
    const items: Node[] = [];
    if (this.#take(end)) return items;
    do items.push(this.#expression());
    while (this.#take(','));
    this.#must(end);
    return items;
  }

  #primary(): Node {
    const token = this.#peek();
    this.#at++;
    if (token.kind === 'number') return { op: 'literal', value: Number(token.text) };
    if (token.kind === 'text') return { op: 'literal', value: unquote(token.text) };
    if (token.kind === 'sign') {
      if (token.text === '[') return { op: 'list', items: this.#list(']') };
      if (token.text !== '(') throw new Unsupported();
      const inside = this.#expression();
      this.#must(')');
      return inside;
    }
    if (token.kind === 'end') throw new Unsupported();
    if (token.text === 'true' || token.text === 'false')
      return { op: 'literal', value: token.text === 'true' };
    if (token.text === 'null') return { op: 'literal', value: null };
    if (!this.#take('(')) return { op: 'name', name: token.text };
    const given = this.#list(')');
    const [first] = given;
    if (given.length !== 1 || first === undefined) throw new Unsupported();
    if (token.text === 'has' && first.op === 'select') return { op: 'has', on: first.on, field: first.field };
    if (token.text === 'size') return { op: 'call', method: 'size', on: first, with: [] };
    throw new Unsupported();
  }
}

const unquote = (text: string): string =>
  text.slice(1, -1).replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c));

/** Names that CEL cannot spell are escaped in rules: `__dash__` and its kin. */
const spelled = (name: string): string =>
  name
    .replace(/__dash__/g, '-')
    .replace(/__dot__/g, '.')
    .replace(/__slash__/g, '/')
    .replace(/__underscores__/g, '__');

function evaluate(node: Node, variables: Map<string, Value>, budget: { steps: number }): Value {
  if (--budget.steps < 0) throw new Fault('the rule takes too many steps');
  const go = (inner: Node): Value => evaluate(inner, variables, budget);
  switch (node.op) {
    case 'literal':
      return node.value;
    case 'name': {
      const value = variables.get(node.name);
      if (value === undefined) throw new Fault(`undeclared reference to '${node.name}'`);
      return value;
    }
    case 'select': {
      const on = go(node.on);
      const value = isFields(on) ? on[node.field] : undefined;
      if (value === undefined) throw new Fault(`no such key: ${node.field}`);
      return value;
    }
    case 'has': {
      const on = go(node.on);
      return isFields(on) && on[node.field] !== undefined;
    }
    case 'index':
      return element(go(node.on), go(node.at));
    case 'list':
      return node.items.map(go);
    case 'not':
      return !bool(go(node.of));
    case 'minus':
      return -num(go(node.of));
    case 'if':
      return bool(go(node.test)) ? go(node.yes) : go(node.no);
    case 'binary':
      return binary(node.sign, node.left, node.right, go);
    case 'call':
      return call(node.method, go(node.on), node.with.map(go));
    case 'macro':
      return macro(node.macro, go(node.on), (item) =>
        evaluate(node.body, new Map(variables).set(node.variable, item), budget),
      );
  }
}

function element(on: Value, at: Value): Value {
  const value =
    Array.isArray(on) && typeof at === 'number'
      ? on[at]
      : isFields(on) && typeof at === 'string'
        ? on[at]
        : undefined;
  if (value === undefined) throw new Fault('no such element');
  return value;
}

/** Like CEL, `&&` and `||` forgive a fault on one side where the other side decides. */
function binary(sign: string, left: Node, right: Node, go: (node: Node) => Value): Value {
  if (sign === '&&' || sign === '||') {
    const decisive = sign === '||';
    let fault: Fault | undefined;
    for (const side of [left, right]) {
      try {
        if (bool(go(side)) === decisive) return decisive;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        fault = error;
      }
    }
    if (fault !== undefined) throw fault;
    return !decisive;
  }
  const a = go(left);
  const b = go(right);
  switch (sign) {
    case '==':
      return equal(a, b);
    case '!=':
      return !equal(a, b);
    case 'in':
      return Array.isArray(b)
        ? b.some((item) => equal(item, a))
        : isFields(b) && typeof a === 'string' && b[a] !== undefined;
    case '+':
      if (typeof a === 'string' && typeof b === 'string') return a + b;
      if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
      return num(a) + num(b);
    case '-':
      return num(a) - num(b);
    case '*':
      return num(a) * num(b);
    case '/':
      return Math.trunc(num(a) / num(b));
    case '%':
      return num(a) % num(b);
  }
  if (typeof a === 'string' && typeof b === 'string') return ordered(sign, a < b ? -1 : a > b ? 1 : 0);
  return ordered(sign, num(a) - num(b));
}

function ordered(sign: string, difference: number): boolean {
  if (sign === '<') return difference < 0;
  if (sign === '<=') return difference <= 0;
  return sign === '>' ? difference > 0 : difference >= 0;
}

function call(method: string, on: Value, given: readonly Value[]): Value {
  if (method === 'size') {
    if (typeof on === 'string') return [...on].length;
    if (Array.isArray(on)) return on.length;
    if (isFields(on)) return Object.keys(on).length;
    throw new Fault('no such overload');
  }
  const [argument] = given;
  if (typeof on !== 'string') throw new Fault('no such overload');
  if (method === 'lowerAscii') return on.toLowerCase();
  if (method === 'upperAscii') return on.toUpperCase();
  if (typeof argument !== 'string') throw new Fault('no such overload');
  switch (method) {
    case 'startsWith':
      return on.startsWith(argument);
    case 'endsWith':
      return on.endsWith(argument);
    case 'contains':
      return on.includes(argument);
    default:
      try {
        return RE2JS.compile(argument).matcher(on).find();
      } catch {
        throw new Fault('the pattern does not compile');
      }
  }
}

function macro(name: string, on: Value, body: (item: Value) => Value): Value {
  const items = Array.isArray(on) ? on : isFields(on) ? Object.keys(on as Fields) : undefined;
  if (items === undefined) throw new Fault('no such overload');
  switch (name) {
    case 'all':
      return items.every((item) => bool(body(item)));
    case 'exists':
      return items.some((item) => bool(body(item)));
    case 'exists_one':
      return items.filter((item) => bool(body(item))).length === 1;
    case 'filter':
      return items.filter((item) => bool(body(item)));
    default:
      return items.map(body);
  }
}

function bool(value: Value): boolean {
  if (typeof value !== 'boolean') throw new Fault('no such overload');
  return value;
}

function num(value: Value): number {
  if (typeof value !== 'number') throw new Fault('no such overload');
  return value;
}
