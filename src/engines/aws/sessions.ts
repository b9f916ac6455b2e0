/** Sessions of STS: credentials that AWS ends by itself, and that nobody can take back. */

import { failure } from '../../base/errors.ts';
import { type Aws, must } from './client.ts';
import { combinedPolicy, policiesOfGroups } from './policies.ts';
import type { CredentialType, Role } from './role.ts';
import { plain } from './username.ts';
import { tagsOf } from './users.ts';

export type SessionType = Exclude<CredentialType, 'iam_user'>;

export interface Asked {
  /** Milliseconds. */
  readonly ttlMs: number;
  /** The role to assume; empty: the one that the role of this engine names. */
  readonly roleArn: string;
  /** Empty: one is made. */
  readonly sessionName: string;
  readonly mfaCode: string;
}

export interface Session {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly token: string;
  /** Of an assumed role alone. */
  readonly arn?: string;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}

/** What an answer of STS holds, as its client gives it. */
interface Given {
  readonly AccessKeyId: string | undefined;
  readonly SecretAccessKey: string | undefined;
  readonly SessionToken: string | undefined;
  readonly Expiration: Date | undefined;
}

const NAME_LIMIT = 64;

/** The ARN of the role to assume. @throws Failure aws.request */
export function chosenArn(role: Role, roleName: string, asked: string): string {
  const [only, second] = role.roleArns;
  if (asked === '') {
    if (only !== undefined && second === undefined) return only;
    throw failure('aws.request', {
      reason: 'did not supply a role_arn parameter and unable to determine one',
    });
  }
  if (role.roleArns.includes(asked)) return asked;
  throw failure('aws.request', {
    reason: `role_arn "${asked.replace(/[^\w:/+=,.@-]/g, '?').slice(0, 256)}" not in allowed role arns for Vault role "${roleName}"`,
  });
}

/**
 * @param name makes the name of the session where none was asked for
 * @throws Failure aws.*, dial.*
 */
export async function openSession(
  aws: Aws,
  type: SessionType,
  role: Role,
  asked: Asked,
  name: () => string,
): Promise<Session> {
  const DurationSeconds = Math.floor(asked.ttlMs / 1000);
  const sts = await aws.sts();
  if (type === 'session_token') {
    const mfa =
      role.mfaSerial === '' ? {} : { SerialNumber: role.mfaSerial, TokenCode: asked.mfaCode || undefined };
    const what = 'Error generating STS keys';
    return sessionOf(what, (await must(what, sts.getSessionToken({ DurationSeconds, ...mfa }))).Credentials);
  }
  const filter = await filterOf(aws, role);
  if (type === 'federation_token') {
    // Without a filter the session could do all that this server can.
    if (filter.Policy === undefined && filter.PolicyArns === undefined)
      throw failure('aws.request', {
        reason:
          'must specify at least one of policy_arns or policy_document with federation_token credential_type',
      });
    const what = 'Error generating STS keys';
    const made = await must(what, sts.getFederationToken({ Name: name(), DurationSeconds, ...filter }));
    return sessionOf(what, made.Credentials);
  }
  const Tags = tagsOf(role.sessionTags);
  const what = 'Error assuming role';
  const made = await must(
    what,
    sts.assumeRole({
      RoleArn: asked.roleArn,
      RoleSessionName: asked.sessionName === '' ? name() : plain(asked.sessionName).slice(0, NAME_LIMIT),
      DurationSeconds,
      ...filter,
      ...(role.externalId === '' ? {} : { ExternalId: role.externalId }),
      ...(Tags.length === 0 ? {} : { Tags }),
    }),
  );
  const arn = made.AssumedRoleUser?.Arn;
  return { ...sessionOf(what, made.Credentials), ...(arn === undefined ? {} : { arn }) };
}

/** What a session may do at most: the policies of the role, and those of the groups whose rights it borrows. */
async function filterOf(aws: Aws, role: Role) {
  const borrowed =
    role.groups.length === 0
      ? { documents: [], arns: [] }
      : await policiesOfGroups(await aws.iam(), role.groups);
  const policy =
    borrowed.documents.length === 0
      ? role.policyDocument
      : combinedPolicy([...borrowed.documents, role.policyDocument]);
  const arns = [...role.policyArns, ...borrowed.arns];
  return {
    ...(policy === '' ? {} : { Policy: policy }),
    ...(arns.length === 0 ? {} : { PolicyArns: arns.map((arn) => ({ arn })) }),
  };
}

function sessionOf(what: string, given: Given | undefined): Session {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given ?? {};
  const endsAt = Expiration?.getTime();
  if (
    AccessKeyId === undefined ||
    SecretAccessKey === undefined ||
    SessionToken === undefined ||
    endsAt === undefined ||
    Number.isNaN(endsAt)
  )
    throw failure('aws.unavailable', { what, reason: 'the answer holds no credentials' });
  return { accessKey: AccessKeyId, secretKey: SecretAccessKey, token: SessionToken, endsAt };
}
