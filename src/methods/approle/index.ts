/**
 * Login of machines: a role id, which is no secret, and a secret id, which is told once and stored as an HMAC. Roles have
 * names without case.
 *
 * Storage: `salt`; `role/<name>`; `role-id/<hash>`, which names the role; `secret/` and `accessor/` (secret.ts).
 */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { type Mount, operation, type PluginType, type Route } from '../../plugin/plugin.ts';
import { tokenParams } from '../token-fields.ts';
import { hashing } from './hash.ts';
import { Roles } from './role.ts';
import { loginRoute } from './routes/login.ts';
import { roleRoutes } from './routes/role.ts';
import { secretIdRoutes } from './routes/secretid.ts';
import { SecretIds } from './secret.ts';

const TIDY_EVERY_MS = 3_600_000;
const TIDYING =
  "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs.";

export const approle: PluginType = {
  name: 'approle',
  kind: 'auth',
  create(mount) {
    const hash = hashing(mount);
    const roles = new Roles(mount.storage, hash);
    const secrets = new SecretIds(mount.storage, hash, mount.clock);
    const newId = (): string => uuid(mount.random(16));
    const tidy = (): Promise<number> => secrets.tidy(() => uuidsOf(roles));
    let nextTidy = mount.clock.now() + TIDY_EVERY_MS;
    return {
      routes: [
        ...roleRoutes(roles, secrets, newId),
        ...secretIdRoutes(mount, roles, secrets, newId),
        loginRoute(mount, roles, secrets),
        tidyRoute(mount, tidy),
      ],
      async renewLogin({ metadata }) {
        const name = metadata['role_name'] ?? '';
        const found = await roles.get(name);
        if (found === undefined) throw failure('approle.gone', { name });
        return tokenParams(found.role.token);
      },
      async tick() {
        if (mount.clock.now() >= nextTidy) {
          await tidy();
          nextTidy = mount.clock.now() + TIDY_EVERY_MS;
        }
        return new Date(nextTidy);
      },
    };
  },
};

async function uuidsOf(roles: Roles): Promise<string[]> {
  const found = await Promise.all((await roles.names()).map((name) => roles.get(name)));
  return found.flatMap((one) => (one === undefined ? [] : [one.role.uuid]));
}

const tidyRoute = (mount: Mount, tidy: () => Promise<number>): Route => ({
  path: 'tidy/secret-id',
  operations: {
    write: operation({
      summary: 'Clear away secret ids that have expired and what is left of roles that are gone.',
      input: z.object({}),
      output: z.object({}),
      effect: 'write',
      async run() {
        tidy().then(
          (cleared) => mount.log.info('the secret ids were tidied', { cleared }),
          (error: unknown) => mount.log.error('tidying the secret ids failed', { error }),
        );
        return { status: 202, warnings: [TIDYING] };
      },
    }),
  },
});

/** RFC 9562, version 4. */
function uuid(bytes: Uint8Array): string {
  const text = Buffer.from(bytes);
  text[6] = ((text[6] ?? 0) & 0x0f) | 0x40;
  text[8] = ((text[8] ?? 0) & 0x3f) | 0x80;
  return text.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
