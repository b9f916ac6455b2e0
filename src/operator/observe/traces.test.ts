import { afterEach, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { formatTraceparent } from '../../base/trace/context.ts';
import { samplerOf } from '../../base/trace/sampler.ts';
import { type EndedSpan, Tracer } from '../../base/trace/tracer.ts';
import { SyncTraces } from './traces.ts';

const ended: EndedSpan[] = [];
afterEach(() => void ended.splice(0));
const tracer = new Tracer({
  clock: new ManualClock(),
  sampler: samplerOf('parentbased_always_on', 1) ?? (() => false),
  ended: (span) => void ended.push(span),
});
const KEY = 'ExternalSecret/team/app';
const cause = (digit: string, sampled = true) => ({
  traceId: digit.repeat(32),
  spanId: digit.repeat(16),
  sampled,
});
const tell = (traces: SyncTraces, ...digits: string[]): void => {
  for (const digit of digits) traces.told(KEY, formatTraceparent(cause(digit)));
};
const done = async () => ({ end: 'done' }) as const;

test('a sync that nobody told of, or by a traceparent that is none, is no span', async () => {
  const traces = new SyncTraces(tracer);
  traces.told(KEY, undefined);
  traces.told(KEY, 'nonsense');
  await traces.sync(KEY, done);
  expect(ended).toEqual([]);
});

test('one sync that answers several writes goes on with the newest and is linked to the others', async () => {
  const traces = new SyncTraces(tracer);
  tell(traces, 'a', 'b', 'c');
  await traces.sync(KEY, done);
  await traces.sync(KEY, done);
  expect(ended).toHaveLength(1);
  expect(ended[0]?.parent).toEqual(cause('c'));
  expect(ended[0]?.links).toEqual([cause('a'), cause('b')]);
});

test('the newest write that is recorded goes before a newer one that is not', async () => {
  const traces = new SyncTraces(tracer);
  tell(traces, 'a');
  traces.told(KEY, formatTraceparent(cause('b', false)));
  await traces.sync(KEY, done);
  expect(ended[0]).toMatchObject({ parent: cause('a'), links: [cause('b', false)] });
});

test('what failed is tried again in the same trace, with what was told meanwhile', async () => {
  const traces = new SyncTraces(tracer);
  tell(traces, 'a');
  await traces.sync(KEY, async () => {
    tell(traces, 'b');
    return { end: 'failed' };
  });
  await expect(
    traces.sync(KEY, async () => {
      throw failure('base.internal');
    }),
  ).rejects.toThrow();
  await traces.sync(KEY, done);
  expect(ended.map(({ parent, links, failed }) => [parent?.traceId[0], links.length, failed])).toEqual([
    ['a', 0, true],
    ['b', 1, true],
    ['b', 1, false],
  ]);
});

test('a thousand writes while a store is down are remembered as sixteen', async () => {
  const traces = new SyncTraces(tracer);
  for (let n = 0; n < 1000; n++) tell(traces, (n % 15).toString(16).replace('0', 'f'));
  await traces.sync(KEY, done);
  expect(ended[0]?.links).toHaveLength(15);
});

test('what is another replica’s is forgotten', async () => {
  const traces = new SyncTraces(tracer);
  tell(traces, 'a');
  traces.forget(KEY);
  await traces.sync(KEY, done);
  expect(ended).toEqual([]);
});
