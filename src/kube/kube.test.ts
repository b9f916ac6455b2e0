import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ManualClock, systemClock } from '../base/clock.ts';
import { failure, isFailure } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { type CacheChange, createCache } from './cache.ts';
import { createKube, inClusterConfig, type KubeConfig, parseKubeconfig } from './client.ts';
import type { Kube, KubeObject, List, Resource, WatchEvent } from './kube.ts';
import { runAsLeader } from './lease.ts';
import { matchesSelector } from './selectors.ts';

const CANARY = 'canary-s3cr3t';
const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
const STORES: Resource = {
  group: 'external-secrets.io',
  version: 'v1',
  plural: 'secretstores',
  kind: 'SecretStore',
  namespaced: true,
};
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const never = new AbortController().signal;
const object = (name: string, resourceVersion: string, uid = name, extra: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'team', uid, resourceVersion },
  ...extra,
});

async function serve(
  handler: (request: http.IncomingMessage, response: http.ServerResponse, body: string) => void,
) {
  const seen: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (c) => chunks.push(c));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      handler(request, response, body);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const kube = createKube(
    { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    { timeoutMs: 2000 },
  );
  closing.push(() => {
    kube.close();
    server.closeAllConnections();
    server.close();
  });
  return { kube, seen };
}

const json = (response: http.ServerResponse, status: number, body: unknown, headers = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};
const status = (code: number, reason: string, message: string, details = {}) => ({
  kind: 'Status',
  code,
  reason,
  message,
  details,
});

const failureOf = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => undefined,
    (e) => e,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return error;
};
async function collect(stream: AsyncIterable<WatchEvent>) {
  const got: WatchEvent[] = [];
  try {
    for await (const event of stream) got.push(event);
    return { got, error: undefined };
  } catch (error) {
    return { got, error };
  }
}

