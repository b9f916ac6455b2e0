/** Roles that leave names to the identity of their callers, with real logins over HTTP. */

import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { publicKeyOf, publicLine } from '../../crypto/ssh/publickey.ts';
import { Reader } from '../../crypto/ssh/wire.ts';
import { userpass } from '../../methods/userpass/index.ts';
import { startServer, type TestReply, type TestServer } from '../../server/testing.ts';
import { ssh } from './index.ts';

const LOST =
  'no value could be found for one of the template directives, or it holds a character that it may not';
const own = publicKeyOf(generateKeyPairSync('ed25519').privateKey);
const PUBLIC = own === undefined ? '' : publicLine(own.type, own.blob);

let server: TestServer;
let accessor: string;
/** Of the token of "alice", whose entity has metadata and a group. */
let alice: Record<string, string>;
let entity: string;

const post = async (path: string, body: unknown): Promise<TestReply> => {
  const reply = await server.ask('POST', path, body);
  expect([path, reply.status, reply.json?.errors]).toEqual([path, expect.any(Number), undefined]);
  return reply;
};
const role = (fields: object, name = 'web') =>
  post(`ssh/roles/${name}`, { key_type: 'ca', allow_user_certificates: true, ...fields });
const sign = (asked: object = {}, as = alice, name = 'web') =>
  server.ask('POST', `ssh/sign/${name}`, { public_key: PUBLIC, ...asked }, as);
const tell = (metadata: object): Promise<TestReply> => post(`identity/entity/id/${entity}`, { metadata });

/** The names and extensions of a certificate for an Ed25519 key. */
function opened({ json }: TestReply): { principals: string[]; extensions: string[] } {
  const reader = new Reader(Buffer.from(json.data.signed_key.split(' ')[1], 'base64'));
  const list = (): string[] => {
    const inner = new Reader(reader.string());
    const all: string[] = [];
    while (inner.left > 0) all.push(inner.string().toString());
    return all;
  };
  for (const _ of ['type', 'nonce', 'key']) reader.string();
  reader.take(8 + 4);
  reader.string();
  const principals = list();
  reader.take(16);
  reader.string();
  return { principals, extensions: list() };
}
const errorOf = ({ status, json }: TestReply): [number, string] => [status, json.errors?.[0]];

beforeAll(async () => {
  server = await startServer([ssh, userpass]);
  await post('sys/mounts/ssh', { type: 'ssh' });
  await post('ssh/config/ca', { key_type: 'ed25519' });
  await post('sys/policies/acl/sign', { policy: 'path "ssh/*" { capabilities = ["update"] }' });
  await post('sys/auth/userpass', { type: 'userpass' });
  await post('auth/userpass/users/alice', { password: 'long enough', token_policies: 'sign' });
  accessor = (await server.ask('GET', 'sys/auth')).json.data['userpass/'].accessor;
  const { auth } = (await post('auth/userpass/login/alice', { password: 'long enough' })).json;
  alice = { 'x-vault-token': auth.client_token };
  entity = auth.entity_id;
});
beforeEach(() => tell({ unix: 'alice1', shell: '/bin/sh' }));
afterAll(() => server.close());

test('a name of the caller is allowed, and that of another is not', async () => {
  await role({
    allowed_users: `root,{{identity.entity.aliases.${accessor}.name}}, {{ identity.entity.metadata.unix }}`,
    allowed_users_template: true,
  });
  for (const name of ['alice', 'alice1', 'root'])
    expect(opened(await sign({ valid_principals: name })).principals).toEqual([name]);
  expect(errorOf(await sign({ valid_principals: 'bob' }))).toEqual([
    400,
    'bob is not a valid value for valid_principals',
  ]);
  expect(errorOf(await sign({ valid_principals: '{{identity.entity.metadata.unix}}' }))).toMatchObject([
    400,
    expect.stringContaining('is not a valid value'),
  ]);
});

test('what the identity becomes holds from the next certificate on', async () => {
  await role({
    allowed_users: '{{identity.entity.metadata.unix}}',
    allowed_users_template: true,
    default_user: '{{identity.entity.metadata.unix}}',
    default_user_template: true,
  });
  expect(opened(await sign()).principals).toEqual(['alice1']);
  await tell({ unix: 'alice2' });
  expect(opened(await sign()).principals).toEqual(['alice2']);
  expect((await sign({ valid_principals: 'alice1' })).status).toBe(400);
});

test('a group of the caller fills in its name', async () => {
  const { id } = (await post('identity/group', { name: 'ops', member_entity_ids: [entity] })).json.data;
  await role({ allowed_users: `{{identity.groups.ids.${id}.name}}`, allowed_users_template: true });
  expect(opened(await sign({ valid_principals: 'ops' })).principals).toEqual(['ops']);
  await post(`identity/group/id/${id}`, { member_entity_ids: [] });
  expect((await sign({ valid_principals: 'ops' })).status).toBe(400);
});

