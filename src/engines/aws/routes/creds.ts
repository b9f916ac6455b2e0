/** `creds/<role>` and `sts/<role>`: credentials, of a user that is made or of a session that ends by itself. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { duration } from '../../../base/schema.ts';
import { type Call, type Mount, type Operation, operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import type { Credentials } from '../credentials.ts';
import { named, text } from '../fields.ts';
import { chosenType, type Role } from '../role.ts';
import { chosenArn } from '../sessions.ts';

const NAME_LIMIT = 128;
const DEFAULT_MS = 3_600_000;

const input = named.extend({
  ttl: duration().nullish(),
  role_arn: text(2048),
  role_session_name: text(1024),
  mfa_code: text(16),
});
type Given = z.output<typeof input>;

const output = z.object({
  access_key: z.string(),
  secret_key: z.string(),
  security_token: z.string().nullable(),
  session_token: z.string().nullable(),
  /** Of an assumed role. */
  arn: z.string().optional(),
  /** Of a session: the seconds that it lives. */
  ttl: z.number().optional(),
});

export function credsRoutes(mount: Mount, roles: Shelf<Role>, credentials: Credentials): Route[] {
  const give = async (path: 'creds' | 'sts', given: Given, call: Call) => {
    const { name } = given;
    const role = await roles.get(name);
    if (role === undefined) throw failure('aws.unknown_role', { name: name.slice(0, NAME_LIMIT) });
    const type = chosenType(role, path);
    if (type === 'iam_user') {
      const { key, lease } = await credentials.makeUser(name, role, call);
      const data = {
        access_key: key.accessKey,
        secret_key: key.secretKey,
        security_token: null,
        session_token: null,
      };
      return { data, lease };
    }
    const asked = {
      ttlMs: lifeOf(role, given.ttl ?? undefined, mount.ttl().maxMs),
      roleArn: type === 'assumed_role' ? chosenArn(role, name, given.role_arn ?? '') : '',
      sessionName: given.role_session_name ?? '',
      mfaCode: given.mfa_code ?? '',
    };
    const { session, lease } = await credentials.makeSession(type, name, role, asked, call);
    const data = {
      access_key: session.accessKey,
      secret_key: session.secretKey,
      security_token: session.token,
      session_token: session.token,
      ...(session.arn === undefined ? {} : { arn: session.arn }),
      ttl: seconds(lease.durationMs),
    };
    return { data, lease };
  };

  const giving = (path: 'creds' | 'sts'): Operation =>
    operation({
      summary: 'Make credentials for AWS, as the role says.',
      input,
      output,
      effect: 'write',
      run: (given, call) => give(path, given, call),
    });
  const route = (path: 'creds' | 'sts'): Route => ({
    path: `${path}/:name`,
    operations: { read: giving(path), write: giving(path) },
  });
  return [route('creds'), route('sts')];
}

/** How long a session shall live, in milliseconds. @throws Failure aws.request */
function lifeOf(role: Role, askedMs: number | undefined, mountMs: number): number {
  const wanted = askedMs ?? (role.defaultTtlMs > 0 ? role.defaultTtlMs : DEFAULT_MS);
  if (wanted <= 0) throw failure('aws.request', { reason: 'ttl must be greater than 0' });
  // A lease that ended before its session would tell that the session is over, which it is not.
  return Math.min(wanted, role.maxTtlMs > 0 ? role.maxTtlMs : mountMs, mountMs);
}
