import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { codes } from '../base/codes.ts';
import { failure } from '../base/errors.ts';
import type { Condition } from './api/externalsecret.ts';
import { because, tellRetry, told } from './conditions.ts';
import type { Steps } from './plan.ts';

const name = {
  resource: { group: '', version: 'v1', plural: 'x', kind: 'X', namespaced: true },
  namespace: 'team',
  name: 'app',
};
const steps = (condition: Partial<Condition>, more: Partial<Steps> = { retry: true }): Steps => ({
  actions: [
    {
      do: 'status',
      name,
      status: {
        refreshTime: 'x',
        conditions: [{ type: 'Ready', status: 'False', message: 'why', ...condition }],
      },
    },
  ],
  ...more,
});
const messageOf = ({ actions }: Steps): string => {
  const [action] = actions;
  const status = action?.do === 'status' ? action.status : {};
  return (status as { conditions?: readonly Condition[] }).conditions?.[0]?.message ?? '';
};

test('what failed says when it is tried again', () => {
  expect(messageOf(tellRetry(steps({}), 4000))).toBe('why; tried again within 4 s');
});

test('a longer wait that a store asked for is the one that is told', () => {
  const asked = steps({}, { retry: true, retryAfterMs: 300_000 });
  expect(messageOf(tellRetry(asked, 4000))).toBe('why; tried again within 5 min');
});

test('what is not tried again says nothing, nor what is well', () => {
  expect(messageOf(tellRetry(steps({}, {}), 4000))).toBe('why');
  expect(messageOf(tellRetry(steps({ status: 'True', message: 'secret synced' }), 4000))).toBe(
    'secret synced',
  );
});

test('a message that is too long loses its own end, not when it is tried again', () => {
  const message = messageOf(tellRetry(steps({ message: 'x'.repeat(5000) }), 1000));
  expect(message.length).toBeLessThanOrEqual(2048);
  expect(message).toMatch(/…; tried again within 1 s$/);
});

test('the text is the same at each try once the waits grow no more: no write for each', () => {
  expect(messageOf(tellRetry(steps({}), 25_000))).toBe(messageOf(tellRetry(steps({}), 25_000)));
});

test('a cause ends with a code that has a section in docs/errors.md', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const text = because('could not get secret data from provider', told(failure('operator.secret_missing')));
  expect(text).toBe(
    'could not get secret data from provider: Secret does not exist [operator.secret_missing]',
  );
  for (const code of Object.keys(codes)) expect(page).toContain(`\n## ${code}\n`);
});
