import { expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Answer } from '../plan.ts';
import { SharedReads } from './reads.ts';

const answer = (text: string, version?: string): Answer => ({
  read: {
    value: { bytes: Buffer.from(text) },
    ...(version === undefined ? {} : { version }),
  },
});

function setup() {
  const clock = new ManualClock();
  const reads = new SharedReads(clock);
  const asked: string[] = [];
  const read = (text: string, version?: string) => async (): Promise<Answer> => {
    asked.push(text);
    return answer(text, version);
  };
  return { clock, reads, asked, read };
}

test('all who had a reason before a read was begun are given its answer', async () => {
  const { clock, reads, asked, read } = setup();
  clock.advance(100);
  await reads.get('k', 50, undefined, read('one'));
  clock.advance(100);
  expect(await reads.get('k', 100, undefined, read('two'))).toEqual(answer('one'));
  expect(asked).toEqual(['one']);
});

test('whoever has a later reason has it read again, and everybody is given the newer one from then on', async () => {
  const { clock, reads, asked, read } = setup();
  await reads.get('k', 0, undefined, read('old'));
  clock.advance(10);
  expect(await reads.get('k', 5, undefined, read('new'))).toEqual(answer('new'));
  expect(await reads.get('k', 0, undefined, read('never'))).toEqual(answer('new'));
  expect(asked).toEqual(['old', 'new']);
});

test('a read under way is joined, and fails for all who wait for it without being kept', async () => {
  const { reads, asked, read } = setup();
  let fail = (_: unknown): void => {};
  const slow = (): Promise<Answer> =>
    new Promise((_, reject) => {
      asked.push('slow');
      fail = reject;
    });
  const both = [reads.get('k', 0, undefined, slow), reads.get('k', 0, undefined, slow)];
  fail(failure('kube.gone', { request: 'x' }));
  for (const one of both) await expect(one).rejects.toThrow();
  expect(asked).toEqual(['slow']);
  expect(await reads.get('k', 0, undefined, read('good'))).toEqual(answer('good'));
});

test('an answer of an older version than was told of is not given', async () => {
  const { reads, asked, read } = setup();
  await reads.get('k', 0, undefined, read('first', '1'));
  expect(await reads.get('k', 0, 2, read('second', '2'))).toEqual(answer('second', '2'));
  expect(await reads.get('k', 0, 2, read('third', '2'))).toEqual(answer('second', '2'));
  expect(asked).toEqual(['first', 'second']);
});

test('values are forgotten after a while, when there are too many, and when those who read them are gone', async () => {
  const { clock, reads, asked, read } = setup();
  await reads.get('1: k', 0, undefined, read('a'));
  clock.advance(20_000);
  await reads.get('1: k', 0, undefined, read('b'));
  reads.drop('1:');
  await reads.get('1: k', 0, undefined, read('c'));
  for (const id of ['x', 'y', 'z'])
    await reads.get(id, 0, undefined, async () => answer('x'.repeat(3 << 20)));
  await reads.get('1: k', 0, undefined, read('d'));
  expect(asked).toEqual(['a', 'b', 'c', 'd']);
});
