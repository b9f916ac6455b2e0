/** Where the modules of a QR code lie (ISO/IEC 18004): its patterns, the way of the data through them, and the mask. Pure. */

/** Rows of modules, true for dark. */
export type Modules = readonly (readonly boolean[])[];

/** Level M in the format information, table 12. */
const LEVEL_M = 0b00;
const FORMAT_MASK = 0x5412;
/** Finder-like runs that a mask is punished for: dark 1:1:3:1:1 with four light modules on a side. */
const LOOKALIKES = ['10111010000', '00001011101'];

type Mask = (row: number, column: number) => boolean;
/** Table 10. */
const MASKS: readonly Mask[] = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_row, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

const sizeOf = (version: number): number => 17 + 4 * version;

/** Modules that are left for data and correction, in bits; up to seven of them stay over. */
export function rawBits(version: number): number {
  let free = 0;
  for (const row of grid(version)) for (const module of row) if (module === undefined) free++;
  return free;
}

/** The finished symbol, under the mask that reads best. @param words data and correction, interleaved */
export function symbol(version: number, words: Uint8Array): Modules {
  const patterns = grid(version);
  const drawn = MASKS.map((mask, number) => masked(patterns, words, mask, number));
  const penalties = drawn.map(penalty);
  return drawn[penalties.indexOf(Math.min(...penalties))] ?? [];
}

type Grid = (boolean | undefined)[][];

/** What does not depend on the data; undefined where data goes, and light where the format will be written. */
function grid(version: number): Grid {
  const size = sizeOf(version);
  const modules: Grid = Array.from({ length: size }, () =>
    new Array<boolean | undefined>(size).fill(undefined),
  );
  const set = (row: number, column: number, dark: boolean): void => {
    const line = modules[row];
    if (line !== undefined && column >= 0 && column < size) line[column] = dark;
  };
  for (let at = 0; at < size; at++) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  const square = (row: number, column: number, reach: number, light: readonly number[]): void => {
    for (let y = -reach; y <= reach; y++)
      for (let x = -reach; x <= reach; x++)
        set(row + y, column + x, !light.includes(Math.max(Math.abs(y), Math.abs(x))));
  };
  for (const [row, column] of alignment(version)) square(row, column, 2, [1]);
  for (const [row, column] of [
    [3, 3],
    [3, size - 4],
    [size - 4, 3],
  ] as const)
    square(row, column, 4, [2, 4]);
  for (const [row, column] of formatPlaces(size).flat()) set(row, column, false);
  set(size - 8, 8, true);
  if (version >= 7) {
    const bits = (version << 12) | checkBits(version, 12, 0x1f25);
    for (let at = 0; at < 18; at++) {
      const dark = ((bits >> at) & 1) === 1;
      set(Math.floor(at / 3), size - 11 + (at % 3), dark);
      set(size - 11 + (at % 3), Math.floor(at / 3), dark);
    }
  }
  return modules;
}

/** Centres of the alignment patterns (annex E): evenly spaced from the far side, the rest before the first. */
function alignment(version: number): (readonly [number, number])[] {
  if (version === 1) return [];
  const last = sizeOf(version) - 7;
  const gaps = Math.floor(version / 7) + 1;
  // Even, and rounded up but for version 32, where the table of the standard is one step lower.
  const step = version === 32 ? 26 : 2 * Math.ceil((last - 6) / (2 * gaps));
  const places = [6, ...Array.from({ length: gaps }, (_, at) => last - (gaps - 1 - at) * step)];
  const corner = (row: number, column: number): boolean =>
    (row === 6 && column === 6) || (row === 6 && column === last) || (row === last && column === 6);
  return places.flatMap((row) =>
    places.filter((column) => !corner(row, column)).map((column) => [row, column] as const),
  );
}

/** The two copies of the format information, lowest bit first (figure 25). */
function formatPlaces(size: number): (readonly [number, number])[][] {
  const bits = Array.from({ length: 15 }, (_, at) => at);
  return [
    bits.map((at) => (at < 6 ? [at, 8] : at < 8 ? [at + 1, 8] : [8, at === 8 ? 7 : 14 - at])),
    bits.map((at) => (at < 8 ? [8, size - 1 - at] : [size - 15 + at, 8])),
  ];
}

/** The remainder of a BCH code (annexes C and D). */
function checkBits(value: number, count: number, polynomial: number): number {
  let rest = value << count;
  for (let at = 31 - Math.clz32(rest); at >= count; at = 31 - Math.clz32(rest))
    rest ^= polynomial << (at - count);
  return rest;
}

function masked(patterns: Grid, words: Uint8Array, mask: Mask, number: number): boolean[][] {
  const size = patterns.length;
  const modules = patterns.map((row) => row.map((module) => module === true));
  let bit = 0;
  for (const [row, column] of dataPlaces(size)) {
    const line = modules[row];
    if (line === undefined || patterns[row]?.[column] !== undefined) continue;
    const dark = (((words[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
    line[column] = dark !== mask(row, column);
    bit++;
  }
  const given = (LEVEL_M << 3) | number;
  const format = ((given << 10) | checkBits(given, 10, 0x537)) ^ FORMAT_MASK;
  for (const copy of formatPlaces(size))
    copy.forEach(([row, column], at) => {
      const line = modules[row];
      if (line !== undefined) line[column] = ((format >> at) & 1) === 1;
    });
  return modules;
}

/** Up and down in pairs of columns from the right, round the vertical timing pattern (section 7.7.3). */
function* dataPlaces(size: number): Iterable<readonly [number, number]> {
  let up = true;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    for (let at = 0; at < size; at++) {
      const row = up ? size - 1 - at : at;
      yield [row, right];
      yield [row, right - 1];
    }
    up = !up;
  }
}

/** How hard a symbol is to read (section 7.8.3); the mask with the least is taken. */
function penalty(modules: Modules): number {
  const size = modules.length;
  const rows = modules.map((row) => row.map((dark) => (dark ? '1' : '0')).join(''));
  const columns = rows.map((_, at) => rows.map((row) => row[at]).join(''));
  let points = 0;
  for (const line of [...rows, ...columns]) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) points += run.length - 2;
    for (const pattern of LOOKALIKES)
      for (let at = line.indexOf(pattern); at !== -1; at = line.indexOf(pattern, at + 1)) points += 40;
  }
  for (let row = 0; row + 1 < size; row++)
    for (let column = 0; column + 1 < size; column++) {
      const pair = rows[row]?.slice(column, column + 2);
      if ((pair === '00' || pair === '11') && pair === rows[row + 1]?.slice(column, column + 2)) points += 3;
    }
  const dark = rows.join('').replaceAll('0', '').length;
  return points + 10 * Math.floor(Math.abs((dark * 100) / size ** 2 - 50) / 5);
}
