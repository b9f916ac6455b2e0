import { expect, it } from 'vitest';
import { FIRST } from '../../base/chain.ts';
import { ManualClock } from '../../base/clock.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { ANCHORS_KEPT, Anchors } from './anchors.ts';

const head = (writer: string, seq = 1) => ({ writer, seq, sum: FIRST });

it('the newest writers of a device are remembered, and of each its newest line', async () => {
  const clock = new ManualClock();
  const storage = new MemoryBackend();
  const anchors = new Anchors(storage, clock);
  await anchors.put('other/', head('o'));
  for (let n = 0; n < ANCHORS_KEPT + 20; n++) {
    clock.advance(1000);
    await anchors.put('file/', head(`w${n}`));
    // The first keeps on writing, and is no old one for that.
    await anchors.put('file/', head('w0', n + 2));
  }
  const kept = await anchors.all('file/');
  expect(kept).toHaveLength(ANCHORS_KEPT);
  expect(kept.find(({ writer }) => writer === 'w0')?.seq).toBe(ANCHORS_KEPT + 21);
  expect(kept.some(({ writer }) => writer === 'w1')).toBe(false);
  expect(kept.some(({ writer }) => writer === `w${ANCHORS_KEPT + 19}`)).toBe(true);
  expect(await anchors.all('other/')).toEqual([head('o')]);
});

it('those of a store that knew no times yet are the oldest', async () => {
  const storage = new MemoryBackend();
  const value = new TextEncoder().encode(JSON.stringify(head('old')));
  await storage.commit([{ key: 'anchors/file/old', value }]);
  const clock = new ManualClock();
  const anchors = new Anchors(storage, clock);
  for (let n = 0; n < ANCHORS_KEPT; n++) await anchors.put('file/', head(`w${n}`));
  expect((await anchors.all('file/')).map(({ writer }) => writer)).not.toContain('old');
});
