/** AWS's clients, by name: loaded as the packages that they are, they would have no names in the built program (CommonJS). */

export { KMS } from '@aws-sdk/client-kms';
export { STS } from '@aws-sdk/client-sts';
