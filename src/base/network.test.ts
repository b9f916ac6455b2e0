import { expect, test } from 'vitest';
import { networkTrouble } from './network.ts';

const coded = (code: unknown): Error => Object.assign(new Error('canary /etc/private'), { code });

test.each([
  ['ECONNREFUSED', 'unreachable', 'connection refused'],
  ['CERT_HAS_EXPIRED', 'untrusted', 'its certificate has expired'],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', 'untrusted', 'ERR_TLS_HANDSHAKE_TIMEOUT'],
  ['HPE_INVALID_CONSTANT', 'garbage', 'it does not speak HTTP'],
  ['EWHATEVER', 'unreachable', 'the connection failed (EWHATEVER)'],
  [undefined, 'unreachable', 'the connection failed'],
  [42, 'unreachable', 'the connection failed'],
] as const)('an error of code %s is %s: %s', (code, kind, reason) => {
  expect(networkTrouble(coded(code))).toEqual({ kind, reason });
});

test('where every address of a host was tried, the first error stands for all', () => {
  const all = new AggregateError([coded('ECONNREFUSED'), coded('ETIMEDOUT')]);
  expect(networkTrouble(all).reason).toBe('connection refused');
  expect(networkTrouble(new AggregateError([])).reason).toBe('the connection failed');
});

test('what is no error is a failed connection, and an inherited name is no reason', () => {
  expect(networkTrouble('gone').reason).toBe('the connection failed');
  expect(networkTrouble(coded('constructor')).reason).toBe('the connection failed (constructor)');
});
