/** The stores that the operator can read: the one list, for `holdfast controller` and `holdfast dev` alike. */

import { endpointsFrom } from '../../gcp/endpoints.ts';
import { googleMachine } from '../../gcp/machine.ts';
import type { ProviderType } from '../../provider/provider.ts';
import { createAwsProvider } from '../../providers/aws/aws.ts';
import { endpointFrom } from '../../providers/aws/endpoints.ts';
import { createAzureProvider } from '../../providers/azure/azure.ts';
import { createFakeProvider } from '../../providers/fake/fake.ts';
import { createGcpProvider } from '../../providers/gcp/gcp.ts';
import { kubernetesProvider } from '../../providers/kubernetes/kubernetes.ts';
import { vaultProvider } from '../../providers/vault/vault.ts';
import { webhookProvider } from '../../providers/webhook/webhook.ts';

export interface ProviderOptions {
  /** Of the operator's own process; what it says of endpoints and keys is the administrator's word. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether stores that name no keys may have the operator's own: only for clusters that are one tenant. */
  readonly lendOwnKeys?: boolean;
}

export const providers = ({ env, lendOwnKeys = false }: ProviderOptions): readonly ProviderType[] => [
  vaultProvider,
  kubernetesProvider,
  createAwsProvider({ endpoint: endpointFrom(env), lendOwnKeys }),
  createGcpProvider({ endpoints: endpointsFrom(env), lendOwnKeys, machine: googleMachine }),
  createAzureProvider({ lendOwnKeys, tenant: env['AZURE_TENANT_ID'] }),
  createFakeProvider(),
  webhookProvider,
];
