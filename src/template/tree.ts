/**
 * The tree of a template, and how a node reads as source again: Go's messages say `at <.user.name>` in these words.
 */

export interface Field {
  readonly kind: 'field';
  readonly at: number;
  readonly names: readonly string[];
}
export interface Variable {
  readonly kind: 'variable';
  readonly at: number;
  /** With its dollar. */
  readonly name: string;
  readonly fields: readonly string[];
}
export interface Chain {
  readonly kind: 'chain';
  readonly at: number;
  readonly of: Operand;
  readonly fields: readonly string[];
}
export interface Identifier {
  readonly kind: 'identifier';
  readonly at: number;
  readonly name: string;
}
export interface NumberLiteral {
  readonly kind: 'number';
  readonly at: number;
  readonly text: string;
  /** Set where the literal is an integer of 64 bits, or a character. */
  readonly int?: bigint;
  readonly float?: number;
  /** Whether it is written as a float: a point or an exponent. */
  readonly isFloat: boolean;
}
export interface StringLiteral {
  readonly kind: 'string';
  readonly at: number;
  /** As it was written. */
  readonly quoted: string;
  readonly text: string;
}
export type Constant =
  | { readonly kind: 'bool'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'dot'; readonly at: number }
  | { readonly kind: 'nil'; readonly at: number }
  | NumberLiteral
  | StringLiteral;

/** A constant that stands for itself. */
export type Literal = Exclude<Constant, { kind: 'dot' | 'nil' }>;

export type Operand = Field | Variable | Chain | Identifier | Constant | Pipe;

export interface Command {
  readonly kind: 'command';
  readonly at: number;
  readonly args: readonly [Operand, ...Operand[]];
}
export interface Pipe {
  readonly kind: 'pipe';
  readonly at: number;
  /** Variables that it declares or assigns, with their dollars. */
  readonly names: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export interface Branch {
  readonly kind: 'if' | 'with' | 'range';
  readonly at: number;
  readonly pipe: Pipe;
  readonly body: Block;
  readonly otherwise: Block | undefined;
}
export interface Include {
  readonly kind: 'template';
  readonly at: number;
  readonly name: string;
  readonly pipe: Pipe | undefined;
}
export type Node =
  | { readonly kind: 'text'; readonly at: number; readonly text: string }
  | { readonly kind: 'action'; readonly at: number; readonly pipe: Pipe }
  | { readonly kind: 'break' | 'continue'; readonly at: number }
  | Branch
  | Include;
export type Block = readonly Node[];

/** A node as source. */
export function sourceOf(node: Operand | Command | Node): string {
  switch (node.kind) {
    case 'field':
      return dotted(node.names);
    case 'variable':
      return node.name + dotted(node.fields);
    case 'chain':
      return (node.of.kind === 'pipe' ? `(${sourceOf(node.of)})` : sourceOf(node.of)) + dotted(node.fields);
    case 'identifier':
      return node.name;
    case 'number':
      return node.text;
    case 'string':
      return node.quoted;
    case 'bool':
      return String(node.value);
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    case 'command':
      return node.args.map((arg) => (arg.kind === 'pipe' ? `(${sourceOf(arg)})` : sourceOf(arg))).join(' ');
    case 'pipe': {
      const names = node.names.length > 0 ? `${node.names.join(', ')} ${node.assigns ? '=' : ':='} ` : '';
      return names + node.commands.map(sourceOf).join(' | ');
    }
    case 'action':
      return `{{${sourceOf(node.pipe)}}}`;
    case 'template':
      return `{{template ${JSON.stringify(node.name)}${node.pipe === undefined ? '' : ` ${sourceOf(node.pipe)}`}}}`;
    case 'text':
      return node.text;
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`;
    default:
      return `{{${node.kind} ${sourceOf(node.pipe)}}}`;
  }
}

const dotted = (names: readonly string[]): string => names.map((name) => `.${name}`).join('');
