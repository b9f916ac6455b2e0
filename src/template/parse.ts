/**
 * Reads a template into trees, one for itself and one for each that it defines, by the grammar and in the words of Go's
 * text/template. Names of variables and functions are checked here, so that a typing error shows when a template is
 * written and not when a branch is first taken.
 */

import { failure } from '../base/errors.ts';
import { type Delims, lex, show, type Token, type TokenKind } from './lex.ts';
import { readNumber } from './number.ts';
import { quoteGo, toText, unquoteGo } from './text.ts';
import type { Block, Branch, Chain, Command, Node, Operand, Pipe } from './tree.ts';
import { sourceOf } from './tree.ts';

/** How deep blocks and parentheses may nest: each level is a level of this parser's own stack. */
const MAX_NESTING = 200;

type Ending = { readonly end: 'end' | 'else'; readonly at: number };
type Context =
  | 'command'
  | 'if'
  | 'with'
  | 'range'
  | 'template clause'
  | 'block clause'
  | 'parenthesized pipeline';

const OPERANDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'bool',
  'char constant',
  'dot',
  'field',
  'identifier',
  'number',
  'nil',
  'string',
  'variable',
  '(',
]);
const NOT_EXECUTABLE: ReadonlySet<string> = new Set(['bool', 'dot', 'nil', 'number', 'string']);

export interface Parsed {
  /** The templates by name, the outermost under its own. */
  readonly trees: ReadonlyMap<string, Block>;
}

/**
 * @param source a byte string
 * @param hasFunction whether a function of this name exists
 * @throws Failure template.parse
 */
export function parse(
  name: string,
  source: string,
  delims: Delims,
  hasFunction: (name: string) => boolean,
): Parsed {
  return new Parser(name, source, delims, hasFunction).all();
}

class Parser {
  readonly #name: string;
  readonly #source: string;
  readonly #tokens: readonly Token[];
  readonly #hasFunction: (name: string) => boolean;
  readonly #trees = new Map<string, Block>();
  #at = 0;
  /** The farthest token looked at: where Go says an error is. */
  #seen = 0;
  #vars: string[] = ['$'];
  #rangeDepth = 0;
  #depth = 0;
  #actionAt: number | undefined;

  constructor(name: string, source: string, delims: Delims, hasFunction: (name: string) => boolean) {
    this.#name = name;
    this.#source = source;
    this.#tokens = lex(source, delims);
    this.#hasFunction = hasFunction;
  }

