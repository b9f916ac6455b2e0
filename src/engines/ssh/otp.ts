/**
 * Passwords that open one login. What is stored is their hash: 128 random bits need no salt. A password is under a lease that
 * is durable before it; whichever comes first, the login or the end of the lease, takes it away.
 */

import { hex, sha256 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Call, LeaseHandler, LeaseInfo, Mount } from '../../plugin/plugin.ts';
import type { Otp, SshStore } from './store.ts';

const PASSWORD_BYTES = 16;

/** What a lease remembers: where the password's entry lies, which nobody can turn into the password. */
interface State {
  readonly hash: string;
}

const hashOf = (otp: string): string => hex(sha256(otp));

/** A password in the form of a UUID, which is what helpers on hosts take for one. */
export async function makeOtp(
  mount: Mount,
  store: SshStore,
  what: Omit<Otp, 'endsAt'>,
  call: Call,
): Promise<{ readonly otp: string; readonly lease: LeaseInfo }> {
  const digits = hex(mount.random(PASSWORD_BYTES));
  const otp = [0, 8, 12, 16, 20].map((from, at) => digits.slice(from, [8, 12, 16, 20, 32][at])).join('-');
  const hash = hashOf(otp);
  const now = mount.clock.now();
  const lease = await call.reserve('otp', { hash } satisfies State, { renewable: false });
  await store.putOtp(hash, { ...what, endsAt: now + lease.durationMs });
  return { otp, lease };
}

/** What the password opens, and never again. @throws Failure ssh.request */
export async function redeemOtp(mount: Mount, store: SshStore, otp: string): Promise<Otp> {
  const found = await store.takeOtp(hashOf(otp));
  if (found === undefined || found.endsAt <= mount.clock.now())
    throw failure('ssh.request', { reason: 'OTP not found' });
  return found;
}

export function otpLeases(store: SshStore): LeaseHandler {
  return {
    async renew() {
      throw failure('token.not_renewable');
    },
    async revoke(given) {
      await store.deleteOtp((given as unknown as State).hash);
    },
  };
}
