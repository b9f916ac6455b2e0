/** Where names are found, and which ports are free. */

import { isIP } from 'node:net';
import { failure, isFailure } from '../../base/errors.ts';
import type { HostPort } from './options.ts';

export interface Target extends HostPort {
  /** PEM of the authority that this target is trusted by. */
  readonly ca?: string;
}

export type Resolve = (host: string, port: number) => Target;

/**
 * Finds hosts that manifests name: a Service of the embedded API first, then what --resolve says, else the name itself.
 * `ca` is our own authority, which answers for everything that stands on this machine.
 */
export function resolver(
  services: (host: string, port: number) => HostPort | undefined,
  given: ReadonlyMap<string, HostPort>,
  ca: string,
): Resolve {
  return (host, port) => {
    const found = services(host, port) ?? given.get(`${host}:${port}`);
    if (found !== undefined) return { ...found, ca };
    return { host, port };
  };
}

/**
 * Listens where it was asked to, or on the default port or the next free one after it.
 * @throws Failure listener.in_use for a port that was asked for and is taken, dev.no_port when fifty are
 */
export async function listenNear<T>(
  asked: HostPort | undefined,
  byDefault: HostPort,
  listen: (at: HostPort) => Promise<T>,
): Promise<{ readonly value: T; readonly moved: boolean }> {
  if (asked !== undefined) return { value: await listen(asked), moved: false };
  for (let port = byDefault.port; port < byDefault.port + 50; port++) {
    try {
      return { value: await listen({ ...byDefault, port }), moved: port !== byDefault.port };
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
  throw failure('dev.no_port', { address: `${byDefault.host}:${byDefault.port}` });
}

export const isTaken = (error: unknown): boolean =>
  isFailure(error, 'listener.in_use') || (error as NodeJS.ErrnoException).code === 'EADDRINUSE';

/** Whether an address is of this machine alone. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