  all(): Parsed {
    const root: Node[] = [];
    while (this.#peek().kind !== 'eof') {
      if (this.#peek().kind === 'left') {
        const before = this.#at;
        this.#next();
        if (this.#nextNonSpace().kind === 'define') {
          this.#definition();
          continue;
        }
        this.#at = before;
      }
      const node = this.#textOrAction();
      if ('end' in node) this.#fail(`unexpected {{${node.end}}}`);
      root.push(node);
    }
    this.#add(this.#name, root);
    return { trees: this.#trees };
  }

  // Tokens.

  #token(index: number): Token {
    const last = this.#tokens.length - 1;
    const token = this.#tokens[Math.min(index, last)];
    return token ?? { kind: 'eof', text: '', at: this.#source.length };
  }
  #next(): Token {
    this.#seen = Math.max(this.#seen, this.#at);
    return this.#token(this.#at++);
  }
  #peek(): Token {
    this.#seen = Math.max(this.#seen, this.#at);
    return this.#token(this.#at);
  }
  #nextNonSpace(): Token {
    let token = this.#next();
    while (token.kind === 'space') token = this.#next();
    return token;
  }
  #peekNonSpace(): Token {
    while (this.#peek().kind === 'space') this.#at++;
    return this.#peek();
  }
  #expect(kind: TokenKind, context: string): Token {
    const token = this.#nextNonSpace();
    if (token.kind !== kind) this.#unexpected(token, context);
    return token;
  }

  // Errors.

  #fail(reason: string, token = this.#token(this.#seen)): never {
    const before = this.#source.slice(0, token.at);
    throw failure('template.parse', {
      name: toText(this.#name),
      line: lineOf(before),
      // Counted from 0, as Go counts them when it executes.
      column: token.at - (before.lastIndexOf('\n') + 1),
      reason: toText(reason),
    });
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.#fail(`unexpected ${show(token)} in ${context}`);
    const started = this.#actionAt === undefined ? 0 : lineOf(this.#source.slice(0, this.#actionAt));
    // Go names the line where an error is found as that of its first character; what is unclosed ends at the end.
    const here = lineOf(this.#source.slice(0, token.at));
    let extra = '';
    if (started !== 0 && started !== here) {
      extra = ` in action started at ${this.#name}:${started}`;
      if (token.text.endsWith(' action')) extra = extra.slice(' in action'.length);
    }
    this.#fail(token.text + extra, token);
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_NESTING) this.#fail('max expression depth exceeded');
    const result = read();
    this.#depth--;
    return result;
  }

  // Templates.

  #add(name: string, block: Block): void {
    const known = this.#trees.get(name);
    if (known === undefined || isEmpty(known)) this.#trees.set(name, block);
    else if (!isEmpty(block)) this.#fail(`template: multiple definition of template ${quoteGo(name)}`);
  }

  #definition(): void {
    const context = 'define clause';
    const name = this.#templateName(this.#nextNonSpace(), context);
    this.#expect('right', context);
    this.#separate(name, context);
  }

  /** The body of a `define` or a `block`: a template of its own, with variables of its own. */
  #separate(name: string, context: string): void {
    const outside = { vars: this.#vars, rangeDepth: this.#rangeDepth };
    this.#vars = ['$'];
    this.#rangeDepth = 0;
    const { block, ending } = this.#itemList();
    if (ending.end !== 'end') this.#fail(`unexpected {{${ending.end}}} in ${context}`);
    this.#add(name, block);
    this.#vars = outside.vars;
    this.#rangeDepth = outside.rangeDepth;
  }

  #templateName(token: Token, context: string): string {
    if (token.kind !== 'string') this.#unexpected(token, context);
    return unquoteGo(token.text) ?? this.#fail('invalid syntax');
  }

  #itemList(): { block: Block; ending: Ending } {
    return this.#nested(() => {
      const block: Node[] = [];
      while (this.#peekNonSpace().kind !== 'eof') {
        const node = this.#textOrAction();
        if ('end' in node) return { block, ending: node };
        block.push(node);
      }
      return this.#fail('unexpected EOF');
    });
  }

  #textOrAction(): Node | Ending {
    const token = this.#nextNonSpace();
    if (token.kind === 'text') return { kind: 'text', at: token.at, text: token.text };
    if (token.kind !== 'left') return this.#unexpected(token, 'input');
    this.#actionAt = token.at;
    const node = this.#action();
    this.#actionAt = undefined;
    return node;
  }

  #action(): Node | Ending {
    const token = this.#nextNonSpace();
    switch (token.kind) {
      case 'if':
      case 'with':
      case 'range':
        return this.#control(token.kind);
      case 'break':
      case 'continue':
        return this.#leave(token.kind, token);
      case 'else': {
        const next = this.#peekNonSpace();
        if (next.kind === 'if' || next.kind === 'with') return { end: 'else', at: next.at };
        return { end: 'else', at: this.#expect('right', 'else').at };
      }
      case 'end':
        return { end: 'end', at: this.#expect('right', 'end').at };
      case 'block':
        return this.#block();
      case 'template':
        return this.#include();
      default: {
        this.#at--;
        const pipe = this.#pipeline('command', 'right');
        return { kind: 'action', at: token.at, pipe };
      }
    }
  }

  #leave(kind: 'break' | 'continue', token: Token): Node {
    const next = this.#nextNonSpace();
    if (next.kind !== 'right') this.#unexpected(next, `{{${kind}}}`);
    if (this.#rangeDepth === 0) this.#fail(`{{${kind}}} outside {{range}}`);
    return { kind, at: token.at };
  }

  #control(kind: Branch['kind']): Branch {
    const scope = this.#vars.length;
    const pipe = this.#pipeline(kind, 'right');
    if (kind === 'range') this.#rangeDepth++;
    const { block, ending } = this.#itemList();
    if (kind === 'range') this.#rangeDepth--;
    let otherwise: Block | undefined;
    if (ending.end === 'else') {
      if (kind !== 'range' && this.#peek().kind === kind) {
        this.#next();
        otherwise = [this.#nested(() => this.#control(kind))];
      } else {
        const rest = this.#itemList();
        if (rest.ending.end !== 'end') this.#fail(`expected end; found {{${rest.ending.end}}}`);
        otherwise = rest.block;
      }
    }
    this.#vars.length = scope;
    return { kind, at: pipe.at, pipe, body: block, otherwise };
  }

  #block(): Node {
    const context = 'block clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    const pipe = this.#pipeline(context, 'right');
    this.#separate(name, context);
    return { kind: 'template', at: token.at, name, pipe };
  }

  #include(): Node {
    const context = 'template clause';
    const token = this.#nextNonSpace();
    const name = this.#templateName(token, context);
    if (this.#nextNonSpace().kind === 'right')
      return { kind: 'template', at: token.at, name, pipe: undefined };
    this.#at--;
    return { kind: 'template', at: token.at, name, pipe: this.#pipeline(context, 'right') };
  }

  // Pipelines.

  #pipeline(context: Context, end: 'right' | ')'): Pipe {
    const at = this.#peekNonSpace().at;
    const names: string[] = [];
    const assigns = this.#declarations(context, names);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#nextNonSpace();
      if (token.kind === end) break;
      if (!OPERANDS.has(token.kind)) this.#unexpected(token, context);
      this.#at--;
      commands.push(this.#command());
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.forEach((command, i) => {
      if (i > 0 && NOT_EXECUTABLE.has(command.args[0].kind)) {
        this.#fail(`non executable command in pipeline stage ${i + 1}`);
      }
    });
    return { kind: 'pipe', at, names, assigns, commands };
  }

  /** Reads `$x :=`, `$x =`, `$i, $x :=`; says whether it assigns. */
  #declarations(context: Context, names: string[]): boolean {
    for (;;) {
      const variable = this.#peekNonSpace();
      if (variable.kind !== 'variable') return false;
      const before = this.#at;
      this.#next();
      const next = this.#peekNonSpace();
      const comma = next.kind === 'char' && next.text === ',';
      if (!comma && next.kind !== 'assign' && next.kind !== 'declare') {
        this.#at = before;
        return false;
      }
      this.#next();
      names.push(variable.text);
      this.#vars.push(variable.text);
      if (!comma) return next.kind === 'assign';
      if (context === 'range' && names.length < 2) {
        const after = this.#peekNonSpace().kind;
        if (after === 'variable' || after === 'right' || after === ')') continue;
        this.#fail('range can only initialize variables');
      }
      this.#fail(`too many declarations in ${context}`);
    }
  }

  #command(): Command {
    const at = this.#peekNonSpace().at;
    const args: Operand[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) args.push(operand);
      const token = this.#next();
      if (token.kind === 'space') continue;
      if (token.kind === 'right' || token.kind === ')') this.#at--;
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand');
      break;
    }
    const [first, ...rest] = args;
    if (first === undefined) return this.#fail('empty command');
    return { kind: 'command', at, args: [first, ...rest] };
  }

  #operand(): Operand | undefined {
    const node = this.#term();
    if (node === undefined || this.#peek().kind !== 'field') return node;
    const at = this.#peek().at;
    const fields: string[] = [];
    while (this.#peek().kind === 'field') fields.push(this.#next().text.slice(1));
    switch (node.kind) {
      case 'field':
        return { kind: 'field', at, names: [...node.names, ...fields] };
      case 'variable':
        return { kind: 'variable', at, name: node.name, fields: [...node.fields, ...fields] };
      case 'bool':
      case 'string':
      case 'number':
      case 'nil':
      case 'dot':
        return this.#fail(`unexpected . after term ${quoteGo(sourceOf(node))}`);
      default:
        return { kind: 'chain', at, of: node, fields } satisfies Chain;
    }
  }

  #term(): Operand | undefined {
    const token = this.#nextNonSpace();
    const { at, text } = token;
    switch (token.kind) {
      case 'identifier':
        if (!this.#hasFunction(text)) this.#fail(`function ${quoteGo(text)} not defined`);
        return { kind: 'identifier', at, name: text };
      case 'dot':
        return { kind: 'dot', at };
      case 'nil':
        return { kind: 'nil', at };
      case 'variable':
        if (!this.#vars.includes(text)) this.#fail(`undefined variable ${quoteGo(text)}`);
        return { kind: 'variable', at, name: text, fields: [] };
      case 'field':
        return { kind: 'field', at, names: [text.slice(1)] };
      case 'bool':
        return { kind: 'bool', at, value: text === 'true' };
      case 'char constant':
      case 'number': {
        const number = readNumber(text, at);
        return typeof number === 'string' ? this.#fail(number) : number;
      }
      case '(':
        return this.#nested(() => this.#pipeline('parenthesized pipeline', ')'));
      case 'string': {
        const unquoted = unquoteGo(text);
        return unquoted === undefined
          ? this.#fail('invalid syntax')
          : { kind: 'string', at, quoted: text, text: unquoted };
      }
      default:
        this.#at--;
        return undefined;
    }
  }
}

const lineOf = (before: string): number => before.split('\n').length;

/** Whether a template says nothing: such a definition may be replaced by another. */
function isEmpty(block: Block): boolean {
  return block.every((node) => node.kind === 'text' && /^[\t\n\v\f\r ]*$/.test(node.text));
}
