import { describe, expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import { exportRequest } from './otlp.ts';
import { samplerOf } from './sampler.ts';
import { type EndedSpan, Tracer } from './tracer.ts';

function stand(sampler = 'parentbased_always_on') {
  const clock = new ManualClock(1_800_000_000_123);
  const ended: EndedSpan[] = [];
  let drawn = 0;
  const tracer = new Tracer({
    clock,
    sampler: samplerOf(sampler, 1) ?? (() => false),
    random: (bytes) => String(++drawn).padStart(bytes * 2, '0'),
    ended: (span) => void ended.push(span),
  });
  return { clock, ended, tracer };
}
const REMOTE = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true };

describe('spans', () => {
  it('are what OTLP in JSON has them to be, to the nanosecond', () => {
    const { clock, ended, tracer } = stand();
    const span = tracer.start({
      name: 'write kv',
      kind: 'server',
      parent: REMOTE,
      links: [{ ...REMOTE, spanId: 'c'.repeat(16), sampled: false }],
      attributes: { 'holdfast.mount': 'secret/', n: 3, share: 0.5, yes: true },
    });
    clock.advance(1.000_25);
    span.end(true);
    const body: unknown = JSON.parse(
      exportRequest(ended, { 'service.name': 'x' }, { name: 'holdfast', version: '1' }),
    );
    expect(body).toEqual({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'x' } }] },
          scopeSpans: [
            {
              scope: { name: 'holdfast', version: '1' },
              spans: [
                {
                  traceId: 'a'.repeat(32),
                  spanId: '0000000000000001',
                  flags: 1,
                  parentSpanId: 'b'.repeat(16),
                  name: 'write kv',
                  kind: 2,
                  startTimeUnixNano: '1800000000123000000',
                  endTimeUnixNano: expect.stringMatching(/^18000000001240002\d\d$/),
                  attributes: [
                    { key: 'holdfast.mount', value: { stringValue: 'secret/' } },
                    { key: 'n', value: { intValue: '3' } },
                    { key: 'share', value: { doubleValue: 0.5 } },
                    { key: 'yes', value: { boolValue: true } },
                  ],
                  links: [{ traceId: 'a'.repeat(32), spanId: 'c'.repeat(16), flags: 0 }],
                  status: { code: 2 },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it('end once, and in the time of their trace though the clock of the machine was set', () => {
    const { clock, ended, tracer } = stand();
    const parent = tracer.start({ name: 'p', kind: 'server' });
    clock.jump(-3_600_000);
    clock.advance(5);
    const child = tracer.start({ name: 'c', kind: 'client', parent });
    child.end();
    child.end();
    parent.end();
    expect(ended.map(({ name, startedAt }) => [name, startedAt - 1_800_000_000_123])).toEqual([
      ['c', 5],
      ['p', 0],
    ]);
    expect(ended[0]?.parent).toEqual(parent.context);
  });

  it('are not told where whoever began the trace does not record it, but keep their place', () => {
    const { ended, tracer } = stand();
    const span = tracer.start({ name: 'x', kind: 'server', parent: { ...REMOTE, sampled: false } });
    const child = tracer.start({ name: 'y', kind: 'client', parent: span });
    child.end();
    span.end();
    expect(ended).toEqual([]);
    expect(child.context).toMatchObject({ traceId: REMOTE.traceId, sampled: false });
  });

  it('are found over waits by what is done inside them, and by nobody else', async () => {
    const { tracer } = stand();
    const [a, b] = ['a', 'b'].map((name) => tracer.start({ name, kind: 'server' }));
    if (a === undefined || b === undefined) throw new Error('there are two');
    const look = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return tracer.current();
    };
    expect(await Promise.all([tracer.within(a, look), tracer.within(b, look), look()])).toEqual([
      a,
      b,
      undefined,
    ]);
  });
});
