/**
 * Names of accounts, made from a template as Vault has them: text, and pipelines in {{ }} of printf, random, truncate,
 * truncate_sha256, uppercase, lowercase, replace, sha256, base64, unix_time, unix_time_millis, timestamp and uuid over
 * .DisplayName and .RoleName. Those two come from whoever logs in: what could mean something elsewhere is taken out first.
 */

import { base64, sha256, utf8 } from '../base/bytes.ts';
import type { Failure } from '../base/errors.ts';
import { own } from '../base/own.ts';
import { base62, uuid } from '../crypto/random.ts';

/** What a name is made for, and when (milliseconds since the epoch). */
export interface NameFacts {
  readonly displayName: string;
  readonly roleName: string;
  readonly now: number;
}

export type Make = (facts: NameFacts) => string;

/** What a template may name after a dot, and what it stands for there. */
export type Fields = Readonly<Record<string, Make>>;

/** Why a template cannot be used; each engine tells it in the words that its clients know. */
class Unusable extends Error {}

const TEMPLATE_LIMIT = 4096;
const RANDOM_LIMIT = 128;

/** A display name is what somebody is called elsewhere. */
const tamed = (text: string): string => text.replace(/[^\w.@+-]/g, '-');

const ACCOUNT: Fields = {
  DisplayName: (facts) => tamed(facts.displayName),
  RoleName: (facts) => tamed(facts.roleName),
};

/**
 * Reads a template once, so that a wrong one is refused when it is written and not when somebody needs an account.
 * @param refused makes the failure for a template, or a name, that cannot be used
 * @param fields what it may name; those of its own that an engine brings have to tame what callers are called
 * @throws that failure, here or when a name is made
 */
export function compileTemplate(
  template: string,
  refused: (reason: string) => Failure,
  fields: Fields = ACCOUNT,
): Make {
  const told = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw error instanceof Unusable ? refused(error.message) : error;
    }
  };
  const make = told(() => compile(template, fields));
  return (facts) => told(() => make(facts));
}

function compile(template: string, fields: Fields): Make {
  if (template.length > TEMPLATE_LIMIT) throw bad(`it is longer than ${TEMPLATE_LIMIT} characters`);
  const parts: Make[] = [];
  for (const [at, piece] of template.split(/\{\{-?(.*?)-?\}\}/s).entries()) {
    if (at % 2 === 1) parts.push(new Reader(piece, fields).whole());
    else if (/\{\{|\}\}/.test(piece)) throw bad('a "{{" and a "}}" belong together');
    else parts.push(() => piece);
  }
  return (facts) => {
    const name = parts.map((part) => part(facts)).join('');
    if (name === '') throw bad('it makes an empty name');
    return name;
  };
}

const TOKEN =
  /\s*(?:(\()|(\))|(\|)|\.([A-Za-z]+)|"((?:[^"\\]|\\["\\])*)"|`([^`]*)`|(\d{1,4})(?![\w])|([a-z_0-9]+))/y;

/** A pipeline of functions; the value before a bar is the last argument of what follows it. */
class Reader {
  readonly #text: string;
  readonly #fields: Fields;
  #at = 0;

  constructor(text: string, fields: Fields) {
    this.#text = text.trim();
    this.#fields = fields;
  }

  whole(): Make {
    const make = this.#pipeline();
    if (this.#at < this.#text.length)
      throw bad(`unexpected ${JSON.stringify(this.#text.slice(this.#at, this.#at + 20))}`);
    return make;
  }

  #next(): RegExpExecArray | undefined {
    TOKEN.lastIndex = this.#at;
    return TOKEN.exec(this.#text) ?? undefined;
  }

  #pipeline(): Make {
    let made = this.#command(undefined);
    for (let token = this.#next(); token?.[3] !== undefined; token = this.#next()) {
      this.#at += token[0].length;
      made = this.#command(made);
    }
    return made;
  }

  #command(piped: Make | undefined): Make {
    const first = this.#next();
    if (first?.[8] === undefined) {
      if (piped !== undefined) throw bad('a function must follow "|"');
      return this.#operand();
    }
    this.#at += first[0].length;
    const given: Make[] = [];
    for (let token = this.#next(); token !== undefined; token = this.#next()) {
      if (token[2] !== undefined || token[3] !== undefined) break;
      given.push(this.#operand());
    }
    return call(first[8], piped === undefined ? given : [...given, piped]);
  }

  #operand(): Make {
    const token = this.#next();
    if (token === undefined) throw bad('a value is missing');
    this.#at += token[0].length;
    const [, open, , , field, quoted, raw, digits, name] = token;
    if (open !== undefined) {
      const inner = this.#pipeline();
      const close = this.#next();
      if (close?.[2] === undefined) throw bad('a ")" is missing');
      this.#at += close[0].length;
      return inner;
    }
    if (field !== undefined) return fieldOf(field, this.#fields);
    if (name !== undefined) return call(name, []);
    const text = quoted?.replace(/\\(.)/g, '$1') ?? raw ?? digits;
    if (text === undefined) throw bad('a value is missing');
    return () => text;
  }
}

