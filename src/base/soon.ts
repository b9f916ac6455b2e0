/**
 * Values that may be there already. A promise costs a turn of the microtask queue even where nothing is waited for; on the
 * path of a cached read these turns were a good part of the whole, so what can answer at once does.
 */

export type Soon<T> = T | Promise<T>;

/** Goes on with `use`: at once where the value is there, else when it is. What `use` throws at once is thrown at once. */
export const after = <A, B>(value: Soon<A>, use: (value: A) => Soon<B>): Soon<B> =>
  value instanceof Promise ? value.then(use) : use(value);
