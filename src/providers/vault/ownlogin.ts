/**
 * Logins that are made for one credential each, and what keeps them. A handle holds all that reaching the server needs,
 * because the store that it was made from may be gone when it is time to take it back. A token that a store is given and
 * that may have no child issues by itself: its handle says so, and then the lease alone is renewed and taken back, never
 * the token, which is somebody else's.
 */

import { z } from 'zod';
import { textOf } from '../../base/bytes.ts';
import { asFailure, failure, isFailure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { lookupSelf, renewSelf, revokeSelf } from '../../client/auth.ts';
import { type Auth, type ClientOptions, VaultClient } from '../../client/client.ts';
import type { Lessor, LessorEnv, Life, OwnLogin } from '../../provider/issuer.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import type { Clouds } from './auth/clouds.ts';
import { type Login, logIn } from './auth.ts';
import { connectionOf } from './connection.ts';
import type { VaultSpec } from './spec.ts';

const handleSchema = z.object({
  address: z.string(),
  namespace: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  ca: z.string().optional(),
  clientCert: z.string().optional(),
  clientKey: z.string().optional(),
  /** Absent where whatever stands before the server, an agent, adds its own. */
  token: z.string().optional(),
  seconds: z.number(),
  renewable: z.boolean(),
  /** False: the token was given, and is not ours to renew or revoke. What an earlier release stored always was ours. */
  ours: z.boolean().default(true),
  /** Whether the token was seen to know itself: one that does not any more is dead, and not merely short of a right. */
  knowsItself: z.boolean().default(true),
});
type Handle = z.output<typeof handleSchema>;

const TIMEOUT_MS = 30_000;

/** A login as its handle keeps it. */
type Granted = Pick<Handle, 'token' | 'seconds' | 'renewable' | 'ours' | 'knowsItself'>;

/**
 * Logs in once more, for one credential. A store that is given a token has no login of its own: a child of that token is
 * made, which dies with it, and can be taken back alone; where that is refused, the token itself has to do.
 * @throws Failure provider.login, provider.spec, operator.ref_*; api.* where the server is not to be reached
 */
export async function openOwnLogin(
  spec: Pick<VaultSpec, 'auth'> & Parameters<typeof connectionOf>[0],
  env: ProviderEnv,
  clouds: Clouds,
): Promise<OwnLogin> {
  const options = await connectionOf(spec, env);
  const client = new VaultClient(options);
  try {
    const given = spec.auth === undefined ? undefined : await logIn(spec.auth, { client, env, clouds });
    const granted =
      given?.ours === true ? own(given) : await childOf(client.with({ token: given?.token }), env);
    return {
      handle: handleOf(options, granted),
      life: lifeOf({ leaseSeconds: granted.seconds, renewable: granted.renewable }),
    };
  } finally {
    client.close();
  }
}

const own = ({
  token,
  leaseSeconds,
  renewable,
}: Pick<Login, 'token' | 'leaseSeconds' | 'renewable'>): Granted => ({
  token,
  seconds: leaseSeconds,
  renewable,
  ours: true,
  knowsItself: true,
});

/** A child of the token of a client, or that token. @throws Failure api.* */
async function childOf(client: VaultClient, env: ProviderEnv): Promise<Granted> {
  try {
    const answer = await client.request('POST', 'auth/token/create', { body: { display_name: 'holdfast' } });
    const auth = answer.envelope?.auth;
    if (auth === undefined || auth.clientToken === '')
      throw failure('api.garbage', { address: client.address, reason: 'auth/token/create gave no token' });
    return own({ ...auth, token: auth.clientToken });
  } catch (error) {
    // Denied by its policies, or by its kind: a batch token has no children.
    if (!isFailure(error, 'api.denied') && !isFailure(error, 'api.invalid')) throw error;
    env.log.debug('a store token issues by itself, as it may not make a token of its own');
    // How long the token lives is for its owner to see to: nothing is issued anew because of it.
    return {
      token: client.token,
      seconds: 0,
      renewable: false,
      ours: false,
      knowsItself: await lookupSelf(client).then(
        () => true,
        () => false,
      ),
    };
  }
}

const lifeOf = ({ leaseSeconds, renewable }: Pick<Auth, 'leaseSeconds' | 'renewable'>): Life => ({
  ms: leaseSeconds > 0 ? leaseSeconds * 1000 : undefined,
  renewable,
});

function handleOf(options: ClientOptions, granted: Granted): { readonly [key: string]: Json } {
  const pem = (given: string | Uint8Array | undefined): string | undefined =>
    typeof given === 'string' || given === undefined ? given : textOf(given);
  const handle: { [key: string]: Json | undefined } = {
    address: options.address,
    namespace: options.namespace,
    headers: options.headers === undefined ? undefined : { ...options.headers },
    ca: pem(options.ca),
    clientCert: pem(options.clientCert),
    clientKey: pem(options.clientKey),
    ...granted,
  };
  return Object.fromEntries(
    Object.entries(handle).filter((member): member is [string, Json] => member[1] !== undefined),
  );
}

/**
 * A client under a login of its own. It tries nothing twice: an answer that got lost may have issued something already.
 * @throws Failure base.internal for what is no handle
 */
export function clientUnder(handle: Json, env: Omit<LessorEnv, 'log'>): VaultClient {
  return clientOf(read(handle), env);
}

function clientOf(handle: Handle, env: Omit<LessorEnv, 'log'>): VaultClient {
  const { address, namespace, headers, ca, clientCert, clientKey, token } = handle;
  return new VaultClient({
    address,
    namespace,
    headers,
    ca,
    clientCert,
    clientKey,
    token,
    timeoutMs: TIMEOUT_MS,
    retries: 0,
    resolve: (host, port) => env.resolve(host, port),
    allow: env.wayOut.mayReach,
  });
}

function read(handle: Json): Handle {
  const parsed = handleSchema.safeParse(handle);
  // What it holds is a secret, so zod's words about it stay here.
  if (!parsed.success) throw failure('base.internal');
  return parsed.data;
}

async function under<T>(
  handle: Json,
  env: LessorEnv,
  use: (client: VaultClient, handle: Handle) => Promise<T>,
): Promise<T> {
  const known = read(handle);
  const client = clientOf(known, env);
  try {
    return await use(client, known);
  } catch (error) {
    // The operator's own list is no word of the server: it may be mended.
    if (!isFailure(error, 'dial.refused')) throw error;
    throw failure('api.unreachable', { address: known.address, reason: error.message });
  } finally {
    client.close();
  }
}

const FINAL: readonly string[] = ['denied', 'invalid', 'missing', 'unsupported'];

/** Whether the server has said its last word: the same question again gives the same answer. */
export const isFinal = (error: unknown): boolean =>
  isFailure(error) && error.code.startsWith('api.') && FINAL.includes(error.kind);

export const vaultLessor: Lessor = {
  renew: (given, lease, env) =>
    under(given, env, async (client, handle) => {
      // The login first: a lease does not outlive the login that it was issued under.
      const login =
        handle.ours && handle.renewable && handle.seconds > 0
          ? lifeOf(await renewSelf(client, { incrementSeconds: handle.seconds }))
          : undefined;
      if (lease === undefined) return login === undefined ? {} : { login };
      const answer = await client.request('PUT', 'sys/leases/renew', {
        body: { lease_id: lease.id, increment: lease.seconds },
      });
      const { leaseSeconds = 0, renewable = false } = answer.envelope ?? {};
      return { ...(login === undefined ? {} : { login }), lease: lifeOf({ leaseSeconds, renewable }) };
    }),

  stands: (given, leaseId, env) =>
    under(given, env, async (client, { knowsItself }) => {
      try {
        await client.request('PUT', 'sys/leases/lookup', { body: { lease_id: leaseId } });
        return true;
      } catch (error) {
        const { kind } = asFailure(error);
        if (kind === 'invalid' || kind === 'missing') return false;
        // It may not look, or it is no login any more: then its leases went with it.
        return kind !== 'denied' || !knowsItself || (await knows(client));
      }
    }),

  revoke: (given, leaseId, env) =>
    under(given, env, async (client, { ours }) => {
      if (!ours) return revokeLease(client, leaseId, env);
      try {
        await revokeSelf(client);
      } catch (error) {
        if (!isFinal(error)) throw error;
        // A login that is not known any more took everything along; one that is known may not end itself.
        if (isFailure(error, 'api.denied') && !(await knows(client))) return;
        await revokeLease(client, leaseId, env);
      }
    }),
};

/** Of a login that cannot be taken back (a batch token, one that was given): its lease can, where its policy allows that; else both run out by themselves. */
async function revokeLease(client: VaultClient, leaseId: string | undefined, env: LessorEnv): Promise<void> {
  if (leaseId === undefined || leaseId === '') return;
  try {
    await client.request('PUT', 'sys/leases/revoke', { body: { lease_id: leaseId } });
  } catch (error) {
    if (!isFinal(error)) throw error;
    env.log.warn('a lease was not taken back; it runs out by itself', { code: asFailure(error).code });
  }
}

async function knows(client: VaultClient): Promise<boolean> {
  try {
    await lookupSelf(client);
    return true;
  } catch (error) {
    return !isFailure(error, 'api.denied');
  }
}
