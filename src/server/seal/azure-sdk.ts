/** Azure's clients, by name (see awskms-sdk.ts). */

export { ClientAssertionCredential, ClientSecretCredential } from '@azure/identity';
export { CryptographyClient } from '@azure/keyvault-keys';
