/**
 * Bad input over the wire, plain and TLS on the one port, against the whole platform: every case is told what was wrong with
 * it, changes nothing that is stored, and leaves a server that still answers.
 */

import { connect } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { inventory } from '../support/inventory.ts';
import { startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { type MessageParts, message, pour, sendBytes, type Transport } from '../support/wire.ts';

const PRIVATE = 'what-lies-behind-the-denied-path';
const POLICY = `
path "secret/data/*" { capabilities = ["create", "read", "update", "delete", "patch"] }
path "secret/metadata/*" { capabilities = ["read", "list", "delete"] }
path "secret/data/prod" { capabilities = ["deny"] }
path "secret/metadata/prod/*" { capabilities = ["deny"] }
path "sys/policies/acl/*" { capabilities = ["create", "read", "update", "delete"] }
path "sys/policies/acl/prod" { capabilities = ["deny"] }
path "sys/policy/*" { capabilities = ["read"] }
path "sys/policy/prod" { capabilities = ["deny"] }
path "auth/kubernetes/role/*" { capabilities = ["create", "read", "update", "delete"] }
path "auth/kubernetes/role/prod" { capabilities = ["deny"] }
path "sys/mounts/*" { capabilities = ["create", "read", "update", "delete"] }
path "sys/mounts/secret" { capabilities = ["deny"] }
path "sys/capabilities-self" { capabilities = ["update"] }
`;

let platform: TestPlatform;
let port: number;
let root: string;
let limited: string;
let before: string;

beforeAll(async () => {
  platform = await startTestPlatform();
  port = platform.listener.address.port;
  root = platform.keys.rootToken;
  await ask('POST', 'secret/data/prod', { data: { v: PRIVATE } });
  await ask('POST', 'secret/data/prod/inner', { data: { v: PRIVATE } });
  await ask('POST', 'secret/data/open', { data: { v: 'seen' } });
  await ask('PUT', 'sys/policies/acl/prod', { policy: `# ${PRIVATE}\npath "a" { capabilities = ["read"] }` });
  await ask('PUT', 'sys/policies/acl/limited', { policy: POLICY });
  await ask('POST', 'auth/kubernetes/role/prod', {
    bound_service_account_names: [PRIVATE],
    bound_service_account_namespaces: ['prod'],
  });
  const made = await ask('POST', 'auth/token/create', { policies: ['limited'], ttl: '1h' });
  limited = (JSON.parse(made.body) as { auth: { client_token: string } }).auth.client_token;
});
afterAll(() => platform.stop());

beforeEach(async () => {
  before = await inventory(platform);
});
afterEach(async () => {
  const health = await sendBytes(port, message({ target: '/v1/sys/health' }));
  expect(health.status).toBe(200);
  expect(await inventory(platform)).toBe(before);
});

const send = (parts: MessageParts, transport: Transport = 'plain') =>
  sendBytes(port, message(parts), transport);
const ask = (method: string, path: string, body?: unknown) =>
  send({
    method,
    target: `/v1/${path}`,
    token: root,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** What is sent, and the status and words that come back. */
type Case = readonly [sentence: string, parts: () => MessageParts, status: number, says: string | RegExp];

function table(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    for (const transport of ['plain', 'TLS'] as const)
      it.each(cases)(`is refused over ${transport}: %s`, async (_sentence, parts, status, says) => {
        const reply = await send(parts(), transport);
        expect([reply.status, reply.says]).toEqual([
          status,
          typeof says === 'string' ? says : expect.stringMatching(says),
        ]);
        expect(reply.answers).toBe(1);
        expect(reply.head + reply.body).not.toContain(PRIVATE);
      });
  });
}

const DENIED = 'permission denied';
const canonical = (reason: string): string => `the path is not canonical: ${reason}`;
const as =
  (who: 'root' | 'limited', target: string, more: Partial<MessageParts> = {}) =>
  (): MessageParts => ({
    target: `/v1/${target}`,
    token: who === 'root' ? root : limited,
    ...more,
  });
const body = (text: string | Uint8Array, target = 'secret/data/new', more: Partial<MessageParts> = {}) =>
  as('root', target, { method: 'POST', body: text, ...more });
const JSON_TYPE = ['Content-Type: application/json'];

table('a path that has another spelling', [
  ['two dots', as('limited', 'secret/data/open/../prod'), 400, canonical('it has a ".." segment')],
  ['one dot', as('limited', 'secret/data/./prod'), 400, canonical('it has a "." segment')],
  ['dots at the end', as('limited', 'secret/data/prod/.'), 400, canonical('it has a "." segment')],
  ['dots out of the API', as('limited', '../../etc/passwd'), 400, canonical('it has a ".." segment')],
  [
    'encoded dots',
    as('limited', 'secret/data/open/%2e%2e/prod'),
    400,
    canonical('it has an encoded dot segment'),
  ],
  [
    'half encoded dots',
    as('limited', 'secret/data/open/.%2E/prod'),
    400,
    canonical('it has an encoded dot segment'),
  ],
  [
    'an encoded slash',
    as('limited', 'secret%2fdata%2fprod'),
    400,
    canonical('it holds an encoded slash, backslash or NUL'),
  ],
  [
    'an encoded slash in a name',
    as('limited', 'secret/data/open%2Fprod'),
    400,
    canonical('it holds an encoded slash, backslash or NUL'),
  ],
  ['two slashes', as('limited', 'secret/data//prod'), 400, canonical('it has an empty segment')],
  ['two slashes at the end', as('limited', 'secret/data/prod//'), 400, canonical('it has an empty segment')],
  [
    'three slashes at the start',
    as('limited', '//secret/data/prod'),
    400,
    canonical('it has an empty segment'),
  ],
  [
    'an encoded NUL',
    as('limited', 'secret/data/prod%00'),
    400,
    canonical('it holds an encoded slash, backslash or NUL'),
  ],
  [
    'an encoded line end',
    as('limited', 'secret/data/prod%0d%0aX-Evil:%201'),
    400,
    canonical('it holds a character that does not print'),
  ],
  ['a DEL', as('limited', 'secret/data/prod%7f'), 400, canonical('it holds a character that does not print')],
  ['a backslash', as('limited', 'secret/data\\prod'), 400, canonical('it holds a backslash')],
  [
    'an encoded backslash',
    as('limited', 'secret/data%5cprod'),
    400,
    canonical('it holds an encoded slash, backslash or NUL'),
  ],
  [
    'dots that are encoded twice',
    as('limited', 'secret/data/%252e%252e/prod'),
    400,
    canonical('it is percent-encoded twice'),
  ],
  [
    'a slash that is encoded twice',
    as('limited', 'secret/data/a%252fprod'),
    400,
    canonical('it is percent-encoded twice'),
  ],
  [
    'an overlong slash',
    as('limited', 'secret/data/a%c0%afprod'),
    400,
    canonical('its percent encoding is broken'),
  ],
  [
    'half of a UTF-8 letter',
    as('limited', 'secret/data/%c3'),
    400,
    canonical('its percent encoding is broken'),
  ],
  [
    'an encoded surrogate',
    as('limited', 'secret/data/%ed%a0%80'),
    400,
    canonical('its percent encoding is broken'),
  ],
  [
    'a percent sign alone',
    as('limited', 'secret/data/100%'),
    400,
    canonical('its percent encoding is broken'),
  ],
  [
    'a zero-width space',
    as('limited', 'secret/data/pr%e2%80%8bod'),
    400,
    canonical('it holds a character that does not print'),
  ],
  [
    'an override of direction',
    as('limited', 'secret/data/%e2%80%aedorp'),
    400,
    canonical('it holds a character that does not print'),
  ],
  [
    'a byte order mark',
    as('limited', 'secret/data/%ef%bb%bfprod'),
    400,
    canonical('it holds a character that does not print'),
  ],
  [
    'a letter and its accent apart',
    as('limited', 'secret/data/caf%65%cc%81'),
    400,
    canonical('it is not in Unicode normal form C'),
  ],
  [
    'the sign for kelvin',
    as('limited', 'sys/policies/acl/%e2%84%aa'),
    400,
    canonical('it is not in Unicode normal form C'),
  ],
  [
    'a space at the end',
    as('limited', 'secret/data/prod%20'),
    400,
    canonical('a segment begins or ends with white space'),
  ],
  [
    'a space that does not break',
    as('limited', 'secret/data/%c2%a0prod'),
    400,
    canonical('a segment begins or ends with white space'),
  ],
  [
    'too many bytes',
    as('limited', `secret/data/${'a'.repeat(2100)}`),
    400,
    'the path is longer than 2048 bytes',
  ],
  [
    'too many encoded bytes',
    as('limited', `secret/data/${'%61'.repeat(7000)}`),
    400,
    'the path is longer than 2048 bytes',
  ],
]);

table('a denied path under another name', [
  ['as it is', as('limited', 'secret/data/prod'), 403, DENIED],
  ['its letters encoded', as('limited', 'secret/data/%70%72%6f%64'), 403, DENIED],
  ['the mount encoded', as('limited', '%73ecret/data/prod'), 403, DENIED],
  ['a policy in capitals', as('limited', 'sys/policies/acl/PROD'), 403, DENIED],
  ['a policy in mixed letters', as('limited', 'sys/policies/acl/pRoD', { method: 'DELETE' }), 403, DENIED],
  [
    'a policy in encoded capitals',
    as('limited', 'sys/policies/acl/%50ROD', {
      method: 'PUT',
      body: '{"policy":"path \\"b\\" { capabilities = [\\"read\\"] }"}',
    }),
    403,
    DENIED,
  ],
  ['the older name of a policy, in capitals', as('limited', 'sys/policy/PROD'), 403, DENIED],
  ['a role in capitals', as('limited', 'auth/kubernetes/role/PROD'), 403, DENIED],
  [
    'a role with a slash behind it',
    as('limited', 'auth/kubernetes/role/prod/', { method: 'DELETE' }),
    404,
    'unsupported path',
  ],
  ['a mount with a slash behind it', as('limited', 'sys/mounts/secret/', { method: 'DELETE' }), 403, DENIED],
  [
    'an auth method as if it were an engine',
    as('limited', 'sys/mounts/auth/kubernetes', { method: 'DELETE' }),
    400,
    'cannot mount or unmount auth/kubernetes/',
  ],
  ['a list of a denied folder by a query', as('limited', 'secret/metadata/prod?list=true'), 403, DENIED],
  [
    'a list of a denied folder by the verb',
    as('limited', 'secret/metadata/prod', { method: 'LIST' }),
    403,
    DENIED,
  ],
  [
    'a list of a denied folder by its double',
    as('limited', 'secret/metadata/prod', { method: 'LINK' }),
    403,
    DENIED,
  ],
  ['a read that says it is a list and is not', as('limited', 'secret/data/prod?list=false'), 403, DENIED],
  ['a question for help', as('limited', 'auth/token/accessors?help=1'), 403, DENIED],
  ['a question for help with a list', as('limited', 'secret/metadata/prod/?help=1&list=true'), 403, DENIED],
  [
    'with a body that says otherwise',
    as('limited', 'secret/data/prod', { method: 'POST', body: '{"path":"open","data":{}}' }),
    403,
    DENIED,
  ],
  [
    'with a header that names another method',
    as('limited', 'secret/data/prod', { headers: ['X-HTTP-Method-Override: LIST'] }),
    403,
    DENIED,
  ],
  [
    'with a header that names another path',
    as('limited', 'secret/data/prod', {
      headers: ['X-Original-URL: /v1/secret/data/open', 'X-Rewrite-URL: /v1/secret/data/open'],
    }),
    403,
    DENIED,
  ],
  ['with two tokens', as('limited', 'secret/data/prod', { headers: ['X-Vault-Token: other'] }), 403, DENIED],
  [
    'with the token in the query',
    () => ({ target: `/v1/secret/data/prod?token=${root}&X-Vault-Token=${root}` }),
    403,
    DENIED,
  ],
  ['without a token', () => ({ target: '/v1/secret/data/prod' }), 403, DENIED],
  [
    'in a wrapping that changes nothing',
    as('limited', 'secret/data/prod', { headers: ['X-Vault-Wrap-TTL: 60'] }),
    403,
    DENIED,
  ],
]);

const deep = (open: string, close: string, levels: number): string =>
  open.repeat(levels) + close.repeat(levels);

table('a body that is no JSON of ours', [
  ['cut off', body('{"data":{"a":'), 400, /^failed to parse JSON input: unexpected end at offset 13$/],
  [
    'with a comma too many',
    body('{"data":{"a":1,}}'),
    400,
    /^failed to parse JSON input: expected a key at offset \d+$/,
  ],
  ['with a comment', body('{/* x */"data":{}}'), 400, /^failed to parse JSON input: expected a key/],
  ['with quotes of the wrong kind', body("{'data':{}}"), 400, /^failed to parse JSON input: expected a key/],
  ['with two values', body('{"data":{}}{"data":{}}'), 400, /unexpected text after the value/],
  ['with a broken escape', body('{"data":{"a":"\\ud83"}}'), 400, /broken escape/],
  ['with a control character', body('{"data":{"a":"\u0001"}}'), 400, /control character in a string/],
  ['with NaN', body('{"data":{"a":NaN}}'), 400, /unexpected character/],
  ['with a number that begins with zero', body('{"data":{"a":01}}'), 400, /expected "," or "}"/],
  [
    'that is no UTF-8',
    body(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])),
    400,
    'failed to parse JSON input: it is not UTF-8',
  ],
  ['in UTF-16', body(Buffer.from('{"data":{}}', 'utf16le')), 400, /^failed to parse JSON input/],
  ['that is a list', body('[{"data":{}}]'), 400, 'failed to parse JSON input: expected an object'],
  [
    'that is a text',
    body('"data"', 'secret/data/new', { headers: JSON_TYPE }),
    400,
    'failed to parse JSON input: expected an object',
  ],
  [
    'with 10,000 objects in each other',
    body(`{"data":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`),
    400,
    'failed to parse JSON input: nested deeper than 64 levels',
  ],
  [
    'with 10,000 lists in each other',
    body(`{"data":{"a":${deep('[', ']', 10_000)}}}`),
    400,
    'failed to parse JSON input: nested deeper than 64 levels',
  ],
  [
    'with 1,000,000 values',
    body(`{"data":{"a":[${'1,'.repeat(999_999)}1]}}`),
    400,
    'failed to parse JSON input: more than 100000 values',
  ],
  ['with data that is a list', body('{"data":[1]}'), 400, 'data must be an object of keys and values'],
  ['with data that is a text', body('{"data":"x"}'), 400, 'data must be an object of keys and values'],
  ['with options of the wrong type', body('{"data":{},"options":{"cas":"x"}}'), 400, /cas/],
  [
    'of a patch without its type',
    as('root', 'secret/data/open', { method: 'PATCH', body: '{"data":{"v":"changed"}}' }),
    415,
    'PATCH requires Content-Type of application/merge-patch+json, provided ',
  ],
  [
    'of a patch as plain JSON',
    as('root', 'secret/data/open', { method: 'PATCH', body: '{"data":{"v":"changed"}}', headers: JSON_TYPE }),
    415,
    'PATCH requires Content-Type of application/merge-patch+json, provided application/json',
  ],
  [
    'of a patch as a JSON patch',
    as('root', 'secret/data/open', {
      method: 'PATCH',
      body: '[{"op":"remove","path":"/data"}]',
      headers: ['Content-Type: application/json-patch+json'],
    }),
    415,
    /^PATCH requires Content-Type/,
  ],
  [
    'of a patch that is null',
    as('root', 'secret/data/open', {
      method: 'PATCH',
      body: 'null',
      headers: ['Content-Type: application/merge-patch+json'],
    }),
    400,
    'no data provided',
  ],
  [
    'in a form where JSON is meant',
    body('data=x&data=y', 'secret/data/new', {
      headers: ['Content-Type: application/x-www-form-urlencoded'],
    }),
    400,
    'field "data": Invalid input',
  ],
]);

