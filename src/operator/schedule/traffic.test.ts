import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Work, WorkClass } from '../../kube/queue.ts';
import { Traffic } from './traffic.ts';

const work = (key: string, workClass: WorkClass = 'periodic', since = 0): Work => ({
  key,
  class: workClass,
  waitedMs: 0,
  since,
});

function setup(given: { workers?: number; rate?: { perSecond: number; burst: number } } = {}) {
  const clock = new ManualClock();
  const again: Work[] = [];
  const recovered: string[] = [];
  const traffic = new Traffic({
    clock,
    random: () => 1,
    workers: given.workers ?? 8,
    again: (one) => again.push(one),
    recovered: (store) => recovered.push(store),
    ...(given.rate === undefined ? {} : { rate: given.rate }),
  });
  const enterMany = (store: string, count: number) =>
    Array.from({ length: count }, (_, at) => traffic.enter([store], work(`${store}-${at}`))).filter(
      (leave) => leave !== undefined,
    );
  return { clock, traffic, again, recovered, enterMany };
}

describe('workers', () => {
  test('one slow store holds half of them, the next one half of the rest, and each one at least one', () => {
    const { enterMany } = setup({ workers: 8 });
    expect(['a', 'b', 'c', 'd', 'e'].map((store) => enterMany(store, 50).length)).toEqual([4, 2, 1, 1, 1]);
  });

  test('one that leaves lets another in, and it comes with its class and its reason', () => {
    const { traffic, enterMany, again } = setup({ workers: 4 });
    const [leave] = enterMany('a', 2);
    traffic.enter(['a'], work('periodic'));
    traffic.enter(['a'], work('pushed', 'pushed', 42));
    expect(again).toEqual([]);
    leave?.();
    expect(again).toMatchObject([{ key: 'pushed', class: 'pushed', since: 42 }]);
  });

  test('those that are hurried go before all others of their class', () => {
    const { traffic, enterMany, again, clock } = setup({ workers: 2 });
    const [leave] = enterMany('a', 1);
    for (const key of ['first', 'second', 'third']) traffic.enter(['a'], work(key));
    traffic.enter(['a'], work('pushed', 'pushed'));
    traffic.hurry(['third', 'fourth']);
    // It comes later, and goes first all the same.
    traffic.enter(['a'], work('fourth'));
    leave?.();
    clock.advance(10_000);
    expect(again.map(({ key }) => key)).toEqual(['pushed', 'third', 'fourth', 'first', 'second']);
  });

  test('a key that has to wait twice waits once: in the more urgent class, for the later reason', () => {
    const { traffic, enterMany, again, clock } = setup({ workers: 2 });
    const [leave] = enterMany('a', 1);
    traffic.enter(['a'], work('k', 'periodic', 7));
    traffic.enter(['a'], work('k', 'pushed', 3));
    traffic.enter(['a'], work('k', 'retry', 5));
    expect(traffic.waiting).toBe(1);
    leave?.();
    clock.advance(10_000);
    expect(again).toMatchObject([{ key: 'k', class: 'pushed', since: 7 }]);
  });

  test('nobody waits for ever because one that was let in never came', () => {
    const { traffic, enterMany, again, clock } = setup({ workers: 2 });
    const [leave] = enterMany('a', 1);
    for (const key of ['x', 'y', 'z']) traffic.enter(['a'], work(key));
    leave?.();
    clock.advance(5000);
    expect(again.map(({ key }) => key)).toEqual(['x', 'y', 'z']);
  });

  test('who waits for a store that is deleted goes on, and finds that out', async () => {
    const { traffic, again } = setup({ rate: { perSecond: 0.001, burst: 1 } });
    await traffic.ask('a', 'store', 'k', async () => 'x');
    expect(traffic.enter(['a'], work('k'))).toBeUndefined();
    traffic.forget('a');
    expect(again).toMatchObject([{ key: 'k' }]);
    expect(traffic.waiting).toBe(0);
  });
});

