import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { silentLog } from '../../base/log.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { aws } from './index.ts';
import { type FakeAws, type FakeReply, type FakeUser, fakeAws, refusal } from './testing.ts';

const POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}';
const ADMIN_POLICY = 'arn:aws:iam::aws:policy/ReadOnlyAccess';
const ROLE = 'arn:aws:iam::123456789012:role/deploy';
const HOUR = 3600;

describe('the AWS engine', () => {
  let server: TestServer;
  let fake: FakeAws;
  let clock: ManualClock;
  let root: { accessKey: string; secretKey: string };
  const logged: unknown[] = [];
  const log: Log = {
    ...silentLog,
    warn: (message, facts) => logged.push(message, facts),
    error: (message, facts) => logged.push(message, facts),
    with: () => log,
  };

  const ask = async (method: string, path: string, body?: unknown) => {
    const { status, json } = await server.ask(method, path, body);
    return { status, body: json };
  };
  const write = async (path: string, body: object) => {
    const reply = await ask('POST', `aws/${path}`, body);
    expect(reply.status, JSON.stringify(reply.body)).toBeLessThan(300);
    return reply.body;
  };
  const revoke = (lease_id: string) => ask('POST', 'sys/leases/revoke', { lease_id, sync: true });
  const leases = async (path: string): Promise<string[]> =>
    (await ask('LIST', `sys/leases/lookup/aws/${path}`)).body?.data?.keys ?? [];
  const made = (): string[] => [...fake.users.keys()].filter((name) => name !== 'holdfast');
  const eventually = async (what: string, holds: () => Promise<boolean> | boolean): Promise<void> => {
    for (let left = 400; !(await holds()); left--) {
      if (left === 0) throw new Error(`in vain: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  beforeEach(async () => {
    logged.length = 0;
    clock = new ManualClock(Date.now());
    fake = fakeAws(() => clock.now());
    root = fake.admin('holdfast');
    fake.groups.set('devs', { inline: new Map(), attached: [] });
    server = await startServer([aws], { clock, log, dial: fake.dial });
    await ask('POST', 'sys/mounts/aws', { type: 'aws' });
    await write('config/root', { access_key: root.accessKey, secret_key: root.secretKey });
    return () => server.close();
  });

  describe('config/root', () => {
    test('is read back whole, but for the secret key', async () => {
      await write('config/root', {
        access_key: root.accessKey,
        secret_key: root.secretKey,
        region: 'eu-west-1',
        sts_endpoint: 'https://sts.example/',
        max_retries: '4',
      });
      const { body } = await ask('GET', 'aws/config/root');
      expect(body.data).toEqual({
        access_key: root.accessKey,
        iam_endpoint: '',
        identity_token_audience: '',
        identity_token_ttl: 0,
        max_retries: 4,
        region: 'eu-west-1',
        role_arn: '',
        sts_endpoint: 'https://sts.example',
        sts_fallback_endpoints: null,
        sts_fallback_regions: null,
        sts_region: '',
        username_template: expect.stringContaining('vault-%s-%s-%s'),
      });
      expect(JSON.stringify(body)).not.toContain(root.secretKey);
    });

    test('takes the place of what there was: nothing of the old one stays', async () => {
      await write('config/root', { ...key(), region: 'eu-west-1', max_retries: 2 });
      await write('config/root', key());
      const { body } = await ask('GET', 'aws/config/root');
      expect(body.data).toMatchObject({ region: '', max_retries: -1 });
    });

    const key = () => ({ access_key: root.accessKey, secret_key: root.secretKey });
    test.each([
      ['nothing', {}, /access_key and secret_key must both be given; none are taken from the environment/],
      ['no secret', { access_key: 'AKIAIOSFODNN7EXAMPLE' }, /must both be given/],
      ['an id that is none', { access_key: 'a/b', secret_key: 'x' }, /access_key is no id/],
      ['a secret with a line end', { access_key: 'AKIA0000', secret_key: 'a\nb' }, /secret_key holds/],
      ['a region that is a host', { region: 'evil.example/' }, /region is no name of a region/],
      ['an STS region that is none', { sts_region: 'x' }, /sts_region is no name of a region/],
      ['a region whose addresses nobody knows', { region: 'us-iso-east-1' }, /name it as iam_endpoint/],
      ['an endpoint without TLS', { iam_endpoint: 'http://10.0.0.1' }, /iam_endpoint must be an https URL/],
      ['an endpoint with a user', { sts_endpoint: 'https://a:b@x' }, /sts_endpoint must be an https URL/],
      ['an endpoint that is a file', { sts_endpoint: 'file:///etc/passwd' }, /must be an https URL/],
      ['too many retries', { max_retries: 1000 }, /max_retries must be from -1 to 10/],
      ['an assumed role', { role_arn: ROLE }, /role_arn is not known to this server/],
      ['an identity token', { identity_token_audience: 'x' }, /identity_token_audience is not known/],
      ['a schedule', { rotation_schedule: '* * * * *' }, /rotation_schedule is not known/],
      [
        'a template that is none',
        { username_template: '{{ nope }}' },
        /^unable to initialize username template/,
      ],
      ['a template of one name', { username_template: 'always' }, /the same name each time/],
      ['a template with a stray if', { username_template: '{{ if .X }}{{uuid}}' }, /^unable to initialize/],
    ])('refuses %s', async (_, given, message) => {
      const isWhole = 'access_key' in given || Object.keys(given).length === 0;
      const { status, body } = await ask('POST', 'aws/config/root', isWhole ? given : { ...key(), ...given });
      expect(status).toBe(400);
      expect(body.errors[0]).toMatch(message);
    });

    test('that leads where the server may not go is refused when it is written', async () => {
      const asked: string[] = [];
      const other = await startServer([aws], {
        mayReach: async (url) => {
          asked.push(url);
          return !url.includes('sts');
        },
      });
      await other.ask('POST', 'sys/mounts/aws', { type: 'aws' });
      const reply = await other.ask('POST', 'aws/config/root', { ...key(), region: 'eu-central-1' });
      await other.close();
      expect(reply.status).toBe(400);
      expect(reply.json.errors[0]).toMatch(
        /^sts\.eu-central-1\.amazonaws\.com:443 is not allowed by the egress/,
      );
      expect(asked).toEqual(['https://iam.amazonaws.com', 'https://sts.eu-central-1.amazonaws.com']);
    });

    test('is there before anything is asked of AWS', async () => {
      await ask('POST', 'sys/mounts/other', { type: 'aws' });
      expect((await ask('GET', 'other/config/root')).status).toBe(404);
      await ask('POST', 'other/roles/r', { credential_type: 'iam_user' });
      const { status, body } = await ask('GET', 'other/creds/r');
      expect(status).toBe(400);
      expect(body.errors[0]).toMatch(/^no configuration found for config\/root/);
    });
  });

  describe('where AWS is', () => {
    test.each([
      ['', '', 'iam.amazonaws.com', 'us-east-1', 'sts.us-east-1.amazonaws.com', 'us-east-1'],
      ['eu-west-1', '', 'iam.amazonaws.com', 'us-east-1', 'sts.eu-west-1.amazonaws.com', 'eu-west-1'],
      [
        'eu-west-1',
        'ap-south-1',
        'iam.amazonaws.com',
        'us-east-1',
        'sts.ap-south-1.amazonaws.com',
        'ap-south-1',
      ],
      [
        'us-gov-east-1',
        '',
        'iam.us-gov.amazonaws.com',
        'us-gov-west-1',
        'sts.us-gov-east-1.amazonaws.com',
        'us-gov-east-1',
      ],
      [
        'cn-north-1',
        '',
        'iam.cn-north-1.amazonaws.com.cn',
        'cn-north-1',
        'sts.cn-north-1.amazonaws.com.cn',
        'cn-north-1',
      ],
    ])('for region "%s" and STS region "%s"', async (region, sts_region, iam, iamRegion, sts, stsRegion) => {
      await write('config/root', {
        access_key: root.accessKey,
        secret_key: root.secretKey,
        region,
        sts_region,
      });
      await write('roles/user', { credential_type: 'iam_user', policy_document: POLICY });
      await write('roles/session', { credential_type: 'assumed_role', role_arns: ROLE });
      expect((await ask('GET', 'aws/creds/user')).status).toBe(200);
      expect((await ask('GET', 'aws/sts/session')).status).toBe(200);
      const seen = fake.requests.map(({ service, host, region: signed }) => `${service} ${host} ${signed}`);
      expect(new Set(seen)).toEqual(new Set([`iam ${iam} ${iamRegion}`, `sts ${sts} ${stsRegion}`]));
    });

    test('an endpoint of its own is asked at its own path, for the region that is configured', async () => {
      await write('config/root', {
        access_key: root.accessKey,
        secret_key: root.secretKey,
        region: 'us-iso-east-1',
        iam_endpoint: 'http://127.0.0.1:5000/iam',
        sts_endpoint: 'https://sts.example:8443',
      });
      await write('roles/user', { credential_type: 'iam_user' });
      await write('roles/session', { credential_type: 'assumed_role', role_arns: ROLE });
      expect((await ask('GET', 'aws/creds/user')).status).toBe(200);
      expect((await ask('GET', 'aws/creds/session')).status).toBe(200);
      const seen = fake.requests.map(({ service, host, region }) => `${service} ${host} ${region}`);
      expect(new Set(seen)).toEqual(
        new Set(['iam 127.0.0.1:5000 us-iso-east-1', 'sts sts.example:8443 us-iso-east-1']),
      );
    });

    describe('the environment of the server', () => {
      const HOSTILE: Record<string, string> = {
        AWS_ACCESS_KEY_ID: 'AKIAENVIRONMENT',
        AWS_SECRET_ACCESS_KEY: 'x',
        AWS_SESSION_TOKEN: 'x',
        AWS_ENDPOINT_URL: 'http://evil.example',
        AWS_ENDPOINT_URL_IAM: 'http://evil.example',
        AWS_ENDPOINT_URL_STS: 'http://evil.example',
        AWS_REGION: 'cn-north-1',
        AWS_USE_FIPS_ENDPOINT: 'true',
        AWS_USE_DUALSTACK_ENDPOINT: 'true',
        AWS_MAX_ATTEMPTS: '1',
        AWS_RETRY_MODE: 'adaptive',
        AWS_CONFIG_FILE: '/nonexistent/canary',
      };
      const before: Record<string, string | undefined> = {};
      beforeAll(() => {
        for (const [name, value] of Object.entries(HOSTILE)) {
          before[name] = process.env[name];
          process.env[name] = value;
        }
      });
      afterAll(() => {
        for (const [name, value] of Object.entries(before))
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
      });

      test('has no say in who asks, where and how often', async () => {
        let failures = 0;
        fake.between = ({ action }) =>
          action === 'TagUser' && failures++ < 2 ? refusal(503, 'ServiceUnavailable') : undefined;
        await write('roles/user', { credential_type: 'iam_user', iam_tags: ['a=b'] });
        expect((await ask('GET', 'aws/creds/user')).status).toBe(200);
        expect(failures).toBe(3);
        for (const { host, accessKey, region } of fake.requests)
          expect({ host, accessKey, region }).toEqual({
            host: 'iam.amazonaws.com',
            accessKey: root.accessKey,
            region: 'us-east-1',
          });
      });
    });
  });

  describe('an IAM user', () => {
    beforeEach(() =>
      write('roles/deploy', {
        credential_type: 'iam_user',
        policy_document: `\n${POLICY.replaceAll(':', ' : ').replace('ec2 : *', 'ec2:*')}\n`,
        policy_arns: [ADMIN_POLICY, `${ADMIN_POLICY}2`, `${ADMIN_POLICY}3`],
        iam_groups: 'devs',
        iam_tags: ['team=web', 'cost=a=b'],
        user_path: '/made/by/',
        permissions_boundary_arn: 'arn:aws:iam::aws:policy/Boundary',
      }),
    );

    test('has all that its role says, and a key of its own', async () => {
      const { status, body } = await ask('GET', 'aws/creds/deploy');
      expect(status).toBe(200);
      expect(body.renewable).toBe(true);
      expect(body.lease_id).toMatch(/^aws\/creds\/deploy\/\w{24}$/);
      const [name = ''] = made();
      expect(name).toMatch(/^vault-root-deploy-\d{10}-\w{20}$/);
      const user = fake.users.get(name);
      expect(user?.keys.get(body.data.access_key)?.secret).toBe(body.data.secret_key);
      expect(body.data).toMatchObject({ security_token: null, session_token: null });
      expect(user).toMatchObject({ path: '/made/by/', boundary: 'arn:aws:iam::aws:policy/Boundary' });
      expect([...(user?.inline ?? [])]).toEqual([['deploy', POLICY]]);
      expect([...(user?.attached ?? [])]).toHaveLength(3);
      expect([...(user?.groups ?? [])]).toEqual(['devs']);
      expect(Object.fromEntries(user?.tags ?? [])).toEqual({ team: 'web', cost: 'a=b' });
    });

    test('goes with its lease, with everything that it was given', async () => {
      const { body } = await ask('POST', 'aws/creds/deploy', {});
      expect(made()).toHaveLength(1);
      expect((await revoke(body.lease_id)).status).toBe(204);
      expect(made()).toEqual([]);
      expect(await leases('creds/deploy')).toEqual([]);
    });

    test('that gave itself a password goes as well', async () => {
      const { body } = await ask('GET', 'aws/creds/deploy');
      const user = fake.users.get(made()[0] ?? '');
      if (user !== undefined) user.hasLogin = true;
      expect((await revoke(body.lease_id)).status).toBe(204);
      expect(made()).toEqual([]);
    });

    test('lives and is renewed as config/lease says', async () => {
      expect((await ask('GET', 'aws/config/lease')).status).toBe(404);
      await write('config/lease', { lease: '30m', lease_max: '1h' });
      expect((await ask('GET', 'aws/config/lease')).body.data).toEqual({
        lease: '30m0s',
        lease_max: '1h0m0s',
      });
      const { body } = await ask('GET', 'aws/creds/deploy');
      expect(body.lease_duration).toBe(1800);
      clock.advance(45 * 60_000 - 16 * 60_000);
      const again = await ask('POST', 'sys/leases/renew', { lease_id: body.lease_id });
      expect(again.body.lease_duration).toBe(1800);
      clock.advance(20 * 60_000);
      const last = await ask('POST', 'sys/leases/renew', { lease_id: body.lease_id, increment: 7200 });
      expect(last.body.lease_duration).toBe(11 * 60);
    });

    test.each([
      [{}, "'lease' is a required parameter"],
      [{ lease: '1h' }, "'lease_max' is a required parameter"],
      [{ lease: 'soon', lease_max: '1h' }, /^Invalid lease: /],
      [{ lease: '1h', lease_max: '-1h' }, /^Invalid lease_max: /],
    ])('config/lease refuses %j', async (given, message) => {
      const { status, body } = await ask('POST', 'aws/config/lease', given);
      expect(status).toBe(400);
      expect(body.errors[0]).toMatch(message);
    });

    test('bears a name as the template says, whoever asks', async () => {
      await write('config/root', {
        access_key: root.accessKey,
        secret_key: root.secretKey,
        username_template:
          '\n{{ if eq .Type "STS" }}sts-{{ random 20 }}{{ else }}x-{{ .DisplayName | truncate 30 }}-{{ .PolicyName }}-{{ random 8 }}{{ end }}\n',
      });
      await ask('POST', 'sys/auth/approle', { type: 'approle' });
      const token = await ask('POST', 'auth/token/create', {
        display_name: 'a/../b?c=1&<x>\u202e\n%00é',
        policies: ['root'],
      });
      const { status } = await server.ask('GET', 'aws/creds/deploy', undefined, {
        'x-vault-token': token.body.auth.client_token,
      });
      expect(status).toBe(200);
      expect(made()[0]).toMatch(/^x-token-[\w+=,.@-]+-deploy-\w{8}$/);
    });

    test('whose template makes too long a name is not made', async () => {
      await write('config/root', {
        access_key: root.accessKey,
        secret_key: root.secretKey,
        username_template: '{{ random 60 }}{{ .PolicyName }}',
      });
      const { status, body } = await ask('GET', 'aws/creds/deploy');
      expect(status).toBe(500);
      expect(body.errors[0]).toMatch(
        /^the username generated by the template exceeds the IAM username length limits of 64 chars/,
      );
      expect(fake.requests).toEqual([]);
    });
  });

  describe('where the conversation with AWS breaks', () => {
    const STEPS = [
      'CreateUser',
      'AttachUserPolicy',
      'PutUserPolicy',
      'AddUserToGroup',
      'TagUser',
      'CreateAccessKey',
    ];
    const HOWS = [
      'lost on the way there',
      'done, but the answer is lost',
      'refused',
      'failed',
      'garbled',
    ] as const;
    const lost = () => failure('dial.unreachable', { host: 'h', port: 1, reason: 'no answer in time' });
    beforeEach(() =>
      write('roles/broken', {
        credential_type: 'iam_user',
        policy_document: POLICY,
        policy_arns: ADMIN_POLICY,
        iam_groups: 'devs',
        iam_tags: 'a=b',
      }),
    );
    /** Lets the time pass in which a user may still come to be seen. */
    const settled = (): Promise<void> => {
      fake.between = undefined;
      return eventually('the lease is gone', async () => {
        clock.advance(30_000);
        return (await leases('creds/broken')).length === 0;
      });
    };

    test.each(STEPS.flatMap((step) => HOWS.map((how) => [step, how] as const)))(
      'at %s: %s, no user is left and no lease stays',
      async (step, how) => {
        fake.between = ({ action }, real): FakeReply | undefined => {
          if (action !== step) return undefined;
          if (how === 'refused') return refusal(403, 'AccessDenied', `secret ${root.secretKey}`);
          if (how === 'failed') return refusal(500, 'ServiceFailure');
          if (how === 'garbled') return { status: 200, body: Buffer.from('<a><b>') };
          if (how === 'done, but the answer is lost') real();
          throw lost();
        };
        const { status, body } = await ask('GET', 'aws/creds/broken');
        // What an answer to a request that gives nothing back holds is nobody's business.
        const isBlind = how === 'garbled' && step !== 'CreateAccessKey';
        if (!isBlind) {
          expect(status).toBe(how === 'refused' ? 400 : 503);
          if (how === 'refused') expect(body.errors[0]).toMatch(/^Error [a-zA-Z ]+: AccessDenied$/);
          expect(JSON.stringify(body)).not.toContain(root.secretKey);
          await settled();
        } else if (status === 200) {
          fake.between = undefined;
          await revoke(body.lease_id);
        } else await settled();
        expect(made()).toEqual([]);
        expect(JSON.stringify(logged)).not.toContain(root.secretKey);
      },
    );

    const ENDS = [
      'ListAccessKeys',
      'DeleteAccessKey',
      'ListAttachedUserPolicies',
      'DetachUserPolicy',
      'ListUserPolicies',
      'DeleteUserPolicy',
      'ListGroupsForUser',
      'RemoveUserFromGroup',
      'DeleteUser',
    ];
    test.each(ENDS.flatMap((step) => HOWS.slice(0, 4).map((how) => [step, how] as const)))(
      'while a user is taken back, at %s: %s, it is tried again until it is gone',
      async (step, how) => {
        const { body } = await ask('GET', 'aws/creds/broken');
        expect(made()).toHaveLength(1);
        fake.between = ({ action }, real): FakeReply | undefined => {
          if (action !== step) return undefined;
          if (how === 'refused') return refusal(403, 'AccessDenied');
          if (how === 'failed') return refusal(500, 'ServiceFailure');
          if (how === 'done, but the answer is lost') real();
          throw lost();
        };
        const { status } = await revoke(body.lease_id);
        expect(status).toBeGreaterThanOrEqual(400);
        expect(await leases('creds/broken')).toHaveLength(1);
        await settled();
        expect(made()).toEqual([]);
      },
    );

    test('a user of somebody else that bears the name is not touched', async () => {
      let name = '';
      fake.between = ({ action, form }) => {
        if (action === 'CreateUser') {
          name = form.get('UserName') ?? '';
          fake.admin(name);
        }
        return undefined;
      };
      const { status, body } = await ask('GET', 'aws/creds/broken');
      expect(status).toBe(400);
      expect(body.errors[0]).toBe('Error creating IAM user: EntityAlreadyExists');
      await settled();
      expect(made()).toEqual([name]);
      expect(fake.users.get(name)?.keys.size).toBe(1);
    });

    test('a user that is found to exist at the second try is the one of the first', async () => {
      let tries = 0;
      fake.between = ({ action }, real) => {
        if (action !== 'CreateUser' || tries++ > 0) return undefined;
        real();
        return refusal(503, 'ServiceUnavailable');
      };
      const { body } = await ask('GET', 'aws/creds/broken');
      expect(body.errors[0]).toBe('Error creating IAM user: EntityAlreadyExists');
      expect(tries).toBe(2);
      await settled();
      expect(made()).toEqual([]);
    });

    test('a user that AWS does not show yet is not forgotten', async () => {
      const { body } = await ask('GET', 'aws/creds/broken');
      fake.between = ({ action }) => (action.startsWith('List') ? refusal(404, 'NoSuchEntity') : undefined);
      const { status, body: told } = await revoke(body.lease_id);
      expect(status).toBe(503);
      expect(told.errors[0]).toMatch(/^AWS knows of no user vault-root-broken-/);
      fake.between = undefined;
      expect((await revoke(body.lease_id)).status).toBe(204);
      expect(made()).toEqual([]);
    });

    test('a user that was deleted by hand is done with after a while', async () => {
      const { body } = await ask('GET', 'aws/creds/broken');
      fake.users.delete(made()[0] ?? '');
      clock.advance(300_000);
      expect((await revoke(body.lease_id)).status).toBe(204);
    });

    test('a lease that is revoked while its user is made leaves none', async () => {
      let revoking: ReturnType<typeof revoke> | undefined;
      fake.between = async ({ action }) => {
        if (revoking === undefined && action === 'AttachUserPolicy') {
          const [id = ''] = await leases('creds/broken');
          revoking = revoke(`aws/creds/broken/${id}`);
          // Long enough for a revocation that does not wait to be through.
          await Promise.race([revoking, new Promise((resolve) => setTimeout(resolve, 300))]);
        }
        return undefined;
      };
      await ask('GET', 'aws/creds/broken');
      expect((await revoking)?.status).toBe(204);
      expect(made()).toEqual([]);
    });

    test('what AWS has too much of is told as something to try again, after a few tries', async () => {
      let tries = 0;
      fake.between = ({ action }) => {
        if (action !== 'TagUser') return undefined;
        tries++;
        return refusal(400, 'Throttling', 'Rate exceeded');
      };
      const { status, body } = await ask('GET', 'aws/creds/broken');
      expect(status).toBe(503);
      expect(body.errors[0]).toMatch(/^Error adding tags to user: Throttling/);
      expect(tries).toBe(3);
    });

    test('max_retries says how often is tried again', async () => {
      await write('config/root', { access_key: root.accessKey, secret_key: root.secretKey, max_retries: 0 });
      let tries = 0;
      fake.between = ({ action }) => {
        if (action !== 'TagUser') return undefined;
        tries++;
        return refusal(503, 'ServiceUnavailable');
      };
      expect((await ask('GET', 'aws/creds/broken')).status).toBe(503);
      expect(tries).toBe(1);
    });

    test.each([-3_600_000, 3_600_000])(
      'a clock that is wrong by %i ms is corrected by that of AWS',
      async (ms) => {
        fake.aheadMs = ms;
        expect((await ask('GET', 'aws/creds/broken')).status).toBe(200);
        expect(made()).toHaveLength(1);
      },
    );

    test('a key that AWS does not know is told as such', async () => {
      await write('config/root', { access_key: root.accessKey, secret_key: 'another' });
      const { status, body } = await ask('GET', 'aws/creds/broken');
      expect(status).toBe(400);
      expect(body.errors[0]).toMatch(/^Error creating IAM user: SignatureDoesNotMatch/);
    });

    test.each([
      [
        'an error with a name that is none',
        403,
        '<ErrorResponse><Error><Code>a b\u001b[31m</Code></Error></ErrorResponse>',
      ],
      ['HTML', 403, '<html><body>proxy says no</body></html>'],
      ['nothing', 403, ''],
      ['bytes', 403, '\xff\x00\x01'],
      [
        'entities',
        403,
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ErrorResponse><Error><Code>&a;</Code></Error></ErrorResponse>',
      ],
      ['a thousand levels', 200, '<a>'.repeat(1000)],
    ])('an answer of %s is told without its text', async (_, status, text) => {
      fake.between = ({ action }) =>
        action === 'CreateUser' ? { status, body: Buffer.from(text, 'latin1') } : undefined;
      const { status: told, body } = await ask('GET', 'aws/creds/broken');
      if (told === 200) {
        expect(body.data.access_key).toMatch(/^AKIA/);
        return;
      }
      expect([400, 503]).toContain(told);
      expect(body.errors[0]).toMatch(/^Error (creating IAM|attaching) user( policy)?: [\w .]+(: |$|\n|,)?/);
      for (const text of ['\u001b', 'proxy', 'root:', '<a>']) expect(body.errors[0]).not.toContain(text);
    });
  });

  describe('a session', () => {
    const form = (action: string) =>
      Object.fromEntries(fake.requests.find((request) => request.action === action)?.form ?? []);

    test('of an assumed role is as the role says, and its lease ends with it', async () => {
      await write('roles/assume', {
        credential_type: 'assumed_role',
        role_arns: [ROLE],
        policy_document: POLICY,
        policy_arns: ADMIN_POLICY,
        external_id: 'ext',
        session_tags: { team: 'web' },
        default_sts_ttl: '20m',
        max_sts_ttl: '40m',
      });
      const { status, body } = await ask('GET', 'aws/creds/assume');
      expect(status).toBe(200);
      expect(body).toMatchObject({ lease_duration: 1200, renewable: false });
      expect(body.data).toMatchObject({
        access_key: expect.stringMatching(/^ASIA/),
        secret_key: 'session secret',
        security_token: 'session token',
        session_token: 'session token',
        arn: expect.stringMatching(
          /^arn:aws:sts::123456789012:assumed-role\/deploy\/vault-root-assume-\d+-\w+$/,
        ),
        ttl: 1200,
      });
      expect(form('AssumeRole')).toMatchObject({
        DurationSeconds: '1200',
        RoleArn: ROLE,
        Policy: POLICY,
        'PolicyArns.member.1.arn': ADMIN_POLICY,
        ExternalId: 'ext',
        'Tags.member.1.Key': 'team',
        'Tags.member.1.Value': 'web',
      });
      expect((await ask('POST', 'sys/leases/renew', { lease_id: body.lease_id })).status).toBe(400);
      fake.requests.length = 0;
      expect((await revoke(body.lease_id)).status).toBe(204);
      expect(fake.requests).toEqual([]);
    });

    test('lives as long as is asked for, up to what the role, or the mount, allows', async () => {
      await write('roles/assume', { credential_type: 'assumed_role', role_arns: ROLE, max_sts_ttl: '40m' });
      expect((await ask('POST', 'aws/sts/assume', { ttl: '15m' })).body.lease_duration).toBe(900);
      expect((await ask('GET', 'aws/sts/assume?ttl=2h')).body.lease_duration).toBe(2400);
      await write('roles/assume', { max_sts_ttl: 0 });
      expect((await ask('GET', 'aws/sts/assume')).body.lease_duration).toBe(HOUR);
      await ask('POST', 'sys/mounts/aws/tune', { max_lease_ttl: '50m' });
      expect((await ask('GET', 'aws/sts/assume?ttl=2h')).body.lease_duration).toBe(3000);
      expect((await ask('GET', 'aws/sts/assume?ttl=-1')).status).toBe(400);
    });

    test('that AWS cuts short is told as it is', async () => {
      await write('roles/assume', { credential_type: 'assumed_role', role_arns: ROLE });
      fake.between = (_, real) => {
        const at = clock.now();
        const text = Buffer.from(real().body)
          .toString()
          .replace(/<Expiration>[^<]*/, `<Expiration>${new Date(at + 60_000).toISOString()}`);
        return { status: 200, body: Buffer.from(text) };
      };
      const { body } = await ask('GET', 'aws/sts/assume');
      expect(body).toMatchObject({ lease_duration: 60, data: { ttl: 60 } });
    });

    test('is of one of the roles that are allowed, which must be named where there are more', async () => {
      await write('roles/many', { credential_type: 'assumed_role', role_arns: [ROLE, `${ROLE}2`] });
      const first = await ask('GET', 'aws/creds/many');
      expect(first.body.errors).toEqual(['did not supply a role_arn parameter and unable to determine one']);
      const second = await ask('POST', 'aws/creds/many', { role_arn: `${ROLE}3` });
      expect(second.body.errors).toEqual([
        `role_arn "${ROLE}3" not in allowed role arns for Vault role "many"`,
      ]);
      const third = await ask('POST', 'aws/creds/many', {
        role_arn: `${ROLE}2`,
        role_session_name: 'me & you',
      });
      expect(third.status).toBe(200);
      expect(form('AssumeRole')).toMatchObject({ RoleArn: `${ROLE}2`, RoleSessionName: 'me___you' });
      expect(await leases('creds/many')).toHaveLength(1);
    });

    test('of a federated user is never without a filter', async () => {
      await write('roles/fed', { credential_type: 'federation_token' });
      const { status, body } = await ask('GET', 'aws/sts/fed');
      expect(status).toBe(400);
      expect(body.errors).toEqual([
        'must specify at least one of policy_arns or policy_document with federation_token credential_type',
      ]);
      expect(fake.requests).toEqual([]);
      await write('roles/fed', { policy_document: POLICY });
      const given = await ask('GET', 'aws/sts/fed');
      expect(given.body.data).toMatchObject({ security_token: 'session token', ttl: HOUR });
      expect(form('GetFederationToken')).toMatchObject({
        Name: expect.stringMatching(/^vault-\d{10}-\w{15}$/),
        Policy: POLICY,
      });
    });

    test('borrows the rights of groups, over as many pages as they fill', async () => {
      const statement = (n: number) => `{"Effect":"Allow","Action":"s3:${n}","Resource":"*"}`;
      fake.groups.set('devs', {
        inline: new Map([
          ['one', `{"Version":"2012-10-17","Statement":[${statement(1)},${statement(2)}]}`],
          ['two', `{"Statement":${statement(3)}}`],
          ['three', `{"Statement":[${statement(4)}]}`],
        ]),
        attached: ['arn:aws:iam::aws:policy/a', 'arn:aws:iam::aws:policy/b', 'arn:aws:iam::aws:policy/c'],
      });
      await write('roles/fed', {
        credential_type: 'federation_token',
        iam_groups: 'devs',
        policy_document: POLICY,
        policy_arns: ADMIN_POLICY,
      });
      expect((await ask('GET', 'aws/sts/fed')).status).toBe(200);
      const sent = form('GetFederationToken');
      expect(
        JSON.parse(sent['Policy'] ?? '').Statement.map(({ Action }: { Action: string }) => Action),
      ).toEqual(['s3:1', 's3:2', 's3:3', 's3:4', 'ec2:*']);
      expect(Object.keys(sent).filter((name) => name.startsWith('PolicyArns'))).toHaveLength(4);
    });

    test('of the engine itself asks for the code of the device where the role names one', async () => {
      await write('roles/own', {
        credential_type: 'session_token',
        mfa_serial_number: 'arn:aws:iam::1:mfa/device',
      });
      const { status, body } = await ask('POST', 'aws/creds/own', { mfa_code: '123456' });
      expect(status).toBe(200);
      expect(body.data.security_token).toBe('session token');
      expect(form('GetSessionToken')).toMatchObject({
        SerialNumber: 'arn:aws:iam::1:mfa/device',
        TokenCode: '123456',
        DurationSeconds: '3600',
      });
    });

    test('that was refused leaves no lease', async () => {
      await write('roles/assume', { credential_type: 'assumed_role', role_arns: ROLE });
      fake.between = () => refusal(403, 'AccessDenied', root.secretKey);
      const { status, body } = await ask('GET', 'aws/sts/assume');
      expect({ status, errors: body.errors }).toEqual({
        status: 400,
        errors: ['Error assuming role: AccessDenied'],
      });
      await eventually('the lease is gone', async () => {
        clock.advance(10_000);
        return (await leases('sts/assume')).length === 0;
      });
    });
  });

  describe('a role', () => {
    test('is read back as it was written, changed in part, listed and deleted', async () => {
      await write('roles/one', {
        credential_type: ['iam_user'],
        policy_document: '{ "Statement" : [] }',
        iam_tags: { a: 'b' },
      });
      await write('roles/one', { user_path: '/x/' });
      expect((await ask('GET', 'aws/roles/one')).body.data).toEqual({
        credential_type: 'iam_user',
        default_sts_ttl: 0,
        external_id: '',
        iam_groups: null,
        iam_tags: { a: 'b' },
        max_sts_ttl: 0,
        mfa_serial_number: '',
        permissions_boundary_arn: '',
        policy_arns: null,
        policy_document: '{"Statement":[]}',
        role_arns: null,
        session_tags: null,
        user_path: '/x/',
      });
      expect((await ask('LIST', 'aws/roles')).body.data.keys).toEqual(['one']);
      expect((await ask('DELETE', 'aws/roles/one')).status).toBe(204);
      expect((await ask('GET', 'aws/roles/one')).status).toBe(404);
      expect((await ask('LIST', 'aws/roles')).status).toBe(404);
      const { status, body } = await ask('GET', 'aws/creds/one');
      expect({ status, errors: body.errors }).toEqual({ status: 400, errors: ['Role "one" not found'] });
    });

    test.each([
      [{}, 'did not supply credential_type'],
      [{ credential_type: 'admin' }, 'unrecognized credential type: admin'],
      [
        { credential_type: 'iam_user', role_arns: ROLE },
        "cannot supply role_arns when credential_type isn't assumed_role",
      ],
      [
        { credential_type: 'iam_user', external_id: 'x' },
        "cannot supply external_id when credential_type isn't assumed_role",
      ],
      [
        { credential_type: 'iam_user', session_tags: 'a=b' },
        "cannot supply session_tags when credential_type isn't assumed_role",
      ],
      [
        { credential_type: 'iam_user', mfa_serial_number: 'x' },
        "cannot supply mfa_serial_number when credential_type isn't session_token",
      ],
      [
        { credential_type: 'iam_user', default_sts_ttl: '1h' },
        'default_sts_ttl parameter only valid for assumed_role, federation_token, and session_token credential types',
      ],
      [
        { credential_type: 'assumed_role', user_path: '/x/' },
        'user_path parameter only valid for iam_user credential type',
      ],
      [{ credential_type: 'iam_user', user_path: 'x' }, 'The specified value for user_path is invalid.'],
      [
        { credential_type: 'iam_user', permissions_boundary_arn: ROLE },
        'invalid permissions_boundary_arn parameter',
      ],
      [
        { credential_type: 'assumed_role', default_sts_ttl: '2h', max_sts_ttl: '1h' },
        '"default_sts_ttl" value must be less than or equal to "max_sts_ttl" value',
      ],
      [{ credential_type: 'iam_user', policy_document: '{' }, 'cannot parse policy document'],
      [{ credential_type: 'iam_user', policy_document: '[]' }, 'cannot parse policy document'],
      [{ credential_type: 'iam_user', policy_document: '{"a":1}{' }, 'cannot parse policy document'],
      [{ credential_type: 'iam_user', policy_arns: 'nope' }, 'an ARN is malformed'],
      [{ policy: POLICY, arn: ROLE }, 'only one of policy or arn should be provided'],
      [
        { policy: POLICY, credential_type: 'iam_user' },
        'cannot supply deprecated role or policy parameters with an explicit credential_type',
      ],
      [{ arn: ROLE, max_sts_ttl: 1 }, 'cannot supply deprecated role or policy parameters with max_sts_ttl'],
      [{ arn: 'arn:aws:s3:::bucket' }, 'arn names neither a role nor a policy'],
    ])('%j is refused', async (given, message) => {
      const { status, body } = await ask('POST', 'aws/roles/bad', given);
      expect(status).toBe(400);
      expect(body.errors[0]).toContain(message);
    });

    test('of old makes users where creds is asked, and sessions where sts is', async () => {
      expect((await write('roles/old', { policy: POLICY })).warnings).toEqual([
        'Detected use of legacy role or policy parameter. Please upgrade to use the new parameters.',
      ]);
      expect((await ask('GET', 'aws/roles/old')).body.data.credential_type).toBe('iam_user,federation_token');
      expect((await ask('GET', 'aws/creds/old')).body.data.security_token).toBeNull();
      expect((await ask('GET', 'aws/sts/old')).body.data.security_token).toBe('session token');
      await write('roles/managed', { arn: ADMIN_POLICY });
      expect((await ask('GET', 'aws/sts/managed')).body.errors).toEqual([
        'attempted to retrieve iam_user credentials through the sts path; this is not allowed for legacy roles',
      ]);
      await write('roles/assumed', { arn: ROLE });
      expect((await ask('GET', 'aws/creds/assumed')).body.errors).toEqual([
        'attempted to retrieve assumed_role credentials through the creds path; this is not allowed for legacy roles',
      ]);
    });

    test.each(['a b', '-a', 'a%20b', 'a'.repeat(200)])('cannot be named %j', async (name) => {
      const { status } = await ask('POST', `aws/roles/${encodeURIComponent(name)}`, {
        credential_type: 'iam_user',
      });
      expect(status).toBe(400);
    });
  });

  describe('config/rotate-root', () => {
    const keys = () => [...(fake.users.get('holdfast')?.keys.keys() ?? [])];
    const config = async () => (await ask('GET', 'aws/config/root')).body.data.access_key;

    test('leaves one key, which nobody else knows, and the engine works on', async () => {
      const { status, body } = await ask('POST', 'aws/config/rotate-root', {});
      expect(status).toBe(200);
      expect(Object.keys(body.data)).toEqual(['access_key']);
      expect(body.data.access_key).not.toBe(root.accessKey);
      expect(keys()).toEqual([body.data.access_key]);
      expect(await config()).toBe(body.data.access_key);
      await write('roles/r', { credential_type: 'iam_user' });
      expect((await ask('GET', 'aws/creds/r')).status).toBe(200);
    });

    test('with a second key of the user says what to do, and changes nothing', async () => {
      fake.admin('holdfast');
      const { status, body } = await ask('POST', 'aws/config/rotate-root', {});
      expect(status).toBe(400);
      expect(body.errors[0]).toMatch(/^error calling CreateAccessKey: LimitExceeded/);
      expect(await config()).toBe(root.accessKey);
    });

    test('whose old key could not be deleted works, and deletes it later', async () => {
      fake.between = ({ action }) =>
        action === 'DeleteAccessKey' ? refusal(500, 'ServiceFailure') : undefined;
      const { status, body } = await ask('POST', 'aws/config/rotate-root', {});
      expect(status).toBe(200);
      expect(keys()).toHaveLength(2);
      fake.between = undefined;
      await eventually('the old key is gone', () => {
        clock.advance(61_000);
        return keys().length === 1;
      });
      expect(keys()).toEqual([body.data.access_key]);
      expect(await config()).toBe(body.data.access_key);
    });

    test('that is overtaken by another configuration deletes the key that it made', async () => {
      fake.between = async ({ action }, real) => {
        if (action !== 'CreateAccessKey') return undefined;
        fake.between = undefined;
        const reply = real();
        await write('config/root', {
          access_key: root.accessKey,
          secret_key: root.secretKey,
          max_retries: 1,
        });
        return reply;
      };
      const { status } = await ask('POST', 'aws/config/rotate-root', {});
      expect(status).toBeGreaterThanOrEqual(400);
      expect(keys()).toEqual([root.accessKey]);
      expect(await config()).toBe(root.accessKey);
    });
  });

  describe('a static role', () => {
    const keys = () => [...(fake.users.get('bob')?.keys.keys() ?? [])];
    const creds = async () => (await ask('GET', 'aws/static-creds/bob')).body.data;
    const rotated = async (last: string): Promise<string> => {
      await eventually('a rotation', async () => {
        clock.advance(61_000);
        return (await creds()).access_key !== last;
      });
      return (await creds()).access_key;
    };
    beforeEach(() => {
      fake.users.set('bob', { ...(fake.users.get('holdfast') as FakeUser), keys: new Map(), id: 'AIDABOB' });
    });

    test('takes a user over, with a key that is its own, rotates it, and lets go of it', async () => {
      const reply = await write('static-roles/bob', { username: 'bob', rotation_period: '1h' });
      const shown = { id: 'AIDABOB', name: 'bob', rotation_period: 3600, username: 'bob' };
      expect(reply.data).toEqual(shown);
      expect((await ask('GET', 'aws/static-roles/bob')).body.data).toEqual(shown);
      expect((await ask('LIST', 'aws/static-roles')).body.data.keys).toEqual(['bob']);
      const first = await creds();
      expect(Object.keys(first)).toEqual(['access_key', 'secret_key']);
      expect(fake.users.get('bob')?.keys.get(first.access_key)?.secret).toBe(first.secret_key);
      const second = await rotated(first.access_key);
      expect(keys()).toEqual([first.access_key, second]);
      const third = await rotated(second);
      expect(keys()).toEqual([second, third]);
      expect((await ask('DELETE', 'aws/static-roles/bob')).status).toBe(204);
      expect(keys()).toEqual([second]);
      expect((await ask('GET', 'aws/static-creds/bob')).status).toBe(404);
    });

    test('of a user with two keys replaces the older one', async () => {
      const [old, young] = [fake.admin('bob').accessKey, fake.admin('bob').accessKey];
      await write('static-roles/bob', { username: 'bob', rotation_period: '1h' });
      expect(keys()).toEqual([young, (await creds()).access_key]);
      expect(keys()).not.toContain(old);
    });

    test('never deletes the key that is told while there is no other: what a rotation that was cut short made goes first', async () => {
      await write('static-roles/bob', { username: 'bob', rotation_period: '1h' });
      const first = (await creds()).access_key;
      const orphan = fake.admin('bob').accessKey;
      fake.between = ({ action }) =>
        action === 'CreateAccessKey' ? refusal(403, 'AccessDenied') : undefined;
      await eventually('a rotation is tried', () => {
        clock.advance(61_000);
        return logged.length > 0;
      });
      expect(keys()).not.toContain(orphan);
      expect(keys()).toEqual([first]);
      expect((await creds()).access_key).toBe(first);
      fake.between = undefined;
      await rotated(first);
      expect(logged).toContain('an access key could not be rotated; trying again');
    });

    test('is not rotated once its name belongs to another user', async () => {
      await write('static-roles/bob', { username: 'bob', rotation_period: '1h' });
      const before = await creds();
      fake.users.set('bob', { ...(fake.users.get('bob') as FakeUser), keys: new Map(), id: 'AIDAOTHER' });
      await eventually('a rotation is tried', () => {
        clock.advance(61_000);
        return logged.length > 0;
      });
      expect(keys()).toEqual([]);
      expect(await creds()).toEqual(before);
      const { status, body } = await ask('POST', 'aws/static-roles/bob', { rotation_period: '2h' });
      expect(status).toBe(400);
      expect(body.errors[0]).toMatch(
        /the ID did not match: "AIDABOB" was requested, but "AIDAOTHER" was returned/,
      );
    });

    test.each([
      [{ rotation_period: '1h' }, 'missing "username" parameter'],
      [{ username: 'bob' }, 'missing "rotation_period" parameter'],
      [
        { username: 'bob', rotation_period: '59s' },
        'role rotation period out of range: must be greater than 60.00 seconds',
      ],
      [{ username: 'nobody', rotation_period: '1h' }, 'unable to validate username "nobody": NoSuchEntity'],
      [{ username: 'a b\u001b', rotation_period: '1h' }, 'username is no name of an IAM user'],
      [
        { username: 'bob', rotation_period: '1h', assume_role_arn: ROLE },
        'assume_role_arn is not known to this server',
      ],
    ])('%j is refused', async (given, message) => {
      const { status, body } = await ask('POST', 'aws/static-roles/bob', given);
      expect(status).toBe(400);
      expect(body.errors[0]).toContain(message);
      expect((await ask('GET', 'aws/static-roles/bob')).status).toBe(404);
      expect(keys()).toEqual([]);
    });
  });
});
