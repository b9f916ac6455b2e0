/** Who may knock: a page of another origin may not, whatever it sends, and a name that is not ours (DNS rebinding) is none. */

import type { IncomingMessage } from 'node:http';
import { type Failure, failure } from '../../base/errors.ts';

export interface GateOptions {
  /** Host names that are answered to, without a port; absent: any. */
  readonly allowedHosts?: readonly string[];
}

/** Why the request is refused, or undefined. */
export function refused(message: IncomingMessage, options: GateOptions): Failure | undefined {
  const host = message.headers.host ?? '';
  if (options.allowedHosts !== undefined && !options.allowedHosts.includes(nameOf(host)))
    return failure('request.foreign_host');
  const { origin } = message.headers;
  if (origin !== undefined && !sameHost(origin, host)) return failure('request.foreign_origin');
  return undefined;
}

function nameOf(host: string): string {
  try {
    return new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '').toLowerCase();
  } catch {
    return '';
  }
}

/** "null", which a sandboxed page sends, is nobody's host. */
function sameHost(origin: string, host: string): boolean {
  try {
    const from = new URL(origin);
    return host !== '' && from.host === new URL(`${from.protocol}//${host}`).host;
  } catch {
    return false;
  }
}
