/** `login`: a signed token of somebody else in, a token of ours out. */

import { z } from 'zod';
import { inCidrs } from '../../../base/cidr.ts';
import { failure, isFailure } from '../../../base/errors.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { audiencesOf, checkBound, identityOf, refused } from '../claims.ts';
import { theConfig } from '../config.ts';
import { checkExpected } from '../expected.ts';
import { grantOf, roleFor } from '../role.ts';
import type { Trust } from '../trusted.ts';

export const loginRoute = (mount: Mount, trust: Trust): Route => ({
  path: 'login',
  access: 'public',
  operations: {
    write: operation({
      summary: 'Log in with a signed token (JWT).',
      input: z.object({ role: z.string().max(512).nullish(), jwt: z.string().nullish() }),
      output: z.object({}),
      effect: 'write',
      async run({ role: given, jwt }, call) {
        const stored = await theConfig(mount.storage);
        const { config } = stored;
        const found = await roleFor(mount, given, config.defaultRole);
        const { role } = found;
        if (role.type === 'oidc') throw refused('role with oidc role_type is not allowed');
        if (!jwt) throw refused('missing token');
        if (!inCidrs(call.remote.address, role.token.boundCidrs)) throw failure('request.denied');

        const claims = await about('error validating token', async () => {
          const jws = await trust.of(stored).verify(jwt);
          checkExpected(
            jws.claims,
            {
              issuer: config.boundIssuer,
              subject: role.subject,
              audiences: role.audiences,
              leeways: role.leeways,
            },
            mount.clock.now(),
          );
          return jws.claims;
        });
        // A token that was made for somebody must not be good here only because nobody said for whom it should be.
        if (role.audiences.length === 0 && audiencesOf(claims)?.length !== 0)
          throw refused('audience claim found in JWT but no audiences bound to the role');
        const identity = identityOf(claims, role);
        await about('error validating claims', async () =>
          checkBound(claims, role.boundClaims, role.boundClaimsType),
        );
        return { auth: grantOf(mount, found, identity) };
      },
    }),
  },
});

/** Puts what was being done in front of the reason why a token was refused. */
async function about<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isFailure(error, 'jwt.refused') ? refused(`${doing}: ${error.message}`) : error;
  }
}
