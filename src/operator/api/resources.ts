/** The kinds that the operator reads and writes, as URLs name them. */

import type { Resource } from '../../kube/kube.ts';

export const GROUP = 'external-secrets.io';

const own = (plural: string, kind: string, namespaced = true, version = 'v1'): Resource => ({
  group: GROUP,
  version,
  plural,
  kind,
  namespaced,
});
const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

export const EXTERNAL_SECRETS = own('externalsecrets', 'ExternalSecret');
export const SECRET_STORES = own('secretstores', 'SecretStore');
export const CLUSTER_SECRET_STORES = own('clustersecretstores', 'ClusterSecretStore', false);
export const PUSH_SECRETS = own('pushsecrets', 'PushSecret', true, 'v1alpha1');
export const CLUSTER_PUSH_SECRETS = own('clusterpushsecrets', 'ClusterPushSecret', false, 'v1alpha1');
export const CLUSTER_EXTERNAL_SECRETS = own('clusterexternalsecrets', 'ClusterExternalSecret', false);
export const DATABASE_SECRETS = own('databasesecrets', 'DatabaseSecret', true, 'v1alpha1');
export const SECRETS = core('secrets', 'Secret');
export const CONFIG_MAPS = core('configmaps', 'ConfigMap');
export const SERVICE_ACCOUNTS = core('serviceaccounts', 'ServiceAccount');
export const NAMESPACES = core('namespaces', 'Namespace', false);
export const EVENTS = core('events', 'Event');
export const VALIDATING_WEBHOOKS: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'validatingwebhookconfigurations',
  kind: 'ValidatingWebhookConfiguration',
  namespaced: false,
};
