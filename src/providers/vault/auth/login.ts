/** What all ways to log in share: what they are given, what they end in, and how a refusal is told. */

import { textOf } from '../../../base/bytes.ts';
import { asFailure, Failure, failure, isFailure } from '../../../base/errors.ts';
import { login } from '../../../client/auth.ts';
import type { VaultClient } from '../../../client/client.ts';
import type { ProviderEnv } from '../../../provider/provider.ts';
import type { SecretKey } from '../../../provider/refs.ts';
import type { Clouds } from './clouds.ts';
import type { MethodName } from './spec.ts';

export interface Login {
  readonly token: string;
  readonly policies: readonly string[];
  /** Seconds; 0: it does not end, or nobody said. */
  readonly leaseSeconds: number;
  readonly renewable: boolean;
  /** Whether the token was made for us, and is ours to revoke. */
  readonly ours: boolean;
}

/** Where a login goes, and what it may ask of the cluster. */
export interface At {
  readonly client: VaultClient;
  readonly env: ProviderEnv;
  readonly clouds: Clouds;
  readonly signal?: AbortSignal | undefined;
}

/** Logs in by what `auth.<method>` of a store says. @throws Failure as `logIn` */
export type Method<Given> = (given: Given, at: At) => Promise<Login>;

/** A mount as people write it, with or without slashes around it. */
export const mountOf = (path: string): string => path.trim().replace(/^\/+|\/+$/g, '');

/** What is asked at `auth/<mount>/login[/<name>]`. */
interface Asked {
  readonly mount: string;
  readonly name?: string;
  readonly body: Readonly<Record<string, string>>;
}

/** Asks for a token. @throws Failure api.* */
export async function ask({ client, signal }: At, { mount, name, body }: Asked): Promise<Login> {
  const { clientToken, policies, leaseSeconds, renewable } = await login(client, mount, body, {
    ...(signal === undefined ? {} : { signal }),
    ...(name === undefined ? {} : { name }),
  });
  return { token: clientToken, policies, leaseSeconds, renewable, ours: true };
}

/** The same, where a refusal is told with what mends it. @throws Failure provider.login; api.* where the server is away */
export async function askOr(mend: string, at: At, asked: Asked): Promise<Login> {
  try {
    return await ask(at, asked);
  } catch (error) {
    throw told(error, at.env, mend);
  }
}

/** Whether the server was there and did not let us in. */
export const isRefusal = (error: unknown): boolean =>
  isFailure(error, 'api.denied') || isFailure(error, 'api.invalid') || isFailure(error, 'api.internal');

/** Whether there is no such login: no mount of that name, or one of another method. */
const isAbsent = (error: unknown): boolean =>
  isFailure(error, 'api.missing') || isFailure(error, 'api.unsupported');

/** The failure of a login that needs a cloud which this process was not given a way to ask. */
export const lacking = (method: MethodName, env: ProviderEnv): Failure =>
  failure('provider.unsupported', {
    store: env.store,
    reason: `this process does not log in by auth.${method}`,
    mend: 'Only an operator asks clouds: holdfast controller, or holdfast dev.',
  });

/** A refused login as the store's failure; a server that is away or sealed stays what it is. */
export function told(error: unknown, env: ProviderEnv, mend: string): Failure {
  const cause = asFailure(error);
  if (!isRefusal(cause) && !isAbsent(cause)) return cause;
  return new Failure('provider.login', { store: env.store, reason: cause.message, mend }, { cause });
}

/**
 * A token or id that a Secret holds. A line break at its end is what a file has and a token has not.
 * @param what "token", for the message
 * @throws Failure operator.ref_*, provider.spec
 */
export const textAt = async (env: ProviderEnv, ref: SecretKey, what: string): Promise<string> =>
  filled((await verbatimAt(env, ref, what)).trim(), env, ref, what);

/** The same as it stands, for what may begin or end in white space: a password. @throws Failure as `textAt` */
export async function verbatimAt(env: ProviderEnv, ref: SecretKey, what: string): Promise<string> {
  const { name, key, namespace } = ref;
  const bytes = await env.secretKey({ name, key, ...(namespace === undefined ? {} : { namespace }) });
  return filled(textOf(bytes) ?? '', env, ref, what);
}

function filled(text: string, env: ProviderEnv, { name, key }: SecretKey, what: string): string {
  if (text !== '') return text;
  throw failure('provider.spec', {
    store: env.store,
    reason: `the key ${key} of Secret ${name} holds no ${what}`,
  });
}
