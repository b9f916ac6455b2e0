import { expect, test } from 'vitest';
import type { Cache } from '../kube/cache.ts';
import type { KubeObject, Name } from '../kube/kube.ts';
import { SECRETS } from './api/resources.ts';
import { FakeKube } from './testing/kube.ts';
import { Written } from './written.ts';

const name: Name = { resource: SECRETS, namespace: 'team', name: 'app' };
const secret = (data: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'app', namespace: 'team' },
  data: { data },
});

/** A cache that knows what it was last shown. */
function setup() {
  const shown: { object: KubeObject | undefined; trouble: Error | undefined } = {
    object: undefined,
    trouble: undefined,
  };
  const cache = {
    isSynced: true,
    get trouble() {
      return shown.trouble;
    },
    get: () => shown.object,
  } as unknown as Cache;
  const written = new Written();
  return { kube: written.noting(new FakeKube()), written, cache, shown };
}

test('what is watched serves, until we know better by a write of our own, and again when it has caught up', async () => {
  const { kube, written, cache, shown } = setup();
  expect(written.watched(cache, name)).toEqual({ object: undefined });
  const first = await kube.create(name, secret('1'));
  expect(written.watched(cache, name)).toBeUndefined();
  shown.object = first;
  expect(written.watched(cache, name)).toEqual({ object: first });
  const second = await kube.update(name, { ...first, ...secret('2'), metadata: first.metadata });
  expect(written.watched(cache, name)).toBeUndefined();
  const newer = { ...second, metadata: { ...second.metadata, resourceVersion: '99999' } };
  shown.object = newer;
  expect(written.watched(cache, name)).toEqual({ object: newer });
});

test('what we deleted is not believed to be there, and what came in its place is', async () => {
  const { kube, written, cache, shown } = setup();
  const first = await kube.create(name, secret('1'));
  shown.object = first;
  await kube.delete(name, { uid: first.metadata.uid ?? '' });
  expect(written.watched(cache, name)).toBeUndefined();
  const next = await kube.create(name, secret('2'));
  expect(written.watched(cache, name)).toBeUndefined();
  shown.object = next;
  expect(written.watched(cache, name)).toEqual({ object: next });
});

test('a watch that is broken is not believed', async () => {
  const { written, cache, shown } = setup();
  shown.trouble = new Error('connection refused');
  expect(written.watched(cache, name)).toBeUndefined();
});
