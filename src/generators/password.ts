/**
 * Password: random characters by the rules of external-secrets v2.9, which are those of the library that it uses
 * (sethvargo/go-password), its errors in the same words.
 */

import { randomInt } from 'node:crypto';
import { toBase32 } from '../base/base32.ts';
import { base64, hex, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { passwordSpec } from '../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../provider/generator.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';
const SYMBOLS = '~!@#$%^&*()_+`-={}|[]\\:"<>?,./';
const DEFAULT_LENGTH = 24;
/** Of the length, where the manifest does not say how many digits or symbols there should be. */
const SHARE = 0.25;

type Spec = ReturnType<typeof passwordSpec.parse>;

export const passwordGenerator: GeneratorType<Spec> = {
  kind: 'Password',
  spec: passwordSpec,
  async generate(spec, { store }) {
    const keys = spec.secretKeys ?? ['password'];
    if (new Set(keys).size !== keys.length)
      throw failure('provider.spec', { store, reason: 'secretKeys must be non-empty and unique' });
    return new Map(keys.map((key) => [key, encoded(password(spec, store), spec.encoding)]));
  },
};

/** One password. @throws Failure provider.spec for rules that no password keeps */
export function password(spec: Spec, store: string): string {
  const length = spec.length || DEFAULT_LENGTH;
  const digits = spec.digits ?? Math.trunc(length * SHARE);
  const symbols = spec.symbols ?? Math.trunc(length * SHARE);
  const letters = length - digits - symbols;
  if (letters < 0)
    throw failure('provider.spec', {
      store,
      reason: 'number of digits and symbols must be less than total length',
    });
  const kinds = [
    { name: 'letters', count: letters, from: spec.noUpper ? LOWER : LOWER + UPPER },
    { name: 'digits', count: digits, from: DIGITS },
    { name: 'symbols', count: symbols, from: spec.symbolCharacters || SYMBOLS },
  ];
  const drawn = kinds.flatMap(({ name, count, from }) => {
    const characters = [...new Set(from)];
    if (spec.allowRepeat)
      return Array.from({ length: count }, () => characters[randomInt(characters.length)]);
    if (count > characters.length)
      throw failure('provider.spec', {
        store,
        reason: `number of ${name} exceeds available ${name} and repeats are not allowed`,
      });
    return shuffled(characters).slice(0, count);
  });
  return shuffled(drawn).join('');
}

/** Every order with the same chance (Fisher and Yates). */
function shuffled<T>(given: readonly T[]): T[] {
  const items = [...given];
  for (let at = items.length - 1; at > 0; at--) {
    const other = randomInt(at + 1);
    [items[at], items[other]] = [items[other] as T, items[at] as T];
  }
  return items;
}

function encoded(text: string, encoding: Spec['encoding']): Uint8Array {
  const bytes = utf8(text);
  switch (encoding) {
    case 'raw':
      return bytes;
    case 'hex':
      return utf8(hex(bytes));
    case 'base64':
      return utf8(base64(bytes));
    case 'base64url':
      // Padded, as Go's URLEncoding is.
      return utf8(base64(bytes).replaceAll('+', '-').replaceAll('/', '_'));
    case 'base32': {
      const bare = toBase32(bytes);
      return utf8(bare.padEnd(Math.ceil(bare.length / 8) * 8, '='));
    }
  }
}
