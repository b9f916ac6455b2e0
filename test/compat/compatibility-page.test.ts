/** The page of compatibility: what becomes of runs, and what a machine without some client compares it with. */

import { expect, test } from 'vitest';
import { compatibilityPage, missingFrom, withoutAbsent } from '../../tools/compatibility-page.ts';
import type { ClientRun } from '../support/compatibility.ts';

const library: ClientRun = {
  client: 'node-vault',
  version: '1.2.3',
  offers: 4,
  tried: ['mount', 'seal'],
  matching: ['mount'],
  gaps: { oktaLogin: 'no such method', ldapLogin: 'no such method' },
};
const program: ClientRun = {
  client: 'bao',
  version: 'v2',
  tried: ['kv get'],
  matching: ['kv get'],
  gaps: {},
};

test('a run is a row, and its gaps stand below by their reasons, as do calls that do not match', () => {
  const page = compatibilityPage([program, library]);
  expect(page).toContain('| node-vault (npm) | 1.2.3 | 4 commands | 2 | 1 | 2 |');
  expect(page).toContain('- **no such method** (2): `ldapLogin`, `oktaLogin`');
  expect(page).toContain('Tried, and not matching: `seal`.');
  expect(page).toContain('## bao, the command line\n\n- kv get\n');
  expect(page.indexOf('## node-vault')).toBeLessThan(page.indexOf('## bao'));
});

test('the same runs give the same page, in whatever order they come', () => {
  expect(compatibilityPage([program, library])).toBe(compatibilityPage([library, program]));
});

test('a machine without a client that need not be there compares the page without it', () => {
  const page = compatibilityPage([library, program]);
  expect(withoutAbsent(page, [library])).toBe(compatibilityPage([library]));
  expect(withoutAbsent(page, [library, program])).toBe(page);
});

test('clients without which the page would not be whole are named', () => {
  expect(missingFrom([library])).toContain('hvac');
  expect(missingFrom([library])).not.toContain('node-vault');
  expect(missingFrom([library])).not.toContain('bao');
});