describe('the client', () => {
  test('paths, queries and media types are those of the API', async () => {
    const { kube, seen } = await serve((_, response) => json(response, 200, { metadata: { name: 'a' } }));
    const name = { resource: STORES, namespace: 'team', name: 'a' };
    await kube.get(name);
    await kube.apply(name, { x: 1 }, { manager: 'holdfast', force: true, subresource: 'status' });
    await kube.patch(name, { x: 1 }, { manager: 'm' });
    await kube.create({ resource: SECRETS, namespace: 'team', name: 'a' }, { x: 1 }, { manager: 'm' });
    expect(seen.map((s) => [s.method, s.url, s.headers['content-type']])).toEqual([
      ['GET', '/apis/external-secrets.io/v1/namespaces/team/secretstores/a', undefined],
      [
        'PATCH',
        '/apis/external-secrets.io/v1/namespaces/team/secretstores/a/status?fieldManager=holdfast&force=true',
        'application/apply-patch+yaml',
      ],
      [
        'PATCH',
        '/apis/external-secrets.io/v1/namespaces/team/secretstores/a?fieldManager=m',
        'application/merge-patch+json',
      ],
      ['POST', '/api/v1/namespaces/team/secrets?fieldManager=m', 'application/json'],
    ]);
  });

  test.each([
    [409, 'AlreadyExists', 'kube.exists'],
    [409, 'Conflict', 'kube.conflict'],
    [403, 'Forbidden', 'kube.denied'],
    [422, 'Invalid', 'kube.invalid'],
    [400, 'BadRequest', 'kube.invalid'],
    [404, 'NotFound', 'kube.missing'],
    [503, 'ServiceUnavailable', 'kube.unavailable'],
  ])('status %i %s is %s, with the words of the server', async (code, reason, wanted) => {
    const { kube } = await serve((_, response) => json(response, code, status(code, reason, 'because')));
    const error = await failureOf(kube.create({ resource: STORES, namespace: 'team', name: 'a' }, {}));
    expect(error.code).toBe(wanted);
    expect(error.message).toBe('POST secretstores team/a: because');
  });

  test('what a server says of a refused Secret is passed on by field and reason, never by value', async () => {
    const body = status(422, 'Invalid', `data: Invalid value: "${CANARY}"`, {
      causes: [
        { field: `data[${CANARY}]`, reason: 'FieldValueInvalid', message: CANARY },
        { field: 'items[2].key', reason: 'FieldValueRequired' },
      ],
    });
    const { kube } = await serve((_, response) => json(response, 422, body));
    const error = await failureOf(kube.create({ resource: SECRETS, namespace: 'team', name: 'a' }, {}));
    expect(error.message).toBe(
      'POST secrets team/a: Invalid; data[...] FieldValueInvalid; items[2].key FieldValueRequired',
    );
  });

  test('absence is a value, and so is a delete that found another object', async () => {
    const { kube, seen } = await serve((request, response) =>
      json(response, request.method === 'DELETE' ? 409 : 404, status(404, 'x', 'y')),
    );
    expect(await kube.get({ resource: SECRETS, namespace: 'team', name: 'a' })).toBeUndefined();
    expect(await kube.delete({ resource: SECRETS, namespace: 'team', name: 'a' }, { uid: 'u' })).toBe(false);
    expect(JSON.parse(seen[1]?.body ?? '')).toMatchObject({ preconditions: { uid: 'u' } });
  });

  test('429 is asked again after the time that was told', async () => {
    let asked = 0;
    const { kube } = await serve((_, response) =>
      ++asked < 3
        ? json(response, 429, status(429, 'TooManyRequests', 'slow'), { 'retry-after': '0' })
        : json(response, 200, { metadata: { name: 'a' } }),
    );
    expect((await kube.get({ resource: SECRETS, namespace: 'team', name: 'a' }))?.metadata.name).toBe('a');
    expect(asked).toBe(3);
  });

  test('a list of metadata holds no data, even from a server that sends it', async () => {
    const { kube } = await serve((_, response) =>
      json(response, 200, {
        metadata: { resourceVersion: '9', continue: 'next' },
        items: [object('a', '1', 'a', { data: { k: CANARY } })],
      }),
    );
    const list = await kube.list({ resource: SECRETS, metadataOnly: true });
    expect(list).toMatchObject({ resourceVersion: '9', continue: 'next' });
    expect(JSON.stringify(list)).not.toContain(CANARY);
    expect(list.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'Secret' });
  });

  test.each(['', '..', 'a/b'])('a name such as %j does not leave its place', async (name) => {
    const { kube, seen } = await serve((_, response) => json(response, 200, {}));
    expect(
      (await failureOf((async () => kube.get({ resource: SECRETS, namespace: 'team', name }))())).code,
    ).toBe('kube.invalid');
    expect(seen).toHaveLength(0);
  });
});

describe('a watch', () => {
  const event = (type: string, o: unknown) => `${JSON.stringify({ type, object: o })}\n`;
  const run = async (write: (response: http.ServerResponse) => void, signal = never) => {
    const { kube, seen } = await serve((_, response) => write(response));
    const result = await collect(kube.watch({ resource: SECRETS, resourceVersion: '5' }, signal));
    return { ...result, seen };
  };

  test('gives events and bookmarks, however the lines are cut into packets', async () => {
    const text = event('ADDED', object('é', '6')) + event('BOOKMARK', { metadata: { resourceVersion: '8' } });
    const { got, error, seen } = await run(async (response) => {
      response.writeHead(200);
      for (const byte of Buffer.from(text)) {
        response.write(Buffer.from([byte]));
        if (byte > 127) await new Promise((done) => setTimeout(done, 2));
      }
      response.end();
    });
    expect(error).toBeUndefined();
    expect(got.map((e) => e.type)).toEqual(['ADDED', 'BOOKMARK']);
    expect(got[0]).toMatchObject({ object: { metadata: { name: 'é' } } });
    expect(seen[0]?.url).toMatch(
      /\/api\/v1\/secrets\?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=\d+/,
    );
  });

  test('says GONE for 410, both as an answer and as an event', async () => {
    expect((await run((r) => json(r, 410, status(410, 'Expired', 'too old')))).got).toEqual([
      { type: 'GONE' },
    ]);
    expect((await run((r) => r.end(event('ERROR', status(410, 'Expired', 'too old'))))).got).toEqual([
      { type: 'GONE' },
    ]);
  });

  test('that is cut in mid-line fails after what was whole, and the half line is nothing', async () => {
    const { got, error } = await run((response) => {
      response.writeHead(200);
      response.write(event('ADDED', object('a', '6')) + event('ADDED', object('b', '7')).slice(0, 30));
      setTimeout(() => response.destroy(), 20);
    });
    expect(got).toHaveLength(1);
    expect(isFailure(error, 'kube.unreachable')).toBe(true);
  });

  test.each([`${CANARY}\n`, '[]\n', '{"type":"ADDED"}\n', '{"type":"WHAT","object":{"metadata":{}}}\n'])(
    'with a line such as %j is garbage and is not quoted',
    async (line) => {
      const { error } = await run((response) => response.end(line));
      expect(isFailure(error, 'kube.garbage')).toBe(true);
      expect(String(error)).not.toContain(CANARY);
    },
  );

  test('ends when it is aborted', async () => {
    const stop = new AbortController();
    const { error } = await run((response) => {
      response.writeHead(200);
      response.write(event('ADDED', object('a', '6')));
      setTimeout(() => stop.abort(new Error('stop')), 20);
    }, stop.signal);
    expect(String(error)).toContain('stop');
  });
});

