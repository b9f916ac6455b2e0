/** Keeps the token alive that a seal asks with: it would else end while the server runs, and be missed at the next start. */

import type { Clock } from '../../base/clock.ts';
import { isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';
import { wayOf } from './autounseal.ts';

/** How long a token lives from now on, and whether it can be renewed again. */
export interface Lease {
  readonly ms: number;
  readonly renewable: boolean;
}

const RETRY = { baseMs: 1000, maxMs: 60_000 };
/** As upstream's clients do: two thirds of the time are gone, and one is left for what goes wrong. */
const SHARE = 2 / 3;
const SOONEST_MS = 1000;

/** Renews at once and then in time, until it is stopped or told that this token cannot be renewed. @returns what stops it */
export function keepRenewed({
  renew,
  clock,
  log,
}: {
  readonly renew: () => Promise<Lease>;
  readonly clock: Clock;
  readonly log: Log;
}): () => void {
  let stopped = false;
  let cancel = (): void => {};
  let failed = 0;
  const again = (ms: number): void => {
    if (!stopped) cancel = clock.after(ms, () => void once());
  };
  const once = async (): Promise<void> => {
    try {
      const { ms, renewable } = await renew();
      failed = 0;
      log.debug('the token of the seal was renewed', { ms });
      if (renewable && ms > 0) again(Math.max(ms * SHARE, SOONEST_MS));
      else log.info('the token of the seal needs no renewal, or takes none', { ms, renewable });
    } catch (error) {
      if (stopped) return;
      if (isFailure(error, 'seal.refused'))
        // Root tokens and tokens without `renew-self` come here, and are good: whether it opens the store is told elsewhere.
        return log.warn('the token of the seal cannot be renewed, and is left as it is', { error });
      if (failed === 0) log.warn('the token of the seal was not renewed yet', { error, ...wayOf(error) });
      again(backoff(failed++, RETRY));
    }
  };
  void once();
  return () => {
    stopped = true;
    cancel();
  };
}
