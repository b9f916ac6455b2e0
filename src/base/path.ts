import { Doorkeeper } from './doorkeeper.ts';
import { failure } from './errors.ts';
import { Recent } from './recent.ts';

/** The longest path that is read, in bytes of UTF-8. */
const PATH_LIMIT = 2048;

/**
 * The name of a thing in the server, parsed once at the edge. Router, policies, engines, storage and audit all take
 * this value and none of them parses text again, so that what was checked is what is used.
 */
export interface Path {
  /** The canonical text: segments joined by "/", with a trailing "/" where `folder`. */
  readonly text: string;
  readonly segments: readonly string[];
  /** Whether the name ends in "/": a folder, as LIST asks for it. */
  readonly folder: boolean;
}

/** A path that is asked for again and again: one object for all who ask. */
export class KeptPath implements Path {
  readonly text: string;
  readonly segments: readonly string[];
  readonly folder: boolean;
  /** Not a member that others see: the path itself goes to other threads and nodes. */
  #made: unknown = undefined;

  constructor({ text, segments, folder }: Path) {
    this.text = text;
    this.segments = segments;
    this.folder = folder;
  }

  /** What was made of it by whoever serves it, and tells it from what others made. */
  get made(): unknown {
    return this.#made;
  }
  set made(made: unknown) {
    this.#made = made;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufffd]/;

/**
 * Reads decoded text as a path. One leading slash is dropped, as upstream drops it.
 * @throws Failure path.empty, path.too_long, path.not_canonical
 */
export function parsePath(text: string): Path {
  if (Buffer.byteLength(text) > PATH_LIMIT) throw failure('path.too_long', { limit: PATH_LIMIT });
  const bare = text.startsWith('/') ? text.slice(1) : text;
  if (bare === '') throw failure('path.empty');
  if (UNPRINTABLE.test(bare)) throw notCanonical('it holds a character that does not print');
  if (!bare.isWellFormed()) throw notCanonical('it is not UTF-8');
  if (bare.includes('\\')) throw notCanonical('it holds a backslash');
  if (bare !== bare.normalize('NFC')) throw notCanonical('it is not in Unicode normal form C');
  const folder = bare.endsWith('/');
  const segments = (folder ? bare.slice(0, -1) : bare).split('/');
  for (const segment of segments) {
    if (segment === '') throw notCanonical('it has an empty segment');
    if (segment === '.' || segment === '..') throw notCanonical(`it has a "${segment}" segment`);
    if (segment !== segment.trim()) throw notCanonical('a segment begins or ends with white space');
  }
  return { text: bare, segments, folder };
}

/** What most paths are: segments of characters that have one spelling, none of which begins with a dot. */
const PLAIN = /^[\w\-~:@=+,][\w\-~:@=+,.]*(?:\/[\w\-~:@=+,][\w\-~:@=+,.]*)*\/?$/;

/** Anybody can ask, with a token or without, for paths as long as may be: so what they weigh is bounded, not their number. */
const KEPT_BYTES = 16 * 1024 * 1024;
const kept = new Recent<KeptPath>(KEPT_BYTES);
/** More than are kept: of plain ones some ten thousand. */
const KNOWN_PATHS = 16_384;
const doorkeeper = new Doorkeeper(KNOWN_PATHS);

/** About, in bytes: the text as the key, in its segments, and in what is made of it. */
const weightOf = ({ text, segments }: Path): number => 1024 + 3 * text.length + 32 * segments.length;

/** What the path of every request to the API begins with. */
export const API = '/v1/';

/** As `parseUrlPath`, of a URL that begins with `API`: what stands behind that. @throws Failure path.* */
export function parseApiPath(url: string): Path {
  const known = kept.get(url);
  if (known !== undefined) return known;
  const path = parseUrlPath(url.slice(API.length));
  if (url.length > PATH_LIMIT || !doorkeeper.knows(url)) return path;
  const again = new KeptPath(path);
  kept.set(url, again, weightOf(again));
  return again;
}

/**
 * Reads the path of a URL: percent-decodes it once. An encoded slash, dot segment or percent sign that would decode
 * again is refused: two readers could take it for two names.
 * @throws Failure path.*
 */
export function parseUrlPath(raw: string): Path {
  if (raw.length > 3 * PATH_LIMIT) throw failure('path.too_long', { limit: PATH_LIMIT });
  // Nothing below could refuse or change it.
  if (raw.length <= PATH_LIMIT && PLAIN.test(raw)) {
    const folder = raw.endsWith('/');
    return { text: raw, segments: (folder ? raw.slice(0, -1) : raw).split('/'), folder };
  }
  if (/%(2f|5c|00)/i.test(raw)) throw notCanonical('it holds an encoded slash, backslash or NUL');
  let text: string;
  try {
    text = decodeURIComponent(raw);
  } catch {
    throw notCanonical('its percent encoding is broken');
  }
  if (/%[0-9a-f]{2}/i.test(text)) throw notCanonical('it is percent-encoded twice');
  if (/%2e/i.test(raw) && text.split('/').some((s) => /^\.{1,2}$/.test(s)))
    throw notCanonical('it has an encoded dot segment');
  return parsePath(text);
}

/** The same name as a folder, for LIST. */
export const asFolder = (path: Path): Path =>
  path.folder ? path : { text: `${path.text}/`, segments: path.segments, folder: true };

/** The same name without its trailing slash. */
export const asLeaf = (path: Path): Path =>
  path.folder ? { text: path.text.slice(0, -1), segments: path.segments, folder: false } : path;

const notCanonical = (reason: string) => failure('path.not_canonical', { reason });
