/** Floats as Go's strconv writes them, exactly: rounding is done on the full decimal expansion, half to even. */

/** The decimal digits of a positive number: 0.DIGITS times 10^point. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** The fewest digits that give the same float again. */
function shortest(value: number): Decimal {
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e');
  const digits = mantissa.replace('.', '');
  return { digits, point: Number(exponent) + 1 };
}

/** A positive float as mantissa times 2^exponent (IEEE 754), the mantissa of 53 bits where the float is not tiny. */
function parts(value: number): { mantissa: bigint; exponent: number } {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const field = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & 0xfffffffffffffn;
  return {
    mantissa: field === 0 ? fraction : fraction | (1n << 52n),
    exponent: (field === 0 ? 1 : field) - 1075,
  };
}

/** All digits of the float. */
function exact(value: number): Decimal {
  const { mantissa, exponent } = parts(value);
  // m * 2^e with e < 0 is m * 5^-e / 10^-e.
  const whole = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * 5n ** BigInt(-exponent);
  const digits = whole.toString();
  return { digits, point: digits.length + Math.min(exponent, 0) };
}

/** Rounded to `count` digits, half to even. */
function round({ digits, point }: Decimal, count: number): Decimal {
  if (count < 0) return { digits: '', point };
  if (count >= digits.length) return { digits, point };
  const kept = digits.slice(0, count);
  const rest = digits.slice(count);
  const half = `5${'0'.repeat(rest.length - 1)}`;
  const odd = count > 0 && Number(kept.at(-1)) % 2 === 1;
  if (rest < half || (rest === half && !odd)) return { digits: kept, point };
  const up = (BigInt(kept || '0') + 1n).toString().padStart(count, '0');
  return { digits: up, point: point + up.length - count };
}

const trimZeros = (digits: string): string => digits.replace(/0+$/, '');

/** The mantissa and the power of two, both in decimal: 4503599627370496p-52. */
function binary(value: number): string {
  const { mantissa, exponent } = parts(value);
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
}

/** 0x1.8p+01: one digit before the point, then as many as needed, or `places`, rounded half to even. */
function hexadecimal(value: number, places: number): string {
  let { mantissa, exponent } = parts(value);
  if (mantissa === 0n) return `0x0${places > 0 ? `.${'0'.repeat(places)}` : ''}p+00`;
  while (mantissa < 1n << 52n) {
    mantissa <<= 1n;
    exponent--;
  }
  if (places >= 0 && places < 13) {
    const dropped = BigInt(52 - 4 * places);
    const rest = mantissa & ((1n << dropped) - 1n);
    const half = 1n << (dropped - 1n);
    let kept = mantissa >> dropped;
    if (rest > half || (rest === half && (kept & 1n) === 1n)) kept++;
    mantissa = kept << dropped;
    if (mantissa >> 53n === 1n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const all = (mantissa & ((1n << 52n) - 1n)).toString(16).padStart(13, '0');
  const digits = places < 0 ? trimZeros(all) : all.slice(0, places).padEnd(places, '0');
  const power = exponent + 52;
  return `0x1${digits === '' ? '' : `.${digits}`}p${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/**
 * Go's strconv.FormatFloat.
 * @param precision digits after the point (for g: digits in all), or -1 for as few as needed
 */
export function formatFloat(value: number, format: 'e' | 'f' | 'g' | 'x' | 'b', precision: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  if (format === 'b') return sign + binary(magnitude);
  if (format === 'x') return sign + hexadecimal(magnitude, precision);
  return sign + formatMagnitude(magnitude, format, precision);
}

function formatMagnitude(value: number, format: 'e' | 'f' | 'g', precision: number): string {
  const few = precision < 0;
  let decimal: Decimal = value === 0 ? { digits: '', point: 0 } : few ? shortest(value) : exact(value);
  let places = precision;
  switch (format) {
    case 'e':
      if (few) places = Math.max(decimal.digits.length - 1, 0);
      else decimal = round(decimal, places + 1);
      return exponential(decimal, places);
    case 'f':
      if (few) places = Math.max(decimal.digits.length - decimal.point, 0);
      else decimal = round(decimal, decimal.point + places);
      return fixed(decimal, places);
    default: {
      if (!few) decimal = round(decimal, Math.max(places, 1));
      const digits = trimZeros(decimal.digits);
      let limit = few ? 6 : Math.max(places, 1);
      if (limit > digits.length && digits.length >= decimal.point) limit = digits.length;
      if (few) limit = 6;
      const exponent = decimal.point - 1;
      const trimmed = { digits, point: decimal.point };
      if (exponent < -4 || exponent >= limit) return exponential(trimmed, Math.max(digits.length - 1, 0));
      return fixed(trimmed, Math.max(digits.length - decimal.point, 0));
    }
  }
}

function exponential({ digits, point }: Decimal, places: number): string {
  const padded = digits.padEnd(places + 1, '0');
  const exponent = digits === '' ? 0 : point - 1;
  const size = String(Math.abs(exponent)).padStart(2, '0');
  const fraction = places > 0 ? `.${padded.slice(1, places + 1)}` : '';
  return `${padded[0] ?? '0'}${fraction}e${exponent < 0 ? '-' : '+'}${size}`;
}

function fixed({ digits, point }: Decimal, places: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  if (places <= 0) return whole;
  const fraction = point > 0 ? digits.slice(point) : '0'.repeat(Math.min(-point, places)) + digits;
  return `${whole}.${fraction.slice(0, places).padEnd(places, '0')}`;
}
