/**
 * Constraints of versions as Masterminds/semver reads them: `>= 1.2, < 2 || ~3.1 || ^4.x`. Commas and spaces are "and". A release that is still to
 * come counts only where the constraint names one.
 */

import { CallError } from './functions/table.ts';
import { compare, comparePrereleases, parseVersion, type Version } from './semver.ts';

type Parts = Version['parts'];

/** One comparison, with what its version left open: `1.x` and `1` are open from the minor version on. */
interface Bound {
  readonly operator: string;
  readonly parts: Parts;
  /** The first part that is open: all, minor, patch or none. */
  readonly open: 'all' | 'minor' | 'patch' | 'none';
}

/** No one writes a longer one; the expressions here take their time on long runs of spaces. */
const LONGEST = 1024;

const NUMBER = '[0-9xX*]+';
const IDENTIFIERS = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const LOOSE = `v?(${NUMBER})(\\.${NUMBER})?(\\.${NUMBER})?(-${IDENTIFIERS})?(\\+${IDENTIFIERS})?`;
const RANGE = new RegExp(`(${LOOSE})\\s+-\\s+(${LOOSE})\\s*`, 'g');
const ONE = new RegExp(`\\s*(!=|>=|=>|<=|=<|~>|=|>|<|~|\\^|)\\s*${LOOSE}`, 'y');
const BETWEEN = /\s*(?:,\s*)?/y;

const improper = (): CallError => new CallError('improper constraint');

/** Whether a version meets a constraint. @throws CallError where either is none */
export function meets(constraint: string, text: string): boolean {
  if (constraint.length > LONGEST) throw improper();
  // 1.2 - 1.4.5 stands for >= 1.2, <= 1.4.5
  const plain = constraint.replace(RANGE, (...match: string[]) => ` >= ${match[1]}, <= ${match[7]} `);
  const groups = plain.split('||').map(boundsOf);
  const version = parseVersion(text);
  return groups.some((bounds) => {
    const early = bounds.some(({ parts }) => parts.prerelease !== '');
    if (version.parts.prerelease !== '' && !early) return false;
    return bounds.every((bound) => holds(version.parts, bound));
  });
}

function boundsOf(text: string): Bound[] {
  const found: Bound[] = [];
  for (let at = 0; at < text.length || found.length === 0; ) {
    ONE.lastIndex = at;
    const [whole, operator = '', major = '', minor = '', patch = '', prerelease = ''] = ONE.exec(text) ?? [];
    if (whole === undefined) throw improper();
    found.push({ operator, ...opened(major, minor.slice(1), patch.slice(1), prerelease) });
    at += whole.length;
    BETWEEN.lastIndex = at;
    const gap = BETWEEN.exec(text)?.[0] ?? '';
    at += gap.length;
    if (gap === '' && at < text.length) throw improper();
    if (gap.includes(',') && at === text.length) throw improper();
  }
  return found;
}

const isOpen = (part: string): boolean => part === '' || /^[xX*]$/.test(part);

function opened(major: string, minor: string, patch: string, prerelease: string): Omit<Bound, 'operator'> {
  const open = isOpen(major) ? 'all' : isOpen(minor) ? 'minor' : isOpen(patch) ? 'patch' : 'none';
  const text = {
    all: '0.0.0',
    minor: `${major}.0.0`,
    patch: `${major}.${minor}.0`,
    none: `${major}.${minor}.${patch}`,
  };
  try {
    return { open, parts: parseVersion(text[open] + prerelease).parts };
  } catch {
    throw improper();
  }
}

function holds(version: Parts, bound: Bound): boolean {
  const { parts, open } = bound;
  const order = compare(version, parts);
  switch (bound.operator) {
    case '':
    case '=':
      return open === 'none' ? order === 0 : near(version, bound);
    case '!=':
      return open === 'none' ? order !== 0 : differs(version, bound);
    case '>':
      if (open === 'none' || open === 'all') return order > 0;
      if (version.major !== parts.major) return version.major > parts.major;
      return open === 'patch' && version.minor > parts.minor;
    case '<':
      return order < 0;
    case '>=':
    case '=>':
      return order >= 0;
    case '<=':
    case '=<':
      if (open === 'none') return order <= 0;
      if (version.major !== parts.major) return version.major < parts.major;
      return open === 'minor' || version.minor <= parts.minor;
    case '^':
      return order >= 0 && compatible(version, bound);
    default:
      return near(version, bound);
  }
}

/** `~`: the same minor version, or the same major one where the minor is open; `~0.0.0` and `~*` are anything. */
function near(version: Parts, { parts, open }: Bound): boolean {
  if (compare(version, parts) < 0) return false;
  const isZero = parts.major === 0n && parts.minor === 0n && parts.patch === 0n;
  if (isZero && (open === 'none' || open === 'all')) return true;
  return version.major === parts.major && (version.minor === parts.minor || open === 'minor');
}

/** `^`: the same leftmost part that is not zero. */
function compatible(version: Parts, { parts, open }: Bound): boolean {
  if (parts.major > 0n || open === 'minor') return version.major === parts.major;
  if (version.major > 0n) return false;
  if (parts.minor > 0n || open === 'patch') return version.minor === parts.minor;
  return version.minor === 0n && version.patch === parts.patch;
}

function differs(version: Parts, { parts, open }: Bound): boolean {
  if (version.major !== parts.major) return true;
  if (open === 'minor') return false;
  if (version.minor !== parts.minor) return true;
  if (open === 'all') return version.patch !== parts.patch || compare(version, parts) !== 0;
  if (version.prerelease === '' && parts.prerelease === '') return false;
  return comparePrereleases(version.prerelease, parts.prerelease) !== 0;
}
