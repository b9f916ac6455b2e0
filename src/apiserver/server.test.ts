import { createSign } from 'node:crypto';
import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { MemoryBackend } from '../storage/memory.ts';
import { asFields, asList, at, type Obj, type Value } from './objects.ts';
import { type ApiServer, startApiServer } from './server.ts';

interface Answer {
  status: number;
  body: Obj;
  headers: Record<string, unknown>;
}

describe('the embedded Kubernetes API', () => {
  let backend: MemoryBackend;
  let clock: ManualClock;
  let api: ApiServer;
  const start = () => startApiServer({ backend, host: '127.0.0.1', port: 0, clock, log: silentLog });

  beforeEach(async () => {
    backend = new MemoryBackend();
    clock = new ManualClock(Date.now());
    api = await start();
  });
  afterEach(() => api.close());

  function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const request = httpsRequest(
        {
          host: '127.0.0.1',
          port: api.port,
          ca: api.caPem,
          method,
          path,
          agent: false,
          headers: {
            authorization: `Bearer ${api.adminToken}`,
            'content-type': 'application/json',
            ...(text === undefined ? {} : { 'content-length': String(Buffer.byteLength(text)) }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const whole = Buffer.concat(chunks).toString();
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: whole.startsWith('{') ? JSON.parse(whole) : {},
            });
          });
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  }
  const message = (answer: Answer): string => String(answer.body['message']);
  const map = (name: string, data: Record<string, string> = {}, more: object = {}): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, ...more },
    data,
  });
  const MAPS = '/api/v1/namespaces/default/configmaps';

  /** Reads a watch until it has `count` events, or it ends. */
  function watch(
    path: string,
    count: number,
    headers: Record<string, string> = {},
  ): Promise<{ type: string; object: Obj }[]> & { opened: Promise<void> } {
    let opened: () => void = () => {};
    const ready = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const events = new Promise<{ type: string; object: Obj }[]>((resolve, reject) => {
      const request = httpsRequest(
        {
          host: '127.0.0.1',
          port: api.port,
          ca: api.caPem,
          path,
          agent: false,
          headers: { authorization: `Bearer ${api.adminToken}`, ...headers },
        },
        (response) => {
          opened();
          let text = '';
          const read = () =>
            text
              .split('\n')
              .filter((line) => line !== '')
              .map((line) => JSON.parse(line) as { type: string; object: Obj });
          response.on('data', (chunk: Buffer) => {
            text += chunk.toString();
            if (text.endsWith('\n') && read().length >= count) {
              resolve(read());
              request.destroy();
            }
          });
          response.on('end', () => resolve(read()));
          response.on('error', () => {});
        },
      );
      request.on('error', (error) => reject(error));
      request.end();
    });
    return Object.assign(events, { opened: ready });
  }

  it('answers nobody without a token, a wrong one, or one it did not sign', async () => {
    const none = await call('GET', '/api/v1/secrets', undefined, { authorization: '' });
    expect([none.status, none.body['reason'], none.body['kind']]).toEqual([401, 'Unauthorized', 'Status']);
    expect((await call('GET', '/api', undefined, { authorization: 'Bearer nonsense' })).status).toBe(401);
    const head = Buffer.from('{"alg":"none"}').toString('base64url');
    const claims = Buffer.from(
      JSON.stringify({
        sub: 'system:serviceaccount:default:default',
        iss: 'https://kubernetes.default.svc.cluster.local',
        aud: ['https://kubernetes.default.svc.cluster.local'],
      }),
    ).toString('base64url');
    expect(
      (await call('GET', '/api', undefined, { authorization: `Bearer ${head}.${claims}.` })).status,
    ).toBe(401);
    const signer = createSign('sha256').update(`${head}.${claims}`);
    const { privateKey } = await import('node:crypto').then((crypto) =>
      crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    );
    const forged = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${claims}.${signer.sign({ key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    expect((await call('GET', '/api', undefined, { authorization: `Bearer ${forged}` })).status).toBe(401);
    expect((await call('GET', '/healthz', undefined, { authorization: '' })).status).toBe(200);
  });

  it('keeps its authority, its keys, its token and every object across a restart, and versions go on rising', async () => {
    const made = await call('POST', MAPS, map('kept', { a: '1' }));
    const account = await call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {},
    });
    const token = String(at(account.body, 'status', 'token'));
    const before = { ca: api.caPem, token: api.adminToken };
    await api.settled();
    await api.close();
    api = await start();
    expect({ ca: api.caPem, token: api.adminToken }).toEqual(before);
    const kept = await call('GET', `${MAPS}/kept`);
    expect(kept.body).toEqual(made.body);
    const review = await call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token },
    });
    expect(at(review.body, 'status', 'user', 'username')).toBe('system:serviceaccount:default:default');
    await call('DELETE', `${MAPS}/kept`);
    const next = await call('POST', MAPS, map('next'));
    expect(Number(at(next.body, 'metadata', 'resourceVersion'))).toBeGreaterThan(
      Number(at(made.body, 'metadata', 'resourceVersion')) + 1,
    );
    const old = await watch(`${MAPS}?watch=true&resourceVersion=1`, 1);
    expect([old[0]?.type, old[0]?.object['code'], old[0]?.object['reason']]).toEqual([
      'ERROR',
      410,
      'Expired',
    ]);
  });

  it('reviews tokens: audiences, expiry, and accounts that were made anew', async () => {
    const ask = (audiences: string[]) =>
      call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences, expirationSeconds: 600 },
      });
    const review = async (token: string, audiences?: string[]) =>
      asFields(
        (
          await call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenReview',
            spec: { token, ...(audiences ? { audiences } : {}) },
          })
        ).body['status'],
      );
    const issued = await ask(['vault']);
    expect(issued.status).toBe(201);
    const token = String(at(issued.body, 'status', 'token'));
    expect((await review(token, ['vault', 'other']))['audiences']).toEqual(['vault']);
    expect((await review(token, ['other']))['authenticated']).toBeUndefined();
    expect((await review(token))['authenticated']).toBeUndefined();
    expect((await call('GET', '/api', undefined, { authorization: `Bearer ${token}` })).status).toBe(401);
    const cut = token.split('.');
    const swapped = `${cut[0]}.${Buffer.from(
      Buffer.from(cut[1] ?? '', 'base64url')
        .toString()
        .replaceAll('default', 'kube-system'),
    ).toString('base64url')}.${cut[2]}`;
    expect((await review(swapped, ['vault']))['authenticated']).toBeUndefined();
    await call('DELETE', '/api/v1/namespaces/default/serviceaccounts/default');
    expect((await review(token, ['vault']))['authenticated']).toBeUndefined();
    await call('POST', '/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default' },
    });
    expect((await review(token, ['vault']))['authenticated']).toBeUndefined();
    const fresh = String(at((await ask(['vault'])).body, 'status', 'token'));
    expect((await review(fresh, ['vault']))['authenticated']).toBe(true);
    clock.jump(601_000);
    expect((await review(fresh, ['vault']))['authenticated']).toBeUndefined();
    const short = await call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 10 },
    });
    expect(short.status).toBe(422);
  });

  it('lets a service account do what its bindings say and nothing else', async () => {
    const token = String(
      at(
        (
          await call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenRequest',
            spec: {},
          })
        ).body,
        'status',
        'token',
      ),
    );
    const as = { authorization: `Bearer ${token}` };
    expect(message(await call('GET', '/api/v1/namespaces/default/secrets', undefined, as))).toBe(
      'secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" in API group "" in the namespace "default"',
    );
    expect(message(await call('GET', '/api/v1/nodes/n', undefined, as))).toContain('at the cluster scope');
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    await call('POST', `${rbac}/roles`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'one' },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['mine'] }],
    });
    await call('POST', `${rbac}/rolebindings`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'one' },
      roleRef: { kind: 'Role', name: 'one' },
      subjects: [{ kind: 'ServiceAccount', name: 'default' }],
    });
    await call('POST', MAPS, map('mine'));
    await call('POST', MAPS, map('other'));
    expect((await call('GET', `${MAPS}/mine`, undefined, as)).status).toBe(200);
    expect((await call('GET', `${MAPS}/other`, undefined, as)).status).toBe(403);
    expect((await call('GET', '/api/v1/namespaces/kube-system/configmaps/mine', undefined, as)).status).toBe(
      403,
    );
    expect((await call('GET', MAPS, undefined, as)).status).toBe(403);
    expect(
      (await call('GET', `${MAPS}?watch=true&fieldSelector=metadata.name%3Dmine`, undefined, as)).status,
    ).toBe(403);
    expect(
      (
        await call('GET', `${MAPS}/mine`, undefined, {
          ...as,
          'impersonate-user': 'kubernetes-admin',
          'impersonate-group': 'system:masters',
        })
      ).status,
    ).toBe(403);
    expect(
      (await call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token } }, as)).status,
    ).toBe(403);
  });

  it('refuses the second of two writers that read the same version', async () => {
    const made = await call('POST', MAPS, map('c', { n: '0' }));
    const version = at(made.body, 'metadata', 'resourceVersion');
    const write = (n: string) => call('PUT', `${MAPS}/c`, map('c', { n }, { resourceVersion: version }));
    const answers = await Promise.all([write('1'), write('2'), write('3')]);
    expect(answers.map((one) => one.status).sort()).toEqual([200, 409, 409]);
    expect(message(answers.find((one) => one.status === 409) as Answer)).toContain(
      'please apply your changes to the latest version and try again',
    );
    const patches = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        call(
          'PATCH',
          `${MAPS}/c`,
          { data: { [`k${i}`]: '1' } },
          { 'content-type': 'application/merge-patch+json' },
        ),
      ),
    );
    expect(patches.every((one) => one.status === 200)).toBe(true);
    expect(Object.keys(asFields((await call('GET', `${MAPS}/c`)).body['data']))).toHaveLength(21);
    expect((await call('DELETE', `${MAPS}/c`, { preconditions: { uid: 'other' } })).status).toBe(409);
    expect((await call('DELETE', `${MAPS}/c`, { preconditions: { resourceVersion: version } })).status).toBe(
      409,
    );
  });

  it('tells a watcher every change after the version it names, through its selectors, with bookmarks', async () => {
    const { body } = await call('GET', MAPS);
    const from = at(body, 'metadata', 'resourceVersion');
    await call('POST', MAPS, map('a', {}, { labels: { tier: 'gold' } }));
    const seen = watch(
      `${MAPS}?watch=true&resourceVersion=${from}&labelSelector=tier%3Dgold&allowWatchBookmarks=true`,
      5,
    );
    await seen.opened;
    await call('POST', MAPS, map('b', {}, { labels: { tier: 'tin' } }));
    await call(
      'PATCH',
      `${MAPS}/a`,
      { metadata: { labels: { tier: 'tin' } } },
      { 'content-type': 'application/merge-patch+json' },
    );
    await call(
      'PATCH',
      `${MAPS}/a`,
      { metadata: { labels: { tier: 'gold' } } },
      { 'content-type': 'application/merge-patch+json' },
    );
    await call('DELETE', `${MAPS}/a`);
    clock.advance(61_000);
    const events = await seen;
    expect(events.map((event) => event.type)).toEqual(['ADDED', 'DELETED', 'ADDED', 'DELETED', 'BOOKMARK']);
    const versions = events.map((event) => Number(at(event.object, 'metadata', 'resourceVersion')));
    expect([...versions].sort((a, b) => a - b)).toEqual(versions);
  });

  it('watches metadata alone without a byte of the data', async () => {
    const partial = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
    await call('POST', '/api/v1/namespaces/default/secrets', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { k: 'canary' },
    });
    const events = await watch('/api/v1/namespaces/default/secrets?watch=true', 1, { accept: partial });
    expect(events[0]?.object['kind']).toBe('PartialObjectMetadata');
    const list = await call('GET', '/api/v1/secrets', undefined, {
      accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    });
    expect(list.body['kind']).toBe('PartialObjectMetadataList');
    const text = JSON.stringify([events, list.body]);
    expect(text).toContain('"name":"s"');
    expect(text).not.toContain('canary');
    expect(text).not.toContain(Buffer.from('canary').toString('base64'));
  });

  it('pages a list, and every page carries the version of the first', async () => {
    for (let i = 0; i < 7; i++) await call('POST', MAPS, map(`m${i}`));
    const names: Value[] = [];
    let token = '';
    const versions = new Set<Value | undefined>();
    do {
      const page = await call('GET', `${MAPS}?limit=3&continue=${token}`);
      names.push(...asList(page.body['items']).map((item) => at(item, 'metadata', 'name') as Value));
      versions.add(at(page.body, 'metadata', 'resourceVersion'));
      token = String(at(page.body, 'metadata', 'continue') ?? '');
      await call(
        'PATCH',
        `${MAPS}/m0`,
        { data: { [`n${names.length}`]: 'x' } },
        { 'content-type': 'application/merge-patch+json' },
      );
    } while (token !== '');
    expect(names).toEqual(['kube-root-ca.crt', 'm0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']);
    expect(versions.size).toBe(1);
    expect((await call('GET', `${MAPS}?continue=nonsense`)).status).toBe(400);
  });

  it('changes nothing on a dry run', async () => {
    expect((await call('POST', `${MAPS}?dryRun=All`, map('dry'))).status).toBe(201);
    expect((await call('GET', `${MAPS}/dry`)).status).toBe(404);
    const { body } = await call('POST', MAPS, map('wet', { a: '1' }));
    expect(
      at(
        (
          await call(
            'PATCH',
            `${MAPS}/wet?dryRun=All`,
            { data: { a: '2' } },
            { 'content-type': 'application/merge-patch+json' },
          )
        ).body,
        'data',
        'a',
      ),
    ).toBe('2');
    await call('DELETE', `${MAPS}/wet?dryRun=All`);
    expect((await call('GET', `${MAPS}/wet`)).body).toEqual(body);
  });

  it('holds an object with finalizers until the last is taken off, and takes no new ones meanwhile', async () => {
    await call('POST', MAPS, map('f', {}, { finalizers: ['example.dev/hold'] }));
    const deleted = await call('DELETE', `${MAPS}/f`);
    expect(at(deleted.body, 'metadata', 'deletionTimestamp')).toBeDefined();
    const more = await call(
      'PATCH',
      `${MAPS}/f`,
      { metadata: { finalizers: ['example.dev/hold', 'example.dev/more'] } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect(message(more)).toContain('no new finalizers can be added if the object is being deleted');
    await call(
      'PATCH',
      `${MAPS}/f`,
      { metadata: { finalizers: null } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect((await call('GET', `${MAPS}/f`)).status).toBe(404);
  });

  it('empties a namespace that is deleted, keeps it while something is held in it, and lets nothing new in', async () => {
    await call('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'gone' },
    });
    const inside = '/api/v1/namespaces/gone/configmaps';
    await call('POST', inside, map('held', {}, { finalizers: ['example.dev/hold'] }));
    await call('POST', inside, map('free'));
    await call('DELETE', '/api/v1/namespaces/gone');
    await api.settled();
    expect((await call('GET', `${inside}/free`)).status).toBe(404);
    expect(at((await call('GET', '/api/v1/namespaces/gone')).body, 'status', 'phase')).toBe('Terminating');
    await call(
      'PATCH',
      '/api/v1/namespaces/gone',
      { metadata: { labels: { a: 'b' } } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect((await call('GET', '/api/v1/namespaces/gone')).status).toBe(200);
    expect(message(await call('POST', inside, map('late')))).toContain('because it is being terminated');
    await call(
      'PATCH',
      `${inside}/held`,
      { metadata: { finalizers: null } },
      { 'content-type': 'application/merge-patch+json' },
    );
    await api.settled();
    expect((await call('GET', '/api/v1/namespaces/gone')).status).toBe(404);
    expect((await call('POST', '/api/v1/namespaces/never/configmaps', map('x'))).status).toBe(404);
  });

  it('collects what lost all its owners, in the background, in the foreground, and not when orphaned', async () => {
    for (const policy of ['Background', 'Foreground', 'Orphan']) {
      const owner = (await call('POST', MAPS, map('owner'))).body;
      const reference = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: 'owner',
        uid: at(owner, 'metadata', 'uid'),
        blockOwnerDeletion: true,
      };
      const lower = `kid-${policy.toLowerCase()}`;
      await call('POST', MAPS, map(lower, {}, { ownerReferences: [reference] }));
      await call('DELETE', `${MAPS}/owner`, { propagationPolicy: policy });
      await api.settled();
      expect((await call('GET', `${MAPS}/owner`)).status).toBe(404);
      const kid = await call('GET', `${MAPS}/${lower}`);
      expect(kid.status, policy).toBe(policy === 'Orphan' ? 200 : 404);
      if (policy === 'Orphan') expect(at(kid.body, 'metadata', 'ownerReferences')).toBeUndefined();
    }
    await call(
      'POST',
      MAPS,
      map(
        'stray',
        {},
        { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'never', uid: 'never' }] },
      ),
    );
    await api.settled();
    expect((await call('GET', `${MAPS}/stray`)).status).toBe(404);
  });

  it('checks what a Secret of a type must hold, keeps an immutable one, and quotes no value', async () => {
    const secrets = '/api/v1/namespaces/default/secrets';
    const secret = (more: object) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' }, ...more });
    expect(
      message(
        await call('POST', secrets, secret({ type: 'kubernetes.io/tls', data: { 'tls.crt': 'eA==' } })),
      ),
    ).toContain('data[tls.key]: Required value');
    const bad = await call('POST', secrets, secret({ data: { k: 'canary, not base64!' } }));
    expect(bad.status).toBe(422);
    expect(JSON.stringify(bad.body)).not.toContain('canary');
    const made = await call('POST', secrets, secret({ stringData: { a: 'plain' }, immutable: true }));
    expect([at(made.body, 'data', 'a'), made.body['stringData'], made.body['type']]).toEqual([
      Buffer.from('plain').toString('base64'),
      undefined,
      'Opaque',
    ]);
    expect(
      (
        await call(
          'PATCH',
          `${secrets}/x`,
          { stringData: { a: 'other' } },
          { 'content-type': 'application/merge-patch+json' },
        )
      ).status,
    ).toBe(422);
  });

  it('survives hostile requests: size, depth, garbage, paths, prototypes', async () => {
    const large = await call('POST', MAPS, Buffer.alloc(4 * 1024 * 1024, 0x20)).catch(() => ({
      status: 413,
    }));
    expect(large.status).toBe(413);
    expect((await call('POST', MAPS, Buffer.from('['.repeat(100_000)))).status).toBe(400);
    const garbage = await call('POST', MAPS, Buffer.from('{"canary": nonsense'));
    expect([garbage.status, message(garbage).includes('canary')]).toEqual([400, false]);
    expect(
      (
        await call('POST', MAPS, Buffer.from('k8s\0\x0a\xff\xff\xff', 'latin1'), {
          'content-type': 'application/vnd.kubernetes.protobuf',
        })
      ).status,
    ).toBe(400);
    expect((await call('POST', MAPS, Buffer.from('<a/>'), { 'content-type': 'text/xml' })).status).toBe(415);
    for (const path of [
      '/api/v1/namespaces/default/configmaps/..%2fsecrets',
      '/api/v1//configmaps',
      '/api/v1/namespaces/%2e%2e/configmaps',
      '/api/v1/configmaps/%00',
    ]) {
      expect((await call('GET', path)).status, path).toBe(400);
    }
    const proto = await call(
      'POST',
      MAPS,
      Buffer.from(
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"p","labels":{"__proto__":"x"}},"data":{"__proto__":"y","ok":"z"}}',
      ),
    );
    expect(proto.status).toBe(422);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    const odd = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'constructor',
      metadata: {
        name: 'odd',
        constructor: 'x',
        managedFields: [
          { manager: 'm', operation: 'Apply', fieldsV1: { 'k:garbage': {}, 'f:data': { 'k:1': {} } } },
        ],
      },
      stringData: { constructor: 'x' },
    };
    expect((await call('POST', '/api/v1/namespaces/default/secrets', odd)).status).toBe(201);
    expect((await call('PUT', '/api/v1/namespaces/default/secrets/odd', odd)).status).toBe(200);
    expect((await call('GET', '/api/v1/nothing')).status).toBe(404);
    expect((await call('GET', MAPS, undefined, { accept: 'text/html' })).status).toBe(406);
    expect((await call('GET', `${MAPS}?labelSelector=((`)).status).toBe(400);
    expect((await call('GET', `${MAPS}?fieldSelector=data.x%3Dy`)).status).toBe(400);
  });

  it('leads a Service name to where it is said to answer', async () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'vault', annotations: { 'holdfast.dev/address': '127.0.0.1:8200' } },
      spec: { ports: [{ port: 8200 }] },
    };
    expect(api.resolveService('vault.default.svc.cluster.local', 8200)).toBeUndefined();
    await call('POST', '/api/v1/namespaces/default/services', service);
    for (const name of ['vault.default', 'vault.default.svc', 'VAULT.default.svc.cluster.local']) {
      expect(api.resolveService(name, 8200)).toEqual({ host: '127.0.0.1', port: 8200 });
    }
    expect(api.resolveService('vault.other.svc', 8200)).toBeUndefined();
    expect(api.resolveService('vault.default.example.com', 8200)).toBeUndefined();
  });

  it('cuts its watchers off when it closes', async () => {
    const seen = watch(`${MAPS}?watch=true&resourceVersion=0`, 1000);
    await seen.opened;
    await api.close();
    await Promise.race([seen.catch(() => []), once(new AbortController().signal, 'abort')]);
    api = await start();
  });
});
