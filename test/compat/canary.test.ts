/**
 * One secret, put through everything that a secret can go through, and through every way in which that can fail. It may be
 * found in KV and in the Secrets it is meant for, and nowhere else: no log, audit line, event, condition, error or process.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { runCli } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { makeCanary } from '../support/canary.ts';
import { noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { entry, makeTeam, type Team } from '../support/team.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/canary: ${noKubectl}`);

const { secret, found } = makeCanary();

describe('the scanner', () => {
  const beside = (text: string): string => `{"a":"${text}","b":[1,2]}`;
  it.each<readonly [string, string]>([
    ['plain', secret],
    ['in capitals', secret.toUpperCase()],
    ['cut short', secret.slice(0, 18)],
    ['in JSON', JSON.stringify({ a: JSON.stringify({ b: secret }) })],
    ['in a URL', `https://x/?a=${encodeURIComponent(secret)}`],
    [
      'in a URL, every letter',
      [...Buffer.from(secret)].map((byte) => `%${byte.toString(16).toUpperCase()}`).join(''),
    ],
    ['in hex', Buffer.from(`xx${secret}yy`).toString('hex')],
    ['in capital hex', Buffer.from(secret).toString('hex').toUpperCase()],
    ['in base64', Buffer.from(secret).toString('base64')],
    ['in base64 behind one letter', Buffer.from(`"${secret}"`).toString('base64')],
    ['in base64 behind two letters', Buffer.from(`: ${secret}\n`).toString('base64')],
    ['in base64 for URLs', Buffer.from(beside(secret)).toString('base64url')],
    [
      'in base64 twice',
      Buffer.from(beside(Buffer.from(beside(secret)).toString('base64'))).toString('base64'),
    ],
    ['in UTF-16', Buffer.from(secret, 'utf16le').toString('base64')],
    ['as a list of bytes', JSON.stringify(Buffer.from(secret))],
  ])('sees the secret %s', (_dress, text) => {
    expect(found(`before ${text} after`)).not.toEqual([]);
  });

  it('sees nothing where there is nothing', () => {
    expect(found(makeCanary().secret + JSON.stringify(process.versions))).toEqual([]);
  });
});

describe.skipIf(noKubectl !== undefined)('a secret', () => {
  let platform: TestPlatform;
  let team: Team;
  /** Everything that came back and must not hold it: where it was said, and what. */
  const said: (readonly [where: string, text: string])[] = [];
  const events: string[] = [];
  let socket: WebSocket;

  interface Reply {
    readonly status: number;
    readonly text: string;
  }
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> => {
    const response = await fetch(`${platform.address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': platform.keys.rootToken, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status >= 400)
      said.push([`${method} ${path} ${response.status}`, text + JSON.stringify([...response.headers])]);
    return { status: response.status, text };
  };
  const cli = async (
    line: readonly string[],
    stdin = '',
  ): Promise<{ code: number; out: string; err: string }> => {
    let out = '';
    let err = '';
    const terminal: Terminal = {
      env: platform.env,
      out(text) {
        out += text;
      },
      err(text) {
        err += text;
      },
      stdin: async () => stdin,
      secret: async () => secret,
      readFile: async (path) => readFile(path, 'utf8'),
      tokenFile: { read: async () => undefined, write: async () => {} },
    };
    const code = await runCli(line, terminal, 'test');
    said.push([`CLI ${line[0]} ${line[1]}`, err]);
    if (code !== 0) said.push([`CLI ${line[0]} ${line[1]}, output`, out]);
    return { code, out, err };
  };

  beforeAll(async () => {
    platform = await startTestPlatform();
    team = await makeTeam(platform, 'shop');
    socket = new WebSocket(`${platform.address.replace('http', 'ws')}/v1/sys/events/subscribe/*?json=true`, {
      headers: { 'x-vault-token': platform.keys.rootToken },
    });
    socket.on('message', (data) => events.push(String(data)));
    await new Promise((resolve) => socket.once('open', resolve));
  });
  afterAll(async () => {
    socket?.terminate();
    await platform?.stop();
  });

  it('is written and read over the API, in every way that works and that fails', async () => {
    const merge = { 'content-type': 'application/merge-patch+json' };
    const works: readonly (readonly [string, string, unknown, Record<string, string>?])[] = [
      ['POST', 'secret/data/shop/app', { data: { password: secret, other: 'x' } }],
      ['PATCH', 'secret/data/shop/app', { data: { second: secret } }, merge],
      [
        'POST',
        'secret/data/shop/json',
        { data: { password: JSON.stringify({ inner: secret }), list: [secret], deep: { a: { b: secret } } } },
      ],
      ['POST', 'secret/metadata/shop/app', { custom_metadata: { note: secret } }],
      ['POST', 'secret/data/shop/twins', { data: { 'a b': secret, 'a/b': secret } }],
      ['POST', 'cubbyhole/mine', { password: secret }],
      [
        'PUT',
        'sys/policies/acl/canary',
        {
          policy: `path "secret/data/none" {\n capabilities = ["update"]\n allowed_parameters = { "password" = [${JSON.stringify(secret)}] }\n}`,
        },
      ],
      ['POST', 'sys/wrapping/wrap', { password: secret }, { 'x-vault-wrap-ttl': '60' }],
      ['POST', 'sys/tools/hash', { input: Buffer.from(secret).toString('base64') }],
      [
        'POST',
        'auth/token/create',
        { id: secret.replace(/[^A-Za-z0-9]/g, ''), policies: ['default'], ttl: '1h' },
      ],
    ];
    for (const [method, path, body, headers] of works)
      expect([path, (await ask(method, path, body, headers)).status]).toEqual([
        path,
        expect.toBeOneOf([200, 204]),
      ]);
    expect((await ask('GET', 'secret/data/shop/app')).text).toContain(JSON.stringify(secret));

    const quoted = JSON.stringify(secret);
    const fails: readonly (readonly [string, string, unknown, Record<string, string>?])[] = [
      ['POST', 'secret/data/shop/app', `{"data":{"password":${quoted}`],
      ['POST', 'secret/data/shop/app', `{"data":{"password":${quoted}}} ${quoted}`],
      ['POST', 'secret/data/shop/app', `{"data":{"password":${secret}}}`],
      ['POST', 'secret/data/shop/app', `${'{"a":'.repeat(100)}${quoted}${'}'.repeat(100)}`],
      ['POST', 'secret/data/shop/app', quoted],
      ['POST', 'secret/data/shop/app', { data: secret }],
      ['POST', 'secret/data/shop/app', { data: [secret] }],
      ['POST', 'secret/data/shop/app', { data: { password: secret }, options: { cas: 99 } }],
      ['POST', 'secret/data/shop/app', { data: {}, options: { cas: secret } }],
      ['POST', 'secret/data/shop/app', { data: {}, options: secret }],
      ['PATCH', 'secret/data/shop/none', { data: { password: secret } }, merge],
      ['PATCH', 'secret/data/shop/app', `{"data":${quoted}`, merge],
      ['PATCH', 'secret/data/shop/app', { data: secret }, merge],
      ['POST', 'secret/metadata/shop/app', { custom_metadata: { note: secret.repeat(100) } }],
      ['POST', 'secret/metadata/shop/app', { max_versions: secret }],
      ['POST', 'secret/metadata/shop/app', { delete_version_after: secret }],
      ['POST', 'secret/delete/shop/app', { versions: [secret] }],
      ['POST', 'secret/config', { max_versions: secret, delete_version_after: secret }],
      ['GET', `secret/data/shop/app?version=${encodeURIComponent(secret)}`, undefined],
      ['GET', `secret/metadata?list=${encodeURIComponent(secret)}`, undefined],
      [
        'GET',
        'secret/data/shop/app',
        undefined,
        { 'x-vault-wrap-ttl': 'kAnarie'.concat(secret.slice(7, 28)) },
      ],
      ['GET', 'secret/data/shop/app', undefined, { 'x-vault-token': secret.slice(0, 28) }],
      [
        'GET',
        'secret/data/shop/app',
        undefined,
        { 'x-vault-token': '', authorization: `Bearer ${secret.slice(0, 28)}` },
      ],
      [
        'PUT',
        'sys/policies/acl/canary',
        { policy: `path "a" {\n allowed_parameters = { "password" = [${quoted} }\n}` },
      ],
      [
        'PUT',
        'sys/policies/acl/canary',
        { policy: `path "a" {\n capabilities = ["read"]\n min_wrapping_ttl = ${quoted}\n}` },
      ],
      ['PUT', 'sys/policies/acl/canary', { policy: `path "a" {\n allowed_parameters = ${quoted}\n}` }],
      ['POST', 'auth/token/create', { ttl: secret }],
      ['POST', 'auth/token/create', { num_uses: secret, period: secret }],
      ['POST', 'auth/token/create', { id: `hvs.${secret}` }],
      ['POST', 'auth/token/create', { bound_cidrs: [secret] }],
      ['POST', 'auth/token/lookup', { token: secret }],
      ['POST', 'auth/token/renew', { token: secret }],
      ['POST', 'auth/token/revoke-orphan', { token: secret }],
      ['POST', 'auth/token/lookup-accessor', { accessor: secret }],
      ['POST', 'sys/wrapping/unwrap', { token: secret }],
      ['POST', 'sys/wrapping/lookup', { token: secret }],
      ['POST', 'sys/capabilities', { token: secret, paths: ['a'] }],
      ['POST', 'sys/unseal', { key: secret }],
      ['POST', 'sys/unseal', { key: Buffer.from(secret).toString('hex') }],
      ['POST', 'sys/init', { secret_shares: secret }],
      ['POST', 'sys/tools/hash', { input: secret }],
      ['POST', 'sys/tools/random', { bytes: secret }],
      ['POST', 'sys/mounts/x', { type: 'kv', config: { max_lease_ttl: secret } }],
      ['POST', 'sys/auth/x', { type: 'kubernetes', config: secret }],
      [
        'POST',
        'auth/kubernetes/config',
        { kubernetes_host: 'https://a', kubernetes_ca_cert: secret, token_reviewer_jwt: secret },
      ],
      [
        'POST',
        'auth/kubernetes/config',
        { kubernetes_host: `https://user:${secret.slice(0, 28)}@a`, kubernetes_ca_cert: 'x' },
      ],
      ['POST', 'auth/kubernetes/login', { role: 'eso-shop-role', jwt: secret }],
      ['POST', 'auth/kubernetes/login', { role: 'eso-shop-role', jwt: { a: secret } }],
      ['POST', 'auth/kubernetes/login', { role: 'holdfast-operator', jwt: secret }],
      [
        'POST',
        'auth/kubernetes/login',
        {
          role: 'holdfast-operator',
          jwt: `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from(JSON.stringify({ sub: secret })).toString('base64url')}.AAAA`,
        },
      ],
      ['POST', 'auth/kubernetes/login', `{"jwt":${quoted}`],
    ];
    for (const [method, path, body, headers] of fails) {
      const { status } = await ask(method, path, body, headers);
      expect([path, status < 500 || status === 503]).toEqual([path, true]);
    }
    expect(said.length).toBeGreaterThan(35);
    expect((await ask('GET', 'secret/data/shop/app')).text).toContain(JSON.stringify(secret));
  });

  it('goes through the command line, typed well and badly', async () => {
    expect((await cli(['kv', 'put', 'secret/shop/cli', `password=${secret}`])).code).toBe(0);
    expect((await cli(['kv', 'put', 'secret/shop/cli', 'password=-'], secret)).code).toBe(0);
    expect((await cli(['kv', 'get', '-field=password', 'secret/shop/cli'])).out.trim()).toBe(secret);
    const badly: readonly (readonly [readonly string[], string?])[] = [
      [['kv', 'put', 'secret/shop/cli', secret]],
      [['kv', 'put', 'secret/shop/cli', 'password=x', secret]],
      [['kv', 'put', '-cas=99', 'secret/shop/cli', `password=${secret}`]],
      [['kv', 'patch', 'secret/shop/none', `password=${secret}`]],
      [['kv', 'put', 'none/shop/cli', `password=${secret}`]],
      [['kv', 'put', 'secret/shop/cli', '-'], `{"password": "${secret}"`],
      [['write', 'auth/kubernetes/login', 'role=eso-shop-role', `jwt=${secret}`]],
      [['write', 'secret/data/shop/cli', '-'], secret],
      [['login', secret]],
      [['unwrap', secret]],
      [['operator', 'unseal', secret]],
      [['token', 'lookup', secret]],
      [
        ['policy', 'write', 'x', '-'],
        `path "a" { allowed_parameters = { "p" = ["${secret.slice(0, 28)}" } }`,
      ],
    ];
    for (const [line, stdin] of badly) {
      const { code, err } = await cli(line, stdin);
      expect([line[0], line[1] === secret ? '' : line[1], code, err === '']).toEqual([
        line[0],
        line[1] === secret ? '' : line[1],
        expect.toBeOneOf([1, 2]),
        false,
      ]);
    }
  });

  it('reaches the Secret that it is meant for', async () => {
    await team.externalSecret('good', {
      data: [entry('password', 'secret/shop/app', 'password')],
      target: { template: { data: { url: 'x://{{ .password }}', all: '{{ .password | b64enc }}' } } },
    });
    await team.holds('good', {
      url: `x://${secret}`,
      all: Buffer.from(secret).toString('base64'),
    });
  });

  describe('is in the hands of', () => {
    const password = entry('password', 'secret/shop/app', 'password');
    const template = (text: string, more: object = {}): object => ({
      data: [password],
      target: { template: { ...more, data: { a: text } } },
    });
    const literal = (text: string, target: string): object => ({
      data: [password],
      target: { template: { templateFrom: [{ target, literal: text }] } },
    });
    const extract = (key: string, more: object = {}): object => ({
      dataFrom: [{ extract: { key }, ...more }],
    });
    const calls = [
      'fail .password',
      'required .password ""',
      '.password.foo',
      'index .password "x"',
      'index .password 1000',
      'slice .password 5 2',
      'call .password',
      'eq .password 1',
      'lt .password 1',
      'div 1 (int .password)',
      'mustFromJson .password',
      '.password | mustToDate "2006-01-02"',
      'mustRegexMatch .password "x"',
      'regexMatch .password "x"',
      'mustRegexReplaceAll .password "x" "y"',
      'fromYaml (printf "{%s: [" .password)',
      'semver .password',
      'semverCompare .password "1.0.0"',
      'urlParse (printf "://%s" .password)',
      'pkcs12key .password',
      'pkcs12cert .password',
      'pemToPkcs12 .password .password',
      'jwkPublicKeyPem .password',
      'jwkPrivateKeyPem .password',
      'filterPEM .password .password',
      'rsaDecrypt "None" "SHA1" .password .password',
      'genSignedCert .password nil nil 1 .password',
      'decryptAES .password .password',
      'set .password "a" "b"',
      'mustFirst .password',
      'first .password',
      'template .password .',
      'tpl .password .',
      '.password | nindent 2000000000',
      'repeat 2000000000 .password',
      'nosuchfunction .password',
      'include .password .',
      'ternary .password',
      'dict .password | get',
      'toDecimal .password .password',
      'mustDateModify .password now',
      'bcrypt (repeat 10 .password)',
    ];
    const wrong: readonly (readonly [string, object])[] = [
      ...calls.map((call) => [`a template: ${call}`, template(`{{ ${call} }}`)] as const),
      ['a template that loops over it', template('{{ range .password }}{{ .x }}{{ end }}')],
      ['a template that is YAML', literal('{{ .password }}: [', 'Data')],
      ['a template that is no map', literal('{{ .password }}', 'Data')],
      ['a template that is a list', literal('- {{ .password }}', 'Data')],
      ['a template that makes it a key', literal('"{{ .password | js }}": x', 'Data')],
      [
        'a template that makes it a key of what does not decode',
        {
          data: [password],
          target: {
            template: {
              templateFrom: [
                { target: 'Data', literal: '"{{ .password | js }}": "?"', valuesDecodingStrategy: 'Base64' },
              ],
            },
          },
        },
      ],
      ['a label', literal('team: {{ .password | quote }}', 'Labels')],
      ['the name of a label', literal('{{ .password | quote }}: x', 'Labels')],
      ['the name of an annotation', literal('{{ .password | quote }}: x', 'Annotations')],
      ['a Docker configuration', template('{{ .password }}', { type: 'kubernetes.io/dockerconfigjson' })],
      ['a key of SSH', template('{{ .password }}', { type: 'kubernetes.io/ssh-auth' })],
      [
        'base64 that is none',
        {
          data: [
            {
              secretKey: 'a',
              remoteRef: { key: 'secret/shop/app', property: 'password', decodingStrategy: 'Base64' },
            },
          ],
        },
      ],
      [
        'base64 for URLs that is none',
        {
          data: [
            {
              secretKey: 'a',
              remoteRef: { key: 'secret/shop/app', property: 'password', decodingStrategy: 'Base64URL' },
            },
          ],
        },
      ],
      ['a property below a text', { data: [entry('a', 'secret/shop/app', 'password.inner')] }],
      ['a property that misses', { data: [entry('a', 'secret/shop/json', 'password.innr')] }],
      ['a property of a list', { data: [entry('a', 'secret/shop/json', 'list.7')] }],
      ['an extract of a text', { dataFrom: [{ extract: { key: 'secret/shop/app', property: 'password' } }] }],
      [
        'an extract whose names become one',
        extract('secret/shop/app', { rewrite: [{ regexp: { source: '.*', target: 'same' } }] }),
      ],
      [
        'a conversion whose names collide',
        { dataFrom: [{ extract: { key: 'secret/shop/twins', conversionStrategy: 'Default' } }] },
      ],
      [
        'a merge that conflicts',
        extract('secret/shop/json', {
          rewrite: [{ merge: { strategy: 'Extract', conflictPolicy: 'Error' } }],
        }),
      ],
      [
        'a rewrite by a template that fails',
        extract('secret/shop/app', { rewrite: [{ transform: { template: '{{ fail .value }}' } }] }),
      ],
      [
        'a pattern that is none',
        extract('secret/shop/app', { rewrite: [{ regexp: { source: '(', target: '' } }] }),
      ],
      [
        'a version that is not there',
        { data: [{ secretKey: 'a', remoteRef: { key: 'secret/shop/app', version: '99' } }] },
      ],
    ];

    it('all that can fail on it, and each says so', { timeout: 120_000 }, async () => {
      const name = (at: number): string => `wrong-${at}`;
      const objects = wrong.map(([, spec], at) => ({
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: name(at), namespace: 'shop' },
        spec: { refreshInterval: '1h', secretStoreRef: { name: 'vault', kind: 'SecretStore' }, ...spec },
      }));
      await team.externalSecret('rights', {
        data: [password, entry('b', 'secret/shop/json', 'list'), entry('c', 'secret/shop/twins', 'a b')],
      });
      await team.kubectl.apply(...objects);
      const still: string[] = [];
      for (const [at, [what]] of wrong.entries()) {
        const condition = await eventually(`${what} is judged`, async () => {
          const { status, reason, message } = await team.condition(name(at));
          return status === undefined ? undefined : { status, reason, message };
        });
        said.push([`condition: ${what}`, JSON.stringify(condition)]);
        if (condition.status === 'True') still.push(what);
      }
      // Some are no errors here, as they are none upstream; the many that are were really tried.
      expect(wrong.length - still.length).toBeGreaterThan(45);
      expect(still.filter((what) => !what.startsWith('a template: '))).toEqual([
        'an extract whose names become one',
      ]);
    });

    it('a Secret that may not change, and a server that is sealed', { timeout: 60_000 }, async () => {
      await team.put('fixed', { password: 'before' });
      await team.externalSecret('fixed', {
        data: [entry('password', 'secret/shop/fixed', 'password')],
      });
      await team.holds('fixed', { password: 'before' });
      await team.kubectl.run('patch secret fixed -n shop -p \'{"immutable":true}\'');
      await team.put('fixed', { password: secret });
      await team.says('fixed', /^False .*immutable/);
      await ask('PUT', 'sys/seal');
      await team.kubectl.ok('annotate es good force-sync=1 --overwrite -n shop');
      await team.says('good', /^False .*(sealed|503)/);
      await ask('GET', 'secret/data/shop/app');
      await ask('POST', 'sys/unseal', { key: secret });
      expect((await ask('POST', 'sys/unseal', { key: platform.keys.unsealKey })).status).toBe(200);
      await team.kubectl.ok('annotate es good force-sync=2 --overwrite -n shop');
      await team.says('good', /^True /);
    });
  });

  describe('is found afterwards', () => {
    it('in no answer, condition or complaint', () => {
      expect(said.length).toBeGreaterThan(140);
      expect(said.flatMap(([where, text]) => found(text).map((form) => `${where}: ${form}`))).toEqual([]);
    });

    it('in no line of the log, at its most talkative', async () => {
      const text = await platform.logged();
      expect(text).toContain('a login was refused');
      expect(text.split('\n').filter((line) => found(line).length > 0)).toEqual([]);
    });

    it('in no line of the audit trail', async () => {
      const text = await platform.audited();
      expect(text).toContain('secret/data/shop/app');
      expect(text).toContain('auth/kubernetes/login');
      expect(text).toContain('hmac-sha256:');
      expect(text.split('\n').filter((line) => found(line).length > 0)).toEqual([]);
    });

    it('in no event of the server', async () => {
      await eventually('events came', () => events.length > 3 || undefined);
      expect(events.filter((event) => found(event).length > 0)).toEqual([]);
    });

    it('in the data of the Secrets, and nowhere else in the cluster', async () => {
      const kinds =
        'externalsecrets,secretstores,clustersecretstores,secrets,configmaps,events,namespaces,serviceaccounts,leases.coordination.k8s.io';
      const text = await team.kubectl.ok(`get ${kinds} -A -o json --show-managed-fields`);
      const { items } = JSON.parse(text) as { items: Record<string, unknown>[] };
      const counts = new Map<string, number>();
      const rest = items.map((item) => {
        const kind = String(item['kind']);
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
        const { data: _data, ...others } = item;
        return kind === 'Secret' ? others : item;
      });
      expect(counts.get('Event')).toBeGreaterThan(5);
      expect(counts.get('ExternalSecret')).toBeGreaterThan(60);
      // It must be able to fail: with their data the Secrets do hold it.
      expect(
        items.filter((item) => item['kind'] === 'Secret' && found(JSON.stringify(item)).length > 0).length,
      ).toBeGreaterThan(0);
      expect(
        rest.filter((item) => found(JSON.stringify(item)).length > 0).map((item) => JSON.stringify(item)),
      ).toEqual([]);
    });

    it('in no way that the process can be looked at', async () => {
      expect(found(process.title + JSON.stringify([process.argv, process.env, platform.env]))).toEqual([]);
      for (const path of [
        'sys/metrics',
        'sys/metrics?format=prometheus',
        'sys/health',
        'sys/seal-status',
        'sys/leader',
      ])
        expect([path, found((await ask('GET', path)).text)]).toEqual([path, []]);
    });

    it('in no file of the folder', async () => {
      const files = await readdir(platform.folder, { recursive: true, withFileTypes: true });
      const names = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
      expect(names.length).toBeGreaterThan(3);
      for (const name of names)
        expect([name, found((await readFile(name)).toString('latin1'))]).toEqual([name, []]);
    });
  });
});
