/**
 * Runs a parsed template as Go's text/template does with `missingkey=error`. Trusts neither the template nor the data:
 * every step is metered, recursion is bounded, and messages name types and keys but never a value.
 */

import { failure, isFailure } from '../base/errors.ts';
import { nearestName } from '../base/nearest.ts';
import { sprint } from './format.ts';
import type { Meter } from './fuel.ts';
import { andOr } from './functions/builtins.ts';
import { type Call, CallError, type Row } from './functions/table.ts';
import { costOf, type Fail, fitted, literal, nilOf } from './parameters.ts';
import { quoteGo, toText } from './text.ts';
import type { Block, Branch, Chain, Command, Identifier, Include, Node, Operand, Pipe } from './tree.ts';
import { sourceOf } from './tree.ts';
import { ANY, Dict, integerOf, List, type Maybe, Opaque, Sized, truth, typeOf, type Value } from './value.ts';

/** How deep templates may call templates: each level is a level of this executor's own stack. */
const MAX_DEPTH = 250;

/** Arguments lie on this executor's own stack. */
const MOST_ARGUMENTS = 10_000;

export interface Program {
  readonly name: string;
  /** The byte string that was parsed. */
  readonly source: string;
  readonly trees: ReadonlyMap<string, Block>;
  readonly lookup: (name: string) => Row | undefined;
}

/** No final argument: the command is the first of its pipeline. */
const MISSING = Symbol('missing');
type Final = Maybe | typeof MISSING;

/** How the execution of a node ended. */
type Flow = 'on' | 'break' | 'continue';

interface Scope {
  readonly template: string;
  readonly vars: { readonly name: string; value: Maybe; type?: string }[];
  readonly depth: number;
}

type Where = Operand | Command | Node;

/** Renders the program's own template. @throws Failure template.exec, template.fuel */
export function execute(program: Program, data: Maybe, call: Call): string {
  const root = program.trees.get(program.name) ?? [];
  const run = new Execution(program, data, call);
  run.block(data, root, { template: program.name, vars: [{ name: '$', value: data }], depth: 0 });
  return run.output.join('');
}

class Execution {
  readonly output: string[] = [];
  readonly #program: Program;
  readonly #data: Maybe;
  readonly #call: Call;
  readonly #meter: Meter;
  /** The node that a message would name, and the scope it stands in. */
  #node: Where | undefined;
  #template: string;
  /** The static type of dot, where that is not the type of its value: an item of a list of interfaces. */
  #dotType: string | undefined;
  readonly #misfit: Fail = (reason) => this.#fail(reason);

  constructor(program: Program, data: Maybe, call: Call) {
    this.#program = program;
    this.#data = data;
    this.#call = call;
    this.#meter = call.meter;
    this.#template = program.name;
  }

  // Errors.

