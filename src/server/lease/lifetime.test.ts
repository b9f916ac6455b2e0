import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Boot, ManualClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { LifetimeClock, RATE, type Reckoned, timeAfter, timeAtStart } from './lifetime.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);

/** What a wall clock may show: anything at all, from the epoch to the end of the century. */
const anyWall = fc.integer({ min: 0, max: 4_102_444_800_000 });

describe('however the wall clock is set', () => {
  test('the time of leases passes as time passes, but for a hundredth of it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ wall: anyWall, ms: fc.integer({ min: 0, max: 10 * DAY }) }), { minLength: 1 }),
        (looks) => {
          let monotonic = 0;
          let last: Reckoned = { time: START, wall: START, monotonic };
          for (const { wall, ms } of looks) {
            monotonic += ms;
            const next = timeAfter(last, { wall, monotonic, slept: 0 });
            expect(next.time).toBeGreaterThanOrEqual(last.time);
            last = next;
          }
          // Not all die at once, and none lives for ever: both are this one line.
          expect(Math.abs(last.time - START - monotonic)).toBeLessThanOrEqual(monotonic * RATE + 1);
        },
      ),
    );
  });

  test('the next life of the process begins no earlier than where the last one was', () => {
    fc.assert(
      fc.property(anyWall, anyWall, anyWall, (time, before, wall) => {
        expect(timeAtStart({ time, wall: before }, { wall })).toBeGreaterThanOrEqual(time);
      }),
    );
  });

  test('a life on the same machine counts what passed in between, whatever its wall clock shows', () => {
    fc.assert(
      fc.property(
        anyWall,
        anyWall,
        anyWall,
        fc.nat(100 * DAY),
        fc.nat(DAY),
        (time, before, wall, off, slept) => {
          const boot = { id: 'b', monotonic: 5 * DAY };
          const began = timeAtStart(
            { time, wall: before, boot, asleep: 0 },
            { wall, boot: { id: 'b', monotonic: boot.monotonic + off }, asleep: slept },
          );
          expect(Math.abs(began - (time + off + slept))).toBeLessThanOrEqual(1000);
        },
      ),
    );
  });

  test('a life elsewhere, or after a new start of the machine, counts what a right wall clock says', () => {
    fc.assert(
      fc.property(
        anyWall,
        fc.nat(100 * DAY),
        fc.integer({ min: -10 * DAY, max: 10 * DAY }),
        (time, off, ahead) => {
          const boot = { id: 'b', monotonic: 0 };
          const wall = time + off;
          // Right before: what is right now is believed.
          expect(timeAtStart({ time, wall: time, boot }, { wall, boot: { id: 'c', monotonic: 9 } })).toBe(
            wall,
          );
          // Wrong before, by whatever: neither is time taken back, nor more counted than passed.
          const began = timeAtStart({ time, wall: time - ahead, boot }, { wall });
          expect(began).toBeGreaterThanOrEqual(time);
          expect(began).toBeLessThanOrEqual(wall);
        },
      ),
    );
  });

  test('it comes to the wall clock in the end, and then stays with it', () => {
    let last: Reckoned = { time: START, wall: START, monotonic: 0 };
    const step = 10 * MINUTE;
    for (let monotonic = 1000; last.time !== last.wall; monotonic += 1000) {
      last = timeAfter(last, { wall: START + step + monotonic, monotonic, slept: 0 });
      expect(monotonic).toBeLessThanOrEqual(step / RATE + 2000);
    }
    const later = timeAfter(last, {
      wall: last.wall + DAY,
      monotonic: last.monotonic + DAY,
      slept: 0,
    });
    expect(later.time).toBe(later.wall);
  });
});

