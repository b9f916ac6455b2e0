/** Waiting between tries: exponential, capped, with full jitter so that many clients do not come back at once. */
export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** The wait before try `attempt` (0 is the first retry), in milliseconds. `random` gives numbers in [0, 1). */
export function backoff(
  attempt: number,
  { baseMs, maxMs }: Backoff,
  random: () => number = Math.random,
): number {
  const most = ceiling(attempt, { baseMs, maxMs });
  return most / 2 + (random() * most) / 2;
}

/** The longest that the wait before try `attempt` can be, in milliseconds. */
export const ceiling = (attempt: number, { baseMs, maxMs }: Backoff): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));

/** Resolves after `ms`, or rejects with the signal's reason when it is aborted first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, ms);
    function done(): void {
      signal?.removeEventListener('abort', stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener('abort', stop, { once: true });
  });
}
