import { expect, test } from 'vitest';
import { normalizeFlags } from './arguments.ts';

const kinds = { switches: new Set(['--force']), truths: new Set(['--renewable']) };

test.each([
  [['-address=http://x'], ['--address=http://x']],
  [['-force=false', '-force=true'], ['--force']],
  [['-renewable'], ['--renewable=true']],
  [
    ['-i=1h', '-n=team'],
    ['-i', '1h', '-n', 'team'],
  ],
  [['-f=true', '-f=false'], ['-f']],
  [['-'], ['-']],
  [
    ['--', '-force=x', '-i=1'],
    ['--', '-force=x', '-i=1'],
  ],
])('%j is read as %j', (typed, read) => expect(normalizeFlags(typed, kinds)).toEqual(read));

test('a switch that is neither yes nor no is refused', () => {
  expect(() => normalizeFlags(['-f=perhaps'], kinds)).toThrow('-f is true or false');
});
