/** Semantic versions (semver.org 2.0.0) as Masterminds/semver reads and compares them: lenient about what is missing, `v1.2` is 1.2.0. */

import { CallError } from './functions/table.ts';
import { type Method, Opaque, Sized, type Value } from './value.ts';

const MOST = 2n ** 64n - 1n;
const PRERELEASE = '-([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)';
const METADATA = '\\+([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)';
const VERSION = new RegExp(`^v?([0-9]+)(?:\\.([0-9]+))?(?:\\.([0-9]+))?(?:${PRERELEASE})?(?:${METADATA})?$`);

interface Parts {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  readonly prerelease: string;
  readonly metadata: string;
  /** As it was written. */
  readonly original: string;
}

const OF_POINTERS = [
  'Original',
  'Compare',
  'Equal',
  'LessThan',
  'LessThanEqual',
  'GreaterThan',
  'GreaterThanEqual',
];

/** Go's *semver.Version: a text, numbers, and comparisons. */
export class Version extends Opaque {
  readonly type: string;
  readonly kind: string;
  readonly parts: Parts;

  /** @param pointer whether Go gives a pointer to it, as it does for all but changed copies */
  constructor(parts: Parts, pointer = true) {
    super();
    this.parts = parts;
    this.type = pointer ? '*semver.Version' : 'semver.Version';
    this.kind = pointer ? 'ptr' : 'struct';
  }

  text(): string {
    const { major, minor, patch, prerelease, metadata } = this.parts;
    return `${major}.${minor}.${patch}${prerelease && `-${prerelease}`}${metadata && `+${metadata}`}`;
  }
  equals(other: Opaque): boolean {
    return other === this;
  }
  method(name: string): Method | undefined {
    const give = (value: Value): Method => ({ params: [], run: () => value });
    const { major, minor, patch, prerelease, metadata, original } = this.parts;
    // What Go gives no pointer to has none of the methods that want one.
    if (this.kind !== 'ptr' && OF_POINTERS.includes(name)) return undefined;
    switch (name) {
      case 'String':
        return give(this.text());
      case 'Original':
        return give(original);
      case 'Major':
        return give(new Sized('uint64', major));
      case 'Minor':
        return give(new Sized('uint64', minor));
      case 'Patch':
        return give(new Sized('uint64', patch));
      case 'Prerelease':
        return give(prerelease);
      case 'Metadata':
        return give(metadata);
      case 'IncMajor':
        return give(this.#changed({ major: major + 1n, minor: 0n, patch: 0n, prerelease: '', metadata: '' }));
      case 'IncMinor':
        return give(this.#changed({ minor: minor + 1n, patch: 0n, prerelease: '', metadata: '' }));
      case 'IncPatch':
        return give(
          this.#changed({ patch: prerelease === '' ? patch + 1n : patch, prerelease: '', metadata: '' }),
        );
      case 'SetPrerelease':
        return {
          params: ['string'],
          run: ([text]) => this.#changed({ prerelease: prereleaseOf(String(text)) }),
        };
      case 'SetMetadata':
        return { params: ['string'], run: ([text]) => this.#changed({ metadata: metadataOf(String(text)) }) };
      case 'Compare':
        return this.#against((order) => BigInt(order));
      case 'Equal':
        return this.#against((order) => order === 0);
      case 'LessThan':
        return this.#against((order) => order < 0);
      case 'LessThanEqual':
        return this.#against((order) => order <= 0);
      case 'GreaterThan':
        return this.#against((order) => order > 0);
      case 'GreaterThanEqual':
        return this.#against((order) => order >= 0);
      default:
        return undefined;
    }
  }

  #against(tell: (order: number) => Value): Method {
    return {
      params: ['*semver.Version'],
      run: ([other]) => tell(other instanceof Version ? compare(this.parts, other.parts) : 1),
    };
  }
  #changed(parts: Partial<Parts>): Version {
    const next = new Version({ ...this.parts, ...parts }, false);
    const prefix = this.parts.original.startsWith('v') ? 'v' : '';
    return new Version({ ...next.parts, original: prefix + next.text() }, false);
  }
}

/** @throws CallError */
export function parseVersion(text: string): Version {
  const [whole, major = '', minor = '0', patch = '0', prerelease = '', metadata = ''] =
    VERSION.exec(text) ?? [];
  if (whole === undefined) throw new CallError('invalid semantic version');
  return new Version({
    major: segment(major),
    minor: segment(minor),
    patch: segment(patch),
    prerelease: prereleaseOf(prerelease),
    metadata,
    original: text,
  });
}

function segment(digits: string): bigint {
  const value = digits.length > 40 ? MOST + 1n : BigInt(digits);
  if (value > MOST) throw new CallError('error parsing version segment: value out of range');
  return value;
}

function prereleaseOf(text: string): string {
  if (text === '') return '';
  for (const part of text.split('.')) {
    if (!/^[0-9A-Za-z-]+$/.test(part)) throw new CallError('invalid prerelease string');
    if (/^0[0-9]+$/.test(part)) throw new CallError('version segment starts with 0');
  }
  return text;
}

function metadataOf(text: string): string {
  if (text !== '' && !text.split('.').every((part) => /^[0-9A-Za-z-]+$/.test(part)))
    throw new CallError('invalid metadata string');
  return text;
}

/** Below, at or above zero. Metadata does not count; what comes before a release is below it (semver.org section 11). */
export function compare(a: Parts, b: Parts): number {
  for (const part of ['major', 'minor', 'patch'] as const)
    if (a[part] !== b[part]) return a[part] < b[part] ? -1 : 1;
  if (a.prerelease === b.prerelease) return 0;
  if (a.prerelease === '') return 1;
  return b.prerelease === '' ? -1 : comparePrereleases(a.prerelease, b.prerelease);
}

export function comparePrereleases(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [one = '', two = ''] = [left[i], right[i]];
    if (one === two) continue;
    if (one === '' || two === '') return one === '' ? -1 : 1;
    const [x, y] = [identifier(one), identifier(two)];
    if (typeof x === typeof y) return x > y ? 1 : -1;
    // Numbers come before texts.
    return typeof x === 'bigint' ? -1 : 1;
  }
  return 0;
}

/** A number where it is one that fits 64 bits, else the text. */
function identifier(text: string): bigint | string {
  if (!/^[0-9]{1,40}$/.test(text)) return text;
  const value = BigInt(text);
  return value <= MOST ? value : text;
}
