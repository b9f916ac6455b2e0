/**
 * What logins ask of clouds: proof of who a store is to them. How that is come by is not this room's; whoever wires the
 * provider hands it in, with what the operator itself lends.
 */

import type { ProviderEnv } from '../../../provider/provider.ts';
import type { Given } from './spec.ts';

/** A request that was signed for the server to send. */
interface SignedRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Clouds {
  /**
   * The operator's own token at its cluster, which `auth.kubernetes` of a ClusterSecretStore shows where it names no account;
   * absent where it is lent to nobody. Only there: who writes it may read all Secrets anyway, while a tenant could name a server
   * of its own and have the token sent to it. @throws Failure provider.unsupported
   */
  readonly cluster?: (env: ProviderEnv) => Promise<string>;
  /** A request sts:GetCallerIdentity, signed as `auth.iam` says. @throws Failure provider.*, operator.ref_*, dial.* */
  readonly aws?: (
    as: {
      readonly region: string;
      readonly auth: Pick<Given<'iam'>, 'secretRef' | 'jwt'>;
      readonly role: string;
      readonly externalID: string;
      /** What is signed beside AWS's own headers; names in lower case. */
      readonly headers: Readonly<Record<string, string>>;
      /** What a session by a service account's token is called at AWS. */
      readonly webSession: string;
      readonly field: string;
    },
    env: ProviderEnv,
  ) => Promise<SignedRequest>;
  /** A JWT that `auth.gcp` is told by. @throws Failure provider.*, operator.ref_*, dial.* */
  readonly google?: (
    as: Pick<Given<'gcp'>, 'secretRef' | 'workloadIdentity' | 'projectID'> & {
      readonly audience: string;
      /** The same, for a machine that says who it is. */
      readonly machineAudience: string;
      readonly field: string;
    },
    env: ProviderEnv,
  ) => Promise<string>;
}
