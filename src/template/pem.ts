/**
 * PEM (RFC 7468) as Go's encoding/pem reads and writes it: blocks stand on lines of their own, whatever stands between them is passed over, and
 * a block that is not whole is none. Texts are byte strings.
 */

export interface Block {
  readonly type: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Buffer;
}

const BEGIN = '-----BEGIN ';
const END = '\n-----END ';
const DASHES = '-----';
const NOT_BASE64 = /[^A-Za-z0-9+/]/;

/** The next block, and what follows it; undefined where there is none. */
export function nextBlock(text: string, from = 0): { block: Block; end: number } | undefined {
  for (let base = from; ; ) {
    // The first END, and the last BEGIN before it: a BEGIN without an END is passed over.
    const endAt = text.indexOf(END, base);
    if (endAt < 0) return undefined;
    const begin = text.slice(base, endAt).lastIndexOf(BEGIN);
    const stands = begin === 0 || (begin > 0 && text[base + begin - 1] === '\n');
    const found = stands ? blockBetween(text, base + begin + BEGIN.length, endAt) : undefined;
    if (found !== undefined) return found;
    base = endAt + END.length;
  }
}

function blockBetween(text: string, start: number, endAt: number): { block: Block; end: number } | undefined {
  const [typeLine, afterType] = lineAt(text, start);
  if (!typeLine.endsWith(DASHES)) return undefined;
  const type = typeLine.slice(0, -DASHES.length);
  const headers = new Map<string, string>();
  let at = afterType;
  for (; at < endAt; ) {
    const [line, next] = lineAt(text, at);
    const colon = line.indexOf(':');
    if (colon < 0) break;
    headers.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
    at = next;
  }
  if (headers.size > 0 && at > endAt) return undefined;
  const [trailer, end] = lineAt(text, endAt + END.length);
  if (trailer !== type + DASHES) return undefined;
  const body = text.slice(Math.min(at, endAt), endAt).replace(/[ \t\r\n]+/g, '');
  if (body.length % 4 !== 0 || NOT_BASE64.test(body.replace(/={1,2}$/, ''))) return undefined;
  return { block: { type, headers, bytes: Buffer.from(body, 'base64') }, end };
}

/** The line at `start` without spaces at its end, and where the next one begins. */
function lineAt(text: string, start: number): [line: string, next: number] {
  const newline = text.indexOf('\n', start);
  if (newline < 0) return [withoutSpaces(text, start, text.length), text.length];
  const end = newline > start && text[newline - 1] === '\r' ? newline - 1 : newline;
  return [withoutSpaces(text, start, end), newline + 1];
}

function withoutSpaces(text: string, start: number, end: number): string {
  let last = end;
  while (last > start && (text[last - 1] === ' ' || text[last - 1] === '\t')) last--;
  return text.slice(start, last);
}

/** All blocks, until one is not found. */
export function blocksOf(text: string): Block[] {
  const found: Block[] = [];
  for (let next = nextBlock(text); next !== undefined; next = nextBlock(text, next.end))
    found.push(next.block);
  return found;
}

/** A block as text, with a newline at its end. */
export function pemText(
  type: string,
  bytes: Uint8Array,
  headers: ReadonlyMap<string, string> = new Map(),
): string {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  const lines = body.match(/.{1,64}/g) ?? [];
  const named = [...headers].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const before = named.length === 0 ? [] : [...named.map(([key, value]) => `${key}: ${value}`), ''];
  return [`-----BEGIN ${type}-----`, ...before, ...lines, `-----END ${type}-----`, ''].join('\n');
}

/** RFC 1421 section 4.6.1.1 wants it first. */
const rank = (header: string): number => (header === 'Proc-Type' ? 0 : 1);
