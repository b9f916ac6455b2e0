import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { describeProvider } from '../../provider/conformance.ts';
import { webJudge } from '../../provider/egress.ts';
import { extract, lookup } from '../../provider/property.ts';
import type { Provider, ProviderEnv } from '../../provider/provider.ts';
import { testEnv } from '../../provider/testing.ts';
import { createDial } from '../../server/http/dial.ts';
import { checkedUrl, escaped, fixedOrigin } from './address.ts';
import { webhookSpec } from './spec.ts';
import { createWebhookProvider } from './webhook.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Handle = (seen: Seen, response: ServerResponse) => void;

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

/** A service, and what it was asked. */
async function service(handle: Handle): Promise<{ readonly url: string; readonly seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body: Buffer.concat(parts).toString() };
      seen.push(one);
      handle(one, response);
    });
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const open = createDial({ target: (host, port) => ({ host, port }), allow: () => true });

const connect = (spec: object, env: Partial<ProviderEnv> = {}): Promise<Provider> =>
  createWebhookProvider().connect(
    webhookSpec.parse(spec),
    testEnv({ wayOut: { dial: open, mayReach: () => false, mayReachCluster: () => false }, ...env }),
  );

const secret = (
  data: Record<string, string>,
  labels: Record<string, string> = { 'external-secrets.io/type': 'webhook' },
) => ({
  secret: async () => ({
    labels,
    data: new Map(Object.entries(data).map(([key, text]) => [key, utf8(text)])),
  }),
});

const answering =
  (body: string, status = 200): Handle =>
  (_, response) =>
    response.writeHead(status).end(body);

const valueAt = async (provider: Provider, key = 'k', property = ''): Promise<string | undefined> => {
  const read = await provider.getProperty?.({ key, version: '1' }, property);
  return read && textOf(lookup(read.value, '', key));
};

describeProvider('webhook', {
  async start(planted) {
    const { url } = await service((seen, response) => {
      const at = new URL(seen.url, 'http://x');
      const key = decodeURIComponent(at.pathname.slice('/secrets/'.length));
      const version = at.searchParams.get('v') ?? '';
      const found = planted.findLast((one) => one.key === key && (version === '' || one.version === version));
      if (found === undefined) response.writeHead(404).end('no such secret');
      else response.end(JSON.stringify(found.fields));
    });
    const spec = { url: `${url}/secrets/{{ .remoteRef.key }}?v={{ .remoteRef.version }}` };
    return { provider: await connect(spec), stop: async () => {} };
  },
  without: {
    binary: 'members of JSON are text',
    find: 'upstream’s webhook has no search',
    tags: 'it has none',
    metadata: 'it has none',
    write: 'what a push does is the service’s own: it has no owners that could be asked for',
    properties: 'a push is one request',
  },
});

