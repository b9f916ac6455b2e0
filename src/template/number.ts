/** Number literals of templates, by Go's rules: prefixes 0x 0o 0b and a leading 0, underscores, characters, exponents. */

import { decodeRune, unquoteGo } from './text.ts';
import type { NumberLiteral } from './tree.ts';

const MAX = 0x7fffffffffffffffn;
const MIN = -0x8000000000000000n;
const LONGEST = 1000;
const UNDERSCORES = /^(?:0[xXoObB]?)?(?:_?[0-9a-fA-F])+$/;

/** Go's strconv.ParseInt(text, 0, 64): undefined for what is no integer, or does not fit. */
export function parseInteger(text: string): bigint | undefined {
  // No 64 bits are written so; reading a million digits takes a second.
  if (text.length > LONGEST) return undefined;
  const value = parseBig(text);
  return value === undefined || value > MAX || value < MIN ? undefined : value;
}

/** As `parseInteger`, without bounds. */
function parseBig(text: string): bigint | undefined {
  const [, sign, digits = ''] = /^([+-]?)(.+)$/s.exec(text) ?? [];
  if (digits.includes('_') && !UNDERSCORES.test(digits)) return undefined;
  const plain = digits.replaceAll('_', '').toLowerCase();
  let value: bigint;
  if (/^(0x[0-9a-f]+|0o[0-7]+|0b[01]+|[1-9][0-9]*|0)$/.test(plain)) value = BigInt(plain);
  else if (/^0[0-7]+$/.test(plain)) value = BigInt(`0o${plain.slice(1)}`);
  else return undefined;
  return sign === '-' ? -value : value;
}

/** Go's strconv.ParseFloat(text, 64) of plain text: undefined for what is no number; overflow gives an infinity. */
export function parseFloatGo(text: string): number | undefined {
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (special !== null) {
    if (special[2]?.toLowerCase() === 'nan') return Number.NaN;
    return special[1] === '-' ? -Infinity : Infinity;
  }
  const hex = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?[0-9]+)$/.exec(text);
  if (hex !== null) {
    const [, sign, whole = '', part = '', exponent = '0'] = hex;
    if (whole + part === '') return undefined;
    const value = Number(BigInt(`0x${whole}${part}`)) * 2 ** (Number(exponent) - 4 * part.length);
    return sign === '-' ? -value : value;
  }
  if (!/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text)) return undefined;
  return Number(text);
}

/** The literal in `text`, or the words of what is wrong with it. */
export function readNumber(text: string, at: number): NumberLiteral | string {
  if (text.startsWith("'")) {
    const char = unquoteGo(text);
    if (char === undefined || char === '') return 'invalid syntax';
    const [rune, width] = decodeRune(char, 0);
    if (width !== char.length) return `malformed character constant: ${text}`;
    return { kind: 'number', at, text, int: BigInt(rune), float: rune, isFloat: false };
  }
  if (text.endsWith('i')) return `imaginary numbers are not supported: ${text}`;
  const whole = parseBig(text);
  if (whole !== undefined) {
    if (whole >= MIN && whole <= MAX)
      return { kind: 'number', at, text, int: whole, float: Number(whole), isFloat: false };
    if (!/[.eEpP]/.test(text) || /^[+-]?0[xX]/.test(text)) {
      return whole > MAX && whole <= 0xffffffffffffffffn
        ? { kind: 'number', at, text, float: Number(whole), isFloat: false }
        : `integer overflow: "${text}"`;
    }
  }
  const legal =
    !text.includes('_') ||
    /^[+-]?(0[xX]_?)?[0-9a-fA-F]+(_[0-9a-fA-F]+)*(\.[0-9a-fA-F]*(_[0-9a-fA-F]+)*)?([eEpP][+-]?[0-9]+(_[0-9]+)*)?$/.test(
      text,
    );
  const float = legal ? parseFloatGo(text.replaceAll('_', '')) : undefined;
  if (float === undefined || !Number.isFinite(float)) return `illegal number syntax: "${text}"`;
  if (!/[.eEpP]/.test(text)) return `integer overflow: "${text}"`;
  const exact = Number.isSafeInteger(float) || (Number.isInteger(float) && Math.abs(float) < 2 ** 63);
  return exact
    ? { kind: 'number', at, text, int: BigInt(float), float, isFloat: true }
    : { kind: 'number', at, text, float, isFloat: true };
}
