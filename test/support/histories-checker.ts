/**
 * Whether a history is linearizable: whether its operations have an order in which each happens at one moment between its
 * question and its answer, and every client was told what is so at that moment. A search by Wing and Gong (1993) with the
 * memory that Lowe added (2017): a set of operations that happened, with what the key holds then, is tried once.
 */

import { byKey, EMPTY, type Operation, type Register, shown, step } from './histories.ts';

export interface Verdict {
  readonly keys: number;
  readonly operations: number;
  /** Each key whose operations have no such order, with what the search was stuck at. */
  readonly wrong: readonly string[];
  /** Each key whose search was given up. */
  readonly undecided: readonly string[];
}

/** How many states of one key are looked at before its search is given up. */
const STATES = 2_000_000;

/** Checks each key by itself: linearizability is local (Herlihy and Wing, theorem 1). */
export function check(history: readonly Operation[], states: number = STATES): Verdict {
  const wrong: string[] = [];
  const undecided: string[] = [];
  let operations = 0;
  const keys = byKey(history);
  for (const [key, mine] of keys) {
    operations += mine.length;
    const found = search(mine, states);
    if (found === 'undecided') undecided.push(key);
    else if (found !== undefined) wrong.push(found);
  }
  return { keys: keys.size, operations, wrong, undecided };
}

/** An operation in the list of those that have not happened yet. */
interface Item {
  readonly operation: Operation;
  readonly index: number;
  /** Whether it has to happen: what nobody was told of may be left out. */
  readonly owed: boolean;
  /** The version that the key has to have for it, where it says so. */
  readonly needs: number | undefined;
}

interface Taken {
  readonly item: Item;
  readonly before: Register;
  /** Where the search goes on when this turns out wrong. */
  readonly next: number;
}

/** @returns undefined where there is an order; else where the search got furthest, in words */
function search(operations: readonly Operation[], states: number): string | undefined {
  const items = operations.map(itemOf);
  const open = new Set(items.filter(({ owed }) => owed));
  const happened = new Set<Item>();
  const path: Taken[] = [];
  const seen = new Set<string>();
  let state = EMPTY;
  let from = 0;
  let furthest: { readonly count: number; readonly text: string } = { count: -1, text: '' };
  for (;;) {
    if (open.size === 0) return undefined;
    const choices = choicesOf(items, open, happened, state);
    let moved = false;
    for (let at = from; at < choices.length; at++) {
      const item = choices[at]!;
      const after = step(state, item.operation);
      if (after === undefined) continue;
      happened.add(item);
      const mark = markOf(items, happened, after);
      if (seen.has(mark)) {
        happened.delete(item);
        continue;
      }
      if (seen.size >= states) return 'undecided';
      seen.add(mark);
      open.delete(item);
      path.push({ item, before: state, next: at + 1 });
      state = after;
      from = 0;
      moved = true;
      break;
    }
    if (moved) continue;
    if (path.length > furthest.count) furthest = { count: path.length, text: stuck(choices, state) };
    const back = path.pop();
    if (back === undefined) return `${operations[0]?.key}: ${furthest.text}`;
    happened.delete(back.item);
    if (back.item.owed) open.add(back.item);
    state = back.before;
    from = back.next;
  }
}

function itemOf(operation: Operation, index: number): Item {
  const { asked, outcome, told } = operation;
  const owed = outcome !== 'unknown' || told !== undefined;
  const needs =
    told === undefined
      ? undefined
      : asked.kind === 'read'
        ? told.version
        : asked.kind === 'delete'
          ? undefined
          : told.version - 1;
  return { operation, index, owed, needs };
}

/**
 * What may happen next: whatever was asked for before the first of the owed ones was answered. What is owed comes first.
 * A version only rises, so a state that is past what an owed one needs leads nowhere.
 */
function choicesOf(
  items: readonly Item[],
  open: ReadonlySet<Item>,
  happened: ReadonlySet<Item>,
  state: Register,
): Item[] {
  let end = Number.POSITIVE_INFINITY;
  for (const { operation, needs } of open) {
    if (needs !== undefined && needs < state.version) return [];
    if (operation.outcome !== 'unknown') end = Math.min(end, operation.returned);
  }
  const owed: Item[] = [];
  const free: Item[] = [];
  let deletes = false;
  for (const item of items) {
    const { invoked, asked } = item.operation;
    if (invoked > end) break;
    if (happened.has(item)) continue;
    if (item.owed) {
      owed.push(item);
      continue;
    }
    // Deletions that nobody was told of are all alike: one of them stands for the others, and where there is no value for none.
    if (asked.kind === 'delete' && (deletes || state.value === undefined)) continue;
    deletes ||= asked.kind === 'delete';
    free.push(item);
  }
  return [...owed, ...free];
}

/** What happened, as a text: all before an index, and single ones behind it. */
function markOf(items: readonly Item[], happened: ReadonlySet<Item>, state: Register): string {
  let first = 0;
  while (first < items.length && happened.has(items[first]!)) first++;
  const beyond: number[] = [];
  let left = happened.size - first;
  for (let at = first; left > 0; at++)
    if (happened.has(items[at]!)) {
      beyond.push(at);
      left--;
    }
  return `${first};${beyond.join(',')};${state.version};${state.value ?? ''}`;
}

const stuck = (choices: readonly Item[], state: Register): string =>
  `while it holds version ${state.version} = ${state.value ?? 'nothing'}, none of these can come next: ${choices
    .slice(0, 6)
    .map(({ operation }) => shown(operation))
    .join('; ')}`;
