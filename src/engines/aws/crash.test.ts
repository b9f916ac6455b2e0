/** The engine is stopped in the middle of what it does, and started anew over what it had kept until then. */

import { beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../../base/json.ts';
import { parsePath } from '../../base/path.ts';
import { failureOf } from '../../methods/testing.ts';
import type { Call, LeaseHandler, Operation, Route } from '../../plugin/plugin.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { aws } from './index.ts';
import { type FakeAws, type FakeUser, fakeAws } from './testing.ts';

const POLICY = '{"Statement":[]}';
const never = new Promise<never>(() => {});

describe('after a stop in the middle', () => {
  let engine: TestMount;
  let fake: FakeAws;
  let root: { accessKey: string; secretKey: string };
  /** What the server has kept of leases: it does so before the credential is made. */
  let reserved: Json[];

  /** Lets the engine run until it has asked AWS for `action`, and stops it there; the answer never comes. */
  const stopAt = async (action: string, isDone: boolean, work: () => Promise<unknown>): Promise<void> => {
    const reached = new Promise<void>((resolve) => {
      fake.between = (request, real) => {
        if (request.action !== action) return undefined;
        if (isDone) real();
        resolve();
        return never;
      };
    });
    void work().catch(() => {});
    await reached;
    fake.between = undefined;
    engine.restart();
  };

  const creds = (): Promise<unknown> => {
    const route = engine.plugin.routes.find(({ path }) => path === 'creds/:name');
    const { run } = (route as Route).operations.read as Operation;
    const call = {
      path: parsePath('secret/creds/r'),
      reserve: async (_: string, state: Json) => {
        reserved.push(state);
        return { id: 'lease', durationMs: 3_600_000, renewable: true };
      },
    } as unknown as Call;
    return Promise.resolve(run({ name: 'r' } as never, call));
  };
  const revoke = (): Promise<void> =>
    (engine.plugin.leases as Record<string, LeaseHandler>)['user']?.revoke(reserved[0] as Json) ??
    Promise.reject(new Error('there is no such lease'));
  const made = () => [...fake.users.keys()].filter((name) => name !== 'holdfast' && name !== 'bob');
  const keysOf = (name: string) => [...(fake.users.get(name)?.keys.keys() ?? [])];

  beforeEach(async () => {
    fake = fakeAws(() => engine.clock.now());
    root = fake.admin('holdfast');
    fake.admin('bob');
    (fake.users.get('bob') as FakeUser).keys.clear();
    fake.groups.set('devs', { inline: new Map(), attached: [] });
    reserved = [];
    engine = mountForTest(aws, { dial: fake.dial });
    await engine.call('write', 'config/root', { access_key: root.accessKey, secret_key: root.secretKey });
    await engine.call('write', 'roles/r', {
      credential_type: 'iam_user',
      policy_document: POLICY,
      policy_arns: 'arn:aws:iam::aws:policy/a',
      iam_groups: 'devs',
      iam_tags: 'a=b',
    });
  });

  const STEPS = [
    'CreateUser',
    'AttachUserPolicy',
    'PutUserPolicy',
    'AddUserToGroup',
    'TagUser',
    'CreateAccessKey',
  ];
  test.each(STEPS.flatMap((step) => [false, true].map((isDone) => [step, isDone] as const)))(
    'at %s (done by then: %s), the lease takes away what was made',
    async (step, isDone) => {
      await stopAt(step, isDone, creds);
      expect(reserved).toHaveLength(1);
      const isMade = step !== 'CreateUser' || isDone;
      expect(made()).toHaveLength(isMade ? 1 : 0);
      if (!isMade) {
        // AWS may yet come to do what it was asked.
        expect((await failureOf(revoke())).code).toBe('aws.settling');
        engine.clock.advance(300_000);
      }
      await revoke();
      expect(made()).toEqual([]);
    },
  );

  const ENDS = [
    'DeleteAccessKey',
    'DetachUserPolicy',
    'DeleteUserPolicy',
    'RemoveUserFromGroup',
    'DeleteUser',
  ];
  test.each(ENDS.flatMap((step) => [false, true].map((isDone) => [step, isDone] as const)))(
    'of a revocation at %s (done by then: %s), the next one finishes it',
    async (step, isDone) => {
      await creds();
      await stopAt(step, isDone, revoke);
      engine.clock.advance(300_000);
      await revoke();
      expect(made()).toEqual([]);
      await revoke();
    },
  );

  test.each([
    ['CreateAccessKey', false],
    ['CreateAccessKey', true],
    ['DeleteAccessKey', false],
    ['DeleteAccessKey', true],
  ] as const)('of rotate-root at %s (done by then: %s), the engine still gets in', async (step, isDone) => {
    await stopAt(step, isDone, () => engine.call('write', 'config/rotate-root', {}));
    await engine.plugin.tick?.();
    await creds();
    expect(made()).toHaveLength(1);
    const { access_key: used } = (await engine.call('read', 'config/root')).data;
    expect(keysOf('holdfast')).toContain(used);
    // A key whose secret never came back stays until somebody deletes it; a key that was replaced does not.
    expect(keysOf('holdfast')).toHaveLength(step === 'CreateAccessKey' && isDone ? 2 : 1);
    expect(keysOf('holdfast').includes(root.accessKey)).toBe(step === 'CreateAccessKey');
  });

  test.each([
    ['CreateAccessKey', false],
    ['CreateAccessKey', true],
    ['DeleteAccessKey', false],
    ['DeleteAccessKey', true],
  ] as const)(
    'of a rotation at %s (done by then: %s), what is told holds, and the next one is clean',
    async (step, isDone) => {
      await engine.call('write', 'static-roles/bob', { username: 'bob', rotation_period: '1m' });
      engine.clock.advance(60_000);
      await engine.plugin.tick?.();
      engine.clock.advance(60_000);
      await stopAt(step, isDone, async () => engine.plugin.tick?.());
      const { access_key: told, secret_key: secret } = (await engine.call('read', 'static-creds/bob')).data;
      expect(fake.users.get('bob')?.keys.get(told)?.secret).toBe(secret);
      await engine.plugin.tick?.();
      const { access_key: next } = (await engine.call('read', 'static-creds/bob')).data;
      expect(next).not.toBe(told);
      expect(keysOf('bob').sort()).toEqual([told, next].sort());
    },
  );
});
