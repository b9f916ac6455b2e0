/** The first document: a platform to try out, its server opened by one key, its secrets seeded from a file of known passwords. */

import { repairSteps } from './demorepair.ts';
import { rotationSteps } from './demorotation.ts';
import { seedingSteps } from './demoseeding.ts';
import { setupSteps } from './demosetup.ts';
import { namespaceWith, reviewer, type Script } from './script.ts';

export const demo: Script = {
  document: '000_06b3664b2c8f2b3a.txt',
  title: 'A platform to try out',
  config: {
    line: [44, 55],
    text: `ui = true
storage "raft" {
  path    = "/vault/data"
  node_id = "vault-0"
}
listener "tcp" {
  address         = "0.0.0.0:8200"
  tls_disable     = "true"
  telemetry {
    unauthenticated_metrics_access = true
  }
}
telemetry {
  prometheus_retention_time = "24h"
}
`,
    mistakes: [
      {
        was: 'Opens the metrics to everybody, and leaves out `telemetry { prometheus_retention_time }`, without which Vault keeps none for Prometheus: the monitor of line 943 reads an error.',
      },
    ],
  },
  virtualClusters: [],
  objects: {
    primary: [
      ...namespaceWith('vault-system', 'vault'),
      reviewer('vault-system', 'vault'),
      ...['argocd', 'cicd', 'observability', 'backstage', 'myapp'].flatMap((name) =>
        namespaceWith(name, 'external-secrets'),
      ),
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: 'grafana-admin-password', namespace: 'observability' },
        spec: {
          refreshInterval: '1h',
          secretStoreRef: { kind: 'SecretStore', name: 'observability' },
          target: { name: 'grafana-admin-password' },
          data: [
            {
              secretKey: 'admin-password',
              remoteRef: { key: 'secret/grafana/admin', property: 'admin-password' },
            },
          ],
        },
      },
    ],
    virtual: [],
  },
  databases: [
    'CREATE DATABASE mydb',
    '\\connect mydb',
    'CREATE TABLE things (id int)',
    'INSERT INTO things VALUES (7)',
  ],
  environment: [],
  steps: [...setupSteps, ...seedingSteps, ...rotationSteps, ...repairSteps],
};
