import { describe, expect, test } from 'vitest';
import { membershipOf } from './membership.ts';

const config = {
  apiAddress: '',
  clusterAddress: '',
  disableClustering: false,
  listeners: [{ host: '10.0.0.5', port: 8200, tls: {} }],
};

describe('a node of a cluster is reached', () => {
  test.each<[string, object, object, string, string]>([
    [
      'as its listener says, the others one port above',
      {},
      { host: '10.0.0.5', port: 8201 },
      'https://10.0.0.5:8200',
      'https://10.0.0.5:8201',
    ],
    [
      'as api_addr and cluster_addr say, listening on the host of the listener',
      { apiAddress: 'https://a.example', clusterAddress: 'https://a.example:9000' },
      { host: '10.0.0.5', port: 9000 },
      'https://a.example',
      'https://a.example:9000',
    ],
    [
      'by the name of the machine where it listens everywhere',
      { listeners: [{ host: '::', port: 8200, tls: undefined }] },
      { host: '::', port: 8201 },
      'http://here:8200',
      'https://here:8201',
    ],
    [
      'where cluster_address says',
      {
        listeners: [{ host: '0.0.0.0', port: 8200, tls: {}, clusterAddress: { host: '10.1.1.1', port: 7 } }],
      },
      { host: '10.1.1.1', port: 7 },
      'https://here:8200',
      'https://here:7',
    ],
    [
      'at an address of IPv6',
      { listeners: [{ host: 'fd00::1', port: 8200, tls: {} }] },
      { host: 'fd00::1', port: 8201 },
      'https://[fd00::1]:8200',
      'https://[fd00::1]:8201',
    ],
    [
      'at a free port where the listener takes a free one',
      { listeners: [{ host: '127.0.0.1', port: 0, tls: undefined }] },
      { host: '127.0.0.1', port: 0 },
      'http://127.0.0.1:8200',
      'https://127.0.0.1:0',
    ],
  ])('%s', (_name, more, bind, api, cluster) => {
    const made = membershipOf({ ...config, ...more }, 'here');
    expect(made.bind).toEqual(bind);
    expect(made.apiAddress({ host: 'x', port: 8200 })).toBe(api);
    expect(made.clusterAddress(made.bind?.port ?? -1)).toBe(cluster);
  });

  test('by clients alone where clustering is disabled', () => {
    expect(membershipOf({ ...config, disableClustering: true }, 'here').bind).toBeUndefined();
  });
});
