/** Where databases are found: what a request named is looked up once, judged, and connected to at the address that was judged. */

import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { failure } from '../base/errors.ts';
import type { Locate, Open } from '../engines/database/driver.ts';
import { type DialOptions, isMetadata } from '../server/http/dial.ts';

/** @returns what finds databases, by the same list that every other way out of the server goes by */
export const locator =
  ({ target, allow }: DialOptions): Locate =>
  async (host, port) => {
    const found = target(host, port);
    const addresses = await lookup(found.host, { all: true }).catch(() => {
      throw failure('dial.unreachable', { host, port, reason: 'there is no such host' });
    });
    const first = addresses.find(({ address: ip }) => !isMetadata(ip) && allow({ host, port, ip }));
    if (first === undefined) throw failure('dial.refused', { host, port });
    return { ip: first.address, port: found.port };
  };

/** A socket to an address that was judged. */
export const openSocket: Open = ({ ip, port }) => connect({ host: ip, port, noDelay: true, keepAlive: true });
