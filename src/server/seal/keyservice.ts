/** A seal made of a service that wraps and unwraps: what all of them share is written here, once. */

import { failure } from '../../base/errors.ts';
import { trouble } from './ask.ts';
import { decodeWrapped, encodeWrapped, type Wrapped } from './blob.ts';
import type { AutoSeal } from './seal.ts';

/** A service with a key that it does not give out, or that lies elsewhere than the store. */
export interface KeyService {
  readonly type: string;
  /** @throws Failure seal.unreachable, seal.refused */
  wrap(plain: Uint8Array, signal: AbortSignal): Promise<Wrapped>;
  /** @throws Failure seal.unreachable, seal.refused, seal.lost_key */
  unwrap(wrapped: Wrapped, signal: AbortSignal): Promise<Uint8Array>;
  /** Makes the key where there is none yet; only services whose key is ours to make have it. */
  prepare?(signal: AbortSignal): Promise<void>;
  close?(): void;
  /** What people have to know of this seal as long as it is used; absent where there is nothing. */
  readonly caution?: string;
}

export function sealOf(service: KeyService): AutoSeal {
  const { type, caution } = service;
  const ended = new AbortController();
  const open = (): AbortSignal => {
    if (ended.signal.aborted) throw trouble(type, 'away', 'this server is closing');
    return ended.signal;
  };
  return {
    type,
    ...(caution === undefined ? {} : { caution }),
    async prepare() {
      await service.prepare?.(open());
    },
    async wrap(plain) {
      return encodeWrapped(type, await service.wrap(plain, open()));
    },
    async unwrap(blob) {
      const wrapped = decodeWrapped(type, blob);
      if (wrapped === undefined)
        throw trouble(type, 'lost', 'what the store holds of it is damaged, or of another seal');
      return service.unwrap(wrapped, open());
    },
    generation(blob) {
      const wrapped = decodeWrapped(type, blob);
      return wrapped === undefined ? '' : `${wrapped.key} ${wrapped.version}`;
    },
    close() {
      ended.abort();
      service.close?.();
    },
  };
}

/**
 * The failure for a store that another key wrapped than the one that the file names. Which they are is for the log alone.
 * @param wrapped the key that the store names, @param named the one of the file
 */
export const otherKey = (seal: string, wrapped: string, named: string) =>
  trouble(
    seal,
    'lost',
    'another key wrapped it than the one that the configuration names',
    failure('seal.other_key', { wrapped: wrapped.slice(0, 300), named }),
  );

/** Makes a value when it is first wanted, and again where that failed. */
export function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
