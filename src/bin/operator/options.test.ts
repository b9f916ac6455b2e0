import { expect, test } from 'vitest';
import { controllerOptions } from './options.ts';

test('what a generator made stays for two minutes after it was replaced, unless the flag of upstream says otherwise', () => {
  const graceOf = (text?: string): number =>
    controllerOptions(text === undefined ? {} : { generatorGcGracePeriod: text }, {}).generatorGraceMs;
  expect(graceOf()).toBe(120_000);
  expect(graceOf('1h30m')).toBe(5_400_000);
  expect(graceOf('0s')).toBe(0);
  for (const wrong of ['soon', '-1s', ''])
    expect(() => graceOf(wrong)).toThrow(
      '--generator-gc-grace-period takes a duration of at least 0s, such as 5m',
    );
});

test('stores are not checked more often than each second', () => {
  expect(controllerOptions({}, {}).storeInterval).toBe(300_000);
  expect(() => controllerOptions({ storeRequeueInterval: '10ms' }, {})).toThrow(
    '--store-requeue-interval takes a duration of at least 1s',
  );
});
