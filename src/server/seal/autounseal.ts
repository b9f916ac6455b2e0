/** Opens the server by itself when it starts: tried until it succeeds, because the service may start after us. */

import type { Clock } from '../../base/clock.ts';
import { isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';

const RETRY = { baseMs: 1000, maxMs: 30_000 };

export interface AutoUnseal {
  /** Why the last try failed, in words that anybody may read; absent where there is nothing to wait for. */
  problem(): string | undefined;
  stop(): void;
}

/**
 * Tries at once and then again and again, until `open` answers or this is stopped.
 * @param open gives "open" once the server answers requests; any other word ends the tries
 */
export function openByItself({
  seal,
  open,
  clock,
  log,
}: {
  /** The type of the seal. */
  readonly seal: string;
  readonly open: () => Promise<'open' | 'uninitialized' | 'people'>;
  readonly clock: Clock;
  readonly log: Log;
}): AutoUnseal {
  let stopped = false;
  let cancel = (): void => {};
  let problem: string | undefined;
  let told = '';
  let failed = 0;
  const once = async (): Promise<void> => {
    try {
      const outcome = await open();
      problem = undefined;
      if (outcome === 'open') log.info('unsealed', { seal });
      if (outcome === 'people')
        log.warn('the store is under another seal: move it with operator unseal -migrate', { seal });
    } catch (error) {
      if (stopped) return;
      problem = publicReason(error, seal);
      const reason = error instanceof Error ? error.message : '';
      // Once for each reason: a night without the other server must not fill a disk.
      if (reason !== told)
        log.error('the server is still sealed, and tries again', { seal, error, ...wayOf(error) });
      told = reason;
      cancel = clock.after(backoff(failed++, RETRY), () => void once());
    }
  };
  void once();
  return {
    problem: () => problem,
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/** Why no connection came about, with the address: for the log alone. */
export function wayOf(error: unknown): { readonly way?: string } {
  const cause = error instanceof Error ? error.cause : undefined;
  return isFailure(cause) ? { way: cause.message } : {};
}

/** For `sys/seal-status`, which asks nobody for a token: no address, and nothing that the service said. */
function publicReason(error: unknown, seal: string): string {
  if (isFailure(error, 'seal.unreachable'))
    return `The seal "${seal}" does not answer. It is asked again, and this server opens by itself once it does.`;
  if (isFailure(error, 'seal.refused'))
    return `The seal "${seal}" refuses this server. It is asked again; the log of this server has the reason.`;
  if (isFailure(error, 'seal.lost_key'))
    return `The key of the seal "${seal}" does not open this store. Nothing is lost while the key exists; the log of this server has the reason.`;
  return `The seal "${seal}" could not open this server. It is tried again; the log of this server has the reason.`;
}
