import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../base/clock.ts';
import { createQueue, type Queue, WORK_CLASSES, type Work, type WorkClass, workOff } from './queue.ts';

const never = new AbortController().signal;

/** What `take` gives at once, or undefined if it would wait. */
async function poll(queue: Queue): Promise<Work | undefined> {
  const controller = new AbortController();
  const taken = queue.take(controller.signal);
  controller.abort();
  return await taken;
}

const setup = () => {
  const clock = new ManualClock();
  return { clock, queue: createQueue({ clock, random: () => 1 }) };
};

describe('order', () => {
  test('lease deadlines go before pushed changes, these before retries, these before periodic looks', async () => {
    const { queue } = setup();
    for (const name of ['periodic', 'retry', 'pushed', 'lease'] as const) queue.add(name, name);
    const order: string[] = [];
    for (let work = await poll(queue); work !== undefined; work = await poll(queue)) order.push(work.class);
    expect(order).toEqual(['lease', 'pushed', 'retry', 'periodic']);
  });

  test('within a class the one that fell due first goes first', async () => {
    const { clock, queue } = setup();
    queue.add('late', 'periodic', 20);
    queue.add('early', 'periodic', 10);
    clock.advance(30);
    expect((await poll(queue))?.key).toBe('early');
    expect(await poll(queue)).toMatchObject({ key: 'late', waitedMs: 10 });
  });

  test('one that is hurried goes before all of its class, once it is due, and waited no longer for it', async () => {
    const { clock, queue } = setup();
    for (const [at, key] of ['first', 'second', 'third'].entries()) queue.add(key, 'periodic', 10 + at);
    queue.hurry('second');
    clock.advance(30);
    queue.hurry('third');
    queue.add('urgent', 'pushed');
    const order: (Work | undefined)[] = [];
    for (let work = await poll(queue); work !== undefined; work = await poll(queue)) order.push(work);
    expect(order.map((work) => work?.key)).toEqual(['urgent', 'third', 'first', 'second']);
    expect(order[1]?.waitedMs).toBe(18);
  });

  test('one hand-out in eight is for the longest waiting, however much is pushed', async () => {
    const { clock, queue } = setup();
    queue.add('old', 'periodic');
    clock.advance(1000);
    const seen: string[] = [];
    for (let i = 0; i < 16; i++) {
      queue.add(`push-${i}`, 'pushed');
      const work = await poll(queue);
      seen.push(work?.class ?? 'none');
      queue.done(work?.key ?? '');
    }
    expect(seen.indexOf('periodic')).toBe(7);
  });

  test('the wait before a first retry doubles with each failure and is forgotten by a success', () => {
    const { queue } = setup();
    expect([1, 2, 3, 4, 5, 6, 7, 8].map(() => queue.retry('a'))).toEqual([
      1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000,
    ]);
    queue.succeeded('a');
    expect(queue.retry('a')).toBe(1000);
    expect(queue.retry('b', 30_000)).toBe(30_000);
  });
});

describe('one key', () => {
  test('is not handed out again while it runs, and is once it is done', async () => {
    const { queue } = setup();
    queue.add('a', 'periodic');
    expect((await poll(queue))?.key).toBe('a');
    queue.add('a', 'pushed');
    queue.add('a', 'pushed');
    expect(await poll(queue)).toBeUndefined();
    queue.done('a');
    expect(await poll(queue)).toMatchObject({ key: 'a', class: 'pushed' });
    queue.done('a');
    expect(await poll(queue)).toBeUndefined();
    expect(queue.dueIn('a')).toBeUndefined();
  });

  test('that is pushed does not run again for what was planned before the run', async () => {
    const { clock, queue } = setup();
    queue.add('a', 'periodic', 1000);
    queue.add('a', 'pushed');
    queue.done((await poll(queue))?.key ?? '');
    clock.advance(5000);
    expect(await poll(queue)).toBeUndefined();
  });

  test('keeps the earlier of two times in its class', async () => {
    const { clock, queue } = setup();
    queue.add('a', 'retry', 500);
    queue.add('a', 'retry', 5000);
    expect(queue.dueIn('a')).toBe(500);
    queue.add('a', 'retry', 100);
    clock.advance(100);
    expect((await poll(queue))?.key).toBe('a');
  });

  test('that was removed is gone, also while it runs', async () => {
    const { clock, queue } = setup();
    queue.add('a', 'pushed');
    queue.remove('a');
    expect(await poll(queue)).toBeUndefined();
    queue.add('a', 'pushed');
    await poll(queue);
    queue.add('a', 'periodic', 10);
    queue.remove('a');
    queue.done('a');
    clock.advance(100);
    expect(await poll(queue)).toBeUndefined();
    expect(queue.depth()).toEqual({ lease: 0, pushed: 0, retry: 0, periodic: 0, running: 0 });
  });
});