describe('the rate', () => {
  test('who comes too fast waits until there is room, holding no worker', async () => {
    const { traffic, again, clock } = setup({ workers: 100, rate: { perSecond: 10, burst: 3 } });
    for (let at = 0; at < 3; at++) {
      const leave = traffic.enter(['a'], work(`${at}`));
      await traffic.ask('a', 'store', `${at}`, async () => 'x');
      leave?.();
    }
    expect(traffic.enter(['a'], work('late'))).toBeUndefined();
    expect(traffic.enter(['b'], work('other'))).toBeDefined();
    clock.advance(99);
    expect(again).toEqual([]);
    clock.advance(1);
    expect(again).toMatchObject([{ key: 'late' }]);
  });

  test('a store that says "too many" without a time is asked more slowly', async () => {
    const { traffic } = setup();
    await expect(
      traffic.ask('a', 'store', 'k', async () => {
        throw failure('api.limited', { request: 'GET x', errors: 'slow down' });
      }),
    ).rejects.toThrow();
    expect(traffic.enter(['a'], work('k'))).toBeUndefined();
  });
});

describe('a store that does not answer', () => {
  const down = async (): Promise<never> => {
    throw failure('api.unavailable', { request: 'GET x', errors: 'connection refused' });
  };

  async function broken() {
    const world = setup();
    for (const read of ['a', 'b', 'c'])
      await world.traffic.ask('s', 'SecretStore "s"', read, down).catch(() => {});
    return world;
  }

  test('is not asked for a while, and its users are told so without a word of what others read', async () => {
    const { traffic } = await broken();
    let asked = false;
    const error = await traffic
      .ask('s', 'SecretStore "s"', 'd', async () => {
        asked = true;
      })
      .catch((thrown: unknown) => thrown);
    expect(asked).toBe(false);
    if (!isFailure(error, 'operator.store_paused')) throw error;
    expect(error.message).toBe(
      'SecretStore "s" is left alone for a moment, because of how it answered before [api.unavailable]',
    );
    expect(error.retryAfterMs).toBe(1000);
  });

  test('says so the moment it answers again, once', async () => {
    const { traffic, clock, recovered } = await broken();
    clock.advance(1000);
    expect(await traffic.ask('s', 'SecretStore "s"', 'd', async () => 'x')).toBe('x');
    expect(await traffic.ask('s', 'SecretStore "s"', 'e', async () => 'y')).toBe('y');
    expect(recovered).toEqual(['s']);
  });

  test('answers too, when it refuses or has no such secret', async () => {
    const { traffic, clock, recovered } = await broken();
    clock.advance(1000);
    await traffic
      .ask('s', 'SecretStore "s"', 'd', async () => {
        throw failure('api.denied', { request: 'GET x', errors: 'permission denied' });
      })
      .catch(() => {});
    expect(recovered).toEqual(['s']);
  });

  test('is asked at once where it is said to be well again', async () => {
    const { traffic } = await broken();
    traffic.hope('s');
    expect(await traffic.ask('s', 'SecretStore "s"', 'd', async () => 'x')).toBe('x');
  });

  test('is not blamed for a cluster that is away', async () => {
    const { traffic } = setup();
    for (const read of ['a', 'b', 'c', 'd'])
      await traffic
        .ask('s', 'store', read, async () => {
          throw failure('kube.unreachable', { address: 'x', reason: 'connection refused' });
        })
        .catch(() => {});
    expect(await traffic.ask('s', 'store', 'e', async () => 'x')).toBe('x');
  });

  test('that names a time is left alone until then by all', async () => {
    const { traffic, clock } = setup();
    await traffic
      .ask('s', 'store', 'a', async () => {
        throw failure('api.limited', { request: 'GET x', errors: 'slow down' }, { retryAfterMs: 30_000 });
      })
      .catch(() => {});
    clock.advance(29_000);
    const error = await traffic.ask('s', 'store', 'b', async () => 'x').catch((thrown: unknown) => thrown);
    expect(isFailure(error, 'operator.store_paused') && error.retryAfterMs).toBe(1000);
    clock.advance(1000);
    expect(await traffic.ask('s', 'store', 'b', async () => 'x')).toBe('x');
  });
});
