/**
 * `login`: a service account token in, a token of ours out. Whatever fails after the role is found answers alike, so that
 * nobody learns from an answer how far a forged token got; the log says why.
 */

import { z } from 'zod';
import { inCidrs } from '../../../base/cidr.ts';
import { failure } from '../../../base/errors.ts';
import { type Grant, type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { type Jws, parseJws, publicKeyOf, verifyJws } from '../../jws.ts';
import { tokenParams } from '../../token-fields.ts';
import { isBound } from '../bound.ts';
import { isFor, type ServiceAccount, serviceAccountOf, untimely, usernameOf } from '../claims.ts';
import type { Effective, Settings } from '../config.ts';
import type { Reviewer } from '../review.ts';
import { type Role, rolesOf } from '../role.ts';

/** What API servers called themselves before they had to be told. */
const DEFAULT_ISSUER = 'kubernetes/serviceaccount';

export function loginRoute(mount: Mount, settings: Settings, reviewer: Reviewer): Route {
  return {
    path: 'login',
    access: 'public',
    operations: {
      write: operation({
        summary: 'Log in with the token of a service account.',
        input: z.object({ role: z.string().max(512).nullish(), jwt: z.string().nullish() }),
        output: z.object({}),
        effect: 'write',
        async run({ role: given, jwt }, call) {
          if (!given) throw failure('kubernetes.missing_role');
          if (!jwt) throw failure('kubernetes.missing_jwt');
          const name = given.toLowerCase();
          const role = await findRole(mount, name);
          const deny = (reason: string) => {
            mount.log.warn('a login was refused', { role: name, remote: call.remote.address, reason });
            return failure('request.denied');
          };

          if (!inCidrs(call.remote.address, role.token.boundCidrs)) throw deny('the address is not bound');
          const config = await settings.effective();
          const jws = parseJws(jwt);
          if ('reason' in jws) throw deny(jws.reason);
          const reason = unfit(jws, role, config, mount.clock.now());
          if (reason !== undefined) throw deny(reason);
          const account = serviceAccountOf(jws.claims);
          if (account === undefined) throw deny('the claims name no service account');
          if (!isBound(account.namespace, role.namespaces)) throw failure('kubernetes.namespace_denied');
          if (!isBound(account.name, role.names)) throw failure('kubernetes.name_denied');

          const review = await reviewer.review(config, jwt, role.audience);
          if ('reason' in review) throw deny(review.reason);
          if (review.username !== usernameOf(account)) throw deny('the review names another service account');
          if (review.uid !== account.uid) throw deny('the review has another UID: the account was made anew');
          return { auth: grant(name, role, account) };
        },
      }),
    },
  };
}

async function findRole(mount: Mount, name: string): Promise<Role> {
  // A name with a slash would reach outside of the folder of roles.
  const role = name.includes('/') ? undefined : await rolesOf(mount).get(name);
  if (role === undefined) throw failure('kubernetes.invalid_role', { name: printable(name) });
  return role;
}

const printable = (name: string): string => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 128);

/** Why the token is not even worth a review, or undefined. */
function unfit(jws: Jws, role: Role, config: Effective, now: number): string | undefined {
  const late = untimely(jws.claims, now);
  if (late !== undefined) return late;
  if (role.audience !== '' && !isFor(jws.claims, role.audience)) return 'the token is for another audience';
  if (config.checkIssuer && jws.claims.iss !== (config.issuer || DEFAULT_ISSUER))
    return 'the token is of another issuer';
  if (config.pemKeys.length === 0) return undefined;
  const keys = config.pemKeys.map(publicKeyOf).filter((key) => key !== undefined);
  return verifyJws(jws, keys) ? undefined : 'none of the configured keys signed the token';
}

function grant(role: string, { alias, token }: Role, account: ServiceAccount): Grant {
  const described = {
    service_account_name: account.name,
    service_account_namespace: account.namespace,
    service_account_secret_name: account.secretName,
    service_account_uid: account.uid,
  };
  return {
    displayName: `kubernetes-${account.namespace}-${account.name}`,
    policies: token.policies,
    metadata: { role, ...described },
    alias: {
      name: alias === 'serviceaccount_uid' ? account.uid : `${account.namespace}/${account.name}`,
      metadata: described,
    },
    token: tokenParams(token),
  };
}
