/** A role: which kind of credentials are made, and what they may do. Milliseconds throughout; empty texts and 0: not set. */

import { failure } from '../../base/errors.ts';
import { compactPolicy } from './policies.ts';

export const CREDENTIAL_TYPES = ['iam_user', 'assumed_role', 'federation_token', 'session_token'] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

export interface Role {
  /** As they were given; `checkRole` knows that they are `CREDENTIAL_TYPES`. */
  readonly types: readonly string[];
  readonly roleArns: readonly string[];
  readonly policyArns: readonly string[];
  /** JSON, without white space. */
  readonly policyDocument: string;
  readonly groups: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionTags: Readonly<Record<string, string>>;
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  readonly userPath: string;
  readonly boundaryArn: string;
  readonly externalId: string;
  readonly mfaSerial: string;
  /** Made of `policy` or `arn`: its IAM users are for `creds` alone, and its sessions for `sts`. */
  readonly legacy: boolean;
}

export const NO_ROLE: Role = {
  types: [],
  roleArns: [],
  policyArns: [],
  policyDocument: '',
  groups: [],
  tags: {},
  sessionTags: {},
  defaultTtlMs: 0,
  maxTtlMs: 0,
  userPath: '',
  boundaryArn: '',
  externalId: '',
  mfaSerial: '',
  legacy: false,
};

const ROLE_NAME = /^\w(?:[\w.@-]{0,126}\w)?$/;
/** As upstream has it; `shownPath` is how its message writes it. */
const USER_PATH = /^\/([\x21-\x7F]{0,510}\/)?$/;
const shownPath = '^\\/([\\x21-\\x7F]{0,510}\\/)?$';
const ARN = /^arn:[^:\s]+:([^:\s]*):[^:\s]*:[^:\s]*:(\S+)$/;

/** @throws Failure aws.name: it becomes the name of a policy, and a part of user names */
export function checkedName(name: string): string {
  if (!ROLE_NAME.test(name)) throw failure('aws.name');
  return name;
}

export const isCredentialType = (text: string): text is CredentialType =>
  (CREDENTIAL_TYPES as readonly string[]).includes(text);

/** @throws Failure aws.role, with everything that is wrong */
export function checkRole(role: Role): void {
  const found = FINDINGS.map((finding) => finding(role)).filter((text) => text !== undefined);
  if (found.length > 0) throw refused(found.join('; '));
}

const is = (role: Role, ...types: readonly CredentialType[]): boolean =>
  types.some((type) => role.types.includes(type));
const unless = (isFine: boolean, text: string): string | undefined => (isFine ? undefined : text);

/** What can be wrong with a role, in upstream's words. */
const FINDINGS: readonly ((role: Role) => string | undefined)[] = [
  ({ types }) => unless(types.length > 0, 'did not supply credential_type'),
  ({ types }) => {
    const stray = types.find((type) => !isCredentialType(type));
    return unless(stray === undefined, `unrecognized credential type: ${stray?.slice(0, 64)}`);
  },
  (role) =>
    unless(
      role.defaultTtlMs === 0 || is(role, ...SESSIONS),
      `default_sts_ttl parameter only ${FOR_SESSIONS}`,
    ),
  (role) =>
    unless(role.maxTtlMs === 0 || is(role, ...SESSIONS), `max_sts_ttl parameter only ${FOR_SESSIONS}`),
  ({ defaultTtlMs, maxTtlMs }) => unless(defaultTtlMs >= 0 && maxTtlMs >= 0, 'a TTL cannot be negative'),
  ({ defaultTtlMs, maxTtlMs }) =>
    unless(
      maxTtlMs <= 0 || defaultTtlMs <= maxTtlMs,
      '"default_sts_ttl" value must be less than or equal to "max_sts_ttl" value',
    ),
  (role) =>
    unless(
      role.userPath === '' || is(role, 'iam_user'),
      'user_path parameter only valid for iam_user credential type',
    ),
  ({ userPath }) =>
    unless(
      userPath === '' || USER_PATH.test(userPath),
      `The specified value for user_path is invalid. It must match "${shownPath}" regexp`,
    ),
  (role) =>
    unless(
      role.boundaryArn === '' || is(role, 'iam_user'),
      "cannot supply permissions_boundary_arn when credential_type isn't iam_user",
    ),
  ({ boundaryArn }) =>
    unless(
      boundaryArn === '' || (service(boundaryArn) === 'iam' && resource(boundaryArn).startsWith('policy/')),
      'invalid permissions_boundary_arn parameter: it is no ARN of an IAM policy',
    ),
  (role) => onlyAssumed(role, role.roleArns.length > 0, 'role_arns'),
  (role) => onlyAssumed(role, role.externalId !== '', 'external_id'),
  (role) => onlyAssumed(role, Object.keys(role.sessionTags).length > 0, 'session_tags'),
  (role) =>
    unless(
      role.mfaSerial === '' || is(role, 'session_token'),
      "cannot supply mfa_serial_number when credential_type isn't session_token",
    ),
  ({ roleArns, policyArns }) =>
    unless(
      [...roleArns, ...policyArns].every((arn) => ARN.test(arn)),
      'an ARN is malformed',
    ),
];

const SESSIONS = ['assumed_role', 'federation_token', 'session_token'] as const;
const FOR_SESSIONS = 'valid for assumed_role, federation_token, and session_token credential types';

const onlyAssumed = (role: Role, isGiven: boolean, field: string): string | undefined =>
  unless(
    !isGiven || is(role, 'assumed_role'),
    `cannot supply ${field} when credential_type isn't assumed_role`,
  );

const service = (arn: string): string => ARN.exec(arn)?.[1] ?? '';
const resource = (arn: string): string => ARN.exec(arn)?.[2] ?? '';

/**
 * The role that `policy` or `arn` stood for before there were credential types.
 * @throws Failure aws.role
 */
export function legacyRole(text: string): Role {
  if (!text.startsWith('arn:'))
    // It does not say for whom it is: for users where `creds` is asked, for sessions where `sts` is.
    return {
      ...NO_ROLE,
      types: ['iam_user', 'federation_token'],
      policyDocument: compactPolicy(text),
      legacy: true,
    };
  const kind = resource(text).split('/')[0];
  if (kind === 'role') return { ...NO_ROLE, types: ['assumed_role'], roleArns: [text], legacy: true };
  if (kind === 'policy') return { ...NO_ROLE, types: ['iam_user'], policyArns: [text], legacy: true };
  throw refused('arn names neither a role nor a policy');
}

/**
 * Which kind of credentials is made where the role is asked under `path`.
 * @throws Failure aws.request: what upstream does not let legacy roles do
 */
export function chosenType(role: Role, path: 'creds' | 'sts'): CredentialType {
  const [only, second] = role.types;
  const type = second === undefined ? only : path === 'creds' ? 'iam_user' : 'federation_token';
  if (type === undefined || !isCredentialType(type) || !role.types.includes(type))
    throw failure('aws.request', {
      reason: `requested credential type "${type ?? ''}" not in allowed credential types`,
    });
  // Who may ask for a session must not get a user, who lasts and may do more.
  if (role.legacy && (type === 'iam_user') !== (path === 'creds'))
    throw failure('aws.request', {
      reason: `attempted to retrieve ${type} credentials through the ${path} path; this is not allowed for legacy roles`,
    });
  return type;
}

const refused = (reason: string) => failure('aws.role', { reason });
