/**
 * The token of one store: got once, renewed or got anew before it ends, and once more when the server no longer knows it.
 * Many reads share one login. Times are monotonic milliseconds.
 */

import { asFailure, isFailure } from '../../base/errors.ts';
import { lookupSelf, renewSelf, revokeSelf } from '../../client/auth.ts';
import type { VaultClient } from '../../client/client.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import type { Login } from './auth.ts';

interface Held extends Login {
  readonly at: number;
  /** When it should be made to last longer; and when it is dead. */
  readonly renewAt: number;
  readonly endsAt: number;
}

/** Between two logins that a 403 caused: a policy that denies must not become a storm of logins. */
const RELOGIN_MS = 5000;
/**
 * The same where the server still knows the token: a role that was given more gives it to the next login only. Shorter than
 * the longest wait for a retry of the operator, so that each of those finds out.
 */
const RELOGIN_ALIVE_MS = 20_000;
/** Before its end a token is not begun with any more: a request takes time. */
const MARGIN_MS = 2000;

export interface Session {
  /** Runs a request with a token that should be good; once more with a new one where the server forgot the old. */
  use<T>(call: (client: VaultClient) => Promise<T>): Promise<T>;
  readonly policies: readonly string[];
  /** When the token at hand ends, in milliseconds since the epoch; undefined where it does not, or there is none. */
  endsAt(): number | undefined;
  /** A new login may be given more than the last one: the next 403 causes one, however young the token is. */
  rightsChanged(): void;
  close(): Promise<void>;
}

/** @param login gets a token; undefined where whatever stands before the server, an agent, adds its own */
export function createSession(
  client: VaultClient,
  login: (() => Promise<Login>) | undefined,
  env: ProviderEnv,
  monotonic: () => number,
): Session {
  let held: Held | undefined;
  let pending: Promise<Held> | undefined;
  let closed = false;
  let changed = false;
  /** When a living token was last to be replaced, whatever came of it. */
  let replacedAt = Number.NEGATIVE_INFINITY;

  const hold = (made: Login): Held => {
    const at = monotonic();
    const life = made.leaseSeconds > 0 ? made.leaseSeconds * 1000 : Number.POSITIVE_INFINITY;
    return { ...made, at, renewAt: at + (life * 2) / 3, endsAt: at + life - Math.min(MARGIN_MS, life / 4) };
  };

  /** One login at a time, whoever asks. */
  const fresh = (make: () => Promise<Held>): Promise<Held> => {
    pending ??= make().then(
      (made) => {
        pending = undefined;
        held = made;
        if (closed) void revoke(made);
        return made;
      },
      (error: unknown) => {
        pending = undefined;
        throw error;
      },
    );
    return pending;
  };

  const anew = async (): Promise<Held> => {
    if (login === undefined)
      return hold({ token: '', policies: [], leaseSeconds: 0, renewable: false, ours: false });
    return hold(await login());
  };

  const prolong = async (old: Held): Promise<Held> => {
    try {
      const longer = await renewSelf(client.with({ token: old.token }));
      // Near its longest life a renewal gives little: then a new login is due.
      if (longer.leaseSeconds * 1000 > old.endsAt - monotonic() + MARGIN_MS)
        return hold({ ...old, leaseSeconds: longer.leaseSeconds, renewable: longer.renewable });
    } catch (error) {
      env.log.debug('a token was not renewed', { store: env.store, reason: asFailure(error).code });
    }
    const made = await anew();
    await revoke(old);
    return made;
  };

  const current = async (): Promise<Held> => {
    if (pending !== undefined) return await pending;
    const now = monotonic();
    const old = held;
    if (old === undefined || now >= old.endsAt) return await fresh(anew);
    if (now < old.renewAt) return old;
    try {
      return await fresh(() => (old.renewable ? prolong(old) : anew()));
    } catch (error) {
      // It still lives: a login that fails now must not fail the reads that it would serve.
      env.log.warn('the next login failed', { store: env.store, reason: asFailure(error).message });
      return old;
    }
  };

  const alive = async (token: Held): Promise<boolean> => {
    try {
      await lookupSelf(client.with({ token: token.token }));
      return true;
    } catch (error) {
      return !isFailure(error, 'api.denied');
    }
  };

  const revoke = async (token: Held): Promise<void> => {
    if (!token.ours) return;
    try {
      await revokeSelf(client.with({ token: token.token }));
    } catch (error) {
      env.log.debug('a token was not revoked; it runs out by itself', { reason: asFailure(error).code });
    }
  };

  /**
   * A login that knows what its role gives now, in place of one that the server still knows. That one opens what it opened:
   * where there is no new login it stays.
   */
  const replace = async (old: Held): Promise<Held> => {
    try {
      const made = await anew();
      await revoke(old);
      return made;
    } catch (error) {
      env.log.debug('no new login after a refusal', { store: env.store, reason: asFailure(error).code });
      return old;
    }
  };

  /** The token to try again with after a 403; undefined: there is no better one. @throws Failure why there is no login */
  const afterRefusal = async (first: Held): Promise<Held | undefined> => {
    /** What another request, which was refused before, got or is about to get. */
    const other = (): Promise<Held> | Held | undefined => pending ?? (held === first ? undefined : held);
    if (other() !== undefined) return await other();
    const waited = monotonic() - Math.max(first.at, replacedAt);
    if (waited < RELOGIN_MS && first.ours && !changed) return undefined;
    const isAlive = await alive(first);
    if (other() !== undefined) return await other();
    if (!isAlive) return await fresh(anew);
    if (!first.ours || !(changed || waited >= RELOGIN_ALIVE_MS)) return undefined;
    replacedAt = monotonic();
    changed = false;
    return await fresh(() => replace(first));
  };

  return {
    async use(call) {
      const first = await current();
      const as = (token: Held): VaultClient =>
        token.token === '' ? client : client.with({ token: token.token });
      try {
        return await call(as(first));
      } catch (error) {
        if (!isFailure(error, 'api.denied') || login === undefined) throw error;
        const other = await afterRefusal(first);
        if (other === undefined) throw error;
        return await call(as(other));
      }
    },
    rightsChanged() {
      changed = true;
    },
    get policies() {
      return held?.policies ?? [];
    },
    endsAt() {
      if (held === undefined || held.leaseSeconds === 0) return undefined;
      return Date.now() + held.at + held.leaseSeconds * 1000 - monotonic();
    },
    async close() {
      closed = true;
      const last = held;
      held = undefined;
      if (last !== undefined) await revoke(last);
    },
  };
}