function fieldOf(field: string, fields: Fields): Make {
  const known = own(fields, field);
  if (known !== undefined) return known;
  const names = Object.keys(fields).map((name) => `.${name}`);
  throw bad(`there is no .${field}; ${names.join(' and ')} are known`);
}

type Function = (args: readonly string[], facts: NameFacts) => string;

const cut = (text: string, length: number): string => [...text].slice(0, length).join('');
const digest = (text: string): string => sha256(text).toString('hex');

const FUNCTIONS: Readonly<Record<string, { readonly arity: number; readonly run: Function }>> = {
  random: { arity: 1, run: ([n]) => base62(sized(n, RANDOM_LIMIT)) },
  truncate: { arity: 2, run: ([n, text = '']) => cut(text, sized(n, TEMPLATE_LIMIT)) },
  truncate_sha256: {
    arity: 2,
    run([n, text = '']) {
      const size = sized(n, TEMPLATE_LIMIT);
      if (size <= 8) throw bad('truncate_sha256 needs more than 8 characters');
      return [...text].length <= size ? text : cut(text, size - 8) + digest(text).slice(0, 8);
    },
  },
  uppercase: { arity: 1, run: ([text = '']) => text.toUpperCase() },
  lowercase: { arity: 1, run: ([text = '']) => text.toLowerCase() },
  replace: { arity: 3, run: ([from = '', to = '', text = '']) => text.replaceAll(from, () => to) },
  sha256: { arity: 1, run: ([text = '']) => digest(text) },
  base64: { arity: 1, run: ([text = '']) => base64(utf8(text)) },
  unix_time: { arity: 0, run: (_, { now }) => String(Math.floor(now / 1000)) },
  unix_time_millis: { arity: 0, run: (_, { now }) => String(Math.floor(now)) },
  timestamp: { arity: 1, run: ([layout = ''], { now }) => timestamp(layout, now) },
  uuid: { arity: 0, run: () => uuid() },
};

function call(name: string, args: readonly Make[]): Make {
  if (name === 'printf') return printf(args);
  const known = own(FUNCTIONS, name);
  if (known === undefined) throw bad(`there is no function ${name.slice(0, 40)}`);
  if (args.length !== known.arity) throw bad(`${name} takes ${known.arity} values`);
  return (facts) =>
    known.run(
      args.map((make) => make(facts)),
      facts,
    );
}

function printf([format, ...args]: readonly Make[]): Make {
  if (format === undefined) throw bad('printf takes a format');
  return (facts) => {
    const values = args.map((make) => make(facts));
    const text = format(facts).replace(/%(.?)/g, (_, verb: string) => {
      if (verb === '%') return '%';
      const value = values.shift();
      if (!/^[sdv]$/.test(verb)) throw bad('printf takes %s, %d and %v');
      // As Go has it: the template that upstream documents for older MySQL has a value too few, and cuts this away.
      return value ?? `%!${verb}(MISSING)`;
    });
    if (values.length > 0) throw bad('printf was given more values than its format takes');
    return text;
  };
}

/** The layout names the parts of Go's reference time, 2006-01-02 15:04:05. */
function timestamp(layout: string, now: number): string {
  const iso = new Date(now).toISOString();
  const parts: Readonly<Record<string, string>> = {
    '2006': iso.slice(0, 4),
    '01': iso.slice(5, 7),
    '02': iso.slice(8, 10),
    '15': iso.slice(11, 13),
    '04': iso.slice(14, 16),
    '05': iso.slice(17, 19),
  };
  return layout.replace(/2006|01|02|15|04|05/g, (part) => parts[part] ?? part);
}

function sized(text: string | undefined, limit: number): number {
  const size = /^\d+$/.test(text ?? '') ? Number(text) : 0;
  if (size < 1 || size > limit) throw bad(`a length must be a number from 1 to ${limit}`);
  return size;
}

const bad = (reason: string) => new Unusable(reason);
