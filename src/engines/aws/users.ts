/** IAM users, made with all that a role says, and taken away with all that they have. */

import type { IAM } from '@aws-sdk/client-iam';
import { type Answer, ask, everyPage, failed, must } from './client.ts';
import type { Role } from './role.ts';

export interface Key {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** What happened to the one request after which there is something to take away. */
export type Made = Answer<unknown>;

/** Makes the user itself. @throws Failure dial.* */
export function createUser(iam: IAM, UserName: string, role: Role): Promise<Made> {
  return ask(
    iam.createUser({
      UserName,
      Path: role.userPath || '/',
      ...(role.boundaryArn === '' ? {} : { PermissionsBoundary: role.boundaryArn }),
    }),
  );
}

/** Gives the user what the role says, and a key at the very last. @throws Failure aws.*, dial.* */
export async function furnishUser(iam: IAM, UserName: string, roleName: string, role: Role): Promise<Key> {
  for (const PolicyArn of role.policyArns)
    await must('Error attaching user policy', iam.attachUserPolicy({ UserName, PolicyArn }));
  if (role.policyDocument !== '')
    await must(
      'Error putting user policy',
      iam.putUserPolicy({ UserName, PolicyName: roleName, PolicyDocument: role.policyDocument }),
    );
  for (const GroupName of role.groups)
    await must('Error adding user to group', iam.addUserToGroup({ UserName, GroupName }));
  const Tags = tagsOf(role.tags);
  if (Tags.length > 0) await must('Error adding tags to user', iam.tagUser({ UserName, Tags }));
  return createKey(iam, UserName, 'Error creating access keys');
}

export const tagsOf = (tags: Readonly<Record<string, string>>) =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** @param what is told where it fails. @throws Failure aws.*, dial.* */
export async function createKey(iam: IAM, UserName: string | undefined, what: string): Promise<Key> {
  const answer = await ask(iam.createAccessKey({ UserName }));
  if (!answer.done) throw failed(what, answer);
  const { AccessKeyId: accessKey, SecretAccessKey: secretKey } = answer.value.AccessKey ?? {};
  if (accessKey === undefined || secretKey === undefined)
    throw failed(what, { done: false, code: 'the answer holds no key', status: 0, attempts: 1 });
  return { accessKey, secretKey };
}

/** Deletes a key; one that is not there is done. @throws Failure aws.*, dial.* */
export function deleteKey(iam: IAM, UserName: string | undefined, AccessKeyId: string): Promise<void> {
  return gone('error deleting access key', iam.deleteAccessKey({ UserName, AccessKeyId }));
}

/**
 * Takes a user away. The keys go first: should nothing after them succeed, nobody acts as the user any more.
 * @returns false where there is no such user
 * @throws Failure aws.*, dial.*
 */
export async function removeUser(iam: IAM, UserName: string): Promise<boolean> {
  const first = await ask(iam.listAccessKeys({ UserName, MaxItems: 1 }));
  if (!first.done && first.code === 'NoSuchEntity') return false;
  if (!first.done) throw failed('error listing access keys', first);
  for (const part of USUAL) await part(iam, UserName);
  const deleted = await ask(iam.deleteUser({ UserName }));
  if (deleted.done || deleted.code === 'NoSuchEntity') return true;
  if (deleted.code !== 'DeleteConflict') throw failed('error deleting user', deleted);
  // What a user was given, or gave itself, beyond the role. Apart, for the rights to do it are seldom granted.
  for (const part of UNUSUAL) await part(iam, UserName);
  await gone('error deleting user', iam.deleteUser({ UserName }));
  return true;
}

type Part = (iam: IAM, UserName: string) => Promise<void>;

/** Lists what a user has of a kind, and deletes each. */
const part =
  <P extends object, T>(
    kind: string,
    list: (
      iam: IAM,
      input: { UserName: string; Marker?: string },
    ) => Promise<P & { IsTruncated?: boolean | undefined; Marker?: string | undefined }>,
    items: (page: P) => readonly T[] | undefined,
    drop: (iam: IAM, UserName: string, item: T) => Promise<unknown>,
  ): Part =>
  async (iam, UserName) => {
    const all = await everyPage(`error listing ${kind}`, (page) => list(iam, { UserName, ...page }), items);
    for (const item of all) await gone(`error deleting ${kind}`, drop(iam, UserName, item));
  };

const USUAL: readonly Part[] = [
  part(
    'access keys',
    (iam, input) => iam.listAccessKeys(input),
    (page) => page.AccessKeyMetadata,
    (iam, UserName, { AccessKeyId }) => iam.deleteAccessKey({ UserName, AccessKeyId }),
  ),
  part(
    'attached user policies',
    (iam, input) => iam.listAttachedUserPolicies(input),
    (page) => page.AttachedPolicies,
    (iam, UserName, { PolicyArn }) => iam.detachUserPolicy({ UserName, PolicyArn }),
  ),
  part(
    'user policies',
    (iam, input) => iam.listUserPolicies(input),
    (page) => page.PolicyNames,
    (iam, UserName, PolicyName) => iam.deleteUserPolicy({ UserName, PolicyName }),
  ),
  part(
    'groups',
    (iam, input) => iam.listGroupsForUser(input),
    (page) => page.Groups,
    (iam, UserName, { GroupName }) => iam.removeUserFromGroup({ UserName, GroupName }),
  ),
];

const UNUSUAL: readonly Part[] = [
  (iam, UserName) => gone('error deleting login profile', iam.deleteLoginProfile({ UserName })),
  part(
    'MFA devices',
    (iam, input) => iam.listMFADevices(input),
    (page) => page.MFADevices,
    (iam, UserName, { SerialNumber }) => iam.deactivateMFADevice({ UserName, SerialNumber }),
  ),
  part(
    'signing certificates',
    (iam, input) => iam.listSigningCertificates(input),
    (page) => page.Certificates,
    (iam, UserName, { CertificateId }) => iam.deleteSigningCertificate({ UserName, CertificateId }),
  ),
  part(
    'SSH public keys',
    (iam, input) => iam.listSSHPublicKeys(input),
    (page) => page.SSHPublicKeys,
    (iam, UserName, { SSHPublicKeyId }) => iam.deleteSSHPublicKey({ UserName, SSHPublicKeyId }),
  ),
  part(
    'service specific credentials',
    (iam, input) => iam.listServiceSpecificCredentials(input),
    (page) => page.ServiceSpecificCredentials,
    (iam, UserName, { ServiceSpecificCredentialId }) =>
      iam.deleteServiceSpecificCredential({ UserName, ServiceSpecificCredentialId }),
  ),
];

/** What is not there any more is deleted. */
async function gone(what: string, request: Promise<unknown>): Promise<void> {
  const answer = await ask(request);
  if (!answer.done && answer.code !== 'NoSuchEntity') throw failed(what, answer);
}
