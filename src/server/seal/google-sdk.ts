/** Google's library of identities, by name (it is CommonJS: see awskms-sdk.ts). */

import { gaxios, IdentityPoolClient, JWT } from 'google-auth-library';

export const { Gaxios } = gaxios;
export { IdentityPoolClient, JWT };