/** A server that plays a script: each list and each watch takes the next entry. */
function scripted(
  lists: readonly (List | Error)[],
  watches: readonly (readonly (WatchEvent | Error)[] | 'open')[],
) {
  const calls: string[] = [];
  let l = 0;
  let w = 0;
  const kube: Pick<Kube, 'list' | 'watch'> = {
    async list(options) {
      calls.push(`list ${options.continue ?? ''}`.trim());
      const next = lists[Math.min(l++, lists.length - 1)];
      if (next === undefined || next instanceof Error) throw next;
      return next;
    },
    async *watch(options, signal) {
      calls.push(`watch ${options.resourceVersion}`);
      const next = watches[w++] ?? 'open';
      if (next === 'open') {
        await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
        return;
      }
      for (const item of next) {
        if (item instanceof Error) throw item;
        yield item;
      }
    },
  };
  return { kube, calls };
}

async function informed(
  script: ReturnType<typeof scripted>,
  until: (calls: string[], changes: CacheChange[]) => boolean,
) {
  const stop = new AbortController();
  const changes: CacheChange[] = [];
  const cache = createCache({
    kube: script.kube,
    resource: SECRETS,
    clock: systemClock,
    log: silentLog,
    backoff: { baseMs: 1, maxMs: 2 },
    indexes: { byColor: (o) => (typeof o['color'] === 'string' ? [o['color']] : []) },
  });
  cache.onChange(() => {
    throw new Error('a listener that fails');
  });
  cache.onChange((change) => changes.push(change));
  const ran = cache.run(stop.signal);
  while (!until(script.calls, changes)) await new Promise((done) => setTimeout(done, 1));
  stop.abort();
  await ran;
  const told = changes.map(
    (c) => `${c.old?.metadata.resourceVersion ?? '-'}>${c.new?.metadata.resourceVersion ?? '-'}`,
  );
  return { cache, told, changes };
}

