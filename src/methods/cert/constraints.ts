/** What a configured certificate asks of those that log in under it. Pure. */

import { hex, textOf } from '../../base/bytes.ts';
import { globMatches } from '../../base/glob.ts';
import type { Entry } from './entry.ts';
import type { Certificate } from './x509.ts';

/** Whether the client's certificate has the names and extensions that are asked for. An empty list asks for nothing. */
export function fits(client: Certificate, entry: Entry): boolean {
  const { commonName, dns, emails, uris, units } = client;
  const cn = commonName === '' ? [] : [commonName];
  return (
    any(entry.names, [...cn, ...dns, ...emails]) &&
    any(entry.commonNames, cn) &&
    any(entry.dnsSans, dns) &&
    any(entry.emailSans, emails) &&
    any(entry.uriSans, uris) &&
    any(entry.units, units) &&
    entry.requiredExtensions.every((asked) => hasExtension(client, asked))
  );
}

/** The extensions that are to be told with a login, "-" for "." in their OIDs. */
export function metadataOf(client: Certificate, oids: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const oid of oids) {
    const text = derText(client.extensions.get(oid));
    if (text !== undefined) found[oid.replaceAll('.', '-')] = text;
  }
  return found;
}

const any = (globs: readonly string[], names: readonly string[]): boolean =>
  globs.length === 0 || globs.some((glob) => names.some((name) => globMatches(glob, name)));

/** "oid:glob" over a text, or "hex:oid:glob" over the bytes of the value. */
export const EXTENSION = /^(hex:)?(\d+(?:\.\d+)+):(.*)$/s;

function hasExtension(client: Certificate, asked: string): boolean {
  const [, isHex, oid = '', glob = ''] = EXTENSION.exec(asked) ?? [];
  const value = client.extensions.get(oid);
  if (value === undefined) return false;
  if (isHex !== undefined) return globMatches(glob.toLowerCase(), hex(value));
  const text = derText(value);
  return text !== undefined && globMatches(glob, text);
}

/** UTF8String, NumericString, PrintableString, T61String, IA5String, VisibleString. */
const TEXTS = new Set([0x0c, 0x12, 0x13, 0x14, 0x16, 0x1a]);

/** The text of one DER string that is the whole value, or undefined. */
function derText(der: Uint8Array | undefined): string | undefined {
  if (der === undefined || !TEXTS.has(der[0] ?? 0)) return undefined;
  const first = der[1] ?? 0;
  const long = first > 0x80 ? first - 0x80 : 0;
  if (first === 0x80 || long > 2) return undefined;
  const length = long === 0 ? first : der.subarray(2, 2 + long).reduce((sum, byte) => sum * 256 + byte, 0);
  const body = der.subarray(2 + long);
  return body.length === length ? textOf(body) : undefined;
}
