import { expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { createQueue } from '../../kube/queue.ts';
import { Refusals } from './refusals.ts';

const STORE = 'SecretStore/team/vault';

function start() {
  const clock = new ManualClock();
  const queue = createQueue({ clock });
  const refusals = new Refusals({ clock, queue });
  return { clock, queue, refusals };
}

test('a change wakes at once whom the store refused, and nobody whom another one did', () => {
  const { queue, refusals } = start();
  refusals.refused(STORE, 'a', 0);
  refusals.refused('SecretStore/team/other', 'b', 0);
  refusals.changed(STORE);
  expect([queue.dueIn('a'), queue.dueIn('b')]).toEqual([0, undefined]);
  expect(queue.depth().retry).toBe(1);
});

test('who was let in since is not woken', () => {
  const { queue, refusals } = start();
  refusals.refused(STORE, 'a', 0);
  refusals.refused('SecretStore/team/other', 'a', 0);
  refusals.forget('a');
  refusals.changed(STORE);
  refusals.changed('SecretStore/team/other');
  expect(queue.dueIn('a')).toBeUndefined();
});

test('who was refused while rights changed is tried again, and who was asked for after that is not', async () => {
  const { clock, queue, refusals } = start();
  clock.advance(100);
  refusals.changed(STORE);
  refusals.refused(STORE, 'asked before', 99);
  refusals.refused(STORE, 'asked since', 100);
  expect([queue.dueIn('asked before'), queue.dueIn('asked since')]).toEqual([0, undefined]);
});

test('changes without end wake each that is refused once in a distance, which grows with their number up to the retries own', () => {
  for (const [count, distance] of [
    [1, 1000],
    [1000, 5000],
    [10_000, 25_000],
  ] as const) {
    const { clock, queue, refusals } = start();
    const keys = Array.from({ length: count }, (_, at) => `ExternalSecret/team/${at}`);
    for (const key of keys) refusals.refused(STORE, key, 0);
    refusals.changed(STORE);
    expect(queue.depth().retry).toBe(count);
    for (const key of keys) queue.remove(key);
    // As often as a server tells of them at most.
    for (let told = 0; told < 4; told++) {
      clock.advance(200);
      refusals.changed(STORE);
    }
    expect(keys.map((key) => queue.dueIn(key))).toEqual(keys.map(() => distance - 800));
  }
});

test('changes that never end come down to the pace of retries, and after a rest one wakes at once again', () => {
  const { clock, queue, refusals } = start();
  refusals.refused(STORE, 'a', 0);
  const wakes: number[] = [];
  let seconds = 0;
  const passSecond = (): void => {
    refusals.changed(STORE);
    if (queue.dueIn('a') === 0) {
      wakes.push(seconds);
      queue.remove('a');
    }
    clock.advance(1000);
    seconds++;
  };
  while (seconds < 150) passSecond();
  expect(wakes).toEqual([0, 1, 3, 7, 15, 31, 56, 81, 106, 131]);
  queue.remove('a');
  clock.advance(60_000);
  refusals.changed(STORE);
  expect(queue.dueIn('a')).toBe(0);
});