test('whoever waits is woken by the clock, when the wall clock jumps nobody is', async () => {
  const { clock, queue } = setup();
  queue.add('a', 'periodic', 1000);
  let given: Work | undefined;
  const taken = queue.take(never).then((work) => {
    given = work;
  });
  clock.jump(86_400_000);
  await Promise.resolve();
  expect(given).toBeUndefined();
  clock.advance(1000);
  await taken;
  expect(given).toMatchObject({ key: 'a', waitedMs: 0 });
});

test('workers end what they began and lose nothing they were given', async () => {
  const { queue } = setup();
  const stop = new AbortController();
  const ran: string[] = [];
  const failures: string[] = [];
  for (let i = 0; i < 50; i++) queue.add(`k${i}`, 'pushed');
  await workOff(queue, {
    concurrency: 4,
    signal: stop.signal,
    handle: async ({ key }) => {
      await Promise.resolve();
      ran.push(key);
      if (ran.length === 50) stop.abort();
      if (key === 'k7') throw new Error('seven');
    },
    failed: ({ key }) => failures.push(key),
  });
  expect(new Set(ran).size).toBe(50);
  expect(failures).toEqual(['k7']);
  expect(queue.depth().running).toBe(0);
});

/** The simplest queue that could be right: a list that is searched. */
class Model {
  planned: { key: string; class: WorkClass; dueAt: number; rank: number; sequence: number }[] = [];
  running = new Set<string>();
  now = 0;
  sequence = 0;
  count = 0;

  add(key: string, workClass: WorkClass, after: number): void {
    const at = this.planned.findIndex((p) => p.key === key && p.class === workClass);
    const dueAt = this.now + after;
    if (at !== -1 && (this.planned[at]?.dueAt ?? 0) <= dueAt) return;
    if (at !== -1) this.planned.splice(at, 1);
    this.planned.push({ key, class: workClass, dueAt, rank: dueAt, sequence: this.sequence++ });
  }

  hurry(key: string): void {
    if (this.running.has(key)) return;
    for (const name of WORK_CLASSES) {
      const due = this.planned.find((p) => p.key === key && p.class === name && p.dueAt <= this.now);
      if (due === undefined) continue;
      due.rank = Number.NEGATIVE_INFINITY;
      return;
    }
  }

  take(): { key: string; class: WorkClass } | undefined {
    const due = this.planned.filter((p) => p.dueAt <= this.now && !this.running.has(p.key));
    if (due.length === 0) return undefined;
    this.count++;
    const by = (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1);
    due.sort((a, b) => by(a.rank, b.rank) || a.sequence - b.sequence);
    const heads = WORK_CLASSES.flatMap((name) => due.find((p) => p.class === name) ?? []);
    if (this.count % 8 === 0) heads.sort((a, b) => a.dueAt - b.dueAt || a.sequence - b.sequence);
    const first = heads[0];
    if (first === undefined) return undefined;
    this.planned = this.planned.filter((p) => p.key !== first.key);
    this.running.add(first.key);
    return { key: first.key, class: first.class };
  }
}

test('whatever is added, taken, finished and waited for, it does what the simplest queue does', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const step = fc.oneof(
    fc.record({
      do: fc.constant('add' as const),
      key,
      class: fc.constantFrom(...WORK_CLASSES),
      after: fc.nat(50),
    }),
    fc.record({ do: fc.constant('take' as const) }),
    fc.record({ do: fc.constant('done' as const), key }),
    fc.record({ do: fc.constant('remove' as const), key }),
    fc.record({ do: fc.constant('hurry' as const), key }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }),
  );
  let handed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
      const { clock, queue } = setup();
      const model = new Model();
      for (const s of steps) {
        if (s.do === 'add') {
          queue.add(s.key, s.class, s.after);
          model.add(s.key, s.class, s.after);
        } else if (s.do === 'done') {
          queue.done(s.key);
          model.running.delete(s.key);
        } else if (s.do === 'remove') {
          queue.remove(s.key);
          model.planned = model.planned.filter((p) => p.key !== s.key);
        } else if (s.do === 'hurry') {
          queue.hurry(s.key);
          model.hurry(s.key);
        } else if (s.do === 'wait') {
          clock.advance(s.ms);
          model.now += s.ms;
        } else {
          const given = await poll(queue);
          const wanted = model.take();
          expect(given && { key: given.key, class: given.class }).toEqual(wanted);
          if (given !== undefined) handed++;
        }
      }
      expect(queue.depth().running).toBe(model.running.size);
    }),
    { numRuns: 400 },
  );
  expect(handed).toBeGreaterThan(500);
});
