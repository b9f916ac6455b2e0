/**
 * Go's fmt for the values of templates: Print, Println and Printf with their verbs, flags, widths, precisions and the
 * words they put where a verb and its value do not fit. What a format makes is paid for before it is made.
 */

import { namedText } from './calendar.ts';
import { formatFloat } from './float.ts';
import type { Meter } from './fuel.ts';
import { decodeRune, encodeRune, escapeRune, isPrint, quoteGo, RUNE_ERROR, runeCount } from './text.ts';
import { Dict, integerOf, isUnsigned, List, MAX_DEPTH, type Maybe, Opaque, Sized, typeOf } from './value.ts';

interface Flags {
  width: number | undefined;
  precision: number | undefined;
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  /** %#v: the flag changes the whole form and not the numbers within. */
  sharpV: boolean;
}

const NONE: Flags = {
  width: undefined,
  precision: undefined,
  minus: false,
  plus: false,
  sharp: false,
  space: false,
  zero: false,
  sharpV: false,
};
const TOO_LARGE = 1e6; // fmt refuses widths and precisions beyond this

/** Go's fmt.Sprint: a space between operands where neither is a string. */
export function sprint(args: readonly Maybe[], meter: Meter): string {
  const printer = new Printer(meter);
  args.forEach((arg, i) => {
    if (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string') printer.put(' ');
    printer.value(arg, 'v', { ...NONE });
  });
  return printer.text;
}

/** Go's fmt.Sprintln. */
export function sprintln(args: readonly Maybe[], meter: Meter): string {
  const printer = new Printer(meter);
  args.forEach((arg, i) => {
    if (i > 0) printer.put(' ');
    printer.value(arg, 'v', { ...NONE });
  });
  printer.put('\n');
  return printer.text;
}

/** A value as %v prints it. */
export function show(value: Maybe, meter: Meter): string {
  return typeof value === 'string' ? value : sprint([value], meter);
}

/** Go's fmt.Sprintf. */
export function sprintf(format: string, args: readonly Maybe[], meter: Meter): string {
  const printer = new Printer(meter);
  let used = 0;
  let reordered = false;
  let at = 0;
  while (at < format.length) {
    const next = format.indexOf('%', at);
    if (next === -1) break;
    printer.put(format.slice(at, next));
    at = next + 1;
    meter.step();
    const flags: Flags = { ...NONE };
    let afterIndex = false;
    let goodIndex = true;

    const index = (): void => {
      afterIndex = false;
      if (format[at] !== '[') return;
      reordered = true;
      const close = format.indexOf(']', at);
      const digits = close === -1 ? '' : format.slice(at + 1, close);
      const position = /^[0-9]{1,7}$/.test(digits) ? Number(digits) : 0;
      at = close === -1 ? at + 1 : close + 1;
      if (position < 1 || position > args.length) {
        goodIndex = false;
        return;
      }
      used = position - 1;
      afterIndex = true;
    };
    const number = (): number | undefined => {
      const digits = /^[0-9]+/.exec(format.slice(at, at + 10))?.[0];
      if (digits === undefined) return undefined;
      at += digits.length;
      const value = Number(digits);
      return value > TOO_LARGE ? undefined : value;
    };
    const star = (): bigint | undefined => {
      at++;
      const value = used < args.length ? integerOf(args[used]) : undefined;
      used++;
      return value !== undefined && value >= -TOO_LARGE && value <= TOO_LARGE ? value : undefined;
    };

    for (let more = true; more; ) {
      switch (format[at]) {
        case '#':
          flags.sharp = true;
          break;
        case '0':
          flags.zero = true;
          break;
        case '+':
          flags.plus = true;
          break;
        case '-':
          flags.minus = true;
          break;
        case ' ':
          flags.space = true;
          break;
        default:
          more = false;
      }
      if (more) at++;
    }
    index();
    if (format[at] === '*') {
      const width = star();
      if (width === undefined) printer.put('%!(BADWIDTH)');
      else {
        flags.width = Math.abs(Number(width));
        if (width < 0n) {
          flags.minus = true;
          flags.zero = false;
        }
      }
      afterIndex = false;
    } else {
      flags.width = number();
      if (afterIndex && flags.width !== undefined) goodIndex = false;
    }
    if (format[at] === '.') {
      at++;
      if (afterIndex) goodIndex = false;
      index();
      if (format[at] === '*') {
        const precision = star();
        if (precision === undefined) printer.put('%!(BADPREC)');
        else if (precision < 0n) printer.put('%!(BADPREC)');
        else flags.precision = Number(precision);
        afterIndex = false;
      } else {
        flags.precision = number() ?? 0;
      }
    }
    if (!afterIndex) index();
    if (at >= format.length) {
      printer.put('%!(NOVERB)');
      break;
    }
    const [rune, width] = decodeRune(format, at);
    const verb = format.slice(at, at + width);
    at += width;
    if (verb === '%') printer.put('%');
    else if (!goodIndex) printer.put(`%!${encodeRune(rune)}(BADINDEX)`);
    else if (used >= args.length) printer.put(`%!${encodeRune(rune)}(MISSING)`);
    else {
      if (verb === 'v') {
        flags.sharpV = flags.sharp;
        if (flags.sharpV) flags.sharp = false;
        flags.plus = false;
      }
      printer.value(args[used], verb, flags);
      used++;
    }
  }
  if (at < format.length) printer.put(format.slice(at));
  if (!reordered && used < args.length) {
    printer.put('%!(EXTRA ');
    args.slice(used).forEach((arg, i) => {
      if (i > 0) printer.put(', ');
      printer.put(typeOf(arg));
      if (arg === null || arg === undefined) return;
      printer.put('=');
      printer.value(arg, 'v', { ...NONE });
    });
    printer.put(')');
  }
  return printer.text;
}

class Printer {
  text = '';
  readonly #meter: Meter;

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  put(text: string): undefined {
    this.#meter.alloc(text.length);
    this.text += text;
  }

  /** Prints one value with one verb. */
  value(value: Maybe, verb: string, flags: Flags, depth = 0): undefined {
    this.#meter.step();
    this.#meter.deep(depth, MAX_DEPTH);
    if (value === null || value === undefined) {
      if (depth > 0) return this.put(flags.sharpV ? 'interface {}(nil)' : '<nil>');
      return verb === 'v' || verb === 'T' ? this.#pad('<nil>', flags) : this.#bad(value, verb, flags);
    }
    if (verb === 'T') return this.#string(typeOf(value), 's', flags);
    const integer = integerOf(value);
    if (value instanceof Opaque || (value instanceof Sized && value.type.startsWith('time.'))) {
      if ('vsxXq'.includes(verb) && !flags.sharpV) {
        const text = value instanceof Opaque ? value.text() : namedText(value);
        return this.#string(text, verb, flags);
      }
      if (value instanceof Opaque)
        return flags.sharpV ? this.put(value.source()) : this.#bad(value, verb, flags);
    }
    if (integer !== undefined) return this.#integer(value, integer, verb, flags);
    if (typeof value === 'string')
      return 'vsxXq'.includes(verb) ? this.#string(value, verb, flags) : this.#bad(value, verb, flags);
    if (typeof value === 'boolean')
      return 'tv'.includes(verb) ? this.#pad(String(value), flags) : this.#bad(value, verb, flags);
    if (typeof value === 'number') return this.#float(value, verb, flags);
    if (value instanceof List) return this.#list(value, verb, flags, depth);
    if (value instanceof Dict) return this.#dict(value, verb, flags, depth);
  }

  #dict(dict: Dict, verb: string, flags: Flags, depth: number): undefined {
    this.put(flags.sharpV ? `${typeOf(dict)}{` : 'map[');
    dict.sortedKeys().forEach((key, i) => {
      if (i > 0) this.put(flags.sharpV ? ', ' : ' ');
      this.value(key, verb, flags, depth + 1);
      this.put(':');
      this.value(dict.entries.get(key), verb, flags, depth + 1);
    });
    this.put(flags.sharpV ? '}' : ']');
  }

  #list(list: List, verb: string, flags: Flags, depth: number): undefined {
    if (list.elem === 'uint8' && 'sqxX'.includes(verb)) {
      const bytes = list.items.map((item) => String.fromCharCode(Number(integerOf(item) ?? 0n))).join('');
      return this.#string(bytes, verb, flags);
    }
    this.put(flags.sharpV ? `${typeOf(list)}{` : '[');
    list.items.forEach((item, i) => {
      if (i > 0) this.put(flags.sharpV ? ', ' : ' ');
      this.value(item, verb, flags, depth + 1);
    });
    this.put(flags.sharpV ? '}' : ']');
  }

  #bad(value: Maybe, verb: string, flags: Flags): undefined {
    this.put(`%!${verb}(`);
    if (value === null || value === undefined) this.put('<nil>');
    else {
      this.put(`${typeOf(value)}=`);
      this.value(value, 'v', flags);
    }
    this.put(')');
  }

  /** Text padded to the width, in runes. */
  #pad(text: string, flags: Flags): undefined {
    const missing = (flags.width ?? 0) - runeCount(text);
    if (missing <= 0) return this.put(text);
    this.#meter.alloc(missing);
    if (flags.minus) this.put(text + ' '.repeat(missing));
    else this.put((flags.zero ? '0' : ' ').repeat(missing) + text);
  }

  #string(value: string, verb: string, flags: Flags): undefined {
    if (verb === 'x' || verb === 'X') return this.#hex(value, verb, flags);
    const text = flags.precision === undefined ? value : firstRunes(value, flags.precision);
    if (verb !== 'q' && !(verb === 'v' && flags.sharpV)) return this.#pad(text, flags);
    this.#meter.alloc(text.length * 4);
    if (flags.sharp && !text.includes('`') && /^[\t\x20-\x7e\x80-\xff]*$/.test(text))
      return this.#pad(`\`${text}\``, flags);
    this.#pad(quoteGo(text, '"', verb === 'q' && flags.plus), flags);
  }

  #hex(value: string, verb: string, flags: Flags): undefined {
    const bytes = flags.precision === undefined ? value : value.slice(0, flags.precision);
    this.#meter.alloc(bytes.length * 5);
    const prefix = flags.sharp ? `0${verb}` : '';
    const digits = Array.from(bytes, (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).map((two) =>
      verb === 'X' ? two.toUpperCase() : two,
    );
    if (digits.length === 0) return this.#pad('', flags);
    if (flags.space) this.#pad(digits.map((two) => prefix + two).join(' '), flags);
    else this.#pad(prefix + digits.join(''), flags);
  }

  #integer(value: Maybe, integer: bigint, verb: string, flags: Flags): undefined {
    switch (verb) {
      case 'v':
        if (flags.sharpV && value instanceof Sized && isUnsigned(value)) {
          return this.#digits(integer, 16, '', { ...flags, sharp: true });
        }
        return this.#digits(integer, 10, '', flags);
      case 'd':
        return this.#digits(integer, 10, '', flags);
      case 'b':
        return this.#digits(integer, 2, '0b', flags);
      case 'o':
        return this.#digits(integer, 8, '0', flags);
      case 'O':
        return this.#digits(integer, 8, '0o', { ...flags, sharp: true });
      case 'x':
        return this.#digits(integer, 16, '0x', flags);
      case 'X':
        return this.#digits(integer, 16, '0X', flags);
      case 'c':
        return this.#pad(encodeRune(runeOf(integer)), flags);
      case 'q':
        return this.#pad(`'${escapeRune(runeOf(integer), "'", flags.plus)}'`, flags);
      case 'U': {
        // A negative one shows its two's complement.
        const code = BigInt.asUintN(64, integer)
          .toString(16)
          .toUpperCase()
          .padStart(Math.max(4, flags.precision ?? 0), '0');
        const rune = runeOf(integer);
        const shown = flags.sharp && integer >= 0n && isPrint(rune) ? ` '${encodeRune(rune)}'` : '';
        return this.#pad(`U+${code}${shown}`, {
          ...flags,
          zero: false,
        });
      }
      default:
        return this.#bad(value, verb, flags);
    }
  }

  #digits(integer: bigint, base: number, prefix: string, flags: Flags): undefined {
    const { precision } = flags;
    if (precision === 0 && integer === 0n) return this.#pad('', { ...flags, zero: false });
    const negative = integer < 0n;
    let digits = (negative ? -integer : integer).toString(base);
    if (prefix === '0X') digits = digits.toUpperCase();
    const sign = negative ? '-' : flags.plus ? '+' : flags.space ? ' ' : '';
    let least = precision ?? 0;
    if (precision === undefined && flags.zero && !flags.minus && flags.width !== undefined) {
      least = flags.width - sign.length;
    }
    this.#meter.alloc(Math.max(0, least));
    digits = digits.padStart(least, '0');
    const lead = !flags.sharp
      ? ''
      : prefix === '0' && digits.startsWith('0')
        ? ''
        : prefix || (base === 16 ? '0x' : '');
    this.#pad(sign + lead + digits, { ...flags, zero: false });
  }

  #float(value: number, verb: string, flags: Flags): undefined {
    const format = FLOATS[verb as keyof typeof FLOATS];
    if (format === undefined) return this.#bad(value, verb, flags);
    const few = 'gxb'.includes(format);
    const precision = flags.precision ?? (few ? -1 : 6);
    this.#meter.alloc(Math.max(precision, 0) + 350);
    let text = formatFloat(value, format, precision);
    if (verb === 'G' || verb === 'E' || verb === 'X') text = text.toUpperCase();
    if (flags.sharp && format !== 'b' && Number.isFinite(value))
      text = withPoint(text, flags.precision ?? (few ? 6 : -1), format);
    const negative = text.startsWith('-');
    const sign = negative ? '-' : flags.plus || text.startsWith('+') ? '+' : flags.space ? ' ' : '';
    const digits = text.replace(/^[+-]/, '');
    if (text.startsWith('+') && !flags.plus) return this.#pad(`+${digits}`, { ...flags, zero: false });
    const finite = Number.isFinite(value);
    if (flags.zero && !flags.minus && finite && flags.width !== undefined && sign !== '') {
      this.#meter.alloc(flags.width);
      return this.put(sign + digits.padStart(flags.width - 1, '0'));
    }
    this.#pad(sign + digits, { ...flags, zero: flags.zero && finite });
  }
}

