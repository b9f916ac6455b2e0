/**
 * HTTP to a Kubernetes API server: one request, or one stream of lines. Bounded in time and size; errors are told by
 * class. The server is trusted with our objects but not to be well.
 */

import http from 'node:http';
import https from 'node:https';
import { failure } from '../base/errors.ts';
import { networkTrouble } from '../base/network.ts';
import type { KubeConfig } from './config.ts';

export interface HttpRequest {
  readonly method: string;
  /** Encoded, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export class KubeHttp {
  readonly address: string;
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #config: KubeConfig;

  constructor(config: KubeConfig) {
    this.#config = config;
    this.#url = new URL(config.server);
    this.address = this.#url.origin;
    // Watches hold their sockets for minutes, so the number is not bounded: it is the number of kinds plus workers.
    const options = { keepAlive: true, keepAliveMsecs: 15_000 };
    this.#agent = this.#url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
  }

  /** @throws Failure kube.unreachable, kube.garbage; the signal's reason */
  async send(request: HttpRequest, timeoutMs: number, limit: number): Promise<HttpAnswer> {
    const opened = await this.#open(request, timeoutMs);
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => opened.response.destroy(), timeoutMs);
    try {
      for await (const chunk of opened.response as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > limit) throw this.#garbage(`the answer is larger than ${limit} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      throw this.#told(error);
    } finally {
      clearTimeout(timer);
      opened.finish();
    }
    return {
      status: opened.response.statusCode ?? 0,
      headers: opened.response.headers,
      body: Buffer.concat(chunks),
    };
  }

  /**
   * The lines of an answer, as they come. A last line without its end is dropped: it was cut.
   * @param handshakeMs how long the head of the answer may take; @param lifeMs how long the stream may live
   * @throws as `send`, also when the connection is cut
   */
  async *lines(
    request: HttpRequest & { readonly signal: AbortSignal },
    handshakeMs: number,
    lifeMs: number,
    limit: number,
    head: (answer: HttpAnswer) => boolean,
  ): AsyncIterable<string> {
    const opened = await this.#open(request, handshakeMs);
    const { response } = opened;
    const timer = setTimeout(() => response.destroy(new Error('lifetime')), lifeMs);
    let rest: Buffer[] = [];
    let size = 0;
    try {
      const status = response.statusCode ?? 0;
      const plain = status < 200 || status >= 300;
      if (!plain && !head({ status, headers: response.headers, body: Buffer.alloc(0) })) return;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        let from = 0;
        for (;;) {
          const end = plain ? -1 : chunk.indexOf(10, from);
          const part = chunk.subarray(from, end === -1 ? chunk.length : end);
          size += part.length;
          if (size > limit) throw this.#garbage(`a line is larger than ${limit} bytes`);
          rest.push(part);
          if (end === -1) break;
          const line = rest.length === 1 ? part : Buffer.concat(rest);
          rest = [];
          size = 0;
          from = end + 1;
          if (line.length > 0) yield line.toString('utf8');
        }
      }
      if (plain) head({ status, headers: response.headers, body: Buffer.concat(rest) });
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason;
      throw this.#told(error);
    } finally {
      clearTimeout(timer);
      response.destroy();
      opened.finish();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #open(
    what: HttpRequest,
    timeoutMs: number,
  ): Promise<{ readonly response: http.IncomingMessage; readonly finish: () => void }> {
    const url = this.#url;
    const { signal } = what;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const secure = url.protocol === 'https:';
      const { ca, skipVerify, serverName, lookup, clientCert, clientKey } = this.#config;
      const request = (secure ? https : http).request({
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: Number(url.port) || (secure ? 443 : 80),
        method: what.method,
        path: url.pathname.replace(/\/+$/, '') + what.path,
        headers:
          what.body === undefined
            ? what.headers
            : { ...what.headers, 'content-length': String(what.body.length) },
        agent: this.#agent,
        ...(lookup === undefined ? {} : { lookup }),
        ...(secure
          ? {
              minVersion: 'TLSv1.2' as const,
              ...(ca === undefined ? {} : { ca }),
              ...(clientCert === undefined ? {} : { cert: clientCert }),
              ...(clientKey === undefined ? {} : { key: clientKey }),
              ...(serverName === undefined ? {} : { servername: serverName }),
              ...(skipVerify === true ? { rejectUnauthorized: false } : {}),
            }
          : {}),
      });
      const timer = setTimeout(
        () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })),
        timeoutMs,
      );
      const abort = (): void => {
        request.destroy();
      };
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      signal?.addEventListener('abort', abort, { once: true });
      request.on('error', (error) => {
        finish();
        reject(signal?.aborted ? signal.reason : this.#told(error));
      });
      request.on('response', (response) => {
        clearTimeout(timer);
        resolve({ response, finish });
      });
      request.end(what.body);
    });
  }

  #garbage(reason: string) {
    return failure('kube.garbage', { address: this.address, reason });
  }

  /** A socket's error by its class; a failure stays what it is. */
  #told(error: unknown): Error {
    if (error instanceof Error && error.name === 'Failure') return error;
    const { kind, reason } = networkTrouble(error);
    if (kind === 'garbage') return this.#garbage(reason);
    return failure('kube.unreachable', {
      address: this.address,
      reason: kind === 'untrusted' ? `TLS: ${reason}` : reason,
    });
  }
}
