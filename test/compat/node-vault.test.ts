/** node-vault, as npm has it, against our server: every command of its schema. It sends the literal verb LIST. */

import nodeVault from 'node-vault';
import { describe, expect, test } from 'vitest';
import { ALL_ACCOUNTED, because, recordClient, versionOf } from '../support/compatibility.ts';
import type { MakeClient } from './node-vault/client.ts';
import { enginesSuite } from './node-vault/engines.ts';
import { loginsSuite } from './node-vault/logins.ts';
import { methodsSuite } from './node-vault/methods.ts';
import { secretsSuite } from './node-vault/secrets.ts';
import { sysSuite } from './node-vault/sys.ts';

const recording = recordClient({
  client: 'node-vault',
  version: versionOf('node-vault'),
  calls: Object.keys(nodeVault().commands),
  gaps: {
    ...because(
      'there is no such auth method here',
      ...['gcpLogin', 'githubLogin', 'awsIamLogin', 'ldapLogin', 'oktaLogin', 'radiusLogin'],
    ),
    ...because('the client fails before it has sent anything', 'addKubernetesRole'),
  },
});
const connect: MakeClient = (server, token = server.token, options = {}) =>
  recording.watch(nodeVault({ endpoint: server.url, token, ...options }));

describe('secrets and who may read them', () => secretsSuite(connect));
describe('sys', () => sysSuite(connect));
describe('approle, userpass and tokens', () => methodsSuite(connect));
describe('logins with what others made', () => loginsSuite(connect));
describe('engines', () => enginesSuite(connect));

test('every command is tried, or its gap has a reason', () => {
  expect(recording.unaccounted()).toEqual(ALL_ACCOUNTED);
});
