import { describe, expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import { type Log, silentLog } from '../log.ts';
import { BatchExporter } from './exporter.ts';
import type { EndedSpan } from './tracer.ts';

const span = (name: string): EndedSpan => ({
  name,
  kind: 'server',
  context: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true },
  parent: undefined,
  links: [],
  startedAt: 1,
  endedAt: 2,
  attributes: {},
  failed: false,
});

/** An exporter whose collector answers as it is told; everything it was sent, by batch. */
function stand(answer: (batch: number) => number | Error, most?: number) {
  const clock = new ManualClock();
  const batches: string[][] = [];
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
  const exporter = new BatchExporter({
    clock,
    log,
    random: () => 0.999,
    async send(spans) {
      batches.push(spans.map(({ name }) => name));
      const given = answer(batches.length);
      if (given instanceof Error) throw given;
      return given;
    },
    ...(most === undefined ? {} : { most }),
  });
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { exporter, batches, warnings, advance };
}

describe('the exporter', () => {
  it('sends what came within its delay in one batch', async () => {
    const { exporter, batches, advance } = stand(() => 200);
    exporter.add(span('a'));
    await advance(4999);
    exporter.add(span('b'));
    expect(batches).toEqual([]);
    await advance(1);
    expect(batches).toEqual([['a', 'b']]);
    expect(exporter.counts).toEqual({ sent: 2, dropped: 0 });
  });

  it('sends a full batch at once', async () => {
    const { exporter, batches, advance } = stand(() => 200);
    for (let i = 0; i < 600; i++) exporter.add(span(String(i)));
    await advance(0);
    expect(batches.map(({ length }) => length)).toEqual([512]);
    await advance(5000);
    expect(batches.map(({ length }) => length)).toEqual([512, 88]);
  });

  it('drops what finds no room, counts it, and neither waits nor throws', async () => {
    const { exporter, advance } = stand(() => new Error('down'), 10);
    for (let i = 0; i < 25; i++) exporter.add(span(String(i)));
    await advance(5000);
    expect(exporter.counts).toEqual({ sent: 0, dropped: 15 });
  });

  it('sends again what a collector could not take yet, later each time, and tells it once', async () => {
    const { exporter, batches, warnings, advance } = stand((n) =>
      n === 1 ? 503 : n === 2 ? new Error('x') : 200,
    );
    exporter.add(span('a'));
    await advance(5000);
    await advance(5000);
    expect(batches).toHaveLength(2);
    await advance(5000);
    expect(batches).toHaveLength(2);
    await advance(5000);
    expect(batches).toEqual([['a'], ['a'], ['a']]);
    expect(warnings).toEqual(['the collector takes no traces']);
    expect(exporter.counts).toEqual({ sent: 1, dropped: 0 });
  });

  it('does not send again what was refused for good', async () => {
    const { exporter, batches, advance } = stand(() => 400);
    exporter.add(span('a'));
    await advance(5000);
    await advance(600_000);
    expect(batches).toEqual([['a']]);
    expect(exporter.counts).toEqual({ sent: 0, dropped: 1 });
  });

  it('sends what waits when it is closed, and nothing after that', async () => {
    const { exporter, batches, advance } = stand(() => 200);
    exporter.add(span('a'));
    await exporter.close();
    exporter.add(span('b'));
    await advance(60_000);
    expect(batches).toEqual([['a']]);
    expect(exporter.counts).toEqual({ sent: 1, dropped: 1 });
  });

  it('ends although the collector is down, and counts what was lost', async () => {
    const { exporter, batches } = stand(() => new Error('down'));
    for (let i = 0; i < 3; i++) exporter.add(span('a'));
    await exporter.close();
    expect(batches).toHaveLength(1);
    expect(exporter.counts).toEqual({ sent: 0, dropped: 3 });
  });
});
