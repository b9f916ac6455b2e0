import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { Gone } from '../../storage/storage.ts';
import { createEventBus } from './bus.ts';
import { toCloudEvent } from './cloudevent.ts';
import type { ServerEvent, Subscription } from './events.ts';

const event = (revision: number, more: Partial<ServerEvent> = {}): ServerEvent => ({
  revision,
  type: 'kv-v2/data-write',
  path: `secret/data/${revision}`,
  dataPath: `secret/data/${revision}`,
  operation: 'data-write',
  modified: true,
  plugin: { mountPath: 'secret/', mountAccessor: 'kv_1a2b3c4d', plugin: 'kv', version: '2' },
  metadata: { current_version: '3' },
  at: Date.UTC(2026, 0, 2),
  ...more,
});
const bus = (ringSize = 100, head?: number) =>
  createEventBus({ ringSize, clock: new ManualClock(), ...(head === undefined ? {} : { head }) });
const wish = (more: Partial<Subscription> = {}): Subscription => ({
  type: '*',
  judge: () => 'send',
  signal: new AbortController().signal,
  ...more,
});
async function take(from: AsyncIterable<ServerEvent>, count: number): Promise<number[]> {
  const seen: number[] = [];
  if (count === 0) return seen;
  for await (const { revision } of from) if (seen.push(revision) === count) break;
  return seen;
}

describe('the bus', () => {
  it('gives what is published after the subscription, even before it is first read', async () => {
    const b = bus();
    b.publish(event(1));
    const s = b.subscribe(wish());
    b.publish(event(2));
    b.publish(event(3));
    expect(await take(s, 2)).toEqual([2, 3]);
    expect(b.subscribers).toBe(0);
  });
  it('filters by type', async () => {
    const b = bus();
    const s = b.subscribe(wish({ type: 'kv-v2/*-delete' }));
    b.publish(event(1));
    b.publish(event(2, { type: 'kv-v2/data-delete' }));
    expect(await take(s, 1)).toEqual([2]);
  });
  it('resumes after a revision, and says Gone for one it no longer knows', async () => {
    const b = bus(2, 10);
    for (let r = 11; r <= 14; r++) b.publish(event(r));
    expect(await take(b.subscribe(wish({ after: 12 })), 2)).toEqual([13, 14]);
    await expect(take(b.subscribe(wish({ after: 9 })), 1)).rejects.toBeInstanceOf(Gone);
    await expect(take(b.subscribe(wish({ after: 11 })), 1)).rejects.toBeInstanceOf(Gone);
  });
  it('says Gone to whoever resumes at a bus that does not know where it began', async () => {
    await expect(take(bus().subscribe(wish({ after: 5 })), 1)).rejects.toBeInstanceOf(Gone);
  });
  it('gives again what shares a revision or was told of late', async () => {
    const b = bus(100, 0);
    for (const e of [event(5), event(4), event(6), event(6, { path: 'secret/data/other' })]) b.publish(e);
    expect(await take(b.subscribe(wish({ after: 5 })), 3)).toEqual([4, 6, 6]);
    expect(await take(b.subscribe(wish({ after: 6 })), 1)).toEqual([6]);
  });
  it('asks the judge when it sends, skips, and closes', async () => {
    const b = bus();
    let verdict: 'send' | 'skip' | 'close' = 'send';
    const s = b.subscribe(wish({ judge: () => verdict }))[Symbol.asyncIterator]();
    for (let r = 1; r <= 3; r++) b.publish(event(r));
    expect((await s.next()).value?.revision).toBe(1);
    verdict = 'close';
    expect((await s.next()).done).toBe(true);
  });
  it('tells a subscriber that was too slow, and holds no more than two rings', async () => {
    const b = bus(10, 0);
    const s = b.subscribe(wish())[Symbol.asyncIterator]();
    for (let r = 1; r <= 1000; r++) b.publish(event(r));
    await expect(s.next()).rejects.toBeInstanceOf(Gone);
    expect(b.subscribers).toBe(0);
  });
  it('ends with its signal, also while it waits', async () => {
    const b = bus();
    const stop = new AbortController();
    const next = b
      .subscribe(wish({ signal: stop.signal }))
      [Symbol.asyncIterator]()
      .next();
    stop.abort();
    expect((await next).done).toBe(true);
  });
  it('sends everyone away on a reset', async () => {
    const b = bus();
    const next = b.subscribe(wish())[Symbol.asyncIterator]().next();
    b.reset(50);
    await expect(next).rejects.toBeInstanceOf(Gone);
    b.publish(event(51));
    expect(await take(b.subscribe(wish({ after: 50 })), 1)).toEqual([51]);
    await expect(take(b.subscribe(wish({ after: 49 })), 1)).rejects.toBeInstanceOf(Gone);
  });
  it('whoever resumes misses nothing or is told, wherever it was cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 40 }),
        fc.nat(45),
        async (size, steps, cut) => {
          const b = bus(size, 0);
          let revision = 0;
          const all = steps.map((step) => {
            revision += step;
            return event(revision);
          });
          for (const e of all) b.publish(e);
          const expected = all.filter((e) => e.revision > cut).map((e) => e.revision);
          try {
            b.publish(event(revision + 1));
            expect(await take(b.subscribe(wish({ after: cut })), expected.length)).toEqual(expected);
          } catch (error) {
            if (!(error instanceof Gone)) throw error;
            expect(all.length + 1).toBeGreaterThan(size);
          }
        },
      ),
    );
  });
});

describe('the CloudEvent', () => {
  it('has the shape that Vault sends, with the revision added', () => {
    const sent = toCloudEvent(event(7), 'vault://here');
    expect(sent).toMatchObject({
      source: 'vault://here',
      specversion: '1.0',
      type: 'kv-v2/data-write',
      time: '2026-01-02T00:00:00.000Z',
      datacontentype: 'application/cloudevents',
      revision: '7',
      data: {
        event: {
          metadata: {
            path: 'secret/data/7',
            data_path: 'secret/data/7',
            operation: 'data-write',
            modified: 'true',
            current_version: '3',
            revision: '7',
          },
        },
        event_type: 'kv-v2/data-write',
        plugin_info: {
          mount_class: 'secret',
          mount_accessor: 'kv_1a2b3c4d',
          mount_path: 'secret/',
          plugin: 'kv',
          version: '2',
        },
      },
    });
    expect(sent.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(sent.data.event.id).toBe(sent.id);
    expect(toCloudEvent(event(7)).id).toBe(sent.id);
    expect(toCloudEvent(event(8)).id).not.toBe(sent.id);
  });
  it('lets no metadata of an engine pass for the fields that subscribers are judged by', () => {
    const sent = toCloudEvent(event(7, { metadata: { data_path: 'forged', path: 'forged', revision: '9' } }));
    expect(JSON.stringify(sent)).not.toContain('forged');
    expect(sent.data.event.metadata['revision']).toBe('7');
  });
});
