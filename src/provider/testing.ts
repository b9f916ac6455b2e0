/** What a provider may ask of the cluster, in a test: everything refused but what the test gives. */

import { failure } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { NO_WAY_OUT } from './egress.ts';
import type { ProviderEnv } from './provider.ts';

export const testEnv = (given: Partial<ProviderEnv> = {}): ProviderEnv => ({
  store: 'SecretStore team/store',
  cluster: false,
  log: silentLog,
  wayOut: NO_WAY_OUT,
  secret: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  },
  namespace: () => 'team',
  secretKey: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'Secret', name, namespace: 'team' });
  },
  configMapKey: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'ConfigMap', name, namespace: 'team' });
  },
  serviceAccountAnnotations: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'ServiceAccount', name, namespace: 'team' });
  },
  serviceAccountToken: async ({ name }) => {
    throw failure('operator.ref_missing', { kind: 'ServiceAccount', name, namespace: 'team' });
  },
  resolve: (host, port) => ({ host, port }),
  ...given,
});
