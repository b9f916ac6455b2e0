/**
 * One HTTP exchange with a server that is not trusted: bounded in time and size, its errors told by class. Used by
 * VaultClient; knows nothing of Vault but the codes of the failures.
 */

import http from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import tls from 'node:tls';
import { Failure, failure } from '../base/errors.ts';
import { judgedLookup } from '../base/judged.ts';
import { networkTrouble } from '../base/network.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  /** PEM; replaces the authorities given otherwise. */
  readonly ca?: string;
}

export interface TransportOptions {
  /** PEM; absent: the system's authorities. */
  readonly ca?: string | Uint8Array | undefined;
  readonly clientCert?: string | Uint8Array | undefined;
  readonly clientKey?: string | Uint8Array | undefined;
  readonly skipVerify?: boolean | undefined;
  /** The name that the certificate must carry; absent: the host of the address. */
  readonly serverName?: string | undefined;
  /** Where a host is really found, and the authority it is trusted by there. */
  readonly resolve?: ((host: string, port: number) => Target) | undefined;
  /** Whether an address may be connected to; `host` and `port` are what was named. Absent: any. */
  readonly allow?:
    | ((at: { readonly host: string; readonly port: number; readonly ip: string }) => boolean)
    | undefined;
}

export interface Exchange {
  readonly url: URL;
  readonly method: string;
  /** As it goes on the wire, encoded: never normalised, so that what was checked is what is sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
}

export interface Raw {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly bytes: Uint8Array;
}

/** How far a failed exchange came: a request that was never sent may be sent again whatever it does. */
export class Unsent extends Error {
  readonly failure: Failure;
  constructor(cause: Failure) {
    super(cause.message);
    this.failure = cause;
  }
}

export class Transport {
  readonly #http = new http.Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 16 });
  readonly #https: https.Agent;
  readonly #options: TransportOptions;
  /** Sockets that have once been connected: on a kept-alive one the event does not come again. */
  readonly #connected = new WeakSet<Socket>();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#https = new https.Agent({
      keepAlive: true,
      maxSockets: 64,
      maxFreeSockets: 16,
      minVersion: 'TLSv1.2',
      ...tlsOptions(options),
    });
  }

  /**
   * The TLS and address options of a connection to `url`, for whoever opens a socket of another kind (events).
   * @throws Failure dial.refused for an address that may not be connected to
   */
  connection(url: URL): https.RequestOptions {
    const secure = url.protocol === 'https:';
    const named = { host: bare(url.hostname), port: Number(url.port) || (secure ? 443 : 80) };
    const target = this.#options.resolve?.(named.host, named.port) ?? named;
    const ca = 'ca' in target ? target.ca : undefined;
    const isName = !/^[\d.]+$|:/.test(named.host);
    const { allow } = this.#options;
    const may = (ip: string): boolean => allow === undefined || allow({ ...named, ip });
    if (isIP(target.host) !== 0 && !may(target.host)) throw failure('dial.refused', named);
    return {
      host: target.host,
      port: target.port,
      ...(allow === undefined ? {} : { lookup: judgedLookup(may, named) }),
      ...(secure
        ? {
            ...tlsOptions(this.#options),
            ...(ca === undefined ? {} : { ca }),
            servername: this.#options.serverName ?? (isName ? named.host : ''),
            ...(this.#options.serverName === undefined && target.host !== named.host && !isName
              ? { checkServerIdentity: (_, cert) => tls.checkServerIdentity(named.host, cert) }
              : {}),
          }
        : {}),
    };
  }

  /** @throws Failure api.unreachable, api.untrusted, api.garbage, api.too_large; Unsent around one of these; the signal's reason */
  exchange(what: Exchange): Promise<Raw> {
    const { url, signal } = what;
    const secure = url.protocol === 'https:';
    const address = url.origin;
    return new Promise<Raw>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const headers = { host: url.host, ...what.headers };
      const agent = secure ? this.#https : this.#http;
      let connected = false;
      const request = (secure ? https : http).request({
        ...this.connection(url),
        method: what.method,
        path: what.path,
        headers:
          what.body === undefined ? headers : { ...headers, 'content-length': String(what.body.length) },
        agent,
      });
      const timer = setTimeout(() => {
        fail(failure('api.unreachable', { address, reason: `no answer within ${what.timeoutMs} ms` }));
      }, what.timeoutMs);
      const onAbort = (): void => fail(signal?.reason);
      let settled = false;
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        return true;
      };
      function fail(error: unknown): void {
        if (!settle()) return;
        request.destroy();
        reject(error);
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      request.on('socket', (socket) => {
        // A request that waited for a busy socket is given it without the mark `reusedSocket`.
        connected = request.reusedSocket || this.#connected.has(socket);
        if (connected) return;
        socket.once(secure ? 'secureConnect' : 'connect', () => {
          this.#connected.add(socket);
          connected = true;
        });
      });
      request.on('error', (error) => {
        const told = networkFailure(error, address);
        fail(connected ? told : new Unsent(told));
      });
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > what.limit)
            return fail(
              failure('api.garbage', { address, reason: `the answer is larger than ${what.limit} bytes` }),
            );
          chunks.push(chunk);
        });
        response.on('end', () => {
          if (!response.complete)
            return fail(failure('api.unreachable', { address, reason: 'the connection was cut' }));
          if (settle())
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              bytes: Buffer.concat(chunks),
            });
        });
        response.on('error', (error) => fail(networkFailure(error, address)));
        response.on('close', () =>
          fail(failure('api.unreachable', { address, reason: 'the connection was cut' })),
        );
      });
      request.end(what.body);
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '');

function tlsOptions(options: TransportOptions): tls.SecureContextOptions & { rejectUnauthorized?: boolean } {
  const bytes = (pem: string | Uint8Array) => (typeof pem === 'string' ? pem : Buffer.from(pem));
  return {
    ...(options.ca === undefined ? {} : { ca: bytes(options.ca) }),
    ...(options.clientCert === undefined ? {} : { cert: bytes(options.clientCert) }),
    ...(options.clientKey === undefined ? {} : { key: bytes(options.clientKey) }),
    ...(options.skipVerify === true ? { rejectUnauthorized: false } : {}),
  };
}

const CODES = {
  unreachable: 'api.unreachable',
  untrusted: 'api.untrusted',
  garbage: 'api.garbage',
} as const;

/** The failure for an error of a socket, told by its class; one that is a failure already stays what it is. */
export function networkFailure(error: unknown, address: string): Failure {
  if (error instanceof Failure) return error;
  const { kind, reason } = networkTrouble(error);
  return failure(CODES[kind], { address, reason });
}
