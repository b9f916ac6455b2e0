/** Shares that were made elsewhere: who moves here brings the shares of another server along. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fromHex, hex } from '../base/bytes.ts';
import { combineShares } from './shamir.ts';

interface Case {
  readonly name: string;
  readonly shares: readonly string[];
  readonly outcome: 'combines' | 'another secret' | 'refused';
  readonly secret?: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../test/vectors/shamir.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[] };

const bytes = (text: string): Uint8Array => {
  const read = fromHex(text);
  if (read === undefined) throw new Error('a vector is no hexadecimal');
  return read;
};

test('there are cases of every outcome', () => {
  expect(new Set(cases.map(({ outcome }) => outcome))).toEqual(
    new Set(['combines', 'another secret', 'refused']),
  );
});

test.each(cases.map((one) => [one.name, one.outcome, one] as const))(
  '%s: %s',
  async (_name, outcome, one) => {
    const found = await combineShares(one.shares.map(bytes));
    if (outcome === 'refused') expect(found).toBeUndefined();
    else if (outcome === 'combines') expect(found && hex(found)).toBe(one.secret);
    // Shamir cannot tell a wrong share: what comes out is a secret that opens nothing.
    else expect(found && hex(found)).not.toBe(one.secret);
  },
);
