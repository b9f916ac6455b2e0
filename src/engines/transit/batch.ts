/**
 * One thing or many in one request. Each item of a batch succeeds or fails for itself; where one failed, the whole answer
 * has status 400 (or what the caller asked for, if another succeeded) and still carries every result.
 */

import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { failure, isFailure } from '../../base/errors.ts';
import { integer } from '../../base/schema.ts';
import type { Call, Mount, Reply } from '../../plugin/plugin.ts';

/** What an item may say beside its own fields: a name that comes back with its result. */
const reference = { reference: z.string().optional() };

/** The fields of one item, as a request sends them: bare, or many of them in `batch_input`. */
export const batchOf = <S extends z.ZodRawShape>(item: z.ZodObject<S>) => ({
  batch_input: z.array(item.extend(reference)).nullish(),
  partial_failure_response_code: integer().nullish(),
});

/** The answer to an item, to one or to many. */
export const batchAnswer = <S extends z.ZodRawShape>(result: z.ZodObject<S>) =>
  z.union([
    z.object({
      batch_results: z.array(result.partial().extend({ error: z.string().optional(), ...reference })),
    }),
    result,
  ]);

interface Batched<I> {
  readonly batch_input?: readonly (I & { readonly reference?: string | undefined })[] | null | undefined;
  readonly partial_failure_response_code?: number | null | undefined;
}

/** Milliseconds of work after which others get their turn: signing a thousand times would keep them all waiting. */
const TURN = 10;

/**
 * Answers a request that is one item, or a batch of them.
 * @param failed what stands beside the error of an item that failed: upstream's empty values, which typed clients read
 * @throws Failure what `one` throws, for a single item; transit.no_batch; a failure that is not the item's own fault, for all
 */
export async function each<I, O extends object>(
  mount: Mount,
  call: Call,
  input: Batched<I> & I,
  one: (item: I) => Promise<O>,
  failed: Partial<O> = {},
  // biome-ignore lint/suspicious/noExplicitAny: the operation's output schema is the shape, and it is checked against it
): Promise<Reply<any>> {
  if (input.batch_input === undefined || input.batch_input === null) return { data: await one(input) };
  if (input.batch_input.length === 0) throw failure('transit.no_batch');
  const results: object[] = [];
  let failures = 0;
  let since = mount.clock.monotonic();
  for (const item of input.batch_input) {
    if (mount.clock.monotonic() - since > TURN) {
      await setImmediate();
      call.signal.throwIfAborted();
      since = mount.clock.monotonic();
    }
    const named = { reference: item.reference ?? '' };
    try {
      results.push({ ...(await one(item)), ...named });
    } catch (error) {
      if (!isFailure(error) || error.kind !== 'invalid') throw error;
      failures++;
      results.push({ ...failed, error: error.message, ...named });
    }
  }
  const data = { batch_results: results };
  if (failures === 0) return { data };
  const wanted = input.partial_failure_response_code ?? 400;
  return failures < results.length ? partial(data, wanted) : { data, status: 400 };
}

/** Statuses that carry a body, as HTTP knows them. */
const isStatus = (code: number): boolean => code >= 200 && code <= 599 && code !== 204 && code !== 304;

function partial<D>(data: D, status: number): Reply<D> {
  if (isStatus(status)) return { data, status };
  return {
    data,
    status: 400,
    warnings: ['invalid HTTP response code override in partial_failure_response_code; using default'],
  };
}
