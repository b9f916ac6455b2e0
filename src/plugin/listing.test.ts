import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryBackend } from '../storage/memory.ts';
import { folderReply, NAMES_AT_ONCE } from './listing.ts';

const width = fc.oneof(
  fc.integer({ min: 0, max: 12 }),
  fc.constantFrom(-1, 0, 1).map((by) => NAMES_AT_ONCE + by),
  fc.constantFrom(-1, 0, 1).map((by) => 2 * NAMES_AT_ONCE + by),
);
const nameOf = (i: number): string => `n${String(i).padStart(5, '0')}`;

test('whatever page is asked for of a folder of whatever width, the pages together are what one listing gives', async () => {
  await fc.assert(
    fc.asyncProperty(width, width, fc.option(width), async (count, limit, after) => {
      const store = new MemoryBackend();
      const writes = Array.from({ length: count }, (_, i) => ({
        key: `f/${nameOf(i)}`,
        value: new Uint8Array(),
      }));
      if (count > 0) await store.commit(writes);
      const asked = { limit, ...(after === null ? {} : { after: nameOf(after) }) };
      const sizes: number[] = [];
      const reply = await folderReply(async (page) => {
        const names = await store.list('f/', page);
        sizes.push(names.length);
        return names;
      }, asked);
      if (!('data' in reply)) {
        expect(reply).toEqual({});
      }
      const keys = [...('data' in reply ? (reply.data?.keys ?? []) : [])];
      if ('more' in reply && reply.more !== undefined)
        for await (const page of reply.more) keys.push(...page);
      const start = after === null ? 0 : after + 1;
      const end = limit > 0 ? start + limit : count;
      expect(keys).toEqual(Array.from({ length: count }, (_, i) => nameOf(i)).slice(start, end));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(NAMES_AT_ONCE);
    }),
    { numRuns: 60 },
  );
});

test('a folder that one page holds is asked for once', async () => {
  let asked = 0;
  const reply = await folderReply(async () => {
    asked++;
    return ['a', 'b/'];
  }, {});
  expect(reply).toEqual({ data: { keys: ['a', 'b/'] } });
  expect(asked).toBe(1);
});
