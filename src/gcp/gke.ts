/**
 * Workload identity on GKE: Google trades a token of a service account of the cluster for one of its own, and that one for a
 * token of the Google service account that the annotation names. Without the annotation the first is used as it is.
 */

import { z } from 'zod';
import { failure } from '../base/errors.ts';
import type { WebRequest } from '../base/web.ts';
import { endpointOf, impersonationUrl } from './endpoints.ts';
import type { WorkloadIdentity } from './spec.ts';
import {
  CLOUD_PLATFORM,
  type GoogleEnv,
  type GoogleToken,
  type MachineFacts,
  type TokenOptions,
  type TokenSource,
} from './token.ts';
import { type GoogleWay, jsonIn, loginFailure, send } from './transport.ts';

export const ACCOUNT_ANNOTATION = 'iam.gke.io/gcp-service-account';
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
    const account = (await env.serviceAccountAnnotations(ref))[ACCOUNT_ANNOTATION] ?? '';
    const subject = await env.serviceAccountToken({
      ...ref,
      audiences: [...new Set([pool, ...audiences])],
      expirationSeconds: TOKEN_SECONDS,
    });
    const bound = await asked(way, bindingOf(subject, pool, provider), binding);
    if (account === '')
      return { value: bound.access_token, expiresAt: now() + (bound.expires_in ?? TOKEN_SECONDS) * 1000 };
    return impersonated(way, account, bound.access_token);
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

const JSON_BODY = { 'content-type': 'application/json' };

/** The exchange of tokens (RFC 8693), as GKE's own part of Google takes it. */
const bindingOf = (subject: string, pool: string, provider: string): WebRequest => ({
  url: `${endpointOf('securetoken')}/v1/identitybindingtoken`,
  method: 'POST',
  headers: JSON_BODY,
  body: JSON.stringify({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    subject_token: subject,
    audience: `identitynamespace:${pool}:${provider}`,
    scope: CLOUD_PLATFORM,
  }),
});

/** What goes into a header: anything else would be another header, or an error that quotes it. */
const token = z.string().regex(/^[\x21-\x7e]+$/);
const binding = z.object({ access_token: token, expires_in: z.number().positive().optional() });
const generated = z.object({ accessToken: token, expireTime: z.iso.datetime({ offset: true }) });

async function impersonated(way: GoogleWay, account: string, bearer: string): Promise<GoogleToken> {
  const url = impersonationUrl(account);
  const headers = { ...JSON_BODY, authorization: `Bearer ${bearer}` };
  const body = JSON.stringify({ scope: [CLOUD_PLATFORM] });
  const mend = `Let the service account of Kubernetes use ${account}: the role roles/iam.workloadIdentityUser on it.`;
  const { accessToken, expireTime } = await asked(
    way,
    { url, method: 'POST', headers, body },
    generated,
    mend,
  );
  return { value: accessToken, expiresAt: Date.parse(expireTime) };
}

/** @throws Failure provider.login, provider.read, dial.* */
async function asked<T>(
  way: GoogleWay,
  request: WebRequest,
  schema: z.ZodType<T>,
  mend?: string,
): Promise<T> {
  const answer = await send(way, request);
  const { success, data } = schema.safeParse(jsonIn(answer.body));
  if (answer.status !== 200 || !success) throw loginFailure(way.store, answer, mend);
  return data;
}
