/** What is lent for a time, such as a token: kept until shortly before its end, then asked for anew. */

/** So long before its end it is not used any more. */
const MARGIN_MS = 5 * 60_000;
/** While a renewal fails, the old one is used until so long before its end. */
const GRACE_MS = 30_000;

export interface Lent<T> {
  fetch(): Promise<T>;
  /** Milliseconds since the epoch; undefined: it never ends. */
  endsAt(lent: T): number | undefined;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Gives what is held, and renews it in time; one asks, whoever waits. @throws what `fetch` throws */
export function renewed<T>({ fetch, endsAt, now }: Lent<T>): () => Promise<T> {
  let held: T | undefined;
  let pending: Promise<T> | undefined;
  return () => {
    const ends = held === undefined ? 0 : (endsAt(held) ?? Number.POSITIVE_INFINITY);
    if (held !== undefined && now() < ends - MARGIN_MS) return Promise.resolve(held);
    pending ??= fetch()
      .then(
        (fresh) => {
          held = fresh;
          return fresh;
        },
        (error: unknown) => {
          // It is good for some minutes yet: what fails to be renewed must not fail the reads of now.
          if (held !== undefined && now() < ends - GRACE_MS) return held;
          throw error;
        },
      )
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };
}