describe('a read', () => {
  test('renders url, headers and body, the key escaped in the url alone', async () => {
    const { url, seen } = await service(answering('ok'));
    const provider = await connect(
      {
        method: 'post',
        url: `${url}/get?id={{ .remoteRef.key }}&v={{ .remoteRef.version }}&n={{ .remoteRef.namespace }}`,
        headers: {
          Authorization: 'Bearer {{ .auth.token | trim }}',
          Host: 'elsewhere',
          'X-Key': '{{ .remoteRef.property }}',
        },
        body: '{"folder": "{{ .remoteRef.key }}", "p": "{{ .remoteRef.property }}"}',
        secrets: [{ name: 'auth', secretRef: { name: 'token' } }],
      },
      secret({ token: 't0ken\n' }),
    );
    expect(await valueAt(provider, '/my app/sécrets', 'prop')).toBe('ok');
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/get?id=%2Fmy%20app%2Fs%C3%A9crets&v=1&n=team',
      body: '{"folder": "/my app/sécrets", "p": "prop"}',
    });
    expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer t0ken', host: new URL(url).host });
    expect(seen[0]?.headers['x-key']).toBe('prop');
  });

  test.each([
    ['$.result.thesecret', '{"result":{"thesecret":"secret-value"}}', 'secret-value'],
    ['$.result.{{ .remoteRef.property }}', '{"result":{"thesecret":"secret-value"}}', 'secret-value'],
    [
      '$.secrets[?@.name=="thesecret"].value',
      '{"secrets":[{"name":"x"},{"name":"thesecret","value":"v"}]}',
      'v',
    ],
    ['$..name', '{"secrets":[{"name":123},{"name":456}]}', '123'],
    ['$.o', '{"o":{"b":1,"a":[12345678901234567890]}}', '{"b":1,"a":[12345678901234567890]}'],
    ['$.t', '{"t":"RE\\/DACTED=="}', 'RE/DACTED=='],
    ['$.f', '{"f":1.5}', '1.5'],
    ['$.z', '{"z":null}', ''],
    ['$.b', '{"b":true}', 'true'],
    ['$.l', '{"l":[["deep"]]}', 'deep'],
    ['', ' {"as": "it is"} ', ' {"as": "it is"} '],
  ])('with the path %s of %s gives %s', async (jsonPath, body, want) => {
    const { url } = await service(answering(body));
    expect(await valueAt(await connect({ url, result: { jsonPath } }), 'k', 'thesecret')).toBe(want);
  });

  test('an object that a path finds, or that stands as text there, is extracted by its members', async () => {
    const { url } = await service(answering('{"o":{"a":1.5,"b":"x"},"t":"{\\"c\\":1}"}'));
    for (const [jsonPath, want] of [
      ['$.o', { a: '1.5', b: 'x' }],
      ['$.t', { c: '1' }],
    ] as const) {
      const read = await (await connect({ url, result: { jsonPath } })).get({ key: 'k' });
      const fields = read === undefined ? new Map() : extract(read.value, '', 'k');
      expect(Object.fromEntries([...fields].map(([key, bytes]) => [key, textOf(bytes)]))).toEqual(want);
    }
  });

  test.each([
    [200, 'canary-value', '$.a', 'cannot read k: failed to parse response json'],
    [200, '{"b":"canary-value"}', '$.a', 'cannot read k: failed to get response path $.a: unknown key a'],
    [200, '{"b":[]}', '$.b', "cannot read k: filter worked but didn't get any result"],
    [200, '{"b":[]}', '$.b[', 'failed to get response path $.b[: unexpected its end at character 5'],
    [500, 'canary-value', '', 'cannot read k: endpoint gave error 500 Internal Server Error'],
    [302, 'canary-value', '', 'endpoint gave error 302 Found; redirects are not followed'],
    [304, '', '', 'endpoint gave error 304 Not Modified'],
    [403, 'canary-value', '', 'endpoint gave error 403 Forbidden'],
  ])(
    'a %i of %s at %s is a failure that says so and quotes nothing',
    async (status, body, jsonPath, told) => {
      const { url } = await service(answering(body, status));
      const provider = await connect({ url, result: { jsonPath } });
      const error = await provider.get({ key: 'k' }).catch((reason: unknown) => reason);
      expect(String(error)).toContain(told);
      expect(String(error)).not.toContain('canary-value');
    },
  );

  test('a service that does not answer in its time is unreachable', async () => {
    const { url } = await service(() => {});
    const provider = await connect({ url, timeout: '50ms' });
    await expect(provider.get({ key: 'k' })).rejects.toMatchObject({ code: 'dial.unreachable' });
  });
});

