/**
 * AWS for tests: IAM and STS as far as the engine uses them, in memory, reached through a `Dial`. It computes each signature
 * anew (Signature Version 4) and refuses a wrong one, so that it is known what was signed and with whose key. For tests alone.
 */

import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Dial, DialRequest } from '../../plugin/plugin.ts';

export interface FakeUser {
  readonly id: string;
  readonly path: string;
  readonly boundary: string | undefined;
  readonly keys: Map<string, { readonly secret: string; readonly made: number }>;
  readonly inline: Map<string, string>;
  readonly attached: Set<string>;
  readonly groups: Set<string>;
  readonly tags: Map<string, string>;
  hasLogin: boolean;
}

export interface FakeRequest {
  readonly action: string;
  readonly form: ReadonlyMap<string, string>;
  readonly region: string;
  readonly service: string;
  readonly host: string;
  readonly accessKey: string;
}

/** What the fake was asked to do instead of its answer: thrown errors are the way out's. */
export type Between = (
  request: FakeRequest,
  real: () => FakeReply,
) => FakeReply | undefined | Promise<FakeReply | undefined>;

export interface FakeReply {
  readonly status: number;
  readonly body: Uint8Array;
  readonly date?: string;
}

export interface FakeAws {
  readonly dial: Dial;
  readonly users: Map<string, FakeUser>;
  /** Inline policies and ARNs of attached ones, by the name of the group. */
  readonly groups: Map<
    string,
    { readonly inline: Map<string, string>; readonly attached: readonly string[] }
  >;
  readonly requests: FakeRequest[];
  /** Stands between the engine and AWS. */
  between: Between | undefined;
  /** How far AWS's clock is ahead of this one, in milliseconds. */
  aheadMs: number;
  /** Makes a user with a key, as an administrator does. */
  admin(name: string): { readonly accessKey: string; readonly secretKey: string };
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const escaped = (text: string): string => text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
const tag = (name: string, value: string | undefined): string =>
  value === undefined ? '' : `<${name}>${escaped(value)}</${name}>`;
const members = (texts: readonly string[]): string =>
  texts.map((text) => `<member>${text}</member>`).join('');

/** AWS takes no signature that is older. */
const SKEW_MS = 900_000;
const timeOf = (text = ''): number =>
  Date.parse(text.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5'));

/** An answer as both services give it for an error. */
export const refusal = (status: number, code: string, message = 'no'): FakeReply => ({
  status,
  body: bytes(
    `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>${tag('Code', code)}${tag('Message', message)}</Error><RequestId>r</RequestId></ErrorResponse>`,
  ),
});

/** @param now of AWS's clock, milliseconds since the epoch */
export function fakeAws(now: () => number): FakeAws {
  const users: FakeAws['users'] = new Map();
  const groups: FakeAws['groups'] = new Map();
  const requests: FakeRequest[] = [];
  const fake: FakeAws = { dial, users, groups, requests, between: undefined, aheadMs: 0, admin };

  function admin(name: string) {
    if (!users.has(name)) users.set(name, newUser('/', undefined));
    return newKey(users.get(name) as FakeUser);
  }

  function newUser(path: string, boundary: string | undefined): FakeUser {
    return {
      id: `AIDA${randomBytes(8).toString('hex').toUpperCase()}`,
      path,
      boundary,
      keys: new Map(),
      inline: new Map(),
      attached: new Set(),
      groups: new Set(),
      tags: new Map(),
      hasLogin: false,
    };
  }

  function newKey(user: FakeUser) {
    const accessKey = `AKIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const secretKey = randomBytes(20).toString('hex');
    user.keys.set(accessKey, { secret: secretKey, made: user.keys.size });
    return { accessKey, secretKey };
  }

  function ownerOf(accessKey: string): [string, FakeUser] | undefined {
    return [...users].find(([, user]) => user.keys.has(accessKey));
  }

  async function dial(request: DialRequest): Promise<FakeReply> {
    return { date: new Date(Date.now() + fake.aheadMs).toUTCString(), ...(await reply(request)) };
  }

  async function reply(request: DialRequest): Promise<FakeReply> {
    const { body = '', headers = {} } = request;
    const url = new URL(request.url);
    const form = new Map(new URLSearchParams(body));
    const [, accessKey = '', date = '', region = '', service = '', signed = '', signature = ''] =
      /^AWS4-HMAC-SHA256 Credential=(\w+)\/(\d{8})\/([\w-]+)\/(\w+)\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
        headers['authorization'] ?? '',
      ) ?? [];
    const asked = { action: form.get('Action') ?? '', form, region, service, host: url.host, accessKey };
    requests.push(asked);
    const secret = ownerOf(accessKey)?.[1].keys.get(accessKey)?.secret;
    if (secret === undefined) return refusal(403, 'InvalidClientTokenId');
    const names = signed.split(';');
    if (!names.includes('host') || !names.includes('x-amz-date'))
      return refusal(403, 'SignatureDoesNotMatch');
    const canonical = [
      request.method,
      url.pathname,
      '',
      ...names.map((name) => `${name}:${name === 'host' ? url.host : headers[name]}`),
      '',
      signed,
      hash(body),
    ].join('\n');
    const scope = `${date}/${region}/${service}/aws4_request`;
    const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hash(canonical)].join('\n');
    const key = [region, service, 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${secret}`, date));
    if (hmac(key, toSign).toString('hex') !== signature) return refusal(403, 'SignatureDoesNotMatch');
    if (Math.abs(timeOf(headers['x-amz-date']) - Date.now() - fake.aheadMs) > SKEW_MS)
      return refusal(403, 'SignatureDoesNotMatch', 'Signature expired');
    const real = (): FakeReply => answer(asked);
    return (await fake.between?.(asked, real)) ?? real();
  }

