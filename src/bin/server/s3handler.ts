/** Where requests to a bucket may lead: to the hosts of its endpoint, at addresses where no cloud keeps keys of machines. */

import { type LookupAddress, lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { failure } from '../../base/errors.ts';
import type { S3Handler } from '../../server/backup/s3.ts';
import { isMetadata } from '../../server/http/dial.ts';

const CONNECT_MS = 10_000;
/** Without a byte from the service; a part is 16 MB. */
const SILENT_MS = 120_000;

/**
 * What the client of S3 sends through.
 * @param allowed whether this host is one of the endpoint's
 * @param ca PEM of the authorities to trust in place of the system's
 */
export function s3Handler(allowed: (host: string) => boolean, ca?: string): S3Handler {
  const judged: LookupFunction = (name, options, done) => {
    if (!allowed(name)) return done(refused(name), '', 0);
    lookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error) return done(error, '', 0);
      const fine = found.filter(({ address }) => !isMetadata(address));
      const [first] = fine;
      if (first === undefined) return done(refused(name), '', 0);
      if (options.all === true)
        return (done as unknown as (e: null, all: LookupAddress[]) => void)(null, fine);
      done(null, first.address, first.family);
    });
  };
  const agent = { keepAlive: true, maxSockets: 16, lookup: judged };
  return {
    connectionTimeout: CONNECT_MS,
    socketTimeout: SILENT_MS,
    httpAgent: new http.Agent(agent),
    httpsAgent: new https.Agent({ ...agent, ...(ca === undefined ? {} : { ca }) }),
  };
}

const refused = (host: string): NodeJS.ErrnoException =>
  Object.assign(failure('dial.refused', { host, port: 443 }) as Error, { code: 'EACCES' });

/** Hosts of an endpoint: itself, and where buckets are named before it. An address is judged when the file is read. */
export function hostsOf(endpoint: string | undefined, region: string): (host: string) => boolean {
  const own = endpoint === undefined ? `s3.${region}.amazonaws.com` : new URL(endpoint).hostname;
  const tail = `.${own.toLowerCase()}`;
  return (host) => `.${host.toLowerCase()}`.endsWith(tail);
}

/** Whether an endpoint names an address that no request may lead to: of those nobody looks anything up. */
export function isForbidden(endpoint: string): boolean {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && isMetadata(host);
}