describe('what a request may not become', () => {
  test('an address that nobody allowed is not connected to, whatever the template makes of a secret', async () => {
    const { url, seen } = await service(answering('ok'));
    const judge = webJudge({ allowed: () => false, isCluster: () => false });
    const dial = createDial({ target: (host, port) => ({ host, port }), allow: judge });
    const provider = await connect(
      { url: '{{ .at.url }}/x', secrets: [{ name: 'at', secretRef: { name: 's' } }] },
      { ...secret({ url }), wayOut: { dial, mayReach: () => false, mayReachCluster: () => false } },
    );
    await expect(provider.get({ key: 'k' })).rejects.toMatchObject({ code: 'dial.refused' });
    expect(seen).toEqual([]);
  });

  test.each([
    ['http://{{ .remoteRef.key }}/', 'evil.example'],
    ['http://a.{{ .remoteRef.key }}', 'b'],
    ['{{ if eq .remoteRef.key "k" }}http://one{{ else }}http://two{{ end }}/', 'k'],
    ['http://safe.example{{ .remoteRef.key }}/', ':81'],
  ])('a host of %s that the key %s decides is refused', async (url, key) => {
    const provider = await connect({ url });
    await expect(provider.get({ key })).rejects.toMatchObject({ code: 'provider.spec' });
  });

  test.each(['.', '..'])('a key %s does not climb out of its path', async (key) => {
    const { url, seen } = await service(answering('ok'));
    const provider = await connect({ url: `${url}/secrets/{{ .remoteRef.key }}/value` });
    await expect(provider.get({ key })).rejects.toThrow('has "." or ".." in its path');
    expect(await valueAt(provider, '../../admin')).toBe('ok');
    expect(seen.map((one) => one.url)).toEqual(['/secrets/..%2F..%2Fadmin/value']);
  });

  test('no key leads to another host or out of the path', () => {
    const part = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('..', '.', '/', '\\', '@', '#', '?', '%2e', '\t', ':'),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        let href: string;
        try {
          href = checkedUrl(`https://h.example/v1/${escaped(parts.join(''))}/end`, 'https://h.example', 's');
        } catch (error) {
          expect(String(error)).toContain('"." or ".."');
          return;
        }
        const url = new URL(href);
        expect([url.origin, url.pathname.split('/').length, url.search]).toEqual([
          'https://h.example',
          4,
          '',
        ]);
        expect(url.pathname).toMatch(/^\/v1\/.*\/end$/);
      }),
    );
  });

  test.each([
    ['https://h.example@evil.example/', 'user'],
    ['https://h.example\\@evil.example/', 'path'],
    ['https://evil.example/', 'another host'],
    ['https://h.example:444/', 'another host'],
    ['ftp://h.example/', 'neither http'],
    ['nonsense', 'not a URL'],
    ['https://h.example/a/%2e%2E/b', '".."'],
    ['https://h.example/a\\..\\b', '".."'],
    ['https://h.example/a/.\t./b', '".."'],
  ])('%s is not asked', (rendered, told) => {
    const ask = (): string => checkedUrl(rendered, 'https://h.example', 'SecretStore t/s');
    if (told === 'path') expect(ask()).toBe('https://h.example/@evil.example/');
    else expect(ask).toThrow(told);
  });

  test.each([
    ['https://h.example/{{ .x }}', 'https://h.example'],
    ['HTTPS://H.example:8443?x={{ .x }}', 'https://h.example:8443'],
    ['https://h.example', 'https://h.example'],
    ['https://h.example{{ .x }}', undefined],
    ['https://{{ .x }}.example/', undefined],
    ['https://u:{{ .x }}@h.example/', undefined],
    ['{{ .x }}', undefined],
  ])('the plain address of %s is %s', (template, origin) => expect(fixedOrigin(template)).toBe(origin));

  test('a header that a key breaks into two is not sent', async () => {
    const { url, seen } = await service(answering('ok'));
    const provider = await connect({ url, headers: { 'X-Key': '{{ .remoteRef.key }}' } });
    await expect(provider.get({ key: 'a\r\nX-Admin: canary' })).rejects.toThrow(
      'header X-Key, rendered, holds a line end',
    );
    expect(seen).toEqual([]);
  });
});

describe('a store', () => {
  const withSecret = (url: string) => ({ url, secrets: [{ name: 'auth', secretRef: { name: 'token' } }] });

  test.each([
    [{}, "does not contain needed label 'external-secrets.io/type: webhook'"],
    [{ 'external-secrets.io/type': 'other' }, "secret type is not 'webhook'"],
  ])('whose secret has the labels %j is refused', async (labels, told) => {
    await expect(connect(withSecret('http://h'), secret({ token: 't' }, labels))).rejects.toThrow(told);
  });

  test.each([
    [{ url: 'http://h/{{ .unclosed' }, 'failed to parse url'],
    [{ url: 'http://h/', body: '{{ nothing }}' }, 'failed to parse body'],
    [{ url: 'http://h/', headers: { A: '{{' } }, 'failed to parse header A'],
    [{ url: 'http://h/', result: { jsonPath: "$.{{printf 'result' }}" } }, 'failed to parse jsonPath'],
    [
      { url: 'http://h/', auth: { ntlm: { usernameSecret: {}, passwordSecret: {} } } },
      'auth.ntlm is not supported',
    ],
    [{ url: 'http://h/', caBundle: 'bm9uZQ==' }, 'certificate authority is neither PEM'],
  ])('%j is refused when it is connected', async (spec, told) => {
    await expect(connect(spec)).rejects.toThrow(told);
  });

  test.each([
    [{}, 'url'],
    [{ url: 'http://h', timeout: '1 year' }, 'is not a duration up to 5m'],
    [{ url: 'http://h', timeout: '6m' }, 'is not a duration up to 5m'],
    [{ url: 'http://h', method: 'GET /' }, 'is not the name of an HTTP method'],
    [{ url: 'http://h', headers: { 'a b': '' } }, 'headers'],
  ])('%j is no store', (spec, told) => {
    const issues = webhookSpec.safeParse(spec).error?.issues ?? [];
    expect(issues.map(({ path, message }) => `${path.join('.')} ${message}`).join()).toContain(told);
  });

  test('is ready when its host answers anything, unknown when its host is a secret, and failed when nobody is there', async () => {
    const { url, seen } = await service(answering('no', 404));
    expect(await (await connect({ url: `${url}/deep/{{ .remoteRef.key }}` })).validate()).toBe('ready');
    expect(seen.map(({ method, url: at }) => `${method} ${at}`)).toEqual(['HEAD /']);
    expect(await (await connect({ url: 'https://{{ .auth.token }}/' })).validate()).toBe('unknown');
    await expect((await connect({ url: 'http://127.0.0.1:1/' })).validate()).rejects.toMatchObject({
      code: 'dial.unreachable',
    });
  });

  test('that many namespaces use is connected for each, because it may name the namespace', async () => {
    const { url } = await service(answering('ok'));
    const provider = await connect(
      { url },
      {
        cluster: true,
        namespace: () => {
          throw failure('operator.ref_referent', { kind: 'ExternalSecret', name: 'x' });
        },
      },
    );
    await expect(provider.get({ key: 'k' })).rejects.toMatchObject({ code: 'operator.ref_referent' });
    expect(await provider.validate()).toBe('ready');
  });
});

