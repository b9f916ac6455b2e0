/**
 * As whom Azure is asked: by a secret or a certificate of an application, by a token of another issuer that the application
 * trusts (workload identity), or as the operator itself, where it lends its identity. By Azure's own library, which caches
 * tokens and renews them; nothing is taken from the environment, from files or from the machine but for the last.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type Failure, failure, isFailure } from '../base/errors.ts';
import { renewed } from '../base/renewed.ts';
import { carrier, failureIn, type Send } from './transport.ts';

export type AzureIdentity =
  | { readonly kind: 'secret'; readonly tenant: string; readonly client: string; readonly secret: string }
  /** `pem`: the certificate and its private key. */
  | { readonly kind: 'certificate'; readonly tenant: string; readonly client: string; readonly pem: string }
  | {
      readonly kind: 'assertion';
      readonly tenant: string;
      readonly client: string;
      /** A token of the other issuer, a new one each time. */
      readonly assertion: () => Promise<string>;
    }
  /** The operator's own: `workload` by the file that its pod was given, else the machine's; `client` chooses among several. */
  | { readonly kind: 'own'; readonly workload: boolean; readonly client: string };

export interface AzureToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresOnTimestamp: number;
}

/** What Azure's clients ask for tokens: their `TokenCredential`. */
export interface AzureCredential {
  /**
   * @param options what clients give beside; nothing of it is looked at
   * @throws Failure provider.login, provider.read, dial.*
   */
  getToken(scopes: string | string[], options?: object): Promise<AzureToken>;
}

export interface CredentialOptions {
  /** Who asks, for messages. */
  readonly store: string;
  readonly send: Send;
  /** URL of Entra ID, without a slash at the end. */
  readonly authority: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const NO_IDENTITY = 'the operator has no identity of Azure, or it gives no token';
const GIVE_ONE = 'Give the operator an identity of Azure, or the store one of its own.';

/** Names of tenants and applications become parts of URLs. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/;

/** @throws Failure provider.spec for names and keys that are none */
export async function azureCredential(
  identity: AzureIdentity,
  options: CredentialOptions,
): Promise<AzureCredential> {
  const { store, now = Date.now } = options;
  if (identity.kind !== 'own')
    for (const [what, name] of [
      ['tenant', identity.tenant],
      ['application (clientId)', identity.client],
    ] as const)
      if (!NAME.test(name))
        throw failure('provider.spec', { store, reason: `the name of its ${what} is none` });
  if (identity.kind === 'certificate' && !isCertificateWithKey(identity.pem))
    throw failure('provider.spec', {
      store,
      reason: 'the client certificate has to be PEM, with a certificate and its private key',
    });
  const sight: Sight = {};
  const credential = await clientOf(identity, options, sight).catch(() => {
    // The library looks for the operator's own identity when its client is made.
    throw failure('provider.login', { store, reason: NO_IDENTITY, mend: GIVE_ONE });
  });
  const fetch = async (scopes: string | string[]): Promise<AzureToken> => {
    delete sight.status;
    delete sight.failure;
    delete sight.assertion;
    try {
      const token = await credential.getToken(scopes);
      if (token !== null) return token;
    } catch (error) {
      throw told(error, store, sight, identity.kind === 'own');
    }
    throw told(undefined, store, sight, identity.kind === 'own');
  };
  const sources = new Map<string, () => Promise<AzureToken>>();
  return {
    // Of our own tenant, whatever the challenge of a vault says; one login for all who wait, for each scope.
    getToken(scopes) {
      const key = String(scopes);
      const source =
        sources.get(key) ??
        renewed({ fetch: () => fetch(scopes), endsAt: (token) => token.expiresOnTimestamp, now });
      sources.set(key, source);
      return source();
    },
  };
}

/** What was seen on the library's way: it wraps failures beyond recognition, and of an answer that it cannot read it tells nothing. */
interface Sight {
  status?: number;
  failure?: Failure;
  /** The library asks for it twice in one login. */
  assertion?: Promise<string>;
}

/** The same, and its failure is remembered. */
async function seenBy<T>(sight: Sight, run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    if (isFailure(error)) sight.failure = error;
    throw error;
  }
}

async function clientOf(identity: AzureIdentity, { send, authority }: CredentialOptions, sight: Sight) {
  const sdk = await import('./sdk.ts');
  if (identity.kind === 'own') {
    if (identity.workload) return new sdk.WorkloadIdentityCredential();
    return new sdk.ManagedIdentityCredential(identity.client === '' ? {} : { clientId: identity.client });
  }
  const { tenant, client } = identity;
  const options = {
    httpClient: carrier(
      (request) => seenBy(sight, send(request)),
      (_, answer) => {
        sight.status = answer.status;
        return answer;
      },
    ),
    retryOptions: { maxRetries: 1 },
    authorityHost: authority,
    // Else the library asks a fixed address whether the authority is one.
    disableInstanceDiscovery: true,
  };
  switch (identity.kind) {
    case 'secret':
      return new sdk.ClientSecretCredential(tenant, client, identity.secret, options);
    case 'certificate':
      return new sdk.ClientCertificateCredential(tenant, client, { certificate: identity.pem }, options);
    case 'assertion':
      return new sdk.ClientAssertionCredential(
        tenant,
        client,
        () => {
          sight.assertion ??= seenBy(sight, identity.assertion());
          return sight.assertion;
        },
        options,
      );
  }
}

function isCertificateWithKey(pem: string): boolean {
  try {
    const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem)?.[0] ?? '';
    return new X509Certificate(block).checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

/** What Entra ID refused, by its code alone: its sentences name tenants, applications and what was sent. */
function told(error: unknown, store: string, { status, failure: seen }: Sight, isOwn: boolean): Failure {
  const found = failureIn(error) ?? seen;
  if (found !== undefined) return found;
  if (isOwn) return failure('provider.login', { store, reason: NO_IDENTITY, mend: GIVE_ONE });
  if (status !== undefined && (status >= 500 || status === 429))
    return failure('provider.read', { store, path: 'a token', reason: `Entra ID answers HTTP ${status}` });
  const code = /AADSTS\d{1,8}/.exec(error instanceof Error ? error.message : '')?.[0];
  return failure('provider.login', {
    store,
    reason: code === undefined ? 'Entra ID gives no token' : `Entra ID answers ${code}`,
    mend:
      (code === undefined ? undefined : MENDS[code]) ??
      'Check the tenant, the application and what proves it.',
  });
}

/** Source: Microsoft's list of the error codes of Entra ID. */
const MENDS: Readonly<Record<string, string>> = {
  AADSTS7000215: 'The secret is not one of the application: take its value, not its id.',
  AADSTS7000222: 'The secret of the application has expired: make a new one.',
  AADSTS700016: 'The application is not in that tenant: check clientId and tenantId.',
  AADSTS700038: 'That is no identifier of an application: check clientId.',
  AADSTS90002: 'There is no such tenant: check tenantId.',
  AADSTS700027: 'The certificate is not one of the application: upload it there.',
  AADSTS70021: 'No federated credential of the application trusts this service account: add one.',
  AADSTS700211: 'No federated credential of the application trusts the issuer of this cluster: add one.',
  AADSTS700213: 'No federated credential of the application trusts this service account: add one.',
};
