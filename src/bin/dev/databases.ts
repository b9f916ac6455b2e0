/** Where databases are found: what a request named is looked up once, judged, and connected to at the address that was judged. */

import { lookup } from 'node:dns/promises';
import { failure } from '../../base/errors.ts';
import type { Locate } from '../../engines/database/driver.ts';
import type { HostPort } from './options.ts';

/**
 * @param target where a host is really found, before any name service is asked
 * @param allow whether an address may be connected to
 */
export const locator =
  (target: (host: string, port: number) => HostPort, allow: (ip: string) => boolean): Locate =>
  async (host, port) => {
    const found = target(host, port);
    const addresses = await lookup(found.host, { all: true }).catch(() => {
      throw failure('dial.unreachable', { host, port, reason: 'there is no such host' });
    });
    const first = addresses.find(({ address }) => allow(address));
    if (first === undefined) throw failure('dial.refused', { host, port });
    return { ip: first.address, port: found.port };
  };
