/**
 * The AWS engine against moto, an AWS that is not ours: what it makes is really there, looked at with AWS's own client, and
 * really gone afterwards. moto checks no signatures; those are recomputed in the engine's own test.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { IAM } from '@aws-sdk/client-iam';
import { STS } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { aws } from '../../src/engines/aws/index.ts';
import { createDial } from '../../src/server/http/dial.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { freePort } from '../support/ports.ts';

/** The version that is installed where there is none. */
const MOTO = 'moto[server]==5.2.5';
const POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}';
const MANAGED = 'arn:aws:iam::aws:policy/ReadOnlyAccess';

/** HOLDFAST_MOTO, the PATH, or a folder of our own below the temporary one, into which pip installs it once. */
function findMoto(): string | undefined {
  const named = process.env['HOLDFAST_MOTO'];
  if (named !== undefined) return existsSync(named) ? named : undefined;
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const cache = join(tmpdir(), 'holdfast-moto');
  const known = [...folders, join(cache, 'bin')].map((folder) => join(folder, 'moto_server'));
  const found = known.find((path) => existsSync(path));
  if (found !== undefined) return found;
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const run = (command: string, args: string[]) =>
    spawnSync(command, args, { stdio: 'ignore', timeout: 300_000 }).status === 0;
  const isMade =
    run('python3', ['-m', 'venv', cache]) &&
    run(join(cache, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', MOTO]);
  return isMade ? join(cache, 'bin', 'moto_server') : undefined;
}

const moto = findMoto();
if (moto === undefined)
  console.warn(
    'SKIPPED test/real/aws: no moto_server on the PATH, HOLDFAST_MOTO names none, and python3 and pip could not install it',
  );

describe.skipIf(moto === undefined)('the AWS engine on moto', () => {
  let child: ChildProcess;
  let server: TestServer;
  let endpoint: string;
  let iam: IAM;
  let root: { access_key: string; secret_key: string };
  const clock = new ManualClock(Date.now());

  const ask = async (method: string, path: string, body?: object) => {
    const { status, json } = await server.ask(method, path, body);
    return { status, body: json };
  };
  const done = async (method: string, path: string, body?: object) => {
    const reply = await ask(method, path, body);
    expect(reply.status, JSON.stringify(reply.body)).toBeLessThan(300);
    return reply.body;
  };
  const clientOf = (credentials: {
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string;
  }) => ({
    endpoint,
    region: 'us-east-1',
    credentials,
  });
  const users = async () =>
    ((await iam.listUsers({})).Users ?? []).flatMap(({ UserName = '' }) =>
      UserName === 'engine' ? [] : UserName,
    );
  const configure = () =>
    done('POST', 'aws/config/root', { ...root, iam_endpoint: endpoint, sts_endpoint: endpoint });
  const eventually = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 30_000; !(await holds()); ) {
      if (Date.now() > end) throw new Error(`in vain: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  beforeAll(async () => {
    const port = await freePort();
    endpoint = `http://127.0.0.1:${port}`;
    child = spawn(moto ?? '', ['-H', '127.0.0.1', '-p', String(port)], {
      stdio: 'ignore',
      env: { ...process.env, MOTO_IAM_LOAD_MANAGED_POLICIES: 'true' },
    });
    await eventually('moto answers', () =>
      fetch(`${endpoint}/moto-api/`).then(
        () => true,
        () => false,
      ),
    );
    iam = new IAM(clientOf({ accessKeyId: 'AKIAADMIN', secretAccessKey: 'x' }));
    await iam.createUser({ UserName: 'engine' });
    const { AccessKey } = await iam.createAccessKey({ UserName: 'engine' });
    root = { access_key: AccessKey?.AccessKeyId ?? '', secret_key: AccessKey?.SecretAccessKey ?? '' };
    await iam.createGroup({ GroupName: 'devs' });
    await iam.putGroupPolicy({ GroupName: 'devs', PolicyName: 'inline', PolicyDocument: POLICY });
    server = await startServer([aws], {
      clock,
      dial: createDial({ target: (host, port) => ({ host, port }), allow: () => true }),
    });
    await done('POST', 'sys/mounts/aws', { type: 'aws' });
    await configure();
  });
  afterAll(async () => {
    await server?.close();
    child?.kill('SIGKILL');
  });

  test('sessions of each kind are what STS says they are', async () => {
    const { Role } = await iam.createRole({ RoleName: 'deploy', AssumeRolePolicyDocument: POLICY });
    await done('POST', 'aws/roles/assume', {
      credential_type: 'assumed_role',
      role_arns: Role?.Arn,
      session_tags: 'a=b',
      external_id: 'e',
    });
    await done('POST', 'aws/roles/fed', { credential_type: 'federation_token', iam_groups: 'devs' });
    await done('POST', 'aws/roles/own', { credential_type: 'session_token' });
    const whoIs = async (path: string, body?: object) => {
      const { data, lease_duration } = await done(body === undefined ? 'GET' : 'POST', `aws/${path}`, body);
      expect(lease_duration).toBeGreaterThan(890);
      expect(lease_duration).toBeLessThanOrEqual(3600);
      const credentials = {
        accessKeyId: data.access_key,
        secretAccessKey: data.secret_key,
        sessionToken: data.security_token,
      };
      return { arn: (await new STS(clientOf(credentials)).getCallerIdentity({})).Arn, data };
    };
    const assumed = await whoIs('creds/assume', { role_session_name: 'me', ttl: '15m' });
    expect(assumed.arn).toMatch(/:assumed-role\/deploy\/me$/);
    expect(assumed.data.arn).toBe(assumed.arn);
    expect((await whoIs('sts/fed')).data.security_token).toMatch(/\S{20}/);
    expect((await whoIs('sts/own')).data.security_token).toMatch(/\S{20}/);
  });

  test('an IAM user is there with all that its role says, acts as itself, and is gone with its lease', async () => {
    await done('POST', 'aws/roles/deploy', {
      credential_type: 'iam_user',
      policy_document: POLICY,
      policy_arns: MANAGED,
      iam_groups: 'devs',
      iam_tags: { team: 'web', odd: 'a=b &<>"é' },
      user_path: '/made/',
    });
    const { data, lease_id } = await done('GET', 'aws/creds/deploy');
    const [UserName = '', ...more] = await users();
    expect(more).toEqual([]);
    expect(UserName).toMatch(/^vault-root-deploy-/);
    const { User } = await iam.getUser({ UserName });
    expect(User?.Path).toBe('/made/');
    expect((await iam.listUserTags({ UserName })).Tags).toEqual(
      expect.arrayContaining([
        { Key: 'team', Value: 'web' },
        { Key: 'odd', Value: 'a=b &<>"é' },
      ]),
    );
    expect((await iam.listAttachedUserPolicies({ UserName })).AttachedPolicies).toMatchObject([
      { PolicyArn: MANAGED },
    ]);
    const inline = await iam.getUserPolicy({ UserName, PolicyName: 'deploy' });
    expect(decodeURIComponent(inline.PolicyDocument ?? '')).toBe(POLICY);
    expect((await iam.listGroupsForUser({ UserName })).Groups).toMatchObject([{ GroupName: 'devs' }]);
    const own = clientOf({ accessKeyId: data.access_key, secretAccessKey: data.secret_key });
    expect((await new STS(own).getCallerIdentity({})).Arn).toContain(`user/made/${UserName}`);

    await done('POST', 'sys/leases/revoke', { lease_id, sync: true });
    expect(await users()).toEqual([]);
    expect((await iam.getGroup({ GroupName: 'devs' })).Users ?? []).toEqual([]);
    expect((await iam.listAttachedUserPolicies({ UserName }).catch(({ name }) => name)) as unknown).toBe(
      'NoSuchEntityException',
    );
  });

  test('a user that was given more than its role says goes as well', async () => {
    const { lease_id } = await done('GET', 'aws/creds/deploy');
    const [UserName = ''] = await users();
    await iam.createLoginProfile({ UserName, Password: 'correct-Horse-1' });
    await iam.putUserPolicy({ UserName, PolicyName: 'more', PolicyDocument: POLICY });
    await iam.createAccessKey({ UserName });
    await done('POST', 'sys/leases/revoke', { lease_id, sync: true });
    expect(await users()).toEqual([]);
  });

  test('a policy that AWS does not take leaves no user', async () => {
    await done('POST', 'aws/roles/bad', {
      credential_type: 'iam_user',
      policy_document: '{"Version":"nope"}',
    });
    const { status, body } = await ask('GET', 'aws/creds/bad');
    expect(status).toBe(400);
    expect(body.errors[0]).toMatch(/^Error putting user policy: MalformedPolicyDocument$/);
    await eventually('no user is left', async () => {
      clock.advance(10_000);
      return (await users()).length === 0;
    });
  });

  test.each(['../../x', 'é ü', "a'; DROP", '<b>&amp;', 'a\u202eb', '%2e%2e', 'x'.repeat(300)])(
    'whoever is called %j gets a user with a name that AWS takes',
    async (display_name) => {
      const token = (await done('POST', 'auth/token/create', { display_name, policies: ['root'] })).auth;
      const reply = await server.ask('GET', 'aws/creds/deploy', undefined, {
        'x-vault-token': token.client_token,
      });
      expect(reply.status, reply.text).toBe(200);
      expect(
        (await users()).every((name) => /^vault-token-[\w+=,.@-]+$/.test(name) && name.length <= 64),
      ).toBe(true);
      await done('POST', 'sys/leases/revoke', { lease_id: reply.json.lease_id, sync: true });
      expect(await users()).toEqual([]);
    },
  );

  test('the key of the engine is rotated, and it is the only one', async () => {
    const { data } = await done('POST', 'aws/config/rotate-root', {});
    const keys = (await iam.listAccessKeys({ UserName: 'engine' })).AccessKeyMetadata ?? [];
    expect(keys.map(({ AccessKeyId }) => AccessKeyId)).toEqual([data.access_key]);
    expect(data.access_key).not.toBe(root.access_key);
    expect((await ask('GET', 'aws/creds/deploy')).status).toBe(200);
    await done('POST', 'sys/leases/revoke-prefix/aws/creds', {});
    await eventually('no user is left', async () => {
      clock.advance(10_000);
      return (await users()).length === 0;
    });
  });

  test('the keys of a user who exists are rotated, and hold', async () => {
    await iam.createUser({ UserName: 'bob' });
    const keys = async () =>
      ((await iam.listAccessKeys({ UserName: 'bob' })).AccessKeyMetadata ?? []).map(
        ({ AccessKeyId }) => AccessKeyId,
      );
    const { data: role } = await done('POST', 'aws/static-roles/bob', {
      username: 'bob',
      rotation_period: '1h',
    });
    expect(role.id).toBe((await iam.getUser({ UserName: 'bob' })).User?.UserId);
    const { data: first } = await done('GET', 'aws/static-creds/bob');
    expect(await keys()).toEqual([first.access_key]);
    let second = first;
    await eventually('a rotation', async () => {
      clock.advance(61_000);
      second = (await done('GET', 'aws/static-creds/bob')).data;
      return second.access_key !== first.access_key;
    });
    expect((await keys()).sort()).toEqual([first.access_key, second.access_key].sort());
    const own = clientOf({ accessKeyId: second.access_key, secretAccessKey: second.secret_key });
    expect((await new STS(own).getCallerIdentity({})).Arn).toMatch(/user\/bob$/);
    await done('DELETE', 'aws/static-roles/bob');
    expect(await keys()).toEqual([first.access_key]);
  });
});