describe('the cache', () => {
  const list = (version: string, ...items: KubeObject[]): List => ({ items, resourceVersion: version });
  const added = (o: KubeObject): WatchEvent => ({ type: 'ADDED', object: o });
  const modified = (o: KubeObject): WatchEvent => ({ type: 'MODIFIED', object: o });

  test('reads all pages before it is synced, and goes on from where it was', async () => {
    const script = scripted(
      [{ ...list('5', object('a', '1')), continue: 'p2' }, list('5', object('b', '2'))],
      [[{ type: 'BOOKMARK', resourceVersion: '8' }], 'open'],
    );
    const { cache } = await informed(script, (calls) => calls.length >= 4);
    expect(script.calls).toEqual(['list', 'list p2', 'watch 5', 'watch 8']);
    expect(cache.list('team').map((o) => o.metadata.name)).toEqual(['a', 'b']);
    expect(cache.list('other')).toEqual([]);
    expect(cache.isSynced).toBe(true);
  });

  test('a storm of 410 is answered by lists that are no storm, and nothing is forgotten meanwhile', async () => {
    const gone: WatchEvent[] = [{ type: 'GONE' }];
    const script = scripted([list('5', object('a', '1'))], [gone, gone, gone, gone, gone, 'open']);
    const { cache, told } = await informed(
      script,
      (calls) => calls.filter((c) => c.startsWith('watch')).length >= 6,
    );
    expect(told).toEqual(['->1']);
    expect(cache.get('team', 'a')?.metadata.resourceVersion).toBe('1');
  });

  test('duplicate events are told once; what a new list no longer has is told as gone', async () => {
    const script = scripted(
      [list('5', object('a', '1'), object('b', '2')), list('9', object('b', '7'))],
      [
        [added(object('a', '1')), modified(object('b', '6')), modified(object('b', '6')), { type: 'GONE' }],
        'open',
      ],
    );
    const { told } = await informed(script, (calls) => calls.length >= 4);
    expect(told).toEqual(['->1', '->2', '2>6', '1>-', '6>7']);
  });

  test('an object made again under its name is told as gone and new, and an old farewell does not take it away', async () => {
    const script = scripted(
      [list('5', object('a', '1', 'first'))],
      [
        [
          added(object('a', '6', 'second')),
          { type: 'DELETED', object: object('a', '7', 'first') },
          { type: 'BOOKMARK', resourceVersion: '8' },
        ],
        'open',
      ],
    );
    const { cache, told } = await informed(script, (calls) => calls.includes('watch 8'));
    expect(told).toEqual(['->1', '1>-', '->6']);
    expect(cache.get('team', 'a')?.metadata.uid).toBe('second');
  });

  test('a server that goes away leaves what was known, and is asked again', async () => {
    const away = failure('kube.unreachable', { address: 'x', reason: 'connection refused' });
    const script = scripted([away, list('5', object('a', '1'))], [[away], [away], 'open']);
    const { cache } = await informed(
      script,
      (calls) => calls.filter((c) => c.startsWith('watch')).length >= 3,
    );
    expect(script.calls).toEqual(['list', 'list', 'watch 5', 'watch 5', 'watch 5']);
    expect(cache.list()).toHaveLength(1);
  });

  test('indexes follow changes', async () => {
    const script = scripted(
      [list('5', object('a', '1', 'a', { color: 'red' }), object('b', '2', 'b', { color: 'red' }))],
      [
        [modified(object('a', '6', 'a', { color: 'blue' })), { type: 'DELETED', object: object('b', '7') }],
        'open',
      ],
    );
    const { cache } = await informed(script, (calls) => calls.length >= 3);
    expect(cache.byIndex('byColor', 'red')).toEqual([]);
    expect(cache.byIndex('byColor', 'blue').map((o) => o.metadata.name)).toEqual(['a']);
  });
});

