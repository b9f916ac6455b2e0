/**
 * Connections to syslog daemons and collectors of the audit trail: judged by the list that every other way out goes by, and
 * made to the address that was judged. Connecting and sending are all there is; what the other end says is thrown away.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectSocket, isIPv6, type Socket } from 'node:net';
import { failure, isFailure } from '../base/errors.ts';
import type { AuditLink, LinkTarget, OpenLink } from '../server/audit/link.ts';
import { LOCAL_SYSLOG } from '../server/audit/syslog.ts';
import type { DialOptions } from '../server/http/dial.ts';
import { locator } from './databases.ts';

/** Finds out that a peer vanished while nothing was sent. */
const KEEP_ALIVE_MS = 15_000;

/**
 * @param wayOut where the server may connect to
 * @param sockets paths of Unix sockets that it may connect to, beside that of the machine's syslog daemon
 */
export function auditLinks(wayOut: DialOptions, sockets: readonly string[] = []): OpenLink {
  const locate = locator(wayOut);
  return async (target, signal) => {
    if (target.network === 'unix') {
      if (target.path !== LOCAL_SYSLOG && !sockets.includes(target.path))
        throw failure('dial.refused_socket', { path: target.path });
      return streamLink(await connected(connectSocket({ path: target.path }), target, signal));
    }
    const { ip, port } = await locate(target.host, target.port);
    if (target.network === 'udp') return datagramLink(ip, port);
    return streamLink(await connected(connectSocket({ host: ip, port }), target, signal));
  };
}

async function connected(socket: Socket, target: LinkTarget, signal: AbortSignal): Promise<Socket> {
  const cancel = (): void => void socket.destroy();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw isFailure(error) ? error : unreachable(target, codeOf(error));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

function unreachable(target: LinkTarget, reason: string): Error {
  if (target.network !== 'unix')
    return failure('dial.unreachable', { host: target.host, port: target.port, reason });
  // EPROTOTYPE: a socket of datagrams, as systemd and rsyslog have it. Node has none of that kind.
  const mend =
    target.path === LOCAL_SYSLOG
      ? 'give the syslog daemon a TCP or UDP input and name it with address=127.0.0.1:PORT and socket_type'
      : 'name a socket that takes streams';
  return failure('audit.bad_option', {
    reason:
      reason === 'EPROTOTYPE'
        ? `${target.path} is a socket of datagrams, which this server cannot write to: ${mend}`
        : `cannot connect to ${target.path}: ${reason}: ${mend}`,
  });
}

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ABORT_ERR' ? 'no answer in time' : (code ?? 'unknown');
}

function streamLink(socket: Socket): AuditLink {
  let gone = false;
  const lost = (): void => {
    gone = true;
  };
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.setNoDelay(true);
  socket.unref();
  // A peer that ends its side will not read on: what is sent after that is lost.
  socket.on('end', lost).on('close', lost).on('error', lost);
  socket.resume();
  return {
    get gone() {
      return gone;
    },
    send: (bytes) =>
      new Promise((resolve, reject) => {
        const closed = (): void => reject(new Error('the other end closed the connection'));
        socket.once('close', closed);
        socket.write(bytes, (error) => {
          socket.removeListener('close', closed);
          if (error) reject(error);
          else resolve();
        });
      }),
    close: () => void socket.destroy(),
  };
}

async function datagramLink(ip: string, port: number): Promise<AuditLink> {
  const socket = createSocket(isIPv6(ip) ? 'udp6' : 'udp4');
  let gone = false;
  let closed = false;
  socket.on('error', () => {
    gone = true;
  });
  socket.unref();
  // Connected, so that the system tells where nobody listens at the address.
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(port, ip, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
  return {
    get gone() {
      return gone;
    },
    send: (bytes) =>
      new Promise((resolve, reject) => {
        socket.send(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    close() {
      if (closed) return;
      closed = true;
      socket.close();
    },
  };
}
