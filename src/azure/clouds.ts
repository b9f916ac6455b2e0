/** The clouds of Azure: where each gives tokens, and what the tokens of its services are for. Pure. */

/** As upstream's schema names them; AzureStackCloud is whatever its owner says. */
export type AzureEnvironment =
  | 'PublicCloud'
  | 'USGovernmentCloud'
  | 'ChinaCloud'
  | 'GermanCloud'
  | 'AzureStackCloud';

export interface AzureCloud {
  /** URL of Entra ID, without a slash at the end. */
  readonly authority: string;
  /** What tokens for Azure's own management are for: registries of containers take them. */
  readonly management: string;
}

/** Undefined: it is not one with addresses of its own. The German one was closed in October 2021. */
const CLOUDS: Readonly<Partial<Record<AzureEnvironment, AzureCloud>>> = {
  PublicCloud: {
    authority: 'https://login.microsoftonline.com',
    management: 'https://management.azure.com',
  },
  USGovernmentCloud: {
    authority: 'https://login.microsoftonline.us',
    management: 'https://management.usgovcloudapi.net',
  },
  ChinaCloud: {
    authority: 'https://login.chinacloudapi.cn',
    management: 'https://management.chinacloudapi.cn',
  },
};

export const cloudOf = (environment: AzureEnvironment): AzureCloud | undefined => CLOUDS[environment];

/** What a token for a vault is for: the domain that its cloud has all vaults in. @param vault its URL */
export const vaultScope = (vault: string): string =>
  `https://${new URL(vault).hostname.split('.').slice(1).join('.')}/.default`;