const policy = (text: string): (() => MessageParts) =>
  as('root', 'sys/policies/acl/broken', { method: 'PUT', body: JSON.stringify({ policy: text }) });
const LINES = 'path "a" {\n  capabilities = ["read"]\n}\n';

table('a policy that cannot be meant', [
  [
    'a brace that is not closed',
    policy(`${LINES}path "b" {\n  capabilities = ["read"]\n`),
    400,
    /^failed to parse policy: line 6/,
  ],
  ['a text that is not closed', policy(`${LINES}path "b {\n}\n`), 400, /^failed to parse policy: line 4/],
  [
    'a list that is not closed',
    policy(`${LINES}path "b" { capabilities = ["read" }`),
    400,
    /^failed to parse policy: line 4/,
  ],
  [
    'a key without a value',
    policy(`${LINES}path "b" {\n capabilities\n}`),
    400,
    /^failed to parse policy: line [56]/,
  ],
  [
    'a capability that does not exist',
    policy('path "b" {\n  capabilities = ["raed"]\n}'),
    400,
    'failed to parse policy: path "b": invalid capability "raed". To mend it: use create, read, update, delete, list, patch, sudo, subscribe, deny.',
  ],
  [
    'a key that does not exist',
    policy('path "b" {\n  capabilites = ["read"]\n}'),
    400,
    'failed to parse policy: path "b": invalid key "capabilites" on line 2. To mend it: use capabilities, allowed_parameters, denied_parameters, required_parameters, min_wrapping_ttl, max_wrapping_ttl or subscribe_event_types.',
  ],
  [
    'a block that does not exist',
    policy('\n\nrole "b" {\n}'),
    400,
    'failed to parse policy: invalid key "role" on line 3. To mend it: a policy holds path "..." { ... } stanzas alone.',
  ],
  [
    'a restriction that nobody would enforce',
    policy('path "b" {\n  capabilities = ["read"]\n  control_group = {}\n}'),
    400,
    /"control_group" on line 3 is a restriction that this server does not enforce/,
  ],
  [
    'a path that no request can have',
    policy('path "a/../b" {\n  capabilities = ["read"]\n}'),
    400,
    /path "a\/..\/b": it can never match/,
  ],
  [
    'a wildcard at the wrong place',
    policy('path "a/+*" {\n  capabilities = ["read"]\n}'),
    400,
    /invalid use of wildcards/,
  ],
  [
    'a template that names nothing',
    policy('path "a/{{identity.nobody}}" {\n  capabilities = ["read"]\n}'),
    400,
    /names nothing/,
  ],
  [
    'JSON that is cut off',
    policy('{"path":{"a":{"capabilities":["read"]}'),
    400,
    /^failed to parse policy: line 1/,
  ],
  ['nothing', policy(''), 400, "'policy' parameter not supplied or empty"],
  ['blocks in blocks without end', policy(`path "a" ${'{ b '.repeat(5000)}`), 400, /^failed to parse policy/],
  ['more than anybody writes', policy(`# ${'x'.repeat(3 * 1024 * 1024)}\n`), 400, /longer than \d+ bytes/],
  [
    'the name root',
    as('root', 'sys/policies/acl/ROOT', {
      method: 'PUT',
      body: '{"policy":"path \\"b\\" { capabilities = [\\"read\\"] }"}',
    }),
    400,
    'cannot update "root" policy',
  ],
]);

