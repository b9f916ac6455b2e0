/** AWS's clients, by name: loaded as the packages that they are, they would have no names in the built program (CommonJS). */

export { IAM } from '@aws-sdk/client-iam';
export { STS } from '@aws-sdk/client-sts';
