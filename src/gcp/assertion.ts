/**
 * Who somebody is to Google, told to a third: claims that a service account signed, which whoever is told verifies by the
 * account's public keys. With the key of an account it is signed here; an account that only the cluster stands for signs by
 * Google; the operator's own machine, where the operator lends that, says who it is by its metadata service.
 */

import { sign } from 'node:crypto';
import { base64url, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { signedBy } from './exchange.ts';
import { ACCOUNT_ANNOTATION } from './gke.ts';
import { accountKeyOf } from './key.ts';
import type { GoogleAuthSpec, WorkloadIdentity } from './spec.ts';
import type { GoogleEnv, MachineIdentity, TokenOptions } from './token.ts';
import { googleTokens } from './tokens.ts';
import type { GoogleWay } from './transport.ts';

/** As long as Vault's own clients ask for; a role takes fifteen minutes where it says nothing. */
const LIFE_SECONDS = 600;

/** Who tells, and to whom. The first of the identities counts; none is the operator's own. */
export interface GoogleCaller {
  readonly secretRef?: GoogleAuthSpec['secretRef'];
  readonly workloadIdentity?: WorkloadIdentity | undefined;
  /** The project to take a cluster for, where nothing else says it. */
  readonly projectID: string;
  /** Whom it is for. */
  readonly audience: string;
  /** The same, for a machine that says who it is. */
  readonly machineAudience: string;
  /** Where the manifest names its identity, for messages. */
  readonly field: string;
}

export interface AssertionOptions extends Omit<TokenOptions, 'projectID'> {
  /** Who the operator's machine says it is; asked only where the operator lends that. */
  readonly identity: MachineIdentity;
}

/**
 * Signs as whom a manifest names.
 * @throws from what it gives: Failure provider.*, operator.ref_*, dial.*
 */
export const createGoogleCallers =
  ({ identity, ...options }: AssertionOptions) =>
  async (caller: GoogleCaller, env: GoogleEnv): Promise<string> => {
    const { secretRef, workloadIdentity, audience, field } = caller;
    if (secretRef !== undefined) return byKey(secretRef, audience, env, options);
    if (workloadIdentity !== undefined) return byAccount(workloadIdentity, caller, env, options);
    if (!options.lendOwnKeys)
      throw failure('provider.unsupported', {
        store: env.store,
        reason: 'it names no identity of Google, and this operator lends its own to nobody',
        mend: `Give ${field}.secretRef, ${field}.workloadIdentity or ${field}.serviceAccountRef.`,
      });
    const own = await identity(caller.machineAudience);
    if (own !== undefined) return own;
    throw failure('provider.login', {
      store: env.store,
      reason: 'the machine of the operator has no identity of Google',
      mend: 'Run the operator on a machine or in a pod that has one, or give the store one of its own.',
    });
  };

const claimsOf = (account: string, audience: string, now: () => number) => {
  const seconds = Math.floor(now() / 1000);
  return { sub: account, aud: audience, iat: seconds, exp: seconds + LIFE_SECONDS };
};

/** RFC 7519 by RS256, under the key's own name, by which its public half is found at Google. */
async function byKey(
  ref: NonNullable<GoogleAuthSpec['secretRef']>,
  audience: string,
  env: GoogleEnv,
  { now }: Pick<AssertionOptions, 'now'>,
): Promise<string> {
  const { client_email: account, private_key: key, private_key_id: kid } = await accountKeyOf(ref, env);
  if (kid === undefined)
    throw failure('provider.spec', {
      store: env.store,
      reason: `the key of ${account} has no private_key_id, by which its public half is found`,
    });
  const part = (value: object): string => base64url(utf8(JSON.stringify(value)));
  const signed = `${part({ alg: 'RS256', typ: 'JWT', kid })}.${part(claimsOf(account, audience, now))}`;
  return `${signed}.${base64url(sign('sha256', utf8(signed), key))}`;
}

async function byAccount(
  workloadIdentity: WorkloadIdentity,
  { projectID, audience }: GoogleCaller,
  env: GoogleEnv,
  options: Omit<AssertionOptions, 'identity'>,
): Promise<string> {
  const { name, namespace } = workloadIdentity.serviceAccountRef;
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  const account = (await env.serviceAccountAnnotations(ref))[ACCOUNT_ANNOTATION] ?? '';
  if (account === '')
    throw failure('provider.spec', {
      store: env.store,
      reason: `a service account of Google must be associated with service account ${name}: it has no annotation ${ACCOUNT_ANNOTATION}`,
    });
  const token = await googleTokens({ workloadIdentity }, env, { ...options, projectID });
  const way: GoogleWay = { store: env.store, dial: env.wayOut.dial, endpoints: options.endpoints };
  return signedBy(way, account, claimsOf(account, audience, options.now), await token());
}
