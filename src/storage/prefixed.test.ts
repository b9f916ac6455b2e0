import { expect, test } from 'vitest';
import { textOf, utf8 } from '../base/bytes.ts';
import { MemoryBackend } from './memory.ts';
import { prefixed } from './prefixed.ts';

test('a view reads, lists, scans and writes below its prefix alone, under its own names', async () => {
  const store = new MemoryBackend();
  await store.commit([
    { key: 'a', value: utf8('outside') },
    { key: 'm/x', value: utf8('inside') },
    { key: 'm0', value: utf8('outside') },
  ]);
  const view = prefixed(store, 'm/');
  await view.commit([{ key: 'd/y', value: utf8('inside') }]);
  expect((await view.get('x'))?.key).toBe('x');
  expect(await view.get('../a')).toBeUndefined();
  expect(await view.list('')).toEqual(['d/', 'x']);
  const seen: string[] = [];
  for await (const entry of view.scan('', new AbortController().signal)) {
    expect(textOf(entry.value)).toBe('inside');
    seen.push(entry.key);
  }
  expect(seen).toEqual(['d/y', 'x']);
  expect(await store.list('')).toEqual(['a', 'm/', 'm0']);
});

test('a conflict is named as the view names it, through any number of views', async () => {
  const view = prefixed(prefixed(new MemoryBackend(), 'a/'), 'b/');
  await expect(view.commit([], [{ key: 'x', revision: 1 }])).rejects.toMatchObject({
    code: 'storage.conflict',
    data: 'x',
    message: expect.stringContaining('entry x was'),
  });
});
