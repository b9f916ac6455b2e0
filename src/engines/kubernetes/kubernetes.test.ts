import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../../apiserver/server.ts';
import { ManualClock, systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { failureOf, makeCa } from '../../methods/testing.ts';
import type { Dial } from '../../plugin/plugin.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { createDial } from '../../server/http/dial.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { type Bench, eventually, kubernetesEngineConformance, MOUNT, type Reply } from './conformance.ts';
import { kubernetesTokens } from './index.ts';

const CANARY = 'canary-service-account-jwt';

describe('the Kubernetes engine on the embedded API', () => {
  let api: ApiServer;
  let server: TestServer;
  let bench: Bench;
  /** That of the secrets server alone. */
  const clock = new ManualClock(Date.now());
  const real = createDial({ target: (host, port) => ({ host, port }), allow: () => true });
  /** Stands between the engine and the cluster. */
  let between: Dial | undefined;

  beforeAll(async () => {
    api = await startApiServer({
      backend: new MemoryBackend(),
      host: '127.0.0.1',
      port: 0,
      clock: systemClock,
      log: silentLog,
    });
    server = await startServer([kubernetesTokens()], {
      clock,
      dial: (request) => (between ?? real)(request),
    });
    const kube = async (
      method: string,
      path: string,
      body?: object,
      token = api.adminToken,
    ): Promise<Reply> => {
      const answer = await real({
        url: api.url + path,
        method,
        ca: api.caPem,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString() || 'null') };
    };
    bench = {
      host: api.url,
      ca: api.caPem,
      kube,
      async vault(method, path, body) {
        const { status, json } = await server.ask(method, path, body);
        return { status, body: json };
      },
    };
  });
  afterAll(async () => {
    await server.close();
    await api.close();
  });
  beforeEach(() => {
    between = undefined;
  });

  kubernetesEngineConformance(() => bench);

  describe('where the conversation with the cluster breaks', () => {
    const everything = async (): Promise<string[]> => {
      const rbac = '/apis/rbac.authorization.k8s.io/v1';
      const folders = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map(
        (p) => `${rbac}/${p}`,
      );
      const replies = await Promise.all(
        [...folders, '/api/v1/serviceaccounts'].map((p) => bench.kube('GET', p)),
      );
      return replies.flatMap(({ body }) =>
        body.items
          .filter((item: Reply['body']) => item.metadata.name.startsWith('v-root'))
          .map((item: Reply['body']) => item.metadata.name),
      );
    };
    const leases = async (): Promise<string[]> => {
      const { body } = await bench.vault('LIST', `sys/leases/lookup/${MOUNT}/creds/broken`);
      return body?.data?.keys ?? [];
    };
    const settled = (): Promise<void> => {
      between = undefined;
      return eventually('the lease is gone', async () => {
        clock.advance(10_000);
        return (await leases()).length === 0;
      });
    };
    beforeAll(async () => {
      await bench.vault('POST', `${MOUNT}/roles/broken`, {
        allowed_kubernetes_namespaces: ['web'],
        generated_role_rules: '{"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}',
        token_default_ttl: '20m',
      });
      expect(await everything()).toEqual([]);
    });

    const broken = ['lost on the way there', 'done, but the answer is lost', 'refused', 'failed'] as const;
    const steps = ['roles', 'rolebindings', 'serviceaccounts', 'token'];
    test.each(steps.flatMap((step) => broken.map((how) => [step, how] as const)))(
      'at %s: %s, nothing is left in the cluster and no lease stays',
      async (step, how) => {
        const bytes = (text: string) => new TextEncoder().encode(text);
        between = async (request) => {
          if (request.method !== 'POST' || !request.url.endsWith(`/${step}`)) return real(request);
          if (how === 'refused') return { status: 403, body: bytes('{"message":"not you\\nnever"}') };
          if (how === 'failed') return { status: 500, body: bytes('oh') };
          if (how === 'done, but the answer is lost') await real(request);
          throw failure('dial.unreachable', { host: 'h', port: 1, reason: 'no answer in time' });
        };
        const reply = await bench.vault('POST', `${MOUNT}/creds/broken`, {});
        expect(reply.status).toBeGreaterThanOrEqual(500);
        if (how === 'refused') expect(reply.body.errors[0]).toMatch(/^failed to create .*: not you never$/);
        await settled();
        expect(await everything()).toEqual([]);
      },
    );

    test('an object that is made after the lease began to take back what there is, is taken back as well', async () => {
      let late: (() => Promise<unknown>) | undefined;
      let deleted = 0;
      between = async (request) => {
        if (request.method === 'DELETE') deleted++;
        if (request.method === 'POST') {
          late = () => real(request);
          throw failure('dial.unreachable', { host: 'h', port: 1, reason: 'no answer in time' });
        }
        return real(request);
      };
      expect((await bench.vault('POST', `${MOUNT}/creds/broken`, {})).status).toBe(503);
      await eventually('a first try', async () => {
        clock.advance(1);
        return deleted > 0;
      });
      expect(await leases()).toHaveLength(1);
      await late?.();
      expect(await everything()).toHaveLength(1);
      await settled();
      expect(await everything()).toEqual([]);
    });

    test('while it is taken back, it is tried again until the cluster answers', async () => {
      const { body } = await bench.vault('POST', `${MOUNT}/creds/broken`, {});
      between = async () => {
        throw failure('dial.unreachable', { host: 'h', port: 1, reason: 'connection refused' });
      };
      const reply = await bench.vault('POST', 'sys/leases/revoke', { lease_id: body.lease_id, sync: true });
      expect(reply.status).toBe(503);
      expect(await everything()).toHaveLength(3);
      expect(await leases()).toHaveLength(1);
      between = undefined;
      await bench.vault('POST', 'sys/leases/revoke', { lease_id: body.lease_id, sync: true });
      expect(await everything()).toEqual([]);
      expect(await leases()).toEqual([]);
    });

    test('what was deleted by hand is no obstacle', async () => {
      const { body } = await bench.vault('POST', `${MOUNT}/creds/broken`, {});
      const { service_account_name: name } = body.data;
      await bench.kube('DELETE', `/api/v1/namespaces/web/serviceaccounts/${name}`);
      const reply = await bench.vault('POST', 'sys/leases/revoke', { lease_id: body.lease_id, sync: true });
      expect(reply.status).toBe(204);
      expect(await everything()).toEqual([]);
    });

    test('an object of somebody else that bears the name is not deleted', async () => {
      let name = '';
      between = async (request) => {
        if (request.method === 'POST' && request.url.endsWith('/rolebindings')) {
          name = JSON.parse(request.body ?? '').metadata.name;
          await bench.kube('POST', '/api/v1/namespaces/web/serviceaccounts', { metadata: { name } });
        }
        return real(request);
      };
      const reply = await bench.vault('POST', `${MOUNT}/creds/broken`, {});
      expect(reply).toMatchObject({ status: 500 });
      expect(reply.body.errors[0]).toContain(`failed to create ServiceAccount 'web/${name}'`);
      await settled();
      expect(await everything()).toEqual([name]);
      await bench.kube('DELETE', `/api/v1/namespaces/web/serviceaccounts/${name}`);
    });

    test('a lease that is revoked while its objects are made leaves none', async () => {
      let revoking: Promise<Reply> | undefined;
      between = async (request) => {
        if (revoking === undefined && request.method === 'POST') {
          const [key = ''] = await leases();
          const lease_id = `${MOUNT}/creds/broken/${key}`;
          revoking = bench.vault('POST', 'sys/leases/revoke', { lease_id, sync: true });
          // Long enough for a revocation that does not wait to be through.
          await Promise.race([revoking, new Promise((resolve) => setTimeout(resolve, 300))]);
        }
        return real(request);
      };
      await bench.vault('POST', `${MOUNT}/creds/broken`, {});
      expect((await revoking)?.status).toBe(204);
      expect(await everything()).toEqual([]);
    });

    test('a cluster that cuts a token short is told as it is', async () => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      between = async (request) => {
        if (!request.url.endsWith('/token')) return real(request);
        const token = `${part({})}.${part({ iat: 1000, exp: 1700 })}.x`;
        return { status: 201, body: new TextEncoder().encode(JSON.stringify({ status: { token } })) };
      };
      const { body } = await bench.vault('POST', `${MOUNT}/creds/broken`, {});
      expect(body.lease_duration).toBe(700);
      expect(body.warnings).toEqual([
        'the created Kubernetes service account token TTL 11m40s is less than the Vault lease TTL 20m0s; capping the lease TTL accordingly',
      ]);
      await bench.vault('POST', 'sys/leases/revoke', { lease_id: body.lease_id, sync: true });
    });

    test.each(['', '[]', '{"status":{}}', '{"status":{"token":1}}', '\xff'])(
      'an answer like %j is no token',
      async (text) => {
        between = async (request) =>
          request.url.endsWith('/token')
            ? { status: 201, body: new TextEncoder().encode(text) }
            : real(request);
        const { body } = await bench.vault('POST', `${MOUNT}/creds/broken`, {});
        expect(body.errors[0]).toMatch(
          /^failed to create a service account token .*: the answer holds no token$/,
        );
        await settled();
      },
    );
  });

  describe('a request', () => {
    const refusal = async (path: string, body: object) => {
      const reply = await bench.vault('POST', `${MOUNT}/creds/${path}`, body);
      return { status: reply.status, error: reply.body.errors[0] };
    };

    test('for a role that does not exist says so', async () => {
      expect(await refusal('nope', {})).toEqual({ status: 400, error: "role 'nope' does not exist" });
    });

    test('names a namespace unless there is only one', async () => {
      expect(await refusal('bound', {})).toEqual({
        status: 400,
        error:
          "error verifying namespace: 'kubernetes_namespace' is required unless the Vault role has a single namespace specified",
      });
    });

    test.each(['B', '../web', 'web/serviceaccounts', 'web?x', 'a'.repeat(64), '-', 'wéb', '*'])(
      'for the namespace %j never reaches the cluster',
      async (namespace) => {
        const asked: string[] = [];
        between = async (request) => {
          asked.push(request.url);
          return real(request);
        };
        const { status, error } = await refusal('bound', { kubernetes_namespace: namespace });
        expect(status).toBe(400);
        expect(error).toMatch(/^kubernetes_namespace '[\w.?-]*' is not present in role's/);
        expect(asked).toEqual([]);
      },
    );

    test('for a Role in the whole cluster is refused', async () => {
      expect(await refusal('ruled', { cluster_role_binding: true })).toEqual({
        status: 400,
        error: 'a ClusterRoleBinding cannot ref a Role',
      });
    });

    test('for less than ten minutes is refused before anything is made', async () => {
      const { status, error } = await refusal('ruled', { ttl: '5m' });
      expect(status).toBe(400);
      expect(error).toBe('a ttl of 5m0s is too short: Kubernetes makes no token for less than 10m');
    });

    test('is capped by the role, then by the mount, and says so', async () => {
      await bench.vault('POST', `${MOUNT}/roles/capped`, {
        allowed_kubernetes_namespaces: ['web'],
        service_account_name: 'existing',
        token_max_ttl: '15m',
      });
      const { body } = await bench.vault('POST', `${MOUNT}/creds/capped`, { ttl: '1h' });
      expect(body.lease_duration).toBe(900);
      expect(body.warnings).toEqual([
        "ttl of 1h0m0s is greater than the role's token_max_ttl of 15m0s; capping accordingly",
      ]);
      await bench.vault('POST', `${MOUNT}/roles/capped`, { token_max_ttl: 0 });
      await bench.vault('POST', `sys/mounts/${MOUNT}/tune`, { max_lease_ttl: '30m' });
      const second = (await bench.vault('POST', `${MOUNT}/creds/capped`, { ttl: '1h' })).body;
      expect(second.lease_duration).toBe(1800);
      expect(second.warnings).toEqual([
        "ttl of 1h0m0s is greater than Vault's max lease ttl 30m0s; capping accordingly",
      ]);
    });

    test('by reading is not answered: a namespace must be named', async () => {
      expect((await bench.vault('GET', `${MOUNT}/creds/ruled`)).status).toBe(405);
    });
  });
});

describe('the configuration of the Kubernetes engine', () => {
  const HOST = 'https://kube.example:6443';
  let ca: string;
  let engine: TestMount;
  beforeAll(async () => {
    ca = await makeCa();
  });
  beforeEach(() => {
    engine = mountForTest(kubernetesTokens());
  });
  const write = (fields: object) => engine.call('write', 'config', fields);
  const full = () => ({ kubernetes_host: HOST, kubernetes_ca_cert: ca, service_account_jwt: CANARY });

  test('is read back without its token, changed in part, and deleted', async () => {
    expect((await engine.call('read', 'config')).status).toBe(404);
    expect((await write({ ...full(), kubernetes_host: `${HOST}/` })).status).toBe(204);
    const shown = await engine.call('read', 'config');
    expect(shown.data).toEqual({
      disable_local_ca_jwt: false,
      kubernetes_ca_cert: ca.trim(),
      kubernetes_host: HOST,
    });
    await write({ disable_local_ca_jwt: true });
    expect((await engine.call('read', 'config')).data.disable_local_ca_jwt).toBe(true);
    await engine.call('delete', 'config');
    expect((await engine.call('read', 'config')).status).toBe(404);
  });

  test('does not let a token that stays be sent to another server', async () => {
    await write(full());
    const otherCa = await makeCa();
    for (const change of [{ kubernetes_host: 'https://evil.example' }, { kubernetes_ca_cert: otherCa }])
      expect(await failureOf(write(change))).toMatchObject({ code: 'serviceaccounts.retarget' });
    await write({ kubernetes_host: 'https://other.example', service_account_jwt: 'new' });
    expect((await engine.call('read', 'config')).data.kubernetes_host).toBe('https://other.example');
  });

  test.each([
    [{ kubernetes_host: undefined }, 'serviceaccounts.no_host'],
    [{ kubernetes_host: '' }, 'serviceaccounts.no_host'],
    [{ kubernetes_host: 'http://kube.example' }, 'kubernetes.host'],
    [{ kubernetes_host: 'https://u:p@kube.example' }, 'kubernetes.host'],
    [{ kubernetes_host: 'https://kube.example/?a=b' }, 'kubernetes.host'],
    [{ kubernetes_ca_cert: 'nonsense' }, 'kubernetes.ca'],
    [{ kubernetes_ca_cert: '' }, 'kubernetes.no_ca'],
    [{ service_account_jwt: 'a\r\nx-evil: 1' }, 'serviceaccounts.jwt'],
    [{ disable_local_ca_jwt: 'perhaps' }, 'request.invalid'],
  ])('with %j is refused', async (change, code) => {
    expect(await failureOf(write({ ...full(), ...change }))).toMatchObject({ code });
    expect((await engine.call('read', 'config')).status).toBe(404);
  });

  test('comes from the pod where the server runs in one', async () => {
    const requests: { url: string; authorization: string | undefined; ca: string | undefined }[] = [];
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT_HTTPS: '443' };
    let jwt = 'pod-token-1';
    engine = mountForTest(kubernetesTokens({ env, readLocal: async () => ({ ca, jwt }) }), {
      dial: async ({ url, headers, ca: trusted }) => {
        requests.push({ url, authorization: headers?.['authorization'], ca: trusted });
        return { status: 404, body: new Uint8Array() };
      },
    });
    expect((await engine.call('read', 'check')).status).toBe(204);
    await write({});
    await engine.call('write', 'roles/r', {
      allowed_kubernetes_namespace_selector: '{}',
      service_account_name: 'x',
    });
    for (const token of ['pod-token-1', 'pod-token-2']) {
      jwt = token;
      await failureOf(engine.call('write', 'creds/r', { kubernetes_namespace: 'web' }));
      expect(requests.at(-1)).toEqual({
        url: 'https://[fd00::1]/api/v1/namespaces/web',
        authorization: `Bearer ${token}`,
        ca,
      });
    }
    await write({ kubernetes_host: HOST, kubernetes_ca_cert: ca, disable_local_ca_jwt: true });
    expect(await failureOf(engine.call('write', 'creds/r', { kubernetes_namespace: 'web' }))).toMatchObject({
      code: 'serviceaccounts.no_jwt',
    });
  });

  test('is missed by a check outside of a pod, and by a request before there is one', async () => {
    expect(await failureOf(engine.call('read', 'check'))).toEqual({
      code: 'serviceaccounts.check',
      message: 'Missing environment variables: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT_HTTPS',
    });
    await engine.call('write', 'roles/r', {
      allowed_kubernetes_namespace_selector: '{}',
      service_account_name: 'x',
    });
    expect(await failureOf(engine.call('write', 'creds/r', { kubernetes_namespace: 'web' }))).toMatchObject({
      code: 'serviceaccounts.not_configured',
    });
  });
});

