/**
 * Password policies: by what rules an engine makes the passwords it sets elsewhere. A password is put together so that it
 * meets every rule, never drawn until it happens to; whichever way, each place is filled from the system's randomness.
 * The text is what upstream takes: length, and rules "charset" with charset and min-chars.
 */

import { randomInt } from 'node:crypto';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { blocksOf, type HclItem, parseHcl } from '../../base/hcl.ts';
import type { Storage } from '../../storage/storage.ts';

export interface PasswordPolicy {
  readonly length: number;
  readonly rules: readonly { readonly charset: readonly string[]; readonly least: number }[];
}

const SHORTEST = 4;
const LONGEST = 100;
const MOST_RULES = 64;
const TEXT_LIMIT = 64 * 1024;
const FOLDER = 'password-policy/';

const letters = 'abcdefghijklmnopqrstuvwxyz';
/** What is used where no policy is named. */
export const DEFAULT_PASSWORDS: PasswordPolicy = {
  length: 20,
  rules: [letters, letters.toUpperCase(), '0123456789', '-'].map((text) => ({
    charset: [...text],
    least: 1,
  })),
};

const bad = (reason: string) => failure('password.policy', { reason });

/** @throws Failure password.policy, hcl.* */
export function parsePasswordPolicy(text: string): PasswordPolicy {
  if (text.length > TEXT_LIMIT) throw bad(`it is longer than ${TEXT_LIMIT} characters`);
  let length: number | undefined;
  const rules: PasswordPolicy['rules'][number][] = [];
  for (const item of parseHcl(text)) {
    const [name] = item.keys;
    if (name === 'length') length = wholeNumber(item, 'length');
    else if (name === 'rule')
      rules.push(...blocksOf(item).map((block) => readRule(block.label, block.items)));
    else throw bad(`line ${item.line}: "length" and "rule" are known here`);
  }
  if (length === undefined) throw bad('length is required');
  if (length < SHORTEST || length > LONGEST) throw bad(`length must be between ${SHORTEST} and ${LONGEST}`);
  if (rules.length === 0) throw bad('there must be at least one rule "charset"');
  if (rules.length > MOST_RULES) throw bad(`there may be at most ${MOST_RULES} rules`);
  const least = rules.reduce((sum, rule) => sum + rule.least, 0);
  if (least > length) throw bad('the rules ask for more characters than length has room for');
  return { length, rules };
}

function readRule(label: string, items: readonly HclItem[]): PasswordPolicy['rules'][number] {
  if (label !== 'charset') throw bad('the only kind of rule is "charset"');
  let charset: string[] | undefined;
  let least = 0;
  for (const item of items) {
    const [name] = item.keys;
    if (name === 'charset') {
      if (item.value.kind !== 'string') throw bad(`line ${item.line}: charset must be a text`);
      charset = [...new Set(item.value.value)];
    } else if (name === 'min-chars' || name === 'min_chars') least = wholeNumber(item, 'min-chars');
    else throw bad(`line ${item.line}: "charset" and "min-chars" are known here`);
  }
  if (charset === undefined || charset.length === 0) throw bad('a charset may not be empty');
  if (charset.some((character) => !/^[\p{L}\p{N}\p{P}\p{S} ]$/u.test(character)))
    throw bad('a charset holds what cannot be printed');
  if (least < 0) throw bad('min-chars may not be negative');
  return { charset, least };
}

function wholeNumber(item: HclItem, name: string): number {
  const value = item.value.kind === 'number' ? Number(item.value.text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw bad(`line ${item.line}: ${name} must be a whole number`);
  return value;
}

/** A password by the policy. @param below gives an even random number from 0 to below `limit` */
export function makePassword(policy: PasswordPolicy, below: (limit: number) => number = randomInt): string {
  const union = [...new Set(policy.rules.flatMap((rule) => rule.charset))];
  const pick = (from: readonly string[]): string => from[below(from.length)] ?? '';
  const characters = policy.rules.flatMap((rule) =>
    Array.from({ length: rule.least }, () => pick(rule.charset)),
  );
  while (characters.length < policy.length) characters.push(pick(union));
  for (let last = characters.length - 1; last > 0; last--) {
    const other = below(last + 1);
    const [a, b] = [characters[last] ?? '', characters[other] ?? ''];
    characters[last] = b;
    characters[other] = a;
  }
  return characters.join('');
}

/** The policies by name, as they were written. */
export class PasswordPolicies {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  names(): Promise<string[]> {
    return this.#storage.list(FOLDER);
  }

  async text(name: string): Promise<string | undefined> {
    const entry = await this.#storage.get(FOLDER + name);
    return entry && (textOf(entry.value) ?? '');
  }

  /** @throws Failure password.policy, hcl.* */
  async write(name: string, text: string): Promise<void> {
    if (!/^[\w.-]+$/.test(name)) throw bad('its name may hold letters, digits, ".", "_" and "-"');
    parsePasswordPolicy(text);
    await this.#storage.commit([{ key: FOLDER + name, value: utf8(text) }]);
  }

  async delete(name: string): Promise<void> {
    await this.#storage.commit([{ key: FOLDER + name, delete: true }]);
  }

  /** A password by the named policy, or by the default one. @throws Failure password.unknown */
  async make(name?: string): Promise<string> {
    if (name === undefined || name === '') return makePassword(DEFAULT_PASSWORDS);
    const text = await this.text(name);
    if (text === undefined) throw failure('password.unknown', { name });
    try {
      return makePassword(parsePasswordPolicy(text));
    } catch (error) {
      // It was read when it was written: by now it can only be damaged.
      if (isFailure(error, 'password.policy')) throw failure('storage.corrupt', { key: FOLDER + name });
      throw error;
    }
  }
}
