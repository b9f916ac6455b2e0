/** Policies: written, read by both names, refused. */

import type { Step } from '../pair.ts';

export const policies: readonly Step[] = [
  { ask: 'PUT sys/policies/acl/pa', body: { policy: 'path "pkv/data/*" { capabilities = ["read"] }' } },
  { ask: 'GET sys/policies/acl/pa' },
  { ask: 'GET sys/policy/pa' },
  { ask: 'PUT sys/policies/acl/pb', body: { policy: 'path "x" { capabilities = ["foo"] }' } },
  { ask: 'PUT sys/policies/acl/pb', body: { policy: 'bad{' } },
  { ask: 'PUT sys/policies/acl/pb', body: {} },
  { ask: 'PUT sys/policies/acl/root', body: { policy: 'path "x" {}' } },
  { ask: 'DELETE sys/policies/acl/root' },
  { ask: 'DELETE sys/policies/acl/default' },
  { ask: 'GET sys/policies/acl/none' },
  { ask: 'DELETE sys/policies/acl/none' },
];
