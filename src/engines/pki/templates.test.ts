/** Roles that name who asks, over HTTP with real logins: each caller gets certificates of their own names and of no others. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { userpass } from '../../methods/userpass/index.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { pki } from './index.ts';

let server: TestServer;
const tokens = new Map<string, string>();

const issue = async (who: string, role: string, body: object): Promise<number> =>
  (await server.ask('POST', `pki/issue/${role}`, body, { 'x-vault-token': tokens.get(who) ?? '' })).status;

async function person(name: string, metadata: Record<string, string>): Promise<void> {
  await server.ask('POST', `auth/userpass/users/${name}`, { password: 'pw', token_policies: 'issuer' });
  const { json } = await server.ask('POST', `auth/userpass/login/${name}`, { password: 'pw' });
  tokens.set(name, json.auth.client_token);
  await server.ask('POST', `identity/entity/id/${json.auth.entity_id}`, { name, metadata });
}

beforeAll(async () => {
  server = await startServer([pki(), userpass]);
  await server.ask('POST', 'sys/mounts/pki', { type: 'pki' });
  await server.ask('POST', 'sys/auth/userpass', { type: 'userpass' });
  await server.ask('PUT', 'sys/policies/acl/issuer', {
    policy: 'path "pki/issue/*" { capabilities = ["create", "update"] }',
  });
  await server.ask('POST', 'pki/root/generate/internal', { common_name: 'root.example', key_type: 'ec' });
  await server.ask('POST', 'pki/roles/own', {
    key_type: 'ec',
    ttl: '1h',
    allowed_domains: '{{identity.entity.name}}.example.com,{{identity.entity.metadata.zone}}',
    allowed_domains_template: true,
    allow_bare_domains: true,
    allow_glob_domains: true,
    allowed_uri_sans: 'spiffe://example/{{identity.entity.name}}/*',
    allowed_uri_sans_template: true,
  });
  await person('ada', { zone: 'ada.test' });
  await person('eve', { zone: '*' });
});
afterAll(() => server?.close());

test.each([
  ['ada', { common_name: 'ada.example.com' }, 200],
  ['ada', { common_name: 'ada.test' }, 200],
  ['ada', { common_name: 'ada.example.com', uri_sans: 'spiffe://example/ada/web' }, 200],
  ['ada', { common_name: 'eve.example.com' }, 400],
  ['ada', { common_name: 'ada.example.com', uri_sans: 'spiffe://example/eve/web' }, 400],
  ['eve', { common_name: 'eve.example.com' }, 200],
  // A value of an identity is one name: its wildcard would allow every domain there is.
  ['eve', { common_name: 'ada.example.com' }, 400],
  ['eve', { common_name: 'bank.test' }, 400],
])('%s asking for %j gets %d', async (who, body, status) => {
  expect(await issue(who, 'own', body)).toBe(status);
});

test('a caller without an identity is allowed none of the names', async () => {
  expect((await server.ask('POST', 'pki/issue/own', { common_name: 'ada.example.com' })).status).toBe(400);
});

test('without the flag a template is a text that no name can have', async () => {
  await server.ask('PATCH', 'pki/roles/own', '{"allowed_domains_template":false}', {
    'content-type': 'application/merge-patch+json',
  });
  expect(await issue('ada', 'own', { common_name: 'ada.example.com' })).toBe(400);
  await server.ask('PATCH', 'pki/roles/own', '{"allowed_domains_template":true}', {
    'content-type': 'application/merge-patch+json',
  });
  expect(await issue('ada', 'own', { common_name: 'ada.example.com' })).toBe(200);
});

test('a template that names nothing is refused when the role is written, and so are display names', async () => {
  const bad = { allowed_domains: '{{identity.nobody}}.example.com', allowed_domains_template: true };
  const named = await server.ask('POST', 'pki/roles/bad', bad);
  expect([named.status, named.json.errors[0]]).toEqual([400, expect.stringContaining('names nothing')]);
  expect((await server.ask('POST', 'pki/roles/bad', { allow_token_displayname: true })).status).toBe(400);
  expect((await server.ask('GET', 'pki/roles/bad')).status).toBe(404);
});
