import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { ManualClock } from './clock.ts';
import { pause, Waiting } from './waiting.ts';

test('a pause ends at its time, and leaves nothing on the signal', async () => {
  const clock = new ManualClock();
  const { signal } = new AbortController();
  let over = false;
  const paused = pause(clock, 100, signal).then(() => {
    over = true;
  });
  clock.advance(99);
  await Promise.resolve();
  expect(over).toBe(false);
  clock.advance(1);
  await paused;
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('a pause ends when its signal is aborted, before it or in it', async () => {
  const clock = new ManualClock();
  const stop = new AbortController();
  const paused = pause(clock, 100, stop.signal);
  stop.abort();
  await paused;
  await pause(clock, 100, stop.signal);
});

test('all who wait are woken at once, and those who come later wait for the next time or for the end of theirs', async () => {
  const clock = new ManualClock();
  const waiting = new Waiting(clock);
  const first = [waiting.until(100), waiting.until(200)];
  waiting.wake();
  await Promise.all(first);
  let over = false;
  const late = waiting.until(50).then(() => {
    over = true;
  });
  clock.advance(49);
  await Promise.resolve();
  expect(over).toBe(false);
  clock.advance(1);
  await late;
});
