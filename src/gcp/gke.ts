/**
 * Workload identity on GKE: Google trades a token of a service account of the cluster for one of its own, and that one for a
 * token of the Google service account that the annotation names. Without the annotation the first is used as it is.
 */

import { failure } from '../base/errors.ts';
import { endpointOf } from './endpoints.ts';
import { type Exchange, exchanged, impersonatedIf, JWT_TYPE } from './exchange.ts';
import type { WorkloadIdentity } from './spec.ts';
import type { GoogleEnv, MachineFacts, TokenOptions, TokenSource } from './token.ts';
import type { GoogleWay } from './transport.ts';

export const ACCOUNT_ANNOTATION = 'iam.gke.io/gcp-service-account';
const BINDING: Exchange = { url: `${endpointOf('securetoken')}/v1/identitybindingtoken`, takes: 'json' };
/** As long as upstream asks for: it is shown once, at once. */
const TOKEN_SECONDS = 900;

/** Becomes parts of URLs and of audiences. */
const PLACE = /^[a-z0-9][a-z0-9.:-]{0,62}$/i;

/** @throws Failure operator.ref_*, provider.spec where the cluster is not known */
export async function onGke(
  { serviceAccountRef: { name, namespace, audiences }, ...cluster }: WorkloadIdentity,
  env: GoogleEnv,
  way: GoogleWay,
  { machine, now, projectID }: TokenOptions,
): Promise<TokenSource> {
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  // What the account lacks is said when it is connected, not at its first use.
  await env.serviceAccountAnnotations(ref);
  const { pool, provider } = await clusterOf(cluster, projectID, machine, env.store);
  return async () => {
    const account = (await env.serviceAccountAnnotations(ref))[ACCOUNT_ANNOTATION];
    const subject = await env.serviceAccountToken({
      ...ref,
      audiences: [...new Set([pool, ...audiences])],
      expirationSeconds: TOKEN_SECONDS,
    });
    const audience = `identitynamespace:${pool}:${provider}`;
    const bound = await exchanged(way, BINDING, { token: subject, type: JWT_TYPE }, audience, now);
    return impersonatedIf(way, account, bound);
  };
}

/** The pool of the cluster's identities, and the cluster as an issuer of them. @throws Failure provider.spec */
async function clusterOf(
  { clusterLocation, clusterName, clusterProjectID }: Omit<WorkloadIdentity, 'serviceAccountRef'>,
  projectID: string,
  machine: MachineFacts = async () => undefined,
  store: string,
): Promise<{ readonly pool: string; readonly provider: string }> {
  const known = async (given: string, field: string, otherwise: () => Promise<string | undefined>) => {
    const value = given === '' ? ((await otherwise()) ?? '') : given;
    if (PLACE.test(value)) return value;
    throw failure('provider.spec', {
      store,
      reason:
        value === ''
          ? `unable to lookup workload identity: auth.workloadIdentity.${field} is missing, and the machine does not say it`
          : `auth.workloadIdentity.${field} is none`,
    });
  };
  const project = await known(
    clusterProjectID,
    'clusterProjectID',
    async () => (await machine('project')) ?? projectID,
  );
  const location = await known(clusterLocation, 'clusterLocation', () => machine('cluster-location'));
  const name = await known(clusterName, 'clusterName', () => machine('cluster-name'));
  return {
    pool: `${project}.svc.id.goog`,
    provider: `https://container.googleapis.com/v1/projects/${project}/locations/${location}/clusters/${name}`,
  };
}
