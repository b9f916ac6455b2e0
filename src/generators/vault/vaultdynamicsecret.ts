/**
 * VaultDynamicSecret: has a server of the Vault API make credentials. Each generation has a login of its own, which is
 * kept before anything is issued under it, so that taking that login back takes back whatever it issued, also after a
 * crash; the lease is kept alive until it is replaced. Upstream does neither: its logins and leases are left to run out.
 */

import { z } from 'zod';
import { textOf, utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { parseDuration } from '../../base/duration.ts';
import { asFailure, Failure, failure, isFailure } from '../../base/errors.ts';
import { Exact, type Json, Ordered, type OrderedJson } from '../../base/json.ts';
import type { Answer, VaultClient } from '../../client/client.ts';
import { vaultDynamicSecretSpec } from '../../operator/api/generators/schemas.ts';
import { courseOf, renewedTrack, type Track, trackOf } from '../../provider/course.ts';
import type { Fields, GeneratorType, Kept, Reserved, State } from '../../provider/generator.ts';
import { objectValue } from '../../provider/property.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { memberOf, ordered } from '../../providers/vault/answer.ts';
import type { Clouds } from '../../providers/vault/auth/clouds.ts';
import { clientUnder, openOwnLogin, vaultLessor } from '../../providers/vault/ownlogin.ts';
import { vaultSpec } from '../../providers/vault/spec.ts';

const spec = vaultDynamicSecretSpec.extend({ provider: vaultSpec });
type Spec = z.output<typeof spec>;

const track = z.object({
  from: z.number(),
  endsAt: z.number(),
  ms: z.number().optional(),
  renewable: z.boolean(),
});
/** What was taken away by a merge patch is null until it is read again. */
const orNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((given) => given ?? undefined);
type Ending = z.output<typeof track>;
const stateSchema = z.object({
  path: z.string(),
  leaseId: z.string().default(''),
  leaseSeconds: z.number().default(0),
  issuedAt: z.number().default(0),
  lease: orNull(track),
  login: orNull(track),
  notAfter: orNull(z.number()),
});
type Known = z.output<typeof stateSchema>;

/** What a policy must allow for a method; every other one changes something. */
const CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['', 'read'],
  ['GET', 'read'],
  ['LIST', 'list'],
  ['DELETE', 'delete'],
]);

/** @param clouds by which who is known to a cloud logs in */
export const createVaultDynamicSecret = (
  clock: Pick<Clock, 'now'>,
  clouds: Clouds = {},
): GeneratorType<Spec> => ({
  kind: 'VaultDynamicSecret',
  spec,
  async generate(given, env, reserve, signal) {
    const reserved = await reserve({ path: given.path });
    const login = await openOwnLogin(given.provider, { ...env, ...retryOf(given) }, clouds);
    await reserved.keepSecret(utf8(JSON.stringify(login.handle)));
    const client = clientUnder(login.handle, env);
    try {
      const answer = await asked(client, given, env, signal);
      const issuedAt = clock.now();
      const { leaseId = '', leaseSeconds = 0, renewable = false, auth } = answer?.envelope ?? {};
      const hangs = leaseId !== '' || auth !== undefined;
      const takeBack = () => vaultLessor.revoke(login.handle, leaseId, env);
      let fields: Fields | undefined;
      try {
        fields = answer === undefined ? undefined : fieldsOf(answer, given, env);
        if (answer !== undefined && fields !== undefined)
          await reserved.update(
            stateOf({
              path: given.path,
              leaseId,
              leaseSeconds,
              issuedAt,
              lease: leaseId === '' ? undefined : ending(trackOf(lifeOf(leaseSeconds, renewable), issuedAt)),
              login: hangs ? ending(trackOf(login.life, issuedAt)) : undefined,
              notAfter: certificateEnd(answer, given.path, env),
            }),
          );
      } catch (error) {
        // The state does not know the lease, so nobody could take it back by that later.
        await takeBack().catch(() => {});
        throw error;
      }
      if (fields === undefined || !hangs) await takeBack();
      if (fields !== undefined) return fields;
      if (given.allowEmptyResponse) return new Map();
      throw failure('provider.read', {
        store: env.store,
        path: given.path,
        reason: 'unable to get dynamic secret: empty response from Vault',
      });
    } finally {
      client.close();
    }
  },

  cleaner: {
    async cleanup(_given, reserved, env) {
      const handle = await handleOf(reserved);
      if (handle !== undefined) await vaultLessor.revoke(handle, known(reserved).leaseId, env);
    },
  },

  keeper: { keep: (_given, reserved, env, now) => keep(reserved, env, now) },
});

