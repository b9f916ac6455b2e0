import { expect, test } from 'vitest';
import { ageText, sizeText } from './backuptext.ts';

test.each([
  [0, '0s'],
  [8_000, '8s'],
  [60_000, '1m'],
  [61_000, '1m1s'],
  [3_600_000 * 5 + 60_000 * 10, '5h10m'],
  [86_400_000 * 30, '30d'],
  [86_400_000 * 3 + 3_600_000 * 4 + 5, '3d4h'],
  [-5, '0s'],
])('%d ms is told as %s', (ms, text) => {
  expect(ageText(ms)).toBe(text);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [7437, '7.4 kB'],
  [999_600, '1.0 MB'],
  [123_456_789, '123 MB'],
  [5_000_000_000, '5.0 GB'],
])('%d bytes are told as %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});
