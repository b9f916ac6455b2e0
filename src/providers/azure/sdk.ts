/** The clients of Azure Key Vault, by name: what is not used of them stays out of the built program. */

export { CertificateClient } from '@azure/keyvault-certificates';
export { KeyClient } from '@azure/keyvault-keys';
export { SecretClient } from '@azure/keyvault-secrets';