  #fail(reason: string): never {
    const before = this.#program.source.slice(0, this.#node?.at ?? 0);
    throw failure('template.exec', {
      name: toText(this.#program.name),
      line: before.split('\n').length,
      column: before.length - (before.lastIndexOf('\n') + 1),
      template: toText(quoteGo(this.#template)),
      at: toText(this.#node === undefined ? '' : sourceOf(this.#node)),
      reason: toText(reason),
    });
  }

  // Nodes.

  block(dot: Maybe, block: Block, scope: Scope): Flow {
    for (const node of block) {
      const flow = this.#walk(dot, node, scope);
      if (flow !== 'on') return flow;
    }
    return 'on';
  }

  #walk(dot: Maybe, node: Node, scope: Scope): Flow {
    this.#meter.step();
    this.#node = node;
    switch (node.kind) {
      case 'text':
        this.#meter.alloc(node.text.length);
        this.output.push(node.text);
        return 'on';
      case 'action': {
        const value = this.#pipeline(dot, node.pipe, scope);
        if (node.pipe.names.length > 0) return 'on';
        this.#node = node;
        // Printing pays for what it makes.
        if (typeof value === 'string') this.#meter.alloc(value.length);
        this.output.push(
          value === undefined || value === null
            ? '<no value>'
            : typeof value === 'string'
              ? value
              : sprint([value], this.#meter),
        );
        return 'on';
      }
      case 'break':
      case 'continue':
        return node.kind;
      case 'range':
        return this.#range(dot, node, scope);
      case 'template':
        this.#include(dot, node, scope);
        return 'on';
      default: {
        const mark = scope.vars.length;
        const value = this.#pipeline(dot, node.pipe, scope);
        let flow: Flow = 'on';
        if (truth(value)) {
          flow =
            node.kind === 'with'
              ? this.#under(undefined, () => this.block(value, node.body, scope))
              : this.block(dot, node.body, scope);
        } else if (node.otherwise !== undefined) flow = this.block(dot, node.otherwise, scope);
        scope.vars.length = mark;
        return flow;
      }
    }
  }

  /** Runs a body whose dot is of this static type. */
  #under(type: string | undefined, body: () => Flow): Flow {
    const outside = this.#dotType;
    this.#dotType = type;
    const flow = body();
    this.#dotType = outside;
    return flow;
  }

  #range(dot: Maybe, node: Branch, scope: Scope): Flow {
    const outside = scope.vars.length;
    const over = this.#pipeline(dot, node.pipe, scope);
    const inside = scope.vars.length;
    const { names, assigns } = node.pipe;
    let ran = false;

    /** Runs the body once; whether to go on. A `break` or `continue` in here is this range's own. */
    const once = (key: Maybe, item: Value, elem?: string): boolean => {
      ran = true;
      this.#meter.step();
      const [first, second] = names;
      if (first !== undefined) {
        if (assigns) this.#assign(first, second === undefined ? item : key, scope);
        else this.#setTop(1, item, scope, elem);
      }
      if (second !== undefined) {
        if (assigns) this.#assign(second, item, scope);
        else this.#setTop(2, key, scope);
      }
      const flow = this.#under(elem, () => this.block(item, node.body, scope));
      scope.vars.length = inside;
      return flow !== 'break';
    };

    const count = integerOf(over);
    if (count !== undefined) {
      if (names.length > 1)
        this.#fail(`can't use a value of type ${typeOf(over)} to iterate over more than one variable`);
      const type = typeOf(over);
      for (let i = 0n; i < count; i++) {
        if (!once(undefined, type === 'int' ? i : new Sized(type, i))) break;
      }
    } else if (over instanceof List) {
      let i = 0n;
      for (const item of over.items) if (!once(i++, item, over.elem)) break;
    } else if (over instanceof Dict) {
      for (const key of over.sortedKeys()) if (!once(key, over.entries.get(key) ?? null, over.elem)) break;
    } else if (over !== undefined && over !== null) {
      this.#fail(`range can't iterate over a value of type ${typeOf(over)}`);
    }
    scope.vars.length = inside;
    let flow: Flow = 'on';
    if (!ran && node.otherwise !== undefined) flow = this.block(dot, node.otherwise, scope);
    scope.vars.length = outside;
    return flow === 'break' ? 'on' : flow;
  }

  #include(dot: Maybe, node: Include, scope: Scope): void {
    const block = this.#program.trees.get(node.name);
    if (block === undefined) this.#fail(`template ${quoteGo(node.name)} not defined`);
    if (scope.depth >= MAX_DEPTH) this.#meter.deep(scope.depth, MAX_DEPTH - 1);
    const data = node.pipe === undefined ? undefined : this.#pipeline(dot, node.pipe, scope);
    this.#template = node.name;
    const inner = { template: node.name, vars: [{ name: '$', value: data }], depth: scope.depth + 1 };
    this.#under(undefined, () => this.block(data, block, inner));
    this.#template = scope.template;
  }

  // Variables.

