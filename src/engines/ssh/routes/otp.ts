/** `creds/`, `verify` and `lookup`: passwords for one login, and the roles that a host's address belongs to. */

import { z } from 'zod';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { checkedName, refused, text } from '../fields.ts';
import { checkAddress, checkedAddress, hasAddress, userOf } from '../hosts.ts';
import { makeOtp, redeemOtp } from '../otp.ts';
import type { SshStore } from '../store.ts';

/** What a helper on a host sends to see whether it reaches the server, and what it wants to hear. */
const ECHO = { asked: 'verify-echo-request', answer: 'verify-echo-response' };

export function otpRoutes(mount: Mount, store: SshStore): Route[] {
  return [
    {
      path: 'creds/:role',
      operations: {
        write: operation({
          summary: 'Make a password for one login to a host.',
          input: z.object({ role: z.string(), ip: text().nullish(), username: text().nullish() }),
          output: z.object({
            key_type: z.string(),
            key: z.string(),
            username: z.string(),
            ip: z.string(),
            port: z.number(),
          }),
          effect: 'write',
          async run(given, call) {
            const name = checkedName(given.role);
            if ((given.ip ?? '') === '') throw refused('Missing ip');
            const role = await store.role(name);
            if (role === undefined) throw refused(`Role "${name}" not found`);
            if (role.kind !== 'otp')
              throw refused(`role key type '${role.kind}' not allowed to make one-time passwords`);
            const username = userOf(role, given.username ?? '');
            const ip = checkedAddress(given.ip ?? '');
            checkAddress(role, ip, (await store.zeroAddressRoles())?.includes(name) ?? false);
            const { otp, lease } = await makeOtp(mount, store, { username, ip, role: name }, call);
            return { data: { key_type: 'otp', key: otp, username, ip, port: role.port }, lease };
          },
        }),
      },
    },
    {
      path: 'verify',
      access: 'public',
      operations: {
        write: operation({
          summary: 'Take a password for good, and tell whom it lets in and where.',
          input: z.object({ otp: text().nullish() }),
          output: z.union([
            z.object({ username: z.string(), ip: z.string(), role_name: z.string() }),
            z.object({ message: z.string() }),
          ]),
          effect: 'write',
          async run({ otp }) {
            if (otp === ECHO.asked) return { data: { message: ECHO.answer } };
            const { username, ip, role } = await redeemOtp(mount, store, otp ?? '');
            return { data: { username, ip, role_name: role } };
          },
        }),
      },
    },
    {
      path: 'lookup',
      operations: {
        write: operation({
          summary: "List the roles that a host's address belongs to.",
          input: z.object({ ip: text().nullish() }),
          output: z.object({ roles: z.array(z.string()).nullable() }),
          effect: 'none',
          async run(given) {
            const ip = checkedAddress(given.ip ?? '');
            const found = new Set<string>();
            for (const name of await store.roleNames()) {
              const role = await store.role(name);
              if (role?.kind === 'otp' && hasAddress(role, ip)) found.add(name);
            }
            for (const name of (await store.zeroAddressRoles()) ?? []) found.add(name);
            return { data: { roles: found.size === 0 ? null : [...found] } };
          },
        }),
      },
    },
  ];
}
