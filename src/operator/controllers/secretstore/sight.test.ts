import { describe, expect, test } from 'vitest';
import { admits, isOurs, sightOf } from './sight.ts';

const team = { name: 'team-a', labels: { tier: 'gold' } };

describe('the conditions of a ClusterSecretStore', () => {
  test('none admit all', () => expect(admits([], team)).toBe(true));
  test('everything is ORed, across entries and inside them', () => {
    expect(admits([{ namespaces: ['x'], namespaceRegexes: ['^team-'] }], team)).toBe(true);
    expect(admits([{ namespaces: ['x'] }, { namespaces: ['team-a'] }], team)).toBe(true);
    expect(
      admits(
        [
          {
            namespaces: ['x'],
            namespaceRegexes: ['^other-'],
            namespaceSelector: { matchLabels: { tier: 'tin' } },
          },
        ],
        team,
      ),
    ).toBe(false);
  });
  test('a regular expression is not anchored', () =>
    expect(admits([{ namespaceRegexes: ['eam'] }], team)).toBe(true));
  test('one that does not compile admits nobody', () =>
    expect(admits([{ namespaceRegexes: ['('] }], team)).toBe(false));
  test('the name is a label that nobody can forge', () => {
    const forged = { name: 'evil', labels: { 'kubernetes.io/metadata.name': 'team-a' } };
    expect(
      admits([{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'team-a' } } }], forged),
    ).toBe(false);
    expect(
      admits([{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'team-a' } } }], team),
    ).toBe(true);
  });
  test('expressions', () => {
    const by = (operator: string, values?: string[]): boolean =>
      admits(
        [
          {
            namespaceSelector: {
              matchExpressions: [{ key: 'tier', operator, ...(values === undefined ? {} : { values }) }],
            },
          },
        ],
        team,
      );
    expect([by('In', ['gold']), by('NotIn', ['tin']), by('Exists')]).toEqual([true, true, true]);
    expect([by('In', ['tin']), by('NotIn', ['gold']), by('DoesNotExist'), by('Nonsense')]).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

test('a store without a controller is everybody’s, one with another is not ours', () => {
  expect([
    isOurs(undefined, 'default'),
    isOurs('', 'default'),
    isOurs('default', 'default'),
    isOurs('x', 'default'),
  ]).toEqual([true, true, true, false]);
});

test('a store that was never checked is not ready, and says so', () => {
  const sight = sightOf(
    { kind: 'SecretStore', name: 's' },
    { apiVersion: 'x', kind: 'SecretStore', metadata: { name: 's' } },
    team,
    'default',
    false,
  );
  expect('refused' in sight && sight.refused.message).toBe(
    'SecretStore "s" is not ready: it has not been checked yet',
  );
});
