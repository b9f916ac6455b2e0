import { describe, expect, test } from 'vitest';
import { inCidrs } from '../base/cidr.ts';
import { clusterJudge, type EgressRules, NO_WAY_OUT, webJudge } from './egress.ts';

const rules: EgressRules = {
  allowed: ({ host, port }) => host === 'own.example' && port === 8080,
  isCluster: ({ ip, port }) => port === 443 && inCidrs(ip, ['10.96.0.1']),
};
const web = webJudge(rules);
const cluster = clusterJudge(rules);
const at = (ip: string, port = 443, host = ip) => ({ host, port, ip });

describe('where a tenant’s address may lead', () => {
  test.each([
    ['127.0.0.1'],
    ['127.8.8.8'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['0.0.0.0'],
    ['::'],
    ['169.254.169.254'],
    ['::ffff:169.254.169.254'],
    ['fe80::1'],
    ['fd00:ec2::254'],
    ['100.100.100.200'],
  ])('never to %s, by either way', (ip) => {
    expect([web(at(ip)), cluster(at(ip))]).toEqual([false, false]);
  });

  test.each([['10.1.2.3'], ['192.168.0.9'], ['93.184.216.34'], ['2606:2800:220:1::1']])('to %s', (ip) => {
    expect([web(at(ip)), cluster(at(ip))]).toEqual([true, true]);
  });

  test('to the API of the own cluster only as a client of it', () => {
    expect([web(at('10.96.0.1')), cluster(at('10.96.0.1'))]).toEqual([false, true]);
    expect(web(at('::ffff:10.96.0.1'))).toBe(false);
    expect(web(at('10.96.0.1', 8443))).toBe(true);
  });

  test('to the own machine where the operator’s list says so, and to link-local not even then', () => {
    expect(web(at('127.0.0.1', 8080, 'own.example'))).toBe(true);
    expect(web(at('127.0.0.1', 8081, 'own.example'))).toBe(false);
    expect(web(at('169.254.169.254', 8080, 'own.example'))).toBe(false);
  });

  test('nowhere for an operator that was given no way out', async () => {
    expect(NO_WAY_OUT.mayReachCluster(at('10.1.2.3'))).toBe(false);
    await expect(NO_WAY_OUT.dial({ url: 'https://a.example/x', method: 'GET' })).rejects.toMatchObject({
      code: 'dial.refused',
    });
  });
});