/** How a verb writes a float. */
const FLOATS = { v: 'g', g: 'g', G: 'g', f: 'f', F: 'f', e: 'e', E: 'e', x: 'x', X: 'x', b: 'b' } as const;

/** The # flag of floats keeps the point and, for g and x, the zeros behind it. */
function withPoint(text: string, precision: number, format: 'e' | 'f' | 'g' | 'x'): string {
  const [mantissa = '', exponent] = text.split(format === 'x' ? /(?=[pP])/ : /(?=[eE])/);
  const point = mantissa.includes('.') ? mantissa : `${mantissa}.`;
  if (format === 'x') {
    // Go counts the x of 0x as a digit.
    const written = point.replace(/[^0-9a-fA-FxX]/g, '').replace(/^0+/, '').length;
    return point + '0'.repeat(Math.max(0, precision - written)) + (exponent ?? '');
  }
  if (format !== 'g') return point + (exponent ?? '');
  // The digits of zero are one: its own.
  const digits = point.replace(/[^0-9]/g, '').replace(/^0+/, '').length || 1;
  return point + '0'.repeat(Math.max(0, precision - digits)) + (exponent ?? '');
}

function firstRunes(text: string, count: number): string {
  let at = 0;
  for (let i = 0; i < count && at < text.length; i++) at += decodeRune(text, at)[1];
  return text.slice(0, at);
}

const runeOf = (integer: bigint): number =>
  integer >= 0n && integer <= 0x10ffffn ? Number(integer) : RUNE_ERROR;
