/**
 * Paths that end in base64, as OCSP by GET has them (RFC 6960 appendix A.1): the slashes of its alphabet may come encoded, two
 * in a row, or last, and none of that is a canonical path. Such an end is decoded here, once, and becomes one segment in
 * base64url, so that policy, audit and engine still see one spelling of one name. What comes out is only for routes that
 * declare that they take it (`Route.opaque`); the core refuses it to all others.
 */

import { isFailure } from '../../base/errors.ts';
import { type Path, parsePath, parseUrlPath } from '../../base/path.ts';

/** The text begins as a DER sequence does ("M"), so that a mount or folder called "ocsp" is not taken for the protocol. */
const TAIL = /^(.+?\/(?:unified-)?ocsp)\/(M.+)$/s;

/**
 * The path with its end as one segment in base64url; undefined where it has no such end.
 * @param raw as it came in the URL, below /v1/
 */
export function base64Path(raw: string): Path | undefined {
  const [, head = '', tail = ''] = TAIL.exec(raw) ?? [];
  try {
    // Strict percent encoding, once; "+" stands for itself in a path.
    const text = decodeURIComponent(tail);
    const bytes = Buffer.from(text, 'base64');
    if (text === '' || bytes.toString('base64').replace(/=+$/, '') !== text.replace(/={0,2}$/, ''))
      return undefined;
    return parsePath(`${parseUrlPath(head).text}/${bytes.toString('base64url')}`);
  } catch (error) {
    if (error instanceof URIError || isFailure(error)) return undefined;
    throw error;
  }
}
