/**
 * How a store gets its keys of AWS: those of a Secret, those that STS gives for a service account's token, or the operator's
 * own where its file lets stores have them; and from there through a chain of roles. Each link asks again before its keys end.
 */

import { textOf } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { renewed as renewedOf } from '../../base/renewed.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { clientConfig, failed, type Keys, type KeysSource } from './client.ts';
import type { Service } from './endpoints.ts';
import { type AwsAuth, type AwsSpec, awsSpec } from './spec.ts';

const ROLE_ANNOTATION = 'eks.amazonaws.com/role-arn';
const AUDIENCE_ANNOTATION = 'eks.amazonaws.com/audience';
const DEFAULT_AUDIENCE = 'sts.amazonaws.com';
/** Upstream's, by which trust policies and trails know these sessions. */
const WEB_SESSION = 'external-secrets-provider-aws';
/** The token is shown once, at once; Kubernetes gives none for less. */
const TOKEN_SECONDS = 600;

export interface KeysOptions {
  readonly endpoint: (service: Service) => string | undefined;
  /** The operator's own keys, where stores without `auth` may have them. */
  readonly own: ((region: string) => KeysSource) | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What the session of a service account's token is called in AWS's trails; `WEB_SESSION` where nothing is said. */
  readonly webSession?: string;
  /** Where the manifest names its keys, for messages; "auth" where nothing is said. */
  readonly field?: string;
}

/** Whose keys are asked for by who is no store of AWS: as what stands of that in its manifest. */
export interface AwsIdentity {
  readonly region: string;
  readonly auth: object;
  /** The role to take on; '' for none. */
  readonly role: string;
  readonly externalID?: string;
}

/** The same as the settings of a store that `keysOf` reads. @throws Failure provider.spec */
export function identitySpec(identity: AwsIdentity, env: Pick<ProviderEnv, 'store'>): AwsSpec {
  const { success, data, error } = awsSpec.safeParse({ service: 'SecretsManager', ...identity });
  if (success) return data;
  const reason = error.issues[0]?.message ?? 'its settings are wrong';
  throw failure('provider.spec', { store: env.store, reason });
}

/** Where the keys of a store come from. @throws Failure provider.*, operator.ref_* for what its settings lack */
export async function keysOf(spec: AwsSpec, env: ProviderEnv, options: KeysOptions): Promise<KeysSource> {
  let keys = await firstKeys(spec, env, options);
  for (const role of spec.additionalRoles) keys = assumed(role, {}, keys, spec, env, options);
  if (spec.role === '') return keys;
  const tags = sessionTags(spec, env);
  const more = {
    ...(spec.externalID === '' ? {} : { ExternalId: spec.externalID }),
    ...(tags.length === 0 ? {} : { Tags: tags }),
    ...(tags.length === 0 || spec.transitiveTagKeys.length === 0
      ? {}
      : { TransitiveTagKeys: [...spec.transitiveTagKeys] }),
  };
  return assumed(spec.role, more, keys, spec, env, options);
}

async function firstKeys(spec: AwsSpec, env: ProviderEnv, options: KeysOptions): Promise<KeysSource> {
  if (spec.auth.jwt !== undefined) return webIdentity(spec.auth.jwt, spec, env, options);
  if (spec.auth.secretRef !== undefined) {
    const keys = await secretKeys(spec.auth.secretRef, env);
    return async () => keys;
  }
  if (options.own !== undefined) return lent(options.own(spec.region), env.store);
  const { field = 'auth' } = options;
  throw failure('provider.unsupported', {
    store: env.store,
    reason: 'it names no keys of AWS, and this operator lends its own to no store',
    mend: `Give ${field}.jwt.serviceAccountRef or ${field}.secretRef.`,
  });
}

/** The operator's own keys, where it has any: what AWS's client says of its search names places of this machine. */
const lent =
  (own: KeysSource, store: string): KeysSource =>
  () =>
    own().catch(() => {
      throw failure('provider.login', {
        store,
        reason: 'the operator has no keys of AWS',
        mend: 'Give the operator keys of AWS, or the store some of its own.',
      });
    });

/** @throws Failure operator.ref_*, provider.spec */
async function secretKeys(ref: NonNullable<AwsAuth['secretRef']>, env: ProviderEnv): Promise<Keys> {
  const read = async (from: typeof ref.accessKeyIDSecretRef): Promise<string> => {
    const { name, key, namespace } = from;
    const bytes = await env.secretKey({ name, key, ...(namespace === undefined ? {} : { namespace }) });
    // A newline at the end is what a file has and a key has not; it would only become a wrong signature.
    const text = textOf(bytes)?.trim() ?? '';
    if (/^[\x21-\x7e]+$/.test(text)) return text;
    throw failure('provider.spec', {
      store: env.store,
      reason: `the key ${key} of Secret "${name}" holds no key of AWS: it has to be printable and not empty`,
    });
  };
  return {
    accessKeyId: await read(ref.accessKeyIDSecretRef),
    secretAccessKey: await read(ref.secretAccessKeySecretRef),
    ...(ref.sessionTokenSecretRef === undefined
      ? {}
      : { sessionToken: await read(ref.sessionTokenSecretRef) }),
  };
}

