/**
 * Google's library of identities, by name: it is CommonJS, and loaded as the package that it is it would have no names in the
 * built program.
 */

export { AwsClient, GoogleAuth, gcpMetadata, JWT } from 'google-auth-library';
