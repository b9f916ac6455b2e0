import { expect, test } from 'vitest';
import { baseAddress } from './address.ts';

test.each([
  ['https://kube.example:6443', 'https://kube.example:6443'],
  ['https://KUBE.example:443/', 'https://kube.example'],
  ['https://host/clusters/a/', 'https://host/clusters/a'],
  ['https://[fd00::1]:6443', 'https://[fd00::1]:6443'],
  ['http://host', undefined],
  ['ftp://host', undefined],
  ['host:6443', undefined],
  ['https://', undefined],
  ['https://user@host', undefined],
  ['https://user:pass@host', undefined],
  ['https://host/?', undefined],
  ['https://host/#', undefined],
  ['https://host/?a=b', undefined],
  ['https:\\\\host', undefined],
  ['https://ho\nst', undefined],
  ['', undefined],
])('%j is read as %j', (text, address) => {
  expect(baseAddress(text, ['https:'])).toBe(address);
});
