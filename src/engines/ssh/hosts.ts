/** Addresses of the hosts that one-time passwords are for, and the users they are for. Pure. */

import { addressBytes, inCidrs } from '../../base/cidr.ts';
import { items, refused, shown } from './fields.ts';
import type { OtpRole } from './role.ts';

/** An address in its one spelling (RFC 5952); IPv4 within IPv6 is IPv4. @throws Failure ssh.request */
export function checkedAddress(given: string): string {
  if (given === '') throw refused('Missing ip');
  const bytes = /%/.test(given) ? undefined : addressBytes(given);
  if (bytes === undefined) throw refused(`Invalid IP ${JSON.stringify(shown(given))}`);
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** Whether the address lies in a network of the role; a role without networks has no address. */
export const hasAddress = ({ cidrs }: OtpRole, ip: string): boolean => within(ip, cidrs);

/** @param isForAll the role holds for every address. @throws Failure ssh.request */
export function checkAddress(role: OtpRole, ip: string, isForAll: boolean): void {
  if (isForAll) return;
  if (!hasAddress(role, ip) || within(ip, role.excludedCidrs))
    throw refused('Error validating IP: IP does not belong to role');
}

/** An empty list is no network; to `inCidrs` it would be all of them. */
function within(ip: string, list: string): boolean {
  const networks = items(list);
  return networks.length > 0 && inCidrs(ip, networks);
}

/** The user that a password is for: the role's default, or one on its list. @throws Failure ssh.request */
export function userOf({ defaultUser, allowedUsers }: OtpRole, asked: string): string {
  const user = asked || defaultUser;
  if (user === defaultUser || allowedUsers === '*' || items(allowedUsers).includes(user)) return user;
  throw refused(
    allowedUsers === ''
      ? 'Username has to be either in allowed users list or has to be a default username'
      : 'Username is not present is allowed users list',
  );
}
