/** Google's library of identities, by name (it is CommonJS: see awskms-sdk.ts). */

export { JWT } from 'google-auth-library';