describe('a push', () => {
  test('is a POST of the value, with what templates may name', async () => {
    const { url, seen } = await service(answering('', 201));
    const provider = await connect({
      url: `${url}/push?id={{ .remoteRef.remoteKey }}&key={{ .remoteRef.secretKey }}{{ if .remoteRef.key }}&read{{ end }}`,
    });
    const options = { owner: 'us', secretKey: 'pass word' };
    expect(await provider.put?.({ key: 'a/b' }, { bytes: utf8('välue') }, options)).toBe('written');
    expect(seen).toMatchObject([{ method: 'POST', url: '/push?id=a%2Fb&key=pass%20word', body: 'välue' }]);
  });

  test('names its value by the remote key, and a whole Secret is JSON', async () => {
    const { url, seen } = await service(answering(''));
    const body = '{"v": {{ .remoteRef.app | toJson }}}';
    const provider = await connect({ url, method: 'PUT', body });
    const value = { fields: new Map([['a', utf8('1')]]), json: '{"a":"1"}' };
    await provider.put?.({ key: 'app' }, value, { owner: 'us' });
    expect(seen).toMatchObject([{ method: 'PUT', body: '{"v": "{\\"a\\":\\"1\\"}"}' }]);
  });

  test('of bytes that are no text is refused before anything is sent', async () => {
    const { url, seen } = await service(answering(''));
    const provider = await connect({ url });
    const push = provider.put?.({ key: 'k' }, { bytes: Uint8Array.of(255) }, { owner: 'us' });
    await expect(push).rejects.toMatchObject({ code: 'provider.push' });
    expect(seen).toEqual([]);
  });

  test('of only what is new asks first', async () => {
    const { url, seen } = await service((one, response) =>
      response.writeHead(one.method === 'GET' && one.url === '/new' ? 404 : 200).end(),
    );
    const provider = await connect({ url: `${url}/{{ .remoteRef.key }}{{ .remoteRef.remoteKey }}` });
    const push = (key: string) =>
      provider.put?.({ key }, { bytes: utf8('v') }, { owner: 'us', onlyNew: true });
    expect([await push('old'), await push('new')]).toEqual(['kept', 'written']);
    expect(seen.map(({ method, url: at }) => `${method} ${at}`)).toEqual([
      'GET /old',
      'GET /new',
      'POST /new',
    ]);
  });

  test('is taken away by DELETE, and gone is gone', async () => {
    const { url, seen } = await service((one, response) =>
      response.writeHead(seen.length > 1 ? 404 : 204).end(one.body),
    );
    const provider = await connect({ url: `${url}/{{ .remoteRef.remoteKey }}`, body: 'never sent' });
    expect(await provider.delete?.({ key: 'a b' }, { owner: 'us' })).toBe('deleted');
    expect(await provider.delete?.({ key: 'a b' }, { owner: 'us' })).toBe('absent');
    expect(seen[0]).toMatchObject({ method: 'DELETE', url: '/a%20b', body: '' });
  });

  test.each([404, 500])('that the service answers with %i has failed', async (status) => {
    const { url } = await service(answering('', status));
    const push = (await connect({ url })).put?.({ key: 'k' }, { bytes: utf8('v') }, { owner: 'us' });
    await expect(push).rejects.toThrow(`endpoint gave error ${status}`);
  });
});
