/**
 * Workload identity federation: Google's security token service trades what another issuer gave (this cluster, AWS, or an
 * endpoint that gives tokens) for a token of its own, or of a service account that is impersonated. By Google's own library,
 * whose settings can also name files and programs of the machine that it runs on, and the metadata service of that machine:
 * those are the operator's, and no manifest gets them.
 */

import { z } from 'zod';
import { failure } from '../base/errors.ts';
import { impersonationUrl } from './endpoints.ts';
import { ACCOUNT_ANNOTATION } from './gke.ts';
import type { Federation } from './spec.ts';
import {
  CLOUD_PLATFORM,
  type GoogleEnv,
  type TokenOptions,
  type TokenSource,
  tokenOf,
  trimmed,
} from './token.ts';
import { type GoogleWay, jsonIn, transportOver } from './transport.ts';

const TOKEN_URL = 'https://sts.googleapis.com/v1/token';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const AWS_TYPE = 'urn:ietf:params:aws:token-type:aws4_request';
/** It is shown once, at once; Kubernetes gives none for less. */
const TOKEN_SECONDS = 600;

/** A file as Google's console gives it, as far as it may be used. Upstream's rules for its URLs. */
const external = z.object({
  type: z.literal('external_account'),
  audience: z.string().default(''),
  subject_token_type: z.string().default(JWT_TYPE),
  token_url: z
    .string()
    .regex(/^https:\/\/sts\.[^/\s]+\/v1\/token$/)
    .default(TOKEN_URL),
  service_account_impersonation_url: z
    .string()
    .regex(
      /^https:\/\/iamcredentials\.(?:[a-z0-9-]+\.)*googleapis\.com\/v1\/projects\/[^/]+\/serviceAccounts\/[a-z0-9-]+@[a-z0-9-]+\.iam\.gserviceaccount\.com:generateAccessToken$/,
    )
    .optional(),
  credential_source: z.strictObject({
    url: z.url({ protocol: /^https?$/ }),
    headers: z.record(z.string(), z.string()).optional(),
    format: z
      .union([
        z.object({ type: z.literal('text') }),
        z.object({ type: z.literal('json'), subject_token_field_name: z.string().min(1) }),
      ])
      .optional(),
  }),
});

/** @throws Failure operator.ref_*, provider.spec for settings that are none */
export async function federated(
  spec: Federation,
  env: GoogleEnv,
  way: GoogleWay,
  { now }: TokenOptions,
): Promise<TokenSource> {
  const refuse = (reason: string): Error =>
    failure('provider.spec', {
      store: env.store,
      reason: `invalid workloadIdentityFederation config: ${reason}`,
    });
  const { credConfig, serviceAccountRef: account, awsSecurityCredentials: aws, audience } = spec;
  if ([credConfig, account, aws].filter((one) => one !== undefined).length !== 1)
    throw refuse('exactly one of credConfig, awsSecurityCredentials or serviceAccountRef must be provided');
  if (credConfig === undefined && audience === '')
    throw refuse('audience must be provided, when serviceAccountRef or awsSecurityCredentials is provided');
  const file = credConfig === undefined ? undefined : await configOf(credConfig, spec, env, refuse);
  const named = account === undefined ? undefined : refOf(account);
  if (named !== undefined) await env.serviceAccountAnnotations(named);
  return async () => {
    const transport = transportOver(way);
    const impersonation = spec.gcpServiceAccountEmail ?? (named && (await annotated(named, env)));
    const { IdentityPoolClient, AwsClient } = await import('./sdk.ts');
    const common = {
      type: 'external_account' as const,
      audience: audience || (file?.audience ?? ''),
      subject_token_type: file?.subject_token_type ?? (aws === undefined ? JWT_TYPE : AWS_TYPE),
      token_url: file?.token_url ?? TOKEN_URL,
      scopes: [CLOUD_PLATFORM],
      transporterOptions: transport.transporterOptions,
      ...impersonationOf(impersonation, file?.service_account_impersonation_url),
    };
    const client =
      aws !== undefined
        ? new AwsClient({
            ...common,
            aws_security_credentials_supplier: await suppliedByAws(aws, env, refuse),
          })
        : file !== undefined
          ? new IdentityPoolClient({ ...common, credential_source: file.credential_source as never })
          : new IdentityPoolClient({
              ...common,
              subject_token_supplier: { getSubjectToken: () => subjectOf(account, env) },
            });
    return tokenOf(client, env.store, transport, now);
  };
}

const refOf = ({ name, namespace }: { readonly name: string; readonly namespace?: string | undefined }) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

const annotated = async (ref: ReturnType<typeof refOf>, env: GoogleEnv): Promise<string | undefined> =>
  (await env.serviceAccountAnnotations(ref))[ACCOUNT_ANNOTATION] || undefined;

const impersonationOf = (account: string | undefined, url: string | undefined) => {
  const chosen = account === undefined ? url : impersonationUrl(account);
  return chosen === undefined ? {} : { service_account_impersonation_url: chosen };
};

async function subjectOf(account: Federation['serviceAccountRef'], env: GoogleEnv): Promise<string> {
  const { audiences = [], ...ref } = account ?? { name: '' };
  return env.serviceAccountToken({ ...refOf(ref), audiences, expirationSeconds: TOKEN_SECONDS });
}

/** @throws what `refuse` makes; the parser's own error would quote the file */
async function configOf(
  credConfig: NonNullable<Federation['credConfig']>,
  { externalTokenEndpoint }: Federation,
  env: GoogleEnv,
  refuse: (reason: string) => Error,
): Promise<z.output<typeof external>> {
  const { key } = credConfig;
  const bytes = await env.configMapKey({ ...refOf(credConfig), key });
  const { success, data, error } = external.safeParse(jsonIn(bytes));
  if (!success) {
    const at = error.issues[0]?.path.join('.');
    const where =
      at === '' || at === undefined ? 'it is no JSON object' : `${at} is missing or may not be used`;
    throw refuse(
      `the key ${key} of ConfigMap "${credConfig.name}": ${where}; tokens come from an endpoint (credential_source.url), never from files, programs or metadata of the operator`,
    );
  }
  if (data.credential_source.url !== externalTokenEndpoint)
    throw refuse('credential_source.url does not match with the configured externalTokenEndpoint');
  return data;
}

/** @throws what `refuse` makes */
async function suppliedByAws(
  { region, awsCredentialsSecretRef }: NonNullable<Federation['awsSecurityCredentials']>,
  env: GoogleEnv,
  refuse: (reason: string) => Error,
) {
  const { data } = await env.secret(refOf(awsCredentialsSecretRef));
  const [accessKeyId, secretAccessKey, token] = [
    'aws_access_key_id',
    'aws_secret_access_key',
    'aws_session_token',
  ].map((key) => trimmed(data.get(key)));
  if (!accessKeyId || !secretAccessKey)
    throw refuse(
      'aws_access_key_id and aws_secret_access_key keys must be present in AwsSecurityCredentials secret',
    );
  return {
    getAwsRegion: async () => region,
    getAwsSecurityCredentials: async () => ({
      accessKeyId,
      secretAccessKey,
      ...(token ? { token } : {}),
    }),
  };
}
