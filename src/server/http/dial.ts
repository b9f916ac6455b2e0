/**
 * The one way out of the server. An address that a request or a mount's configuration named is reached only when the list of
 * the server's own file allows it, and what is judged is the address that is connected to, not the name: a name can answer
 * twice. No redirect is followed, and an answer is bounded in size and time.
 */

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { BlockList, isIP } from 'node:net';
import { failure } from '../../base/errors.ts';
import type { Dial, DialRequest } from '../../plugin/plugin.ts';

export interface DialOptions {
  /** Where a host is really found, before any name service is asked. */
  target(host: string, port: number): { readonly host: string; readonly port: number };
  /** Whether the address may be connected to; `host` is what the request named. */
  allow(at: { readonly host: string; readonly port: number; readonly ip: string }): boolean;
  /** How to prove who we are, and whom to trust: for a way that leads to one server, which the server's own file names. */
  readonly tls?: DialTls;
  /** Whether link-local addresses may be reached, too: for a way that leads to one, by a line of the server's own file. */
  readonly metadata?: boolean;
}

export interface DialTls {
  /** PEM; replaces the system's trust. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

const ANSWER_LIMIT = 1024 * 1024;
const TIMEOUT_MS = 10_000;

/** Never reached, whatever the list of `egress` says: link-local addresses, where clouds keep the keys of their machines. */
const METADATA = new BlockList();
METADATA.addSubnet('169.254.0.0', 16, 'ipv4');
METADATA.addSubnet('fe80::', 10, 'ipv6');
METADATA.addAddress('fd00:ec2::254', 'ipv6');
METADATA.addAddress('100.100.100.200', 'ipv4');

/**
 * Makes the answer to where the way out may lead, for what is configured long before it is dialled. A name that cannot be
 * looked up now is judged by the name alone.
 */
export const createMayReach =
  (options: DialOptions) =>
  async (text: string): Promise<boolean> => {
    if (!URL.canParse(text)) return false;
    const { host, port, target } = whereTo(new URL(text), options);
    const found = await lookup(target.host, { all: true }).catch(() => []);
    if (found.length === 0) return options.allow({ host, port, ip: '' });
    return found.some(({ address: ip }) => !isMetadata(ip) && options.allow({ host, port, ip }));
  };

function whereTo(url: URL, { target }: DialOptions) {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host, port, target: target(host, port) };
}

/** Makes the way out. @throws Failure dial.* from each call: dial.refused, dial.unreachable, dial.too_large */
export function createDial(options: DialOptions): Dial {
  return (request) => {
    const url = new URL(request.url);
    const { host, port, target } = whereTo(url, options);
    const judge = (ip: string): boolean =>
      (options.metadata === true || !isMetadata(ip)) && options.allow({ host, port, ip });
    if (isIP(target.host) !== 0 && !judge(target.host))
      return Promise.reject(failure('dial.refused', { host, port }));
    return exchange(url, target, judge, request, { host, port }, options.tls);
  };
}

export function isMetadata(ip: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  const plain = mapped ?? ip;
  return METADATA.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

function exchange(
  url: URL,
  target: { readonly host: string; readonly port: number },
  judge: (ip: string) => boolean,
  request: DialRequest,
  named: { readonly host: string; readonly port: number },
  tls: DialTls = {},
): ReturnType<Dial> {
  const secure = url.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const timeout = AbortSignal.timeout(request.timeoutMs ?? TIMEOUT_MS);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    const unreachable = (cause: NodeJS.ErrnoException): Error =>
      failure('dial.unreachable', {
        ...named,
        reason: timeout.aborted ? 'no answer in time' : (cause.code ?? cause.name),
      });
    const sent = (secure ? secureRequest : plainRequest)(
      {
        host: target.host,
        port: target.port,
        path: url.pathname + url.search,
        method: request.method,
        headers: {
          host: url.host,
          ...request.headers,
          ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
        },
        agent: false,
        signal,
        ...(secure
          ? {
              servername: isIP(named.host) === 0 ? named.host : '',
              ...tls,
              ...(request.ca === undefined ? {} : { ca: request.ca }),
            }
          : {}),
        lookup: (name, given, done) => {
          systemLookup(name, { ...given, all: true }, (error, addresses: LookupAddress[]) => {
            if (error) return done(error, '', 0);
            const allowed = addresses.filter(({ address }) => judge(address));
            const [first] = allowed;
            if (first === undefined)
              return done(failure('dial.refused', named) as NodeJS.ErrnoException, '', 0);
            if (given.all === true)
              return (done as unknown as (e: null, all: LookupAddress[]) => void)(null, allowed);
            done(null, first.address, first.family);
          });
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > ANSWER_LIMIT)
            response.destroy(failure('dial.too_large', { ...named, limit: ANSWER_LIMIT }));
        });
        response.once('error', (error: NodeJS.ErrnoException) =>
          reject(error.name === 'Failure' ? error : unreachable(error)),
        );
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks),
            ...(response.headers.date === undefined ? {} : { date: response.headers.date }),
            ...(response.headers['www-authenticate'] === undefined
              ? {}
              : { challenge: response.headers['www-authenticate'] }),
            ...(response.headers['retry-after'] === undefined
              ? {}
              : { retryAfter: response.headers['retry-after'] }),
          }),
        );
      },
    );
    sent.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.name === 'Failure' ? error : unreachable(error)),
    );
    sent.end(request.body);
  });
}