table('a message that is no clear HTTP', [
  [
    'a verb that nobody knows',
    as('root', 'secret/data/open', { method: 'STEAL' }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'a verb of another protocol',
    as('root', 'secret/data/open', { method: 'PROPFIND' }),
    405,
    'unsupported operation',
  ],
  ['TRACE', as('root', 'secret/data/open', { method: 'TRACE' }), 405, 'unsupported operation'],
  ['OPTIONS', as('root', 'secret/data/open', { method: 'OPTIONS' }), 405, 'unsupported operation'],
  [
    'the verb in small letters',
    as('root', 'secret/data/open', { method: 'get' }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'LIST with more letters',
    as('root', 'secret/metadata', { method: 'LISTS' }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'a length and chunks',
    as('root', 'secret/data/new', {
      method: 'POST',
      body: '0\r\n\r\n',
      headers: ['Transfer-Encoding: chunked'],
    }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'two lengths',
    as('root', 'secret/data/new', { method: 'POST', body: '{}', headers: ['Content-Length: 20'] }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'a length below zero',
    as('root', 'secret/data/new', { method: 'POST', headers: ['Content-Length: -1'] }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'chunks under another name',
    as('root', 'secret/data/new', { method: 'POST', headers: ['Transfer-Encoding: chunked, identity'] }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'LIST with a length and chunks',
    as('root', 'secret/metadata', {
      method: 'LIST',
      body: '0\r\n\r\n',
      headers: ['Transfer-Encoding: chunked'],
    }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'a header that goes on in the next line',
    as('root', 'secret/data/open', { headers: ['X-A: b', ' X-Vault-Token: c\u0000'] }),
    400,
    'the request is not valid HTTP',
  ],
  ['a NUL in the target', as('root', 'secret/data/o\u0000pen'), 400, 'the request is not valid HTTP'],
  [
    'a NUL in a header',
    as('root', 'secret/data/open', { headers: ['X-Vault-Namespace: a\u0000b'] }),
    400,
    'the request is not valid HTTP',
  ],
  [
    'a header of 64 KiB',
    as('root', 'secret/data/open', { headers: [`X-A: ${'a'.repeat(65_536)}`] }),
    431,
    'the header of the request is too large',
  ],
  [
    '5,000 headers',
    as('root', 'secret/data/open', { headers: Array.from({ length: 5000 }, (_, i) => `X-${i}: ${i}`) }),
    431,
    'the header of the request is too large',
  ],
  ['a query of 20 KiB', as('root', `secret/data/open?a=${'a'.repeat(20_480)}`), 400, 'the query is too long'],
  [
    'a query of 300 members',
    as('root', `secret/data/open?${'a=1&'.repeat(300)}`),
    400,
    'the query has too many parameters',
  ],
  [
    'a list that is neither true nor false',
    as('root', 'secret/metadata?list=maybe'),
    400,
    'the parameter "list" is no boolean',
  ],
  [
    'a list that is both true and false',
    as('limited', 'secret/metadata/prod?list=false&list=true'),
    400,
    'the parameter "list" is no boolean',
  ],
  [
    'a wrapping time that is none',
    as('root', 'secret/data/open', { headers: ['X-Vault-Wrap-TTL: soon'] }),
    400,
    'error parsing X-Vault-Wrap-TTL header: it is no duration',
  ],
  [
    'a wrapping time below zero',
    as('root', 'secret/data/open', { headers: ['X-Vault-Wrap-TTL: -5s'] }),
    400,
    'error parsing X-Vault-Wrap-TTL header: requested ttl must be positive',
  ],
  [
    'a wrapping time of a million years',
    as('root', 'secret/data/open', { headers: ['X-Vault-Wrap-TTL: 8760000000h'] }),
    400,
    /^error parsing X-Vault-Wrap-TTL header: /,
  ],
  [
    'an upgrade to nothing that is here',
    as('root', 'secret/data/prod', {
      headers: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
    }),
    404,
    'unsupported path',
  ],
  [
    'an upgrade of a target that is no URL',
    () => ({
      target: '//[',
      headers: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
    }),
    404,
    'unsupported path',
  ],
  [
    'more random bytes than memory',
    as('root', 'sys/tools/random/9999999999', { method: 'POST', body: '{}' }),
    400,
    /bytes/,
  ],
]);

table('a page in a browser', [
  [
    'a POST from elsewhere',
    as('root', 'secret/data/open', {
      method: 'POST',
      body: '{"data":{}}',
      headers: ['Origin: https://evil.example', 'Content-Type: text/plain'],
    }),
    403,
    'a page of another origin may not call this server',
  ],
  [
    'a POST from a sandbox',
    as('root', 'secret/data/open', { method: 'POST', body: '{"data":{}}', headers: ['Origin: null'] }),
    403,
    'a page of another origin may not call this server',
  ],
  [
    'a GET from another port',
    as('root', 'secret/data/open', { headers: ['Origin: http://127.0.0.1:1'] }),
    403,
    'a page of another origin may not call this server',
  ],
  [
    'a preflight',
    () => ({
      method: 'OPTIONS',
      target: '/v1/secret/data/open',
      headers: ['Origin: https://evil.example', 'Access-Control-Request-Method: POST'],
    }),
    403,
    'a page of another origin may not call this server',
  ],
  [
    'a name that was bound anew',
    as('root', 'secret/data/open', { host: 'rebound.example' }),
    403,
    'this server does not answer to that host name',
  ],
  [
    'a name that was bound anew, with its own origin',
    as('root', 'secret/data/open', { host: 'rebound.example', headers: ['Origin: http://rebound.example'] }),
    403,
    'this server does not answer to that host name',
  ],
  [
    'a name that begins as ours does',
    as('root', 'secret/data/open', { host: 'localhost.evil.example' }),
    403,
    'this server does not answer to that host name',
  ],
  [
    'a name with a user before it',
    as('root', 'secret/data/open', { host: 'evil@127.0.0.1@evil.example' }),
    403,
    'this server does not answer to that host name',
  ],
  [
    'no name at all',
    as('root', 'secret/data/open', { host: '' }),
    403,
    'this server does not answer to that host name',
  ],
  [
    'an event socket from elsewhere',
    as('root', 'sys/events/subscribe/*?json=true', {
      headers: [
        'Origin: https://evil.example',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      ],
    }),
    403,
    'a page of another origin may not call this server',
  ],
]);

describe('a body without an end', () => {
  const MIB = 1024 * 1024;
  const piece = Buffer.alloc(MIB, 'a');
  const chunk = Buffer.concat([Buffer.from(`${MIB.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
  const head = (headers: string, token = root): string =>
    `POST /v1/secret/data/new HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n${headers}\r\n\r\n`;

  it.each(['plain', 'TLS'] as const)(
    'of 100 MB is refused over %s by its length, hardly any of it read',
    async (transport) => {
      const { answer, taken } = await pour(port, head(`Content-Length: ${100 * MIB}`), piece, transport);
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      expect(answer).toContain('{"errors":["request body too large"]}');
      expect(taken).toBeLessThan(4 * MIB);
    },
  );

  it.each(['plain', 'TLS'] as const)(
    'of endless chunks is refused over %s as soon as it is too long',
    async (transport) => {
      const { answer, taken } = await pour(port, head('Transfer-Encoding: chunked'), chunk, transport);
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      expect(taken).toBeGreaterThan(32 * MIB);
      expect(taken).toBeLessThan(40 * MIB);
    },
  );

  it('is refused before it is sent to who asks first', async () => {
    const reply = await sendBytes(port, head(`Expect: 100-continue\r\nContent-Length: ${100 * MIB}`));
    expect([reply.status, reply.answers, reply.says]).toEqual([413, 1, 'request body too large']);
  });

  it('of a verb that has none is not waited for', async () => {
    const get = `GET /v1/secret/data/open HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${root}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const { answer, taken } = await pour(port, get, chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    // Node drains what comes until the answer has left; on a busy machine a client in this process sends a lot meanwhile.
    expect(taken).toBeLessThan(24 * MIB);
  });
});

describe('a request inside of another', () => {
  const inner = (): string =>
    Buffer.from(message({ target: '/v1/secret/data/prod', token: root })).toString('latin1');

  it.each([
    [
      'the body of a LIST',
      () => ({ method: 'LIST', target: '/v1/secret/metadata', token: limited, body: inner() }),
    ],
    ['the body of a GET', () => ({ target: '/v1/secret/data/open', token: limited, body: inner() })],
    [
      'the body of a refused POST',
      () => ({ method: 'POST', target: '/v2/x', token: limited, body: inner() }),
    ],
  ] as const)('is not found in %s', async (_where, parts) => {
    for (const transport of ['plain', 'TLS'] as const) {
      const reply = await send(parts(), transport);
      expect(reply.answers).toBe(1);
      expect(reply.head + reply.body).not.toContain(PRIVATE);
    }
  });

  it('does not get the token of the one before it', async () => {
    const first = `GET /v1/secret/data/prod HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${root}\r\n\r\n`;
    const second = 'GET /v1/secret/data/prod HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';
    const reply = await sendBytes(port, first + second);
    expect(reply.answers).toBe(2);
    expect(reply.body.split(PRIVATE)).toHaveLength(2);
    expect(reply.body).toContain('HTTP/1.1 403');
  });

  it('as a LIST behind a LIST is refused with the connection, or answered as what it is', async () => {
    const list = `LIST /v1/secret/metadata/prod HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${limited}\r\n\r\n`;
    const reply = await sendBytes(
      port,
      list + list.replace('prod', 'open') + message({ target: '/v1/sys/health' }),
    );
    expect(reply.status).toBeOneOf([400, 403]);
    expect(reply.head + reply.body).not.toContain('"keys"');
  });
});

describe('a caller that takes its time', () => {
  it('is told to go, and holds up nobody meanwhile', { timeout: 60_000 }, async () => {
    const HALF = 'GET /v1/secret/data/open HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ';
    const ended: Promise<string>[] = [];
    for (const start of [HALF, 'L', '\u0016\u0003\u0001', '']) {
      for (let i = 0; i < 25; i++) {
        const socket = connect(port, '127.0.0.1', () => socket.write(start, 'latin1'));
        const drip = setInterval(() => {
          if (start === HALF && socket.writable) socket.write('a');
        }, 1000);
        let text = '';
        socket.on('data', (chunk) => {
          text += chunk.toString('latin1');
        });
        socket.on('error', () => {});
        ended.push(
          new Promise((resolve) => {
            socket.on('close', () => {
              clearInterval(drip);
              resolve(text);
            });
          }),
        );
      }
    }
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        send({ target: '/v1/secret/data/open', token: root }, i % 2 ? 'TLS' : 'plain'),
      ),
    );
    expect(others.every((reply) => reply.status === 200)).toBe(true);
    const answers = await Promise.all(ended);
    expect(answers).toHaveLength(100);
    expect(answers.slice(0, 25).every((text) => text.startsWith('HTTP/1.1 408'))).toBe(true);
    expect(answers.join('')).not.toContain('200 OK');
  });

  it('on TLS, after the handshake, is told to go as well', { timeout: 60_000 }, async () => {
    const text = await new Promise<string>((resolve) => {
      const socket = connectSecure({ port, host: '127.0.0.1', rejectUnauthorized: false }, () =>
        socket.write('GET /v1/secret/data/open HTTP/1.1\r\nX-A: '),
      );
      let got = '';
      socket.on('data', (chunk) => {
        got += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(got));
    });
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('what policy says of itself', () => {
  it('is what it does, for a name in any letters', async () => {
    const paths = [
      'sys/policies/acl/PROD',
      'sys/policies/acl/other',
      'auth/kubernetes/role/PrOd',
      '__proto__',
    ];
    const reply = await send({
      method: 'POST',
      target: '/v1/sys/capabilities-self',
      token: limited,
      body: JSON.stringify({ paths }),
    });
    const { data } = JSON.parse(reply.body) as { data: Record<string, string[]> };
    expect(new Map(Object.entries(data))).toEqual(
      new Map([
        ['sys/policies/acl/PROD', ['deny']],
        ['sys/policies/acl/other', ['create', 'delete', 'read', 'update']],
        ['auth/kubernetes/role/PrOd', ['deny']],
        ['__proto__', ['deny']],
      ]),
    );
  });

  it('is not mixed up with that of another set of policies whose names read the same', async () => {
    const token = async (policies: readonly string[]): Promise<string> => {
      const made = await ask('POST', 'auth/token/create', { policies, no_default_policy: true });
      return (JSON.parse(made.body) as { auth: { client_token: string } }).auth.client_token;
    };
    await ask('PUT', 'sys/policies/acl/limited2', {
      policy: 'path "secret/data/open" { capabilities = ["read"] }',
    });
    const both = await token(['limited', 'limited2']);
    const one = await token(['limited,limited2']);
    expect((await send({ target: '/v1/secret/data/open', token: both })).status).toBe(200);
    expect((await send({ target: '/v1/secret/data/open', token: one })).status).toBe(403);
    await ask('DELETE', 'sys/policies/acl/limited2');
  });
});

describe('a socket for events', () => {
  it.each([
    ['https://evil.example', '127.0.0.1', 403],
    ['null', '127.0.0.1', 403],
    ['http://rebound.example', 'rebound.example', 403],
    [undefined, '127.0.0.1', 'open'],
  ] as const)('from the page %s on the host %s: %s', async (origin, host, wanted) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/sys/events/subscribe/*?json=true`, {
      headers: { 'x-vault-token': root, host, ...(origin === undefined ? {} : { origin }) },
    });
    const got = await new Promise<number | 'open'>((resolve) => {
      socket.on('open', () => resolve('open'));
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
      socket.on('error', () => {});
    });
    socket.terminate();
    expect(got).toBe(wanted);
  });

  it('is not opened twice as wide by a listener that floods it', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/sys/events/subscribe/*?json=true`, {
      headers: { 'x-vault-token': root },
    });
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise<number>((resolve) => socket.once('close', (code) => resolve(code)));
    socket.send('x'.repeat(10_000));
    expect(await closed).toBe(1009);
  });
});
