/** The grammar of JSON paths: text into steps. Nothing is evaluated here. */

/** A path that cannot be read; the message says where and never quotes a value. */
export class PathError extends Error {
  override readonly name = 'PathError';
}

export type Literal = null | boolean | number | string;

export type Condition =
  | { readonly op: '==' | '!=' | '<' | '<=' | '>' | '>='; readonly left: Operand; readonly right: Operand }
  | { readonly op: '&&' | '||'; readonly left: Condition; readonly right: Condition }
  | { readonly op: '!'; readonly of: Condition }
  /** True where the path finds something, or for the literal `true`. */
  | { readonly op: 'is'; readonly of: Operand };

export type Operand =
  | { readonly literal: Literal }
  | { readonly from: '$' | '@'; readonly steps: readonly Step[] };

export type Select =
  | { readonly names: readonly string[] }
  | { readonly indices: readonly number[] }
  | { readonly slice: readonly [number | undefined, number | undefined, number | undefined] }
  | { readonly all: true }
  | { readonly where: Condition };

export interface Step {
  readonly select: Select;
  /** `..`: from each value below, and from the value itself. */
  readonly descend: boolean;
}

/** What paths of manifests may be made of: more is a mistake, or an attack. */
const LONGEST = 4096;
const DEEPEST = 32;

/** A whole path; the leading "$" may be left out, as upstream has it. @throws PathError */
export function parsePath(text: string): readonly Step[] {
  if (text.length > LONGEST) throw new PathError(`longer than ${LONGEST} characters`);
  const reader = new Reader(text);
  reader.space();
  const steps = [...(reader.take('$') ? [] : [reader.bareName()]), ...readSteps(reader)];
  reader.space();
  if (!reader.ended) throw reader.unexpected();
  return steps;
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at >= this.#text.length;
  }

  unexpected(): PathError {
    const what = this.ended ? 'its end' : `"${this.#text[this.#at]}"`;
    return new PathError(`unexpected ${what} at character ${this.#at + 1}`);
  }

  space(): void {
    while (/^\s$/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  /** Whether the word stands next; it is then behind us. */
  take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  need(word: string): void {
    this.space();
    if (!this.take(word)) throw this.unexpected();
  }

  match(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern.source, 'uy');
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  name(): string | undefined {
    return this.match(/[\p{L}_][\p{L}\p{Nd}_]*/u);
  }

  bareName(): Step {
    const name = this.name();
    if (name === undefined) throw this.unexpected();
    return { select: { names: [name] }, descend: false };
  }

  /** A text in double quotes, as JSON has it, or in single ones. */
  quoted(): string | undefined {
    const found = this.match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/);
    if (found === undefined) return undefined;
    const inner = found.slice(1, -1);
    const text = found.startsWith('"') ? inner : inner.replace(/\\'/g, "'").replace(/(?<!\\)"/g, '\\"');
    try {
      return JSON.parse(`"${text}"`) as string;
    } catch {
      throw new PathError(`a text before character ${this.#at + 1} is not quoted as JSON is`);
    }
  }

  within<T>(read: () => T): T {
    if (++this.#depth > DEEPEST) throw new PathError(`nested deeper than ${DEEPEST}`);
    const value = read();
    this.#depth--;
    return value;
  }
}

function readSteps(reader: Reader): Step[] {
  const steps: Step[] = [];
  for (;;) {
    reader.space();
    if (reader.take('[')) {
      steps.push({ select: readBracket(reader), descend: false });
    } else if (reader.take('..')) {
      reader.space();
      steps.push({ select: reader.take('[') ? readBracket(reader) : readMember(reader), descend: true });
    } else if (reader.take('.')) {
      reader.space();
      steps.push({ select: readMember(reader), descend: false });
    } else return steps;
  }
}

function readMember(reader: Reader): Select {
  if (reader.take('*')) return { all: true };
  const name = reader.name();
  if (name === undefined) throw reader.unexpected();
  return { names: [name] };
}

function readBracket(reader: Reader): Select {
  const select = reader.within(() => readSelect(reader));
  reader.need(']');
  return select;
}

function readSelect(reader: Reader): Select {
  reader.space();
  if (reader.take('*')) return { all: true };
  if (reader.take('?')) return { where: readEither(reader) };
  const text = reader.quoted();
  if (text !== undefined) return { names: [text, ...more(reader, () => reader.quoted())] };
  const first = integer(reader);
  reader.space();
  if (!reader.take(':')) {
    if (first === undefined) throw reader.unexpected();
    return { indices: [first, ...more(reader, () => integer(reader))] };
  }
  reader.space();
  const end = integer(reader);
  reader.space();
  const stride = reader.take(':') ? integer(reader) : undefined;
  return { slice: [first, end, stride] };
}

function more<T>(reader: Reader, read: () => T | undefined): T[] {
  const items: T[] = [];
  for (reader.space(); reader.take(','); reader.space()) {
    reader.space();
    const item = read();
    if (item === undefined) throw reader.unexpected();
    items.push(item);
  }
  return items;
}

function integer(reader: Reader): number | undefined {
  const digits = reader.match(/-?\d{1,9}/);
  return digits === undefined ? undefined : Number(digits);
}

function readEither(reader: Reader): Condition {
  let left = readBoth(reader);
  for (reader.space(); reader.take('||'); reader.space()) left = { op: '||', left, right: readBoth(reader) };
  return left;
}

function readBoth(reader: Reader): Condition {
  let left = readOne(reader);
  for (reader.space(); reader.take('&&'); reader.space()) left = { op: '&&', left, right: readOne(reader) };
  return left;
}

function readOne(reader: Reader): Condition {
  return reader.within(() => {
    reader.space();
    if (reader.take('!')) return { op: '!', of: readOne(reader) };
    if (reader.take('(')) {
      const inner = readEither(reader);
      reader.need(')');
      return inner;
    }
    const left = readOperand(reader);
    reader.space();
    for (const op of ['==', '!=', '<=', '>=', '<', '>'] as const)
      if (reader.take(op)) return { op, left, right: readOperand(reader) };
    return { op: 'is', of: left };
  });
}

const WORDS: ReadonlyMap<string, Literal> = new Map<string, Literal>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

function readOperand(reader: Reader): Operand {
  reader.space();
  for (const from of ['@', '$'] as const) if (reader.take(from)) return { from, steps: readSteps(reader) };
  const text = reader.quoted();
  if (text !== undefined) return { literal: text };
  const number = reader.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/);
  if (number !== undefined) return { literal: Number(number) };
  const word = WORDS.get(reader.name() ?? '');
  if (word === undefined) throw reader.unexpected();
  return { literal: word };
}
