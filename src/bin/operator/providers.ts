/** The stores that the operator can read: the one list, for `holdfast controller` and `holdfast dev` alike. */

import { createGoogleCallers } from '../../gcp/assertion.ts';
import { endpointsFrom } from '../../gcp/endpoints.ts';
import { googleMachine, googleMachineIdentity } from '../../gcp/machine.ts';
import type { ProviderType } from '../../provider/provider.ts';
import { createAwsProvider } from '../../providers/aws/aws.ts';
import { createAwsCallers } from '../../providers/aws/caller.ts';
import { endpointFrom } from '../../providers/aws/endpoints.ts';
import { createAzureProvider } from '../../providers/azure/azure.ts';
import { createFakeProvider } from '../../providers/fake/fake.ts';
import { createGcpProvider } from '../../providers/gcp/gcp.ts';
import { kubernetesProvider } from '../../providers/kubernetes/kubernetes.ts';
import type { Clouds } from '../../providers/vault/auth/clouds.ts';
import { createOpenBaoProvider } from '../../providers/vault/openbao.ts';
import { createVaultProvider } from '../../providers/vault/vault.ts';
import { webhookProvider } from '../../providers/webhook/webhook.ts';
import { ownToken } from './owntoken.ts';

export interface ProviderOptions {
  /** Of the operator's own process; what it says of endpoints and keys is the administrator's word. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether stores that name no keys may have the operator's own: only for clusters that are one tenant. */
  readonly lendOwnKeys?: boolean;
}

/** How stores of Vault prove to it who they are to a cloud, or to the cluster. */
export const clouds = ({ env, lendOwnKeys = false }: ProviderOptions): Clouds => ({
  ...(lendOwnKeys ? { cluster: ownToken() } : {}),
  aws: createAwsCallers({ endpoint: endpointFrom(env), lendOwnKeys }),
  google: createGoogleCallers({
    endpoints: endpointsFrom(env),
    lendOwnKeys,
    machine: googleMachine,
    identity: googleMachineIdentity,
    now: Date.now,
  }),
});

export function providers(options: ProviderOptions): readonly ProviderType[] {
  const { env, lendOwnKeys = false } = options;
  const vault = createVaultProvider({ clouds: clouds(options) });
  return [
    vault,
    createOpenBaoProvider(vault),
    kubernetesProvider,
    createAwsProvider({ endpoint: endpointFrom(env), lendOwnKeys }),
    createGcpProvider({ endpoints: endpointsFrom(env), lendOwnKeys, machine: googleMachine }),
    createAzureProvider({ lendOwnKeys, tenant: env['AZURE_TENANT_ID'] }),
    createFakeProvider(),
    webhookProvider,
  ];
}