describe('the clock of leases', () => {
  let clock: ManualClock & { uptime?: () => number; boot?: () => Boot };
  let storage: MemoryBackend;
  let told: { message: string; facts: unknown }[];
  const log: Log = {
    debug: () => {},
    info: (message, facts) => void told.push({ message, facts }),
    warn: (message, facts) => void told.push({ message, facts }),
    error: () => {},
    with: () => log,
  };
  const open = (): Promise<LifetimeClock> => LifetimeClock.open({ storage, clock, log });

  beforeEach(() => {
    clock = new ManualClock(START);
    storage = new MemoryBackend();
    told = [];
  });

  test('is the wall clock to the millisecond while nobody sets that', async () => {
    const life = await open();
    for (const ms of [0, 1, 999, MINUTE, 30 * DAY]) {
      clock.advance(ms);
      expect(life.now()).toBe(clock.now());
    }
    expect(life.ahead).toBe(0);
    expect(told).toEqual([]);
  });

  test.each([
    { direction: 'forward', ms: DAY },
    { direction: 'back', ms: -DAY },
  ])('does not follow a step of a day $direction, and says its size once', async ({ direction, ms }) => {
    const life = await open();
    const before = life.now();
    clock.jump(ms);
    expect(life.now()).toBe(before);
    clock.advance(MINUTE);
    expect(Math.abs(life.now() - before - MINUTE)).toBeLessThanOrEqual(MINUTE * RATE);
    expect(told).toEqual([
      {
        message: 'the system clock was set',
        facts: expect.objectContaining({ by: '24h0m0s', direction }),
      },
    ]);
    // People compare with their own clocks, which show what was set.
    expect(Math.abs(life.wallOf(life.now()) - clock.now())).toBeLessThanOrEqual(1);
  });

  test('counts what the machine slept, which is no setting of a clock', async () => {
    let slept = 0;
    clock.uptime = () => clock.monotonic() + 5 * DAY + slept;
    const life = await open();
    const before = life.now();
    slept = 8 * 3_600_000;
    clock.jump(slept);
    expect(life.now()).toBe(before + slept);
    expect(told).toEqual([{ message: 'the machine slept', facts: { for: '8h0m0s' } }]);
    clock.jump(slept);
    expect(life.now()).toBe(before + slept);
    expect(told.at(-1)?.message).toBe('the system clock was set');
  });

  test('goes on over a restart from where it was, though the wall clock stays a day ahead', async () => {
    const first = await open();
    const before = first.now();
    clock.jump(DAY);
    await first.save();
    clock.advance(MINUTE);
    const second = await open();
    expect(second.now()).toBe(before + MINUTE);
    // And where somebody sets it right again while nobody runs, no time is taken back.
    await second.save();
    clock.jump(-DAY);
    clock.advance(MINUTE);
    const third = await open();
    expect(third.now()).toBe(before + MINUTE);
    expect(told.at(-1)?.message).toBe(
      'the system clock is behind the time at which this store was last open',
    );
  });

  test('counts the time in which nobody ran by the clock that never jumps, where the machine is the same', async () => {
    clock.boot = () => ({ id: 'b', monotonic: clock.monotonic() });
    const first = await open();
    const before = first.now();
    await first.save();
    clock.jump(-DAY);
    clock.advance(10 * MINUTE);
    const second = await open();
    expect(second.now()).toBe(before + 10 * MINUTE);
    await second.save();
    clock.jump(3 * DAY);
    const third = await open();
    expect(third.now()).toBe(before + 10 * MINUTE);
  });

  test('keeps the time each minute while it may write, and not after', async () => {
    const life = await open();
    life.start();
    const kept = async (): Promise<number> => (await storage.get('clock'))?.revision ?? 0;
    await settled();
    const first = await kept();
    expect(first).toBeGreaterThan(0);
    clock.advance(MINUTE);
    await settled();
    const second = await kept();
    expect(second).toBeGreaterThan(first);
    life.stop();
    clock.advance(MINUTE);
    await settled();
    expect(await kept()).toBe(second);
  });
});

/** Lets everything run that was begun. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
