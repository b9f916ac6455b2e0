import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { Push, type Subscribe } from './push.ts';
import { eventually } from './testing/cluster.ts';

/** A subscription for each letter: o opens and breaks, r is refused, and one that stays open at the end. */
async function told(streams: string): Promise<readonly string[]> {
  const seen: string[] = [];
  const stopping = new AbortController();
  let at = 0;
  const subscribe: Subscribe = async function* (_server, { signal, opened }) {
    const now = streams[at++];
    if (now === 'r') throw failure('api.sealed', { request: 'subscribe', errors: 'Vault is sealed' });
    yield* [];
    opened();
    if (now === 'o') throw failure('api.stream_ended', { address: 'fake', reason: 'cut' });
    seen.push('open');
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  };
  const push = new Push({
    subscribe,
    clock: systemClock,
    random: () => 0,
    log: silentLog,
    changed: () => {},
    rightsChanged: () => {},
    sweep: () => {},
    lost: () => seen.push('lost'),
    back: () => seen.push('back'),
  });
  push.start(stopping.signal);
  push.watch('fake');
  await eventually('the last stream is open', () => seen.includes('open'));
  stopping.abort();
  await push.ended();
  return seen;
}

test('a stream that was never open is not lost, and its first opening brings nothing back', async () => {
  expect(await told('rr')).toEqual(['open']);
});

test('an open stream is lost once, however often it is refused then, and comes back when it opens', async () => {
  expect(await told('orro')).toEqual(['lost', 'back', 'lost', 'back', 'open']);
});

test('the end of the operator loses nothing', async () => {
  expect(await told('')).toEqual(['open']);
});
