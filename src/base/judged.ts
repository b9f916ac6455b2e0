/**
 * A name service that gives only addresses which may be connected to. What is judged is the address, not the name: a name
 * can answer twice, once for whoever checks it and once for whoever connects.
 */

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { failure } from './errors.ts';

/**
 * @param may whether an address may be connected to
 * @param named what the manifest or request called it, for the refusal
 * @returns a lookup for sockets; it fails with `dial.refused` where no address is left
 */
export const judgedLookup =
  (may: (ip: string) => boolean, named: { readonly host: string; readonly port: number }): LookupFunction =>
  (name, options, done) => {
    systemLookup(name, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return done(error, '', 0);
      const allowed = addresses.filter(({ address }) => may(address));
      const [first] = allowed;
      if (first === undefined) return done(failure('dial.refused', named) as NodeJS.ErrnoException, '', 0);
      if (options.all === true) return done(null, allowed);
      done(null, first.address, first.family);
    });
  };