describe('a role of the Kubernetes engine', () => {
  const engine = mountForTest(kubernetesTokens());
  const valid = { allowed_kubernetes_namespaces: ['B', 'a', 'b'], service_account_name: 'x' };
  const write = (fields: object, name = 'r') => engine.call('write', `roles/${name}`, fields);

  test('is read back as Vault tells it', async () => {
    expect(await engine.exists('roles/one')).toBe(false);
    await write({ ...valid, extra_labels: 'a=b', kubernetes_role_type: 'clusterrole' }, 'one');
    expect(await engine.exists('roles/one')).toBe(true);
    const { data } = await engine.call('read', 'roles/one');
    expect(data).toEqual({
      allowed_kubernetes_namespace_selector: '',
      allowed_kubernetes_namespaces: ['a', 'b'],
      extra_annotations: null,
      extra_labels: { a: 'b' },
      generated_role_rules: '',
      kubernetes_role_name: '',
      kubernetes_role_type: 'ClusterRole',
      name: 'one',
      name_template: '',
      service_account_name: 'x',
      token_default_audiences: null,
      token_default_ttl: 0,
      token_max_ttl: 0,
    });
    await write({ token_default_ttl: '30m', token_max_ttl: 3600 }, 'one');
    expect((await engine.call('read', 'roles/one')).data).toEqual({
      ...data,
      token_default_ttl: 1800,
      token_max_ttl: 3600,
    });
    await write(valid, 'two');
    expect((await engine.call('list', 'roles')).data).toEqual({ keys: ['one', 'two'] });
    expect((await engine.call('list', 'roles', { after: 'one', limit: 1 })).data).toEqual({ keys: ['two'] });
    await engine.call('delete', 'roles/one');
    expect((await engine.call('read', 'roles/one')).status).toBe(404);
  });

  const rules = (given: unknown) => ({
    allowed_kubernetes_namespaces: '*',
    generated_role_rules: typeof given === 'string' ? given : JSON.stringify(given),
  });
  const NO_RULES = "failed to parse 'generated_role_rules' as k8s.io/api/rbac/v1/Policy object";
  const selector = (text: string) => ({ ...valid, allowed_kubernetes_namespace_selector: text });
  const NO_SELECTOR =
    "failed to parse 'allowed_kubernetes_namespace_selector' as k8s.io/api/meta/v1/LabelSelector object";
  const ONE =
    'one (and only one) of service_account_name, kubernetes_role_name or generated_role_rules must be set';

  test.each([
    [
      {},
      'one (at least) of allowed_kubernetes_namespaces or allowed_kubernetes_namespace_selector must be set',
    ],
    [{ allowed_kubernetes_namespaces: '*' }, ONE],
    [{ ...valid, kubernetes_role_name: 'y' }, ONE],
    [
      { ...valid, token_default_ttl: '1h', token_max_ttl: '30m' },
      'token_default_ttl 1h0m0s cannot be greater than token_max_ttl 30m0s',
    ],
    [{ ...valid, token_max_ttl: '-1h' }, 'a TTL cannot be negative'],
    [
      { ...valid, kubernetes_role_type: 'foo' },
      "kubernetes_role_type must be either 'Role' or 'ClusterRole'",
    ],
    [{ ...valid, service_account_name: '../x' }, 'service_account_name is no name of a service account'],
    [{ ...valid, service_account_name: 'a/token' }, 'service_account_name is no name of a service account'],
    [
      { allowed_kubernetes_namespaces: '*', kubernetes_role_name: '..' },
      'kubernetes_role_name is no name of a role',
    ],
    [
      { ...valid, allowed_kubernetes_namespaces: 'a/b' },
      'allowed_kubernetes_namespaces holds what names no namespace',
    ],
    [{ ...valid, extra_labels: { 'a b': 'c' } }, 'extra_labels holds what Kubernetes takes for no label'],
    [{ ...valid, extra_labels: { a: 'ü' } }, 'extra_labels holds what Kubernetes takes for no label'],
    [
      { ...valid, extra_annotations: { '/': 'x' } },
      'extra_annotations holds what Kubernetes takes for no annotation',
    ],
    [rules('{:'), NO_RULES],
    [rules('a: &a [x]\nb: *a'), NO_RULES],
    [rules({ rule: [] }), NO_RULES],
    [rules({ rules: [{ verbs: [] }] }), NO_RULES],
    // Broken texts: what the parser would guess they mean must not become rights.
    [rules('rules: ['), NO_RULES],
    [rules('rules:\n- apiGroups: [""]\n  resources: [pods\n  verbs: [get]'), NO_RULES],
    [rules({ rules: [{ verbs: ['get'], resource: ['pods'] }] }), NO_RULES],
    [rules('[]'), NO_RULES],
    [selector('foo'), NO_SELECTOR],
    [selector('matchLabels: {a: 1}'), NO_SELECTOR],
    [selector('{"matchExpressions":[{"key":"a","operator":"In"}]}'), NO_SELECTOR],
    [selector('{"matchExpressions":[{"key":"a","operator":"Exists","values":["x"]}]}'), NO_SELECTOR],
    [
      { ...valid, name_template: '{{ foo }}' },
      'unable to initialize name template: there is no function foo',
    ],
    [
      { ...valid, name_template: 'fixed' },
      'unable to initialize name template: it makes the same name each time; use random, uuid or unix_time in it',
    ],
    [
      { ...valid, name_template: '{{random 8}}_' },
      'unable to initialize name template: it makes a name that Kubernetes does not take',
    ],
  ])('%j is refused', async (fields, message) => {
    expect((await failureOf(write(fields))).message).toBe(message);
    expect((await engine.call('read', 'roles/r')).status).toBe(404);
  });

  test.each(['a b', '-a', 'ä', '.x'])('called %j is refused', async (name) => {
    expect(await failureOf(write(valid, name))).toMatchObject({ code: 'serviceaccounts.role' });
  });

  test('may give a role without rules, and a name that it makes itself', async () => {
    await write({ ...rules('{}'), name_template: 'x-{{.RoleName | lowercase}}-{{unix_time}}' }, 'bare');
    expect((await engine.call('read', 'roles/bare')).data.generated_role_rules).toBe('{}');
  });
});