  #assign(name: string, value: Maybe, scope: Scope): void {
    const variable = scope.vars.findLast((each) => each.name === name);
    if (variable === undefined) this.#fail(`undefined variable: ${name}`);
    variable.value = value;
  }

  #setTop(fromTop: number, value: Maybe, scope: Scope, type?: string): void {
    const variable = scope.vars.at(-fromTop);
    if (variable === undefined) return;
    variable.value = value;
    if (type !== undefined) variable.type = type;
  }

  // Pipelines.

  #pipeline(dot: Maybe, pipe: Pipe, scope: Scope): Maybe {
    this.#node = pipe;
    let value: Final = MISSING;
    for (const command of pipe.commands) {
      value = this.#command(dot, command, value, scope);
      value ??= undefined; // a nil interface is unwrapped to no value
    }
    const result = value === MISSING ? undefined : value;
    for (const name of pipe.names) {
      if (pipe.assigns) this.#assign(name, result, scope);
      else scope.vars.push({ name, value: result });
    }
    return result;
  }

  #command(dot: Maybe, command: Command, final: Final, scope: Scope): Maybe {
    this.#meter.step();
    const { args } = command;
    const [first] = args;
    switch (first.kind) {
      case 'field':
        this.#node = first;
        return this.#fields(dot, dot, first, first.names, args, final, scope, this.#dotType);
      case 'chain':
        return this.#chain(dot, first, args, final, scope);
      case 'identifier':
        return this.#function(dot, first, command, args, final, scope);
      case 'pipe':
        this.#notAFunction(args, final);
        return this.#pipeline(dot, first, scope);
      case 'variable': {
        this.#node = first;
        const { value, type } = this.#variable(first.name, scope);
        if (first.fields.length > 0)
          return this.#fields(dot, value, first, first.fields, args, final, scope, type);
        this.#notAFunction(args, final);
        return value;
      }
      case 'nil':
        this.#node = first;
        this.#notAFunction(args, final);
        return this.#fail('nil is not a command');
      default:
        this.#node = first;
        this.#notAFunction(args, final);
        return first.kind === 'dot' ? dot : literal(first, undefined, this.#misfit);
    }
  }

  #notAFunction(args: readonly Operand[], final: Final): void {
    if (args.length <= 1 && final === MISSING) return;
    const first = args[0];
    this.#fail(`can't give argument to non-function ${first === undefined ? '' : sourceOf(first)}`);
  }

  #variable(name: string, scope: Scope): Scope['vars'][number] {
    const variable = scope.vars.findLast((each) => each.name === name);
    if (variable === undefined) this.#fail(`undefined variable: ${name}`);
    return variable;
  }

  #chain(dot: Maybe, chain: Chain, args: readonly Operand[], final: Final, scope: Scope): Maybe {
    this.#node = chain;
    if (chain.of.kind === 'nil') this.#fail(`indirection through explicit nil in ${sourceOf(chain)}`);
    const value = this.#argument(dot, chain.of, undefined, scope);
    return this.#fields(dot, value, chain, chain.fields, args, final, scope);
  }

  #fields(
    dot: Maybe,
    from: Maybe,
    node: Operand,
    names: readonly string[],
    args: readonly Operand[],
    final: Final,
    scope: Scope,
    staticType?: string,
  ): Maybe {
    let receiver = from;
    let type = from === null || from === undefined ? typeOf(from) : (staticType ?? typeOf(from));
    names.forEach((name, i) => {
      const last = i === names.length - 1;
      const owner = receiver;
      receiver = this.#field(dot, name, node, last ? args : [], last ? final : MISSING, owner, type, scope);
      // What a map holds is known to Go only as the map's element type.
      type = owner instanceof Dict ? owner.elem : typeOf(receiver);
    });
    return receiver;
  }

  #field(
    dot: Maybe,
    name: string,
    node: Operand,
    args: readonly Operand[],
    final: Final,
    receiver: Maybe,
    type: string,
    scope: Scope,
  ): Maybe {
    this.#meter.step();
    if (receiver === undefined) this.#fail(`nil data; no entry for key ${quoteGo(name)}`);
    if (receiver === null) this.#fail(`nil pointer evaluating ${ANY}.${name}`);
    const method = receiver instanceof Opaque ? receiver.method(name) : undefined;
    if (method !== undefined) {
      const row: Row = {
        params: method.params,
        variadic: false,
        run: (_call, values) => method.run(values as Value[]),
      };
      return this.#invoke(dot, row, name, node, args, final, scope);
    }
    if (receiver instanceof Dict) {
      if (args.length > 1 || final !== MISSING) this.#fail(`${name} is not a method but has arguments`);
      const value = receiver.entries.get(name);
      if (value !== undefined) return value;
      // Keys of the outermost data are public; those of a document within a secret are part of the secret.
      const near = receiver === this.#data ? nearestName(name, receiver.entries.keys()) : undefined;
      const hint = near === undefined ? '' : `; did you mean ${quoteGo(near)}?`;
      this.#fail(`map has no entry for key ${quoteGo(name)}${hint}`);
    }
    return this.#fail(`can't evaluate field ${name} in type ${type}`);
  }

  // Functions.

  #function(
    dot: Maybe,
    node: Identifier,
    where: Where,
    args: readonly Operand[],
    final: Final,
    scope: Scope,
  ): Maybe {
    this.#node = node;
    const row = this.#program.lookup(node.name);
    if (row === undefined) return this.#fail(`${quoteGo(node.name)} is not a defined function`);
    return this.#invoke(dot, row, node.name, where, args, final, scope);
  }

  #invoke(
    dot: Maybe,
    row: Row,
    name: string,
    where: Where,
    allArgs: readonly Operand[],
    final: Final,
    scope: Scope,
  ): Maybe {
    const args = allArgs.slice(1); // the first is the function itself
    const { params, variadic } = row;
    const given = args.length + (final === MISSING ? 0 : 1);
    const fixed = variadic ? params.length - 1 : args.length;
    if (given > MOST_ARGUMENTS) this.#fail(`too many arguments for ${name}: ${MOST_ARGUMENTS} are enough`);
    if (variadic && given < fixed) {
      this.#fail(`wrong number of args for ${name}: want at least ${fixed} got ${args.length}`);
    }
    if (!variadic && given !== params.length) {
      this.#fail(`wrong number of args for ${name}: want ${params.length} got ${given}`);
    }
    const paramAt = (i: number): string => (variadic && i >= fixed ? params.at(-1) : params[i]) ?? ANY;

    const stop = andOr(row);
    if (stop !== undefined) {
      let value: Maybe;
      for (const arg of args) {
        value = this.#argument(dot, arg, 'reflect.Value', scope);
        if (truth(value) === stop) return value;
      }
      return final === MISSING ? value : final;
    }

    const values = args.map((arg, i) => this.#argument(dot, arg, paramAt(i), scope));
    if (final !== MISSING) values.push(this.#fit(final, paramAt(given - 1)));
    this.#meter.step(costOf(values));
    try {
      const result = row.run(this.#call, values);
      // What was handed in has been paid for.
      if (typeof result === 'object' && values.includes(result)) return result;
      if (typeof result === 'string') this.#meter.alloc(result.length);
      else if (result instanceof List) this.#meter.alloc(result.items.length * 8);
      else if (result instanceof Dict) this.#meter.alloc(result.entries.size * 32);
      return result;
    } catch (error) {
      if (isFailure(error)) throw error;
      this.#node = where;
      // Only a function's own words are known to hold no value.
      if (!(error instanceof CallError)) throw error;
      return this.#fail(`error calling ${name}: ${error.message}`);
    }
  }

  #fit(value: Maybe, type: string | undefined): Maybe {
    return fitted(value, type, this.#misfit);
  }

  #argument(dot: Maybe, node: Operand, type: string | undefined, scope: Scope): Maybe {
    this.#meter.step();
    this.#node = node;
    switch (node.kind) {
      case 'dot':
        return this.#fit(dot, type);
      case 'nil':
        if (type === 'reflect.Value') return undefined;
        if (type === ANY) return null;
        return nilOf(type) ?? this.#fail(`cannot assign nil to ${type ?? ANY}`);
      case 'field':
        return this.#fit(
          this.#fields(dot, dot, node, node.names, [node], MISSING, scope, this.#dotType),
          type,
        );
      case 'variable': {
        const { value, type: known } = this.#variable(node.name, scope);
        const found =
          node.fields.length === 0
            ? value
            : this.#fields(dot, value, node, node.fields, [], MISSING, scope, known);
        return this.#fit(found, type);
      }
      case 'pipe':
        return this.#fit(this.#pipeline(dot, node, scope), type);
      case 'identifier':
        return this.#fit(this.#function(dot, node, node, [], MISSING, scope), type);
      case 'chain':
        return this.#fit(this.#chain(dot, node, [], MISSING, scope), type);
      default:
        return literal(node, type, this.#misfit);
    }
  }
}
