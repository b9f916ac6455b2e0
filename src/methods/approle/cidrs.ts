/** Networks within networks: a secret id may narrow what its role allows, never widen it. Pure. */

import { inCidrs } from '../../base/cidr.ts';

/** Whether each of `inner` lies within one of `outer`; no `outer`: anything does. */
export const within = (inner: readonly string[], outer: readonly string[]): boolean =>
  outer.length === 0 || inner.every((cidr) => outer.some((wider) => isWithin(cidr, wider)));

function isWithin(cidr: string, wider: string): boolean {
  if (cidr === wider) return true;
  const [host = ''] = cidr.split('/');
  return familyOf(cidr) === familyOf(wider) && bitsOf(cidr) >= bitsOf(wider) && inCidrs(host, [wider]);
}

/** IPv4 written inside IPv6 counts its bits differently from both: it is only ever equal to itself. */
const familyOf = (cidr: string): string =>
  !cidr.includes(':') ? 'v4' : /[.]|ffff:/i.test(cidr) ? cidr : 'v6';

function bitsOf(cidr: string): number {
  const [host = '', bits] = cidr.split('/');
  return bits === undefined ? (host.includes(':') ? 128 : 32) : Number(bits);
}
