import { expect, test } from 'vitest';
import { mountForTest } from '../../plugin/testing.ts';
import { cubbyhole } from './index.ts';

test('each token has a place of its own, which no other token sees, lists or deletes', async () => {
  const hole = mountForTest(cubbyhole, { path: 'cubbyhole/' });
  await hole.call('write', 'response', '{"10":1.0,"a":2}', { token: 'one' });
  expect((await hole.call('read', 'response', undefined, { token: 'two' })).status).toBe(404);
  expect((await hole.call('list', '', undefined, { token: 'two' })).status).toBe(404);
  await hole.call('delete', 'response', undefined, { token: 'two' });
  const mine = await hole.call('read', 'response', undefined, { token: 'one' });
  expect(mine.text).toBe('{"10":1.0,"a":2}');
  expect(mine.lease).toBeUndefined();
  expect((await hole.call('list', '', undefined, { token: 'one' })).data).toEqual({ keys: ['response'] });
  expect((await hole.call('delete', 'response', undefined, { token: 'one' })).status).toBe(204);
  expect((await hole.call('read', 'response', undefined, { token: 'one' })).status).toBe(404);
});

test('nothing of it lies in the storage of the mount, and nobody is told', async () => {
  const hole = mountForTest(cubbyhole, { path: 'cubbyhole/' });
  await hole.call('write', 'a', { b: 1 });
  expect(await hole.storage.list('')).toEqual([]);
  expect(hole.events).toEqual([]);
});
