/**
 * Where the server may connect to: `egress { allow = [...] }` of its own file, and nothing that a request or a mount says.
 * A rule is HOST:PORT, ADDRESS:PORT or NETWORK:PORT. A network is judged by the address that is connected to; a name by the
 * name that was asked for, so that a mount cannot reach it under another one.
 */

import { isIP } from 'node:net';
import { inCidrs } from '../../base/cidr.ts';

export interface EgressRule {
  /** A name in lower case, an address, or a network such as 10.0.0.0/8. */
  readonly to: string;
  readonly port: number;
}

const NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** Reads a rule; undefined where it is none. Addresses of version 6 stand in brackets: `[fd00::/8]:5432`. */
export function egressRule(text: string): EgressRule | undefined {
  const match = /^(?:\[([0-9a-fA-F:./]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const to = (match?.[1] ?? match?.[2] ?? '').toLowerCase();
  if (match === null || port < 1 || port > 65535) return undefined;
  const [address = '', bits, ...more] = to.split('/');
  const version = isIP(address);
  if (match[1] !== undefined && version !== 6) return undefined;
  if (version === 0) return NAME.test(to) && !/^[\d.]+$/.test(to) ? { to, port } : undefined;
  if (more.length > 0) return undefined;
  if (bits === undefined) return { to, port };
  const longest = version === 6 ? 128 : 32;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= longest ? { to, port } : undefined;
}

/** Whether a connection to `ip`, which a request named as `host`, is on the list. */
export function allows(
  rules: readonly EgressRule[],
  at: { readonly host: string; readonly port: number; readonly ip: string },
): boolean {
  const host = at.host.toLowerCase();
  return rules.some(({ to, port }) => {
    if (port !== at.port) return false;
    if (isIP(to) === 0 && !to.includes('/')) return to === host;
    return inCidrs(at.ip, [to]);
  });
}
