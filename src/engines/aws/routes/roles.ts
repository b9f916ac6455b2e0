/** `roles/<name>`: which kind of credentials are made, and what they may do. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { commaList, duration, keyValues } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import { listing, named, nothing, text } from '../fields.ts';
import { compactPolicy } from '../policies.ts';
import { checkedName, checkRole, legacyRole, NO_ROLE, type Role } from '../role.ts';

const POLICY_LIMIT = 64 * 1024;

const input = named.extend({
  /** One, or a list of them, as older clients write it. */
  credential_type: commaList().nullish(),
  role_arns: commaList().nullish(),
  policy_arns: commaList().nullish(),
  policy_document: text(POLICY_LIMIT),
  iam_groups: commaList().nullish(),
  iam_tags: keyValues().nullish(),
  session_tags: keyValues().nullish(),
  default_sts_ttl: duration().nullish(),
  max_sts_ttl: duration().nullish(),
  user_path: text(512),
  permissions_boundary_arn: text(2048),
  external_id: text(1224),
  mfa_serial_number: text(256),
  policy: text(POLICY_LIMIT),
  arn: text(2048),
});
type Given = Omit<z.output<typeof input>, 'name'>;

const output = z.object({
  credential_type: z.string(),
  default_sts_ttl: z.number(),
  external_id: z.string(),
  iam_groups: z.array(z.string()).nullable(),
  iam_tags: z.record(z.string(), z.string()).nullable(),
  max_sts_ttl: z.number(),
  mfa_serial_number: z.string(),
  permissions_boundary_arn: z.string(),
  policy_arns: z.array(z.string()).nullable(),
  policy_document: z.string(),
  role_arns: z.array(z.string()).nullable(),
  session_tags: z.record(z.string(), z.string()).nullable(),
  user_path: z.string(),
});

/** What cannot stand beside the parameters of old. */
const MODERN = [
  'credential_type',
  'role_arns',
  'policy_arns',
  'policy_document',
  'default_sts_ttl',
  'max_sts_ttl',
  'user_path',
  'permissions_boundary_arn',
] as const;

export const roleRoutes = (roles: Shelf<Role>): Route[] => [
  listing('roles', 'List the roles.', () => roles.names()),
  {
    path: 'roles/:name',
    exists: async ({ name = '' }) => (await roles.get(name)) !== undefined,
    operations: {
      read: operation({
        summary: 'Read a role.',
        input: named,
        output,
        effect: 'none',
        async run({ name }) {
          const role = await roles.get(name);
          return role === undefined ? {} : { data: shown(role) };
        },
      }),
      write: operation({
        summary: 'Make or change a role; fields left out stay as they are.',
        input,
        output: nothing,
        effect: 'write',
        async run({ name, ...given }) {
          const found = await roles.find(checkedName(name));
          const old = legacyOf(given);
          const role = old === undefined ? merged(found?.value ?? NO_ROLE, given) : legacyRole(old);
          checkRole(role);
          await roles.put(name, role, found?.revision ?? 0);
          return old === undefined ? {} : { warnings: [LEGACY] };
        },
      }),
      delete: operation({
        summary: 'Delete a role; credentials that it gave live on until their leases end.',
        input: named,
        output: nothing,
        effect: 'write',
        async run({ name }) {
          await roles.delete(name);
          return {};
        },
      }),
    },
  },
];

const LEGACY = 'Detected use of legacy role or policy parameter. Please upgrade to use the new parameters.';

/** @throws Failure aws.role */
function legacyOf(given: Given): string | undefined {
  const { policy, arn } = given;
  if (policy && arn) throw refused('only one of policy or arn should be provided');
  const old = policy || arn || undefined;
  const clash = old === undefined ? undefined : MODERN.find((name) => given[name] != null);
  if (clash === undefined) return old;
  throw refused(
    clash === 'credential_type'
      ? 'cannot supply deprecated role or policy parameters with an explicit credential_type'
      : `cannot supply deprecated role or policy parameters with ${clash}`,
  );
}

const merged = (before: Role, given: Given): Role => ({
  types: given.credential_type ?? before.types,
  roleArns: given.role_arns ?? before.roleArns,
  policyArns: given.policy_arns ?? before.policyArns,
  policyDocument:
    given.policy_document == null
      ? before.policyDocument
      : given.policy_document === ''
        ? ''
        : compactPolicy(given.policy_document),
  groups: given.iam_groups ?? before.groups,
  tags: given.iam_tags ?? before.tags,
  sessionTags: given.session_tags ?? before.sessionTags,
  defaultTtlMs: given.default_sts_ttl ?? before.defaultTtlMs,
  maxTtlMs: given.max_sts_ttl ?? before.maxTtlMs,
  userPath: given.user_path ?? before.userPath,
  boundaryArn: given.permissions_boundary_arn ?? before.boundaryArn,
  externalId: given.external_id ?? before.externalId,
  mfaSerial: given.mfa_serial_number ?? before.mfaSerial,
  legacy: false,
});

const orNull = <T extends object>(value: T): T | null => (Object.keys(value).length === 0 ? null : value);

const shown = (role: Role): z.input<typeof output> => ({
  credential_type: role.types.join(','),
  default_sts_ttl: seconds(role.defaultTtlMs),
  external_id: role.externalId,
  iam_groups: orNull([...role.groups]),
  iam_tags: orNull({ ...role.tags }),
  max_sts_ttl: seconds(role.maxTtlMs),
  mfa_serial_number: role.mfaSerial,
  permissions_boundary_arn: role.boundaryArn,
  policy_arns: orNull([...role.policyArns]),
  policy_document: role.policyDocument,
  role_arns: orNull([...role.roleArns]),
  session_tags: orNull({ ...role.sessionTags }),
  user_path: role.userPath,
});

const refused = (reason: string) => failure('aws.role', { reason });