describe('configuration', () => {
  const config = (user: string, extra = '') => `
current-context: c
clusters: [{name: k, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: ${Buffer.from('PEM').toString('base64')}${extra}}}]
contexts: [{name: c, context: {cluster: k, user: u, namespace: team}}]
users: [{name: u, user: {${user}}}]`;

  test('a kubeconfig with a token is read', () => {
    expect(parseKubeconfig(config('token: t'))).toMatchObject({
      server: 'https://127.0.0.1:6443',
      ca: 'PEM',
      token: 't',
      namespace: 'team',
    });
  });

  test.each([
    ['a program to run', config('exec: {command: sh}'), 'runs a program'],
    ['YAML that is none', `{${CANARY}: [`, 'it is not YAML'],
    ['no context', 'clusters: []', 'no current-context'],
    ['a user that is not there', config('token: t').replace('name: u,', 'name: v,'), 'there is no user "u"'],
    ['broken base64', config('client-key-data: "***"'), 'client-key-data is not base64'],
  ])('%s is refused with the reason', (_, yaml, reason) => {
    let thrown: unknown;
    try {
      parseKubeconfig(yaml);
    } catch (error) {
      thrown = error;
    }
    expect(isFailure(thrown, 'kube.config')).toBe(true);
    expect(String(thrown)).toContain(reason);
    expect(String(thrown)).not.toContain(CANARY);
  });

  test('credentials are not sent in the clear', () => {
    const configs: KubeConfig[] = [
      { server: 'http://x', token: 't' },
      { server: 'http://x', tokenFile: '/t' },
      { server: 'ftp://x' },
    ];
    for (const given of configs) expect(() => createKube(given)).toThrow();
  });

  test('a pod finds its own; outside of one there is none', () => {
    const files: Record<string, string> = { 'ca.crt': 'PEM', namespace: 'team\n' };
    const read = (path: string) => files[path.split('/').at(-1) ?? ''] ?? '';
    expect(
      inClusterConfig({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, read),
    ).toMatchObject({ server: 'https://[fd00::1]:443', ca: 'PEM', namespace: 'team' });
    expect(inClusterConfig({}, read)).toBeUndefined();
  });
});

describe('selectors', () => {
  test.each([
    [{}, { a: 'b' }, true],
    [undefined, {}, false],
    [{ matchLabels: { a: 'b' } }, { a: 'b' }, true],
    [{ matchLabels: { constructor: 'x' } }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['x', 'b'] }] }, { a: 'b' }, true],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] }, {}, true],
    [{ matchExpressions: [{ key: 'toString', operator: 'Exists' }] }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, { a: 'b' }, false],
  ])('%j on %j is %s', (selector, labels, wanted) =>
    expect(matchesSelector(selector, labels as Record<string, string>)).toBe(wanted),
  );

  test('an operator that does not exist, or without its values, is refused whatever the labels', () => {
    for (const e of [
      { key: 'a', operator: 'Like', values: ['x'] },
      { key: 'a', operator: 'In' },
      { key: 'a', operator: 'Exists', values: ['x'] },
    ])
      expect(() => matchesSelector({ matchLabels: { no: 'no' }, matchExpressions: [e] }, {})).toThrow(
        /selector/,
      );
  });
});

describe('leader election', () => {
  /** One Lease, with versions and conflicts. */
  function memory() {
    let held: KubeObject | undefined;
    let version = 0;
    const store = (o: KubeObject): KubeObject => {
      held = { ...o, metadata: { ...o.metadata, resourceVersion: String(++version) } };
      return held;
    };
    const kube: Pick<Kube, 'get' | 'create' | 'update'> = {
      get: async () => held,
      create: async (_, o) => {
        if (held !== undefined) throw failure('kube.exists', { request: 'x', reason: 'y' });
        return store(o as KubeObject);
      },
      update: async (_, o) => {
        if (held?.metadata.resourceVersion !== o.metadata.resourceVersion)
          throw failure('kube.conflict', { request: 'x', reason: 'y' });
        return store(o);
      },
    };
    return { kube, spec: () => (held?.['spec'] ?? {}) as Record<string, unknown> };
  }
  const settle = async () => {
    for (let i = 0; i < 30; i++) await Promise.resolve();
  };

  test('there is never more than one; the next takes over when the first gives up or is cut off', async () => {
    const { kube, spec } = memory();
    const clock = new ManualClock();
    const leading = new Set<string>();
    let most = 0;
    let cut = false;
    const stand = (identity: string, signal: AbortSignal) =>
      runAsLeader(
        {
          kube:
            identity === 'a'
              ? {
                  ...kube,
                  get: async (...given) =>
                    cut
                      ? Promise.reject(failure('kube.unreachable', { address: 'x', reason: 'cut' }))
                      : kube.get(...given),
                }
              : kube,
          namespace: 'n',
          name: 'l',
          identity,
          clock,
          log: silentLog,
          lead: async (term) => {
            leading.add(identity);
            most = Math.max(most, leading.size);
            await new Promise<void>((done) => term.addEventListener('abort', () => done(), { once: true }));
            leading.delete(identity);
          },
        },
        signal,
      );
    const stop = new AbortController();
    const a = stand('a', stop.signal);
    await settle();
    const b = stand('b', stop.signal);
    const step = async (seconds: number) => {
      for (let i = 0; i < seconds; i++) {
        clock.advance(1000);
        await settle();
      }
    };
    await step(30);
    expect([...leading]).toEqual(['a']);
    cut = true;
    await step(40);
    expect([...leading]).toEqual(['b']);
    expect(spec()['leaseTransitions']).toBe(1);
    stop.abort();
    await settle();
    await Promise.all([a, b]);
    expect(most).toBe(1);
    expect(spec()['holderIdentity']).toBe('');
  });
});
