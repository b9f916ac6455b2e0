/** Views of the store for nodes of which only one may write. What is handed in is a view of the barrier: an object of functions. */

import { failure } from '../../base/errors.ts';
import type { Storage, Write } from '../../storage/storage.ts';

/**
 * A view that is read only: a commit is refused before anything was done, so that whoever meant to write can be sent to the
 * leader and nothing of what they asked has happened.
 * @param relay takes the writes that the leader keeps in this node's name; absent or false: refused
 */
export function readOnly(
  storage: Storage,
  relay?: (writes: readonly Write[]) => Promise<number> | false,
): Storage {
  return {
    ...storage,
    async commit(writes) {
      const relayed = relay?.(writes);
      if (relayed === undefined || relayed === false) throw failure('storage.standby');
      return relayed;
    },
  };
}

/** A view that takes writes until `over`: what one time of leading left running must not write in the next. */
export function whileLeading(storage: Storage, over: AbortSignal): Storage {
  return {
    ...storage,
    async commit(writes, checks) {
      if (over.aborted) throw failure('storage.fenced');
      return storage.commit(writes, checks);
    },
  };
}
