import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownToken } from './owntoken.ts';
import { clouds } from './providers.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-owntoken-'));
});
afterAll(() => rm(folder, { recursive: true }));

const store = 'ClusterSecretStore vault';

test('is read anew each time, for the kubelet replaces it', async () => {
  const file = join(folder, 'token');
  const token = ownToken(file);
  await writeFile(file, 'first\n');
  expect(await token({ store })).toBe('first');
  await writeFile(file, 'second\n');
  expect(await token({ store })).toBe('second');
});

test('that is not there is told with the store, and what mends it', async () => {
  const file = join(folder, 'none');
  await expect(ownToken(file)({ store })).rejects.toMatchObject({
    code: 'provider.unsupported',
    message: `${store}: it would show the operator's own token, and ${file} holds none`,
  });
});

test('is handed to nobody unless the operator lends its keys', () => {
  expect(clouds({ env: {} }).cluster).toBeUndefined();
  expect(clouds({ env: {}, lendOwnKeys: true }).cluster).toBeTypeOf('function');
});
