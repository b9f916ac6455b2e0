import { expect, test } from 'vitest';
import { inCidrs, isCidr } from './cidr.ts';

test.each([
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['::ffff:10.1.2.3', '10.0.0.0/8', true],
  ['::ffff:a01:203', '10.0.0.0/8', true],
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.4', '10.1.2.3', false],
  ['10.1.2.3', '10.1.2.2/31', true],
  ['10.1.2.4', '10.1.2.2/31', false],
  ['1.2.3.4', '0.0.0.0/0', true],
  ['2001:db8::1', '2001:db8::/32', true],
  ['2001:db9::1', '2001:db8::/32', false],
  ['::ffff:10.0.0.1', '10.0.0.0/31', true],
  ['10.0.0.1', '2001:db8::/32', false],
  ['::1', '0.0.0.0/0', false],
  ['1.2.3.4', '::/0', false],
  ['nonsense', '0.0.0.0/0', false],
  ['', '::/0', false],
  ['010.1.2.3', '10.0.0.0/8', false],
])('%s in %s: %s', (address, cidr, inside) => {
  expect(inCidrs(address, [cidr])).toBe(inside);
});

test('no network binds nobody', () => {
  expect(inCidrs('1.2.3.4', [])).toBe(true);
});

test.each([
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '::/129',
  'host',
  '',
  '1.2.3/8',
  '10.0.0.0/-1',
  ':::/8',
  '010.0.0.0/8',
  '1::2::3/8',
])('%j is no network, and nobody is in it', (text) => {
  expect(isCidr(text)).toBe(false);
  expect(inCidrs('10.0.0.0', [text])).toBe(false);
});
