/**
 * Workload identity federation: Google's security token service trades what another issuer gave (this cluster, AWS, or an
 * endpoint that gives tokens) for a token of its own, or of a service account that is impersonated. Google's files for it can
 * also name files and programs of the machine that reads them, and the metadata service of that machine: those are the
 * operator's, and no manifest gets them.
 */

import { z } from 'zod';
import { failure } from '../base/errors.ts';
import { exchanged, impersonated, impersonatedIf, JWT_TYPE } from './exchange.ts';
import { ACCOUNT_ANNOTATION } from './gke.ts';
import type { Federation } from './spec.ts';
import { type GoogleEnv, type TokenOptions, type TokenSource, trimmed } from './token.ts';
import { type GoogleWay, jsonIn, send } from './transport.ts';

const TOKEN_URL = 'https://sts.googleapis.com/v1/token';
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
  const ref = account === undefined ? undefined : refOf(account);
  // What the account lacks is said when it is connected, not at its first use.
  if (ref !== undefined) await env.serviceAccountAnnotations(ref);
  return async () => {
    const subject =
      file !== undefined
        ? { token: await givenBy(file, way), type: file.subject_token_type }
        : aws !== undefined
          ? { token: await signedByAws(aws, audience, env, refuse), type: AWS_TYPE }
          : { token: await subjectOf(account, env), type: JWT_TYPE };
    const of = audience || (file?.audience ?? '');
    const first = await exchanged(
      way,
      { url: file?.token_url ?? TOKEN_URL, takes: 'form' },
      subject,
      of,
      now,
    );
    const named =
      spec.gcpServiceAccountEmail ?? (ref && (await env.serviceAccountAnnotations(ref))[ACCOUNT_ANNOTATION]);
    const url = file?.service_account_impersonation_url;
    return named === undefined && url !== undefined
      ? impersonated(way, url, first)
      : impersonatedIf(way, named, first);
  };
}

const refOf = ({ name, namespace }: { readonly name: string; readonly namespace?: string | undefined }) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

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

/** What the endpoint gives; the operator's way out judges where it is. @throws Failure provider.login, provider.read, dial.* */
async function givenBy(
  { credential_source: source }: z.output<typeof external>,
  way: GoogleWay,
): Promise<string> {
  const { url, headers = {}, format } = source;
  const answer = await send(way, { url, method: 'GET', headers });
  const text =
    format?.type === 'json' ? fieldOf(jsonIn(answer.body), format.subject_token_field_name) : answer.body;
  const token = typeof text === 'string' ? text : text instanceof Uint8Array ? trimmed(text) : '';
  if (answer.status === 200 && token !== '') return token;
  throw failure('provider.login', {
    store: way.store,
    reason: `what gives it its token answers HTTP ${answer.status}${answer.status === 200 ? ' without one' : ''}`,
    mend: 'Check credential_source of its configuration.',
  });
}

const fieldOf = (json: unknown, name: string): unknown =>
  typeof json === 'object' && json !== null && Object.hasOwn(json, name)
    ? (json as Readonly<Record<string, unknown>>)[name]
    : undefined;

/** A request to AWS that tells who signed it, in Google's form: the library signs it, and sends nothing. @throws what `refuse` makes */
async function signedByAws(
  { region, awsCredentialsSecretRef }: NonNullable<Federation['awsSecurityCredentials']>,
  audience: string,
  env: GoogleEnv,
  refuse: (reason: string) => Error,
): Promise<string> {
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
  const { AwsClient } = await import('./sdk.ts');
  const client = new AwsClient({
    type: 'external_account',
    audience,
    subject_token_type: AWS_TYPE,
    token_url: TOKEN_URL,
    aws_security_credentials_supplier: {
      getAwsRegion: async () => region,
      getAwsSecurityCredentials: async () => ({ accessKeyId, secretAccessKey, ...(token ? { token } : {}) }),
    },
  });
  return client.retrieveSubjectToken();
}