/** IRSA: the role stands on the service account, and a token of it is shown to STS. */
async function webIdentity(
  { serviceAccountRef: { name, namespace, audiences: more } }: NonNullable<AwsAuth['jwt']>,
  spec: AwsSpec,
  env: ProviderEnv,
  options: KeysOptions,
): Promise<KeysSource> {
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
  const roleOf = async (): Promise<{ readonly role: string; readonly audience: string }> => {
    const annotations = await env.serviceAccountAnnotations(ref);
    const role = annotations[ROLE_ANNOTATION] ?? '';
    if (role === '')
      throw failure('provider.spec', {
        store: env.store,
        reason: `an IAM role must be associated with service account ${name}: it has no annotation ${ROLE_ANNOTATION}`,
      });
    return { role, audience: annotations[AUDIENCE_ANNOTATION] || DEFAULT_AUDIENCE };
  };
  // What the account lacks is said when the store is connected, not at its first read.
  await roleOf();
  return renewed(options.now, async () => {
    const { role, audience } = await roleOf();
    const audiences = [...new Set([audience, ...more])];
    const token = await env.serviceAccountToken({ ...ref, audiences, expirationSeconds: TOKEN_SECONDS });
    const { AssumeRoleWithWebIdentityCommand, STSClient } = await import('./sdk.ts');
    const client = new STSClient(
      clientConfig('sts', { region: spec.region, keys: undefined, endpoint: options.endpoint }, env),
    );
    try {
      const { Credentials } = await client.send(
        new AssumeRoleWithWebIdentityCommand({
          RoleArn: role,
          RoleSessionName: options.webSession ?? WEB_SESSION,
          WebIdentityToken: token,
        }),
      );
      return given(Credentials, env.store);
    } catch (error) {
      throw refused(error, env.store, role, 'sts:AssumeRoleWithWebIdentity');
    } finally {
      client.destroy();
    }
  });
}

function assumed(
  role: string,
  more: object,
  keys: KeysSource,
  spec: AwsSpec,
  env: ProviderEnv,
  options: KeysOptions,
): KeysSource {
  return renewed(options.now, async () => {
    const { AssumeRoleCommand, STSClient } = await import('./sdk.ts');
    const client = new STSClient(
      clientConfig('sts', { region: spec.region, keys, endpoint: options.endpoint }, env),
    );
    try {
      const { Credentials } = await client.send(
        new AssumeRoleCommand({ RoleArn: role, RoleSessionName: sessionName(env.store), ...more }),
      );
      return given(Credentials, env.store);
    } catch (error) {
      throw refused(error, env.store, role, 'sts:AssumeRole');
    } finally {
      client.destroy();
    }
  });
}

/** Names the store in AWS's trails: letters that a session may be called by, 64 at most. */
const sessionName = (store: string): string =>
  `external-secrets-${store.replace(/^\S+ /, '').replace(/[^\w+=,.@-]/g, '-')}`.slice(0, 64);

/** The tags of the last role's session, by `sessionTagsPolicy`. @throws Failure operator.ref_referent */
function sessionTags(
  { sessionTagsPolicy: policy, sessionTags: plain, customSessionTags: custom }: AwsSpec,
  env: ProviderEnv,
): { readonly Key: string; readonly Value: string }[] {
  if (policy !== 'Simple' && policy !== 'Custom')
    return plain.map(({ key: Key, value: Value }) => ({ Key, Value }));
  const tags = new Map(
    policy === 'Custom' ? Object.entries(custom).filter(([key, value]) => key !== '' && value !== '') : [],
  );
  const [, kind = '', name = ''] = /^(\S+) (?:[^/]*\/)?(.*)$/.exec(env.store) ?? [];
  // The namespace that uses the store: a policy may let it have what carries its name, and nothing else.
  tags.set('esoNamespace', env.namespace()).set('esoStoreName', name).set('esoStoreKind', kind);
  return [...tags].map(([Key, Value]) => ({ Key, Value }));
}

interface Told {
  readonly AccessKeyId?: string | undefined;
  readonly SecretAccessKey?: string | undefined;
  readonly SessionToken?: string | undefined;
  readonly Expiration?: Date | undefined;
}

function given(told: Told | undefined, store: string): Keys {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = told ?? {};
  if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined)
    throw failure('provider.login', { store, reason: 'STS gave no keys', mend: 'Try again.' });
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    // An answer without an end is used for as long as the shortest session that STS gives.
    expiration: Expiration ?? new Date(Date.now() + 900_000),
  };
}

/** What STS refuses is a login that failed, whatever its reason; what fails on the way is what it is. */
function refused(error: unknown, store: string, role: string, action: string): Error {
  if (isFailure(error)) return error;
  const known = failed(error, { store, path: role, action });
  if (known.kind === 'unavailable' || known.code === 'provider.login') return known;
  return failure('provider.login', {
    store,
    reason: known.message.slice(known.message.indexOf(': ') + 2),
    mend: `Let the trust policy of ${role} allow ${action} for this store${known.hint === undefined ? '' : `; ${known.hint}`}.`,
  });
}

/** Keys until shortly before they end, then new ones. */
export const renewed = (now: () => number, fetch: KeysSource): KeysSource =>
  renewedOf({ fetch, now, endsAt: ({ expiration }) => expiration?.getTime() });
