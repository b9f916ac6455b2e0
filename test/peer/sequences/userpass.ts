/** Names and passwords. */

import type { Step } from '../pair.ts';

export const userpass: readonly Step[] = [
  { ask: 'POST sys/auth/pup', body: { type: 'userpass' } },
  { ask: 'POST auth/pup/users/Ada', body: { password: 'pw', token_policies: 'default' } },
  { ask: 'GET auth/pup/users/ada' },
  { ask: 'LIST auth/pup/users' },
  { ask: 'POST auth/pup/users/bob', body: {} },
  { ask: 'POST auth/pup/login/ada', body: { password: 'pw' }, token: null },
  { ask: 'POST auth/pup/login/ada', body: { password: 'no' }, token: null },
  { ask: 'POST auth/pup/login/zzz', body: { password: 'no' }, token: null },
  { ask: 'POST auth/pup/login/ada', body: {}, token: null },
  { ask: 'POST auth/pup/users/ada/password', body: { password: 'p2' } },
  { ask: 'POST auth/pup/users/ada/policies', body: { token_policies: 'a,b' } },
  { ask: 'POST auth/pup/users/none/password', body: { password: 'p2' } },
  { ask: 'DELETE auth/pup/users/none' },
  { ask: 'GET auth/pup/users/none' },
];
