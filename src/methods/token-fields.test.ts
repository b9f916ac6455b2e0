import { expect, test } from 'vitest';
import { mergeTokenFields, NO_TOKEN_FIELDS, tokenData } from './token-fields.ts';

test('what was written by an older name is read by both names, as long as nobody writes the new one', () => {
  const old = mergeTokenFields(NO_TOKEN_FIELDS, {
    policies: ['a'],
    ttl: 3_600_000,
    bound_cidrs: ['10.0.0.0/8'],
  });
  expect(tokenData(old)).toMatchObject({
    policies: ['a'],
    token_policies: ['a'],
    ttl: 3600,
    token_ttl: 3600,
    bound_cidrs: ['10.0.0.0/8'],
    token_bound_cidrs: ['10.0.0.0/8'],
  });
  const later = tokenData(mergeTokenFields(old, { token_policies: ['b'], token_num_uses: 3 }));
  expect(later).toMatchObject({ token_policies: ['b'], ttl: 3600, token_num_uses: 3 });
  expect(Object.keys(later)).not.toEqual(expect.arrayContaining(['policies']));
  expect(Object.keys(later)).not.toEqual(expect.arrayContaining(['num_uses']));
});

test('an older name of something empty is not told', () => {
  const fields = mergeTokenFields(NO_TOKEN_FIELDS, { policies: [], ttl: 0 });
  expect(Object.keys(tokenData(fields)).filter((name) => !name.startsWith('token_'))).toEqual([]);
});
