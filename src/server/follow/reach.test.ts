import { describe, expect, test } from 'vitest';
import { forgottenBy } from './changed.ts';
import { type Asked, placeOf } from './reach.ts';

const asked = (more: Partial<Asked>): Asked => ({
  type: 'kv',
  kind: 'secret',
  route: { path: 'data/*path' },
  operation: { effect: 'none' },
  wrapped: false,
  ...more,
});
const system = (path: string, more: Partial<Asked> = {}): Asked =>
  asked({ type: 'system', route: { path }, ...more });

describe('where a request is answered', () => {
  test.each<[string, Asked, boolean, string]>([
    ['a read of a mount that follows: by any node', asked({}), true, 'follower'],
    ['a read of a mount that does not say so: by the leader', asked({}), false, 'leader'],
    ['a write: by the leader', asked({ operation: { effect: 'write' } }), true, 'leader'],
    ['an answer that is to be wrapped: by the leader', asked({ wrapped: true }), true, 'leader'],
    ['what has no operation: by the leader', asked({ operation: undefined }), true, 'leader'],
    [
      'what a sealed server answers: by the node',
      system('health', { route: { path: 'health', sealed: true } }),
      false,
      'node',
    ],
    ['policies: by any node', system('policies/acl/*name'), false, 'follower'],
    ['leases: by the leader, which ends them', system('leases/lookup'), false, 'leader'],
    ['how far a rekeying is: by the leader, which keeps it in memory', system('rekey/init'), false, 'leader'],
    ['who is locked out: by the leader, which counts', system('locked-users'), false, 'leader'],
    [
      'seal: by the node that is asked',
      system('seal', { operation: { effect: 'write' } }),
      false,
      'follower',
    ],
    ['step-down: by the node that is asked', system('step-down'), false, 'follower'],
    [
      'a token that is looked up: by any node',
      asked({ type: 'token', kind: 'auth', route: { path: 'lookup-self' } }),
      false,
      'follower',
    ],
    ['an engine that calls itself token: by the leader', asked({ type: 'token' }), false, 'leader'],
    [
      'an entity: by any node',
      asked({ type: 'identity', route: { path: 'entity/id/:id' } }),
      false,
      'follower',
    ],
    [
      'a code of the OIDC provider: by the leader',
      asked({ type: 'identity', route: { path: 'oidc/provider/:name/authorize' } }),
      false,
      'leader',
    ],
  ])('%s', (_name, what, follows, place) => {
    expect(placeOf(what, follows)).toBe(place);
  });
});

describe('what a change makes a follower forget', () => {
  const nothing = { keyring: false, structure: false, policies: false, identity: false, leader: false };
  test.each<[string, string, object]>([
    ['a secret: the entry alone', 'mount/u/versions/x', {}],
    ['a token: the entry alone', 'sys/token/id/h', {}],
    ['a policy', 'sys/policy/p', { policies: true }],
    ['an entity', 'identity/entity/id/e', { identity: true }],
    ['the mounts', 'core/mounts', { structure: true }],
    ['an audit device', 'sys/audit/devices/f', { structure: true }],
    ['the head of an audit trail: nothing', 'sys/audit/anchors/f/w', {}],
    ['a quota', 'sys/quota/rate-limit/q', { structure: true }],
    ['an auth mount that is gone, with its batch tokens', 'sys/token/closed/u', { structure: true }],
    ['the keys', 'core/keyring', { keyring: true }],
    ['the leader', 'cluster/leader', { leader: true }],
    [
      'a name that only looks like one of these: nothing',
      'core/mounts-of-others/x'.replace('core', 'scope'),
      {},
    ],
  ])('%s', (_name, key, what) => {
    expect(forgottenBy([key])).toEqual({ ...nothing, ...what });
    expect(forgottenBy(['x', key, 'y'])).toEqual({ ...nothing, ...what });
  });
});
