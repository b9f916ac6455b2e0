/** AWS's clients, by name, as the built program needs them: see src/providers/aws/sdk.ts. */

export { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
export { GetSessionTokenCommand, STSClient } from '@aws-sdk/client-sts';