test.each(['*', 'alice,root', 'x*'])('a value of %j gives nobody more names', async (unix) => {
  await role({ allowed_users: '{{identity.entity.metadata.unix}}', allowed_users_template: true });
  await tell({ unix });
  for (const valid_principals of ['root', 'alice', '*', undefined])
    expect((await sign({ valid_principals })).status).toBe(400);
  expect(errorOf(await sign({ valid_principals: 'root' }))[1]).toBe(
    `template '{{identity.entity.metadata.unix}}' could not be rendered -> ${LOST}`,
  );
});

test('commas name several where the role says that they may, and a star never does', async () => {
  await role({
    allowed_users: '{{identity.entity.metadata.unix}}',
    allowed_users_template: true,
    allow_commas_in_identity_templates: true,
  });
  await tell({ unix: 'alice,deploy' });
  expect(opened(await sign({ valid_principals: 'deploy' })).principals).toEqual(['deploy']);
  await tell({ unix: '*' });
  expect((await sign({ valid_principals: 'deploy' })).status).toBe(400);
});

test('a value that is absent refuses, and without the flag a template is a name like any other', async () => {
  await role({ allowed_users: '{{identity.entity.metadata.none}}', allowed_users_template: true });
  expect(errorOf(await sign({ valid_principals: 'alice' }))).toEqual([
    400,
    `template '{{identity.entity.metadata.none}}' could not be rendered -> ${LOST}`,
  ]);
  await role({ allowed_users: '{{identity.entity.metadata.unix}}' });
  expect((await sign({ valid_principals: 'alice1' })).status).toBe(400);
  await role({ allowed_users: '{{nonsense}}', allowed_users_template: true });
  expect(errorOf(await sign({ valid_principals: 'alice' }))).toMatchObject([
    400,
    expect.stringContaining('names nothing'),
  ]);
});

test('to a caller without an identity nothing is filled in', async () => {
  await role({
    allowed_users: 'root,{{identity.entity.name}}',
    allowed_users_template: true,
    default_extensions: { 'permit-pty': '', 'shell@example.org': '{{identity.entity.metadata.shell}}' },
    default_extensions_template: true,
  });
  const nobody = { 'x-vault-token': server.root };
  const signed = await sign({ valid_principals: 'root' }, nobody);
  expect(opened(signed)).toEqual({ principals: ['root'], extensions: ['permit-pty', ''] });
  expect(signed.json.warnings).toEqual([expect.stringContaining('lacked identity entity information')]);
  expect((await sign({ valid_principals: 'alice' }, nobody)).status).toBe(400);
});

test('default extensions tell of the caller, and are not looked at where the caller brings some', async () => {
  await role({
    allowed_users: '*',
    allowed_extensions: 'permit-pty',
    default_extensions: { 'permit-pty': '', 'shell@example.org': 'sh:{{identity.entity.metadata.shell}}' },
    default_extensions_template: true,
  });
  const signed = await sign({ valid_principals: 'a' });
  expect(signed.json.warnings).toBeNull();
  const { extensions } = opened(signed);
  expect(extensions[0]).toBe('permit-pty');
  expect(extensions[2]).toBe('shell@example.org');
  expect(extensions[3]).toContain('sh:/bin/sh');
  await tell({});
  expect(errorOf(await sign({ valid_principals: 'a' }))[1]).toContain('could not be rendered');
  expect(opened(await sign({ valid_principals: 'a', extensions: { 'permit-pty': '' } })).extensions).toEqual([
    'permit-pty',
    '',
  ]);
});

test('hosts have templates of domains, and templates of users are not filled in for them', async () => {
  await role({
    allow_host_certificates: true,
    allowed_domains: '{{identity.entity.metadata.unix}}.example.org',
    allowed_domains_template: true,
    allow_subdomains: true,
    allowed_users: '{{identity.entity.metadata.none}}',
    allowed_users_template: true,
  });
  const asked = { cert_type: 'host', valid_principals: 'web.alice1.example.org' };
  expect(opened(await sign(asked)).principals).toEqual(['web.alice1.example.org']);
  expect((await sign({ ...asked, valid_principals: 'web.bob.example.org' })).status).toBe(400);
});

test('a role tells which of its fields are templates', async () => {
  await role({ allowed_users: 'a', allowed_users_template: true, allow_commas_in_identity_templates: 1 });
  expect((await server.ask('GET', 'ssh/roles/web')).json.data).toMatchObject({
    allowed_users_template: true,
    default_user_template: false,
    allowed_domains_template: false,
    default_extensions_template: false,
    allow_commas_in_identity_templates: true,
  });
});