  function answer(request: FakeRequest): FakeReply {
    const { action, form } = request;
    const done = (inner = ''): FakeReply => ({
      status: 200,
      body: bytes(
        `<${action}Response xmlns="https://${request.service}.amazonaws.com/doc/"><${action}Result>${inner}</${action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></${action}Response>`,
      ),
    });
    const list = (name: string, all: readonly string[]): FakeReply => {
      const size = Number(form.get('MaxItems') ?? 2);
      const from = Number(form.get('Marker') ?? 0);
      const more = from + size < all.length;
      return done(
        `<${name}>${members(all.slice(from, from + size))}</${name}>${tag('IsTruncated', String(more))}${more ? tag('Marker', String(from + size)) : ''}`,
      );
    };
    const self = ownerOf(request.accessKey)?.[0] ?? '';
    const name = form.get('UserName') ?? self;
    const user = users.get(name);
    const at = (field: string): string => form.get(field) ?? '';
    const session = (arn: string): string =>
      `<Credentials>${tag('AccessKeyId', `ASIA${randomBytes(8).toString('hex').toUpperCase()}`)}${tag('SecretAccessKey', 'session secret')}${tag('SessionToken', 'session token')}${tag('Expiration', new Date(now() + Number(at('DurationSeconds')) * 1000).toISOString())}</Credentials>${arn}`;

    if (action === 'AssumeRole')
      return done(
        session(
          `<AssumedRoleUser>${tag('Arn', `${at('RoleArn').replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${at('RoleSessionName')}`)}${tag('AssumedRoleId', 'AROA:x')}</AssumedRoleUser>`,
        ),
      );
    if (action === 'GetFederationToken')
      return done(
        session(
          `<FederatedUser>${tag('Arn', 'arn:aws:sts::1:federated-user/x')}${tag('FederatedUserId', '1:x')}</FederatedUser>`,
        ),
      );
    if (action === 'GetSessionToken') return done(session(''));
    if (action.includes('Group') && !action.includes('User')) {
      const group = groups.get(at('GroupName'));
      if (group === undefined) return refusal(404, 'NoSuchEntity');
      if (action === 'ListAttachedGroupPolicies')
        return list(
          'AttachedPolicies',
          group.attached.map((arn) => tag('PolicyArn', arn)),
        );
      if (action === 'ListGroupPolicies') return list('PolicyNames', [...group.inline.keys()]);
      return done(tag('PolicyDocument', encodeURIComponent(group.inline.get(at('PolicyName')) ?? '')));
    }
    if (action === 'CreateUser') {
      if (user !== undefined) return refusal(409, 'EntityAlreadyExists');
      const made = newUser(at('Path'), form.get('PermissionsBoundary'));
      users.set(name, made);
      return done(
        `<User>${tag('UserName', name)}${tag('UserId', made.id)}${tag('Path', made.path)}${tag('Arn', 'arn:x')}${tag('CreateDate', '2026-01-01T00:00:00Z')}</User>`,
      );
    }
    if (user === undefined) return refusal(404, 'NoSuchEntity');
    switch (action) {
      case 'GetUser':
        return done(
          `<User>${tag('UserName', name)}${tag('UserId', user.id)}${tag('Path', user.path)}${tag('Arn', 'arn:x')}${tag('CreateDate', '2026-01-01T00:00:00Z')}</User>`,
        );
      case 'DeleteUser':
        if (
          user.hasLogin ||
          [user.keys, user.inline, user.attached, user.groups].some(({ size }) => size > 0)
        )
          return refusal(409, 'DeleteConflict');
        users.delete(name);
        return done();
      case 'AttachUserPolicy':
        user.attached.add(at('PolicyArn'));
        return done();
      case 'DetachUserPolicy':
        return user.attached.delete(at('PolicyArn')) ? done() : refusal(404, 'NoSuchEntity');
      case 'PutUserPolicy':
        user.inline.set(at('PolicyName'), at('PolicyDocument'));
        return done();
      case 'DeleteUserPolicy':
        return user.inline.delete(at('PolicyName')) ? done() : refusal(404, 'NoSuchEntity');
      case 'AddUserToGroup':
        if (!groups.has(at('GroupName'))) return refusal(404, 'NoSuchEntity');
        user.groups.add(at('GroupName'));
        return done();
      case 'RemoveUserFromGroup':
        return user.groups.delete(at('GroupName')) ? done() : refusal(404, 'NoSuchEntity');
      case 'TagUser':
        for (let n = 1; form.has(`Tags.member.${n}.Key`); n++)
          user.tags.set(at(`Tags.member.${n}.Key`), at(`Tags.member.${n}.Value`));
        return done();
      case 'CreateAccessKey': {
        if (user.keys.size >= 2) return refusal(409, 'LimitExceeded');
        const key = newKey(user);
        return done(
          `<AccessKey>${tag('UserName', name)}${tag('AccessKeyId', key.accessKey)}${tag('SecretAccessKey', key.secretKey)}${tag('Status', 'Active')}</AccessKey>`,
        );
      }
      case 'DeleteAccessKey':
        return user.keys.delete(at('AccessKeyId')) ? done() : refusal(404, 'NoSuchEntity');
      case 'ListAccessKeys':
        return list(
          'AccessKeyMetadata',
          [...user.keys].map(
            ([id, { made }]) =>
              `${tag('UserName', name)}${tag('AccessKeyId', id)}${tag('CreateDate', new Date(1e12 + made * 1000).toISOString())}`,
          ),
        );
      case 'ListAttachedUserPolicies':
        return list(
          'AttachedPolicies',
          [...user.attached].map((arn) => tag('PolicyArn', arn)),
        );
      case 'ListUserPolicies':
        return list('PolicyNames', [...user.inline.keys()].map(escaped));
      case 'ListGroupsForUser':
        return list(
          'Groups',
          [...user.groups].map(
            (group) =>
              `${tag('GroupName', group)}${tag('Path', '/')}${tag('GroupId', 'g')}${tag('Arn', 'a')}${tag('CreateDate', '2026-01-01T00:00:00Z')}`,
          ),
        );
      case 'DeleteLoginProfile':
        if (!user.hasLogin) return refusal(404, 'NoSuchEntity');
        user.hasLogin = false;
        return done();
      case 'ListMFADevices':
        return list('MFADevices', []);
      case 'ListSigningCertificates':
        return list('Certificates', []);
      case 'ListSSHPublicKeys':
        return list('SSHPublicKeys', []);
      case 'ListServiceSpecificCredentials':
        return list('ServiceSpecificCredentials', []);
      default:
        return refusal(400, 'InvalidAction');
    }
  }

  return fake;
}
