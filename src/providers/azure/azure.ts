/** The Azure provider: Key Vault through Azure's own clients, as upstream's stores describe it. */

import { cloudOf, vaultScope } from '../../azure/clouds.ts';
import { type AzureCredential, azureCredential } from '../../azure/credential.ts';
import type { Provider, ProviderEnv, ProviderType } from '../../provider/provider.ts';
import { openVault, sendingBy } from './client.ts';
import { identityOf } from './identity.ts';
import { createReader } from './reader.ts';
import { type AzureSpec, azureSpec } from './spec.ts';
import { createWriter } from './writer.ts';

export interface AzureOptions {
  /**
   * Whether stores may ask as the operator itself: ManagedIdentity, and WorkloadIdentity without a service account. Whoever
   * may write a store then reads what the operator may: only for clusters that are one tenant.
   */
  readonly lendOwnKeys?: boolean;
  /** The tenant of the operator's own cluster, for service accounts that name none: Azure's webhook writes it as AZURE_TENANT_ID. */
  readonly tenant?: string | undefined;
}

/** The provider `azurekv`. */
export const createAzureProvider = (options: AzureOptions = {}): ProviderType<AzureSpec> => ({
  name: 'azurekv',
  spec: azureSpec as ProviderType<AzureSpec>['spec'],
  connect: (spec, env) => connect(spec, env, options),
});

async function connect(
  spec: AzureSpec,
  env: ProviderEnv,
  { lendOwnKeys = false, tenant = '' }: AzureOptions,
): Promise<Provider> {
  const identity = await identityOf(spec, env, { lendOwnKeys, tenant });
  const send = sendingBy(env);
  // The schema lets no cloud pass that has neither.
  const authority =
    spec.customCloudConfig?.activeDirectoryEndpoint ?? cloudOf(spec.environmentType)?.authority ?? '';
  const source = await azureCredential(identity, { store: env.store, send, authority });
  let ends: number | undefined;
  const credential: AzureCredential = {
    async getToken(scopes) {
      const lent = await source.getToken(scopes);
      ends = lent.expiresOnTimestamp;
      return lent;
    },
  };
  const context = { vault: await openVault(spec.vaultUrl, credential, send, env.retry), env };
  return {
    ...createReader(context),
    ...createWriter(context),
    /** Whether there is a token to be had; what it may read is the vault's to say at each read. */
    async validate() {
      await credential.getToken(vaultScope(spec.vaultUrl));
      return 'ready';
    },
    endsAt: () => ends,
    async close() {},
  };
}
