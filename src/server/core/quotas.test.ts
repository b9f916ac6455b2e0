import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { isFailure } from '../../base/errors.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { mostSpecific, Quotas, type RateQuota } from './quotas.ts';

let clock: ManualClock;
let storage: MemoryBackend;
let quotas: Quotas;

beforeEach(async () => {
  clock = new ManualClock();
  storage = new MemoryBackend();
  quotas = await Quotas.open(storage, clock);
});

const quota = (path: string, rate = 2, extra: Partial<RateQuota> = {}): RateQuota => ({
  name: path === '' ? 'global' : path.replaceAll(/\W/g, '_'),
  path,
  rate,
  intervalMs: 1000,
  blockMs: 0,
  ...extra,
});

const passes = (path: string, address = '10.0.0.1'): boolean => {
  try {
    quotas.take(path, address);
    return true;
  } catch (error) {
    if (isFailure(error, 'quota.exceeded')) return false;
    throw error;
  }
};

test('an address that asks too often is turned away in the words of upstream, and let in again later', async () => {
  await quotas.set(quota('secret/'));
  expect([passes('secret/a'), passes('secret/b')]).toEqual([true, true]);
  expect(() => quotas.take('secret/a', '10.0.0.1')).toThrow(
    'request path "secret/a": rate limit quota exceeded',
  );
  expect(passes('secret/a', '10.0.0.2')).toBe(true);
  expect(passes('other/a')).toBe(true);
  clock.advance(500);
  expect([passes('secret/a'), passes('secret/a')]).toEqual([true, false]);
});

test('no address gets more than the rate and one burst, however it spreads its requests', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 10 }),
      async (waits, rate) => {
        await quotas.set(quota('', rate));
        let passed = 0;
        const total = waits.reduce((sum, wait) => sum + wait, 0);
        for (const wait of waits) {
          clock.advance(wait);
          if (passes('a')) passed++;
        }
        expect(passed).toBeLessThanOrEqual(rate + (total / 1000) * rate + 1e-6);
        expect(passed).toBeGreaterThan(0);
      },
    ),
    { numRuns: 50 },
  );
});

test('one that went over is kept out for the whole block, and told how long where that is switched on', async () => {
  await quotas.set(quota('', 1, { blockMs: 10_000 }));
  await quotas.configure({ ...quotas.config, headers: true });
  expect(passes('a')).toBe(true);
  clock.advance(500);
  expect(passes('a')).toBe(false);
  clock.advance(9000);
  expect(() => quotas.take('a', '10.0.0.1')).toThrow(expect.objectContaining({ retryAfterMs: 1000 }));
  clock.advance(1000);
  expect(passes('a')).toBe(true);
});

test('what must answer always is not held up', async () => {
  await quotas.set(quota('', 1));
  passes('a');
  for (let i = 0; i < 10; i++) expect(passes('sys/health')).toBe(true);
  expect(passes('sys/healthy')).toBe(false);
});

test.each([
  ['secret/data/app', 'secret_data_app'],
  ['secret/data/app2', 'secret_data_'],
  ['secret/metadata/x', 'secret_'],
  ['secretive/x', 'global'],
])('%s is judged by the quota that says most about it: %s', (path, name) => {
  const all = ['', 'secret/', 'secret/data/*', 'secret/data/app'].map((of) => quota(of));
  expect(mostSpecific(all, path)?.name.replace(/_+$/, '_')).toBe(name);
});

test('quotas survive a restart, and two never cover the same path', async () => {
  await quotas.set(quota('secret/', 7));
  await quotas.configure({ exempt: ['a/*'], headers: true, auditRefused: true });
  await expect(quotas.set({ ...quota('secret/'), name: 'other' })).rejects.toMatchObject({
    code: 'request.invalid',
  });
  const again = await Quotas.open(storage, clock);
  expect(again.get('secret_')).toMatchObject({ rate: 7 });
  expect(again.config).toEqual({ exempt: ['a/*'], headers: true, auditRefused: true });
  await again.delete('secret_');
  expect((await Quotas.open(storage, clock)).list()).toEqual([]);
});
