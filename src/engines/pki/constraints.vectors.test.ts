/** RFC 5280 section 4.2.1.10: which names keep to the constraints of an authority, and how constraints are written. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hex } from '../../base/bytes.ts';
import { brokenBy, constraintsExtension, type Subtrees } from './constraints.ts';

interface Case {
  readonly name: string;
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
  readonly names: Subtrees;
  readonly outcome: 'keeps' | 'breaks';
}
interface Encoding {
  readonly name: string;
  readonly permitted: Subtrees;
  readonly hex: string;
}

const { cases, encodings } = JSON.parse(
  readFileSync(new URL('../../../test/vectors/rfc5280-name-constraints.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[]; readonly encodings: readonly Encoding[] };
const NONE: Subtrees = { dns: [], emails: [], uris: [], ips: [] };

test.each(cases.map((one) => [one.outcome, one.name, one] as const))('%s: %s', (outcome, _name, one) => {
  const extension = constraintsExtension(one);
  if (extension === undefined) throw new Error('the vector constrains nothing');
  // What was written is read again, as the bytes that stand in a certificate.
  const value = contentOf(extension);
  const broken = brokenBy({ critical: true, value }, { ...one.names, others: [] });
  expect(broken === undefined ? 'keeps' : 'breaks').toBe(outcome);
});

test.each(encodings.map((one) => [one.name, one] as const))('writes %s', (_name, one) => {
  const extension = constraintsExtension({ permitted: one.permitted, excluded: NONE });
  expect(hex(extension ?? new Uint8Array())).toContain(one.hex);
});

/** What the last OCTET STRING of an extension holds: a short one, whose length is one byte. */
function contentOf(extension: Buffer): Buffer {
  for (let at = 0; at < extension.length - 1; at++)
    if (extension[at] === 0x04 && at + 2 + (extension[at + 1] ?? 0) === extension.length)
      return extension.subarray(at + 2);
  throw new Error('the extension holds no OCTET STRING');
}
