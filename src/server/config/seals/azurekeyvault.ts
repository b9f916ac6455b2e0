/** `seal "azurekeyvault"`: an RSA key in Azure Key Vault. Source followed: Vault's page of this seal. */

import type { Fields } from './fields.ts';

export type AzureIdentitySettings =
  | { readonly kind: 'secret'; readonly tenant: string; readonly client: string; readonly secret: string }
  | { readonly kind: 'token'; readonly tenant: string; readonly client: string; readonly file: string }
  | { readonly kind: 'machine'; readonly client: string };

export interface AzureKeyVaultSettings {
  readonly kind: 'azurekeyvault';
  /** URL of the vault, without a slash at the end. */
  readonly vault: string;
  readonly keyName: string;
  /** URL of Entra ID. */
  readonly authority: string;
  readonly identity: AzureIdentitySettings;
}

export const AZUREKEYVAULT_KEYS: readonly string[] = [
  'tenant_id',
  'client_id',
  'client_secret',
  'environment',
  'vault_name',
  'key_name',
  'resource',
  'instance_metadata',
];

/** The clouds by the names of Azure's SDK for Go: where vaults are, and who gives tokens. */
const CLOUDS: Readonly<Record<string, { readonly vaults: string; readonly authority: string }>> = {
  AZURECLOUD: { vaults: 'vault.azure.net', authority: 'https://login.microsoftonline.com' },
  AZUREPUBLICCLOUD: { vaults: 'vault.azure.net', authority: 'https://login.microsoftonline.com' },
  AZURECHINACLOUD: { vaults: 'vault.azure.cn', authority: 'https://login.chinacloudapi.cn' },
  AZUREUSGOVERNMENT: { vaults: 'vault.usgovcloudapi.net', authority: 'https://login.microsoftonline.us' },
  AZUREUSGOVERNMENTCLOUD: {
    vaults: 'vault.usgovcloudapi.net',
    authority: 'https://login.microsoftonline.us',
  },
};

/** @throws Failure config.invalid */
export function readAzureKeyVault(fields: Fields): AzureKeyVaultSettings {
  const environment = fields.text('environment', ['AZURE_ENVIRONMENT']) || 'AZUREPUBLICCLOUD';
  const cloud = CLOUDS[environment.toUpperCase()];
  if (cloud === undefined)
    throw fields.refused(
      'is in an environment that there is not',
      'Write environment = "AzurePublicCloud", "AzureUSGovernmentCloud" or "AzureChinaCloud".',
    );
  const name = (key: string, variables: readonly string[], mend: string): string =>
    fields.shaped(key, fields.required(key, mend, variables), /^[a-zA-Z0-9-]{1,127}$/, mend);
  const vaultName = name(
    'vault_name',
    ['AZUREKEYVAULT_WRAPPER_VAULT_NAME', 'VAULT_AZUREKEYVAULT_VAULT_NAME'],
    'Write vault_name = the name of the key vault, and not its address.',
  );
  const resource = fields.shaped(
    'resource',
    fields.text('resource', ['AZURE_AD_RESOURCE']) || cloud.vaults,
    /^[a-zA-Z0-9.-]{1,253}(:\d{1,5})?$/,
    'Write resource = "vault.azure.net", or "managedhsm.azure.net" for a managed HSM.',
  );
  return {
    kind: 'azurekeyvault',
    vault: new URL(`https://${vaultName}.${resource}`).origin,
    keyName: name(
      'key_name',
      ['AZUREKEYVAULT_WRAPPER_KEY_NAME', 'VAULT_AZUREKEYVAULT_KEY_NAME'],
      'Write key_name = the name of the key in that vault.',
    ),
    authority: fields.address(
      'AZURE_AUTHORITY_HOST',
      fields.env('AZURE_AUTHORITY_HOST') || cloud.authority,
      'Leave it out, or set it to the address of Entra ID.',
    ),
    identity: identityOf(fields),
  };
}

function identityOf(fields: Fields): AzureIdentitySettings {
  const tenant = fields.text('tenant_id', ['AZURE_TENANT_ID']);
  const client = fields.text('client_id', ['AZURE_CLIENT_ID']);
  const secret = fields.text('client_secret', ['AZURE_CLIENT_SECRET']);
  const file = fields.env('AZURE_FEDERATED_TOKEN_FILE');
  if (secret !== '' || file !== '') {
    for (const [key, value] of [
      ['tenant_id', tenant],
      ['client_id', client],
    ] as const)
      fields.shaped(key, value, /^[a-zA-Z0-9.-]{1,253}$/, `Write ${key} = "..." as Entra ID shows it.`);
    return secret !== ''
      ? { kind: 'secret', tenant, client, secret }
      : { kind: 'token', tenant, client, file };
  }
  if (fields.truth('instance_metadata')) return { kind: 'machine', client };
  throw fields.refused(
    'has nobody to ask as',
    'Give AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or AZURE_FEDERATED_TOKEN_FILE for a workload identity; for the identity of the machine write instance_metadata = "true".',
  );
}
