import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from '../../base/errors.ts';
import { readRules, readSelector, selects } from './documents.ts';

const labels = new Map([
  ['team', 'web'],
  ['tier', ''],
]);

test.each([
  ['{}', true],
  ['matchLabels: {team: web}', true],
  ['matchLabels: {team: shop}', false],
  ['matchLabels: {team: web, owner: me}', false],
  ['matchLabels: {tier: ""}', true],
  ['matchExpressions: [{key: team, operator: In, values: [shop, web]}]', true],
  ['matchExpressions: [{key: team, operator: In, values: [shop]}]', false],
  ['matchExpressions: [{key: owner, operator: In, values: [me]}]', false],
  ['matchExpressions: [{key: team, operator: NotIn, values: [shop]}]', true],
  ['matchExpressions: [{key: team, operator: NotIn, values: [web]}]', false],
  ['matchExpressions: [{key: owner, operator: NotIn, values: [me]}]', true],
  ['matchExpressions: [{key: tier, operator: Exists}]', true],
  ['matchExpressions: [{key: owner, operator: Exists, values: []}]', false],
  ['matchExpressions: [{key: owner, operator: DoesNotExist}]', true],
  ['matchExpressions: [{key: team, operator: DoesNotExist}]', false],
  [
    '{"matchLabels": {"team": "web"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}',
    false,
  ],
])('the selector %s takes the labels: %s', (text, taken) => {
  expect(selects(readSelector(text), labels)).toBe(taken);
});

test('rules are read alike from YAML and JSON', () => {
  const rules = [{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'list'] }];
  expect(readRules(JSON.stringify({ rules }))).toEqual(rules);
  expect(
    readRules('rules:\n  - apiGroups: [apps]\n    resources:\n      - deployments\n    verbs: [get, list]\n'),
  ).toEqual(rules);
});

test('whatever the text is, it is read or refused, and the refusal holds no part of it', () => {
  const pieces = fc.constantFrom(
    'rules',
    ':',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '&a ',
    '*a',
    '\n',
    '  ',
    'verbs',
    '"',
    "'",
    '!!',
    '<<',
    'canary',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
      for (const read of [readRules, readSelector]) {
        try {
          read(parts.join(''));
        } catch (error) {
          expect(isFailure(error)).toBe(true);
          expect(String(error)).not.toContain('canary');
        }
      }
    }),
    { numRuns: 2000 },
  );
});
