/** Mounts that cannot be. */

import type { Step } from '../pair.ts';

export const mounts: readonly Step[] = [
  { ask: 'POST sys/auth/nope', body: { type: 'nope' } },
  { ask: 'DELETE sys/auth/nope' },
  { ask: 'DELETE sys/auth/token' },
  { ask: 'DELETE sys/mounts/sys' },
  { ask: 'DELETE sys/mounts/cubbyhole' },
  { ask: 'POST sys/mounts/cubbyhole/x', body: { type: 'kv' } },
  { ask: 'POST sys/mounts/pkv/sub', body: { type: 'kv' } },
  { ask: 'POST sys/mounts/auth/x', body: { type: 'kv' } },
];
