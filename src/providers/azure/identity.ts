/** As whom a store asks Azure, by upstream's rules: which fields belong to which way, and where client and tenant come from. */

import type { AzureIdentity } from '../../azure/credential.ts';
import { textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import type { AzureSpec } from './spec.ts';

export const CLIENT_ANNOTATION = 'azure.workload.identity/client-id';
export const TENANT_ANNOTATION = 'azure.workload.identity/tenant-id';
const AUDIENCE = 'api://AzureADTokenExchange';
/** It is shown once, at once; Kubernetes gives none for less. */
const TOKEN_SECONDS = 600;

export interface IdentityOptions {
  /** Whether stores may ask as the operator itself. */
  readonly lendOwnKeys: boolean;
  /** The tenant of the operator's own cluster, for accounts that name none. */
  readonly tenant: string;
}

/** @throws Failure provider.*, operator.ref_* for what its settings lack */
export async function identityOf(
  spec: AzureSpec,
  env: ProviderEnv,
  options: IdentityOptions,
): Promise<AzureIdentity> {
  switch (spec.authType) {
    case 'ServicePrincipal':
      return principal(spec, env);
    case 'WorkloadIdentity':
      return spec.serviceAccountRef === undefined ? own(spec, env, options) : workload(spec, env, options);
    case 'ManagedIdentity':
      return own(spec, env, options);
  }
}

async function principal(spec: AzureSpec, env: ProviderEnv): Promise<AzureIdentity> {
  const refuse = refusing(env);
  const { tenantId: tenant, authSecretRef: refs } = spec;
  if (tenant === '') throw refuse('missing tenantID in store config');
  if (refs === undefined) throw refuse('missing secretRef in provider config');
  const { clientId, clientSecret, clientCertificate } = refs;
  if (clientId === undefined || (clientSecret === undefined && clientCertificate === undefined))
    throw refuse('missing accessKeyID/secretAccessKey in store config');
  if (clientSecret !== undefined && clientCertificate !== undefined)
    throw refuse('both clientSecret and clientCredentials set');
  const client = await textAt(clientId, env);
  if (clientCertificate !== undefined)
    return { kind: 'certificate', tenant, client, pem: await textAt(clientCertificate, env) };
  return { kind: 'secret', tenant, client, secret: await textAt(clientSecret as SecretKey, env) };
}

async function workload(
  spec: AzureSpec,
  env: ProviderEnv,
  { tenant: ofCluster }: IdentityOptions,
): Promise<AzureIdentity> {
  const refuse = refusing(env);
  const { name, namespace, audiences } = spec.serviceAccountRef as NonNullable<
    AzureSpec['serviceAccountRef']
  >;
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  const annotations = await env.serviceAccountAnnotations(ref);
  const refs = spec.authSecretRef;
  if (refs !== undefined && refs.clientId === undefined)
    throw refuse('missing accessKeyID/secretAccessKey in store config');
  const client = oneOf(
    refs?.clientId === undefined ? '' : await textAt(refs.clientId, env),
    annotations[CLIENT_ANNOTATION],
    () => refuse('multiple clientID found. Check secretRef and serviceAccountRef'),
  );
  if (client === '')
    throw refuse(
      `missing clientID: either serviceAccountRef or service account annotation '${CLIENT_ANNOTATION}' is missing`,
    );
  const ofStore = refs?.tenantId === undefined ? '' : await textAt(refs.tenantId, env);
  const tenant =
    oneOf(ofStore || spec.tenantId, annotations[TENANT_ANNOTATION], () =>
      refuse(
        "multiple tenantID found. Check secretRef, 'spec.provider.azurekv.tenantId', and serviceAccountRef",
      ),
    ) || ofCluster;
  if (tenant === '') throw refuse('missing tenantID in store config');
  return {
    kind: 'assertion',
    tenant,
    client,
    assertion: () =>
      env.serviceAccountToken({
        ...ref,
        audiences: [...new Set([AUDIENCE, ...audiences])],
        expirationSeconds: TOKEN_SECONDS,
      }),
  };
}

/** The operator's own identity. @throws Failure provider.unsupported where it is not lent */
function own(spec: AzureSpec, env: ProviderEnv, { lendOwnKeys }: IdentityOptions): AzureIdentity {
  if (!lendOwnKeys)
    throw failure('provider.unsupported', {
      store: env.store,
      reason: `${spec.authType} would be the operator's own identity, which it lends to no store`,
      mend: 'Use WorkloadIdentity with a serviceAccountRef, or ServicePrincipal.',
    });
  // What proves the operator would go to an address that whoever writes the store has chosen.
  if (spec.customCloudConfig !== undefined)
    throw failure('provider.unsupported', {
      store: env.store,
      reason: 'customCloudConfig does not go with the identity of the operator',
      mend: 'Use WorkloadIdentity with a serviceAccountRef, or ServicePrincipal.',
    });
  return { kind: 'own', workload: spec.authType === 'WorkloadIdentity', client: spec.identityId };
}

/** Said in one place, or in none; in two it would have to be guessed which is meant. */
function oneOf(a: string, b: string | undefined, clash: () => Error): string {
  if (a !== '' && b !== undefined) throw clash();
  return a === '' ? (b ?? '') : a;
}

interface SecretKey {
  readonly name: string;
  readonly key: string;
  readonly namespace?: string | undefined;
}

/** A text of a Secret, without the newline that files end with. @throws Failure operator.ref_*, provider.spec */
async function textAt({ name, key, namespace }: SecretKey, env: ProviderEnv): Promise<string> {
  const bytes = await env.secretKey({ name, key, ...(namespace === undefined ? {} : { namespace }) });
  const text = textOf(bytes)?.trim() ?? '';
  if (text !== '') return text;
  throw refusing(env)(`the key ${key} of Secret "${name}" is empty, or no text`);
}

const refusing =
  ({ store }: ProviderEnv) =>
  (reason: string): Error =>
    failure('provider.spec', { store, reason });
