/** `auth.tokenSecretRef`: a token that somebody else made and keeps. */

import { type Method, textAt } from './login.ts';
import type { Given } from './spec.ts';

/** @throws Failure operator.ref_*, provider.spec */
export const byToken: Method<Given<'tokenSecretRef'>> = async (ref, { env }) => ({
  token: await textAt(env, { ...ref, key: ref.key ?? 'token' }, 'token'),
  policies: [],
  leaseSeconds: 0,
  renewable: false,
  ours: false,
});
