/**
 * The keys that a template surely reads. What stands under a condition may be guarded by it, and what `and` and `or` skip is
 * never looked at: only what every rendering comes by counts.
 */

import { functions } from '../../template/index.ts';
import { parse } from '../../template/parse.ts';
import { fromText, toText } from '../../template/text.ts';
import type { Block, Node, Operand, Pipe } from '../../template/tree.ts';

export interface Reference {
  readonly key: string;
  /** Lines from 1, columns from 0 in characters. */
  readonly line: number;
  readonly column: number;
  /** `field`: an absent key ends the rendering. `index`: it becomes an empty text. */
  readonly by: 'field' | 'index';
}

/** @throws Failure template.parse */
export function referencesOf(name: string, text: string): readonly Reference[] {
  const source = fromText(text);
  const { trees } = parse(name, source, { left: '{{', right: '}}' }, (wanted) => functions.has(wanted));
  const found: Reference[] = [];
  const at = (offset: number): { line: number; column: number } => {
    const before = toText(source.slice(0, offset));
    return { line: before.split('\n').length, column: before.length - (before.lastIndexOf('\n') + 1) };
  };
  const add = (key: string, offset: number, by: Reference['by']): void => {
    found.push({ key: toText(key), ...at(offset), by });
  };
  for (const node of trees.get(name) ?? ([] as Block)) ofNode(node, add);
  return found;
}

type Add = (key: string, offset: number, by: Reference['by']) => void;

function ofNode(node: Node, add: Add): void {
  if ('pipe' in node && node.pipe !== undefined) ofPipe(node.pipe, add);
}

function ofPipe(pipe: Pipe, add: Add): void {
  for (const { args } of pipe.commands) {
    const [first, second, third] = args;
    const skips = first.kind === 'identifier' && (first.name === 'and' || first.name === 'or');
    for (const arg of skips ? args.slice(0, 2) : args) ofOperand(arg, add);
    if (first.kind !== 'identifier' || first.name !== 'index') continue;
    if (second !== undefined && isRoot(second) && third?.kind === 'string')
      add(third.text, third.at, 'index');
  }
}

const isRoot = (operand: Operand): boolean =>
  operand.kind === 'dot' ||
  (operand.kind === 'variable' && operand.name === '$' && operand.fields.length === 0);

function ofOperand(operand: Operand, add: Add): void {
  if (operand.kind === 'field') add(operand.names[0] ?? '', operand.at, 'field');
  else if (operand.kind === 'variable' && operand.name === '$' && operand.fields[0] !== undefined)
    add(operand.fields[0], operand.at, 'field');
  else if (operand.kind === 'pipe') ofPipe(operand, add);
  else if (operand.kind === 'chain') ofOperand(operand.of, add);
}
