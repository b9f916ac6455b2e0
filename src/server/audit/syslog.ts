/**
 * How a line looks to a syslog daemon. Over the network: RFC 5424, in datagrams of their own (RFC 5426) or with the number of
 * their bytes before them (RFC 6587, section 3.4.1). To the socket of this machine: the form that C libraries write there
 * (RFC 3164, section 4.1, without the host), closed by a line feed.
 */

import { hostname } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import type { LinkTarget } from './link.ts';

/** By their numbers (RFC 5424, section 6.2.1); those without a name of their own are left out, as upstream leaves them. */
export const FACILITIES: readonly string[] = [
  ...['KERN', 'USER', 'MAIL', 'DAEMON', 'AUTH', 'SYSLOG', 'LPR', 'NEWS', 'UUCP', 'CRON', 'AUTHPRIV', 'FTP'],
  ...['', '', '', ''],
  ...['LOCAL0', 'LOCAL1', 'LOCAL2', 'LOCAL3', 'LOCAL4', 'LOCAL5', 'LOCAL6', 'LOCAL7'],
];

/** Where programs of this machine find its syslog daemon. */
export const LOCAL_SYSLOG = '/dev/log';

const INFO = 6;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export interface SyslogOptions {
  readonly facility: number;
  readonly tag: string;
  readonly network: LinkTarget['network'];
  readonly clock: Clock;
}

/** @returns what makes a message of a line that ends in a line feed */
export function syslogFrame({
  facility,
  tag,
  network,
  clock,
}: SyslogOptions): (line: Uint8Array) => Uint8Array {
  const priority = `<${facility * 8 + INFO}>`;
  // A name that is no printable ASCII would end the header early: "-" is RFC 5424's word for none.
  const host = /^[!-~]{1,255}$/.test(hostname()) ? hostname() : '-';
  return (line) => {
    const now = new Date(clock.now());
    if (network === 'unix') return joined(`${priority}${stamp(now)} ${tag}[${process.pid}]: `, line);
    const header = `${priority}1 ${now.toISOString()} ${host} ${tag} ${process.pid} audit - `;
    const message = joined(header, line.subarray(0, -1));
    return network === 'udp' ? message : joined(`${message.length} `, message);
  };
}

const joined = (head: string, tail: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(head, 'ascii'), tail]);

/** "Nov  2 05:04:03", in the time of this machine. */
function stamp(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = String(at.getDate()).padStart(2, ' ');
  return `${MONTHS[at.getMonth()]} ${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