async function keep(reserved: Reserved, env: ProviderEnv, now: Date): Promise<Kept> {
  const state = known(reserved);
  const at = now.getTime();
  const course = courseOf(state);
  if (course.renewAt === undefined || course.renewAt > at) return told(course);
  const handle = await handleOf(reserved);
  if (handle === undefined) return { replaceAt: now };
  try {
    // Asked to renew what it does not renew, a server refuses all of it.
    const lease =
      state.lease?.renewable === true ? { id: state.leaseId, seconds: state.leaseSeconds } : undefined;
    const given = await vaultLessor.renew(handle, lease, env);
    const next = (before: Track | undefined, life: typeof given.lease): Ending | undefined =>
      before === undefined ? undefined : ending(renewedTrack(before, life, at));
    const renewed = {
      ...state,
      lease: next(state.lease, given.lease),
      login: next(state.login, given.login),
    };
    await reserved.update(stateOf(renewed));
    return told(courseOf(renewed));
  } catch (error) {
    const { kind } = asFailure(error);
    if (kind === 'unavailable' || kind === 'sealed' || kind === 'limited') throw error;
    // It is not renewed any more: new ones are made while these still work.
    return { replaceAt: now };
  }
}

const told = ({ renewAt, reissueAt }: ReturnType<typeof courseOf>): Kept => ({
  ...(renewAt === undefined ? {} : { again: new Date(renewAt) }),
  ...(reissueAt === undefined ? {} : { replaceAt: new Date(reissueAt) }),
});

/** What the server answers; undefined for an answer without a body. @throws Failure provider.denied, provider.read, api.* */
async function asked(
  client: VaultClient,
  { method, path, parameters, getParameters }: Spec,
  env: ProviderEnv,
  signal: AbortSignal | undefined,
): Promise<Answer | undefined> {
  const capability = CAPABILITIES.get(method) ?? 'update';
  const request = async (): Promise<Answer> => {
    switch (method) {
      case '':
      case 'GET':
        return client.request('GET', path, {
          signal,
          ...(getParameters === undefined ? {} : { query: getParameters }),
        });
      case 'LIST':
        return client.request('LIST', path, { signal });
      case 'DELETE':
        return client.request('DELETE', path, { signal });
      default:
        return client.request('PUT', path, { signal, body: parameters ?? {} });
    }
  };
  try {
    const answer = await request();
    return answer.bytes.length === 0 ? undefined : answer;
  } catch (error) {
    if (isFailure(error, 'api.missing')) return undefined;
    if (!isFailure(error, 'api.denied')) throw error;
    const mend = `Let the policy of the generator's role grant: path "${path}" { capabilities = ["${capability}"] }`;
    throw new Failure(
      'provider.denied',
      { store: env.store, path, reason: 'permission denied', mend },
      { cause: error },
    );
  }
}

/** The part of an answer that `resultType` names; undefined where it has none. @throws Failure provider.read */
function fieldsOf(answer: Answer, { resultType, path }: Spec, env: ProviderEnv): Fields | undefined {
  const whole = ordered(answer, path, env);
  const part: OrderedJson | undefined =
    resultType === 'Raw' ? whole : memberOf(whole, resultType === 'Auth' ? 'auth' : 'data');
  if (part === undefined || part === null) return undefined;
  if (!(part instanceof Ordered))
    throw failure('provider.read', { store: env.store, path, reason: 'the answer is not a JSON object' });
  return objectValue(part).fields;
}

/** When a certificate ends that was issued: nothing keeps it alive, so a new one is made before. */
function certificateEnd(answer: Answer, path: string, env: ProviderEnv): number | undefined {
  const data = memberOf(ordered(answer, path, env), 'data');
  if (memberOf(data, 'certificate') === undefined) return undefined;
  const expiration = memberOf(data, 'expiration');
  const seconds = Number(expiration instanceof Exact ? expiration.text : (expiration ?? Number.NaN));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** What does not end is not kept: a merge patch would leave the end of what was there before. */
const ending = ({ endsAt, ...rest }: Track): Ending | undefined =>
  endsAt === undefined ? undefined : { ...rest, endsAt };

const lifeOf = (seconds: number, renewable: boolean) => ({
  ms: seconds > 0 ? seconds * 1000 : undefined,
  renewable,
});

function known({ state }: Reserved): Known {
  const parsed = stateSchema.safeParse(state);
  return parsed.success ? parsed.data : stateSchema.parse({ path: '' });
}

/** What people may read of it; a merge patch takes away what is null. */
const stateOf = (state: { readonly [K in keyof Known]?: Known[K] | undefined }): State =>
  Object.fromEntries(Object.entries(state).map(([name, value]) => [name, (value ?? null) as Json]));

/** @returns undefined where the login never came to be */
async function handleOf(reserved: Reserved): Promise<Json | undefined> {
  const text = textOf((await reserved.secret()) ?? new Uint8Array());
  if (text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** @throws Failure duration.malformed */
function retryOf({ retrySettings: settings }: Spec): Pick<ProviderEnv, 'retry'> {
  if (settings === undefined) return {};
  const { maxRetries, retryInterval } = settings;
  return {
    retry: {
      ...(maxRetries === undefined ? {} : { maxRetries }),
      ...(retryInterval === undefined ? {} : { retryIntervalMs: parseDuration(retryInterval) }),
    },
  };
}
