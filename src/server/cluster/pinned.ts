/**
 * Connections between the nodes of one cluster: TLS 1.3, both sides with the certificate that lies behind the barrier, compared
 * byte by byte. There is no authority to be asked and no name to be checked: who has the key could open the store.
 */

import { X509Certificate } from 'node:crypto';
import { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { sameSecret } from '../../base/bytes.ts';
import type { ClusterIdentity } from './record.ts';

/** Settings of both sides; the comparison is the caller's, with `isPinned`, before a byte is sent or believed. */
export const tlsOptions = ({ certificate, key }: ClusterIdentity) => ({
  cert: certificate,
  key,
  minVersion: 'TLSv1.3' as const,
  rejectUnauthorized: false,
});

/** Whether the other side has the certificate of this cluster; its key was proven by the handshake. */
export function isPinned(
  socket: Pick<TLSSocket, 'getPeerCertificate'>,
  { certificate }: ClusterIdentity,
): boolean {
  const { raw } = socket.getPeerCertificate();
  return raw !== undefined && sameSecret(raw, new X509Certificate(certificate).raw);
}

/** No connection came about, so that nothing was sent. */
export class Unreached extends Error {
  override readonly name = 'Unreached';
}

/** A connection to another node that has proven itself. @throws Unreached */
export function connectPinned(
  { host, port }: { readonly host: string; readonly port: number },
  identity: ClusterIdentity,
  timeoutMs: number,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...tlsOptions(identity), checkServerIdentity: () => undefined });
    const fail = (cause?: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Unreached('the node that leads cannot be reached', { cause }));
    };
    const timer = setTimeout(fail, timeoutMs);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      if (!isPinned(socket, identity)) return fail();
      clearTimeout(timer);
      socket.off('error', fail);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** Keeps such connections for the requests to come. */
export class PinnedAgent extends Agent {
  readonly #identity: ClusterIdentity;
  readonly #timeoutMs: number;

  constructor(identity: ClusterIdentity, timeoutMs: number) {
    super({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' });
    this.#identity = identity;
    this.#timeoutMs = timeoutMs;
  }

  override createConnection(
    options: { readonly host?: string | null; readonly port?: number | string | null },
    created?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    connectPinned(
      { host: options.host ?? '', port: Number(options.port) },
      this.#identity,
      this.#timeoutMs,
    ).then(
      (socket) => created?.(null, socket),
      (error: Error) => created?.(error, undefined as unknown as Duplex),
    );
  }
}
